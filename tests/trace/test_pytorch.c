/* PyTorch snapshots: how the whole trace is found in a history that may have lost its beginning, and the real
 * ones. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tarn/allocator.h>

#include "pickler.h"
#include "stand.h"
#include "trace/pickle_opcodes.h"

static const uint64_t base = UINT64_C(0x7f0000000000);

static tarn_trace *finished(pickler *p) {
    snapshot_end(p);
    tarn_trace *trace = trace_of(p->bytes, p->size);
    pickler_end(p);
    return trace;
}

static void refused(pickler *p, const char *part) {
    snapshot_end(p);
    expect_refused(p->bytes, p->size, TARN_CORRUPT_DATA, part);
    pickler_end(p);
}

/* A snapshot with one device's history to be filled in and no segments. */
static pickler history(void) {
    pickler p = pickler_begin(4);
    snapshot_begin(&p);
    snapshot_traces(&p);
    snapshot_device(&p);
    return p;
}

static void expect_event(const tarn_trace *trace, size_t index, tarn_trace_action action, uint64_t id, uint64_t size,
                         int64_t time_ns) {
    const tarn_trace_event *event = &tarn_trace_events(trace)[index];
    assert_int_equal(event->action, action);
    assert_int_equal(event->id, id);
    assert_int_equal(event->size, size);
    assert_int_equal(event->time_ns, time_ns);
}

static void what_the_history_frees_without_allocating_was_there(void **state) {
    (void)state;
    pickler p = history();
    snapshot_entry(&p, "alloc", base + 4096, 100, 0, 1000);
    snapshot_entry(&p, "free_requested", base + 1024, 500, 7, 1002);
    snapshot_entry(&p, "free_completed", base + 1024, 500, 7, 1002);
    snapshot_entry(&p, "free_requested", base, 300, 0, 1003);
    snapshot_entry(&p, "free_completed", base, 300, 0, 1003);
    snapshot_device_end(&p);
    tarn_trace *trace = finished(&p);
    tarn_trace_info info = info_of(trace);
    assert_int_equal(info.initial_count, 2);
    assert_int_equal(info.event_count, 5);
    assert_int_equal(info.allocation_count, 3);
    assert_int_equal(info.peak_live, 900);
    assert_int_equal(info.stream_count, 2);
    expect_event(trace, 0, TARN_TRACE_ALLOCATE, 0, 300, 0);
    expect_event(trace, 1, TARN_TRACE_ALLOCATE, 1, 500, 0);
    assert_int_equal(tarn_trace_events(trace)[1].stream, 1);
    expect_event(trace, 2, TARN_TRACE_ALLOCATE, 2, 100, 0);
    expect_event(trace, 3, TARN_TRACE_FREE, 1, 500, 2000);
    expect_event(trace, 4, TARN_TRACE_FREE, 0, 300, 3000);
    tarn_trace_release(trace);
}

static void what_lives_at_the_end_without_an_alloc_was_there(void **state) {
    (void)state;
    pickler p = pickler_begin(4);
    snapshot_begin(&p);
    snapshot_segment(&p, 0, base, 4096, 0);
    snapshot_block(&p, base, 1024, 1000, "active_allocated");
    snapshot_block(&p, base + 1024, 1024, 700, "active_allocated");
    snapshot_block(&p, base + 2048, 1024, 5, "active_pending_free");
    snapshot_block(&p, base + 3072, 1024, 9, "inactive");
    snapshot_segment_end(&p);
    snapshot_traces(&p);
    snapshot_device(&p);
    snapshot_entry(&p, "alloc", base + 1024, 700, 0, 1);
    snapshot_device_end(&p);
    tarn_trace *trace = finished(&p);
    tarn_trace_info info = info_of(trace);
    assert_int_equal(info.initial_count, 1);
    assert_int_equal(info.peak_live, 1700);
    expect_event(trace, 0, TARN_TRACE_ALLOCATE, 0, 1000, 0);
    assert_int_equal(info.block_count, 4);
    const tarn_trace_block *blocks = tarn_trace_blocks(trace);
    assert_int_equal(blocks[1].address, base + 1024);
    assert_int_equal(blocks[1].segment, base);
    assert_int_equal(blocks[2].state, TARN_BLOCK_PENDING);
    assert_int_equal(blocks[3].state, TARN_BLOCK_CACHED);
    assert_int_equal(blocks[3].requested, 0);
    tarn_trace_release(trace);
}

