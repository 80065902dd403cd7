/* DLPack both ways: nothing is copied, each deleter is called once, and what others got wrong is refused with the structure left to
 * its owner. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <tarn/tarn.h>

#include "base/memory.h"
#include "fake.h"

#define assert_ok(call) assert_int_equal((call), TARN_OK)
#define assert_refused(call, status, words)                    \
    do {                                                       \
        assert_int_equal((call), (status));                    \
        if (strstr(tarn_last_error(), (words)) == NULL) {      \
            fail_msg("\"%s\" lacks words", tarn_last_error()); \
        }                                                      \
    } while (0)

static tarn_device *cpu;
static tarn_allocator *caching;

static int open_cpu(void **state) {
    (void)state;
    if (tarn_device_open("cpu", &cpu) != TARN_OK) return -1;
    return tarn_allocator_create(cpu, "caching", &caching) == TARN_OK ? 0 : -1;
}

static int close_cpu(void **state) {
    (void)state;
    return tarn_allocator_release(caching) == TARN_OK && tarn_device_release(cpu) == TARN_OK ? 0 : -1;
}

static size_t live_buffers(void) {
    tarn_memory_stats stats = {.struct_size = sizeof stats};
    assert_ok(tarn_allocator_stats(caching, &stats));
    return stats.blocks.current;
}

static tarn_tensor *empty_tensor(tarn_allocator *allocator, tarn_element_type type) {
    tarn_tensor *tensor = NULL;
    tarn_shape shape;
    assert_ok(tarn_shape_make((const int64_t[]){2, 3}, 2, &shape));
    assert_ok(tarn_tensor_empty(allocator, &shape, type, NULL, &tensor));
    return tensor;
}

/* Another library, which lends six floats. */
typedef struct lender {
    float elements[8];
    int64_t dims[2], strides[2];
    tarn_dlpack_managed managed;
    tarn_dlpack_versioned versioned;
    int returned;
} lender;

static void count_managed(tarn_dlpack_managed *self) { ((lender *)self->context)->returned++; }
static void count_versioned(tarn_dlpack_versioned *self) { ((lender *)self->context)->returned++; }

static void prepare(lender *other) {
    *other = (lender){.elements = {0, 1, 2, 3, 4, 5, 6, 7}, .dims = {2, 3}, .strides = {3, 1}};
    tarn_dlpack_tensor tensor = {
        .data = other->elements,
        .device = {TARN_DLPACK_CPU, 0},
        .rank = 2,
        .type = {TARN_DLPACK_FLOAT, 32, 1},
        .dims = other->dims,
        .strides = other->strides,
    };
    other->managed = (tarn_dlpack_managed){.tensor = tensor, .context = other, .deleter = count_managed};
    other->versioned =
        (tarn_dlpack_versioned){.version = {1, 0}, .context = other, .deleter = count_versioned, .tensor = tensor};
}

/* Takes either form in. */
static tarn_status take(lender *other, int is_versioned, tarn_tensor **out_tensor) {
    other->versioned.tensor = other->managed.tensor;
    return is_versioned ? tarn_tensor_from_dlpack_versioned(&other->versioned, out_tensor)
                        : tarn_tensor_from_dlpack(&other->managed, out_tensor);
}

/* Handing out. */

