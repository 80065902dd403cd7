/* Tarn's own format: what a recorder writes is what is read, and damage is told with its byte. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stand.h"
#include "trace/format.h"

/* A file as a recorder makes it. */
typedef struct file {
    uint8_t bytes[4096];
    size_t size;
    trace_encoder encoder;
} file;

static file begin(uint32_t flags) {
    file f = {.size = 0};
    f.size = trace_encode_header(f.bytes, flags);
    return f;
}

static trace_record event_of(trace_record_kind kind, uint64_t address, uint64_t size, int64_t time_ns) {
    return (trace_record){.kind = kind,
                          .address = address,
                          .size = size,
                          .time_ns = time_ns,
                          .tag = TRACE_NO_STRING,
                          .site = TRACE_NO_STRING};
}

static void add(file *f, trace_record record) {
    size_t size = trace_encode_event(&f->encoder, f->bytes + f->size, &record);
    assert_in_range(size, 1, TRACE_RECORD_ROOM);
    f->size += size;
}

static void allocate(file *f, uint64_t address, uint64_t size, int64_t time_ns) {
    add(f, event_of(TRACE_RECORD_ALLOCATE, address, size, time_ns));
}

static void release(file *f, uint64_t address, int64_t time_ns) {
    add(f, event_of(TRACE_RECORD_FREE, address, 0, time_ns));
}

static void end(file *f) { f->size += trace_encode_end(f->bytes + f->size); }

static tarn_trace *finished(file *f) {
    end(f);
    return trace_of(f->bytes, f->size);
}

static void refused(file *f, const char *part) {
    end(f);
    expect_refused(f->bytes, f->size, TARN_CORRUPT_DATA, part);
}

static void what_a_recorder_writes_is_read(void **state) {
    (void)state;
    file f = begin(0);
    f.size += trace_encode_string(f.bytes + f.size, "weights", 7);
    f.size += trace_encode_string(f.bytes + f.size, "f (x.c:1)", 9);
    trace_record record = event_of(TRACE_RECORD_ALLOCATE, 0x7fff00000000, 100, 0);
    record.initial = true;
    add(&f, record);
    record = event_of(TRACE_RECORD_ALLOCATE, UINT64_MAX, 1000, 5000000000);
    record.tag = 0;
    record.site = 1;
    record.alignment_log2 = 12;
    record.thread = 4711;
    record.stream = 0xdeadbeef;
    add(&f, record);
    record = event_of(TRACE_RECORD_FREE, 0x7fff00000000, 0, 5000000010);
    record.thread = 4712;
    add(&f, record);
    record.kind = TRACE_RECORD_FREE_COMPLETED;
    record.time_ns += 5;
    add(&f, record);
    add(&f, event_of(TRACE_RECORD_SEGMENT_ALLOCATE, 0x1000, 1 << 21, 5000000020));
    add(&f, event_of(TRACE_RECORD_OUT_OF_MEMORY, 0, 1 << 30, 5000000020));
    record = event_of(TRACE_RECORD_MARK, 0, 0, 5000000030);
    record.site = 1;
    add(&f, record);
    f.size += trace_encode_property(f.bytes + f.size, TRACE_PROPERTY_PEAK_RESERVED, 12345);
    f.size += trace_encode_property(f.bytes + f.size, TRACE_PROPERTY_SETTINGS, 0);
    tarn_trace *trace = finished(&f);
    tarn_trace_info info = info_of(trace);
    assert_int_equal(info.format, TARN_TRACE_TARN);
    assert_int_equal(info.event_count, 7);
    assert_int_equal(info.initial_count, 1);
    assert_int_equal(info.thread_count, 3);
    assert_int_equal(info.stream_count, 2);
    assert_int_equal(info.peak_live, 1100);
    assert_int_equal(info.recorded_peak_reserved, 12345);
    assert_string_equal(info.settings, "weights");
    const tarn_trace_event *events = tarn_trace_events(trace);
    assert_true(events[1].address == UINT64_MAX);
    assert_int_equal(events[1].alignment_log2, 12);
    assert_int_equal(events[1].time_ns, 0);
    assert_int_equal(events[1].stream, 1);
    assert_string_equal(tarn_trace_string(trace, events[1].tag), "weights");
    assert_string_equal(tarn_trace_string(trace, events[1].site), "f (x.c:1)");
    assert_int_equal(events[2].id, 0);
    assert_int_equal(events[2].size, 100);
    assert_int_equal(events[2].thread, 2);
    assert_int_equal(events[3].action, TARN_TRACE_FREE_COMPLETED);
    assert_int_equal(events[6].time_ns, 30);
    tarn_trace_release(trace);
}

