/* Handles that are not what they claim: foreign, interior, stale, freed twice, garbage. Each is refused with a sentence and
 * nothing is changed; none is ever read through. Numbers in comments are those of the project's list of faults. */
#include <string.h>
#include <sys/mman.h>

#include "stand.h"

/* 15 */
static void a_second_free_is_refused(test_stand *stand) {
    tarn_buffer *buffer = take(stand, 1024, NULL);
    give(stand, buffer, NULL);
    tarn_memory_stats before = stats_of(stand->allocator);
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_free(stand->allocator, buffer, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_free(buffer, NULL));
    tarn_memory_stats after = stats_of(stand->allocator);
    assert_memory_equal(&before, &after, sizeof before);
}

/* Notes the address, and says whether there have been no more than a few: a plan moves what it serves when it is made, and one that goes
 * around the end of a round has two places for it. */
static bool is_one_of_few(void *seen[3], void *data) {
    for (int i = 0; i < 3; i++) {
        if (seen[i] == NULL) seen[i] = data;
        if (seen[i] == data) return true;
    }
    return false;
}

/* 16: whatever serves the block afterwards, the old handle is known to be old. */
static void a_second_free_after_reuse_is_refused_and_the_new_buffer_lives(test_stand *stand) {
    tarn_buffer *old = take(stand, 1024, NULL);
    void *seen[3] = {tarn_buffer_data(old)};
    give(stand, old, NULL);
    /* Where everything is slow, so is telling each time where it happened. */
    const int rounds = test_slowness() >= 10 ? 50 : 200;
    for (int i = 0; i < rounds; i++) {
        tarn_buffer *next = take(stand, 1024, NULL);
        assert_ptr_not_equal(next, old);
        EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_free(stand->allocator, old, NULL));
        assert_true(tarn_buffer_is_valid(next));
        assert_false(tarn_buffer_is_valid(old));
        assert_null(tarn_buffer_data(old));
        assert_int_equal(tarn_buffer_size(old), 0);
        EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_record_stream(old, NULL));
        void *data = tarn_buffer_data(next);
        if ((stand->abilities & SPEC_MOVES) != 0) assert_true(is_one_of_few(seen, data));
        else if ((stand->abilities & SPEC_CACHES) != 0) assert_ptr_equal(data, seen[0]);
        give(stand, next, NULL);
    }
}

/* 17 */
static void another_allocators_buffer_is_refused(test_stand *stand) {
    tarn_allocator *other = NULL;
    EXPECT_OK(tarn_allocator_create(stand->device, "caching", &other));
    tarn_buffer *mine = take(stand, 2048, NULL), *theirs = NULL, *found = NULL;
    EXPECT_OK(tarn_allocator_allocate(other, 2048, NULL, &theirs));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_free(stand->allocator, theirs, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_free(other, mine, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_find(other, tarn_buffer_data(mine), &found));
    assert_true(tarn_buffer_is_valid(mine));
    assert_true(tarn_buffer_is_valid(theirs));
    give(stand, mine, NULL);
    EXPECT_OK(tarn_allocator_free(other, theirs, NULL));
    EXPECT_OK(tarn_allocator_release(other));
}

/* 13, 14: handles made of every kind of address. The pages are closed, so that a read of one of them ends the test. */
static void a_pointer_that_is_no_handle_is_refused_and_never_read(test_stand *stand) {
    tarn_buffer *live = take(stand, 4096, NULL);
    char *closed = mmap(NULL, 2 * MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(closed, MAP_FAILED);
    char *data = tarn_buffer_data(live);
    int local = 0;
    uintptr_t words[] = {(uintptr_t)closed,
                         (uintptr_t)closed + 64,
                         (uintptr_t)data,
                         (uintptr_t)data + 1,
                         (uintptr_t)data + 2048,
                         (uintptr_t)&local,
                         (uintptr_t)stand,
                         1,
                         2,
                         7,
                         8,
                         64,
                         UINTPTR_MAX,
                         UINTPTR_MAX - 1,
                         UINTPTR_MAX - 7,
                         UINTPTR_MAX / 2,
                         (uintptr_t)1 << 63,
                         (uintptr_t)1 << 48,
                         (uintptr_t)1 << 47,
                         (uintptr_t)0xdeadbeef,
                         (uintptr_t)live + 1,
                         (uintptr_t)live - 1,
                         ~(uintptr_t)live,
                         (uintptr_t)live << 1,
                         (uintptr_t)live ^ 64,
                         (uintptr_t)live >> 8,
                         (uintptr_t)stand->allocator,
                         (uintptr_t)live ^ ((uintptr_t)1 << 63)};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        tarn_buffer *garbage = (tarn_buffer *)words[i]; // NOLINT(performance-no-int-to-ptr): the point of the test
        if (garbage == live) continue;
        assert_false(tarn_buffer_is_valid(garbage));
        assert_null(tarn_buffer_data(garbage));
        assert_int_equal(tarn_buffer_size(garbage), 0);
        assert_int_equal(tarn_buffer_capacity(garbage), 0);
        assert_null(tarn_buffer_device(garbage));
        assert_null(tarn_buffer_allocator(garbage));
        EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_free(stand->allocator, garbage, NULL));
        EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_free(garbage, NULL));
        EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_record_stream(garbage, NULL));
        assert_true(tarn_buffer_is_valid(live));
    }
    munmap(closed, 2 * MIB);
    give(stand, live, NULL);
}

