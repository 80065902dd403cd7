/* Predictive buffers: room to spare, growth in place and by moving, limits and bounds, stream order, and what is told of them.
 * Numbers in comments are those of the project's list of faults. */
#include <string.h>

#include "fake.h"
#include "gate.h"
#include "stand.h"

static tarn_shape shape_of(int64_t rows, int64_t columns) { return (tarn_shape){.rank = 2, .dims = {rows, columns}}; }

/* Rows of 1 KiB: from none up to `most` of them. */
static tarn_shape_bounds rows(int64_t expected, int64_t most) {
    return (tarn_shape_bounds){
        .minimum = shape_of(0, 1024), .maximum = shape_of(most, 1024), .expected = shape_of(expected, 1024)};
}

static tarn_buffer *take_shaped(test_stand *stand, const tarn_shape_bounds *bounds, tarn_stream *stream) {
    tarn_allocate_options options = {.struct_size = sizeof options, .stream = stream, .tag = "rows"};
    tarn_buffer *buffer = NULL;
    EXPECT_OK(tarn_predictive_allocate(stand->allocator, bounds, TARN_ELEMENT_U8, &options, &buffer));
    return buffer;
}

static tarn_status resize(tarn_buffer *buffer, int64_t count, tarn_stream *stream) {
    tarn_shape shape = shape_of(count, 1024);
    return tarn_predictive_resize(buffer, &shape, stream);
}

static tarn_predictive_stats done_by(tarn_allocator *allocator) {
    tarn_predictive_stats stats = {.struct_size = sizeof stats};
    EXPECT_OK(tarn_predictive_stats_get(allocator, &stats));
    return stats;
}

static tarn_predictive_info info_of(const tarn_buffer *buffer) {
    tarn_predictive_info info = {.struct_size = sizeof info};
    EXPECT_OK(tarn_predictive_info_get(buffer, &info));
    return info;
}

static void write_rows(tarn_buffer *buffer, size_t from, size_t to) {
    unsigned char *bytes = tarn_buffer_data(buffer);
    for (size_t i = from; i < to; i++) memset(bytes + i * KIB, (int)(i % 251 + 1), KIB);
}

static void expect_rows(tarn_buffer *buffer, size_t count) {
    const unsigned char *bytes = tarn_buffer_data(buffer);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(bytes[i * KIB], i % 251 + 1);
        assert_int_equal(bytes[i * KIB + KIB - 1], i % 251 + 1);
    }
}

static void a_buffer_has_room_to_spare(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "predictive", "cpu");
    tarn_shape_bounds bounds = rows(100, 1000), tight = rows(100, 110);
    tarn_buffer *buffer = take_shaped(&stand, &bounds, NULL);
    assert_int_equal(tarn_buffer_size(buffer), 100 * KIB);
    assert_int_equal(tarn_buffer_capacity(buffer), 120 * KIB);
    void *data = tarn_buffer_data(buffer);
    EXPECT_OK(resize(buffer, 120, NULL));
    EXPECT_OK(resize(buffer, 1, NULL));
    assert_ptr_equal(tarn_buffer_data(buffer), data);
    assert_int_equal(tarn_buffer_size(buffer), KIB);
    assert_int_equal(tarn_buffer_capacity(buffer), 120 * KIB);
    give(&stand, buffer, NULL);
    /* Never more than the bounds allow, unless it lies there already. */
    EXPECT_OK(tarn_allocator_empty_cache(stand.allocator));
    buffer = take_shaped(&stand, &tight, NULL);
    assert_int_equal(tarn_buffer_capacity(buffer), 110 * KIB);
    give(&stand, buffer, NULL);
    stand_close(&stand);
}

/* The claim of the specification, to the letter. */
static void growing_64_mib_to_1_gib_in_place_copies_no_byte(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "predictive", "cpu");
    tarn_shape_bounds bounds = rows(64 * KIB, MIB);
    tarn_buffer *buffer = take_shaped(&stand, &bounds, NULL);
    char *data = tarn_buffer_data(buffer);
    for (size_t at = 0; at < 64 * MIB; at += 4 * MIB) memcpy(data + at, &at, sizeof at);
    tarn_device_counters before = counters_of(stand.device);
    EXPECT_OK(resize(buffer, MIB, NULL));
    assert_ptr_equal(tarn_buffer_data(buffer), data);
    assert_int_equal(tarn_buffer_size(buffer), GIB);
    tarn_predictive_stats done = done_by(stand.allocator);
    assert_int_equal(done.moved_bytes, 0);
    assert_int_equal(done.moves, 0);
    assert_int_equal(done.in_place_growths, 1);
    assert_int_equal(counters_of(stand.device).driver_unmaps, before.driver_unmaps);
    for (size_t at = 0; at < 64 * MIB; at += 4 * MIB) assert_memory_equal(data + at, &at, sizeof at);
    memset(data + GIB - 4096, 1, 4096);
    assert_int_equal(info_of(buffer).reach, GIB);
    give(&stand, buffer, NULL);
    stand_close(&stand);
}