static void an_export_shows_the_tensors_own_memory(void **state) {
    (void)state;
    const struct {
        tarn_element_type type;
        uint8_t sort, bits;
    } wanted[] = {{TARN_ELEMENT_F32, 2, 32}, {TARN_ELEMENT_F16, 2, 16}, {TARN_ELEMENT_BF16, 4, 16},
                  {TARN_ELEMENT_F64, 2, 64}, {TARN_ELEMENT_I8, 0, 8},   {TARN_ELEMENT_U8, 1, 8},
                  {TARN_ELEMENT_I16, 0, 16}, {TARN_ELEMENT_I32, 0, 32}, {TARN_ELEMENT_I64, 0, 64},
                  {TARN_ELEMENT_BOOL, 6, 8}};
    assert_int_equal(sizeof wanted / sizeof *wanted, TARN_ELEMENT_TYPE_COUNT);
    for (size_t i = 0; i < TARN_ELEMENT_TYPE_COUNT; i++) {
        tarn_tensor *tensor = empty_tensor(caching, wanted[i].type);
        tarn_dlpack_managed *managed = NULL;
        tarn_dlpack_versioned *versioned = NULL;
        assert_ok(tarn_tensor_to_dlpack(tensor, &managed));
        assert_ok(tarn_tensor_to_dlpack_versioned(tensor, 0, &versioned));
        assert_int_equal(versioned->version.major, 1);
        assert_int_equal(versioned->flags, 0);
        const tarn_dlpack_tensor *forms[] = {&managed->tensor, &versioned->tensor};
        for (size_t k = 0; k < 2; k++) {
            assert_ptr_equal(forms[k]->data, tarn_tensor_data(tensor));
            assert_int_equal(forms[k]->byte_offset, 0);
            assert_int_equal(forms[k]->device.type, TARN_DLPACK_CPU);
            assert_int_equal(forms[k]->device.number, 0);
            assert_int_equal(forms[k]->type.sort, wanted[i].sort);
            assert_int_equal(forms[k]->type.bits, wanted[i].bits);
            assert_int_equal(forms[k]->type.lanes, 1);
            assert_int_equal(forms[k]->rank, 2);
            assert_int_equal(forms[k]->dims[1], 3);
            assert_int_equal(forms[k]->strides[0], 3);
        }
        assert_ok(tarn_tensor_release(tensor));
        managed->deleter(managed);
        versioned->deleter(versioned);
    }
    assert_int_equal(live_buffers(), 0);
}

static void the_memory_lives_until_the_last_deleter(void **state) {
    (void)state;
    tarn_tensor *tensor = empty_tensor(caching, TARN_ELEMENT_F32);
    tarn_dlpack_versioned *first = NULL, *second = NULL;
    assert_ok(tarn_tensor_to_dlpack_versioned(tensor, 0, &first));
    assert_ok(tarn_tensor_to_dlpack_versioned(tensor, 1, &second));
    assert_int_equal(second->flags, TARN_DLPACK_IS_COPIED);
    assert_ok(tarn_tensor_release(tensor));
    first->deleter(first);
    assert_int_equal(live_buffers(), 1);
    memset(second->tensor.data, 1, 24);
    second->deleter(second);
    assert_int_equal(live_buffers(), 0);
}

static void views_begin_where_their_first_element_is(void **state) {
    (void)state;
    tarn_tensor *tensor = empty_tensor(caching, TARN_ELEMENT_F32), *view = NULL;
    tarn_dlpack_managed *managed = NULL;
    assert_ok(tarn_tensor_slice(tensor, 1, 2, -4, -1, &view));
    assert_ok(tarn_tensor_to_dlpack(view, &managed));
    assert_ptr_equal(managed->tensor.data, (char *)tarn_tensor_data(tensor) + 2 * sizeof(float));
    assert_int_equal(managed->tensor.byte_offset, 0);
    assert_int_equal(managed->tensor.strides[1], -1);
    assert_ok(tarn_tensor_release(tensor));
    assert_ok(tarn_tensor_release(view));
    managed->deleter(managed);
    assert_int_equal(live_buffers(), 0);
}

