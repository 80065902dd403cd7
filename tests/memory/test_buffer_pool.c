/* Buffer pools: buckets, alignments, pointers that are not the pool's, giving back. Numbers in comments are those of the project's
 * list of faults. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <tarn/buffer_pool.h>

#include "stand.h"
#include "trials.h"

static const char *const specs[] = {"caching", "direct", "pool", "pool | caching", "limit:1GiB | caching", "arena"};
#define SPECS (sizeof specs / sizeof specs[0])

/* Runs the body once on each spec, with a pool made before and released after it. */
static void on_each(void (*body)(test_stand *stand, tarn_buffer_pool *pool)) {
    for (size_t i = 0; i < SPECS; i++) {
        test_stand stand;
        tarn_buffer_pool *pool = NULL;
        stand_open(&stand, specs[i], "cpu");
        EXPECT_OK(tarn_buffer_pool_create(stand.allocator, &pool));
        body(&stand, pool);
        EXPECT_OK(tarn_buffer_pool_release(pool));
        assert_int_equal(stats_of(stand.allocator).blocks.current, 0);
        stand_close(&stand);
    }
}

static void *get_new(tarn_buffer_pool *pool, size_t size) {
    void *memory = NULL;
    EXPECT_OK(tarn_buffer_pool_get_or_alloc(pool, size, &memory));
    assert_non_null(memory);
    assert_true(tarn_buffer_pool_capacity(pool, memory) >= size);
    return memory;
}

/* The specification's usage: get, else allocate; put; get gives the same. */
static void use(test_stand *stand, tarn_buffer_pool *pool) {
    (void)stand;
    assert_null(tarn_buffer_pool_get(pool, 4096));
    void *memory = get_new(pool, 4096);
    memset(memory, 7, tarn_buffer_pool_capacity(pool, memory));
    assert_null(tarn_buffer_pool_get(pool, 4096));
    EXPECT_OK(tarn_buffer_pool_put(pool, memory));
    assert_ptr_equal(tarn_buffer_pool_get(pool, 4096), memory);
    EXPECT_OK(tarn_buffer_pool_put(pool, memory));
    assert_ptr_equal(get_new(pool, 4000), memory);
    EXPECT_OK(tarn_buffer_pool_put(pool, memory));
}

static void what_is_put_is_got_again(void **state) {
    (void)state;
    on_each(use);
}

/* Bucket i serves sizes from above 64 * 2^(i-1) up to 64 * 2^i, and no other. */
static void fill_buckets(test_stand *stand, tarn_buffer_pool *pool) {
    for (unsigned i = 0; i < TARN_BUFFER_POOL_BUCKETS; i++) {
        size_t size = (size_t)64 << i;
        uint64_t before = stats_of(stand->allocator).allocations;
        void *memory = get_new(pool, size);
        assert_true(tarn_buffer_pool_capacity(pool, memory) >= size);
        EXPECT_OK(tarn_buffer_pool_put(pool, memory));
        assert_null(tarn_buffer_pool_get(pool, size + 1));
        if (i > 0) assert_null(tarn_buffer_pool_get(pool, size / 2));
        assert_ptr_equal(tarn_buffer_pool_get(pool, i > 0 ? size / 2 + 1 : 1), memory);
        EXPECT_OK(tarn_buffer_pool_put(pool, memory));
        assert_ptr_equal(get_new(pool, size), memory);
        assert_int_equal(stats_of(stand->allocator).allocations, before + 1);
        /* It stays out, so that the next bucket's neighbour is empty. */
        EXPECT_OK(tarn_buffer_pool_put(pool, memory));
        void *out = tarn_buffer_pool_get(pool, size);
        assert_ptr_equal(out, memory);
    }
    EXPECT_OK(tarn_buffer_pool_clear(pool));
}

static void there_are_21_buckets_of_powers_of_two(void **state) {
    (void)state;
    on_each(fill_buckets);
}

