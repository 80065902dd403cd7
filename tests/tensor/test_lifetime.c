/* How long tensors and their memory live: views, streams, lent memory, threads. */
#include "bench.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/memory.h"
#include "child.h"
#include "gate.h"
#include "slowness.h"
#include "tensor/tensor.h"

static test_bench bench;

static int open_bench(void **state) {
    *state = &bench;
    bench_open(&bench, "cpu", "caching");
    return 0;
}

static int close_bench(void **state) {
    bench_close(*state);
    return 0;
}

static void release(tarn_tensor *tensor) { EXPECT_OK(tarn_tensor_release(tensor)); }

static uint64_t live_buffers(void) {
    tarn_memory_stats stats = {.struct_size = sizeof stats};
    EXPECT_OK(tarn_allocator_stats(bench.allocator, &stats));
    return stats.blocks.current;
}

static void memory_lives_as_long_as_a_view_of_it(void **state) {
    (void)state;
    tarn_tensor *tensor = counting(&bench, SHAPE(4)), *view, *again;
    EXPECT_OK(tarn_tensor_slice(tensor, 0, 1, 3, 1, &view));
    again = tarn_tensor_retain(view);
    release(tensor);
    release(view);
    assert_int_equal(live_buffers(), 1);
    EXPECT_FLOATS(again, 1, 2);
    release(again);
    assert_int_equal(live_buffers(), 0);
}

/* Whatever is done with them next. */
static void released_tensors_are_refused(void **state) {
    (void)state;
    float values[4];
    tarn_tensor *tensor = counting(&bench, SHAPE(4)), *view, *none = NULL;
    EXPECT_OK(tarn_tensor_slice(tensor, 0, 1, 3, 1, &view));
    release(tensor);
    release(view);
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_release(tensor));
    EXPECT_SENTENCE("tensor_release: the tensor was released before");
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_release(view));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_read(view, NULL, values, sizeof values));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_fill(tensor, tarn_scalar_integer(1), NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_neg(tensor, NULL, &none));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_transpose(view, NULL, &none));
    assert_null(tarn_tensor_retain(tensor));
    assert_null(none);
}

static void a_tensor_keeps_its_allocator_and_device(void **state) {
    (void)state;
    tarn_allocator *own;
    tarn_tensor *tensor;
    EXPECT_OK(tarn_allocator_create(bench.device, "direct", &own));
    EXPECT_OK(tarn_tensor_full(own, SHAPE(2), TARN_ELEMENT_F32, tarn_scalar_integer(5), NULL, &tensor));
    EXPECT_OK(tarn_allocator_release(own));
    EXPECT_OK(tarn_tensor_fill(tensor, tarn_scalar_integer(6), NULL));
    EXPECT_FLOATS(tensor, 6, 6);
    release(tensor);
}

/* Memory that another stream still reads is not given out again, though its tensor is gone. */
static void memory_that_another_stream_uses_is_not_used_again(void **state) {
    (void)state;
    test_gate gate = {0};
    tarn_stream *stream;
    tarn_tensor *source = counting(&bench, SHAPE(64)), *copy, *other;
    void *address = tarn_tensor_data(source);
    EXPECT_OK(tarn_stream_create(bench.device, &stream));
    EXPECT_OK(tarn_tensor_empty(bench.allocator, SHAPE(64), TARN_ELEMENT_F32, stream, &copy));
    EXPECT_OK(tarn_stream_enqueue(stream, gate_pass, &gate));
    EXPECT_OK(tarn_tensor_copy(copy, source, stream));
    release(source);
    EXPECT_OK(tarn_tensor_full(bench.allocator, SHAPE(64), TARN_ELEMENT_F32, tarn_scalar_integer(9), NULL, &other));
    assert_ptr_not_equal(tarn_tensor_data(other), address);
    gate_open(&gate);
    EXPECT_OK(tarn_stream_synchronize(stream));
    assert_true(((const float *)tarn_tensor_data(copy))[63] == 63);
    release(other);
    release(copy);
    EXPECT_OK(tarn_stream_release(stream));
}

static void a_tensor_may_outlive_its_stream(void **state) {
    (void)state;
    tarn_stream *stream;
    tarn_tensor *tensor;
    EXPECT_OK(tarn_stream_create(bench.device, &stream));
    EXPECT_OK(tarn_tensor_zeros(bench.allocator, SHAPE(8), TARN_ELEMENT_F32, stream, &tensor));
    EXPECT_OK(tarn_stream_release(stream));
    EXPECT_OK(tarn_tensor_fill(tensor, tarn_scalar_integer(1), NULL));
    release(tensor);
}

static float lent[4];
static atomic_int gone;
static void note_end(void *context) {
    /* The stream's work has finished by then. */
    assert_true(((const float *)context)[3] == 5);
    atomic_fetch_add(&gone, 1);
}

static void *open_soon(void *context) {
    gate_open(context);
    return NULL;
}