static void what_is_read_only_says_so_or_is_not_handed_out(void **state) {
    (void)state;
    tarn_tensor *tensor = empty_tensor(caching, TARN_ELEMENT_F32), *spread = NULL;
    tarn_dlpack_managed *managed = NULL;
    tarn_dlpack_versioned *versioned = NULL;
    tarn_shape shape;
    assert_ok(tarn_shape_make((const int64_t[]){4, 2, 3}, 3, &shape));
    assert_ok(tarn_tensor_broadcast_to(tensor, &shape, &spread));
    assert_refused(tarn_tensor_to_dlpack(spread, &managed), TARN_NOT_SUPPORTED, "read-only");
    assert_null(managed);
    assert_ok(tarn_tensor_to_dlpack_versioned(spread, 0, &versioned));
    assert_int_equal(versioned->flags, TARN_DLPACK_READ_ONLY);
    versioned->deleter(versioned);
    assert_ok(tarn_tensor_release(spread));
    assert_ok(tarn_tensor_release(tensor));
}

static void a_tensor_without_elements_has_no_data(void **state) {
    (void)state;
    tarn_tensor *tensor = NULL, *back = NULL;
    tarn_shape shape;
    tarn_dlpack_managed *managed = NULL;
    assert_ok(tarn_shape_make((const int64_t[]){4, 0}, 2, &shape));
    assert_ok(tarn_tensor_empty(caching, &shape, TARN_ELEMENT_I64, NULL, &tensor));
    assert_ok(tarn_tensor_to_dlpack(tensor, &managed));
    assert_null(managed->tensor.data);
    assert_ok(tarn_tensor_from_dlpack(managed, &back));
    assert_true(tarn_shape_equals(tarn_tensor_shape(back), &shape));
    assert_ok(tarn_tensor_release(back));
    assert_ok(tarn_tensor_release(tensor));
}

/* Taking in. */

static void an_import_sees_the_lenders_memory_and_returns_it_once(void **state) {
    (void)state;
    for (int is_versioned = 0; is_versioned < 2; is_versioned++) {
        lender other;
        tarn_tensor *tensor = NULL, *view = NULL;
        prepare(&other);
        assert_ok(take(&other, is_versioned, &tensor));
        assert_ptr_equal(tarn_tensor_data(tensor), other.elements);
        assert_ptr_equal(tarn_tensor_device(tensor), cpu);
        assert_null(tarn_tensor_allocator(tensor));
        assert_int_equal(tarn_tensor_type(tensor), TARN_ELEMENT_F32);
        assert_int_equal(tarn_tensor_elements(tensor), 6);
        assert_false(tarn_tensor_is_read_only(tensor));
        assert_ok(tarn_tensor_transpose(tensor, NULL, &view));
        assert_ok(tarn_tensor_release(tensor));
        assert_int_equal(other.returned, 0);
        assert_ok(tarn_tensor_release(view));
        assert_int_equal(other.returned, 1);
    }
}

static void strides_may_be_missing_or_run_back_and_offsets_are_folded_in(void **state) {
    (void)state;
    lender other;
    tarn_tensor *tensor = NULL;
    prepare(&other);
    other.managed.tensor.strides = NULL;
    other.managed.tensor.byte_offset = 2 * sizeof(float);
    assert_ok(take(&other, 1, &tensor));
    assert_ptr_equal(tarn_tensor_data(tensor), &other.elements[2]);
    assert_int_equal(tarn_tensor_strides(tensor)[0], 3);
    assert_true(tarn_tensor_is_contiguous(tensor));
    assert_ok(tarn_tensor_release(tensor));

    prepare(&other);
    other.strides[0] = -3, other.strides[1] = -1;
    other.managed.tensor.byte_offset = 5 * sizeof(float);
    assert_ok(take(&other, 0, &tensor));
    assert_ptr_equal(tarn_tensor_data(tensor), &other.elements[5]);
    assert_int_equal(tarn_tensor_strides(tensor)[0], -3);
    assert_int_equal(tarn_tensor_strides(tensor)[1], -1);
    assert_false(tarn_tensor_is_contiguous(tensor));
    assert_ok(tarn_tensor_release(tensor));
    assert_int_equal(other.returned, 1);
}