static void use_large(test_stand *stand, tarn_buffer_pool *pool) {
    size_t large = 128 * MIB + 1;
    assert_null(tarn_buffer_pool_get(pool, large));
    void *memory = get_new(pool, large);
    assert_null(tarn_buffer_pool_get(pool, large));
    assert_int_equal(stats_of(stand->allocator).blocks.current, 1);
    EXPECT_OK(tarn_buffer_pool_put(pool, memory));
    assert_int_equal(stats_of(stand->allocator).blocks.current, 0);
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_pool_put(pool, memory));
    memory = get_new(pool, large);
    EXPECT_OK(tarn_buffer_pool_clear(pool));
    assert_int_equal(stats_of(stand->allocator).blocks.current, 0);
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_pool_put(pool, memory));
}

static void above_the_last_bucket_nothing_is_pooled(void **state) {
    (void)state;
    on_each(use_large);
}

/* 9 */
static void use_aligned(test_stand *stand, tarn_buffer_pool *pool) {
    tarn_allocate_options options = {.struct_size = sizeof options, .alignment = 64 * KIB};
    tarn_buffer *buffer = NULL;
    EXPECT_OK(tarn_allocator_allocate_with(stand->allocator, 4096, &options, &buffer));
    void *aligned = tarn_buffer_data(buffer);
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_pool_put_aligned(pool, aligned, 3));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_pool_put_aligned(pool, aligned, 0));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_pool_put_aligned(pool, (char *)aligned + 64, 4096));
    EXPECT_OK(tarn_buffer_pool_put_aligned(pool, aligned, 4096));
    assert_null(tarn_buffer_pool_get_aligned(pool, 4096, 3));
    assert_null(tarn_buffer_pool_get_aligned(pool, 4096, (size_t)1 << 40));
    assert_ptr_equal(tarn_buffer_pool_get_aligned(pool, 4096, 64 * KIB), aligned);
    void *plain = get_new(pool, 4096);
    EXPECT_OK(tarn_buffer_pool_put(pool, plain));
    EXPECT_OK(tarn_buffer_pool_put(pool, aligned));
    /* The least aligned one serves who needs no more. */
    if ((uintptr_t)plain % (64 * KIB) != 0) {
        assert_ptr_equal(tarn_buffer_pool_get(pool, 4096), plain);
        assert_ptr_equal(tarn_buffer_pool_get_aligned(pool, 4096, 64 * KIB), aligned);
        assert_null(tarn_buffer_pool_get_aligned(pool, 4096, 1));
    }
    EXPECT_OK(tarn_buffer_pool_clear(pool));
    EXPECT_OK(tarn_allocator_find(stand->allocator, aligned, &buffer));
}

static void put_a_stranger(test_stand *stand, tarn_buffer_pool *pool) {
    char closed[64];
    tarn_buffer *own = take(stand, 8192, NULL), *small = take(stand, 100, NULL);
    char *data = tarn_buffer_data(own);
    /* 13, 14 */
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_pool_put(pool, closed));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_pool_put(pool, data + 64));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_pool_put(pool, data + 1));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_pool_put(pool, (void *)(uintptr_t)64));
    /* A live buffer of the allocator becomes the pool's. */
    EXPECT_OK(tarn_buffer_pool_put(pool, data));
    /* 15 */
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_pool_put(pool, data));
    EXPECT_SENTENCE("already");
    assert_ptr_equal(tarn_buffer_pool_get(pool, 8192), data);
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_pool_put(pool, data + 8));
    EXPECT_OK(tarn_buffer_pool_put(pool, data));
    /* A capacity between two powers of two is good for the lower one: 64 to 127 bytes is the first bucket. */
    size_t bucket = 64;
    while (bucket * 2 <= tarn_buffer_capacity(small)) bucket *= 2;
    EXPECT_OK(tarn_buffer_pool_put(pool, tarn_buffer_data(small)));
    assert_non_null(tarn_buffer_pool_get(pool, bucket));
    /* 17 */
    tarn_allocator *other = NULL;
    tarn_buffer *theirs = NULL;
    EXPECT_OK(tarn_allocator_create(stand->device, "caching", &other));
    EXPECT_OK(tarn_allocator_allocate(other, 4096, NULL, &theirs));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_pool_put(pool, tarn_buffer_data(theirs)));
    assert_true(tarn_buffer_is_valid(theirs));
    EXPECT_OK(tarn_allocator_free(other, theirs, NULL));
    EXPECT_OK(tarn_allocator_release(other));
    EXPECT_OK(tarn_buffer_pool_clear(pool));
}