static void without_virtual_memory_the_buffer_moves_with_its_contents(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "predictive:in_place=off", "cpu");
    tarn_stream *streams[] = {NULL, stand_stream(&stand, 0)};
    for (size_t i = 0; i < 2; i++) {
        tarn_shape_bounds bounds = rows(4000, 100000);
        tarn_predictive_stats before = done_by(stand.allocator);
        tarn_buffer *buffer = take_shaped(&stand, &bounds, streams[i]);
        char *data = tarn_buffer_data(buffer);
        write_rows(buffer, 0, 4000);
        EXPECT_OK(resize(buffer, 30000, streams[i]));
        assert_ptr_not_equal(tarn_buffer_data(buffer), data);
        if (i == 1) EXPECT_OK(tarn_stream_synchronize(streams[i]));
        expect_rows(buffer, 4000);
        write_rows(buffer, 4000, 30000);
        /* Only what both shapes have is kept. */
        EXPECT_OK(resize(buffer, 500, streams[i]));
        EXPECT_OK(resize(buffer, 60000, NULL));
        if (i == 1) EXPECT_OK(tarn_stream_synchronize(streams[i]));
        expect_rows(buffer, 500);
        tarn_predictive_stats done = done_by(stand.allocator);
        assert_int_equal(done.moves - before.moves, 2);
        assert_int_equal(done.moved_bytes - before.moved_bytes, 4500 * KIB);
        assert_int_equal(info_of(buffer).moves, 2);
        assert_int_equal(info_of(buffer).resizes, 3);
        give(&stand, buffer, NULL);
    }
    stand_close(&stand);
}

/* 23 and 26 … 29 for a move: the copy is behind the work that wrote the contents, and the old place is nobody's before it. */
static void a_move_is_in_stream_order(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "predictive:in_place=off", "cpu");
    tarn_shape_bounds bounds = rows(100, 100000);
    tarn_stream *stream = stand_stream(&stand, 0), *other = stand_stream(&stand, 1);
    tarn_buffer *buffer = take_shaped(&stand, &bounds, stream), *others[16];
    char *old = tarn_buffer_data(buffer);
    const unsigned char pattern = 7;
    memset(old, 0, 100 * KIB);
    stand_hold(&stand, 0);
    EXPECT_OK(tarn_stream_fill(stream, old, &pattern, 1, 100 * KIB));
    EXPECT_OK(resize(buffer, 5000, stream));
    for (size_t i = 0; i < 16; i++) {
        others[i] = take_shaped(&stand, &bounds, other);
        assert_ptr_not_equal(tarn_buffer_data(others[i]), old);
    }
    stand_let_go(&stand, 0);
    const unsigned char *data = tarn_buffer_data(buffer);
    for (size_t i = 0; i < 100 * KIB; i++) assert_int_equal(data[i], 7);
    for (size_t i = 0; i < 16; i++) give(&stand, others[i], NULL);
    give(&stand, buffer, NULL);
    stand_close(&stand);
}

/* 50 */
static void a_shape_beyond_the_bounds_is_refused_and_counted(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "predictive", "sim:8GiB");
    tarn_shape_bounds bounds = rows(100, 1000);
    bounds.minimum.dims[0] = 10;
    tarn_buffer *buffer = take_shaped(&stand, &bounds, NULL);
    const tarn_shape beyond[] = {
        shape_of(1001, 1024), shape_of(9, 1024), shape_of(100, 1023), shape_of(-1, 1024), {.rank = 1, .dims = {100}}};
    tarn_predictive_info before = info_of(buffer);
    for (size_t i = 0; i < 5; i++) {
        EXPECT(TARN_INVALID_ARGUMENT, tarn_predictive_resize(buffer, &beyond[i], NULL));
        EXPECT_SENTENCE("[1000, 1024]");
        assert_int_equal(done_by(stand.allocator).refused, 2 * i + 1);
        EXPECT(TARN_INVALID_ARGUMENT, tarn_predictive_update_expectations(buffer, &beyond[i]));
    }
    tarn_predictive_info after = info_of(buffer);
    assert_ptr_equal(after.pointer, before.pointer);
    assert_int_equal(after.capacity, before.capacity);
    assert_true(tarn_shape_equals(&after.shape, &before.shape));
    assert_true(tarn_shape_equals(&after.bounds.expected, &before.bounds.expected));
    assert_int_equal(done_by(stand.allocator).resizes, 0);
    EXPECT_OK(resize(buffer, 1000, NULL));
    give(&stand, buffer, NULL);
    stand_close(&stand);
}