static void the_read_only_flag_is_kept_on_the_way_through(void **state) {
    (void)state;
    lender other;
    tarn_tensor *tensor = NULL;
    tarn_dlpack_versioned *again = NULL;
    prepare(&other);
    other.versioned.flags = TARN_DLPACK_READ_ONLY | TARN_DLPACK_IS_COPIED | 64;
    other.versioned.version.minor = 99;
    assert_ok(take(&other, 1, &tensor));
    assert_true(tarn_tensor_is_read_only(tensor));
    assert_int_equal(tarn_tensor_fill(tensor, tarn_scalar_float(1), NULL), TARN_INVALID_ARGUMENT);
    assert_ok(tarn_tensor_to_dlpack_versioned(tensor, 0, &again));
    assert_int_equal(again->flags, TARN_DLPACK_READ_ONLY);
    assert_ok(tarn_tensor_release(tensor));
    assert_int_equal(other.returned, 0);
    again->deleter(again);
    assert_int_equal(other.returned, 1);
}

static void a_missing_deleter_is_nobodys_fault(void **state) {
    (void)state;
    lender other;
    tarn_tensor *tensor = NULL;
    prepare(&other);
    other.managed.deleter = NULL;
    other.versioned.deleter = NULL;
    for (int is_versioned = 0; is_versioned < 2; is_versioned++) {
        assert_ok(take(&other, is_versioned, &tensor));
        assert_ok(tarn_tensor_release(tensor));
    }
}

/* Each changes a sound structure. */
static void without_data(lender *other) { other->managed.tensor.data = NULL; }
static void with_an_offset_beyond_memory(lender *other) { other->managed.tensor.byte_offset = UINT64_MAX; }
static void with_odd_data(lender *other) { other->managed.tensor.byte_offset = 1; }
static void with_negative_rank(lender *other) { other->managed.tensor.rank = -1; }
static void with_too_many_dims(lender *other) { other->managed.tensor.rank = TARN_MAXIMUM_RANK + 1; }
static void without_dims(lender *other) { other->managed.tensor.dims = NULL; }
static void with_a_negative_dim(lender *other) { other->dims[0] = -2; }
static void with_huge_dims(lender *other) { other->dims[0] = other->dims[1] = (int64_t)1 << 62; }
static void with_huge_strides(lender *other) { other->strides[0] = INT64_MAX / 2; }
static void with_strides_before_all_memory(lender *other) { other->strides[0] = INT64_MIN; }
static void with_lanes(lender *other) { other->managed.tensor.type.lanes = 4; }
static void without_lanes(lender *other) { other->managed.tensor.type.lanes = 0; }
static void of_complex_numbers(lender *other) {
    other->managed.tensor.type = (tarn_dlpack_type){TARN_DLPACK_COMPLEX, 64, 1};
}
static void of_u16(lender *other) { other->managed.tensor.type = (tarn_dlpack_type){TARN_DLPACK_UNSIGNED, 16, 1}; }
static void of_an_unknown_type(lender *other) { other->managed.tensor.type = (tarn_dlpack_type){200, 32, 1}; }
static void on_opencl(lender *other) { other->managed.tensor.device.type = TARN_DLPACK_OPENCL; }
static void on_metal(lender *other) { other->managed.tensor.device.type = TARN_DLPACK_METAL; }
static void on_an_unknown_device(lender *other) { other->managed.tensor.device.type = -7; }

