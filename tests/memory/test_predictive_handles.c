/* Handles of predictive buffers that are stale, foreign or another allocator's, calls at the wrong time, and what is told of buffers
 * and of the allocator. Numbers in comments are those of the project's list of faults. */
#include <string.h>

#include "stand.h"
#include "trials.h"

static tarn_shape shape_of(int64_t length) { return (tarn_shape){.rank = 1, .dims = {length}}; }

static tarn_shape_bounds lengths(int64_t expected, int64_t most) {
    return (tarn_shape_bounds){.minimum = shape_of(0), .maximum = shape_of(most), .expected = shape_of(expected)};
}

static tarn_buffer *take_shaped(tarn_allocator *allocator, int64_t expected, int64_t most) {
    tarn_shape_bounds bounds = lengths(expected, most);
    tarn_buffer *buffer = NULL;
    EXPECT_OK(tarn_predictive_allocate(allocator, &bounds, TARN_ELEMENT_F32, NULL, &buffer));
    return buffer;
}

static tarn_status resize(tarn_buffer *buffer, int64_t length) {
    tarn_shape shape = shape_of(length);
    return tarn_predictive_resize(buffer, &shape, NULL);
}

static tarn_predictive_stats done_by(tarn_allocator *allocator) {
    tarn_predictive_stats stats = {.struct_size = sizeof stats};
    EXPECT_OK(tarn_predictive_stats_get(allocator, &stats));
    return stats;
}

/* 10, 13 … 17 */
static void handles_that_are_none_are_refused(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "predictive", "sim:8GiB");
    tarn_buffer *old = take_shaped(stand.allocator, 100, 1000), *live = take_shaped(stand.allocator, 100, 1000),
                *theirs;
    tarn_allocator *other = NULL;
    EXPECT_OK(tarn_allocator_create(stand.device, "caching", &other));
    EXPECT_OK(tarn_allocator_allocate(other, 400, NULL, &theirs));
    give(&stand, old, NULL);
    tarn_buffer *again = take_shaped(stand.allocator, 100, 1000);
    tarn_buffer *const wrong[] = {NULL, old, theirs, (tarn_buffer *)&stand, (tarn_buffer *)tarn_buffer_data(live)};
    tarn_shape shape = shape_of(50);
    tarn_predictive_info info = {.struct_size = sizeof info, .capacity = 77};
    for (size_t i = 0; i < 5; i++) {
        EXPECT(TARN_INVALID_ARGUMENT, tarn_predictive_resize(wrong[i], &shape, NULL));
        EXPECT(TARN_INVALID_ARGUMENT, tarn_predictive_update_expectations(wrong[i], &shape));
        EXPECT(TARN_INVALID_ARGUMENT, tarn_predictive_info_get(wrong[i], &info));
    }
    assert_int_equal(info.capacity, 77);
    EXPECT(TARN_INVALID_ARGUMENT, tarn_predictive_resize(live, NULL, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_predictive_update_expectations(live, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_predictive_info_get(live, NULL));
    info.struct_size = 0;
    EXPECT(TARN_INVALID_ARGUMENT, tarn_predictive_info_get(live, &info));
    tarn_predictive_stats stats = {.struct_size = sizeof stats};
    EXPECT(TARN_INVALID_ARGUMENT, tarn_predictive_stats_get(other, &stats));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_predictive_stats_get(NULL, &stats));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_predictive_stats_get(stand.allocator, NULL));
    assert_int_equal(done_by(stand.allocator).resizes, 0);
    EXPECT_OK(tarn_allocator_free(other, theirs, NULL));
    EXPECT_OK(tarn_allocator_release(other));
    give(&stand, again, NULL);
    give(&stand, live, NULL);
    stand_close(&stand);
}

