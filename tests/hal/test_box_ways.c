/* Which way a box goes: by the driver's command for boxes, row by row, or by way of the host in parts; and what becomes of failures. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "base/box.h"
#include "base/memory.h"
#include "hal/memory.h"
#include "pair.h"
#include "scripted.h"

#define SIZE ((size_t)14 << 20)
#define PATTERN ((size_t)65521)
#define PART ((size_t)4 << 20)

typedef struct piece {
    tarn_device *device;
    char *memory;
} piece;

static unsigned char *expected;

static piece open_piece(const char *name, int byte) {
    piece opened;
    void *memory;
    assert_ok(tarn_device_open(name, &opened.device));
    assert_ok(hal_memory_allocate(opened.device, TARN_MEMORY_DEVICE, SIZE, 0, &memory));
    opened.memory = memory;
    /* A pattern of a length that no pitch is a multiple of. */
    for (size_t i = 0; i < PATTERN; i++) opened.memory[i] = (char)(i * 7 + i / 256 + (size_t)byte);
    for (size_t done = PATTERN; done < SIZE; done += PATTERN)
        memcpy(opened.memory + done, opened.memory, SIZE - done < PATTERN ? SIZE - done : PATTERN);
    return opened;
}

static void close_piece(piece opened) {
    assert_ok(hal_memory_free(opened.device, TARN_MEMORY_DEVICE, opened.memory, SIZE));
    assert_int_equal(counters_of(opened.device).memory_in_use, 0);
    assert_ok(tarn_device_release(opened.device));
}

static int install(void **state) {
    (void)state;
    pair_install();
    pair_reset();
    expected = malloc(SIZE);
    return expected != NULL ? 0 : -1;
}

static int check_rules(void **state) {
    (void)state;
    free(expected);
    return pair.violations;
}

/* Small, with slices that are no whole number of rows. */
static const tarn_box small = {.struct_size = sizeof small,
                               .width = 100,
                               .height = 7,
                               .depth = 3,
                               .destination_row_pitch = 128,
                               .destination_slice_pitch = 1000,
                               .source_row_pitch = 104,
                               .source_slice_pitch = 900};
#define SMALL_ROWS 21

static tarn_status copy(piece to, piece from, const tarn_box *box) {
    return tarn_copy_box(NULL, to.device, to.memory, from.device, from.memory, box);
}

static void assert_copied(piece to, piece from, const tarn_box *box) {
    memcpy(expected, to.memory, SIZE);
    base_box_copy(expected, from.memory, box);
    assert_ok(copy(to, from, box));
    assert_ok(tarn_device_synchronize(to.device));
    assert_memory_equal(to.memory, expected, SIZE);
}

static void the_driver_s_command_for_boxes_comes_first(void **state) {
    (void)state;
    piece one = open_piece("pair:1", 1), two = open_piece("pair:2", 2);
    assert_copied(one, two, &small);
    assert_int_equal(pair.peer_boxes, 1);
    assert_int_equal(pair.peer_copies, 0);
    /* Within one device it is the stream's own. */
    assert_ok(tarn_copy_box(NULL, one.device, one.memory + SIZE / 2, one.device, one.memory, &small));
    assert_int_equal(pair.boxes, 1);
    assert_int_equal(pair.copies, 0);
    close_piece(one);
    close_piece(two);
}

/* What is one piece on both sides is copied as one, whatever it was called. */
static void rows_that_touch_are_one(void **state) {
    (void)state;
    piece one = open_piece("pair:1", 1), two = open_piece("pair:2", 2);
    const tarn_box packed = {.struct_size = sizeof packed, .width = 10, .height = 20, .depth = 30};
    memcpy(expected, two.memory, 6000);
    assert_ok(copy(one, two, &packed));
    assert_memory_equal(one.memory, expected, 6000);
    assert_int_equal(pair.peer_copies, 1);
    assert_ok(tarn_stream_copy_box(tarn_device_default_stream(one.device), one.memory + SIZE / 2, one.memory, &packed));
    assert_int_equal(pair.copies, 1);
    assert_int_equal(pair.boxes + pair.peer_boxes, 0);
    close_piece(one);
    close_piece(two);
}

