/* What only `cuda_async` promises: a pool of the driver's behind it, frees in the order of streams that hold nobody up, and memory for all
 * streams where an element above needs it. What all allocators promise is in the conformance suites. */
#include "fake.h"
#include "stand.h"

static void it_needs_a_device_with_stream_ordered_memory(void **state) {
    (void)state;
    tarn_device *device = NULL;
    tarn_allocator *allocator = NULL;
    EXPECT_OK(tarn_device_open("cpu", &device));
    EXPECT(TARN_NOT_SUPPORTED, tarn_allocator_create(device, "cuda_async", &allocator));
    EXPECT_SENTENCE("cpu has no stream-ordered memory");
    assert_null(allocator);
    EXPECT_OK(tarn_device_release(device));
}

static void arguments_that_it_does_not_know_are_refused(void **state) {
    (void)state;
    static const char *const wrong[] = {"cuda_async:threshold=much",    "cuda_async:reuse=on",
                                        "cuda_async:opportunistic=1",   "cuda_async:follow_events=maybe",
                                        "cuda_async:add_dependencies=", "cuda_async:kind=pinned",
                                        "cuda_async | caching"};
    tarn_device *device = NULL;
    tarn_allocator *allocator = NULL;
    EXPECT_OK(tarn_device_open("sim:1GiB", &device));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_create(device, wrong[i], &allocator));
        EXPECT_SENTENCE("column");
    }
    EXPECT_OK(tarn_device_release(device));
}

/* The same device, one pool with a threshold and one without: what is kept when the host waits. */
static void a_pool_keeps_as_much_as_its_threshold_says(void **state) {
    (void)state;
    const struct {
        const char *spec;
        uint64_t kept;
    } cases[] = {{"cuda_async", 64 * MIB}, {"cuda_async:threshold=0", 0}, {"cuda_async:threshold=16MiB", 16 * MIB}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        test_stand stand;
        stand_open(&stand, cases[i].spec, "sim:1GiB,lag=1ms");
        tarn_buffer *buffer = take(&stand, 64 * MIB, NULL);
        give(&stand, buffer, NULL);
        assert_int_equal(tarn_allocator_allocated_size(stand.allocator), 64 * MIB);
        EXPECT_OK(tarn_device_synchronize(stand.device));
        tarn_memory_stats stats = stats_of(stand.allocator);
        assert_int_equal(stats.reserved_bytes.current, cases[i].kept);
        assert_int_equal(stats.cached_bytes.current, cases[i].kept);
        assert_int_equal(stats.reserved_bytes.peak, 64 * MIB);
        EXPECT_OK(tarn_allocator_reset_peaks(stand.allocator));
        assert_int_equal(stats_of(stand.allocator).reserved_bytes.peak, cases[i].kept);
        stand_close(&stand);
    }
}

/* The peak is the driver's, also of what nobody looked at meanwhile. */
static void the_peak_is_known_though_nobody_looked(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "cuda_async", "fake:256MiB");
    tarn_buffer *one = take(&stand, 30 * MIB, NULL), *two = take(&stand, 50 * MIB, NULL);
    give(&stand, one, NULL);
    give(&stand, two, NULL);
    EXPECT_OK(tarn_allocator_empty_cache(stand.allocator));
    tarn_memory_stats stats = stats_of(stand.allocator);
    assert_int_equal(stats.reserved_bytes.current, 0);
    assert_int_equal(stats.reserved_bytes.peak, 80 * MIB);
    assert_true(stats.reserved_bytes.total >= stats.reserved_bytes.peak);
    stand_close(&stand);
}

static void memory_freed_on_a_stream_is_had_there_again_at_once(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "cuda_async", "fake:256MiB");
    stand_hold(&stand, 0);
    tarn_buffer *buffer = take(&stand, MIB, stand_stream(&stand, 0));
    void *address = tarn_buffer_data(buffer);
    give(&stand, buffer, NULL);
    buffer = take(&stand, MIB, stand_stream(&stand, 0));
    assert_ptr_equal(tarn_buffer_data(buffer), address);
    give(&stand, buffer, NULL);
    stand_close(&stand);
}

static void tell(void *context) { *(bool *)context = true; }

/* 23 */
static void a_buffer_that_a_held_stream_used_holds_up_no_other(void **state) {
    (void)state;
    test_stand stand;
    bool has_run = false;
    stand_open(&stand, "cuda_async", "fake:256MiB");
    stand_hold(&stand, 0);
    tarn_stream *own = stand_stream(&stand, 1);
    tarn_buffer *shared = take(&stand, MIB, own), *elsewhere = take(&stand, MIB, own);
    EXPECT_OK(tarn_buffer_record_stream(shared, stand_stream(&stand, 0)));
    give(&stand, shared, own);
    give(&stand, elsewhere, stand_stream(&stand, 0));
    EXPECT_OK(tarn_stream_enqueue(own, tell, &has_run));
    fake_proceed();
    assert_true(has_run);
    assert_int_equal(fake_forced_waits(), 0);
    /* The memory is not there before the held stream is done. */
    assert_int_equal(tarn_allocator_allocated_size(stand.allocator), 2 * MIB);
    stand_let_go(&stand, 0);
    EXPECT_OK(tarn_allocator_empty_cache(stand.allocator));
    assert_int_equal(tarn_allocator_allocated_size(stand.allocator), 0);
    stand_close(&stand);
}

