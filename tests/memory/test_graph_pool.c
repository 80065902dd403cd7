/* Graph pools under captures: whose memory is whose, how long it stays, and what is refused. Each test runs on `cpu`, and
 * most on `sim` too. Numbers in comments are those of the project's list of faults. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "fake.h"
#include "gate.h"
#include "hal/graph.h"
#include "stand.h"

static const char *const devices[] = {"cpu", "sim:1GiB", "sim:1GiB,lag=1ms", "fake:1GiB,flat"};
#define DEVICES (sizeof devices / sizeof devices[0])

/* Runs the body on a fresh stand with two streams for each device. */
static void on_each_device(const char *spec, void (*body)(test_stand *stand)) {
    for (size_t i = 0; i < DEVICES; i++) {
        test_stand stand;
        stand_open(&stand, spec, devices[i]);
        stand_stream(&stand, 0);
        stand_stream(&stand, 1);
        body(&stand);
        stand_close(&stand);
    }
}

static void begin(test_stand *stand) {
    EXPECT_OK(tarn_graph_pool_begin_capture(stand->allocator, stand->streams[0], TARN_CAPTURE_GLOBAL));
}

static tarn_graph_instance *end(test_stand *stand) {
    tarn_graph *graph = NULL;
    tarn_graph_instance *instance = NULL;
    EXPECT_OK(tarn_stream_end_capture(stand->streams[0], &graph));
    EXPECT_OK(tarn_graph_instantiate(graph, &instance));
    EXPECT_OK(tarn_graph_release(graph));
    return instance;
}

/* Releases it and sees it taken down. */
static void finish(test_stand *stand, tarn_graph_instance *instance) {
    EXPECT_OK(tarn_graph_instance_release(instance));
    EXPECT_OK(tarn_device_synchronize(stand->device));
}

static tarn_graph_pool_info info_of(tarn_allocator *pool) {
    tarn_graph_pool_info info = {.struct_size = sizeof info};
    EXPECT_OK(tarn_graph_pool_info_get(pool, &info));
    return info;
}

static void fill(tarn_stream *stream, tarn_buffer *buffer, unsigned char byte) {
    EXPECT_OK(tarn_stream_fill(stream, tarn_buffer_data(buffer), &byte, 1, tarn_buffer_size(buffer)));
}

/* A step of training: temporaries that are freed in the capture, and a result that is not. */
static void captured_memory_keeps_its_address_body(test_stand *stand) {
    tarn_stream *stream = stand->streams[0];
    tarn_buffer *input = take(stand, 4096, NULL);
    begin(stand);
    tarn_buffer *temporary = take(stand, 8192, stream), *result = take(stand, 4096, stream);
    void *first = tarn_buffer_data(temporary), *kept = tarn_buffer_data(result);
    fill(stream, temporary, 1);
    EXPECT_OK(tarn_stream_copy(stream, kept, tarn_buffer_data(input), 4096));
    give(stand, temporary, stream);
    /* Inside the capture its memory serves what comes after it. */
    tarn_buffer *second = take(stand, 8192, stream);
    assert_ptr_equal(tarn_buffer_data(second), first);
    give(stand, second, NULL);
    tarn_graph_instance *instance = end(stand);
    tarn_memory_stats before = stats_of(stand->allocator);
    /* What the graph uses is given to nobody, although it is free. */
    tarn_buffer *others[64];
    for (int i = 0; i < 64; i++) {
        others[i] = take(stand, 8192, i % 2 == 0 ? stream : NULL);
        assert_true(tarn_buffer_data(others[i]) != first);
    }
    for (int i = 0; i < 64; i++) give(stand, others[i], NULL);
    for (int i = 0; i < 3; i++) EXPECT_OK(tarn_graph_instance_launch(instance, i == 1 ? stand->streams[1] : stream));
    assert_ptr_equal(tarn_buffer_data(result), kept);
    /* Bytes are counted once, not again at reuse. */
    assert_int_equal(stats_of(stand->allocator).reserved_bytes.current, before.reserved_bytes.current);
    assert_int_equal(stats_of(stand->allocator).reserved_bytes.total, before.reserved_bytes.total);
    /* Freeing what a live graph uses is refused, whoever asks. */
    EXPECT(TARN_INVALID_STATE, tarn_allocator_free(stand->allocator, result, stream));
    EXPECT_SENTENCE("used by captured work");
    EXPECT(TARN_INVALID_STATE, tarn_buffer_free(input, NULL));
    assert_true(tarn_buffer_is_valid(result) && tarn_buffer_is_valid(input));
    finish(stand, instance);
    assert_int_equal(info_of(stand->allocator).graphs, 0);
    give(stand, result, stream);
    give(stand, input, NULL);
}

static void captured_memory_keeps_its_address(void **state) {
    (void)state;
    on_each_device("graph", captured_memory_keeps_its_address_body);
}

static void the_result_of_a_launch_is_there(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "graph", "cpu");
    tarn_stream *stream = stand_stream(&stand, 0);
    tarn_buffer *input = take(&stand, 64, NULL);
    begin(&stand);
    tarn_buffer *temporary = take(&stand, 64, stream), *result = take(&stand, 64, stream);
    EXPECT_OK(tarn_stream_copy(stream, tarn_buffer_data(temporary), tarn_buffer_data(input), 64));
    EXPECT_OK(tarn_stream_copy(stream, tarn_buffer_data(result), tarn_buffer_data(temporary), 64));
    give(&stand, temporary, stream);
    tarn_buffer *later = take(&stand, 64, stream);
    fill(stream, later, 99);
    give(&stand, later, stream);
    tarn_graph_instance *instance = end(&stand);
    for (unsigned char round = 1; round < 5; round++) {
        memset(tarn_buffer_data(input), round, 64);
        EXPECT_OK(tarn_graph_instance_launch(instance, stream));
        EXPECT_OK(tarn_stream_synchronize(stream));
        const unsigned char *bytes = tarn_buffer_data(result);
        assert_int_equal(bytes[0] + bytes[63], 2 * round);
    }
    finish(&stand, instance);
    give(&stand, result, NULL);
    give(&stand, input, NULL);
    stand_close(&stand);
}

