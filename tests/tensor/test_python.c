/* What Python packages stand on, with a Python that is made of a few lines here: its objects count their references, so that one too many or
 * too few is seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tarn/tarn.h>

/* Objects: integers, capsules and tensors alike. */
typedef struct object {
    int references;
    const char *name; /* of a capsule */
    void *pointer;
} object;

static int live_objects;
static int calls_fail;
static char raised[1024];
static int error_kind; /* its address is the exception */

static object *make_object(const char *name, void *pointer) {
    object *made = malloc(sizeof *made);
    assert_non_null(made);
    *made = (object){1, name, pointer};
    live_objects++;
    return made;
}

static void release_object(void *released) {
    if (--((object *)released)->references > 0) return;
    free(released);
    live_objects--;
}

static int capsule_is_valid(void *capsule, const char *name) { return strcmp(((object *)capsule)->name, name) == 0; }

static void *capsule_get_pointer(void *capsule, const char *name) {
    assert_true(capsule_is_valid(capsule, name));
    return ((object *)capsule)->pointer;
}

static void raise_error(void *exception, const char *sentence) {
    assert_ptr_equal(exception, &error_kind);
    assert_true(raised[0] == '\0');
    snprintf(raised, sizeof raised, "%s", sentence);
}

static void *error_occurred(void) { return raised[0] != '\0' ? &error_kind : NULL; }

static void *get_attribute(void *from, const char *name) {
    if (strcmp(name, "_pointer") == 0 && ((object *)from)->name == NULL)
        return make_object("integer", ((object *)from)->pointer);
    raise_error(&error_kind, "no such attribute");
    return NULL;
}

static void *integer_as_pointer(void *integer) { return ((object *)integer)->pointer; }

static void *call(void *callable, const char *format, ...) {
    assert_ptr_equal(callable, &live_objects);
    assert_string_equal(format, "n");
    if (calls_fail) {
        raise_error(&error_kind, "no memory");
        return NULL;
    }
    va_list arguments;
    va_start(arguments, format);
    void *pointer = (void *)va_arg(arguments, ptrdiff_t);
    va_end(arguments);
    return make_object(NULL, pointer);
}

static const tarn_python python = {
    .struct_size = sizeof python,
    .capsule_is_valid = capsule_is_valid,
    .capsule_get_pointer = capsule_get_pointer,
    .object_get_attribute = get_attribute,
    .object_release = release_object,
    .integer_as_pointer = integer_as_pointer,
    .call = call,
    .error_occurred = error_occurred,
    .error_set = raise_error,
    .error = &error_kind,
    .make_tensor = &live_objects,
    .attribute = "_pointer",
};

static tarn_device *cpu;
static tarn_allocator *direct;
static const tarn_dlpack_exchange *table;

static int attach(void **state) {
    (void)state;
    if (tarn_python_attach(&python, &table) != TARN_OK || tarn_device_open("cpu", &cpu) != TARN_OK) return -1;
    return tarn_allocator_create(cpu, "direct", &direct) == TARN_OK ? 0 : -1;
}

static int detach(void **state) {
    (void)state;
    return tarn_allocator_release(direct) == TARN_OK && tarn_device_release(cpu) == TARN_OK ? 0 : -1;
}

static int begin_without_errors(void **state) {
    (void)state;
    raised[0] = '\0';
    calls_fail = 0;
    live_objects = 0;
    return 0;
}

static int end_without_objects(void **state) {
    (void)state;
    tarn_memory_stats stats = {.struct_size = sizeof stats};
    assert_int_equal(tarn_allocator_stats(direct, &stats), TARN_OK);
    return live_objects == 0 && stats.blocks.current == 0 ? 0 : -1;
}

static tarn_tensor *new_tensor(void) {
    tarn_tensor *tensor = NULL;
    tarn_shape shape;
    assert_int_equal(tarn_shape_make((const int64_t[]){2, 3}, 2, &shape), TARN_OK);
    assert_int_equal(tarn_tensor_zeros(direct, &shape, TARN_ELEMENT_F32, NULL, &tensor), TARN_OK);
    return tensor;
}

