/* Copies between strides without a cast: every element arrives as it is, whatever its bits, and nothing beside the places of the result is
 * written. */
#include <stdlib.h>
#include <string.h>

#include "backends/cpu/compute/kernels.h"
#include "programs.h"

#define GUARD ((size_t)128)
#define GUARD_BYTE 0xa5

/* Dimensions of the result, and how the source has them: order[i] is the dimension of the result that is the source's i-th. */
typedef struct form {
    uint32_t rank;
    int64_t dims[4];
    uint32_t order[4];
    int64_t gap; /* elements between the source's rows */
    int64_t result_gap;
    int is_backwards;  /* the source's last dimension runs back */
    uint32_t repeated; /* bit i: one element of the source serves all along that dimension */
} form;

static uint64_t state_of_noise = 1;

static unsigned char noise(void) {
    state_of_noise = state_of_noise * 6364136223846793005u + 1442695040888963407u;
    return (unsigned char)(state_of_noise >> 56);
}

static void *allocate(size_t size) {
    void *memory = malloc(size);
    assert_non_null(memory);
    return memory;
}

/* Strides for the dimensions in this order, the last without gaps. Returns how many elements they span. */
static int64_t lay_out(const form *shape, const uint32_t *order, int64_t gap, int64_t *out_strides) {
    int64_t stride = 1;
    for (uint32_t i = shape->rank; i-- > 0;) {
        out_strides[order[i]] = stride;
        stride = stride * shape->dims[order[i]] + (i + 1 == shape->rank ? gap : 0);
    }
    return stride;
}

static size_t element_offset(const tarn_operand *operand, size_t number) {
    int64_t offset = 0;
    for (uint32_t i = operand->rank; i-- > 0;) {
        offset += (int64_t)(number % (size_t)operand->dims[i]) * operand->strides[i];
        number /= (size_t)operand->dims[i];
    }
    return (size_t)offset;
}

static void try(const form *shape, tarn_element_type type) {
    static const uint32_t in_order[] = {0, 1, 2, 3};
    size_t size = tarn_element_size(type), count = 1;
    test_program program;
    program_make(&program, TARN_OPERATION_COPY, type, 0, NULL, NULL, NULL);
    tarn_operand *to = &program.operands[0], *from = &program.operands[1];
    to->rank = from->rank = shape->rank;
    memcpy(to->dims, shape->dims, sizeof shape->dims);
    memcpy(from->dims, shape->dims, sizeof shape->dims);
    for (uint32_t i = 0; i < shape->rank; i++) count *= (size_t)shape->dims[i];
    size_t to_size = (size_t)lay_out(shape, in_order, shape->result_gap, to->strides) * size;
    size_t from_size = (size_t)lay_out(shape, shape->order, shape->gap, from->strides) * size;
    unsigned char *source = allocate(from_size), *result = allocate(to_size + 2 * GUARD);
    unsigned char *wanted = allocate(to_size + 2 * GUARD);
    for (size_t i = 0; i < from_size; i++) source[i] = noise();
    memset(wanted, GUARD_BYTE, to_size + 2 * GUARD);
    memset(result, GUARD_BYTE, to_size + 2 * GUARD);
    to->data = result + GUARD;
    from->data = source;
    if (shape->is_backwards) {
        uint32_t last = shape->order[shape->rank - 1];
        from->data = source + (size_t)(shape->dims[last] - 1) * size;
        from->strides[last] = -1;
    }
    for (uint32_t i = 0; i < shape->rank; i++)
        if ((shape->repeated >> i & 1) != 0) from->strides[i] = 0;
    for (size_t i = 0; i < count; i++) {
        const unsigned char *element = (unsigned char *)from->data + (int64_t)element_offset(from, i) * (int64_t)size;
        memcpy(wanted + GUARD + element_offset(to, i) * size, element, size);
    }
    assert_int_equal(program_run(&program), TARN_OK);
    assert_memory_equal(result, wanted, to_size + 2 * GUARD);
    free(source);
    free(result);
    free(wanted);
}