/* Freed on one captured stream, memory serves another only behind a join. */
static void captured_streams_share_memory_in_order_body(test_stand *stand) {
    tarn_stream *stream = stand->streams[0], *forked = stand->streams[1];
    tarn_event *fork = NULL, *join = NULL;
    begin(stand);
    EXPECT_OK(tarn_stream_record(stream, &fork));
    EXPECT_OK(tarn_stream_wait(forked, fork));
    tarn_buffer *buffer = take(stand, 3 * MIB, forked);
    void *data = tarn_buffer_data(buffer);
    fill(forked, buffer, 1);
    give(stand, buffer, forked);
    tarn_buffer *early = take(stand, 3 * MIB, stream);
    assert_ptr_not_equal(tarn_buffer_data(early), data);
    tarn_buffer *same = take(stand, 3 * MIB, forked);
    assert_ptr_equal(tarn_buffer_data(same), data);
    give(stand, same, forked);
    EXPECT_OK(tarn_stream_record(forked, &join));
    EXPECT_OK(tarn_stream_wait(stream, join));
    tarn_buffer *late = take(stand, 3 * MIB, stream);
    assert_ptr_equal(tarn_buffer_data(late), data);
    tarn_graph_instance *instance = end(stand);
    EXPECT_OK(tarn_graph_instance_launch(instance, NULL));
    finish(stand, instance);
    give(stand, early, NULL);
    give(stand, late, NULL);
    EXPECT_OK(tarn_event_release(fork));
    EXPECT_OK(tarn_event_release(join));
}

static void captured_streams_share_memory_in_order(void **state) {
    (void)state;
    on_each_device("graph", captured_streams_share_memory_in_order_body);
}

/* Memory that an ordinary stream may still use is not given to a capture, which must not ask for it either (45). */
static void a_capture_takes_only_memory_that_is_known_to_be_free(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "graph", "cpu");
    tarn_stream *stream = stand_stream(&stand, 0), *other = stand_stream(&stand, 1);
    stand_hold(&stand, 1);
    tarn_buffer *used = take(&stand, 3 * MIB, other), *captured = NULL;
    void *data = tarn_buffer_data(used);
    give(&stand, used, other);
    tarn_device_counters before = counters_of(stand.device);
    begin(&stand);
    captured = take(&stand, 3 * MIB, stream);
    assert_ptr_not_equal(tarn_buffer_data(captured), data);
    /* A buffer that ordinary work of this stream used before is not given out again in the capture either. */
    assert_int_equal(counters_of(stand.device).device_waits, before.device_waits);
    tarn_graph_instance *instance = end(&stand);
    stand_let_go(&stand, 1);
    finish(&stand, instance);
    give(&stand, captured, NULL);
    stand_close(&stand);
}

/* 43, and a failed capture that leaks its pool, which another library had. */
static void an_aborted_capture_leaves_the_pool_as_before_body(test_stand *stand) {
    tarn_stream *stream = stand->streams[0];
    tarn_buffer *input = take(stand, 4096, NULL);
    for (int round = 0; round < 3; round++) {
        EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
        tarn_memory_stats before = stats_of(stand->allocator);
        begin(stand);
        assert_true(info_of(stand->allocator).is_capturing);
        tarn_buffer *one = take(stand, MIB, stream), *two = take(stand, MIB, stream);
        fill(stream, input, 1);
        give(stand, one, stream);
        EXPECT_OK(tarn_stream_abort_capture(stream));
        assert_int_equal(info_of(stand->allocator).graphs, 0);
        assert_false(info_of(stand->allocator).is_capturing);
        give(stand, two, round == 0 ? NULL : stream);
        assert_true(tarn_buffer_is_valid(input));
        EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
        tarn_memory_stats after = stats_of(stand->allocator);
        assert_int_equal(after.in_use_bytes.current, before.in_use_bytes.current);
        assert_int_equal(after.blocks.current, before.blocks.current);
        assert_int_equal(after.reserved_bytes.current, before.reserved_bytes.current);
        EXPECT_OK(tarn_allocator_check(stand->allocator));
    }
    give(stand, input, NULL);
    EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
    assert_int_equal(tarn_allocator_allocated_size(stand->allocator), 0);
}

static void an_aborted_capture_leaves_the_pool_as_before(void **state) {
    (void)state;
    on_each_device("graph", an_aborted_capture_leaves_the_pool_as_before_body);
    on_each_device("graph:sequential=on", an_aborted_capture_leaves_the_pool_as_before_body);
}

/* 43, beside a graph that lives. */
static void an_aborted_capture_leaves_other_graphs_alone(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "graph:sequential=on", "cpu");
    tarn_stream *stream = stand_stream(&stand, 0);
    begin(&stand);
    tarn_buffer *first = take(&stand, 4096, stream);
    fill(stream, first, 5);
    tarn_graph_instance *instance = end(&stand);
    begin(&stand);
    tarn_buffer *second = take(&stand, 4096, stream);
    EXPECT_OK(tarn_stream_abort_capture(stream));
    give(&stand, second, stream);
    EXPECT(TARN_INVALID_STATE, tarn_buffer_free(first, NULL));
    EXPECT_OK(tarn_graph_instance_launch(instance, stream));
    EXPECT_OK(tarn_stream_synchronize(stream));
    assert_int_equal(*(unsigned char *)tarn_buffer_data(first), 5);
    finish(&stand, instance);
    give(&stand, first, NULL);
    stand_close(&stand);
}

/* 44 */
static void no_more_memory_in_a_capture_is_an_answer_and_not_the_end_body(test_stand *stand) {
    tarn_stream *stream = stand->streams[0];
    begin(stand);
    tarn_buffer *one = take(stand, 20 * MIB, stream), *none = (tarn_buffer *)stand;
    EXPECT(TARN_LIMIT_EXCEEDED, tarn_allocator_allocate(stand->allocator, 20 * MIB, stream, &none));
    assert_ptr_equal(none, stand);
    EXPECT_SENTENCE("maximum capacity 32 MiB");
    give(stand, one, stream);
    one = take(stand, 20 * MIB, stream);
    fill(stream, one, 1);
    tarn_graph_instance *instance = end(stand);
    EXPECT_OK(tarn_graph_instance_launch(instance, stream));
    finish(stand, instance);
    give(stand, one, NULL);
    give(stand, take(stand, 32 * MIB, NULL), NULL);
}

