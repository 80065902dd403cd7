/* Blocks that one thread frees and another asks for: `caching` passes them through slots that its threads share, half a slot
 * at a time, and no figure may suffer from it. Threads take turns here, so that every figure is known exactly. */
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "stand.h"

enum { BLOCKS = 900 };

typedef struct turn {
    tarn_allocator *allocator;
    tarn_stream *stream;
    size_t size;
    int first, count;
    tarn_status status; /* the first that was not OK */
    tarn_buffer *(*buffers)[BLOCKS];
} turn;

static void *allocate_some(void *context) {
    turn *mine = context;
    for (int i = mine->first; i < mine->first + mine->count && mine->status == TARN_OK; i++)
        mine->status = tarn_allocator_allocate(mine->allocator, mine->size, mine->stream, &(*mine->buffers)[i]);
    return NULL;
}

static void *free_some(void *context) {
    turn *mine = context;
    for (int i = mine->first; i < mine->first + mine->count && mine->status == TARN_OK; i++)
        mine->status = tarn_allocator_free(mine->allocator, (*mine->buffers)[i], mine->stream);
    return NULL;
}

/* Threads that live through the whole test, so that their caches do: each does what it is told. A test that fails leaves them
 * behind, idle, and the next one ends them: that is why they are not in its frame. */
typedef struct worker {
    bool is_there;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    void *(*task)(void *); /* protected by the lock, as the next two are */
    void *context;
    bool ends;
} worker;

static worker workers[3];
static worker *const taker = &workers[0], *const giver = &workers[1], *const other = &workers[2];

static void *work(void *context) {
    worker *self = context;
    pthread_mutex_lock(&self->lock);
    while (!self->ends) {
        if (self->task != NULL) {
            self->task(self->context);
            self->task = NULL;
            pthread_cond_broadcast(&self->changed);
        }
        if (!self->ends) pthread_cond_wait(&self->changed, &self->lock);
    }
    pthread_mutex_unlock(&self->lock);
    return NULL;
}

static void end(worker *self) {
    pthread_mutex_lock(&self->lock);
    self->ends = true;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->lock);
    assert_int_equal(pthread_join(self->thread, NULL), 0);
    pthread_mutex_destroy(&self->lock);
    pthread_cond_destroy(&self->changed);
    self->is_there = false;
}

static void begin(worker *self) {
    if (self->is_there) end(self);
    *self = (worker){.is_there = true};
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->changed, NULL);
    assert_int_equal(pthread_create(&self->thread, NULL, work, self), 0);
}

static void tell(worker *self, void *(*task)(void *), turn *context) {
    pthread_mutex_lock(&self->lock);
    self->task = task;
    self->context = context;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->lock);
}

static void await(worker *self) {
    pthread_mutex_lock(&self->lock);
    while (self->task != NULL) pthread_cond_wait(&self->changed, &self->lock);
    pthread_mutex_unlock(&self->lock);
}

/* Has the worker do it, and waits for the end. */
static void have_done(worker *self, void *(*task)(void *), turn *context) {
    tell(self, task, context);
    await(self);
    EXPECT_OK(context->status);
}

static void expect_exact(test_stand *stand, size_t size, uint64_t live, uint64_t allocations) {
    EXPECT_OK(tarn_allocator_check(stand->allocator));
    tarn_memory_stats stats = stats_of(stand->allocator);
    assert_int_equal(stats.blocks.current, live);
    assert_int_equal(stats.requested_bytes.current, live * size);
    assert_int_equal(stats.allocations, allocations);
    assert_int_equal(stats.frees, allocations - live);
    assert_int_equal(stats.in_use_bytes.current + stats.cached_bytes.current, stats.reserved_bytes.current);
    assert_int_equal(tarn_allocator_allocated_size(stand->allocator), stats.reserved_bytes.current);
    assert_int_equal(tarn_allocator_cache_size(stand->allocator), stats.cached_bytes.current);
}

static int by_address(const void *left, const void *right) {
    uintptr_t a = (uintptr_t)tarn_buffer_data(*(tarn_buffer *const *)left);
    uintptr_t b = (uintptr_t)tarn_buffer_data(*(tarn_buffer *const *)right);
    return a < b ? -1 : a > b;
}

static void expect_apart(tarn_buffer *const *buffers, int count) {
    static tarn_buffer *sorted[BLOCKS];
    memcpy(sorted, buffers, (size_t)count * sizeof sorted[0]);
    qsort(sorted, (size_t)count, sizeof sorted[0], by_address);
    for (int i = 1; i < count; i++) assert_false(buffers_overlap(sorted[i - 1], sorted[i]));
}