static void old_blocks_have_no_address_and_no_requested_size(void **state) {
    (void)state;
    pickler p = pickler_begin(2);
    snapshot_begin(&p);
    snapshot_segment(&p, 0, base, 4096, 0);
    snapshot_block(&p, 0, 1024, 0, "active_allocated");
    snapshot_block(&p, 0, 2048, 0, "inactive");
    snapshot_block(&p, 0, 1024, 0, "active_allocated");
    snapshot_segment_end(&p);
    snapshot_traces(&p);
    tarn_trace *trace = finished(&p);
    tarn_trace_info info = info_of(trace);
    assert_int_equal(info.initial_count, 2);
    assert_int_equal(info.peak_live, 2048);
    assert_int_equal(tarn_trace_events(trace)[1].address, base + 3072);
    assert_int_equal(info.recorded_peak_reserved, 4096);
    tarn_trace_release(trace);
}

static void the_oldest_form_is_a_list_of_segments(void **state) {
    (void)state;
    pickler p = pickler_begin(2);
    put_bytes(&p, "](", 2);
    snapshot_segment(&p, 0, base, 4096, UINT64_MAX);
    snapshot_block(&p, 0, 4096, 4000, "active_allocated");
    snapshot_segment_end(&p);
    put_bytes(&p, "e.", 2);
    tarn_trace *trace = trace_of(p.bytes, p.size);
    assert_int_equal(info_of(trace).peak_live, 4000);
    assert_int_equal(tarn_trace_events(trace)[0].stream, 1);
    tarn_trace_release(trace);
    pickler_end(&p);
}

static void only_a_completion_that_comes_later_is_kept(void **state) {
    (void)state;
    pickler p = history();
    snapshot_entry(&p, "alloc", base, 100, 0, 1);
    snapshot_entry(&p, "free_requested", base, 100, 0, 2);
    snapshot_entry(&p, "alloc", base + 512, 200, 0, 3);
    snapshot_entry(&p, "free_completed", base, 100, 0, 4);
    snapshot_entry(&p, "free_requested", base + 512, 200, 0, 5);
    snapshot_entry(&p, "free_completed", base + 512, 200, 0, 5);
    snapshot_device_end(&p);
    tarn_trace *trace = finished(&p);
    assert_int_equal(info_of(trace).event_count, 5);
    assert_int_equal(info_of(trace).peak_live, 200);
    expect_event(trace, 3, TARN_TRACE_FREE_COMPLETED, 0, 100, 3000);
    tarn_trace_release(trace);
}

static void a_completion_without_request_frees_where_requests_were_not_recorded(void **state) {
    (void)state;
    pickler p = history();
    snapshot_entry(&p, "alloc", base, 100, 0, 1);
    snapshot_entry(&p, "free_completed", base, 100, 0, 2);
    snapshot_entry(&p, "free_completed", base + 512, 50, 0, 3);
    snapshot_device_end(&p);
    tarn_trace *trace = finished(&p);
    assert_int_equal(info_of(trace).initial_count, 1);
    expect_event(trace, 2, TARN_TRACE_FREE, 1, 100, 1000);
    expect_event(trace, 3, TARN_TRACE_FREE, 0, 50, 2000);
    tarn_trace_release(trace);
}

static void a_completion_of_what_was_freed_before_the_history_is_left_out(void **state) {
    (void)state;
    pickler p = history();
    snapshot_entry(&p, "free_completed", base, 100, 0, 1);
    snapshot_entry(&p, "free_requested", base + 512, 50, 0, 3);
    snapshot_device_end(&p);
    tarn_trace *trace = finished(&p);
    assert_int_equal(info_of(trace).event_count, 2);
    tarn_trace_release(trace);
}

static void an_address_handed_out_again_ends_the_older_allocation(void **state) {
    (void)state;
    listen_to_log();
    pickler p = history();
    snapshot_entry(&p, "alloc", base, 100, 0, 1);
    snapshot_entry(&p, "alloc", base, 200, 0, 2);
    snapshot_device_end(&p);
    tarn_trace *trace = finished(&p);
    assert_int_equal(info_of(trace).peak_live, 200);
    expect_event(trace, 1, TARN_TRACE_FREE, 0, 100, 1000);
    expect_event(trace, 2, TARN_TRACE_ALLOCATE, 1, 200, 1000);
    assert_non_null(strstr(last_message(), "1 addresses were handed out again"));
    tarn_trace_release(trace);
    tarn_log_set(NULL, NULL, TARN_LOG_WARNING);
}