static void all_buffers_together_keep_within_the_limit(void **state) {
    (void)state;
    static const char *const specs[] = {"predictive:max=64MiB", "predictive:max=64MiB,in_place=off"};
    for (size_t i = 0; i < 2; i++) {
        test_stand stand;
        stand_open(&stand, specs[i], "sim:8GiB");
        tarn_shape_bounds bounds = rows(20 * (int64_t)KIB, MIB);
        tarn_buffer *first = take_shaped(&stand, &bounds, NULL), *second = take_shaped(&stand, &bounds, NULL),
                    *third = NULL;
        EXPECT(TARN_LIMIT_EXCEEDED, tarn_predictive_allocate(stand.allocator, &bounds, TARN_ELEMENT_U8, NULL, &third));
        assert_null(third);
        size_t capacity = tarn_buffer_capacity(first);
        void *data = tarn_buffer_data(first);
        EXPECT(TARN_LIMIT_EXCEEDED, resize(first, 50 * (int64_t)KIB, NULL));
        assert_int_equal(tarn_buffer_size(first), 20 * MIB);
        assert_int_equal(tarn_buffer_capacity(first), capacity);
        assert_ptr_equal(tarn_buffer_data(first), data);
        EXPECT_OK(tarn_allocator_check(stand.allocator));
        give(&stand, second, NULL);
        /* What the buffer has itself counts once, also while it moves; padding gives way. */
        EXPECT_OK(resize(first, 62 * (int64_t)KIB, NULL));
        EXPECT(TARN_LIMIT_EXCEEDED, resize(first, 66 * (int64_t)KIB, NULL));
        EXPECT_OK(tarn_allocator_set_limit(stand.allocator, 100 * MIB));
        EXPECT_OK(resize(first, 66 * (int64_t)KIB, NULL));
        give(&stand, first, NULL);
        stand_close(&stand);
    }
}

static void padding_is_no_reason_to_fail(void **state) {
    (void)state;
    static const char *const devices[] = {"sim:100MiB", "sim:100MiB,granule=0"};
    for (size_t i = 0; i < 2; i++) {
        test_stand stand;
        stand_open(&stand, "predictive:factor=2", devices[i]);
        tarn_shape_bounds bounds = rows(90 * (int64_t)KIB, 100 * (int64_t)KIB);
        tarn_buffer *buffer = take_shaped(&stand, &bounds, NULL);
        if (i == 0) EXPECT_OK(resize(buffer, 98 * (int64_t)KIB, NULL));
        EXPECT(TARN_INVALID_ARGUMENT, resize(buffer, 110 * (int64_t)KIB, NULL));
        give(&stand, buffer, NULL);
        stand_close(&stand);
    }
}

static void bytes_can_be_resized_like_any_shape(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "predictive", "cpu");
    tarn_buffer *buffer = take(&stand, 10 * MIB, NULL);
    char *data = tarn_buffer_data(buffer);
    data[10 * MIB - 1] = 'x';
    tarn_shape shape = {.rank = 1, .dims = {20 * MIB}};
    EXPECT_OK(tarn_predictive_resize(buffer, &shape, NULL));
    assert_ptr_equal(tarn_buffer_data(buffer), data);
    shape.dims[0] = 200 * MIB;
    EXPECT_OK(tarn_predictive_resize(buffer, &shape, NULL));
    data = tarn_buffer_data(buffer);
    assert_int_equal(data[10 * MIB - 1], 'x');
    shape.dims[0] = 0;
    EXPECT_OK(tarn_predictive_resize(buffer, &shape, NULL));
    assert_int_equal(tarn_buffer_size(buffer), 0);
    assert_true(tarn_buffer_is_valid(buffer));
    tarn_predictive_info info = info_of(buffer);
    assert_int_equal(info.type, TARN_ELEMENT_U8);
    assert_int_equal(info.bounds.maximum.dims[0], PTRDIFF_MAX);
    give(&stand, buffer, NULL);
    stand_close(&stand);
}

