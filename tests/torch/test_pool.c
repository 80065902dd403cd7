/* Pools: what goes to them, that they keep their memory, and when they end. */
#include "torch_test.h"

#include <stdlib.h>

#include "base/memory.h"

static char captured, other; /* streams */
static const tarn_torch_pool_id first = {0, 1}, second = {7, 0};
static int drops;

static int is_captured(void *context, void *stream) { return stream == context; }
static void count_drop(void *context) {
    (void)context;
    drops++;
}

static void begin(int device, tarn_torch_pool_id id) {
    tarn_torch_begin_allocate_to_pool_with(device, id, is_captured, count_drop, &captured);
}

static uint64_t pool_blocks(int device, tarn_torch_pool_id id) {
    tarn_memory_stats stats = {.struct_size = sizeof stats};
    EXPECT_OK(tarn_allocator_stats(tarn_torch_pool_allocator(device, id), &stats));
    return stats.blocks.current;
}

static void what_the_filter_accepts_comes_from_the_pool(void **state) {
    (void)state;
    drops = 0;
    begin(1, first);
    void *inside = tarn_torch_malloc(MIB, 1, &captured), *outside = tarn_torch_malloc(MIB, 1, &other);
    assert_int_equal(pool_blocks(1, first), 1);
    assert_int_equal(stats_of(1).blocks.current, 1);
    tarn_torch_free(inside, MIB, 1, &captured);
    assert_ptr_equal(tarn_torch_malloc(MIB, 1, &captured), inside);
    tarn_torch_end_allocate_to_pool(1, first);
    assert_int_equal(drops, 1);
    /* The graph may be launched: nobody else gets the memory, freed or not. */
    tarn_torch_free(inside, MIB, 1, &captured);
    tarn_torch_reset();
    void *later = tarn_torch_malloc(MIB, 1, &captured);
    assert_ptr_not_equal(later, inside);
    assert_int_equal(pool_blocks(1, first), 0);
    tarn_torch_release_pool(1, first);
    assert_null(tarn_torch_pool_allocator(1, first));
    tarn_torch_free(later, MIB, 1, &captured);
    tarn_torch_free(outside, MIB, 1, &other);
    tarn_torch_reset();
    assert_int_equal(memory_of(1), 0);
}

static void a_pool_ends_when_it_was_released_as_often_as_begun(void **state) {
    (void)state;
    begin(2, first);
    tarn_torch_end_allocate_to_pool(2, first);
    begin(2, first);
    void *inside = tarn_torch_malloc(MIB, 2, &captured);
    tarn_torch_end_allocate_to_pool(2, first);
    tarn_torch_release_pool(2, first);
    assert_int_equal(pool_blocks(2, first), 1);
    tarn_torch_release_pool(2, first);
    assert_int_equal(pool_blocks(2, first), 1); /* a tensor still lies there */
    tarn_torch_free(inside, MIB, 2, &captured);
    assert_null(tarn_torch_pool_allocator(2, first));
    tarn_torch_release_pool(2, first);
    tarn_torch_end_allocate_to_pool(2, first);
    assert_int_equal(memory_of(2), 0);
}

static void two_pools_stand_beside_each_other(void **state) {
    (void)state;
    drops = 0;
    begin(3, first);
    tarn_torch_begin_allocate_to_pool_with(3, second, is_captured, NULL, &other);
    void *in_first = tarn_torch_malloc(MIB, 3, &captured), *in_second = tarn_torch_malloc(MIB, 3, &other);
    assert_int_equal(pool_blocks(3, first), 1);
    assert_int_equal(pool_blocks(3, second), 1);
    /* Begun again without an end: the older filter goes. */
    begin(3, first);
    assert_int_equal(drops, 1);
    tarn_torch_free(in_first, MIB, 3, &captured);
    tarn_torch_free(in_second, MIB, 3, &other);
    tarn_torch_release_pool(3, second);
    tarn_torch_release_pool(3, first);
    tarn_torch_release_pool(3, first);
    assert_int_equal(drops, 2);
    assert_int_equal(memory_of(3), 0);
}

static void without_a_filter_every_stream_goes_to_the_pool(void **state) {
    (void)state;
    tarn_torch_begin_allocate_to_pool_with(4, first, NULL, NULL, NULL);
    void *inside = tarn_torch_malloc(MIB, 4, &other);
    assert_int_equal(pool_blocks(4, first), 1);
    tarn_torch_free(inside, MIB, 4, &other);
    tarn_torch_end_allocate_to_pool(4, first);
    tarn_torch_release_pool(4, first);
}

