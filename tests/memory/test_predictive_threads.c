/* Many threads, each with buffers of its own of one predictive allocator: growing, shrinking, moving, freeing. What the buffers hold
 * is checked where it can be; the rest is for ThreadSanitizer to see. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "stand.h"

#define MOST_THREADS 16
#define OWN_BUFFERS 4

typedef struct share {
    test_stand *stand;
    unsigned long steps;
    atomic_uint next_number;
    atomic_ulong wrong, resizes, refusals;
    atomic_bool ends;
} share;

static void judge(share *shared, tarn_status status) {
    if (status == TARN_OK) return;
    if (status == TARN_LIMIT_EXCEEDED) atomic_fetch_add(&shared->refusals, 1);
    else atomic_fetch_add(&shared->wrong, 1);
}

/* The last word of a buffer's contents and the first one, which is the one that is kept. */
static void mark(tarn_buffer *buffer, uint64_t word) {
    unsigned char *bytes = tarn_buffer_data(buffer);
    memcpy(bytes + tarn_buffer_size(buffer) - sizeof word, &word, sizeof word);
    memcpy(bytes, &word, sizeof word);
}

static void check_first(share *shared, tarn_buffer *buffer, uint64_t word) {
    if (memcmp(tarn_buffer_data(buffer), &word, sizeof word) != 0) atomic_fetch_add(&shared->wrong, 1);
}

static void *work(void *context) {
    share *shared = context;
    test_stand *stand = shared->stand;
    bool is_stored = (stand->properties.features & TARN_FEATURE_HOST_ACCESS) != 0;
    unsigned number = atomic_fetch_add(&shared->next_number, 1);
    uint64_t random = 88172645463325252u + number;
    tarn_buffer *own[OWN_BUFFERS] = {NULL};
    const tarn_shape_bounds bounds = {.minimum = {.rank = 2, .dims = {8, 1}},
                                      .maximum = {.rank = 2, .dims = {512, 64 * KIB}},
                                      .expected = {.rank = 2, .dims = {100, KIB}}};
    for (unsigned long i = 0; i < shared->steps; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        tarn_buffer **place = &own[random % OWN_BUFFERS];
        if (*place == NULL) {
            tarn_allocate_options options = {.struct_size = sizeof options, .tag = random / 64 % 2 ? "even" : "odd"};
            judge(shared, tarn_predictive_allocate(stand->allocator, &bounds, TARN_ELEMENT_U8, &options, place));
            if (*place != NULL && is_stored) mark(*place, (uint64_t)(uintptr_t)*place);
            continue;
        }
        if (random / 4 % 16 == 0) {
            judge(shared, tarn_buffer_free(*place, NULL));
            *place = NULL;
            continue;
        }
        tarn_shape shape = {.rank = 2, .dims = {8 + (int64_t)(random / 64 % 505), (int64_t)1 << (random / 65536 % 17)}};
        judge(shared, tarn_predictive_resize(*place, &shape, NULL));
        atomic_fetch_add(&shared->resizes, 1);
        if (!is_stored) continue;
        check_first(shared, *place, (uint64_t)(uintptr_t)*place);
        mark(*place, (uint64_t)(uintptr_t)*place);
        if (random / 1024 % 128 == 0) judge(shared, tarn_allocator_empty_cache(stand->allocator));
    }
    for (int i = 0; i < OWN_BUFFERS; i++) judge(shared, tarn_buffer_free(own[i], NULL));
    return NULL;
}

static int pass_over(void *context, const tarn_block_info *block) {
    uint64_t *sum = context;
    *sum += block->size + block->requested;
    return 0;
}

static void *watch(void *context) {
    share *shared = context;
    tarn_predictive_stats done = {.struct_size = sizeof done};
    tarn_memory_stats stats = {.struct_size = sizeof stats};
    while (!atomic_load(&shared->ends)) {
        uint64_t sum = 0;
        judge(shared, tarn_predictive_stats_get(shared->stand->allocator, &done));
        judge(shared, tarn_allocator_stats(shared->stand->allocator, &stats));
        judge(shared, tarn_allocator_each_block(shared->stand->allocator, pass_over, &sum));
        if (done.wasted_bytes > done.allocated_bytes) atomic_fetch_add(&shared->wrong, 1);
        sched_yield();
    }
    return NULL;
}

static void run_threads(const char *spec, const char *device, int count) {
    static share shared;
    test_stand stand;
    pthread_t threads[MOST_THREADS], watcher;
    stand_open(&stand, spec, device);
    memset(&shared, 0, sizeof shared);
    shared.stand = &stand;
    shared.steps = test_number("TARN_STRESS_STEPS", 12000 / test_slowness()) / (unsigned)count;
    assert_int_equal(pthread_create(&watcher, NULL, watch, &shared), 0);
    for (int i = 0; i < count; i++) assert_int_equal(pthread_create(&threads[i], NULL, work, &shared), 0);
    for (int i = 0; i < count; i++) pthread_join(threads[i], NULL);
    atomic_store(&shared.ends, true);
    pthread_join(watcher, NULL);
    assert_int_equal(atomic_load(&shared.wrong), 0);
    EXPECT_OK(tarn_allocator_check(stand.allocator));
    tarn_memory_stats stats = stats_of(stand.allocator);
    assert_int_equal(stats.blocks.current, 0);
    assert_int_equal(stats.requested_bytes.current, 0);
    assert_int_equal(stats.in_use_bytes.current, 0);
    tarn_predictive_stats done = {.struct_size = sizeof done};
    EXPECT_OK(tarn_predictive_stats_get(stand.allocator, &done));
    assert_true(done.resizes > 0 && done.resizes <= atomic_load(&shared.resizes));
    assert_int_equal(done.allocations, done.frees);
    /* All of the limit is there again. */
    if (strstr(spec, "max=") != NULL) give(&stand, take(&stand, 62 * MIB, NULL), NULL);
    stand_close(&stand);
}

/* 61 of the list of faults, too: no race passes the limit, and nothing of it is lost. */
static void threads_resize_their_own_buffers_of_one_allocator(void **state) {
    (void)state;
    static const char *const specs[] = {"predictive", "predictive:strategy=adaptive,in_place=off",
                                        "predictive:strategy=quantile,max=64MiB", "predictive:max=64MiB,in_place=off"};
    static const char *const devices[] = {"cpu", "sim:8GiB", "sim:8GiB,granule=0"};
    for (size_t i = 0; i < 4; i++)
        for (size_t k = 0; k < 3; k++) run_threads(specs[i], devices[k], (i + k) % 2 == 0 ? 4 : MOST_THREADS);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(threads_resize_their_own_buffers_of_one_allocator)};
    return cmocka_run_group_tests_name("memory predictive threads", tests, NULL, NULL);
}