static void memory_freed_twice_is_a_contradiction(void **state) {
    (void)state;
    pickler p = history();
    snapshot_entry(&p, "free_requested", base, 100, 0, 1);
    snapshot_entry(&p, "free_completed", base, 100, 0, 1);
    snapshot_entry(&p, "free_requested", base, 100, 0, 2);
    snapshot_device_end(&p);
    refused(&p, "entry 2 of the history (device 0) frees 0x7f0000000000");
    p = history();
    snapshot_entry(&p, "free_requested", base, 100, 0, 1);
    snapshot_entry(&p, "free_completed", base, 100, 0, 1);
    snapshot_entry(&p, "free_completed", base, 100, 0, 2);
    snapshot_device_end(&p);
    refused(&p, "entry 2");
}

static void reserved_memory_is_walked_back_from_the_end(void **state) {
    (void)state;
    pickler p = pickler_begin(4);
    snapshot_begin(&p);
    snapshot_segment(&p, 0, base, 1000, 0);
    snapshot_segment_end(&p);
    snapshot_traces(&p);
    snapshot_device(&p);
    snapshot_entry(&p, "segment_alloc", base, 500, 0, 1);
    snapshot_entry(&p, "segment_map", base + 4096, 3000, 0, 2);
    snapshot_entry(&p, "segment_unmap", base + 4096, 3000, 0, 3);
    snapshot_entry(&p, "segment_free", base + 8192, 200, 0, 4);
    snapshot_device_end(&p);
    tarn_trace *trace = finished(&p);
    tarn_trace_info info = info_of(trace);
    assert_int_equal(info.has_recorded_peak, 1);
    assert_int_equal(info.recorded_peak_reserved, 1000 + 200 + 3000);
    expect_event(trace, 1, TARN_TRACE_SEGMENT_ALLOCATE, 0, 3000, 1000);
    expect_event(trace, 3, TARN_TRACE_SEGMENT_FREE, 0, 200, 3000);
    tarn_trace_release(trace);
}

static void a_history_that_took_more_than_there_is_has_no_known_peak(void **state) {
    (void)state;
    pickler p = history();
    snapshot_entry(&p, "segment_alloc", base, 500, 0, 1);
    snapshot_device_end(&p);
    tarn_trace *trace = finished(&p);
    assert_int_equal(info_of(trace).has_recorded_peak, 0);
    tarn_trace_release(trace);
}

static void devices_are_merged_by_time(void **state) {
    (void)state;
    pickler p = history();
    snapshot_entry(&p, "alloc", base, 1, 0, 10);
    snapshot_entry(&p, "alloc", base + 512, 2, 0, 30);
    snapshot_device_end(&p);
    snapshot_device(&p);
    snapshot_entry(&p, "alloc", base, 3, 0, 20);
    snapshot_entry(&p, "free_requested", base, 3, 0, 25);
    snapshot_device_end(&p);
    tarn_trace *trace = finished(&p);
    assert_int_equal(info_of(trace).device_count, 2);
    expect_event(trace, 0, TARN_TRACE_ALLOCATE, 0, 1, 0);
    expect_event(trace, 1, TARN_TRACE_ALLOCATE, 1, 3, 10000);
    expect_event(trace, 2, TARN_TRACE_FREE, 1, 3, 15000);
    expect_event(trace, 3, TARN_TRACE_ALLOCATE, 2, 2, 20000);
    assert_int_equal(tarn_trace_events(trace)[2].device, 1);
    tarn_trace_release(trace);
}

static void entries_without_a_time_take_that_of_the_one_before(void **state) {
    (void)state;
    pickler p = history();
    snapshot_untimed_entry(&p, "alloc", base, 1, 0);
    snapshot_untimed_entry(&p, "free_requested", base, 1, 0);
    snapshot_entry(&p, "free_completed", base, 1, 0, 6);
    snapshot_entry(&p, "alloc", base, 2, 0, 8);
    snapshot_untimed_entry(&p, "alloc", base + 512, 3, 0);
    snapshot_device_end(&p);
    snapshot_device(&p);
    snapshot_untimed_entry(&p, "alloc", base, 4, 0);
    snapshot_device_end(&p);
    tarn_trace *trace = finished(&p);
    expect_event(trace, 0, TARN_TRACE_ALLOCATE, 0, 4, 0);
    expect_event(trace, 1, TARN_TRACE_ALLOCATE, 1, 1, 6000);
    expect_event(trace, 2, TARN_TRACE_FREE, 1, 1, 6000);
    expect_event(trace, 3, TARN_TRACE_ALLOCATE, 2, 2, 8000);
    expect_event(trace, 4, TARN_TRACE_ALLOCATE, 3, 3, 8000);
    tarn_trace_release(trace);
}

