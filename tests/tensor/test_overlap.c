/* Overlaps: views that share memory and views that only lie between each other, compared with a list of all bytes. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

#include "tensor/overlap.h"

#define MEMORY 4096

static char memory[MEMORY];

static tarn_operand view(size_t first, tarn_element_type type, uint32_t rank, const int64_t *dims,
                         const int64_t *strides) {
    tarn_operand operand = {.data = memory + first, .type = type, .rank = rank};
    memcpy(operand.dims, dims, rank * sizeof *dims);
    memcpy(operand.strides, strides, rank * sizeof *strides);
    return operand;
}
#define LIST(...) ((const int64_t[]){__VA_ARGS__})

static void mark(const tarn_operand *operand, unsigned char *bytes, unsigned char with) {
    int64_t elements = 1;
    for (uint32_t i = 0; i < operand->rank; i++) elements *= operand->dims[i];
    for (int64_t number = 0; number < elements; number++) {
        int64_t rest = number, offset = (char *)operand->data - memory;
        for (uint32_t i = operand->rank; i-- > 0; rest /= operand->dims[i])
            offset += rest % operand->dims[i] * operand->strides[i] * (int64_t)tarn_element_size(operand->type);
        for (size_t byte = 0; byte < tarn_element_size(operand->type); byte++) bytes[(size_t)offset + byte] |= with;
    }
}

static bool share_bytes(const tarn_operand *a, const tarn_operand *b) {
    unsigned char bytes[MEMORY] = {0};
    mark(a, bytes, 1);
    mark(b, bytes, 2);
    return memchr(bytes, 3, MEMORY) != NULL;
}

static void expect(const tarn_operand *a, const tarn_operand *b) {
    bool wanted = share_bytes(a, b);
    assert_int_equal(tensor_operands_overlap(a, b), wanted);
    assert_int_equal(tensor_operands_overlap(b, a), wanted);
}

static void halves_of_a_matrix_do_not_overlap(void **state) {
    (void)state;
    const tarn_operand left = view(0, TARN_ELEMENT_F32, 2, LIST(8, 4), LIST(8, 1)),
                       right = view(16, TARN_ELEMENT_F32, 2, LIST(8, 4), LIST(8, 1)),
                       even = view(0, TARN_ELEMENT_F32, 1, LIST(32), LIST(2)),
                       odd = view(4, TARN_ELEMENT_F32, 1, LIST(32), LIST(2)),
                       backwards = view(4 * 63, TARN_ELEMENT_F32, 1, LIST(32), LIST(-2)),
                       wide = view(12, TARN_ELEMENT_F64, 1, LIST(4), LIST(4));
    const tarn_operand all[] = {left, right, even, odd, backwards, wide};
    assert_false(tensor_operands_overlap(&left, &right));
    assert_false(tensor_operands_overlap(&even, &odd));
    assert_false(tensor_operands_overlap(&even, &backwards));
    assert_true(tensor_operands_overlap(&odd, &backwards));
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        for (size_t j = 0; j < sizeof all / sizeof all[0]; j++) expect(&all[i], &all[j]);
}

static uint64_t seed = 5;
static int64_t random_from(int64_t low, int64_t high) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return low + (int64_t)((seed >> 33) % (uint64_t)(high - low + 1));
}

static tarn_operand random_view(void) {
    static const tarn_element_type types[] = {TARN_ELEMENT_U8, TARN_ELEMENT_F16, TARN_ELEMENT_F32, TARN_ELEMENT_F64};
    int64_t dims[3], strides[3];
    for (int i = 0; i < 3; i++) {
        dims[i] = random_from(1, 5);
        strides[i] = random_from(-12, 12);
    }
    return view((size_t)random_from(1500, 2500), types[random_from(0, 3)], (uint32_t)random_from(0, 3), dims, strides);
}

static void random_views_overlap_where_they_share_a_byte(void **state) {
    (void)state;
    for (int i = 0; i < 4000; i++) {
        const tarn_operand a = random_view(), b = random_view();
        expect(&a, &b);
    }
}

/* Even strides, an odd distance, and more sums than anybody would try. */
static void what_takes_too_long_is_taken_for_an_overlap(void **state) {
    (void)state;
    const int64_t dims[8] = {9, 9, 9, 9, 9, 9, 9, 9}, strides[8] = {2002, 2006, 2018, 2022, 2026, 2038, 2054, 2062};
    tarn_operand a = view(0, TARN_ELEMENT_U8, 8, dims, strides), b = a;
    b.data = (void *)((uintptr_t)memory + 20001);
    assert_true(tensor_operands_overlap(&a, &b));
}

static void the_same_elements_are_recognised(void **state) {
    (void)state;
    const tarn_operand a = view(0, TARN_ELEMENT_F32, 2, LIST(3, 1), LIST(2, 7)),
                       same = view(0, TARN_ELEMENT_F32, 2, LIST(3, 1), LIST(2, 0)),
                       later = view(4, TARN_ELEMENT_F32, 2, LIST(3, 1), LIST(2, 0)),
                       other = view(0, TARN_ELEMENT_I32, 2, LIST(3, 1), LIST(2, 0)),
                       steeper = view(0, TARN_ELEMENT_F32, 2, LIST(3, 1), LIST(3, 0));
    assert_true(tensor_operands_coincide(&a, &same));
    assert_false(tensor_operands_coincide(&a, &later));
    assert_false(tensor_operands_coincide(&a, &other));
    assert_false(tensor_operands_coincide(&a, &steeper));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(halves_of_a_matrix_do_not_overlap),
        cmocka_unit_test(random_views_overlap_where_they_share_a_byte),
        cmocka_unit_test(what_takes_too_long_is_taken_for_an_overlap),
        cmocka_unit_test(the_same_elements_are_recognised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