static void without_a_command_each_row_goes_by_itself(void **state) {
    (void)state;
    piece one = open_piece("pair:1", 1), two = open_piece("pair:2", 2);
    pair.copy_box = pair.stream_copy_box = TARN_NOT_SUPPORTED;
    assert_copied(one, two, &small);
    assert_int_equal(pair.peer_copies, SMALL_ROWS);
    assert_ok(tarn_copy_box(NULL, one.device, one.memory + SIZE / 2, one.device, one.memory, &small));
    assert_int_equal(pair.copies, SMALL_ROWS);
    assert_int_equal(pair.boxes + pair.peer_boxes, 0);
    close_piece(one);
    close_piece(two);
    /* A table of peers from before there were boxes. */
    one = open_piece("boxless:1", 1);
    two = open_piece("boxless:2", 2);
    pair.peer_copies = 0;
    pair.copy_box = TARN_OK;
    assert_copied(one, two, &small);
    assert_int_equal(pair.peer_copies, SMALL_ROWS);
    assert_int_equal(pair.peer_boxes, 0);
    close_piece(one);
    close_piece(two);
}

/* Slices of which several are a part, rows of which several are one, and a row that is more than one. */
static void by_way_of_the_host_it_goes_in_parts(void **state) {
    (void)state;
    static const tarn_box boxes[] = {
        {.width = 100, .height = 7, .depth = 3, .source_row_pitch = 104, .destination_slice_pitch = 1000},
        {.width = 1000, .height = 9, .depth = 500, .source_row_pitch = 2000, .destination_slice_pitch = 9500},
        {.width = 3000, .height = 1500, .depth = 2, .source_row_pitch = 4000, .destination_row_pitch = 3001},
        {.width = PART + 1000, .height = 3, .depth = 1, .source_row_pitch = PART + 2000},
        {.width = PART, .height = 3, .depth = 1, .destination_row_pitch = PART + 1},
    };
    piece one = open_piece("alone:1", 1), two = open_piece("pair:2", 2), host = open_piece("cpu", 3);
    for (size_t i = 0; i < sizeof boxes / sizeof boxes[0]; i++) {
        tarn_box box = boxes[i];
        box.struct_size = sizeof box;
        if (box.source_row_pitch == 0) box.source_row_pitch = box.width;
        if (box.destination_row_pitch == 0) box.destination_row_pitch = box.width;
        if (box.source_slice_pitch == 0) box.source_slice_pitch = box.height * box.source_row_pitch;
        if (box.destination_slice_pitch == 0) box.destination_slice_pitch = box.height * box.destination_row_pitch;
        assert_copied(one, two, &box);
        assert_copied(host, two, &box);
        assert_copied(two, host, &box);
    }
    assert_int_equal(pair.peer_boxes + pair.peer_copies, 0);
    /* Four parts at most hold these, and each is one command on the side that has boxes. */
    assert_true(pair.boxes > 0);
    scripted.features = TARN_FEATURE_HOST_ACCESS;
    close_piece(one);
    one = open_piece("alone:3", 1);
    pair.copies = 0;
    assert_copied(one, host, &small);
    assert_int_equal(pair.copies, 0);
    close_piece(one);
    close_piece(two);
    close_piece(host);
}

static void a_failing_driver_is_told_of_and_a_retry_works(void **state) {
    (void)state;
    piece one = open_piece("pair:1", 1), two = open_piece("pair:2", 2);
    pair.copy_box = TARN_INTERNAL;
    assert_fails(copy(one, two, &small), TARN_INTERNAL);
    assert_sentence("pair:1");
    pair.copy_box = TARN_NOT_SUPPORTED;
    pair.copy = TARN_INTERNAL;
    assert_fails(copy(one, two, &small), TARN_INTERNAL);
    pair.copy = TARN_NOT_SUPPORTED;
    pair.stream_copy_box = TARN_INTERNAL;
    assert_fails(copy(one, two, &small), TARN_INTERNAL);
    pair.stream_copy_box = TARN_NOT_SUPPORTED;
    pair.stream_copy = TARN_OUT_OF_MEMORY;
    assert_fails(copy(one, two, &small), TARN_OUT_OF_MEMORY);
    scripted.allocate = TARN_OUT_OF_MEMORY;
    assert_fails(copy(one, two, &small), TARN_OUT_OF_MEMORY);
    scripted.allocate = TARN_OK;
    pair.stream_copy = pair.stream_copy_box = TARN_OK;
    assert_copied(one, two, &small);
    close_piece(one);
    close_piece(two);
}