static void foreign_interior_and_twice_put_pointers_are_refused(void **state) {
    (void)state;
    on_each(put_a_stranger);
}

static void buffers_are_found_by_their_alignment(void **state) {
    (void)state;
    test_stand stand;
    tarn_buffer_pool *pool = NULL;
    stand_open(&stand, "caching", "cpu");
    EXPECT_OK(tarn_buffer_pool_create(stand.allocator, &pool));
    use_aligned(&stand, pool);
    EXPECT_OK(tarn_buffer_pool_release(pool));
    assert_int_equal(stats_of(stand.allocator).blocks.current, 0);
    stand_close(&stand);
}

static void clear_takes_everything_back(void **state) {
    (void)state;
    test_stand stand;
    tarn_buffer_pool *pool = NULL;
    void *memory[50];
    stand_open(&stand, "caching", "cpu");
    EXPECT_OK(tarn_buffer_pool_create(stand.allocator, &pool));
    for (int round = 0; round < 5; round++) {
        for (size_t i = 0; i < 50; i++) memory[i] = get_new(pool, 100 * i + 1);
        EXPECT_OK(tarn_buffer_pool_clear(pool));
        for (size_t i = 0; i < 50; i++) {
            EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_pool_put(pool, memory[i]));
            assert_int_equal(tarn_buffer_pool_capacity(pool, memory[i]), 0);
        }
        assert_int_equal(stats_of(stand.allocator).allocations, 50);
    }
    EXPECT_OK(tarn_buffer_pool_release(pool));
    stand_close(&stand);
}

/* 29: what nobody uses goes back before an allocation fails. */
static void the_allocator_gets_idle_buffers_back_when_it_runs_out(void **state) {
    (void)state;
    test_stand stand;
    tarn_buffer_pool *pool = NULL;
    stand_open(&stand, "limit:64MiB | caching", "cpu");
    EXPECT_OK(tarn_buffer_pool_create(stand.allocator, &pool));
    void *kept = get_new(pool, 8 * MIB), *idle = get_new(pool, 32 * MIB);
    EXPECT_OK(tarn_buffer_pool_put(pool, idle));
    tarn_buffer *buffer = take(&stand, 40 * MIB, NULL);
    assert_null(tarn_buffer_pool_get(pool, 32 * MIB));
    EXPECT_OK(tarn_buffer_pool_put(pool, kept));
    give(&stand, buffer, NULL);
    /* Its own request, too. */
    assert_non_null(get_new(pool, 32 * MIB));
    assert_non_null(get_new(pool, 30 * MIB));
    EXPECT_OK(tarn_buffer_pool_clear(pool));
    EXPECT_OK(tarn_buffer_pool_release(pool));
    stand_close(&stand);
}

/* 20 */
static void a_release_with_buffers_out_reports_them(void **state) {
    (void)state;
    test_stand stand;
    tarn_buffer_pool *pool = NULL;
    tarn_buffer *buffer = NULL;
    stand_open(&stand, "caching", "cpu");
    EXPECT_OK(tarn_buffer_pool_create(stand.allocator, &pool));
    void *memory = get_new(pool, 1000);
    EXPECT_OK(tarn_buffer_pool_put(pool, get_new(pool, 5000)));
    log_listen();
    EXPECT_OK(tarn_buffer_pool_release(pool));
    log_silence();
    assert_non_null(strstr(log_heard(), "1 buffers"));
    EXPECT_OK(tarn_allocator_find(stand.allocator, memory, &buffer));
    give(&stand, buffer, NULL);
    stand_close(&stand);
}