static void no_more_memory_in_a_capture_is_an_answer_and_not_the_end(void **state) {
    (void)state;
    on_each_device("graph:maximum=32MiB", no_more_memory_in_a_capture_is_an_answer_and_not_the_end_body);
}

static void the_initial_capacity_is_there_and_the_maximum_is_kept(void **state) {
    (void)state;
    for (size_t i = 0; i < DEVICES; i++) {
        test_stand stand;
        stand_open(&stand, "graph:initial=3MiB,maximum=4MiB", devices[i]);
        assert_int_equal(info_of(stand.allocator).capacity, 3 * MIB);
        assert_int_equal(info_of(stand.allocator).initial_capacity, 3 * MIB);
        assert_int_equal(info_of(stand.allocator).maximum_capacity, 4 * MIB);
        tarn_device_counters before = counters_of(stand.device);
        tarn_buffer *parts[4], *none = NULL;
        for (int k = 0; k < 3; k++) parts[k] = take(&stand, MIB, NULL);
        assert_int_equal(counters_of(stand.device).driver_allocs, before.driver_allocs);
        parts[3] = take(&stand, MIB, NULL);
        EXPECT(TARN_LIMIT_EXCEEDED, tarn_allocator_allocate(stand.allocator, 1, NULL, &none));
        EXPECT(TARN_LIMIT_EXCEEDED, tarn_allocator_allocate(stand.allocator, 5 * MIB, NULL, &none));
        assert_int_equal(info_of(stand.allocator).capacity, 4 * MIB);
        for (int k = 0; k < 4; k++) give(&stand, parts[k], NULL);
        give(&stand, take(&stand, 4 * MIB, NULL), NULL);
        stand_close(&stand);
    }
}

static void blocks_have_numbers(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "limit:1GiB | graph", "cpu");
    tarn_buffer *first = take(&stand, 100, NULL), *second = take(&stand, 100, NULL), *found = NULL;
    uint64_t one = 0, two = 0, again = 0;
    EXPECT_OK(tarn_graph_pool_block_id(stand.allocator, first, &one));
    EXPECT_OK(tarn_graph_pool_block_id(stand.allocator, second, &two));
    assert_true(one > 0 && two > one);
    EXPECT_OK(tarn_graph_pool_block(stand.allocator, two, &found));
    assert_ptr_equal(found, second);
    EXPECT_OK(tarn_graph_pool_return_block(stand.allocator, two, NULL));
    assert_false(tarn_buffer_is_valid(second));
    EXPECT(TARN_NOT_FOUND, tarn_graph_pool_return_block(stand.allocator, two, NULL));
    EXPECT(TARN_NOT_FOUND, tarn_graph_pool_block(stand.allocator, two, &found));
    EXPECT(TARN_NOT_FOUND, tarn_graph_pool_block(stand.allocator, 0, &found));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_graph_pool_block_id(stand.allocator, second, &again));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_graph_pool_block_id(stand.allocator, NULL, &again));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_graph_pool_block_id(NULL, first, &again));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_graph_pool_block_id(stand.allocator, first, NULL));
    second = take(&stand, 100, NULL);
    EXPECT_OK(tarn_graph_pool_block_id(stand.allocator, second, &again));
    assert_true(again > two);
    give(&stand, first, NULL);
    give(&stand, second, NULL);

    tarn_allocator *other = NULL;
    EXPECT_OK(tarn_allocator_create(stand.device, "direct", &other));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_graph_pool_reset(other));
    EXPECT_SENTENCE("no graph pool");
    EXPECT(TARN_INVALID_ARGUMENT, tarn_graph_pool_begin_capture(other, NULL, TARN_CAPTURE_GLOBAL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_graph_pool_begin_capture(stand.allocator, NULL, TARN_CAPTURE_GLOBAL));
    EXPECT_OK(tarn_allocator_release(other));
    stand_close(&stand);
}

static void a_pool_is_made_of_options_as_of_text(void **state) {
    (void)state;
    tarn_device *device = NULL;
    tarn_allocator *pool = NULL;
    EXPECT_OK(tarn_device_open("cpu", &device));
    tarn_graph_pool_options options = {
        .struct_size = sizeof options, .initial_capacity = MIB, .maximum_capacity = 4 * MIB, .is_sequential = 1};
    EXPECT_OK(tarn_graph_pool_create(device, &options, &pool));
    assert_string_equal(tarn_allocator_spec(pool), "graph:initial=1048576,maximum=4194304,kind=device,sequential=on");
    assert_true(info_of(pool).is_sequential);
    EXPECT_OK(tarn_allocator_release(pool));
    EXPECT_OK(tarn_graph_pool_create(device, NULL, &pool));
    assert_int_equal(info_of(pool).maximum_capacity, 0);
    EXPECT_OK(tarn_allocator_release(pool));
    pool = NULL;
    options.initial_capacity = 8 * MIB;
    EXPECT(TARN_INVALID_ARGUMENT, tarn_graph_pool_create(device, &options, &pool));
    options.struct_size = 3; /* 11 */
    EXPECT(TARN_INVALID_ARGUMENT, tarn_graph_pool_create(device, &options, &pool));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_create(device, "graph:initial=2MiB,maximum=1MiB", &pool));
    EXPECT_SENTENCE("initial");
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_create(device, "graph:size=2MiB", &pool));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_create(device, "graph:sequential=maybe", &pool));
    assert_null(pool);
    EXPECT_OK(tarn_device_release(device));
}