static void out_of_memory_and_marks_are_kept(void **state) {
    (void)state;
    pickler p = history();
    snapshot_entry(&p, "oom", 4711, 1 << 20, 0, 1);
    snapshot_entry(&p, "snapshot", 0, 0, 0, 2);
    snapshot_device_end(&p);
    put_op(&p, OP_APPENDS);
    put_text(&p, "external_annotations");
    put_bytes(&p, "](}(", 4);
    put_text_pair(&p, "stage", "START");
    put_text_pair(&p, "name", "step");
    put_pair(&p, "device", 0);
    put_pair(&p, "time_us", 3);
    put_bytes(&p, "u}(", 3);
    put_text_pair(&p, "name", "long ago");
    put_pair(&p, "time_us", 0);
    put_bytes(&p, "ueu.", 4);
    tarn_trace *trace = trace_of(p.bytes, p.size);
    pickler_end(&p);
    assert_int_equal(info_of(trace).event_count, 3);
    expect_event(trace, 0, TARN_TRACE_OUT_OF_MEMORY, 0, 1 << 20, 0);
    assert_int_equal(tarn_trace_events(trace)[0].address, 0);
    assert_string_equal(tarn_trace_string(trace, tarn_trace_events(trace)[1].tag), "snapshot");
    assert_string_equal(tarn_trace_string(trace, tarn_trace_events(trace)[2].tag), "START step");
    tarn_trace_release(trace);
}

static void sites_and_tags_come_from_frames_and_metadata(void **state) {
    (void)state;
    pickler p = history();
    put_bytes(&p, "}(", 2);
    put_text_pair(&p, "action", "alloc");
    put_pair(&p, "addr", base);
    put_pair(&p, "size", 8);
    put_text_pair(&p, "compile_context", "0/1");
    put_text_pair(&p, "user_metadata", "");
    put_text(&p, "frames");
    put_bytes(&p, "](}(", 4);
    put_text_pair(&p, "name", "forward");
    put_text_pair(&p, "filename", "/home/x/model.py");
    put_pair(&p, "line", 54);
    put_bytes(&p, "u}(", 3);
    put_text_pair(&p, "name", "<module>");
    put_text_pair(&p, "filename", "train.py");
    put_pair(&p, "line", 9);
    put_bytes(&p, "ueu", 3);
    snapshot_device_end(&p);
    tarn_trace *trace = finished(&p);
    const tarn_trace_event *event = tarn_trace_events(trace);
    assert_string_equal(tarn_trace_string(trace, event->site), "forward (model.py:54) < <module> (train.py:9)");
    assert_string_equal(tarn_trace_string(trace, event->tag), "0/1");
    tarn_trace_release(trace);
}