static void each_lack_of_host_memory_is_survived(void **state) {
    (void)state;
    for (int reachable = 0; reachable < 2; reachable++) {
        scripted.features = reachable != 0 ? TARN_FEATURE_HOST_ACCESS : 0;
        piece one = open_piece("plain:1", 1), two = open_piece("plain:2", 2);
        for (unsigned long n = 1;; n++) {
            base_memory_fail_at(n, 0);
            tarn_status status = copy(one, two, &small);
            unsigned long requests = base_memory_requests();
            base_memory_fail_at(0, 0);
            if (requests < n) {
                assert_ok(status);
                break;
            }
            assert_int_equal(status, TARN_OUT_OF_MEMORY);
        }
        assert_copied(one, two, &small);
        close_piece(one);
        close_piece(two);
    }
}

static void what_makes_no_sense_between_two_devices_is_refused(void **state) {
    (void)state;
    piece one = open_piece("pair:1", 1), two = open_piece("pair:2", 2), third = open_piece("pair:3", 3);
    tarn_box large = small, empty = small, narrow = small;
    tarn_stream *stream;
    large.height = SIZE;
    empty.width = 0;
    narrow.source_row_pitch = 99;
    assert_fails(copy(one, two, &large), TARN_INVALID_ARGUMENT);
    assert_fails(copy(one, two, &narrow), TARN_INVALID_ARGUMENT);
    assert_fails(copy(one, two, NULL), TARN_INVALID_ARGUMENT);
    assert_ok(copy(one, two, &empty));
    assert_fails(tarn_copy_box(NULL, one.device, one.memory + SIZE - 100, two.device, two.memory, &small),
                 TARN_INVALID_ARGUMENT);
    assert_fails(tarn_copy_box(NULL, one.device, one.memory, two.device, two.memory + SIZE - 100, &small),
                 TARN_INVALID_ARGUMENT);
    assert_fails(tarn_copy_box(NULL, NULL, one.memory, two.device, two.memory, &small), TARN_INVALID_ARGUMENT);
    assert_fails(
        tarn_copy_box(tarn_device_default_stream(third.device), one.device, one.memory, two.device, two.memory, &small),
        TARN_INVALID_ARGUMENT);
    assert_ok(tarn_stream_create(one.device, &stream));
    assert_ok(tarn_stream_begin_capture(stream, TARN_CAPTURE_GLOBAL));
    assert_fails(tarn_copy_box(stream, one.device, one.memory, two.device, two.memory, &small), TARN_INVALID_STATE);
    assert_ok(tarn_stream_abort_capture(stream));
    assert_ok(tarn_stream_release(stream));
    assert_int_equal(pair.peer_boxes + pair.peer_copies + pair.boxes + pair.copies, 0);
    close_piece(one);
    close_piece(two);
    close_piece(third);
}

#define WAY_TEST(name) cmocka_unit_test_setup_teardown(name, install, check_rules)

int main(void) {
    const struct CMUnitTest tests[] = {
        WAY_TEST(the_driver_s_command_for_boxes_comes_first),         WAY_TEST(rows_that_touch_are_one),
        WAY_TEST(without_a_command_each_row_goes_by_itself),          WAY_TEST(by_way_of_the_host_it_goes_in_parts),
        WAY_TEST(a_failing_driver_is_told_of_and_a_retry_works),      WAY_TEST(each_lack_of_host_memory_is_survived),
        WAY_TEST(what_makes_no_sense_between_two_devices_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
