/* The plug-in in several threads, on a device whose streams really run beside each other. */
#include "torch_test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "gate.h"
#include "torch/native.h"

#define THREADS 4
#define ROUNDS 300
#define HELD 8

static char streams[3];

static void memory_that_another_stream_uses_is_not_handed_out(void **state) {
    (void)state;
    test_gate gate = {.is_open = false};
    char *pointer = tarn_torch_malloc(MIB, 0, NULL);
    tarn_torch_record_stream(pointer, &streams[0]);
    EXPECT_OK(tarn_stream_enqueue(tarn_torch_stream(0, &streams[0]), gate_pass, &gate));
    tarn_torch_free(pointer, MIB, 0, NULL);
    char *next = tarn_torch_malloc(MIB, 0, NULL);
    assert_ptr_not_equal(next, pointer);
    gate_open(&gate);
    EXPECT_OK(tarn_stream_synchronize(tarn_torch_stream(0, &streams[0])));
    tarn_torch_free(next, MIB, 0, NULL);
}

typedef struct worker {
    pthread_t thread;
    int number;
    int failures;
} worker;

static atomic_long told[TARN_TORCH_SEGMENT_UNMAP + 1];

static void count_event(void *context, const tarn_torch_event *event) {
    (void)context;
    atomic_fetch_add_explicit(&told[event->action], 1, memory_order_relaxed);
}

/* What others ask meanwhile: each answer is whole, whatever it is. */
static int ask(tarn_torch_pool_id id) {
    tarn_torch_stats stats;
    tarn_torch_checkpoint *checkpoint = NULL;
    if (tarn_torch_stats_get(0, &stats) != TARN_OK) return 1;
    if (tarn_torch_checkpoint_take(0, id, &checkpoint) == TARN_OK) tarn_torch_checkpoint_destroy(checkpoint);
    const tarn_torch_figure *figure = &stats.figures[TARN_TORCH_ALLOCATION][TARN_TORCH_ALL];
    return figure->allocated - figure->freed != figure->current || figure->peak < figure->current;
}

/* Each buffer holds its owner's number, so that one which two hold is seen. */
static void *work(void *context) {
    worker *self = context;
    unsigned char *held[HELD] = {NULL};
    const size_t size = 256;
    for (int round = 0; round < ROUNDS; round++) {
        int place = (round * 7 + self->number) % HELD;
        void *stream = round % 3 == 0 ? NULL : &streams[round % 3];
        if (held[place] != NULL) {
            for (size_t i = 0; i < size; i++) self->failures += held[place][i] != (unsigned char)self->number;
            if (round % 5 == 0) tarn_torch_record_stream(held[place], &streams[(round + 1) % 3]);
            tarn_torch_free(held[place], size, 0, stream);
        }
        held[place] = tarn_torch_malloc(size, 0, stream);
        if (held[place] == NULL) self->failures++;
        else memset(held[place], self->number, size);
        tarn_torch_pool_id id = {0, (uint64_t)self->number + 1};
        if (round % 50 == 10) tarn_torch_begin_allocate_to_pool_with(0, id, NULL, NULL, NULL);
        if (round % 50 == 20) tarn_torch_end_allocate_to_pool(0, id);
        if (round % 50 == 30) tarn_torch_release_pool(0, id);
        if (round % 100 == 99) tarn_torch_reset();
        if (round % 20 == 5) self->failures += ask(id);
    }
    for (int i = 0; i < HELD; i++) tarn_torch_free(held[i], size, 0, NULL);
    return NULL;
}

static void threads_share_devices_streams_and_pools(void **state) {
    (void)state;
    worker workers[THREADS];
    tarn_torch_watch(count_event, NULL);
    memset(workers, 0, sizeof workers);
    for (int i = 0; i < THREADS; i++) {
        workers[i].number = i;
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        assert_int_equal(workers[i].failures, 0);
    }
    tarn_torch_reset();
    assert_int_equal(stats_of(0).blocks.current, 0);
    assert_int_equal(memory_of(0), 0);
    assert_int_equal(told[TARN_TORCH_ALLOC], told[TARN_TORCH_FREE_REQUESTED]);
    assert_int_equal(told[TARN_TORCH_ALLOC], told[TARN_TORCH_FREE_COMPLETED]);
    tarn_torch_stats stats;
    assert_int_equal(tarn_torch_stats_get(0, &stats), TARN_OK);
    for (int name = 0; name < TARN_TORCH_FIGURES; name++) {
        for (int sizes = 0; sizes < TARN_TORCH_SIZES; sizes++) assert_int_equal(stats.figures[name][sizes].current, 0);
    }
}

int main(void) {
    setenv("TARN_TORCH_DEVICE", "cpu", 1);
    unsetenv("TARN_TORCH_ALLOCATOR");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_that_another_stream_uses_is_not_handed_out),
        cmocka_unit_test(threads_share_devices_streams_and_pools),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