static void wrong_kinds_of_fields_are_told(void **state) {
    (void)state;
    expect_refused("\x80\x02}.", 4, TARN_CORRUPT_DATA, "a dict without \"segments\"");
    expect_refused("\x80\x02N.", 4, TARN_CORRUPT_DATA, "it is None");
    pickler p = history();
    snapshot_entry(&p, "surprise", base, 1, 0, 1);
    snapshot_device_end(&p);
    refused(&p, "unknown action \"surprise\"");
    p = history();
    put_bytes(&p, "}(", 2);
    put_text_pair(&p, "addr", "here");
    put_op(&p, OP_SETITEMS);
    snapshot_device_end(&p);
    refused(&p, "an address is a text");
    p = history();
    put_op(&p, OP_NONE);
    snapshot_device_end(&p);
    refused(&p, "device_traces is a list, and should be a list of lists of history entries");
    p = history();
    snapshot_entry(&p, "alloc", base, 1, 0, 1);
    put_op(&p, OP_NONE);
    snapshot_device_end(&p);
    refused(&p, "a list of records has None among them");
    p = history();
    put_bytes(&p, "}(", 2);
    put_text_pair(&p, "action", "alloc");
    put_pair(&p, "addr", base);
    put_op(&p, OP_SETITEMS);
    snapshot_device_end(&p);
    refused(&p, "a history entry without a size");
    p = pickler_begin(4);
    snapshot_begin(&p);
    snapshot_segment(&p, 0, base, 10, 0);
    put_bytes(&p, "}", 1);
    snapshot_segment_end(&p);
    snapshot_traces(&p);
    refused(&p, "a segment without a list of blocks");
    p = pickler_begin(4);
    snapshot_begin(&p);
    snapshot_segment(&p, 0, base, 10, 0);
    put_bytes(&p, "}(", 2);
    put_text_pair(&p, "state", "inactive");
    put_op(&p, OP_SETITEMS);
    snapshot_segment_end(&p);
    snapshot_traces(&p);
    refused(&p, "a block without a size");
    p = pickler_begin(4);
    snapshot_begin(&p);
    snapshot_segment(&p, 70000, base, 10, 0);
    snapshot_segment_end(&p);
    snapshot_traces(&p);
    refused(&p, "device 70000");
    p = history();
    snapshot_entry(&p, "alloc", base, UINT64_MAX, 0, 1);
    snapshot_entry(&p, "alloc", base + 1, UINT64_MAX, 0, 1);
    snapshot_device_end(&p);
    refused(&p, "passes 64 bits");
}

/* One entry that stands in a list many times costs the file two bytes and a reader sixty. */
static void an_entry_stands_in_one_place(void **state) {
    (void)state;
    pickler p = history();
    snapshot_entry(&p, "oom", 0, 1, 0, 1);
    put_bytes(&p, "q\x05", 2);
    for (int i = 0; i < 10000; i++) put_bytes(&p, "h\x05", 2);
    snapshot_device_end(&p);
    refused(&p, "a list of records has a dict among them that is none, or that stands in two places");
}

static void a_later_field_hides_an_earlier_one(void **state) {
    (void)state;
    pickler p = history();
    put_bytes(&p, "}(", 2);
    put_text_pair(&p, "action", "alloc");
    put_pair(&p, "addr", base);
    put_pair(&p, "size", 1);
    put_pair(&p, "size", 3);
    put_op(&p, OP_SETITEMS);
    snapshot_device_end(&p);
    tarn_trace *trace = finished(&p);
    assert_int_equal(info_of(trace).peak_live, 3);
    tarn_trace_release(trace);
}

/* Newer versions have lists of the host's memory, of the same form. */
static void what_belongs_to_other_memory_is_passed_over(void **state) {
    (void)state;
    pickler p = pickler_begin(4);
    put_bytes(&p, "}(", 2);
    for (int own = 0; own < 2; own++) {
        put_text(&p, own ? "segments" : "host_segments");
        put_bytes(&p, "](", 2);
        for (unsigned i = 0; i < 2; i++) {
            snapshot_segment(&p, i, base + i * 8192, own ? 4096 : 7777, 0);
            snapshot_block(&p, base + i * 8192, 4096, own ? 1000 + i : 5, "active_allocated");
            snapshot_segment_end(&p);
        }
        put_op(&p, OP_APPENDS);
        put_text(&p, own ? "device_traces" : "host_traces");
        put_bytes(&p, "](]](", 5);
        snapshot_entry(&p, "alloc", base + 65536, own ? 10 : 20, 0, 1);
        snapshot_entry(&p, "alloc", base + 131072, 30, 0, 2);
        put_bytes(&p, "ee", 2);
    }
    put_text(&p, "more");
    put_bytes(&p, "](}(", 4);
    put_text_pair(&p, "action", "unheard of");
    put_bytes(&p, "ueu.", 4);
    tarn_trace *trace = trace_of(p.bytes, p.size);
    pickler_end(&p);
    tarn_trace_info info = info_of(trace);
    assert_int_equal(info.block_count, 2);
    assert_int_equal(info.initial_count, 2);
    assert_int_equal(info.allocation_count, 4);
    assert_int_equal(info.peak_live, 1000 + 1001 + 10 + 30);
    assert_int_equal(info.recorded_peak_reserved, 2 * 4096);
    assert_int_equal(tarn_trace_events(trace)[2].device, 1);
    tarn_trace_release(trace);
}