/* 1, 4, 7, 8, 12 */
static void allocations_that_make_no_sense_are_refused(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "predictive", "sim:8GiB");
    tarn_shape_bounds fine = lengths(10, 100), empty = lengths(0, 100), negative = lengths(10, 100),
                      huge = lengths(10, INT64_MAX), crossed = lengths(200, 100), ranks = lengths(10, 100);
    negative.minimum.dims[0] = -5;
    ranks.minimum.rank = 9;
    const tarn_shape_bounds *const wrong[] = {NULL, &empty, &negative, &huge, &crossed, &ranks};
    tarn_buffer *buffer = (tarn_buffer *)&stand;
    tarn_device_counters before = counters_of(stand.device);
    for (size_t i = 0; i < 6; i++)
        EXPECT(TARN_INVALID_ARGUMENT,
               tarn_predictive_allocate(stand.allocator, wrong[i], TARN_ELEMENT_F32, NULL, &buffer));
    EXPECT(TARN_INVALID_ARGUMENT,
           tarn_predictive_allocate(stand.allocator, &fine, (tarn_element_type)99, NULL, &buffer));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_predictive_allocate(NULL, &fine, TARN_ELEMENT_F32, NULL, &buffer));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_predictive_allocate(stand.allocator, &fine, TARN_ELEMENT_F32, NULL, NULL));
    tarn_device *device = NULL;
    tarn_stream *foreign = NULL;
    EXPECT_OK(tarn_device_open("sim:1GiB", &device));
    EXPECT_OK(tarn_stream_create(device, &foreign));
    tarn_allocate_options options = {.struct_size = sizeof options, .stream = foreign};
    EXPECT(TARN_INVALID_ARGUMENT,
           tarn_predictive_allocate(stand.allocator, &fine, TARN_ELEMENT_F32, &options, &buffer));
    assert_ptr_equal(buffer, &stand);
    assert_int_equal(counters_of(stand.device).driver_allocs, before.driver_allocs);
    buffer = take_shaped(stand.allocator, 10, 100);
    tarn_shape shape = shape_of(50);
    EXPECT(TARN_INVALID_ARGUMENT, tarn_predictive_resize(buffer, &shape, foreign));
    give(&stand, buffer, NULL);
    EXPECT_OK(tarn_stream_release(foreign));
    EXPECT_OK(tarn_device_release(device));
    stand_close(&stand);
}

static void buffers_come_through_adaptors_and_keep_their_size_there(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "limit:1MiB | predictive:strategy=adaptive", "sim:8GiB");
    tarn_buffer *buffer = take_shaped(stand.allocator, 1000, 2000), *none = NULL;
    assert_int_equal(tarn_buffer_capacity(buffer), 5120);
    EXPECT(TARN_NOT_SUPPORTED, resize(buffer, 1500));
    EXPECT_SENTENCE("limit:1MiB");
    tarn_shape actual = shape_of(1500);
    EXPECT_OK(tarn_predictive_update_expectations(buffer, &actual));
    assert_int_equal(done_by(stand.allocator).allocations, 1);
    tarn_shape_bounds large = lengths(MIB, MIB);
    EXPECT(TARN_LIMIT_EXCEEDED, tarn_predictive_allocate(stand.allocator, &large, TARN_ELEMENT_F32, NULL, &none));
    give(&stand, buffer, NULL);
    stand_close(&stand);
}

static void a_pool_on_top_hands_out_no_predictive_buffers(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "pool | predictive", "sim:8GiB");
    tarn_shape_bounds bounds = lengths(10, 100);
    tarn_buffer *none = NULL, *piece = take(&stand, 100, NULL);
    EXPECT(TARN_INVALID_ARGUMENT, tarn_predictive_allocate(stand.allocator, &bounds, TARN_ELEMENT_F32, NULL, &none));
    EXPECT_SENTENCE("not predictive");
    EXPECT(TARN_INVALID_ARGUMENT, resize(piece, 10));
    give(&stand, piece, NULL);
    stand_close(&stand);
}

/* 19, 21 */
static void after_shut_down_buffers_are_used_but_do_not_grow(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "predictive", "sim:8GiB");
    tarn_buffer *buffer = take_shaped(stand.allocator, 3200, 32000), *none = NULL;
    EXPECT_OK(tarn_allocator_shut_down(stand.allocator));
    EXPECT_OK(resize(buffer, 10));
    EXPECT_OK(resize(buffer, 3200));
    EXPECT(TARN_SHUT_DOWN, resize(buffer, 32000));
    assert_int_equal(tarn_buffer_size(buffer), 12800);
    tarn_shape_bounds bounds = lengths(10, 100);
    EXPECT(TARN_SHUT_DOWN, tarn_predictive_allocate(stand.allocator, &bounds, TARN_ELEMENT_F32, NULL, &none));
    give(&stand, buffer, NULL);
    stand_close(&stand);
}

/* 20 */
static void a_buffer_outlives_its_allocators_last_reference(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "predictive", "sim:8GiB");
    tarn_buffer *buffer = take_shaped(stand.allocator, MIB, 10 * MIB);
    log_listen();
    EXPECT_OK(tarn_allocator_release(stand.allocator));
    assert_non_null(strstr(log_heard(), "1 live buffers"));
    log_silence();
    stand.allocator = NULL;
    EXPECT_OK(resize(buffer, 100));
    EXPECT_OK(tarn_buffer_free(buffer, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, resize(buffer, 100));
    stand_close(&stand);
}

typedef struct helper {
    tarn_allocator *allocator;
    tarn_buffer *spare, *other;
    tarn_status grown, shrunk;
    unsigned calls;
} helper;