/* 10 */
static void wrong_arguments_are_refused(void **state) {
    (void)state;
    test_stand stand;
    tarn_buffer_pool *pool = NULL;
    void *memory = NULL;
    stand_open(&stand, "caching", "cpu");
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_pool_create(NULL, &pool));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_pool_create(stand.allocator, NULL));
    EXPECT_OK(tarn_buffer_pool_create(stand.allocator, &pool));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_pool_get_or_alloc(pool, 0, &memory));             /* 1 */
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_pool_get_or_alloc(pool, SIZE_MAX, &memory));      /* 2 */
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_pool_get_or_alloc(pool, SIZE_MAX - 10, &memory)); /* 3 */
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_pool_get_or_alloc(NULL, 1, &memory));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_pool_get_or_alloc(pool, 1, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_pool_put(NULL, &stand));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_pool_clear(NULL));
    EXPECT_OK(tarn_buffer_pool_put(pool, NULL));
    assert_null(memory);
    assert_null(tarn_buffer_pool_get(NULL, 1));
    assert_null(tarn_buffer_pool_get(pool, 0));
    assert_null(tarn_buffer_pool_get(pool, SIZE_MAX));
    assert_int_equal(tarn_buffer_pool_capacity(NULL, NULL), 0);
    tarn_buffer_pool *again = tarn_buffer_pool_retain(pool);
    EXPECT_OK(tarn_buffer_pool_release(again));
    EXPECT_OK(tarn_buffer_pool_release(pool));
    EXPECT_OK(tarn_buffer_pool_release(NULL));
    stand_close(&stand);
    /* What the host cannot read has no plain pointers. */
    stand_open(&stand, "caching", "sim:1GiB");
    pool = NULL;
    EXPECT(TARN_NOT_SUPPORTED, tarn_buffer_pool_create(stand.allocator, &pool));
    assert_null(pool);
    stand_close(&stand);
}

static void use_a_pool_under_a_shortage(test_stand *stand) {
    tarn_buffer_pool *pool = NULL;
    void *memory[40] = {NULL};
    tarn_status status = tarn_buffer_pool_create(stand->allocator, &pool);
    if (status != TARN_OK) assert_int_equal(status, TARN_OUT_OF_MEMORY);
    for (size_t i = 0; i < 40 && pool != NULL; i++) {
        status = tarn_buffer_pool_get_or_alloc(pool, 1000, &memory[i]);
        if (status != TARN_OK) assert_int_equal(status, TARN_OUT_OF_MEMORY);
        else assert_non_null(memory[i]);
    }
    trial_shortage_ends();
    if (pool == NULL) EXPECT_OK(tarn_buffer_pool_create(stand->allocator, &pool));
    for (size_t i = 0; i < 40; i++) {
        if (memory[i] == NULL) memory[i] = get_new(pool, 1000);
        EXPECT_OK(tarn_buffer_pool_put(pool, memory[i]));
    }
    EXPECT_OK(tarn_buffer_pool_release(pool));
    assert_int_equal(stats_of(stand->allocator).blocks.current, 0);
}

static void every_request_for_host_memory_fails(void **state) {
    (void)state;
    assert_true(trial_of_each_shortage("caching", "cpu", use_a_pool_under_a_shortage) > 3);
}

typedef struct sharing {
    tarn_buffer_pool *pool;
    atomic_ulong wrong;
    unsigned long steps;
} sharing;

static void *share(void *context) {
    sharing *shared = context;
    for (unsigned long i = 0; i < shared->steps; i++) {
        void *memory = NULL;
        size_t size = (size_t)64 << (i % 9);
        if (tarn_buffer_pool_get_or_alloc(shared->pool, size, &memory) != TARN_OK) {
            atomic_fetch_add(&shared->wrong, 1);
            continue;
        }
        uintptr_t mark = (uintptr_t)&shared + i;
        memcpy(memory, &mark, sizeof mark);
        uintptr_t read;
        memcpy(&read, memory, sizeof read);
        if (read != mark || tarn_buffer_pool_put(shared->pool, memory) != TARN_OK) atomic_fetch_add(&shared->wrong, 1);
    }
    return NULL;
}