/* 16: handles from before the reset are stale, whatever their blocks serve now. */
static void reset_takes_every_buffer_back_body(test_stand *stand) {
    tarn_buffer *buffers[20];
    for (int i = 0; i < 20; i++) buffers[i] = take(stand, (size_t)1 << i, i % 2 == 0 ? NULL : stand->streams[0]);
    uint64_t reserved = stats_of(stand->allocator).reserved_bytes.current;
    EXPECT_OK(tarn_graph_pool_reset(stand->allocator));
    tarn_memory_stats stats = stats_of(stand->allocator);
    assert_int_equal(stats.blocks.current, 0);
    assert_int_equal(stats.in_use_bytes.current, 0);
    assert_int_equal(stats.frees, 20);
    assert_int_equal(stats.reserved_bytes.current, reserved);
    for (int i = 0; i < 20; i++) {
        assert_false(tarn_buffer_is_valid(buffers[i]));
        EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_free(stand->allocator, buffers[i], NULL));
    }
    EXPECT_OK(tarn_allocator_check(stand->allocator));
    tarn_buffer *again = take(stand, 1000, NULL);
    assert_int_equal(stats_of(stand->allocator).reserved_bytes.current, reserved);
    give(stand, again, NULL);
    EXPECT_OK(tarn_graph_pool_reset(stand->allocator));
    begin(stand);
    EXPECT(TARN_INVALID_STATE, tarn_graph_pool_reset(stand->allocator));
    EXPECT_OK(tarn_stream_abort_capture(stand->streams[0]));
}

static void reset_takes_every_buffer_back(void **state) {
    (void)state;
    on_each_device("graph", reset_takes_every_buffer_back_body);
    on_each_device("limit:1GiB | graph", reset_takes_every_buffer_back_body);
}

/* 47: what a graph uses stays its own, though its buffers are gone. */
static void a_graph_can_be_launched_after_its_pool_was_reset(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "graph", "cpu");
    tarn_stream *stream = stand_stream(&stand, 0);
    begin(&stand);
    tarn_buffer *buffer = take(&stand, 5 * MIB, stream);
    unsigned char *bytes = tarn_buffer_data(buffer);
    fill(stream, buffer, 7);
    tarn_graph_instance *instance = end(&stand);
    EXPECT_OK(tarn_graph_pool_reset(stand.allocator));
    assert_false(tarn_buffer_is_valid(buffer));
    EXPECT_OK(tarn_allocator_empty_cache(stand.allocator));
    tarn_buffer *others[8];
    for (int i = 0; i < 8; i++) {
        others[i] = take(&stand, 5 * MIB, NULL);
        memset(tarn_buffer_data(others[i]), 1, 5 * MIB);
    }
    EXPECT_OK(tarn_graph_instance_launch(instance, stream));
    EXPECT_OK(tarn_stream_synchronize(stream));
    assert_int_equal(bytes[0] + bytes[5 * MIB - 1], 14);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(*(unsigned char *)tarn_buffer_data(others[i]), 1);
        give(&stand, others[i], NULL);
    }
    finish(&stand, instance);
    EXPECT_OK(tarn_allocator_empty_cache(stand.allocator));
    assert_int_equal(tarn_allocator_allocated_size(stand.allocator), 0);
    stand_close(&stand);
}

/* 46 */
static void two_graphs_at_once_need_a_sequential_pool_body(test_stand *stand) {
    tarn_buffer *none = (tarn_buffer *)stand;
    begin(stand);
    EXPECT(TARN_BUSY, tarn_graph_pool_begin_capture(stand->allocator, stand->streams[1], TARN_CAPTURE_GLOBAL));
    EXPECT_SENTENCE("another capture");
    assert_false(tarn_stream_is_capturing(stand->streams[1]));
    tarn_graph_instance *instance = end(stand);
    EXPECT(TARN_BUSY, tarn_graph_pool_begin_capture(stand->allocator, stand->streams[1], TARN_CAPTURE_GLOBAL));
    EXPECT_SENTENCE("sequential");
    /* Nor by way of an allocation. */
    EXPECT_OK(tarn_stream_begin_capture(stand->streams[1], TARN_CAPTURE_GLOBAL));
    EXPECT(TARN_BUSY, tarn_allocator_allocate(stand->allocator, 64, stand->streams[1], &none));
    assert_ptr_equal(none, stand);
    EXPECT_OK(tarn_stream_abort_capture(stand->streams[1]));
    finish(stand, instance);
    begin(stand);
    finish(stand, end(stand));
}

static void two_graphs_at_once_need_a_sequential_pool(void **state) {
    (void)state;
    on_each_device("graph", two_graphs_at_once_need_a_sequential_pool_body);
}

static atomic_bool noted;
static void note(void *context) { atomic_store((atomic_bool *)context, true); }

/* 46: declared sequential, graphs share memory and their launches wait for each other. */
static void graphs_of_a_sequential_pool_share_memory(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "graph:sequential=on", "cpu");
    tarn_stream *stream = stand_stream(&stand, 0), *other = stand_stream(&stand, 1);
    tarn_graph_instance *instances[2];
    tarn_buffer *results[2];
    void *shared = NULL;
    for (unsigned char g = 0; g < 2; g++) {
        begin(&stand);
        tarn_buffer *temporary = take(&stand, 4 * MIB, stream);
        if (g == 0) shared = tarn_buffer_data(temporary);
        assert_ptr_equal(tarn_buffer_data(temporary), shared);
        results[g] = take(&stand, 4 * MIB, stream);
        fill(stream, temporary, (unsigned char)(g + 1));
        EXPECT_OK(tarn_stream_copy(stream, tarn_buffer_data(results[g]), tarn_buffer_data(temporary), 4 * MIB));
        give(&stand, temporary, stream);
        instances[g] = end(&stand);
    }
    assert_int_equal(info_of(stand.allocator).graphs, 2);
    for (int round = 0; round < 20; round++) {
        EXPECT_OK(tarn_graph_instance_launch(instances[round % 2], round % 3 == 0 ? stream : other));
    }
    EXPECT_OK(tarn_device_synchronize(stand.device));
    for (int g = 0; g < 2; g++) {
        unsigned char *bytes = tarn_buffer_data(results[g]);
        assert_int_equal(bytes[0] + bytes[4 * MIB - 1], 2 * (g + 1));
        bytes[0] = 0;
    }
    /* While the one stands still, the other does not begin, however long one looks. */
    stand_hold(&stand, 0);
    EXPECT_OK(tarn_graph_instance_launch(instances[0], stream));
    EXPECT_OK(tarn_graph_instance_launch(instances[1], other));
    EXPECT_OK(tarn_stream_enqueue(other, note, &noted));
    for (int look = 0; look < 50; look++) {
        assert_false(atomic_load(&noted));
        nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
    }
    stand_let_go(&stand, 0);
    EXPECT_OK(tarn_stream_synchronize(other));
    assert_true(atomic_load(&noted));
    finish(&stand, instances[0]);
    /* The other one still keeps the memory of both. */
    EXPECT(TARN_INVALID_STATE, tarn_buffer_free(results[1], NULL));
    finish(&stand, instances[1]);
    give(&stand, results[0], NULL);
    give(&stand, results[1], NULL);
    stand_close(&stand);
}