/* 13, 14 for raw pointers. */
static void find_refuses_addresses_where_no_live_buffer_starts(test_stand *stand) {
    tarn_buffer *live = take(stand, 4096, NULL), *found = NULL;
    char *data = tarn_buffer_data(live);
    char *closed = mmap(NULL, MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(closed, MAP_FAILED);
    uintptr_t words[] = {(uintptr_t)data + 1,  (uintptr_t)data + 64, (uintptr_t)data + 4096, (uintptr_t)data - 1,
                         (uintptr_t)data - 64, (uintptr_t)closed,    (uintptr_t)&found,      1,
                         UINTPTR_MAX,          (uintptr_t)live,      (uintptr_t)1 << 47,     (uintptr_t)1 << 63};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        const void *pointer = (const void *)words[i]; // NOLINT(performance-no-int-to-ptr): the point of the test
        EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_find(stand->allocator, pointer, &found));
        assert_null(found);
    }
    munmap(closed, MIB);
    give(stand, live, NULL);
}

/* Handles of allocators, devices and streams are recognised too where that is promised: a released buffer of a released
 * allocator is stale. */
static void a_handle_outlives_its_allocator_as_stale(test_stand *stand) {
    tarn_allocator *other = NULL;
    tarn_buffer *buffer = NULL;
    EXPECT_OK(tarn_allocator_create(stand->device, "caching", &other));
    EXPECT_OK(tarn_allocator_allocate(other, 5000, NULL, &buffer));
    EXPECT_OK(tarn_allocator_free(other, buffer, NULL));
    EXPECT_OK(tarn_allocator_release(other));
    assert_false(tarn_buffer_is_valid(buffer));
    assert_null(tarn_buffer_data(buffer));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_free(buffer, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_free(stand->allocator, buffer, NULL));
}

static void many_stale_handles_are_all_refused(test_stand *stand) {
    enum { COUNT = 600 };
    static tarn_buffer *stale[COUNT], *live[COUNT];
    const int count = test_slowness() >= 10 ? COUNT / 6 : COUNT;
    for (int i = 0; i < count; i++) stale[i] = take(stand, 1 + (size_t)i, NULL);
    for (int i = 0; i < count; i++) give(stand, stale[i], NULL);
    for (int i = 0; i < count; i++) live[i] = take(stand, 1 + (size_t)i, NULL);
    for (int i = 0; i < count; i++) {
        assert_false(tarn_buffer_is_valid(stale[i]));
        assert_int_equal(tarn_allocator_free(stand->allocator, stale[i], NULL), TARN_INVALID_ARGUMENT);
    }
    for (int i = 0; i < count; i++) {
        assert_true(tarn_buffer_is_valid(live[i]));
        assert_int_equal(tarn_buffer_size(live[i]), i + 1);
        give(stand, live[i], NULL);
    }
}

int main(void) {
    static const conformance_test tests[] = {
        CONFORMANCE_TEST(a_second_free_is_refused, 0),
        CONFORMANCE_TEST(a_second_free_after_reuse_is_refused_and_the_new_buffer_lives, 0),
        CONFORMANCE_TEST(another_allocators_buffer_is_refused, 0),
        CONFORMANCE_TEST(a_pointer_that_is_no_handle_is_refused_and_never_read, 0),
        CONFORMANCE_TEST(find_refuses_addresses_where_no_live_buffer_starts, 0),
        CONFORMANCE_TEST(a_handle_outlives_its_allocator_as_stale, 0),
        CONFORMANCE_TEST(many_stale_handles_are_all_refused, 0),
    };
    return conformance_run("memory misuse", tests, sizeof tests / sizeof tests[0]);
}