static void the_table_is_of_the_version_that_it_is_written_for(void **state) {
    (void)state;
    assert_int_equal(table->version.major, 1);
    assert_int_equal(table->version.minor, 3);
    assert_null(table->previous);
    void *stream = &stream;
    assert_int_equal(table->current_stream(TARN_DLPACK_CPU, 0, &stream), 0);
    assert_null(stream);
}

static void tensors_go_out_and_come_in_again(void **state) {
    (void)state;
    tarn_tensor *tensor = new_tensor();
    object *first = make_object(NULL, tensor);
    void *second = NULL;
    tarn_dlpack_versioned *versioned = NULL;
    tarn_dlpack_tensor seen;
    assert_int_equal(table->look(first, &seen), 0);
    assert_ptr_equal(seen.data, tarn_tensor_data(tensor));
    assert_int_equal(seen.dims[1], 3);
    assert_int_equal(table->from_object(first, &versioned), 0);
    assert_int_equal(tarn_tensor_release(tensor), TARN_OK);
    release_object(first);
    assert_int_equal(table->to_object(versioned, &second), 0);
    assert_ptr_equal(tarn_tensor_data(((object *)second)->pointer), versioned->tensor.data);
    assert_int_equal(tarn_tensor_release(((object *)second)->pointer), TARN_OK);
    release_object(second);
    assert_string_equal(raised, "");
}

static void objects_without_a_tensor_raise_once(void **state) {
    (void)state;
    object *released = make_object(NULL, NULL), *strange = make_object("strange", NULL);
    tarn_dlpack_versioned *versioned = NULL;
    tarn_dlpack_tensor seen;
    assert_int_equal(table->look(released, &seen), -1);
    assert_string_equal(raised, "the tensor was released");
    raised[0] = '\0';
    assert_int_equal(table->from_object(strange, &versioned), -1);
    assert_string_equal(raised, "no such attribute");
    assert_null(versioned);
    release_object(released);
    release_object(strange);
}

static void what_cannot_be_handed_out_raises_the_librarys_sentence(void **state) {
    (void)state;
    tarn_device *sim = NULL;
    tarn_allocator *allocator = NULL;
    tarn_tensor *tensor = NULL;
    tarn_shape shape = {.rank = 0};
    assert_int_equal(tarn_device_open("sim:1GiB", &sim), TARN_OK);
    assert_int_equal(tarn_allocator_create(sim, "direct", &allocator), TARN_OK);
    assert_int_equal(tarn_tensor_empty(allocator, &shape, TARN_ELEMENT_F32, NULL, &tensor), TARN_OK);
    object *held = make_object(NULL, tensor);
    tarn_dlpack_versioned *versioned = NULL;
    tarn_dlpack_tensor seen;
    assert_int_equal(table->from_object(held, &versioned), -1);
    assert_non_null(strstr(raised, "sim:1GiB"));
    raised[0] = '\0';
    assert_int_equal(table->look(held, &seen), -1);
    assert_non_null(strstr(raised, "sim:1GiB"));
    release_object(held);
    assert_int_equal(tarn_tensor_release(tensor), TARN_OK);
    assert_int_equal(tarn_allocator_release(allocator), TARN_OK);
    assert_int_equal(tarn_device_release(sim), TARN_OK);
}

static void a_structure_that_becomes_no_object_is_returned_all_the_same(void **state) {
    (void)state;
    tarn_tensor *tensor = new_tensor();
    tarn_dlpack_versioned *versioned = NULL;
    void *made = NULL;
    assert_int_equal(tarn_tensor_to_dlpack_versioned(tensor, 0, &versioned), TARN_OK);
    calls_fail = 1;
    assert_int_equal(table->to_object(versioned, &made), -1);
    assert_string_equal(raised, "no memory");
    raised[0] = '\0';
    assert_int_equal(tarn_tensor_to_dlpack_versioned(tensor, 0, &versioned), TARN_OK);
    versioned->version.major = 2;
    assert_int_equal(table->to_object(versioned, &made), -1);
    assert_non_null(strstr(raised, "version 2."));
    assert_null(made);
    assert_int_equal(tarn_tensor_release(tensor), TARN_OK);
}