static void a_buffer_outlives_its_stream(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "cuda_async", "fake:256MiB");
    tarn_stream *short_lived = NULL;
    EXPECT_OK(tarn_stream_create(stand.device, &short_lived));
    tarn_buffer *buffer = take(&stand, MIB, short_lived);
    EXPECT_OK(tarn_stream_release(short_lived));
    give(&stand, buffer, NULL);
    EXPECT_OK(tarn_allocator_empty_cache(stand.allocator));
    assert_int_equal(tarn_allocator_allocated_size(stand.allocator), 0);
    stand_close(&stand);
}

/* 45 */
static void a_captured_stream_gets_none_and_is_told_where_there_is_some(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "cuda_async", "fake:256MiB");
    tarn_stream *stream = stand_stream(&stand, 0);
    tarn_buffer *buffer = NULL, *before = take(&stand, MIB, stream);
    tarn_graph *graph = NULL;
    EXPECT_OK(tarn_stream_begin_capture(stream, TARN_CAPTURE_RELAXED));
    EXPECT(TARN_INVALID_STATE, tarn_allocator_allocate(stand.allocator, 64, stream, &buffer));
    EXPECT_SENTENCE("graph pool");
    assert_null(buffer);
    assert_int_equal(stats_of(stand.allocator).failed_allocations, 1);
    /* It goes back when the capture is over. */
    give(&stand, before, stream);
    assert_int_equal(tarn_allocator_allocated_size(stand.allocator), MIB);
    EXPECT_OK(tarn_stream_end_capture(stream, &graph));
    EXPECT_OK(tarn_allocator_empty_cache(stand.allocator));
    assert_int_equal(tarn_allocator_allocated_size(stand.allocator), 0);
    EXPECT_OK(tarn_graph_release(graph));
    stand_close(&stand);
}

/* Frees that lie ahead of a held stream are waited for only where there is nothing else. */
static void memory_of_frees_that_lie_ahead_is_waited_for_when_it_is_short(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "cuda_async", "fake:100MiB");
    stand_hold(&stand, 0);
    tarn_buffer *buffer = take(&stand, 60 * MIB, stand_stream(&stand, 0));
    give(&stand, buffer, NULL);
    buffer = take(&stand, 30 * MIB, NULL);
    assert_int_equal(fake_forced_waits(), 0);
    tarn_buffer *more = take(&stand, 60 * MIB, NULL);
    assert_true(fake_forced_waits() > 0);
    assert_int_equal(stats_of(stand.allocator).retries, 1);
    give(&stand, more, NULL);
    give(&stand, buffer, NULL);
    stand_close(&stand);
}

/* The piece may be used on any stream, so that allocating it does not stand behind the held one. */
static void pieces_for_elements_above_wait_for_no_stream(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "pool | cuda_async", "fake:256MiB");
    stand_hold(&stand, 0);
    tarn_buffer *buffer = take(&stand, 5000, stand_stream(&stand, 0));
    assert_int_equal(fake_forced_waits(), 0);
    give(&stand, buffer, NULL);
    stand_close(&stand);
}

static int settle(void **state) {
    (void)state;
    fake_reset();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_needs_a_device_with_stream_ordered_memory),
        cmocka_unit_test(arguments_that_it_does_not_know_are_refused),
        cmocka_unit_test(a_pool_keeps_as_much_as_its_threshold_says),
        cmocka_unit_test_teardown(the_peak_is_known_though_nobody_looked, settle),
        cmocka_unit_test_teardown(memory_freed_on_a_stream_is_had_there_again_at_once, settle),
        cmocka_unit_test_teardown(a_buffer_that_a_held_stream_used_holds_up_no_other, settle),
        cmocka_unit_test_teardown(a_buffer_outlives_its_stream, settle),
        cmocka_unit_test_teardown(a_captured_stream_gets_none_and_is_told_where_there_is_some, settle),
        cmocka_unit_test_teardown(memory_of_frees_that_lie_ahead_is_waited_for_when_it_is_short, settle),
        cmocka_unit_test_teardown(pieces_for_elements_above_wait_for_no_stream, settle),
    };
    return cmocka_run_group_tests_name("cuda_async", tests, NULL, NULL);
}
