/* Checkpoints of pools, and what pools are told: addresses that are asked for, no splits, help for requests that fail. */
#include "torch_test.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "torch/native.h"

static char captured; /* a stream */
static const tarn_torch_pool_id trees = {4, 0};
enum { COUNT = 5 };
static const size_t sizes[COUNT] = {700, 3 * MIB, 100000, 12 * MIB, 513};

static void begin(int device) { tarn_torch_begin_allocate_to_pool_with(device, trees, NULL, NULL, NULL); }

static void fill(int device, void **pointers) {
    begin(device);
    for (int i = 0; i < COUNT; i++) pointers[i] = tarn_torch_malloc(sizes[i], device, &captured);
    tarn_torch_end_allocate_to_pool(device, trees);
}

static void free_all(int device, void *const *pointers) {
    for (int i = 0; i < COUNT; i++) tarn_torch_free(pointers[i], sizes[i], device, &captured);
}

static uint64_t reserved_by(int device) {
    tarn_memory_stats stats = {.struct_size = sizeof stats};
    EXPECT_OK(tarn_allocator_stats(tarn_torch_pool_allocator(device, trees), &stats));
    return stats.reserved_bytes.current;
}

static void what_was_alive_comes_back_at_its_addresses(void **state) {
    (void)state;
    void *pointers[COUNT];
    fill(1, pointers);
    tarn_torch_free(pointers[2], sizes[2], 1, &captured);
    tarn_torch_checkpoint *checkpoint = NULL;
    assert_int_equal(tarn_torch_checkpoint_take(1, trees, &checkpoint), TARN_OK);
    uint64_t before = reserved_by(1);
    /* Another path through the tree of graphs: some goes, other memory comes. */
    tarn_torch_free(pointers[0], sizes[0], 1, &captured);
    tarn_torch_free(pointers[3], sizes[3], 1, &captured);
    begin(1);
    void *later = tarn_torch_malloc(90000, 1, &captured);
    tarn_torch_end_allocate_to_pool(1, trees);
    tarn_torch_restored done;
    assert_int_equal(tarn_torch_checkpoint_restore(checkpoint, &done), TARN_OK);
    assert_int_equal(done.freed_count, 3);
    assert_int_equal(done.created_count, COUNT - 1);
    bool is_later_freed = false;
    for (size_t i = 0; i < done.freed_count; i++) is_later_freed |= done.freed[i].pointer == later;
    assert_true(is_later_freed);
    for (size_t i = 0; i < done.created_count; i++) {
        size_t size = 0;
        for (int which = 0; which < COUNT; which++) {
            if (which != 2 && pointers[which] == done.created[i].pointer) size = sizes[which];
        }
        assert_int_equal(done.created[i].size, size);
        assert_ptr_equal(done.created[i].stream, &captured);
    }
    tarn_torch_restored_end(&done);
    /* Twice is fine, and what is free is found where it was then. */
    assert_int_equal(tarn_torch_checkpoint_restore(checkpoint, &done), TARN_OK);
    assert_int_equal(done.freed_count, COUNT - 1);
    tarn_torch_restored_end(&done);
    assert_int_equal(reserved_by(1), before);
    begin(1);
    assert_ptr_equal(tarn_torch_malloc(sizes[2], 1, &captured), pointers[2]);
    tarn_torch_end_allocate_to_pool(1, trees);
    tarn_torch_checkpoint_destroy(checkpoint);
    free_all(1, pointers);
    for (int begun = 0; begun < 3; begun++) tarn_torch_release_pool(1, trees);
    assert_int_equal(memory_of(1), 0);
}

