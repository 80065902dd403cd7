/* Tarn's own tables. */
#include <stdio.h>
#include <string.h>

#include "stand.h"

#define HEADER "time_ns,action,id,size\n"

static void the_least_columns_are_enough(void **state) {
    (void)state;
    tarn_trace *trace = trace_of_text("id,size,action,time_ns\n900,5,allocate,100\n7,6,allocate,101\n900,,free,90\n");
    tarn_trace_info info = info_of(trace);
    assert_int_equal(info.format, TARN_TRACE_CSV);
    assert_int_equal(info.allocation_count, 2);
    assert_int_equal(info.peak_live, 11);
    assert_int_equal(info.device_count, 1);
    assert_int_equal(info.stream_count, 1);
    assert_int_equal(info.thread_count, 1);
    const tarn_trace_event *events = tarn_trace_events(trace);
    assert_int_equal(events[0].time_ns, 0);
    assert_int_equal(events[1].time_ns, 1);
    assert_int_equal(events[2].time_ns, 1); /* time never goes back */
    assert_int_equal(events[2].size, 5);
    assert_int_equal(events[2].tag, TARN_TRACE_NO_STRING);
    tarn_trace_release(trace);
}

static void initial_allocations_are_put_in_address_order(void **state) {
    (void)state;
    tarn_trace *trace = trace_of_text("time_ns,action,id,size,address\n"
                                      "5,initial,1,10,0x300\n5,initial,2,20,0x100\n5,initial,3,30,0x200\n"
                                      "8,free,2,20,\n");
    const tarn_trace_event *events = tarn_trace_events(trace);
    assert_int_equal(info_of(trace).initial_count, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(events[i].address, 0x100 * (i + 1));
        assert_int_equal(events[i].id, i);
        assert_int_equal(events[i].time_ns, 0);
    }
    assert_int_equal(events[3].id, 0);
    assert_int_equal(events[3].time_ns, 0);
    tarn_trace_release(trace);
}

/* What is alive on a device would be less than nothing otherwise. */
static void a_free_is_of_the_device_of_its_allocation(void **state) {
    (void)state;
    tarn_trace *trace = trace_of_text("time_ns,action,id,size,device\n"
                                      "1,allocate,1,1,2\n2,free,1,,\n3,free_completed,1,,1\n");
    const tarn_trace_event *events = tarn_trace_events(trace);
    assert_int_equal(info_of(trace).device_count, 3);
    for (unsigned i = 0; i < 3; i++) assert_int_equal(events[i].device, 2);
    tarn_trace_release(trace);
}

static void quoted_texts_are_one_cell(void **state) {
    (void)state;
    tarn_trace *trace = trace_of_text("time_ns,action,id,size,tag,site\n"
                                      "1,allocate,1,1,\"a, \"\"b\"\"\",\"two\nlines\"\n2,mark,,0,\"\",\n");
    const tarn_trace_event *events = tarn_trace_events(trace);
    assert_string_equal(tarn_trace_string(trace, events[0].tag), "a, \"b\"");
    assert_string_equal(tarn_trace_string(trace, events[0].site), "two\nlines");
    assert_int_equal(events[1].tag, TARN_TRACE_NO_STRING);
    tarn_trace_release(trace);
}

static void lines_are_counted_through_quotes(void **state) {
    (void)state;
    expect_text_refused("time_ns,action,id,size,tag\n1,allocate,1,1,\"two\nlines\"\n2,free,9,1,\n", TARN_CORRUPT_DATA,
                        "line 4: id 9 is freed, and was not allocated");
}

/* Fault 57. */
static void contradictions_and_garbage_are_told_with_their_line(void **state) {
    (void)state;
    static const struct {
        const char *rows, *part;
    } cases[] = {
        {"1,allocate,1,1\n2,allocate,1,1\n", "line 3: id 1 is allocated a second time"},
        {"1,allocate,1,1\n2,free,1,1\n3,free,1,1\n", "line 4: id 1 is freed a second time"},
        {"1,free_completed,1,1\n", "line 2: id 1 is freed, and was not allocated"},
        {"1,allocate,1,1\n2,free_completed,1,1\n", "line 3: the free of id 1 is completed, but it is not pending"},
        {"1,allocate,1,1\n2,initial,2,1\n", "line 3: an initial allocation after the recording has begun"},
        {"1,allocate,1,18446744073709551615\n1,allocate,2,1\n", "line 3"},
        {"soon,allocate,1,1\n", "line 2: \"soon\" in column \"time_ns\""},
        {"1,allocate,1,much\n", "line 2: \"much\" in column \"size\""},
        {"1,allocate,1,\n", "line 2: \"\" in column \"size\""},
        {"1,grab,1,1\n", "line 2: unknown action \"grab\""},
        {"1,allocate\n", "line 2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, HEADER "%s", cases[i].rows);
        expect_text_refused(text, TARN_CORRUPT_DATA, cases[i].part);
    }
    expect_text_refused("time_ns,id,size,address\n", TARN_CORRUPT_DATA, "line 1: the column \"action\" is missing");
    expect_text_refused("time_ns,action,id,size,device\n1,allocate,1,1,65535\n", TARN_CORRUPT_DATA,
                        "65535 in column \"device\", at most 65534 is allowed");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_columns_are_enough),
        cmocka_unit_test(initial_allocations_are_put_in_address_order),
        cmocka_unit_test(a_free_is_of_the_device_of_its_allocation),
        cmocka_unit_test(quoted_texts_are_one_cell),
        cmocka_unit_test(lines_are_counted_through_quotes),
        cmocka_unit_test(contradictions_and_garbage_are_told_with_their_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