static void what_other_streams_use_is_freed_when_no_pool_is_allocated_to(void **state) {
    (void)state;
    void *shared = tarn_torch_malloc(MIB, 5, NULL), *plain = tarn_torch_malloc(MIB, 5, NULL);
    tarn_torch_record_stream(shared, &other);
    tarn_torch_record_stream(shared, &captured);
    begin(5, first);
    begin(5, second);
    tarn_torch_free(shared, MIB, 5, NULL);
    tarn_torch_free(plain, MIB, 5, NULL);
    assert_int_equal(stats_of(5).blocks.current, 1);
    tarn_torch_end_allocate_to_pool(5, first);
    assert_int_equal(stats_of(5).blocks.current, 1);
    tarn_torch_end_allocate_to_pool(5, second);
    assert_int_equal(stats_of(5).blocks.current, 0);
    tarn_torch_release_pool(5, first);
    tarn_torch_release_pool(5, second);
}

static void a_shared_buffer_of_a_released_pool_ends_it(void **state) {
    (void)state;
    begin(6, first);
    void *inside = tarn_torch_malloc(MIB, 6, &captured);
    tarn_torch_record_stream(inside, &other);
    tarn_torch_free(inside, MIB, 6, &captured);
    assert_int_equal(pool_blocks(6, first), 1);
    tarn_torch_release_pool(6, first);
    assert_null(tarn_torch_pool_allocator(6, first));
    tarn_torch_reset();
    assert_int_equal(memory_of(6), 0);
}

static void without_host_memory_there_is_no_pool_and_no_leak(void **state) {
    (void)state;
    drops = 0;
    tarn_torch_free(tarn_torch_malloc(MIB, 7, &captured), MIB, 7, &captured);
    unsigned long n = 1;
    for (; tarn_torch_pool_allocator(7, first) == NULL && n < 100; n++) {
        base_memory_fail_at(n, 0);
        begin(7, first);
        base_memory_fail_at(0, 0);
    }
    assert_true(n > 2 && drops == (int)n - 2);
    /* A free that cannot be put off takes place. */
    void *shared = tarn_torch_malloc(MIB, 7, NULL);
    tarn_torch_record_stream(shared, &other);
    base_memory_fail_at(1, 0);
    tarn_torch_free(shared, MIB, 7, NULL);
    base_memory_fail_at(0, 0);
    assert_int_equal(stats_of(7).blocks.current, 0);
    tarn_torch_end_allocate_to_pool(7, first);
    tarn_torch_release_pool(7, first);
}

static void a_pool_can_be_made_before_anything_goes_to_it(void **state) {
    (void)state;
    assert_int_equal(tarn_torch_create_pool(8, first), TARN_OK);
    assert_int_equal(tarn_torch_create_pool(8, first), TARN_OK);
    assert_int_equal(tarn_torch_pool_users(8, first), 2);
    void *outside = tarn_torch_malloc(MIB, 8, &captured);
    assert_int_equal(pool_blocks(8, first), 0);
    begin(8, first);
    assert_int_equal(tarn_torch_pool_users(8, first), 3);
    for (unsigned users = 3; users > 0; users--) {
        assert_int_equal(tarn_torch_pool_users(8, first), users);
        tarn_torch_release_pool(8, first);
    }
    assert_int_equal(tarn_torch_pool_users(8, first), 0);
    assert_int_equal(tarn_torch_pool_users(60, first), 0);
    assert_int_equal(tarn_torch_create_pool(64, first), TARN_NOT_FOUND);
    tarn_torch_free(outside, MIB, 8, &captured);
}

static void hooks_of_devices_that_are_not_open_do_nothing(void **state) {
    (void)state;
    drops = 0;
    tarn_torch_end_allocate_to_pool(60, first);
    tarn_torch_release_pool(60, first);
    assert_null(tarn_torch_pool_allocator(60, first));
    begin(64, first);
    assert_int_equal(drops, 1);
}

int main(void) {
    setenv("TARN_TORCH_DEVICE", "sim:{}GiB", 1);
    unsetenv("TARN_TORCH_ALLOCATOR");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_filter_accepts_comes_from_the_pool),
        cmocka_unit_test(a_pool_ends_when_it_was_released_as_often_as_begun),
        cmocka_unit_test(two_pools_stand_beside_each_other),
        cmocka_unit_test(without_a_filter_every_stream_goes_to_the_pool),
        cmocka_unit_test(what_other_streams_use_is_freed_when_no_pool_is_allocated_to),
        cmocka_unit_test(a_shared_buffer_of_a_released_pool_ends_it),
        cmocka_unit_test(without_host_memory_there_is_no_pool_and_no_leak),
        cmocka_unit_test(a_pool_can_be_made_before_anything_goes_to_it),
        cmocka_unit_test(hooks_of_devices_that_are_not_open_do_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