static void what_cannot_be_restored_changes_nothing(void **state) {
    (void)state;
    void *pointers[COUNT];
    tarn_torch_checkpoint *checkpoint = NULL, *none = NULL;
    tarn_torch_restored done;
    assert_int_equal(tarn_torch_checkpoint_take(2, trees, &none), TARN_NOT_FOUND);
    assert_int_equal(tarn_torch_checkpoint_take(63, trees, &none), TARN_NOT_FOUND);
    fill(2, pointers);
    assert_int_equal(tarn_torch_checkpoint_take(2, trees, &checkpoint), TARN_OK);
    begin(2);
    assert_int_equal(tarn_torch_checkpoint_restore(checkpoint, &done), TARN_INVALID_STATE);
    tarn_torch_restored_end(&done);
    tarn_torch_end_allocate_to_pool(2, trees);
    tarn_torch_record_stream(pointers[1], NULL);
    assert_int_equal(tarn_torch_checkpoint_restore(checkpoint, &done), TARN_BUSY);
    assert_int_equal(done.freed_count, 0);
    tarn_torch_restored_end(&done);
    assert_int_equal(stats_of(2).blocks.current, 0);
    free_all(2, pointers);
    EXPECT_OK(tarn_device_synchronize(tarn_allocator_device(tarn_torch_allocator(2))));
    EXPECT_OK(tarn_allocator_empty_cache(tarn_torch_pool_allocator(2, trees)));
    assert_int_equal(tarn_torch_checkpoint_restore(checkpoint, &done), TARN_INVALID_STATE);
    assert_non_null(strstr(tarn_torch_last_error(), "given back"));
    tarn_torch_restored_end(&done);
    tarn_torch_release_pool(2, trees);
    tarn_torch_release_pool(2, trees);
    assert_null(tarn_torch_pool_allocator(2, trees));
    assert_int_equal(tarn_torch_checkpoint_restore(checkpoint, &done), TARN_NOT_FOUND);
    tarn_torch_checkpoint_destroy(checkpoint);
}

static void each_lack_of_host_memory_leaves_a_restoring_that_can_be_made_again(void **state) {
    (void)state;
    void *pointers[COUNT];
    fill(3, pointers);
    tarn_torch_checkpoint *checkpoint = NULL;
    unsigned long failures = 0, n = 1;
    for (; checkpoint == NULL; n++) {
        base_memory_fail_at(n, 0);
        if (tarn_torch_checkpoint_take(3, trees, &checkpoint) != TARN_OK) failures++;
        base_memory_fail_at(0, 0);
    }
    assert_true(failures > 1);
    bool is_done = false;
    for (failures = 0, n = 1; !is_done; n++) {
        tarn_torch_restored done;
        base_memory_fail_at(n, 0);
        tarn_status status = tarn_torch_checkpoint_restore(checkpoint, &done);
        base_memory_fail_at(0, 0);
        is_done = status == TARN_OK;
        if (!is_done) assert_int_equal(status, TARN_OUT_OF_MEMORY);
        if (!is_done) failures++;
        if (is_done) assert_int_equal(done.created_count, COUNT);
        tarn_torch_restored_end(&done);
    }
    assert_true(failures > 3);
    tarn_torch_checkpoint_destroy(checkpoint);
    free_all(3, pointers);
    tarn_torch_release_pool(3, trees);
    assert_int_equal(memory_of(3), 0);
}

static void memory_is_had_at_an_address_where_it_was(void **state) {
    (void)state;
    begin(4);
    char *pointer = tarn_torch_malloc(MIB, 4, &captured);
    tarn_torch_free(pointer, MIB, 4, &captured);
    assert_int_equal(tarn_torch_allocate_at(4096, 4, &captured, pointer + 8192), TARN_OK);
    assert_int_equal(tarn_torch_allocate_at(4096, 4, &captured, pointer + 8192), TARN_BUSY);
    assert_int_equal(tarn_torch_allocate_at(4096, 4, &captured, NULL), TARN_INVALID_ARGUMENT);
    tarn_torch_free(pointer + 8192, 4096, 4, &captured);
    tarn_torch_end_allocate_to_pool(4, trees);
    /* The device's own allocator chooses addresses itself. */
    assert_int_equal(tarn_torch_allocate_at(4096, 4, NULL, pointer), TARN_NOT_SUPPORTED);
    assert_int_equal(tarn_torch_allocate_at(4096, 64, NULL, pointer), TARN_NOT_FOUND);
    tarn_torch_release_pool(4, trees);
}

