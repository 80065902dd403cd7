/* Ranges of addresses against a plain array: the same answers after every step. */
#include "check.h"

#include <string.h>

#include "base/range_map.h"

#define SPAN 256
#define STEPS 200000

static base_range nodes[SPAN];
static base_range *owners[SPAN]; /* for each address the range that it is in */
static uint64_t seed = 0x9e3779b97f4a7c15u;

static size_t random_below(size_t limit) {
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return (size_t)((seed * 0x2545f4914f6cdd1du) >> 33) % limit;
}

static bool model_overlaps(size_t start, size_t size) {
    for (size_t i = start; i < start + size && i < SPAN; i++) {
        if (owners[i] != NULL) return true;
    }
    return false;
}

static base_range *model_at_or_before(size_t address) {
    for (size_t i = address + 1; i-- > 0;) {
        if (owners[i] != NULL && owners[i]->start == i) return owners[i];
    }
    return NULL;
}

static base_range *model_after(size_t address) {
    for (size_t i = address + 1; i < SPAN; i++) {
        if (owners[i] != NULL && owners[i]->start == i) return owners[i];
    }
    return NULL;
}

static base_range *model_first_fit(size_t size) {
    for (size_t i = 0; i < SPAN; i++) {
        if (owners[i] != NULL && owners[i]->start == i && owners[i]->size >= size) return owners[i];
    }
    return NULL;
}

static void the_map_answers_like_the_model(void **state) {
    (void)state;
    base_range *root = NULL;
    for (int step = 0; step < STEPS; step++) {
        size_t start = random_below(SPAN);
        size_t size = 1 + random_below(12);
        if (size > SPAN - start) size = SPAN - start;
        bool overlaps = model_overlaps(start, size);
        assert_int_equal(base_range_overlaps(root, start, size), overlaps);
        assert_ptr_equal(base_range_containing(root, start), owners[start]);
        assert_ptr_equal(base_range_at_or_before(root, start), model_at_or_before(start));
        assert_ptr_equal(base_range_after(root, start), model_after(start));
        assert_ptr_equal(base_range_first_fit(root, size), model_first_fit(size));
        base_range *here = owners[start] != NULL && owners[start]->start == start ? owners[start] : NULL;
        assert_ptr_equal(base_range_find(root, start), here);
        if (!overlaps) {
            nodes[start] = (base_range){.start = start, .size = size};
            base_range_insert(&root, &nodes[start]);
            for (size_t i = start; i < start + size; i++) owners[i] = &nodes[start];
        } else {
            assert_ptr_equal(base_range_remove(&root, start), here);
            for (size_t i = start; here != NULL && i < start + here->size; i++) owners[i] = NULL;
        }
    }
    while (root != NULL) assert_non_null(base_range_remove(&root, root->start));
    assert_false(base_range_overlaps(root, 0, SPAN));
    assert_null(base_range_first_fit(root, 1));
    assert_false(base_range_overlaps(root, 0, 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_map_answers_like_the_model)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