static void lent_memory_waits_for_all_streams_that_used_it(void **state) {
    (void)state;
    test_gate gate = {0};
    pthread_t thread;
    tarn_stream *streams[3];
    tarn_tensor *tensor;
    atomic_store(&gone, 0);
    EXPECT_OK(tarn_tensor_wrap(bench.device, lent, SHAPE(4), NULL, TARN_ELEMENT_F32, 0, note_end, lent, &tensor));
    for (size_t i = 0; i < 3; i++) {
        EXPECT_OK(tarn_stream_create(bench.device, &streams[i]));
        EXPECT_OK(tarn_tensor_fill(tensor, tarn_scalar_integer((int64_t)i), streams[i]));
        EXPECT_OK(tarn_stream_synchronize(streams[i]));
    }
    EXPECT_OK(tarn_stream_enqueue(streams[0], gate_pass, &gate));
    EXPECT_OK(tarn_tensor_fill(tensor, tarn_scalar_integer(5), streams[0]));
    assert_int_equal(pthread_create(&thread, NULL, open_soon, &gate), 0);
    release(tensor);
    assert_int_equal(atomic_load(&gone), 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    for (size_t i = 0; i < 3; i++) EXPECT_OK(tarn_stream_release(streams[i]));
}

/* The streams cannot be noted: nothing is enqueued that the end would not wait for. */
static void without_host_memory_lent_memory_is_not_used(void **state) {
    (void)state;
    float values[2] = {1, 2};
    tarn_tensor *tensor;
    EXPECT_OK(tarn_tensor_wrap(bench.device, values, SHAPE(2), NULL, TARN_ELEMENT_F32, 0, NULL, NULL, &tensor));
    base_memory_fail_at(1, 0);
    EXPECT(TARN_OUT_OF_MEMORY, tarn_tensor_fill(tensor, tarn_scalar_integer(3), NULL));
    base_memory_fail_at(0, 0);
    EXPECT_SENTENCE("no host memory to note a stream");
    EXPECT_FLOATS(tensor, 1, 2);
    EXPECT_OK(tarn_tensor_fill(tensor, tarn_scalar_integer(3), NULL));
    EXPECT_FLOATS(tensor, 3, 3);
    release(tensor);
}

static tarn_stream *users[2];
static atomic_bool using_ends;

/* In turns, since the stream that used the memory last is not noted again. */
static int use_in_child(void *context) {
    for (int i = 0; i < 4; i++) (void)tensor_lent_use(context, users[i % 2]);
    return 0;
}

static void *use_again_and_again(void *context) {
    while (!atomic_load(&using_ends)) use_in_child(context);
    return NULL;
}

/* Fault 37: the streams of lent memory may be noted by another thread when the process is forked. */
static void a_child_uses_lent_memory_although_a_thread_did_at_the_fork(void **state) {
    (void)state;
    pthread_t user;
    int worst = 0;
    tensor_lent *memory = tensor_lent_create(NULL, NULL);
    assert_non_null(memory);
    for (size_t i = 0; i < 2; i++) EXPECT_OK(tarn_stream_create(bench.device, &users[i]));
    atomic_store(&using_ends, false);
    assert_int_equal(pthread_create(&user, NULL, use_again_and_again, memory), 0);
    for (unsigned i = 0; i < 100 / test_slowness() && worst == 0; i++) worst = exit_of_child(use_in_child, memory);
    atomic_store(&using_ends, true);
    assert_int_equal(pthread_join(user, NULL), 0);
    assert_int_equal(worst, 0);
    EXPECT_OK(tensor_lent_end(memory));
    for (size_t i = 0; i < 2; i++) EXPECT_OK(tarn_stream_release(users[i]));
}

static void a_stream_of_another_device_is_refused(void **state) {
    (void)state;
    test_bench sim;
    bench_open(&sim, "sim", "caching");
    tarn_stream *wrong = tarn_device_default_stream(sim.device);
    tarn_tensor *tensor = counting(&bench, SHAPE(2)), *none = NULL;
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_fill(tensor, tarn_scalar_integer(1), wrong));
    EXPECT_SENTENCE("cpu: the stream belongs to sim");
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_zeros(bench.allocator, SHAPE(2), TARN_ELEMENT_F32, wrong, &none));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_contiguous(tensor, wrong, &none));
    assert_null(none);
    release(tensor);
    bench_close(&sim);
}

/* Several threads make views of one tensor, read it and let it go; the last one, whichever, gives the memory back. */
enum { threads = 4, rounds = 200 };

static void *use_shared(void *context) {
    tarn_tensor *shared = context;
    for (int i = 0; i < rounds; i++) {
        tarn_tensor *view = NULL, *copy = NULL;
        float values[2] = {0};
        tarn_status status = tarn_tensor_slice(shared, 0, 1, 3, 1, &view);
        if (status == TARN_OK) status = tarn_tensor_cast(view, TARN_ELEMENT_F64, NULL, &copy);
        if (status == TARN_OK) status = tarn_tensor_read(view, NULL, values, sizeof values);
        tarn_tensor_release(view);
        tarn_tensor_release(copy);
        if (status != TARN_OK || values[1] != 2) return shared;
    }
    return tarn_tensor_release(shared) == TARN_OK ? NULL : shared;
}

static void threads_share_a_tensor(void **state) {
    (void)state;
    pthread_t ids[threads];
    tarn_tensor *shared = counting(&bench, SHAPE(4));
    for (int i = 0; i < threads; i++) {
        assert_int_equal(pthread_create(&ids[i], NULL, use_shared, tarn_tensor_retain(shared)), 0);
    }
    release(shared);
    for (int i = 0; i < threads; i++) {
        void *answer;
        assert_int_equal(pthread_join(ids[i], &answer), 0);
        assert_null(answer);
    }
    assert_int_equal(live_buffers(), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, open_bench, close_bench)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(memory_lives_as_long_as_a_view_of_it),
        TEST(released_tensors_are_refused),
        TEST(a_tensor_keeps_its_allocator_and_device),
        TEST(memory_that_another_stream_uses_is_not_used_again),
        TEST(a_tensor_may_outlive_its_stream),
        TEST(lent_memory_waits_for_all_streams_that_used_it),
        TEST(without_host_memory_lent_memory_is_not_used),
        TEST(a_child_uses_lent_memory_although_a_thread_did_at_the_fork),
        TEST(a_stream_of_another_device_is_refused),
        TEST(threads_share_a_tensor),
    };
    return cmocka_run_group_tests_name("tensor.lifetime", tests, NULL, NULL);
}
