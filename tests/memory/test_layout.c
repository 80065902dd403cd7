/* Buffers with known lifetimes in one block: what expressions take their intermediates from. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "memory/layout.h"
#include "stand.h"

static memory_layout *lay_out(const memory_lifetime *lifetimes, size_t count) {
    memory_layout *layout = NULL;
    EXPECT_OK(memory_layout_create(lifetimes, count, -1, &layout));
    assert_non_null(layout);
    assert_int_equal(layout->count, count);
    return layout;
}

static void buffers_that_are_not_alive_together_share_memory(void **state) {
    (void)state;
    const memory_lifetime lifetimes[] = {{.begin = 0, .end = 2, .size = 4096},
                                         {.begin = 1, .end = 3, .size = 1024},
                                         {.begin = 2, .end = 4, .size = 4096}};
    memory_layout *layout = lay_out(lifetimes, 3);
    assert_int_equal(layout->size, 5120);
    assert_int_equal(layout->lower_bound, 5120);
    assert_int_equal(layout->total, 9216);
    assert_int_equal(layout->offsets[0], layout->offsets[2]);
    memory_layout_destroy(layout);
}

static int are_apart(const memory_lifetime *a, uint64_t at_a, const memory_lifetime *b, uint64_t at_b) {
    if (a->end <= b->begin || b->end <= a->begin) return 1;
    return at_a + a->size <= at_b || at_b + b->size <= at_a;
}

static void what_lives_together_lies_apart_and_aligned(void **state) {
    (void)state;
    enum { COUNT = 60 };
    memory_lifetime lifetimes[COUNT];
    unsigned random = 1;
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < COUNT; i++) {
            random = random * 1103515245u + 12345u;
            lifetimes[i] = (memory_lifetime){.begin = (random >> 8) % 50, .size = (random >> 12) % 5000};
            lifetimes[i].end = lifetimes[i].begin + 1 + (random >> 20) % 20;
            lifetimes[i].alignment = i % 3 == 0 ? 0 : (size_t)1 << (random >> 24) % 13;
        }
        memory_layout *layout = lay_out(lifetimes, COUNT);
        for (int i = 0; i < COUNT; i++) {
            size_t alignment = lifetimes[i].alignment != 0 ? lifetimes[i].alignment : LAYOUT_ALIGNMENT;
            assert_int_equal(layout->offsets[i] % alignment, 0);
            assert_int_equal(layout->alignment % alignment, 0);
            assert_true(layout->offsets[i] + lifetimes[i].size <= layout->size);
            for (int k = 0; k < i; k++) {
                assert_true(are_apart(&lifetimes[i], layout->offsets[i], &lifetimes[k], layout->offsets[k]) ||
                            lifetimes[i].size == 0 || lifetimes[k].size == 0);
            }
        }
        memory_layout_destroy(layout);
    }
}

static void the_block_comes_from_any_allocator(void **state) {
    (void)state;
    static const char *const specs[] = {"caching", "arena", "pool", "direct", "graph", "planned"};
    const memory_lifetime lifetimes[] = {{.begin = 0, .end = 2, .size = 100, .alignment = 4096},
                                         {.begin = 1, .end = 3, .size = 100}};
    memory_layout *layout = lay_out(lifetimes, 2);
    for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++) {
        test_stand stand;
        stand_open(&stand, specs[i], "cpu");
        tarn_buffer *block = NULL;
        EXPECT_OK(memory_layout_take(layout, stand.allocator, NULL, "intermediates", &block));
        assert_int_equal(tarn_buffer_size(block), layout->size);
        char *first = (char *)tarn_buffer_data(block) + layout->offsets[0];
        char *second = (char *)tarn_buffer_data(block) + layout->offsets[1];
        assert_int_equal((uintptr_t)first % 4096, 0);
        assert_int_equal((uintptr_t)second % LAYOUT_ALIGNMENT, 0);
        memset(first, 1, 100);
        memset(second, 2, 100);
        assert_int_equal(first[99] + second[99], 3);
        assert_int_equal(stats_of(stand.allocator).blocks.current, 1);
        give(&stand, block, NULL);
        stand_close(&stand);
    }
    memory_layout_destroy(layout);
}

static void nothing_to_lay_out_needs_no_block(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "caching", "cpu");
    const memory_lifetime empty = {.begin = 0, .end = 1};
    tarn_buffer *block = (tarn_buffer *)&stand;
    memory_layout *layout = lay_out(NULL, 0), *of_none = lay_out(&empty, 1);
    EXPECT_OK(memory_layout_take(layout, stand.allocator, NULL, NULL, &block));
    assert_null(block);
    assert_int_equal(of_none->size, 0);
    assert_int_equal(of_none->offsets[0], 0);
    memory_layout_destroy(layout);
    memory_layout_destroy(of_none);
    memory_layout_destroy(NULL);
    stand_close(&stand);
}

static void what_cannot_be_laid_out_is_refused(void **state) {
    (void)state;
    memory_layout *layout = NULL;
    memory_lifetime lifetimes[] = {{.begin = 0, .end = 1, .size = 8}, {.begin = 3, .end = 3, .size = 8}};
    EXPECT(TARN_INVALID_ARGUMENT, memory_layout_create(lifetimes, 2, -1, &layout));
    EXPECT_SENTENCE("1");
    lifetimes[1] = (memory_lifetime){.begin = 0, .end = 1, .size = 8, .alignment = 48};
    EXPECT(TARN_INVALID_ARGUMENT, memory_layout_create(lifetimes, 2, -1, &layout));
    EXPECT_SENTENCE("buffer 1, 48");
    lifetimes[1] = (memory_lifetime){.begin = 0, .end = 1, .size = SIZE_MAX};
    EXPECT(TARN_LIMIT_EXCEEDED, memory_layout_create(lifetimes, 2, -1, &layout));
    lifetimes[1] = (memory_lifetime){.begin = 0, .end = 1, .size = SIZE_MAX / 2};
    EXPECT(TARN_LIMIT_EXCEEDED, memory_layout_create(lifetimes, 2, -1, &layout));
    EXPECT(TARN_OUT_OF_MEMORY, memory_layout_create(lifetimes, SIZE_MAX / 4, -1, &layout));
    assert_null(layout);
}

static void without_memory_nothing_is_left_behind(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "limit:1KiB | caching", "cpu");
    const memory_lifetime lifetimes[] = {{.begin = 0, .end = 2, .size = 4096}, {.begin = 1, .end = 3, .size = 1024}};
    memory_layout *layout = NULL;
    tarn_buffer *block = (tarn_buffer *)&stand;
    for (unsigned long n = 1; layout == NULL; n++) {
        assert_true(n < 1000);
        base_memory_fail_at(n, 0);
        tarn_status status = memory_layout_create(lifetimes, 2, -1, &layout);
        base_memory_fail_at(0, 0);
        assert_true(status == TARN_OUT_OF_MEMORY || status == TARN_OK);
        assert_int_equal(status == TARN_OK, layout != NULL);
    }
    EXPECT(TARN_LIMIT_EXCEEDED, memory_layout_take(layout, stand.allocator, NULL, NULL, &block));
    assert_ptr_equal(block, &stand);
    memory_layout_destroy(layout);
    stand_close(&stand);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffers_that_are_not_alive_together_share_memory),
        cmocka_unit_test(what_lives_together_lies_apart_and_aligned),
        cmocka_unit_test(the_block_comes_from_any_allocator),
        cmocka_unit_test(nothing_to_lay_out_needs_no_block),
        cmocka_unit_test(what_cannot_be_laid_out_is_refused),
        cmocka_unit_test(without_memory_nothing_is_left_behind),
    };
    return cmocka_run_group_tests_name("memory layout", tests, NULL, NULL);
}