static void threads_share_a_pool(void **state) {
    (void)state;
    enum { THREADS = 4 };
    test_stand stand;
    pthread_t threads[THREADS];
    sharing shared = {.steps = 20000 / test_slowness()};
    stand_open(&stand, "caching", "cpu");
    EXPECT_OK(tarn_buffer_pool_create(stand.allocator, &shared.pool));
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, share, &shared), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&shared.wrong), 0);
    EXPECT_OK(tarn_buffer_pool_release(shared.pool));
    stand_close(&stand);
}

static atomic_bool clearing_ends;

static void *clear_again_and_again(void *context) {
    while (!atomic_load(&clearing_ends)) (void)tarn_buffer_pool_clear(context);
    return NULL;
}

/* Who clears the pool meanwhile takes what is out back as well: it must not be in the pool twice. */
static void a_stranger_comes_into_the_pool_once(void **state) {
    (void)state;
    test_stand stand;
    tarn_buffer_pool *pool = NULL;
    pthread_t thread;
    unsigned twice = 0;
    stand_open(&stand, "caching", "cpu");
    EXPECT_OK(tarn_buffer_pool_create(stand.allocator, &pool));
    atomic_store(&clearing_ends, false);
    assert_int_equal(pthread_create(&thread, NULL, clear_again_and_again, pool), 0);
    for (unsigned i = 0; i < 40000 / test_slowness() && twice == 0; i++) {
        tarn_buffer *buffer = NULL;
        EXPECT_OK(tarn_allocator_allocate(stand.allocator, 4096, NULL, &buffer));
        void *data = tarn_buffer_data(buffer);
        if (tarn_buffer_pool_put(pool, data) != TARN_OK) continue;
        if (i % 64 != 63) continue;
        atomic_store(&clearing_ends, true);
        pthread_join(thread, NULL);
        void *found[128];
        size_t count = 0;
        while (count < 128 && (found[count] = tarn_buffer_pool_get(pool, 4096)) != NULL) count++;
        for (size_t a = 0; a < count; a++)
            for (size_t b = 0; b < a; b++) twice += found[a] == found[b];
        for (size_t a = 0; a < count && twice == 0; a++) {
            tarn_buffer *got = NULL;
            EXPECT_OK(tarn_buffer_pool_put(pool, found[a]));
            EXPECT_OK(tarn_allocator_find(stand.allocator, found[a], &got));
        }
        if (twice == 0) EXPECT_OK(tarn_buffer_pool_release(pool));
        if (twice == 0) EXPECT_OK(tarn_buffer_pool_create(stand.allocator, &pool));
        atomic_store(&clearing_ends, false);
        assert_int_equal(pthread_create(&thread, NULL, clear_again_and_again, pool), 0);
    }
    atomic_store(&clearing_ends, true);
    pthread_join(thread, NULL);
    assert_int_equal(twice, 0);
    EXPECT_OK(tarn_buffer_pool_release(pool));
    stand_close(&stand);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_is_got_again),
        cmocka_unit_test(there_are_21_buckets_of_powers_of_two),
        cmocka_unit_test(above_the_last_bucket_nothing_is_pooled),
        cmocka_unit_test(buffers_are_found_by_their_alignment),
        cmocka_unit_test(foreign_interior_and_twice_put_pointers_are_refused),
        cmocka_unit_test(clear_takes_everything_back),
        cmocka_unit_test(the_allocator_gets_idle_buffers_back_when_it_runs_out),
        cmocka_unit_test(a_release_with_buffers_out_reports_them),
        cmocka_unit_test(wrong_arguments_are_refused),
        cmocka_unit_test(every_request_for_host_memory_fails),
        cmocka_unit_test(threads_share_a_pool),
        cmocka_unit_test(a_stranger_comes_into_the_pool_once),
    };
    return cmocka_run_group_tests_name("memory buffer pool", tests, NULL, NULL);
}