/* 48, and the pool with it: released while a graph lives, its memory stays. */
static void a_pool_released_while_a_graph_lives_stays_body(test_stand *stand) {
    tarn_stream *stream = stand->streams[0];
    uint64_t before = counters_of(stand->device).memory_in_use;
    begin(stand);
    tarn_buffer *buffer = take(stand, 3 * MIB, stream);
    fill(stream, buffer, 9);
    give(stand, buffer, stream);
    tarn_graph_instance *instance = end(stand);
    EXPECT_OK(tarn_allocator_release(stand->allocator));
    stand->allocator = NULL;
    assert_true(counters_of(stand->device).memory_in_use >= before + 3 * MIB);
    EXPECT_OK(tarn_graph_instance_launch(instance, stream));
    EXPECT_OK(tarn_graph_instance_launch(instance, NULL));
    EXPECT_OK(tarn_stream_synchronize(stream));
    finish(stand, instance);
    assert_int_equal(counters_of(stand->device).memory_in_use, before);
}

static void a_pool_released_while_a_graph_lives_stays(void **state) {
    (void)state;
    on_each_device("graph", a_pool_released_while_a_graph_lives_stays_body);
    on_each_device("graph:sequential=on", a_pool_released_while_a_graph_lives_stays_body);
}

/* 48 */
static void memory_of_a_graph_that_still_runs_is_nobody_elses(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "graph", "cpu");
    tarn_stream *stream = stand_stream(&stand, 0);
    begin(&stand);
    tarn_buffer *temporary = take(&stand, 4096, stream), *result = take(&stand, 4096, stream);
    void *data[2] = {tarn_buffer_data(temporary), tarn_buffer_data(result)};
    fill(stream, temporary, 3);
    fill(stream, result, 3);
    give(&stand, temporary, stream);
    tarn_graph_instance *instance = end(&stand);
    stand_hold(&stand, 0);
    EXPECT_OK(tarn_graph_instance_launch(instance, stream));
    EXPECT_OK(tarn_graph_instance_release(instance));
    /* Nobody can launch it any more, so freeing is fine; the memory waits for the end of the run. */
    give(&stand, result, NULL);
    tarn_buffer *others[32];
    for (int i = 0; i < 32; i++) {
        others[i] = take(&stand, 4096, NULL);
        assert_true(tarn_buffer_data(others[i]) != data[0] && tarn_buffer_data(others[i]) != data[1]);
    }
    EXPECT(TARN_BUSY, tarn_graph_pool_begin_capture(stand.allocator, stand_stream(&stand, 1), TARN_CAPTURE_GLOBAL));
    stand_let_go(&stand, 0);
    assert_int_equal(info_of(stand.allocator).graphs, 0);
    for (int i = 0; i < 32; i++) give(&stand, others[i], NULL);
    stand_close(&stand);
}

/* A driver free inside a capture broke one of another library. */
static void nothing_goes_back_to_the_driver_during_a_capture_body(test_stand *stand) {
    give(stand, take(stand, 30 * MIB, NULL), NULL);
    EXPECT_OK(tarn_device_synchronize(stand->device));
    begin(stand);
    tarn_device_counters before = counters_of(stand->device);
    EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
    tarn_device_counters after = counters_of(stand->device);
    assert_int_equal(after.driver_frees, before.driver_frees);
    assert_int_equal(after.device_waits, before.device_waits);
    finish(stand, end(stand));
    EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
    assert_int_equal(tarn_allocator_allocated_size(stand->allocator), 0);
}

static void nothing_goes_back_to_the_driver_during_a_capture(void **state) {
    (void)state;
    on_each_device("graph", nothing_goes_back_to_the_driver_during_a_capture_body);
}

static void a_stream_is_told_by_record_stream_that_captured_work_uses_a_buffer(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "graph", "cpu");
    tarn_stream *stream = stand_stream(&stand, 0);
    tarn_buffer *buffer = take(&stand, 64, NULL), *changed = take(&stand, 64, NULL), *plain = take(&stand, 64, NULL);
    EXPECT_OK(tarn_stream_begin_capture(stream, TARN_CAPTURE_GLOBAL));
    EXPECT_OK(tarn_buffer_record_stream(buffer, stream));
    fill(stream, buffer, 1);
    tarn_graph_instance *instance = end(&stand);
    EXPECT(TARN_INVALID_STATE, tarn_buffer_free(buffer, NULL));
    /* What a changed graph uses it uses too. */
    EXPECT_OK(tarn_graph_instance_set_fill(instance, 0, tarn_buffer_data(changed), "x", 1, 64));
    EXPECT(TARN_INVALID_STATE, tarn_buffer_free(changed, NULL));
    give(&stand, plain, NULL);
    finish(&stand, instance);
    give(&stand, buffer, NULL);
    give(&stand, changed, NULL);
    stand_close(&stand);
}

/* Another library merged free memory without recording the event anew: the later free counts for both parts. */
static void merged_memory_waits_for_the_later_of_two_frees(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "graph:maximum=3MiB", "cpu");
    tarn_stream *stream = stand_stream(&stand, 0), *other = stand_stream(&stand, 1);
    tarn_buffer *low = take(&stand, MIB, stream), *high = take(&stand, MIB, stream);
    uintptr_t start = (uintptr_t)tarn_buffer_data(low);
    assert_ptr_equal(tarn_buffer_data(high), (void *)(start + MIB)); // NOLINT(performance-no-int-to-ptr)
    stand_hold(&stand, 0);
    give(&stand, low, stream);
    /* The other stream's wish has the first free marked, and its next one finds it complete. */
    tarn_buffer *wish = take(&stand, MIB, other);
    stand_let_go(&stand, 0);
    low = take(&stand, MIB, other);
    assert_ptr_equal(tarn_buffer_data(low), (void *)start); // NOLINT(performance-no-int-to-ptr)
    stand_hold(&stand, 0);
    EXPECT_OK(tarn_buffer_record_stream(low, stream));
    give(&stand, low, stream);
    give(&stand, high, stream);
    EXPECT_OK(tarn_allocator_check(stand.allocator));
    /* Of all memory, only the third part is for the other stream. */
    uintptr_t third = (uintptr_t)tarn_buffer_data(wish);
    give(&stand, wish, other);
    for (int i = 0; i < 8; i++) {
        tarn_buffer *buffer = take(&stand, MIB, other);
        assert_int_equal((uintptr_t)tarn_buffer_data(buffer), third);
        give(&stand, buffer, other);
    }
    stand_let_go(&stand, 0);
    stand_close(&stand);
}