static void hostile_structures_are_refused_and_stay_their_owners(void **state) {
    (void)state;
    const struct {
        void (*spoil)(lender *);
        tarn_status status;
        const char *words;
    } cases[] = {
        {without_data, TARN_INVALID_ARGUMENT, "no data"},
        {with_an_offset_beyond_memory, TARN_INVALID_ARGUMENT, "byte offset"},
        {with_odd_data, TARN_INVALID_ARGUMENT, "aligned"},
        {with_negative_rank, TARN_INVALID_ARGUMENT, "-1 dimensions"},
        {with_too_many_dims, TARN_INVALID_ARGUMENT, "9 dimensions"},
        {without_dims, TARN_INVALID_ARGUMENT, "does not say which"},
        {with_a_negative_dim, TARN_INVALID_ARGUMENT, "below 0"},
        {with_huge_dims, TARN_INVALID_ARGUMENT, "counted"},
        {with_huge_strides, TARN_INVALID_ARGUMENT, "reach"},
        {with_strides_before_all_memory, TARN_INVALID_ARGUMENT, "reach"},
        {with_lanes, TARN_NOT_SUPPORTED, "4 lanes"},
        {without_lanes, TARN_NOT_SUPPORTED, "0 lanes"},
        {of_complex_numbers, TARN_NOT_SUPPORTED, "sort 5 with 64 bits"},
        {of_u16, TARN_NOT_SUPPORTED, "sort 1 with 16 bits"},
        {of_an_unknown_type, TARN_NOT_SUPPORTED, "sort 200"},
        {on_opencl, TARN_NOT_SUPPORTED, "handle"},
        {on_metal, TARN_NOT_SUPPORTED, "type 8"},
        {on_an_unknown_device, TARN_NOT_SUPPORTED, "type -7"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int is_versioned = 0; is_versioned < 2; is_versioned++) {
            lender other;
            tarn_tensor *tensor = NULL;
            prepare(&other);
            cases[i].spoil(&other);
            assert_refused(take(&other, is_versioned, &tensor), cases[i].status, cases[i].words);
            assert_null(tensor);
            assert_int_equal(other.returned, 0);
        }
    }
}

static void of_another_major_version_nothing_is_read(void **state) {
    (void)state;
    const uint32_t versions[] = {0, 2, UINT32_MAX};
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        lender other;
        tarn_tensor *tensor = NULL;
        prepare(&other);
        other.versioned.version.major = versions[i];
        memset(&other.versioned.tensor, 0xCA, sizeof other.versioned.tensor);
        assert_refused(tarn_tensor_from_dlpack_versioned(&other.versioned, &tensor), TARN_NOT_SUPPORTED, "version");
        assert_null(tensor);
        assert_int_equal(other.returned, 0);
    }
}

static void null_is_refused_everywhere(void **state) {
    (void)state;
    lender other;
    prepare(&other);
    tarn_tensor *tensor = empty_tensor(caching, TARN_ELEMENT_F32), *taken = NULL;
    tarn_dlpack_managed *managed = NULL;
    tarn_dlpack_versioned *versioned = NULL;
    tarn_dlpack_tensor described;
    assert_refused(tarn_tensor_to_dlpack(NULL, &managed), TARN_INVALID_ARGUMENT, "NULL");
    assert_refused(tarn_tensor_to_dlpack(tensor, NULL), TARN_INVALID_ARGUMENT, "NULL");
    assert_refused(tarn_tensor_to_dlpack_versioned(NULL, 0, &versioned), TARN_INVALID_ARGUMENT, "NULL");
    assert_refused(tarn_tensor_to_dlpack_versioned(tensor, 0, NULL), TARN_INVALID_ARGUMENT, "NULL");
    assert_refused(tarn_tensor_as_dlpack(NULL, &described), TARN_INVALID_ARGUMENT, "NULL");
    assert_refused(tarn_tensor_as_dlpack(tensor, NULL), TARN_INVALID_ARGUMENT, "NULL");
    assert_refused(tarn_tensor_from_dlpack(NULL, &taken), TARN_INVALID_ARGUMENT, "NULL");
    assert_refused(tarn_tensor_from_dlpack(&other.managed, NULL), TARN_INVALID_ARGUMENT, "NULL");
    assert_refused(tarn_tensor_from_dlpack_versioned(NULL, &taken), TARN_INVALID_ARGUMENT, "NULL");
    assert_refused(tarn_tensor_from_dlpack_versioned(&other.versioned, NULL), TARN_INVALID_ARGUMENT, "NULL");
    assert_int_equal(other.returned, 0);
    assert_ok(tarn_tensor_release(tensor));
}