static void numbers_of_each_length_are_read_back(void **state) {
    (void)state;
    file f = begin(0);
    uint64_t sizes[2 * 62];
    size_t count = 0;
    for (unsigned bits = 1; bits < 63; bits++) {
        sizes[count++] = UINT64_C(1) << (bits - 1);
        sizes[count++] = (UINT64_C(1) << bits) - 1;
    }
    for (size_t i = 0; i < count; i++) {
        add(&f, event_of(TRACE_RECORD_ALLOCATE, 0x1000 + sizes[i], sizes[i], (int64_t)sizes[i]));
        add(&f, event_of(TRACE_RECORD_FREE, 0x1000 + sizes[i], 0, (int64_t)sizes[i]));
    }
    tarn_trace *trace = finished(&f);
    assert_int_equal(info_of(trace).event_count, 2 * count);
    const tarn_trace_event *events = tarn_trace_events(trace);
    for (size_t i = 0; i < count; i++) {
        assert_true(events[2 * i].size == sizes[i]);
        assert_true(events[2 * i].address == 0x1000 + sizes[i]);
        assert_true(events[2 * i].time_ns == (int64_t)(sizes[i] - sizes[0]));
    }
    tarn_trace_release(trace);
}

/* Each number takes as few bytes as it can, and no byte before it changes. */
static void numbers_take_one_byte_for_seven_bits(void **state) {
    (void)state;
    for (unsigned bits = 0; bits <= 64; bits++) {
        uint64_t number = bits == 0 ? 0 : UINT64_MAX >> (64 - bits);
        uint8_t bytes[20];
        memset(bytes, 0xaa, sizeof bytes);
        size_t length = trace_put_number(bytes + 1, number);
        assert_int_equal(length, bits == 0 ? 1 : (bits + 6) / 7);
        uint64_t read = 0;
        for (size_t i = 0; i < length; i++) {
            read |= (uint64_t)(bytes[1 + i] & 0x7f) << (7 * i);
            assert_int_equal(bytes[1 + i] >> 7, i + 1 < length);
        }
        assert_true(read == number);
        assert_int_equal(bytes[0], 0xaa);
        assert_int_equal(bytes[1 + TRACE_STRING_ROOM - 1], 0xaa);
    }
}

static void a_crashed_program_leaves_a_readable_file(void **state) {
    (void)state;
    file f = begin(0);
    allocate(&f, 0x1000, 10, 1);
    release(&f, 0x1000, 2);
    listen_to_log();
    tarn_trace *trace = trace_of(f.bytes, f.size);
    assert_int_equal(info_of(trace).event_count, 2);
    assert_non_null(strstr(last_message(), "input ends after 2 events without an end record"));
    tarn_log_set(NULL, NULL, TARN_LOG_WARNING);
    tarn_trace_release(trace);
}