/* In another library a new stream with the handle of an old one was taken for that. */
static void a_new_stream_is_not_taken_for_an_old_one(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "graph", "cpu");
    for (int round = 0; round < 100; round++) {
        tarn_stream *fresh = NULL;
        EXPECT_OK(tarn_stream_create(stand.device, &fresh));
        tarn_buffer *buffer = take(&stand, MIB, fresh), *kept = take(&stand, 64, fresh);
        EXPECT_OK(tarn_buffer_record_stream(kept, fresh));
        give(&stand, buffer, fresh);
        EXPECT_OK(tarn_stream_release(fresh));
        /* What the ended stream used is everybody's, without asking the device. */
        tarn_device_counters before = counters_of(stand.device);
        give(&stand, take(&stand, MIB, NULL), NULL);
        assert_int_equal(counters_of(stand.device).driver_allocs, before.driver_allocs);
        give(&stand, kept, NULL);
        EXPECT_OK(tarn_allocator_check(stand.allocator));
    }
    assert_int_equal(info_of(stand.allocator).capacity, 2 * MIB);
    stand_close(&stand);
}

/* What cannot be made leaves nothing behind. */
static void a_pool_that_cannot_be_made_takes_nothing(void **state) {
    (void)state;
    tarn_device *device = NULL, *other = NULL;
    tarn_stream *foreign = NULL;
    tarn_allocator *pool = NULL;
    EXPECT_OK(tarn_device_open("sim:1GiB", &device));
    EXPECT(TARN_OUT_OF_MEMORY, tarn_allocator_create(device, "graph:initial=2GiB,sequential=on", &pool));
    EXPECT(TARN_NOT_SUPPORTED, tarn_allocator_create(device, "graph:kind=managed", &pool));
    tarn_graph_pool_options options = {.struct_size = sizeof options, .kind = (tarn_memory_kind)9};
    EXPECT(TARN_INVALID_ARGUMENT, tarn_graph_pool_create(device, &options, &pool));
    assert_null(pool);
    assert_int_equal(counters_of(device).memory_in_use, 0);
    /* 12 */
    EXPECT_OK(tarn_allocator_create(device, "graph", &pool));
    EXPECT_OK(tarn_device_open("cpu", &other));
    EXPECT_OK(tarn_stream_create(other, &foreign));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_graph_pool_begin_capture(pool, foreign, TARN_CAPTURE_GLOBAL));
    assert_false(tarn_stream_is_capturing(foreign));
    EXPECT_OK(tarn_stream_release(foreign));
    EXPECT_OK(tarn_device_release(other));
    EXPECT_OK(tarn_allocator_release(pool));
    EXPECT_OK(tarn_device_release(device));
}

/* More pools than a capture has places for: what was begun with the others goes on. */
static void a_capture_has_room_for_so_many_pools(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "direct", "cpu");
    tarn_stream *stream = stand_stream(&stand, 0);
    tarn_allocator *pools[HAL_GRAPH_CLIENTS + 1];
    tarn_buffer *buffers[HAL_GRAPH_CLIENTS + 1] = {NULL};
    tarn_graph *graph = NULL;
    EXPECT_OK(tarn_stream_begin_capture(stream, TARN_CAPTURE_GLOBAL));
    for (int i = 0; i <= HAL_GRAPH_CLIENTS; i++) {
        EXPECT_OK(tarn_allocator_create(stand.device, i % 2 == 0 ? "graph" : "graph:sequential=on", &pools[i]));
        tarn_status status = tarn_allocator_allocate(pools[i], 64, stream, &buffers[i]);
        assert_int_equal(status, i < HAL_GRAPH_CLIENTS ? TARN_OK : TARN_LIMIT_EXCEEDED);
    }
    assert_int_equal(info_of(pools[HAL_GRAPH_CLIENTS]).graphs, 0);
    tarn_graph_instance *instance = NULL;
    EXPECT_OK(tarn_stream_end_capture(stream, &graph));
    EXPECT_OK(tarn_graph_instantiate(graph, &instance));
    EXPECT_OK(tarn_graph_instance_launch(instance, stream));
    EXPECT_OK(tarn_graph_instance_release(instance));
    EXPECT_OK(tarn_graph_release(graph));
    EXPECT_OK(tarn_device_synchronize(stand.device));
    for (int i = 0; i <= HAL_GRAPH_CLIENTS; i++) {
        EXPECT_OK(tarn_buffer_free(buffers[i], NULL));
        EXPECT_OK(tarn_allocator_release(pools[i]));
    }
    stand_close(&stand);
}

/* Memory that the driver does not take back serves requests when there is no other. */
static void memory_that_the_driver_refuses_is_used_again(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "graph:maximum=8MiB", "fake:1GiB");
    tarn_buffer *buffer = take(&stand, 8 * MIB, NULL);
    void *data = tarn_buffer_data(buffer);
    give(&stand, buffer, NULL);
    fake_fail(FAKE_FREE, 1, 1, TARN_INTERNAL);
    EXPECT(TARN_INTERNAL, tarn_allocator_empty_cache(stand.allocator));
    assert_int_equal(stats_of(stand.allocator).cached_bytes.current, 8 * MIB);
    buffer = take(&stand, 8 * MIB, NULL);
    assert_ptr_equal(tarn_buffer_data(buffer), data);
    give(&stand, buffer, NULL);
    EXPECT(TARN_INTERNAL, tarn_allocator_empty_cache(stand.allocator));
    fake_fail(0, 0, 0, TARN_OK);
    EXPECT_OK(tarn_allocator_empty_cache(stand.allocator));
    assert_int_equal(tarn_allocator_allocated_size(stand.allocator), 0);
    stand_close(&stand);
}