static void try_all_sizes(const form *shape) {
    static const tarn_element_type types[] = {TARN_ELEMENT_U8,  TARN_ELEMENT_BOOL, TARN_ELEMENT_F16,
                                              TARN_ELEMENT_F32, TARN_ELEMENT_F64,  TARN_ELEMENT_I64};
    for (size_t level = 0; level < cpu_kernels_level_count(); level++) {
        cpu_kernels_use(cpu_kernels_level(level));
        for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) try(shape, types[i]);
    }
    cpu_kernels_use(NULL);
}

/* From no square of a vector's width to several tiles, whole ones and others. */
static void matrices_are_turned(void **state) {
    (void)state;
    static const int64_t sides[] = {1, 2, 3, 8, 15, 16, 17, 64, 131};
    enum { SIDES = sizeof sides / sizeof sides[0] };
    for (size_t i = 0; i < SIDES; i++) {
        for (size_t k = 0; k < SIDES; k++) {
            try_all_sizes(&(form){.rank = 2, .dims = {sides[i], sides[k]}, .order = {1, 0}, .gap = (int64_t)k % 3});
        }
    }
    try_all_sizes(&(form){.rank = 2, .dims = {3, 5000}, .order = {1, 0}});
    try_all_sizes(&(form){.rank = 2, .dims = {5000, 3}, .order = {1, 0}});
    try_all_sizes(&(form){.rank = 2, .dims = {300, 500}, .order = {1, 0}, .result_gap = 5});
}

static void dimensions_of_any_rank_change_places(void **state) {
    (void)state;
    static const form forms[] = {
        {.rank = 3, .dims = {3, 40, 50}, .order = {0, 2, 1}},
        {.rank = 3, .dims = {20, 30, 40}, .order = {2, 1, 0}},
        {.rank = 3, .dims = {20, 30, 40}, .order = {1, 0, 2}},
        {.rank = 4, .dims = {2, 17, 18, 19}, .order = {0, 2, 3, 1}},
        {.rank = 4, .dims = {2, 17, 18, 3}, .order = {0, 3, 1, 2}},
        {.rank = 4, .dims = {4, 5, 6, 64}, .order = {0, 2, 1, 3}, .gap = 2},
        {.rank = 4, .dims = {9, 8, 7, 6}, .order = {3, 2, 1, 0}, .result_gap = 1},
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) try_all_sizes(&forms[i]);
}

static void what_runs_back_is_turned_too(void **state) {
    (void)state;
    try_all_sizes(&(form){.rank = 2, .dims = {70, 90}, .order = {1, 0}, .is_backwards = 1});
    try_all_sizes(&(form){.rank = 2, .dims = {70, 90}, .order = {0, 1}, .is_backwards = 1});
}

static void elements_serve_whole_dimensions(void **state) {
    (void)state;
    for (uint32_t repeated = 1; repeated < 7; repeated++) {
        try_all_sizes(&(form){.rank = 3, .dims = {5, 70, 90}, .order = {2, 0, 1}, .repeated = repeated});
        try_all_sizes(&(form){.rank = 3, .dims = {5, 70, 90}, .order = {0, 1, 2}, .repeated = repeated});
    }
}

/* Rows that begin anywhere within a line of the cache, past which they are written. */
static void large_matrices_are_turned(void **state) {
    (void)state;
    try(&(form){.rank = 2, .dims = {2099, 2003}, .order = {1, 0}}, TARN_ELEMENT_F32);
    try(&(form){.rank = 2, .dims = {1050, 2003}, .order = {1, 0}, .result_gap = 3}, TARN_ELEMENT_F64);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matrices_are_turned),          cmocka_unit_test(dimensions_of_any_rank_change_places),
        cmocka_unit_test(what_runs_back_is_turned_too), cmocka_unit_test(elements_serve_whole_dimensions),
        cmocka_unit_test(large_matrices_are_turned),
    };
    return cmocka_run_group_tests(tests, programs_open, programs_close);
}