static void settings_are_told_as_text(void **state) {
    (void)state;
    pickler p = history();
    snapshot_device_end(&p);
    put_op(&p, OP_APPENDS);
    put_text(&p, "allocator_settings");
    put_bytes(&p, "}(", 2);
    put_text(&p, "expandable_segments");
    put_op(&p, OP_NEWTRUE);
    put_text(&p, "roundup");
    put_bytes(&p, "}(", 2);
    put_pair(&p, "1", 4);
    put_pair(&p, "2", 8);
    put_bytes(&p, "uuu.", 4);
    tarn_trace *trace = trace_of(p.bytes, p.size);
    pickler_end(&p);
    assert_string_equal(info_of(trace).settings, "expandable_segments=on, roundup=[1:4,2:8]");
    tarn_trace_release(trace);
}

/* Figures from an independent walk back over each history with Python's own pickle module. */
static void real_snapshots_add_up_exactly(void **state) {
    (void)state;
    static const struct {
        const char *name;
        uint64_t peak_live, peak_reserved;
        size_t initial, allocations;
    } snapshots[] = {
        {"medium-1024-inference", 2877435904, 3204448256, 223, 223 + 1280},
        {"medium-128-inference", 1736962048, 1763704832, 223, 223 + 1280},
        {"medium-256-training", 9103544320, 9265217536, 664, 664 + 6624},
        {"medium-512-training", 12426629128, 12660506624, 664, 664 + 7591},
        {"xl-128-train-step", 54802667524, 61111009280, 325, 325 + 6770},
        {"xl-512-forward-mixed", 39860763648, 40514879488, 325, 325 + 2702},
    };
    const char *folder = getenv("TARN_SHARED_DATA");
    for (size_t i = 0; i < sizeof snapshots / sizeof snapshots[0]; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/pytorch-snapshots/%s.pickle", folder == NULL ? "" : folder, snapshots[i].name);
        tarn_trace *trace = NULL;
        tarn_status status = tarn_trace_read(path, &trace);
        if (status == TARN_NOT_FOUND) {
            print_message("the recorded snapshots are not here (TARN_SHARED_DATA)\n");
            skip();
        }
        assert_int_equal(status, TARN_OK);
        tarn_trace_info info = info_of(trace);
        assert_int_equal(info.format, TARN_TRACE_PYTORCH_SNAPSHOT);
        assert_int_equal(info.peak_live, snapshots[i].peak_live);
        assert_int_equal(info.recorded_peak_reserved, snapshots[i].peak_reserved);
        assert_int_equal(info.initial_count, snapshots[i].initial);
        assert_int_equal(info.allocation_count, snapshots[i].allocations);
        for (size_t k = 1; k < info.initial_count; k++)
            assert_true(tarn_trace_events(trace)[k].address > tarn_trace_events(trace)[k - 1].address);
        tarn_trace_release(trace);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_history_frees_without_allocating_was_there),
        cmocka_unit_test(what_lives_at_the_end_without_an_alloc_was_there),
        cmocka_unit_test(old_blocks_have_no_address_and_no_requested_size),
        cmocka_unit_test(the_oldest_form_is_a_list_of_segments),
        cmocka_unit_test(only_a_completion_that_comes_later_is_kept),
        cmocka_unit_test(a_completion_without_request_frees_where_requests_were_not_recorded),
        cmocka_unit_test(a_completion_of_what_was_freed_before_the_history_is_left_out),
        cmocka_unit_test(an_address_handed_out_again_ends_the_older_allocation),
        cmocka_unit_test(memory_freed_twice_is_a_contradiction),
        cmocka_unit_test(reserved_memory_is_walked_back_from_the_end),
        cmocka_unit_test(a_history_that_took_more_than_there_is_has_no_known_peak),
        cmocka_unit_test(devices_are_merged_by_time),
        cmocka_unit_test(entries_without_a_time_take_that_of_the_one_before),
        cmocka_unit_test(out_of_memory_and_marks_are_kept),
        cmocka_unit_test(sites_and_tags_come_from_frames_and_metadata),
        cmocka_unit_test(wrong_kinds_of_fields_are_told),
        cmocka_unit_test(an_entry_stands_in_one_place),
        cmocka_unit_test(a_later_field_hides_an_earlier_one),
        cmocka_unit_test(what_belongs_to_other_memory_is_passed_over),
        cmocka_unit_test(settings_are_told_as_text),
        cmocka_unit_test(real_snapshots_add_up_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