static void every_failing_request_for_host_memory_leaves_things_as_they_were(void **state) {
    (void)state;
    lender other;
    prepare(&other);
    tarn_tensor *tensor = empty_tensor(caching, TARN_ELEMENT_F32), *taken = NULL;
    for (int way = 0; way < 4; way++) {
        tarn_dlpack_managed *managed = NULL;
        tarn_dlpack_versioned *versioned = NULL;
        tarn_status status = TARN_OUT_OF_MEMORY;
        unsigned long failures = 0;
        for (unsigned long k = 1; status != TARN_OK; k++) {
            base_memory_fail_at(k, 0);
            status = way == 0   ? tarn_tensor_to_dlpack(tensor, &managed)
                     : way == 1 ? tarn_tensor_to_dlpack_versioned(tensor, 0, &versioned)
                                : take(&other, way - 2, &taken);
            base_memory_fail_at(0, 0);
            if (status == TARN_OK) break;
            assert_int_equal(status, TARN_OUT_OF_MEMORY);
            assert_true(managed == NULL && versioned == NULL && taken == NULL);
            assert_int_equal(other.returned, 0);
            failures++;
        }
        assert_true(failures > 0);
        if (managed != NULL) managed->deleter(managed);
        if (versioned != NULL) versioned->deleter(versioned);
        assert_ok(tarn_tensor_release(taken));
        assert_int_equal(other.returned, way >= 2);
        other.returned = 0;
        taken = NULL;
    }
    assert_ok(tarn_tensor_release(tensor));
    assert_int_equal(live_buffers(), 0);
}

/* Devices: the fake driver under other names. */

static tarn_status open_by_number(const char *arguments, tarn_backend_device **out_device) {
    (void)arguments;
    return fake_driver.device_open("1GiB", out_device);
}

static void register_as(tarn_backend *backend, const char *name, tarn_device_type type) {
    *backend = fake_driver;
    backend->name = name;
    backend->type = type;
    backend->device_open = open_by_number;
    assert_ok(tarn_backend_register(backend));
}

static void devices_go_by_type_and_number(void **state) {
    (void)state;
    static tarn_backend cuda, rocm;
    register_as(&cuda, "green", TARN_DEVICE_CUDA);
    register_as(&rocm, "red", TARN_DEVICE_ROCM);
    const struct {
        const char *device;
        int32_t type, number;
    } cases[] = {{"green:1", TARN_DLPACK_CUDA, 1}, {"red:0", TARN_DLPACK_ROCM, 0}, {"red", TARN_DLPACK_ROCM, 0}};
    /* Where there is an NVIDIA GPU, its backend is the one that DLPack's numbers mean. */
    tarn_backend_info real = {.struct_size = sizeof real};
    assert_ok(tarn_backend_find("cuda", &real));
    for (size_t i = real.is_available ? 1 : 0; i < sizeof cases / sizeof *cases; i++) {
        tarn_device *device = NULL;
        tarn_allocator *allocator = NULL;
        assert_ok(tarn_device_open(cases[i].device, &device));
        assert_ok(tarn_allocator_create(device, "direct", &allocator));
        tarn_tensor *tensor = empty_tensor(allocator, TARN_ELEMENT_F32), *taken = NULL;
        tarn_dlpack_versioned *versioned = NULL;
        assert_ok(tarn_tensor_to_dlpack_versioned(tensor, 0, &versioned));
        assert_int_equal(versioned->tensor.device.type, cases[i].type);
        assert_int_equal(versioned->tensor.device.number, cases[i].number);
        assert_ok(tarn_tensor_from_dlpack_versioned(versioned, &taken));
        if (strchr(cases[i].device, ':') != NULL) assert_ptr_equal(tarn_tensor_device(taken), device);
        assert_ptr_equal(tarn_tensor_data(taken), tarn_tensor_data(tensor));
        assert_ok(tarn_tensor_release(taken));
        assert_ok(tarn_tensor_release(tensor));
        assert_ok(tarn_allocator_release(allocator));
        assert_ok(tarn_device_release(device));
    }
    const char *first;
    assert_int_equal(fake_violations(&first), 0);
}

