/* RMM's logs in both ages, and broken ones. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stand.h"

#define HEADER "Thread,Time,Action,Pointer,Size,Stream\n"

static void the_older_form_is_read(void **state) {
    (void)state;
    tarn_trace *trace = trace_of_text(HEADER "77,10:00:00:000001,allocate,0x7f00,1024,0\n"
                                             "78,10:00:00:000009,allocate,0x7f80,16,94121\n"
                                             "77,10:00:01:000001,free,0x7f00,1024,0\n");
    tarn_trace_info info = info_of(trace);
    assert_int_equal(info.format, TARN_TRACE_RMM_CSV);
    assert_int_equal(info.event_count, 3);
    assert_int_equal(info.thread_count, 2);
    assert_int_equal(info.stream_count, 2);
    assert_int_equal(info.peak_live, 1040);
    assert_int_equal(info.has_recorded_peak, 0);
    const tarn_trace_event *events = tarn_trace_events(trace);
    assert_int_equal(events[1].time_ns, 8000);
    assert_int_equal(events[1].stream, 1);
    assert_int_equal(events[1].thread, 1);
    assert_int_equal(events[1].address, 0x7f80);
    assert_int_equal(events[2].action, TARN_TRACE_FREE);
    assert_int_equal(events[2].id, 0);
    assert_int_equal(events[2].time_ns, 1000000000);
    tarn_trace_release(trace);
}

static void the_newer_form_is_read_past_midnight(void **state) {
    (void)state;
    tarn_trace *trace = trace_of_text(HEADER "140,23:59:59.999999,allocate,0x7f00,1024,0x0\r\n"
                                             "140,00:00:00.000004,allocate failure,(nil),99999,0x2\r\n"
                                             "141,00:00:00.5,free,0x7f00,1024,0x1f\r\n");
    const tarn_trace_event *events = tarn_trace_events(trace);
    assert_int_equal(info_of(trace).event_count, 3);
    assert_int_equal(events[1].action, TARN_TRACE_OUT_OF_MEMORY);
    assert_int_equal(events[1].size, 99999);
    assert_int_equal(events[1].time_ns, 5000);
    assert_int_equal(events[2].time_ns, 500001000);
    tarn_trace_release(trace);
}

static void seconds_deallocations_and_columns_in_any_order_are_read(void **state) {
    (void)state;
    tarn_trace *trace = trace_of_text("\xef\xbb\xbf\"Time\",\"Thread\",\"Size\",\"Action\",\"Stream\",\"Pointer\"\n"
                                      "1634567890.123456,1,10,allocate,0x0,7f00\n"
                                      "\n"
                                      "1634567890.2,1,10,deallocate,0x0,7f00\n");
    assert_int_equal(info_of(trace).event_count, 2);
    assert_int_equal(tarn_trace_events(trace)[1].time_ns, 76544000);
    tarn_trace_release(trace);
}

static void no_bytes_are_no_event(void **state) {
    (void)state;
    tarn_trace *trace = trace_of_text(HEADER "1,1.0,allocate,0x0,0,0\n1,1.0,allocate,0x0,0,0\n1,1.0,free,0x0,0,0\n");
    assert_int_equal(info_of(trace).event_count, 0);
    assert_null(tarn_trace_events(trace));
    tarn_trace_release(trace);
}

static void a_missing_column_is_named(void **state) {
    (void)state;
    static const char *const columns[] = {"Thread", "Time", "Action", "Pointer", "Size", "Stream"};
    for (size_t missing = 0; missing < 6; missing++) {
        char text[128] = "", part[64];
        for (size_t i = 0; i < 6; i++)
            if (i != missing) strcat(strcat(text, text[0] == '\0' ? "" : ","), columns[i]);
        snprintf(part, sizeof part, "line 1: the column \"%s\" is missing", columns[missing]);
        expect_text_refused(text, TARN_CORRUPT_DATA, part);
    }
}

static void bad_cells_are_told_with_their_line(void **state) {
    (void)state;
    static const struct {
        const char *row, *part;
    } rows[] = {
        {"x,1.0,allocate,0x1,1,0", "line 3: \"x\" in column \"Thread\""},
        {"1,later,allocate,0x1,1,0", "line 3: \"later\" in column \"Time\" is no time"},
        {"1,23:-9:59.9,allocate,0x1,1,0", "is no time"},
        {"1,1e999,allocate,0x1,1,0", "is no time"}, /* fault 54 */
        {"1,99999999999999,allocate,0x1,1,0", "is no time"},
        {"1,1.0,grab,0x1,1,0", "line 3: unknown action \"grab\""},
        {"1,1.0,allocate,0xzz,1,0", "\"0xzz\" in column \"Pointer\""},
        {"1,1.0,allocate,0x1,-1,0", "\"-1\" in column \"Size\""},
        {"1,1.0,allocate,0x1,99999999999999999999,0", "no number of 64 bits"},
        {"1,1.0,allocate,0x1,1,?", "\"?\" in column \"Stream\""},
        {"1,1.0,allocate,0x1", "the cell of column \"Size\" is missing"},
        {"1,1.0,free,0x1,1,0", "0x1 is freed, and is not live"},
        {"1,1.0,allocate,0x9,1,0", "0x9 is allocated, and is live already"},
        {"1,1.0,allocate,0x1,18446744073709551615,0", "line 3"},
        {"1,1.0,\"allocate,0x1,1,0", "a quoted cell does not end"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, HEADER "1,1.0,allocate,0x9,8,0\n%s\n", rows[i].row);
        expect_text_refused(text, TARN_CORRUPT_DATA, rows[i].part);
    }
}

/* Fault 55. */
static void a_nul_byte_is_told(void **state) {
    (void)state;
    static const char text[] = HEADER "1,1.0,allocate,0x1\0000,1,0\n";
    expect_refused(text, sizeof text - 1, TARN_CORRUPT_DATA, "line 2: a NUL byte (byte 57 of the file)");
}

/* Fault 55. */
static void an_endless_line_is_given_up(void **state) {
    (void)state;
    size_t size = sizeof HEADER - 1 + 10000000;
    char *text = malloc(size);
    assert_non_null(text);
    memset(text, 'x', size);
    memcpy(text, HEADER, sizeof HEADER - 1);
    expect_refused(text, size, TARN_CORRUPT_DATA, "line 2: longer than 65536 bytes");
    memset(text + sizeof HEADER - 1, ',', 1000);
    expect_refused(text, size, TARN_CORRUPT_DATA, "line 2: more than 32 cells");
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_older_form_is_read),
        cmocka_unit_test(the_newer_form_is_read_past_midnight),
        cmocka_unit_test(seconds_deallocations_and_columns_in_any_order_are_read),
        cmocka_unit_test(no_bytes_are_no_event),
        cmocka_unit_test(a_missing_column_is_named),
        cmocka_unit_test(bad_cells_are_told_with_their_line),
        cmocka_unit_test(a_nul_byte_is_told),
        cmocka_unit_test(an_endless_line_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
