/* CLBlast: what it is given, what becomes of its failures, and what is said where it is not there. The library is one that only notes its calls; the real one,
 * whose kernels take drivers long to compile, computes one product where it is installed. */
#include "device.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "backends/opencl/opencl_clblast_library.h"
#include "bench.h"

/* Where the header is installed: the compiler compares it with the declarations here. */
#if __has_include(<clblast_c.h>)
#include <clblast_c.h>
#define HAS_HEADER 1
#define EQUAL(theirs, ours) _Static_assert((int)(theirs) == (int)(ours), #ours);
EQUAL(CLBlastLayoutRowMajor, CLBLAST_ROW_MAJOR)
EQUAL(CLBlastTransposeNo, CLBLAST_NOT_TRANSPOSED)
EQUAL(CLBlastTransposeYes, CLBLAST_TRANSPOSED)
EQUAL(CLBlastInsufficientMemoryTemp, CLBLAST_NO_MEMORY)
EQUAL(CLBlastNoDoublePrecision, CLBLAST_NO_F64)
EQUAL(sizeof(CLBlastStatusCode), sizeof(int))
EQUAL(sizeof(CLBlastLayout), sizeof(unsigned))
#define COMPARE(name, parameters) _Static_assert(sizeof(((clblast_library *)0)->name = (name)) != 0, #name);
CLBLAST_FUNCTIONS(COMPARE)
#endif

static const char *counting_library(void) {
    static char path[4096];
    const char *build = getenv("TARN_BUILD_DIR");
    snprintf(path, sizeof path, "%s/tests/plugins/libclblast-counting.so", build != NULL ? build : ".");
    return path;
}

static void *find(const char *name) {
    void *library = dlopen(counting_library(), RTLD_NOW | RTLD_LOCAL);
    void *found = library != NULL ? dlsym(library, name) : NULL;
    if (found == NULL) {
        print_error("%s\n", dlerror());
        _exit(99);
    }
    return found;
}

#define NUMBER(name) (*(size_t *)find("clblast_" name))
#define NUMBERS(name) ((size_t *)find("clblast_" name))

/* Zeros: what they are multiplied to does not matter here. */
static tarn_tensor *zeros(tarn_allocator *allocator, const tarn_shape *shape, tarn_element_type type) {
    tarn_tensor *made = NULL;
    assert_ok(tarn_tensor_zeros(allocator, shape, type, NULL, &made));
    return made;
}

typedef struct products {
    tarn_device *device;
    tarn_allocator *allocator;
} products;

static products open_products(void) {
    products opened;
    setenv("TARN_CLBLAST", counting_library(), 1);
    assert_ok(tarn_device_open("opencl:0,product=clblast", &opened.device));
    assert_ok(tarn_allocator_create(opened.device, "direct", &opened.allocator));
    return opened;
}

static void close_products(const products *opened) {
    assert_ok(tarn_allocator_release(opened->allocator));
    assert_ok(tarn_device_release(opened->device));
}

static tarn_status multiply(const products *opened, const tarn_shape *a, const tarn_shape *b, tarn_element_type type,
                            bool is_transposed) {
    tarn_tensor *x = zeros(opened->allocator, a, type), *y = zeros(opened->allocator, b, type), *z = NULL;
    if (is_transposed) {
        tarn_tensor *turned;
        assert_ok(tarn_tensor_transpose(y, NULL, &turned));
        assert_ok(tarn_tensor_release(y));
        y = turned;
    }
    tarn_status status = tarn_matmul(x, y, NULL, &z);
    assert_ok(tarn_device_synchronize(opened->device));
    assert_ok(tarn_tensor_release(x));
    assert_ok(tarn_tensor_release(y));
    assert_ok(tarn_tensor_release(z));
    return status;
}

static int call_it(void *context) {
    (void)context;
    const products opened = open_products();
    assert_ok(multiply(&opened, SHAPE(5, 7), SHAPE(7, 9), TARN_ELEMENT_F32, false));
    assert_int_equal(NUMBER("calls"), 1);
    assert_memory_equal(NUMBERS("sizes"), ((const size_t[]){5, 9, 7}), 3 * sizeof(size_t));
    assert_memory_equal(NUMBERS("leading"), ((const size_t[]){7, 9, 9}), 3 * sizeof(size_t));
    assert_ok(multiply(&opened, SHAPE(5, 7), SHAPE(9, 7), TARN_ELEMENT_F64, true));
    assert_int_equal(NUMBER("calls"), 2);
    assert_memory_equal(NUMBERS("leading"), ((const size_t[]){7, 7, 9}), 3 * sizeof(size_t));
    const unsigned transposed[] = {CLBLAST_NOT_TRANSPOSED, CLBLAST_TRANSPOSED};
    assert_memory_equal(find("clblast_transposed"), transposed, sizeof transposed);
    assert_ok(multiply(&opened, SHAPE(3, 5, 7), SHAPE(3, 7, 9), TARN_ELEMENT_F32, false));
    assert_int_equal(NUMBER("calls"), 3);
    assert_int_equal(NUMBER("count"), 3);
    /* It would add halves up in halves. */
    assert_ok(multiply(&opened, SHAPE(5, 7), SHAPE(7, 9), TARN_ELEMENT_F16, false));
    assert_int_equal(NUMBER("calls"), 3);
    close_products(&opened);
    return 0;
}

static void products_are_given_to_it_as_they_lie(void **state) {
    (void)state;
    assert_int_equal(exit_of_child(call_it, NULL), 0);
}