/* More streams than a set of them has places for. */
static void any_number_of_streams_can_use_a_pool(void **state) {
    (void)state;
    enum { STREAMS = 80 };
    test_stand stand;
    stand_open(&stand, "graph", "sim:1GiB");
    tarn_stream *streams[STREAMS];
    for (int i = 0; i < STREAMS; i++) {
        EXPECT_OK(tarn_stream_create(stand.device, &streams[i]));
        tarn_buffer *buffer = take(&stand, 100000, streams[i]);
        EXPECT_OK(tarn_buffer_record_stream(buffer, streams[i / 2]));
        give(&stand, buffer, streams[i]);
    }
    EXPECT_OK(tarn_allocator_check(stand.allocator));
    EXPECT_OK(tarn_allocator_empty_cache(stand.allocator));
    assert_int_equal(tarn_allocator_allocated_size(stand.allocator), 0);
    for (int i = 0; i < STREAMS; i++) EXPECT_OK(tarn_stream_release(streams[i]));
    stand_close(&stand);
}

/* A process that ends with a capture under way and all that belongs to it. */
static void leave_everything(void) {
    tarn_device *device = NULL;
    tarn_stream *stream = NULL;
    tarn_allocator *pool = NULL;
    tarn_buffer *buffer = NULL;
    if (tarn_device_open("cpu", &device) != TARN_OK) _exit(1);
    if (tarn_stream_create(device, &stream) != TARN_OK) _exit(2);
    if (tarn_allocator_create(device, "graph:sequential=on", &pool) != TARN_OK) _exit(3);
    if (tarn_graph_pool_begin_capture(pool, stream, TARN_CAPTURE_GLOBAL) != TARN_OK) _exit(4);
    if (tarn_allocator_allocate(pool, 64, stream, &buffer) != TARN_OK) _exit(5);
    exit(0);
}

/* 31, and the order of unloading at exit, which broke another library. Runs before this process has used Tarn. */
static void a_process_can_end_in_a_capture(void **state) {
    (void)state;
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(60);
        leave_everything();
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Threads. */

typedef struct hammer {
    test_stand *stand;
    atomic_bool ends;
    atomic_uint wrong;
    atomic_ulong served;
} hammer;

static void *allocate_meanwhile(void *context) {
    hammer *self = context;
    uint64_t random = 88172645463325252u + (uintptr_t)&random;
    while (!atomic_load(&self->ends)) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        tarn_buffer *buffer = NULL;
        size_t size = 64 + random % 50000;
        tarn_stream *stream = random % 3 == 0 ? NULL : self->stand->streams[2 + random % 2];
        if (tarn_allocator_allocate(self->stand->allocator, size, stream, &buffer) != TARN_OK) {
            atomic_fetch_add(&self->wrong, 1);
            continue;
        }
        unsigned char *bytes = tarn_buffer_data(buffer), mark = (unsigned char)random;
        memset(bytes, mark, size);
        if (bytes[0] != mark || bytes[size - 1] != mark) atomic_fetch_add(&self->wrong, 1);
        if (tarn_buffer_free(buffer, NULL) != TARN_OK) atomic_fetch_add(&self->wrong, 1);
        atomic_fetch_add(&self->served, 1);
    }
    return NULL;
}

/* Eight threads allocate while one captures, launches, aborts and resets nothing of theirs. */
static void threads_allocate_while_one_captures(void **state) {
    (void)state;
    enum { OTHERS = 15 };
    test_stand stand;
    stand_open(&stand, "graph:sequential=on", "cpu");
    for (int n = 0; n < 4; n++) stand_stream(&stand, n);
    hammer self = {.stand = &stand};
    pthread_t threads[OTHERS];
    for (int i = 0; i < OTHERS; i++) assert_int_equal(pthread_create(&threads[i], NULL, allocate_meanwhile, &self), 0);
    tarn_stream *stream = stand.streams[0];
    unsigned rounds = 200 / test_slowness();
    for (unsigned round = 0; round < rounds || atomic_load(&self.served) < rounds; round++) {
        unsigned char mark = (unsigned char)(round % 250 + 1);
        begin(&stand);
        tarn_buffer *temporary = take(&stand, 30000, stream), *result = take(&stand, 30000, stream);
        fill(stream, temporary, mark);
        EXPECT_OK(tarn_stream_copy(stream, tarn_buffer_data(result), tarn_buffer_data(temporary), 30000));
        give(&stand, temporary, stream);
        if (round % 5 == 4) {
            EXPECT_OK(tarn_stream_abort_capture(stream));
        } else {
            tarn_graph_instance *instance = end(&stand);
            EXPECT_OK(tarn_graph_instance_launch(instance, stream));
            EXPECT_OK(tarn_stream_synchronize(stream));
            const unsigned char *bytes = tarn_buffer_data(result);
            assert_int_equal(bytes[0] + bytes[29999], 2 * mark);
            EXPECT_OK(tarn_graph_instance_release(instance));
        }
        give(&stand, result, stream);
        if (round % 16 == 0) EXPECT_OK(tarn_allocator_empty_cache(stand.allocator));
        EXPECT_OK(tarn_allocator_check(stand.allocator));
    }
    atomic_store(&self.ends, true);
    for (int i = 0; i < OTHERS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&self.wrong), 0);
    stand_close(&stand);
}

/* Faults in all of it. */

