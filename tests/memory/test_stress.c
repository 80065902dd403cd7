/* Many threads at once: allocating, freeing what others allocated, emptying the cache, reading figures. What each buffer holds is
 * checked where it can be; the rest is for ThreadSanitizer to see. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "stand.h"

#define SLOTS 48
#define MOST_THREADS 16

typedef struct stress {
    test_stand *stand;
    bool has_rounds; /* some thread ends one now and then */
    _Atomic(tarn_buffer *) slots[SLOTS];
    unsigned long steps;
    atomic_uint next_number;
    atomic_ulong wrong, served;
    atomic_bool ends;
} stress;

static void complain(stress *shared, tarn_status status) {
    if (status != TARN_OK) atomic_fetch_add(&shared->wrong, 1);
}

/* The mark is made of the handle, so that two owners of one piece of memory would disagree. */
static void write_marks(const stress *shared, tarn_buffer *buffer) {
    if ((shared->stand->abilities & DEVICE_STORES) == 0) return;
    unsigned char *bytes = tarn_buffer_data(buffer);
    uintptr_t mark = (uintptr_t)buffer;
    size_t last = tarn_buffer_capacity(buffer) - sizeof mark;
    memcpy(bytes, &mark, sizeof mark);
    memcpy(bytes + last, &mark, sizeof mark);
}

static void check_marks(stress *shared, tarn_buffer *buffer) {
    if ((shared->stand->abilities & DEVICE_STORES) == 0) return;
    const unsigned char *bytes = tarn_buffer_data(buffer);
    uintptr_t wanted = (uintptr_t)buffer, first, last;
    memcpy(&first, bytes, sizeof first);
    memcpy(&last, bytes + tarn_buffer_capacity(buffer) - sizeof last, sizeof last);
    if (first != wanted || last != wanted) atomic_fetch_add(&shared->wrong, 1);
}

static void *work(void *context) {
    stress *shared = context;
    tarn_allocator *allocator = shared->stand->allocator;
    unsigned number = atomic_fetch_add(&shared->next_number, 1);
    uint64_t random = 88172645463325252u + number;
    tarn_stream *own = shared->stand->streams[number % STAND_STREAMS];
    for (unsigned long i = 0; i < shared->steps; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        size_t size = 16 + (size_t)(random >> 8) % ((size_t)1 << (4 + random % 18));
        tarn_buffer *buffer = NULL;
        complain(shared, tarn_allocator_allocate(allocator, size, random % 4 == 0 ? own : NULL, &buffer));
        if (buffer == NULL) continue;
        atomic_fetch_add(&shared->served, 1);
        write_marks(shared, buffer);
        if (random / 16 % 32 == 0) complain(shared, tarn_buffer_record_stream(buffer, own));
        if (random / 4096 % 3 != 0) buffer = atomic_exchange(&shared->slots[random / 65536 % SLOTS], buffer);
        if (buffer == NULL) continue;
        check_marks(shared, buffer);
        complain(shared, tarn_allocator_free(allocator, buffer, random / 512 % 64 == 0 ? own : NULL));
        if (random / 1024 % 512 == 0) complain(shared, tarn_allocator_empty_cache(allocator));
        if (shared->has_rounds && random / 1024 % 64 == 1) complain(shared, tarn_planned_step(allocator));
    }
    return NULL;
}

static int pass_over(void *context, const tarn_block_info *block) {
    uint64_t *sum = context;
    *sum += block->size;
    return 0;
}

static void *watch(void *context) {
    stress *shared = context;
    tarn_memory_stats stats = {.struct_size = sizeof stats};
    while (!atomic_load(&shared->ends)) {
        uint64_t sum = 0;
        complain(shared, tarn_allocator_stats(shared->stand->allocator, &stats));
        complain(shared, tarn_allocator_each_block(shared->stand->allocator, pass_over, &sum));
        complain(shared, tarn_allocator_reset_peaks(shared->stand->allocator));
        struct timespec pause = {.tv_nsec = 1000000};
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static void run_threads(test_stand *stand, int count) {
    static stress shared;
    pthread_t threads[MOST_THREADS], watcher;
    memset(&shared, 0, sizeof shared);
    shared.stand = stand;
    shared.has_rounds = strstr(stand->spec, "planned") != NULL;
    shared.steps =
        test_number("TARN_STRESS_STEPS", test_slowness() == 1 ? 5000 : 12000 / test_slowness()) / (unsigned)count;
    assert_int_equal(pthread_create(&watcher, NULL, watch, &shared), 0);
    for (int i = 0; i < count; i++) assert_int_equal(pthread_create(&threads[i], NULL, work, &shared), 0);
    for (int i = 0; i < count; i++) pthread_join(threads[i], NULL);
    atomic_store(&shared.ends, true);
    pthread_join(watcher, NULL);
    assert_int_equal(atomic_load(&shared.wrong), 0);
    EXPECT_OK(tarn_allocator_check(stand->allocator));
    for (int i = 0; i < SLOTS; i++) {
        tarn_buffer *left = atomic_load(&shared.slots[i]);
        if (left != NULL) check_marks(&shared, left);
        EXPECT_OK(tarn_allocator_free(stand->allocator, left, NULL));
    }
    assert_int_equal(atomic_load(&shared.wrong), 0);
    tarn_memory_stats stats = stats_of(stand->allocator);
    assert_int_equal(stats.blocks.current, 0);
    assert_int_equal(stats.requested_bytes.current, 0);
    assert_int_equal(stats.in_use_bytes.current, 0);
    assert_int_equal(stats.allocations, atomic_load(&shared.served));
    assert_int_equal(stats.frees, atomic_load(&shared.served));
}

static void threads_share_an_allocator(test_stand *stand) {
    for (int n = 0; n < STAND_STREAMS; n++) stand_stream(stand, n);
    static const int counts[] = {2, 4, 16};
    uint64_t served = 0;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        tarn_allocator *fresh = NULL, *first = stand->allocator;
        EXPECT_OK(tarn_allocator_create(stand->device, tarn_allocator_spec(first), &fresh));
        stand->allocator = fresh;
        run_threads(stand, counts[i]);
        served += stats_of(fresh).allocations;
        stand->allocator = first;
        EXPECT_OK(tarn_allocator_empty_cache(fresh));
        assert_int_equal(tarn_allocator_allocated_size(fresh), 0);
        EXPECT_OK(tarn_allocator_release(fresh));
    }
    assert_true(served > 0);
}

int main(void) {
    static const conformance_test tests[] = {CONFORMANCE_TEST(threads_share_an_allocator, SPEC_THREADS)};
    return conformance_run("memory stress", tests, sizeof tests / sizeof tests[0]);
}