static void pinned_memory_is_had_and_never_grows_in_place(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "predictive:kind=pinned", "cpu");
    tarn_shape_bounds bounds = rows(10 * (int64_t)KIB, 100 * (int64_t)KIB);
    tarn_buffer *buffer = take_shaped(&stand, &bounds, NULL);
    write_rows(buffer, 0, 10 * KIB);
    EXPECT_OK(resize(buffer, 20 * (int64_t)KIB, NULL));
    expect_rows(buffer, 10 * KIB);
    assert_int_equal(done_by(stand.allocator).in_place_growths, 0);
    assert_int_equal(done_by(stand.allocator).moves, 1);
    assert_int_equal(info_of(buffer).reach, info_of(buffer).capacity);
    give(&stand, buffer, NULL);
    stand_close(&stand);
}

static void a_freed_place_serves_a_similar_request(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "predictive", "sim:8GiB");
    tarn_shape_bounds bounds = rows(10 * (int64_t)KIB, MIB), more = rows(14 * (int64_t)KIB, MIB);
    tarn_buffer *buffer = take_shaped(&stand, &bounds, NULL);
    void *data = tarn_buffer_data(buffer);
    give(&stand, buffer, NULL);
    tarn_device_counters before = counters_of(stand.device);
    buffer = take_shaped(&stand, &bounds, NULL);
    assert_ptr_equal(tarn_buffer_data(buffer), data);
    assert_int_equal(counters_of(stand.device).driver_allocs, before.driver_allocs);
    give(&stand, buffer, NULL);
    /* Too small by now, but it grows where it is. */
    buffer = take_shaped(&stand, &more, NULL);
    assert_ptr_equal(tarn_buffer_data(buffer), data);
    assert_true(tarn_buffer_capacity(buffer) >= 14 * MIB);
    give(&stand, buffer, NULL);
    stand_close(&stand);
}

/* What shrinks in place is unmapped only when no work can use it any more. */
static void a_shrink_in_place_waits_for_no_work_and_disturbs_none(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "predictive:strategy=adaptive", "fake:8GiB");
    tarn_stream *stream = stand_stream(&stand, 0);
    tarn_shape_bounds bounds = rows(100 * (int64_t)KIB, MIB);
    tarn_buffer *buffer = take_shaped(&stand, &bounds, stream);
    void *data = tarn_buffer_data(buffer);
    EXPECT_OK(resize(buffer, 200 * (int64_t)KIB, NULL));
    stand_hold(&stand, 0);
    for (int i = 0; i < 40; i++) EXPECT_OK(resize(buffer, 10 * (int64_t)KIB, NULL));
    assert_true(tarn_buffer_capacity(buffer) >= 200 * MIB);
    assert_int_equal(fake_forced_waits(), 0);
    stand_let_go(&stand, 0);
    /* The work is over; but a larger shape in between has started anew what counts. */
    EXPECT_OK(resize(buffer, 150 * (int64_t)KIB, NULL));
    assert_true(tarn_buffer_capacity(buffer) >= 200 * MIB);
    for (int i = 0; i < 20; i++) EXPECT_OK(resize(buffer, 10 * (int64_t)KIB, NULL));
    assert_true(tarn_buffer_capacity(buffer) < 20 * MIB);
    assert_ptr_equal(tarn_buffer_data(buffer), data);
    tarn_predictive_stats done = done_by(stand.allocator);
    assert_int_equal(done.in_place_shrinks, 1);
    assert_int_equal(done.moves, 0);
    assert_int_equal(fake_taken_while_held(), 0);
    assert_int_equal(stats_of(stand.allocator).in_use_bytes.current, tarn_buffer_capacity(buffer));
    EXPECT_OK(resize(buffer, 300 * (int64_t)KIB, NULL));
    assert_ptr_equal(tarn_buffer_data(buffer), data);
    give(&stand, buffer, NULL);
    stand_close(&stand);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_has_room_to_spare),
        cmocka_unit_test(growing_64_mib_to_1_gib_in_place_copies_no_byte),
        cmocka_unit_test(without_virtual_memory_the_buffer_moves_with_its_contents),
        cmocka_unit_test(a_move_is_in_stream_order),
        cmocka_unit_test(a_shape_beyond_the_bounds_is_refused_and_counted),
        cmocka_unit_test(all_buffers_together_keep_within_the_limit),
        cmocka_unit_test(padding_is_no_reason_to_fail),
        cmocka_unit_test(bytes_can_be_resized_like_any_shape),
        cmocka_unit_test(pinned_memory_is_had_and_never_grows_in_place),
        cmocka_unit_test(a_freed_place_serves_a_similar_request),
        cmocka_unit_test(a_shrink_in_place_waits_for_no_work_and_disturbs_none),
    };
    return cmocka_run_group_tests_name("memory predictive", tests, NULL, NULL);
}