static void pinned_host_memory_of_others_is_on_the_cpu(void **state) {
    (void)state;
    const int32_t pinned[] = {TARN_DLPACK_CUDA_HOST, TARN_DLPACK_ROCM_HOST};
    for (size_t i = 0; i < 2; i++) {
        lender other;
        tarn_tensor *tensor = NULL;
        prepare(&other);
        other.managed.tensor.device = (tarn_dlpack_device){pinned[i], 1};
        assert_ok(take(&other, 1, &tensor));
        assert_ptr_equal(tarn_tensor_device(tensor), cpu);
        assert_ok(tarn_tensor_release(tensor));
    }
}

static void devices_without_a_number_in_dlpack_are_refused(void **state) {
    (void)state;
    tarn_device *sim = NULL;
    tarn_allocator *allocator = NULL;
    assert_ok(tarn_device_open("sim:1GiB", &sim));
    assert_ok(tarn_allocator_create(sim, "direct", &allocator));
    tarn_tensor *tensor = empty_tensor(allocator, TARN_ELEMENT_F32);
    tarn_dlpack_managed *managed = NULL;
    assert_refused(tarn_tensor_to_dlpack(tensor, &managed), TARN_NOT_SUPPORTED, "sim:1GiB");
    assert_null(managed);
    assert_ok(tarn_tensor_release(tensor));
    assert_ok(tarn_allocator_release(allocator));
    assert_ok(tarn_device_release(sim));

    static tarn_backend opencl, strange;
    register_as(&opencl, "opencl", TARN_DEVICE_OPENCL);
    register_as(&strange, "blue", TARN_DEVICE_CUDA);
    const struct { const char *device, *words; } cases[] = {{"opencl:0", "handle"}, {"blue:sky", "blue:sky"}};
    for (size_t i = 0; i < 2; i++) {
        tarn_device *device = NULL;
        assert_ok(tarn_device_open(cases[i].device, &device));
        assert_ok(tarn_allocator_create(device, "direct", &allocator));
        tensor = empty_tensor(allocator, TARN_ELEMENT_F32);
        assert_refused(tarn_tensor_to_dlpack(tensor, &managed), TARN_NOT_SUPPORTED, cases[i].words);
        assert_ok(tarn_tensor_release(tensor));
        assert_ok(tarn_allocator_release(allocator));
        assert_ok(tarn_device_release(device));
    }
}

int main(void) {
    fake_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_export_shows_the_tensors_own_memory),
        cmocka_unit_test(the_memory_lives_until_the_last_deleter),
        cmocka_unit_test(views_begin_where_their_first_element_is),
        cmocka_unit_test(what_is_read_only_says_so_or_is_not_handed_out),
        cmocka_unit_test(a_tensor_without_elements_has_no_data),
        cmocka_unit_test(an_import_sees_the_lenders_memory_and_returns_it_once),
        cmocka_unit_test(strides_may_be_missing_or_run_back_and_offsets_are_folded_in),
        cmocka_unit_test(the_read_only_flag_is_kept_on_the_way_through),
        cmocka_unit_test(a_missing_deleter_is_nobodys_fault),
        cmocka_unit_test(hostile_structures_are_refused_and_stay_their_owners),
        cmocka_unit_test(of_another_major_version_nothing_is_read),
        cmocka_unit_test(null_is_refused_everywhere),
        cmocka_unit_test(every_failing_request_for_host_memory_leaves_things_as_they_were),
        cmocka_unit_test(devices_go_by_type_and_number),
        cmocka_unit_test(pinned_host_memory_of_others_is_on_the_cpu),
        cmocka_unit_test(devices_without_a_number_in_dlpack_are_refused),
    };
    return cmocka_run_group_tests(tests, open_cpu, close_cpu);
}