static int fail_it(void *context) {
    (void)context;
    static const struct {
        int answer;
        tarn_status status;
    } cases[] = {{CL_MEM_OBJECT_ALLOCATION_FAILURE, TARN_OUT_OF_MEMORY},
                 {CLBLAST_NO_MEMORY, TARN_OUT_OF_MEMORY},
                 {CLBLAST_NO_F64, TARN_NOT_SUPPORTED},
                 {-2039, TARN_INTERNAL}};
    const products opened = open_products();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        *(int *)find("clblast_answer") = cases[i].answer;
        assert_fails(multiply(&opened, SHAPE(5, 7), SHAPE(7, 9), TARN_ELEMENT_F32, false), cases[i].status);
        *(int *)find("clblast_answer") = 0;
        assert_ok(multiply(&opened, SHAPE(5, 7), SHAPE(7, 9), TARN_ELEMENT_F32, false));
    }
    close_products(&opened);
    return 0;
}

static void its_failures_are_told_and_pass(void **state) {
    (void)state;
    assert_int_equal(exit_of_child(fail_it, NULL), 0);
}

static int refuse_it(void *context) {
    setenv("TARN_CLBLAST", context, 1);
    tarn_device *device;
    assert_fails(tarn_device_open("opencl:0,product=clblast", &device), TARN_NOT_SUPPORTED);
    print_message("%s\n", tarn_last_error());
    assert_sentence("CLBlast");
    assert_ok(tarn_device_open("opencl:0", &device));
    assert_ok(tarn_device_release(device));
    return 0;
}

static void a_device_says_why_it_has_none(void **state) {
    (void)state;
    static char off[] = "off", missing[] = "/no/such/library.so", other[] = "libOpenCL.so.1";
    assert_int_equal(exit_of_child(refuse_it, off), 0);
    assert_int_equal(exit_of_child(refuse_it, missing), 0);
    assert_int_equal(exit_of_child(refuse_it, other), 0);
}

enum { ROWS = 5, DEPTH = 7, COLUMNS = 9 };

/* relu(x × y + bias) of small integers, which are exact. */
static int compute(void *context) {
    float x[ROWS * DEPTH], y[DEPTH * COLUMNS], bias[COLUMNS], found[ROWS * COLUMNS];
    for (int i = 0; i < ROWS * DEPTH; i++) x[i] = (float)(i % 5 - 2);
    for (int i = 0; i < DEPTH * COLUMNS; i++) y[i] = (float)(i % 7 - 3);
    for (int i = 0; i < COLUMNS; i++) bias[i] = (float)i;
    tarn_device *device;
    tarn_allocator *allocator;
    tarn_tensor *tensors[3], *result = NULL;
    unsetenv("TARN_CLBLAST");
    assert_ok(tarn_device_open(context, &device));
    assert_ok(tarn_allocator_create(device, "caching", &allocator));
    assert_ok(tarn_tensor_from_data(allocator, SHAPE(ROWS, DEPTH), TARN_ELEMENT_F32, x, NULL, &tensors[0]));
    assert_ok(tarn_tensor_from_data(allocator, SHAPE(DEPTH, COLUMNS), TARN_ELEMENT_F32, y, NULL, &tensors[1]));
    assert_ok(tarn_tensor_from_data(allocator, SHAPE(COLUMNS), TARN_ELEMENT_F32, bias, NULL, &tensors[2]));
    assert_ok(tarn_linear(tensors[0], tensors[1], tensors[2], TARN_OPERATION_RELU, NULL, &result));
    assert_ok(tarn_tensor_read(result, NULL, found, sizeof found));
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        float wanted = bias[i % COLUMNS];
        for (int d = 0; d < DEPTH; d++) wanted += x[i / COLUMNS * DEPTH + d] * y[d * COLUMNS + i % COLUMNS];
        if (found[i] != (wanted > 0 ? wanted : 0)) return 2;
    }
    for (int i = 0; i < 3; i++) assert_ok(tarn_tensor_release(tensors[i]));
    assert_ok(tarn_tensor_release(result));
    assert_ok(tarn_allocator_release(allocator));
    assert_ok(tarn_device_release(device));
    return 0;
}

static void the_real_one_computes_in_both_kinds_of_memory(void **state) {
    (void)state;
    static char shared[] = "opencl:0,product=clblast,memory=svm", buffer[] = "opencl:0,memory=buffer,product=clblast";
    if (dlopen("libclblast.so.1", RTLD_NOW | RTLD_LOCAL) == NULL) {
        print_message("skipped: %s\n", dlerror());
        skip();
    }
    assert_int_equal(exit_of_child(compute, shared), 0);
    assert_int_equal(exit_of_child(compute, buffer), 0);
}

static void declarations_are_those_of_its_header(void **state) {
    (void)state;
#ifdef HAS_HEADER
    print_message("compared when this program was compiled\n");
#else
    print_message("skipped: clblast_c.h was not there when this program was compiled\n");
    skip();
#endif
}

/* In a process of its own, since a child must not find the backend started. */
static int look(void *context) {
    (void)context;
    return has_opencl() ? 0 : EXIT_SKIPPED;
}

int main(void) {
    if (exit_of_child(look, NULL) != 0) return EXIT_SKIPPED;
    if (access(counting_library(), R_OK) != 0) {
        print_message("skipped: there is no %s\n", counting_library());
        return EXIT_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_given_to_it_as_they_lie),
        cmocka_unit_test(its_failures_are_told_and_pass),
        cmocka_unit_test(a_device_says_why_it_has_none),
        cmocka_unit_test(the_real_one_computes_in_both_kinds_of_memory),
        cmocka_unit_test(declarations_are_those_of_its_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