static void keep_error(void *context, const char *exception, const char *sentence) {
    snprintf(context, 200, "%s: %s", exception, sentence);
}

static void others_get_tensors_of_the_device_they_name(void **state) {
    (void)state;
    char error[200] = "";
    int64_t dims[] = {4, 5};
    tarn_dlpack_tensor prototype = {
        .device = {TARN_DLPACK_CPU, 0}, .rank = 2, .type = {TARN_DLPACK_FLOAT, 64, 1}, .dims = dims};
    for (int i = 0; i < 2; i++) {
        tarn_dlpack_versioned *versioned = NULL;
        assert_int_equal(table->allocate(&prototype, &versioned, error, keep_error), 0);
        assert_int_equal(versioned->tensor.dims[1], 5);
        memset(versioned->tensor.data, 0, 4 * 5 * sizeof(double));
        versioned->deleter(versioned);
    }
    assert_string_equal(error, "");
    tarn_dlpack_versioned *versioned = NULL;
    prototype.type.bits = 128;
    assert_int_equal(table->allocate(&prototype, &versioned, error, keep_error), -1);
    assert_non_null(strstr(error, "BufferError: DLPack's type"));
    prototype.type.bits = 8;
    prototype.type.sort = TARN_DLPACK_INTEGER;
    dims[0] = (int64_t)1 << 57;
    assert_int_equal(table->allocate(&prototype, &versioned, error, keep_error), -1);
    assert_non_null(strstr(error, "MemoryError: "));
    assert_null(versioned);
}

static void capsules_that_nobody_took_are_emptied(void **state) {
    (void)state;
    tarn_tensor *tensor = new_tensor();
    tarn_dlpack_managed *managed = NULL;
    tarn_dlpack_versioned *versioned = NULL;
    assert_int_equal(tarn_tensor_to_dlpack(tensor, &managed), TARN_OK);
    assert_int_equal(tarn_tensor_to_dlpack_versioned(tensor, 0, &versioned), TARN_OK);
    assert_int_equal(tarn_tensor_release(tensor), TARN_OK);
    object *first = make_object("used_dltensor", managed), *second = make_object("dltensor_versioned", versioned);
    tarn_python_end_capsule(first);
    first->name = "dltensor";
    tarn_python_end_capsule(first);
    tarn_python_end_capsule(second);
    second->name = "used_dltensor_versioned";
    tarn_python_end_capsule(second);
    release_object(first);
    release_object(second);
}

static void half_a_python_is_refused(void **state) {
    (void)state;
    const tarn_dlpack_exchange *other = NULL;
    tarn_python half = python;
    half.error_set = NULL;
    assert_int_equal(tarn_python_attach(&half, &other), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_python_attach(NULL, &other), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_python_attach(&python, NULL), TARN_INVALID_ARGUMENT);
    assert_null(other);
    assert_int_equal(tarn_python_attach(&python, &other), TARN_OK);
    assert_ptr_equal(other, table);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_without_errors, end_without_objects)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_table_is_of_the_version_that_it_is_written_for),
        TEST(tensors_go_out_and_come_in_again),
        TEST(objects_without_a_tensor_raise_once),
        TEST(what_cannot_be_handed_out_raises_the_librarys_sentence),
        TEST(a_structure_that_becomes_no_object_is_returned_all_the_same),
        TEST(others_get_tensors_of_the_device_they_name),
        TEST(capsules_that_nobody_took_are_emptied),
        TEST(half_a_python_is_refused),
    };
    return cmocka_run_group_tests(tests, attach, detach);
}