/* Fault 52. */
static void a_cut_inside_a_record_is_told(void **state) {
    (void)state;
    file f = begin(0);
    f.size += trace_encode_string(f.bytes + f.size, "some text", 9);
    size_t second = f.size;
    allocate(&f, 0x7f0012345678, 123456789, 1);
    for (size_t size = 8; size < TRACE_HEADER_SIZE; size++)
        expect_refused(f.bytes, size, TARN_CORRUPT_DATA, "header is cut off");
    for (size_t size = TRACE_HEADER_SIZE + 1; size < second; size++)
        expect_refused(f.bytes, size, TARN_CORRUPT_DATA, "record at byte 16");
    char part[64];
    snprintf(part, sizeof part, "record at byte %zu: it is cut off", second);
    for (size_t size = second + 1; size < f.size; size++) expect_refused(f.bytes, size, TARN_CORRUPT_DATA, part);
}

static void another_version_or_a_text_transfer_is_told(void **state) {
    (void)state;
    file f = begin(0);
    f.bytes[8] = 2;
    expect_refused(f.bytes, f.size, TARN_NOT_SUPPORTED, "version 2 of Tarn's format");
    f = begin(128);
    expect_refused(f.bytes, f.size, TARN_CORRUPT_DATA, "unknown flags 0x80");
}

/* Fault 57. */
static void contradictions_are_told_with_their_byte(void **state) {
    (void)state;
    file f = begin(0);
    allocate(&f, 0x1000, 10, 1);
    size_t second = f.size;
    char part[80];
    allocate(&f, 0x1000, 10, 2);
    snprintf(part, sizeof part, "record at byte %zu: 0x1000 is allocated, and is live already", second);
    refused(&f, part);
    f = begin(0);
    release(&f, 0x1000, 1);
    refused(&f, "record at byte 16: 0x1000 is freed, and is not live");
    f = begin(0);
    allocate(&f, 0x1000, 10, 1);
    release(&f, 0x1000, 1);
    release(&f, 0x1000, 1);
    refused(&f, "is not live");
    f = begin(0);
    allocate(&f, 0x1000, 10, 1);
    add(&f, event_of(TRACE_RECORD_FREE_COMPLETED, 0x1000, 0, 2));
    refused(&f, "is not live");
    f = begin(0);
    allocate(&f, 0x1000, 10, 1);
    trace_record late = event_of(TRACE_RECORD_ALLOCATE, 0x2000, 10, 0);
    late.initial = true;
    add(&f, late);
    refused(&f, "an initial allocation after the recording has begun");
    f = begin(0);
    allocate(&f, 0x1000, UINT64_MAX, 1);
    allocate(&f, 0x2000, 1, 1);
    refused(&f, "passes 64 bits");
    f = begin(0);
    trace_record undefined = event_of(TRACE_RECORD_ALLOCATE, 0x1000, 1, 1);
    undefined.tag = 3;
    add(&f, undefined);
    refused(&f, "a string that is not defined");
}

/* One record of given bytes after the header. */
static void expect_record_refused(const char *bytes, size_t size, const char *part) {
    file f = begin(0);
    memcpy(f.bytes + f.size, bytes, size);
    f.size += size;
    expect_refused(f.bytes, f.size, TARN_CORRUPT_DATA, part);
}