/* One thread allocates all, the other frees all, again and again. */
static void go_round(test_stand *stand, tarn_stream *stream, size_t size, int count) {
    static tarn_buffer *buffers[BLOCKS];
    enum { ROUNDS = 3 };
    uint64_t before = stats_of(stand->allocator).allocations, reserved = 0;
    begin(taker);
    begin(giver);
    for (int round = 1; round <= ROUNDS; round++) {
        turn mine = {
            .allocator = stand->allocator, .stream = stream, .size = size, .count = count, .buffers = &buffers};
        have_done(taker, allocate_some, &mine);
        expect_apart(buffers, count);
        expect_exact(stand, size, (uint64_t)count, before + (uint64_t)(round * count));
        have_done(giver, free_some, &mine);
        expect_exact(stand, size, 0, before + (uint64_t)(round * count));
        if (round == 1) reserved = stats_of(stand->allocator).reserved_bytes.current;
        /* What the other thread freed was enough. */
        assert_int_equal(stats_of(stand->allocator).reserved_bytes.current, reserved);
    }
    end(giver);
    end(taker);
    expect_exact(stand, size, 0, before + (uint64_t)(ROUNDS * count));
}

static void what_one_thread_frees_serves_another(test_stand *stand) {
    static const size_t sizes[] = {64, 4 * KIB, 64 * KIB};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        go_round(stand, NULL, sizes[i], sizes[i] <= 4 * KIB ? BLOCKS : 300);
    go_round(stand, NULL, MIB, 60);
    go_round(stand, stand_stream(stand, 0), 512, 600);
    EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
    assert_int_equal(tarn_allocator_allocated_size(stand->allocator), 0);
}

/* Blocks in the shared slots are cached like all others: they are given back when they are asked for, and by whom. */
static void shared_blocks_are_given_back_with_the_rest(test_stand *stand) {
    static tarn_buffer *buffers[BLOCKS];
    begin(taker);
    begin(giver);
    turn mine = {.allocator = stand->allocator, .size = 2 * KIB, .count = BLOCKS, .buffers = &buffers};
    have_done(taker, allocate_some, &mine);
    have_done(giver, free_some, &mine);
    EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
    expect_exact(stand, 2 * KIB, 0, BLOCKS);
    assert_int_equal(tarn_allocator_allocated_size(stand->allocator), 0);
    /* The same after the thread that freed has ended, and with blocks of another size in between. */
    have_done(taker, allocate_some, &mine);
    turn half = mine;
    half.count = BLOCKS / 2;
    have_done(giver, free_some, &half);
    end(giver);
    half.first = BLOCKS / 2;
    have_done(taker, free_some, &half);
    expect_exact(stand, 2 * KIB, 0, 2 * BLOCKS);
    mine.size = 8 * KIB;
    have_done(taker, allocate_some, &mine);
    expect_apart(buffers, BLOCKS);
    have_done(taker, free_some, &mine);
    expect_exact(stand, 8 * KIB, 0, 3 * BLOCKS);
    end(taker);
    EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
    assert_int_equal(tarn_allocator_allocated_size(stand->allocator), 0);
}

/* Both give and take at once; only the sum is known, and only at the end. */
static void threads_that_give_and_take_at_once_lose_nothing(test_stand *stand) {
    static tarn_buffer *buffers[BLOCKS];
    enum { ROUNDS = 6 };
    begin(taker);
    begin(giver);
    begin(other);
    turn mine = {.allocator = stand->allocator, .size = 256, .count = BLOCKS, .buffers = &buffers};
    have_done(taker, allocate_some, &mine);
    for (int round = 0; round < ROUNDS; round++) {
        /* The first two thirds are freed by one while the other allocates the last third anew. */
        turn first = mine, last = mine;
        first.count = BLOCKS / 3;
        last.first = 2 * BLOCKS / 3;
        last.count = BLOCKS / 3;
        have_done(giver, free_some, &last);
        tell(other, free_some, &first);
        tell(taker, allocate_some, &last);
        await(other);
        await(taker);
        EXPECT_OK(first.status);
        EXPECT_OK(last.status);
        have_done(round % 2 == 0 ? taker : giver, allocate_some, &first);
        expect_apart(buffers, BLOCKS);
    }
    have_done(giver, free_some, &mine);
    end(taker);
    end(giver);
    end(other);
    expect_exact(stand, 256, 0, BLOCKS + ROUNDS * 2 * (BLOCKS / 3));
}

int main(void) {
    static const conformance_test tests[] = {
        CONFORMANCE_TEST(what_one_thread_frees_serves_another, SPEC_CACHES | SPEC_UNLIMITED),
        CONFORMANCE_TEST(shared_blocks_are_given_back_with_the_rest, SPEC_CACHES | SPEC_UNLIMITED),
        CONFORMANCE_TEST(threads_that_give_and_take_at_once_lose_nothing, SPEC_CACHES | SPEC_UNLIMITED | SPEC_THREADS),
    };
    return conformance_run("memory hand over", tests, sizeof tests / sizeof tests[0]);
}