/* A capture with memory, its launch and its end, each step of which may fail with `allowed`; how many did. */
static unsigned play(test_stand *stand, tarn_status allowed) {
    tarn_stream *stream = stand->streams[0];
    tarn_graph *graph = NULL;
    tarn_graph_instance *instance = NULL;
    tarn_buffer *temporary = NULL, *result = NULL, *after = NULL;
    tarn_status statuses[16] = {0};
    size_t steps = 0;
    statuses[steps++] = tarn_graph_pool_begin_capture(stand->allocator, stream, TARN_CAPTURE_GLOBAL);
    if (statuses[0] == TARN_OK) {
        statuses[steps++] = tarn_allocator_allocate(stand->allocator, 3 * MIB, stream, &temporary);
        statuses[steps++] = tarn_allocator_allocate(stand->allocator, 700, stream, &result);
        if (result != NULL) statuses[steps++] = tarn_stream_fill(stream, tarn_buffer_data(result), "a", 1, 700);
        statuses[steps++] = tarn_allocator_free(stand->allocator, temporary, stream);
        statuses[steps++] = tarn_allocator_allocate(stand->allocator, 40 * MIB, stream, &after);
        statuses[steps++] = tarn_allocator_free(stand->allocator, after, stream);
        statuses[steps++] = tarn_stream_end_capture(stream, &graph);
        if (graph == NULL) EXPECT_OK(tarn_stream_abort_capture(stream));
    }
    if (graph != NULL) statuses[steps++] = tarn_graph_instantiate(graph, &instance);
    if (instance != NULL) statuses[steps++] = tarn_graph_instance_launch(instance, stream);
    if (instance != NULL) statuses[steps++] = tarn_graph_instance_launch(instance, NULL);
    EXPECT_OK(tarn_graph_instance_release(instance));
    EXPECT_OK(tarn_graph_release(graph));
    statuses[steps++] = tarn_device_synchronize(stand->device);
    unsigned failures = 0;
    for (size_t i = 0; i < steps; i++) {
        failures += statuses[i] != TARN_OK;
        if (statuses[i] != TARN_OK && statuses[i] != allowed)
            fail_msg("step %zu was answered %s: %s", i, tarn_status_name(statuses[i]), tarn_last_error());
    }
    /* Nobody can launch it any more, so the buffer is free, whether the device could be asked or not. */
    give(stand, result, NULL);
    EXPECT_OK(tarn_allocator_check(stand->allocator));
    return failures;
}

static void expect_nothing_left(test_stand *stand) {
    EXPECT_OK(tarn_device_synchronize(stand->device));
    assert_int_equal(play(stand, TARN_OK), 0);
    assert_int_equal(stats_of(stand->allocator).blocks.current, 0);
    assert_int_equal(info_of(stand->allocator).graphs, 0);
    EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
    assert_int_equal(counters_of(stand->device).memory_in_use, stand->memory_before);
}

/* 44 */
static void every_request_for_host_memory_fails_around_a_capture(void **state) {
    (void)state;
    for (int for_good = 0; for_good < 2; for_good++) {
        unsigned long requests = 0;
        for (unsigned long k = 1;; k++) {
            test_stand stand;
            stand_open(&stand, "graph:sequential=on", "sim:1GiB");
            stand_stream(&stand, 0);
            base_memory_fail_at(k, for_good);
            play(&stand, TARN_OUT_OF_MEMORY);
            unsigned long reached = base_memory_requests();
            base_memory_fail_at(0, 0);
            expect_nothing_left(&stand);
            stand_close(&stand);
            if (reached < k) break;
            requests++;
        }
        print_message("%lu of %lu host allocations%s\n", requests, requests, for_good ? ", for good" : "");
        assert_true(requests >= 20);
    }
}

static void every_driver_call_fails_around_a_capture(void **state) {
    (void)state;
    static const tarn_status faults[] = {TARN_INTERNAL, TARN_OUT_OF_MEMORY};
    for (int way = 0; way < 4; way++) {
        unsigned long calls = 0, failed = 0;
        for (unsigned long k = 1;; k++) {
            test_stand stand;
            stand_open(&stand, "graph:sequential=on", k % 2 == 0 ? "fake:1GiB" : "fake:1GiB,flat");
            stand_stream(&stand, 0);
            fake_fail(FAKE_ALL, k, way / 2, faults[way % 2]);
            failed += play(&stand, faults[way % 2]) > 0;
            unsigned long reached = fake_calls();
            fake_fail(0, 0, 0, TARN_OK);
            expect_nothing_left(&stand);
            stand_close(&stand);
            if (reached < k) break;
            calls++;
        }
        print_message("%s at each of %lu driver calls%s: %lu times a step failed\n", tarn_status_name(faults[way % 2]),
                      calls, way / 2 != 0 ? ", for good" : "", failed);
        assert_true(calls > 5 && failed > 3);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_can_end_in_a_capture),
        cmocka_unit_test(captured_memory_keeps_its_address),
        cmocka_unit_test(the_result_of_a_launch_is_there),
        cmocka_unit_test(captured_streams_share_memory_in_order),
        cmocka_unit_test(a_capture_takes_only_memory_that_is_known_to_be_free),
        cmocka_unit_test(an_aborted_capture_leaves_the_pool_as_before),
        cmocka_unit_test(an_aborted_capture_leaves_other_graphs_alone),
        cmocka_unit_test(no_more_memory_in_a_capture_is_an_answer_and_not_the_end),
        cmocka_unit_test(the_initial_capacity_is_there_and_the_maximum_is_kept),
        cmocka_unit_test(blocks_have_numbers),
        cmocka_unit_test(a_pool_is_made_of_options_as_of_text),
        cmocka_unit_test(reset_takes_every_buffer_back),
        cmocka_unit_test(a_graph_can_be_launched_after_its_pool_was_reset),
        cmocka_unit_test(two_graphs_at_once_need_a_sequential_pool),
        cmocka_unit_test(graphs_of_a_sequential_pool_share_memory),
        cmocka_unit_test(a_pool_released_while_a_graph_lives_stays),
        cmocka_unit_test(memory_of_a_graph_that_still_runs_is_nobody_elses),
        cmocka_unit_test(nothing_goes_back_to_the_driver_during_a_capture),
        cmocka_unit_test(a_stream_is_told_by_record_stream_that_captured_work_uses_a_buffer),
        cmocka_unit_test(a_pool_that_cannot_be_made_takes_nothing),
        cmocka_unit_test(a_capture_has_room_for_so_many_pools),
        cmocka_unit_test(memory_that_the_driver_refuses_is_used_again),
        cmocka_unit_test(merged_memory_waits_for_the_later_of_two_frees),
        cmocka_unit_test(a_new_stream_is_not_taken_for_an_old_one),
        cmocka_unit_test(any_number_of_streams_can_use_a_pool),
        cmocka_unit_test(threads_allocate_while_one_captures),
        cmocka_unit_test(every_request_for_host_memory_fails_around_a_capture),
        cmocka_unit_test(every_driver_call_fails_around_a_capture),
    };
    return cmocka_run_group_tests_name("memory graph pool", tests, NULL, NULL);
}