static size_t help(void *context, size_t wanted) {
    helper *self = context;
    (void)wanted;
    self->calls++;
    self->grown = resize(self->other, 40 * (int64_t)MIB / 4);
    self->shrunk = resize(self->other, 1);
    size_t bytes = tarn_buffer_capacity(self->spare);
    if (self->spare != NULL) EXPECT_OK(tarn_buffer_free(self->spare, NULL));
    self->spare = NULL;
    return bytes;
}

/* 29, 41: growth asks reclaimers too, who may do everything but have something grow. */
static void growth_beyond_the_device_asks_reclaimers(void **state) {
    (void)state;
    static const char *const devices[] = {"sim:100MiB", "sim:100MiB,granule=0"};
    for (size_t i = 0; i < 2; i++) {
        test_stand stand;
        stand_open(&stand, "predictive", devices[i]);
        helper self = {.allocator = stand.allocator};
        tarn_buffer *buffer = take_shaped(stand.allocator, 10 * (int64_t)MIB / 4, 90 * (int64_t)MIB / 4);
        self.spare = take_shaped(stand.allocator, 40 * (int64_t)MIB / 4, 40 * (int64_t)MIB / 4);
        self.other = take_shaped(stand.allocator, 10 * (int64_t)MIB / 4, 40 * (int64_t)MIB / 4);
        EXPECT_OK(tarn_allocator_add_reclaimer(stand.allocator, help, &self));
        EXPECT_OK(resize(buffer, 60 * (int64_t)MIB / 4));
        assert_true(self.calls > 0);
        assert_int_equal(self.grown, TARN_INVALID_STATE);
        assert_int_equal(self.shrunk, TARN_OK);
        assert_null(self.spare);
        assert_true(stats_of(stand.allocator).retries > 0);
        EXPECT(TARN_OUT_OF_MEMORY, resize(buffer, 90 * (int64_t)MIB / 4));
        assert_int_equal(tarn_buffer_size(buffer), 60 * MIB);
        EXPECT_OK(tarn_allocator_remove_reclaimer(stand.allocator, help, &self));
        give(&stand, buffer, NULL);
        give(&stand, self.other, NULL);
        stand_close(&stand);
    }
}

static tarn_buffer *shown;
static int resize_it(void *context, const tarn_block_info *block) {
    tarn_status *status = context;
    (void)block;
    *status = resize(shown, 10);
    return 1;
}

/* 41 */
static void a_visit_of_the_blocks_cannot_resize(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "predictive", "sim:8GiB");
    shown = take_shaped(stand.allocator, 100, 1000);
    tarn_status status = TARN_OK;
    EXPECT_OK(tarn_allocator_each_block(stand.allocator, resize_it, &status));
    assert_int_equal(status, TARN_INVALID_STATE);
    give(&stand, shown, NULL);
    stand_close(&stand);
}

static void all_that_is_known_of_a_buffer_is_told(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "predictive", "sim:8GiB");
    tarn_shape_bounds bounds = lengths(6400, 64000);
    tarn_buffer *first = take_shaped(stand.allocator, 6400, 64000), *second = take_shaped(stand.allocator, 10, 20);
    EXPECT_OK(resize(first, 3200));
    tarn_predictive_info info = {.struct_size = sizeof info}, later = {.struct_size = sizeof later};
    EXPECT_OK(tarn_predictive_info_get(first, &info));
    EXPECT_OK(tarn_predictive_info_get(second, &later));
    tarn_shape now = shape_of(3200);
    assert_ptr_equal(info.pointer, tarn_buffer_data(first));
    assert_int_equal(info.capacity, tarn_buffer_capacity(first));
    assert_int_equal(info.effective_size, 12800);
    assert_true(info.utilization == 12800.0 / (double)info.capacity);
    assert_int_equal(info.type, TARN_ELEMENT_F32);
    assert_true(tarn_shape_equals(&info.shape, &now));
    assert_true(tarn_shape_equals(&info.bounds.minimum, &bounds.minimum));
    assert_true(tarn_shape_equals(&info.bounds.maximum, &bounds.maximum));
    assert_true(tarn_shape_equals(&info.bounds.expected, &bounds.expected));
    assert_true(info.allocated_ns > 0 && info.allocated_ns <= later.allocated_ns);
    assert_int_equal(info.resizes, 1);
    /* A smaller structure is filled as far as it goes. */
    memset(&later, 0xab, sizeof later);
    later.struct_size = offsetof(tarn_predictive_info, reach);
    EXPECT_OK(tarn_predictive_info_get(first, &later));
    assert_int_equal(later.capacity, info.capacity);
    assert_int_equal(((unsigned char *)&later.reach)[0], 0xab);
    give(&stand, first, NULL);
    give(&stand, second, NULL);
    stand_close(&stand);
}