static void what_graphs_may_use_goes_back_with_the_last_of_them(void **state) {
    (void)state;
    begin(5);
    void *kept = tarn_torch_malloc(MIB, 5, &captured), *pointer = tarn_torch_malloc(40 * MIB, 5, &captured);
    tarn_torch_free(pointer, 40 * MIB, 5, &captured);
    tarn_torch_end_allocate_to_pool(5, trees);
    uint64_t before = reserved_by(5);
    tarn_torch_empty_pool(5, trees);
    tarn_torch_empty_pool(5, (tarn_torch_pool_id){77, 0});
    tarn_torch_empty_pool(63, trees);
    tarn_torch_reset();
    assert_int_equal(reserved_by(5), before);
    /* Nor when the device has no more. */
    assert_null(tarn_torch_malloc(6 * GIB, 5, NULL));
    assert_int_equal(reserved_by(5), before);
    tarn_torch_release_pool(5, trees);
    assert_int_equal(reserved_by(5), 2 * MIB);
    tarn_torch_empty_pool(5, trees);
    tarn_torch_free(kept, MIB, 5, &captured);
    assert_int_equal(memory_of(5), 0);
}

static void a_pool_serves_what_fails_elsewhere_where_it_is_told_to(void **state) {
    (void)state;
    assert_int_equal(tarn_torch_use_on_failure(6, trees, 1), TARN_NOT_FOUND);
    begin(6);
    void *pointer = tarn_torch_malloc(GIB, 6, NULL);
    tarn_torch_free(pointer, GIB, 6, NULL);
    tarn_torch_end_allocate_to_pool(6, trees);
    tarn_torch_memory_fraction(0.5, 6);
    void *most = tarn_torch_malloc(3 * GIB, 6, NULL);
    assert_null(tarn_torch_malloc(512 * MIB, 6, NULL));
    assert_int_equal(tarn_torch_use_on_failure(6, trees, 1), TARN_OK);
    void *served = tarn_torch_malloc(512 * MIB, 6, NULL);
    assert_ptr_equal(served, pointer);
    assert_null(tarn_torch_malloc(2 * GIB, 6, NULL));
    assert_int_equal(tarn_torch_use_on_failure(6, trees, 0), TARN_OK);
    tarn_torch_free(served, 512 * MIB, 6, NULL);
    assert_null(tarn_torch_malloc(512 * MIB, 6, NULL));
    tarn_torch_free(most, 3 * GIB, 6, NULL);
    tarn_torch_release_pool(6, trees);
}

static void a_pool_is_told_not_to_split_before_it_is_used(void **state) {
    (void)state;
    assert_int_equal(tarn_torch_pool_no_split(7, trees), TARN_NOT_FOUND);
    assert_int_equal(tarn_torch_create_pool(7, trees), TARN_OK);
    assert_int_equal(tarn_torch_pool_no_split(7, trees), TARN_OK);
    assert_int_equal(tarn_torch_pool_no_split(7, trees), TARN_OK);
    begin(7);
    void *first = tarn_torch_malloc(512, 7, NULL), *second = tarn_torch_malloc(512, 7, NULL);
    assert_int_equal(reserved_by(7), 4 * MIB);
    tarn_torch_end_allocate_to_pool(7, trees);
    tarn_torch_free(first, 512, 7, NULL);
    tarn_torch_free(second, 512, 7, NULL);
    tarn_torch_release_pool(7, trees);
    tarn_torch_release_pool(7, trees);
    begin(7);
    first = tarn_torch_malloc(512, 7, NULL);
    assert_int_equal(tarn_torch_pool_no_split(7, trees), TARN_INVALID_STATE);
    tarn_torch_end_allocate_to_pool(7, trees);
    tarn_torch_free(first, 512, 7, NULL);
    tarn_torch_release_pool(7, trees);
    assert_int_equal(memory_of(7), 0);
}

int main(void) {
    setenv("TARN_TORCH_DEVICE", "sim:{}GiB", 1);
    unsetenv("TARN_TORCH_ALLOCATOR");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_alive_comes_back_at_its_addresses),
        cmocka_unit_test(what_cannot_be_restored_changes_nothing),
        cmocka_unit_test(each_lack_of_host_memory_leaves_a_restoring_that_can_be_made_again),
        cmocka_unit_test(memory_is_had_at_an_address_where_it_was),
        cmocka_unit_test(what_graphs_may_use_goes_back_with_the_last_of_them),
        cmocka_unit_test(a_pool_serves_what_fails_elsewhere_where_it_is_told_to),
        cmocka_unit_test(a_pool_is_told_not_to_split_before_it_is_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