static void bytes_that_mean_nothing_are_told(void **state) {
    (void)state;
    expect_record_refused("\x00", 1, "0x00 begins no record");
    expect_record_refused("\x11", 1, "0x11 begins no record");
    expect_record_refused("\x46\x00\x00", 3, "0x46 begins no record");
    expect_record_refused("\x0f\x0f", 2, "bytes follow the end");
    expect_record_refused("\x01\x03"
                          "a\0b",
                          5, "NUL");
    expect_record_refused("\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, "declares 18446744073709551615 bytes");
    expect_record_refused("\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11, "more than 64 bits");
    expect_record_refused("\x04\xff\xff\x03", 4, "a device above 65534");
    expect_record_refused("\x45\x00\x00\x01\x40", 5, "alignment above 2^63");
    expect_record_refused("\x0d\x07\x00", 3, "unknown property");
    expect_record_refused("\x0d\x02\x00", 3, "not defined");
    expect_record_refused("\x0c\x00\x00\x00\x00\x03", 6, "unknown state");
    expect_record_refused("\x86\x00\x01", 3, "from before the beginning");
    expect_record_refused("\x0e\x01\x05"
                          "abc",
                          6, "declares 5 bytes");
}

static void extensions_are_skipped(void **state) {
    (void)state;
    file f = begin(0);
    memcpy(f.bytes + f.size, "\x0e\x63\x03xyz", 6);
    f.size += 6;
    allocate(&f, 0x1000, 10, 1);
    tarn_trace *trace = finished(&f);
    assert_int_equal(info_of(trace).event_count, 1);
    tarn_trace_release(trace);
}

static void a_partial_file_may_miss_what_it_did_not_see(void **state) {
    (void)state;
    file f = begin(TRACE_FILE_PARTIAL);
    release(&f, 0x9000, 1);
    allocate(&f, 0x1000, 10, 2);
    allocate(&f, 0x1000, 20, 3);
    release(&f, 0x1000, 4);
    release(&f, 0x1000, 5);
    tarn_trace *trace = finished(&f);
    tarn_trace_info info = info_of(trace);
    assert_int_equal(info.event_count, 4);
    assert_int_equal(info.peak_live, 20);
    const tarn_trace_event *events = tarn_trace_events(trace);
    assert_int_equal(events[1].action, TARN_TRACE_FREE);
    assert_int_equal(events[1].id, 0);
    assert_int_equal(events[3].id, 1);
    tarn_trace_release(trace);
    f = begin(TRACE_FILE_PARTIAL);
    trace_record initial = event_of(TRACE_RECORD_ALLOCATE, 0x1000, 10, 0);
    initial.initial = true;
    add(&f, initial);
    add(&f, initial);
    refused(&f, "is live already");
}

static void a_numbered_file_needs_no_addresses(void **state) {
    (void)state;
    file f = begin(TRACE_FILE_NUMBERED);
    allocate(&f, 0, 10, 1);
    allocate(&f, 0, 20, 2);
    trace_record record = event_of(TRACE_RECORD_FREE, 0, 0, 3);
    record.distance = 2;
    add(&f, record);
    tarn_trace *trace = finished(&f);
    assert_int_equal(tarn_trace_events(trace)[2].id, 0);
    assert_int_equal(tarn_trace_events(trace)[2].size, 10);
    tarn_trace_release(trace);
    f.size--;
    add(&f, record);
    refused(&f, "a second time");
    f = begin(TRACE_FILE_NUMBERED);
    allocate(&f, 0x1000, 10, 1);
    release(&f, 0x1000, 2);
    refused(&f, "all frees have numbers");
}

static void devices_have_addresses_of_their_own(void **state) {
    (void)state;
    file f = begin(0);
    allocate(&f, 0x1000, 10, 1);
    trace_record record = event_of(TRACE_RECORD_ALLOCATE, 0x1000, 20, 2);
    record.device = 3;
    add(&f, record);
    release(&f, 0x1000, 3);
    tarn_trace *trace = finished(&f);
    assert_int_equal(info_of(trace).device_count, 4);
    assert_int_equal(tarn_trace_events(trace)[2].id, 0);
    tarn_trace_release(trace);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_recorder_writes_is_read),
        cmocka_unit_test(numbers_of_each_length_are_read_back),
        cmocka_unit_test(numbers_take_one_byte_for_seven_bits),
        cmocka_unit_test(a_crashed_program_leaves_a_readable_file),
        cmocka_unit_test(a_cut_inside_a_record_is_told),
        cmocka_unit_test(another_version_or_a_text_transfer_is_told),
        cmocka_unit_test(contradictions_are_told_with_their_byte),
        cmocka_unit_test(bytes_that_mean_nothing_are_told),
        cmocka_unit_test(extensions_are_skipped),
        cmocka_unit_test(a_partial_file_may_miss_what_it_did_not_see),
        cmocka_unit_test(a_numbered_file_needs_no_addresses),
        cmocka_unit_test(devices_have_addresses_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