static void every_use_adds_to_the_statistics(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "predictive:factor=2", "sim:8GiB,granule=0");
    tarn_predictive_stats done = done_by(stand.allocator);
    assert_int_equal(done.allocations + done.resizes + done.uses + done.sites, 0);
    assert_true(done.average_utilization == 0);
    tarn_buffer *buffer = take_shaped(stand.allocator, 12800, 1000000);
    size_t capacity = 2 * 51200;
    done = done_by(stand.allocator);
    assert_int_equal(done.allocated_bytes, capacity);
    assert_int_equal(done.wasted_bytes, 51200);
    assert_true(done.average_utilization == 0.5);
    EXPECT_OK(resize(buffer, 25600));
    EXPECT_OK(resize(buffer, 0));
    EXPECT(TARN_INVALID_ARGUMENT, resize(buffer, 1000001));
    done = done_by(stand.allocator);
    assert_int_equal(done.uses, 3);
    assert_int_equal(done.resizes, 2);
    assert_int_equal(done.refused, 1);
    assert_int_equal(done.allocated_bytes, 3 * capacity);
    assert_int_equal(done.wasted_bytes, 51200 + capacity);
    assert_int_equal(done.live, 1);
    assert_int_equal(done.sites, 1);
    EXPECT_OK(resize(buffer, 12800));
    EXPECT_OK(resize(buffer, 64000));
    give(&stand, buffer, NULL);
    done = done_by(stand.allocator);
    assert_int_equal(done.frees, 1);
    assert_int_equal(done.live, 0);
    assert_int_equal(done.moves, 1);
    assert_int_equal(done.moved_bytes, 51200);
    char text[1024], small[16];
    size_t length = tarn_predictive_stats_to_report(&done, text, sizeof text);
    assert_int_equal(length, strlen(text));
    assert_string_equal(text, "Allocations: 1 (1 freed, 0 live, 1 sites)\n"
                              "Resizes: 4 (0 grew in place, 0 shrank in place, 1 moved with 50 KiB copied, 1 refused)\n"
                              "Bytes allocated: 900 KiB over 5 uses\n"
                              "Bytes wasted: 450 KiB\n"
                              "Average utilization: 50.0 %\n");
    assert_int_equal(tarn_predictive_stats_to_report(&done, small, sizeof small), length);
    assert_int_equal(strlen(small), sizeof small - 1);
    assert_int_equal(tarn_predictive_stats_to_report(&done, NULL, 0), length);
    assert_true(tarn_predictive_stats_to_report(NULL, text, sizeof text) > 0);
    stand_close(&stand);
}

/* 2, 3: nothing is asked of the driver, and nothing changes. */
static void sizes_at_the_end_of_the_address_space_are_refused(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "predictive", "sim:8GiB");
    tarn_device_counters before = counters_of(stand.device);
    tarn_buffer *buffer = (tarn_buffer *)&stand;
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_allocate(stand.allocator, PTRDIFF_MAX, NULL, &buffer));
    assert_ptr_equal(buffer, &stand);
    assert_int_equal(counters_of(stand.device).driver_allocs, before.driver_allocs);
    buffer = take(&stand, 100, NULL);
    EXPECT(TARN_INVALID_ARGUMENT,
           tarn_predictive_resize(buffer, &(tarn_shape){.rank = 1, .dims = {PTRDIFF_MAX}}, NULL));
    assert_int_equal(tarn_buffer_size(buffer), 100);
    EXPECT(TARN_NOT_SUPPORTED, tarn_allocator_set_limit(stand.allocator, MIB));
    give(&stand, buffer, NULL);
    stand_close(&stand);
}

static void an_allocator_ends_although_the_driver_takes_nothing_back(void **state) {
    (void)state;
    trial_of_an_end_without_driver("predictive");
    trial_of_an_end_without_driver("predictive:in_place=off");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handles_that_are_none_are_refused),
        cmocka_unit_test(allocations_that_make_no_sense_are_refused),
        cmocka_unit_test(buffers_come_through_adaptors_and_keep_their_size_there),
        cmocka_unit_test(a_pool_on_top_hands_out_no_predictive_buffers),
        cmocka_unit_test(after_shut_down_buffers_are_used_but_do_not_grow),
        cmocka_unit_test(a_buffer_outlives_its_allocators_last_reference),
        cmocka_unit_test(growth_beyond_the_device_asks_reclaimers),
        cmocka_unit_test(a_visit_of_the_blocks_cannot_resize),
        cmocka_unit_test(all_that_is_known_of_a_buffer_is_told),
        cmocka_unit_test(every_use_adds_to_the_statistics),
        cmocka_unit_test(sizes_at_the_end_of_the_address_space_are_refused),
        cmocka_unit_test(an_allocator_ends_although_the_driver_takes_nothing_back),
    };
    return cmocka_run_group_tests_name("memory predictive handles", tests, NULL, NULL);
}
