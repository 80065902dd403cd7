/* The planned allocator: what other threads do while one takes the plan's memory, which it does without the lock. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "fake.h"
#include "stand.h"

/* A round is one request of each of these; the third size is none of the plan's. */
enum { FIRST_SIZE = 3 * 1024 * 1024, SECOND_SIZE = 5 * 1024 * 1024, EXTRA_SIZE = 100 };

/* A thread that reads where a buffer lies. It is told and tells with relaxed accesses, so that nothing but the allocator
 * orders its reads and what other threads write. */
typedef struct reader {
    _Atomic(tarn_buffer *) buffer;
    _Atomic(void *) address;
} reader;

static void *read_address(void *context) {
    reader *self = context;
    tarn_buffer *buffer = NULL;
    while ((buffer = atomic_load_explicit(&self->buffer, memory_order_relaxed)) == NULL) sched_yield();
    atomic_store_explicit(&self->address, tarn_buffer_data(buffer), memory_order_relaxed);
    return NULL;
}

static tarn_planned_stats planned_stats_of(tarn_allocator *allocator) {
    tarn_planned_stats stats = {.struct_size = sizeof stats};
    EXPECT_OK(tarn_planned_stats_get(allocator, &stats));
    return stats;
}

static void ask(test_stand *stand, size_t size) { give(stand, take(stand, size, NULL), NULL); }

/* Once there is a plan, this comes before the call that takes its memory. */
static void end_a_round_without_memory(void *context) {
    test_stand *stand = context;
    if (planned_stats_of(stand->allocator).plans == 0) {
        fake_meanwhile(FAKE_ALLOCATE, end_a_round_without_memory, stand);
        return;
    }
    uint64_t rounds = planned_stats_of(stand->allocator).rounds;
    ask(stand, SECOND_SIZE);
    ask(stand, FIRST_SIZE);
    assert_true(planned_stats_of(stand->allocator).rounds > rounds);
    assert_int_equal(planned_stats_of(stand->allocator).planned, 0);
}

/* A round that ends while memory is taken finds the plan without any. That wish is granted by the memory that comes: granting it
 * once more would write the address of what lives by then. Seen by ThreadSanitizer. */
static void memory_is_attached_once_although_a_round_ends_meanwhile(void **state) {
    (void)state;
    test_stand stand;
    pthread_t thread;
    reader self = {.buffer = NULL};
    stand_open(&stand, "planned | direct", "fake:8GiB,flat");
    assert_int_equal(pthread_create(&thread, NULL, read_address, &self), 0);
    fake_meanwhile(FAKE_ALLOCATE, end_a_round_without_memory, &stand);
    for (int i = 0; i < 1000 && planned_stats_of(stand.allocator).plans == 0; i++)
        ask(&stand, i % 2 == 0 ? SECOND_SIZE : FIRST_SIZE);
    uint64_t rounds = planned_stats_of(stand.allocator).rounds;
    tarn_buffer *planned = take(&stand, SECOND_SIZE, NULL);
    assert_int_equal(planned_stats_of(stand.allocator).planned, 1);
    assert_int_equal(planned_stats_of(stand.allocator).rounds, rounds);
    atomic_store_explicit(&self.buffer, planned, memory_order_relaxed);
    while (atomic_load_explicit(&self.address, memory_order_relaxed) == NULL) sched_yield();
    /* Not expected: whoever asks sees to what the allocator still wants. */
    ask(&stand, EXTRA_SIZE);
    assert_ptr_equal(tarn_buffer_data(planned), atomic_load_explicit(&self.address, memory_order_relaxed));
    pthread_join(thread, NULL);
    give(&stand, planned, NULL);
    stand_close(&stand);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_attached_once_although_a_round_ends_meanwhile),
    };
    return cmocka_run_group_tests_name("memory planned threads", tests, NULL, NULL);
}
