/* Reads a memory snapshot of PyTorch's CUDA allocator: a pickle of dicts and lists, in the forms of all its
 * versions.
 *
 * Fields are taken by name wherever they stand, and what is missing in older versions has a default. The same
 * object may stand in many places of a pickle, so what is walked at each place is bounded: by fields in a dict,
 * and by blocks and entries for the size of the file. pytorch_history.c makes a trace of what is found here. */
#include <string.h>

#include "base/checked.h"
#include "base/memory.h"
#include "base/status.h"
#include "pickle.h"
#include "pytorch_history.h"
#include "pytorch_text.h"

#include <tarn/allocator.h>

/* PyTorch writes about ten. */
static const size_t field_limit = 64;
/* No block or entry of a real snapshot takes fewer bytes of the file. */
static const size_t least_bytes = 16;
static const uint64_t device_limit = 65535;

typedef struct reader {
    const trace_input *input;
    trace_builder *builder;
    trace_history *history;
} reader;

static tarn_status corrupt(const reader *r, const char *what) {
    return base_fail(TARN_CORRUPT_DATA, "%s: %s", r->input->path, what);
}

static tarn_status no_memory(const reader *r) {
    return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory for the snapshot", r->input->path);
}

static tarn_status check_dict(const reader *r, pickle_value value, const char *what) {
    if (value.type != PICKLE_DICT)
        return base_fail(TARN_CORRUPT_DATA, "%s: %s is %s, and should be a dict", r->input->path, what,
                         pickle_type_name(value));
    if (value.is.object->count / 2 > field_limit)
        return base_fail(TARN_CORRUPT_DATA, "%s: %s has %zu fields, at most %zu are expected", r->input->path, what,
                         value.is.object->count / 2, field_limit);
    return TARN_OK;
}

/* A number of 64 bits; addresses were written as signed ones by old versions. */
static tarn_status take_number(const reader *r, pickle_value value, const char *what, bool may_be_negative,
                               uint64_t *out_number) {
    if (value.type == PICKLE_UNSIGNED) *out_number = value.is.unsigned_integer;
    else if (value.type == PICKLE_INTEGER && (value.is.integer >= 0 || may_be_negative))
        *out_number = (uint64_t)value.is.integer;
    else if (value.type == PICKLE_INTEGER)
        return base_fail(TARN_CORRUPT_DATA, "%s: %s is %lld", r->input->path, what, (long long)value.is.integer);
    else
        return base_fail(TARN_CORRUPT_DATA, "%s: %s is %s, and should be a number of 64 bits", r->input->path, what,
                         pickle_type_name(value));
    return TARN_OK;
}

static tarn_status take_device(const reader *r, pickle_value value, uint16_t *out_device) {
    uint64_t device = 0;
    tarn_status status = take_number(r, value, "a device", false, &device);
    if (status != TARN_OK) return status;
    if (device >= device_limit)
        return base_fail(TARN_CORRUPT_DATA, "%s: device %llu", r->input->path, (unsigned long long)device);
    *out_device = (uint16_t)device;
    if (device >= r->history->device_count) r->history->device_count = (uint16_t)(device + 1);
    return TARN_OK;
}

/* Microseconds of the file as nanoseconds; what does not fit is the latest time there is. */
static tarn_status take_time(const reader *r, pickle_value value, int64_t *out_time_ns) {
    if (value.type == PICKLE_FLOAT && value.is.real >= -9e15 && value.is.real <= 9e15) {
        *out_time_ns = (int64_t)(value.is.real * 1e3);
        return TARN_OK;
    }
    uint64_t microseconds = 0;
    tarn_status status = take_number(r, value, "a time", true, &microseconds);
    if (status == TARN_OK && __builtin_mul_overflow((int64_t)microseconds, (int64_t)1000, out_time_ns))
        *out_time_ns = INT64_MAX;
    return status;
}

typedef struct named_action {
    const char *name;
    history_action action;
} named_action;

static tarn_status take_action(const reader *r, pickle_value value, history_entry *entry) {
    static const named_action actions[] = {
        {"alloc", HISTORY_ALLOC},
        {"free_requested", HISTORY_FREE_REQUESTED},
        {"free_completed", HISTORY_FREE_COMPLETED},
        {"segment_alloc", HISTORY_SEGMENT_ALLOC},
        {"segment_free", HISTORY_SEGMENT_FREE},
        {"segment_map", HISTORY_SEGMENT_ALLOC},
        {"segment_unmap", HISTORY_SEGMENT_FREE},
        {"oom", HISTORY_OUT_OF_MEMORY},
        {"snapshot", HISTORY_MARK},
        {"annotate", HISTORY_MARK},
        {"user_defined", HISTORY_MARK},
    };
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
        if (pickle_is_text(value, actions[i].name)) {
            entry->action = (uint8_t)actions[i].action;
            return TARN_OK;
        }
    if (value.type != PICKLE_TEXT) return corrupt(r, "the action of a history entry is not a text");
    int length = value.length < 40 ? (int)value.length : 40;
    return base_fail(TARN_CORRUPT_DATA, "%s: the history has an unknown action \"%.*s\"", r->input->path, length,
                     value.is.text);
}

static tarn_status take_text(const reader *r, pickle_value value, uint32_t *out_string) {
    bool says_something = value.type == PICKLE_TEXT && value.length > 0 && !pickle_is_text(value, "N/A");
    return says_something ? trace_builder_string(r->builder, value.is.text, value.length, out_string) : TARN_OK;
}

static tarn_status take_entry_field(const reader *r, pickle_value key, pickle_value value, history_entry *entry,
                                    uint32_t *context) {
    if (key.type != PICKLE_TEXT) return TARN_OK;
    if (pickle_is_text(key, "action")) return take_action(r, value, entry);
    if (pickle_is_text(key, "addr")) return take_number(r, value, "an address", true, &entry->address);
    if (pickle_is_text(key, "size")) return take_number(r, value, "a size", false, &entry->size);
    if (pickle_is_text(key, "stream")) return take_number(r, value, "a stream", true, &entry->stream);
    if (pickle_is_text(key, "time_us")) return take_time(r, value, &entry->time_ns);
    if (pickle_is_text(key, "frames")) return pytorch_site(r->input, r->builder, value, &entry->site);
    if (pickle_is_text(key, "user_metadata")) return take_text(r, value, &entry->tag);
    if (pickle_is_text(key, "compile_context")) return take_text(r, value, context);
    return TARN_OK;
}

static tarn_status add_entry(const reader *r, history_entry entry) {
    trace_history *history = r->history;
    if (history->entry_count >= r->input->size / least_bytes)
        return corrupt(r, "the history has more entries than the file has room for");
    if (!trace_reserve((void **)&history->entries, &history->entry_capacity, history->entry_count, sizeof entry))
        return no_memory(r);
    if (history->entry_count >= UINT32_MAX) return corrupt(r, "the history has 2^32 entries or more");
    entry.sequence = (uint32_t)history->entry_count;
    history->entries[history->entry_count++] = entry;
    return TARN_OK;
}

static tarn_status take_entry(const reader *r, pickle_value value, uint16_t device, int64_t *last_time_ns) {
    tarn_status status = check_dict(r, value, "a history entry");
    if (status != TARN_OK) return status;
    history_entry entry = {.site = TARN_TRACE_NO_STRING,
                           .tag = TARN_TRACE_NO_STRING,
                           .device = device,
                           .time_ns = *last_time_ns,
                           .action = HISTORY_DROPPED};
    uint32_t context = TARN_TRACE_NO_STRING;
    pickle_value key, field;
    for (pickle_cursor cursor = pickle_begin(value); pickle_next_entry(&cursor, &key, &field);) {
        status = take_entry_field(r, key, field, &entry, &context);
        if (status != TARN_OK) return status;
    }
    if (entry.tag == TARN_TRACE_NO_STRING) entry.tag = context;
    if (entry.action == HISTORY_MARK && entry.tag == TARN_TRACE_NO_STRING) {
        status = trace_builder_string(r->builder, "snapshot", 8, &entry.tag);
        if (status != TARN_OK) return status;
    }
    /* Of an out-of-memory entry the address is none, or in some versions the bytes that are free. */
    if (entry.action == HISTORY_OUT_OF_MEMORY || entry.action == HISTORY_MARK) entry.address = 0;
    if (entry.time_ns < *last_time_ns) entry.time_ns = *last_time_ns;
    *last_time_ns = entry.time_ns;
    return add_entry(r, entry);
}

static tarn_status take_traces(const reader *r, pickle_value traces) {
    if (traces.type != PICKLE_LIST)
        return base_fail(TARN_CORRUPT_DATA, "%s: device_traces is %s, and should be a list", r->input->path,
                         pickle_type_name(traces));
    pickle_value trace, entry;
    uint64_t device = 0;
    for (pickle_cursor cursor = pickle_begin(traces); pickle_next(&cursor, &trace); device++) {
        if (trace.type != PICKLE_LIST)
            return base_fail(TARN_CORRUPT_DATA, "%s: device_traces[%llu] is %s, and should be a list", r->input->path,
                             (unsigned long long)device, pickle_type_name(trace));
        if (trace.is.object->count == 0) continue;
        if (device >= device_limit) return corrupt(r, "more devices than there can be");
        if (device >= r->history->device_count) r->history->device_count = (uint16_t)(device + 1);
        int64_t last_time_ns = INT64_MIN;
        for (pickle_cursor entries = pickle_begin(trace); pickle_next(&entries, &entry);) {
            tarn_status status = take_entry(r, entry, (uint16_t)device, &last_time_ns);
            if (status != TARN_OK) return status;
        }
    }
    return TARN_OK;
}

/* "START name" at the time when the program entered a range, "END name" when it left. Older ones than the history
 * say nothing about it. */
static tarn_status take_annotation(const reader *r, pickle_value value, int64_t begin_ns) {
    tarn_status status = check_dict(r, value, "an annotation");
    if (status != TARN_OK) return status;
    pickle_value name, stage, device, time;
    history_entry entry = {.site = TARN_TRACE_NO_STRING, .tag = TARN_TRACE_NO_STRING, .action = HISTORY_MARK};
    if (!pickle_find(value, "time_us", &time) || !pickle_find(value, "name", &name) || name.type != PICKLE_TEXT)
        return TARN_OK;
    status = take_time(r, time, &entry.time_ns);
    if (status == TARN_OK && pickle_find(value, "device", &device)) status = take_device(r, device, &entry.device);
    if (status != TARN_OK || entry.time_ns < begin_ns) return status;
    if (!pickle_find(value, "stage", &stage)) stage = (pickle_value){.type = PICKLE_NONE};
    status = pytorch_joined(r->builder, stage, name, &entry.tag);
    return status == TARN_OK ? add_entry(r, entry) : status;
}

static tarn_status take_annotations(const reader *r, pickle_value annotations) {
    if (annotations.type != PICKLE_LIST) return TARN_OK;
    int64_t begin_ns = INT64_MAX;
    for (size_t i = 0; i < r->history->entry_count; i++)
        if (r->history->entries[i].time_ns < begin_ns) begin_ns = r->history->entries[i].time_ns;
    pickle_value annotation;
    for (pickle_cursor cursor = pickle_begin(annotations); pickle_next(&cursor, &annotation);) {
        tarn_status status = take_annotation(r, annotation, begin_ns);
        if (status != TARN_OK) return status;
    }
    return TARN_OK;
}

static uint8_t state_of(pickle_value state) {
    if (pickle_is_text(state, "active_allocated")) return TARN_BLOCK_IN_USE;
    if (pickle_is_text(state, "inactive")) return TARN_BLOCK_CACHED;
    return TARN_BLOCK_PENDING; /* active_pending_free, once called active_awaiting_free */
}

/* The oldest versions had the requested size in the block's first history item. */
static bool find_requested(pickle_value block, pickle_value *out_requested) {
    pickle_value history, item;
    if (pickle_find(block, "requested_size", out_requested)) return true;
    if (!pickle_find(block, "history", &history) || history.type != PICKLE_LIST) return false;
    pickle_cursor cursor = pickle_begin(history);
    return pickle_next(&cursor, &item) && item.type == PICKLE_DICT && item.is.object->count / 2 <= field_limit &&
           pickle_find(item, "real_size", out_requested);
}

/* `*address` is where the block lies if it does not say; it moves on to the block's end. */
static tarn_status take_block(const reader *r, pickle_value value, history_block found, uint64_t *address) {
    tarn_status status = check_dict(r, value, "a block");
    if (status != TARN_OK) return status;
    trace_history *history = r->history;
    pickle_value field;
    tarn_trace_block *block = &found.block;
    block->address = *address;
    if (pickle_find(value, "address", &field))
        status = take_number(r, field, "a block's address", true, &block->address);
    if (status == TARN_OK && !pickle_find(value, "size", &field)) return corrupt(r, "a block without a size");
    if (status == TARN_OK) status = take_number(r, field, "a block's size", false, &block->size);
    block->requested = block->size;
    if (status == TARN_OK && find_requested(value, &field))
        status = take_number(r, field, "a block's requested size", false, &block->requested);
    if (status == TARN_OK && pickle_find(value, "frames", &field))
        status = pytorch_site(r->input, r->builder, field, &block->site);
    if (status == TARN_OK && pickle_find(value, "user_metadata", &field)) status = take_text(r, field, &block->tag);
    if (status != TARN_OK) return status;
    if (!pickle_find(value, "state", &field)) return corrupt(r, "a block without a state");
    block->state = state_of(field);
    if (block->state == TARN_BLOCK_CACHED) block->requested = 0;
    if (__builtin_add_overflow(block->address, block->size, address))
        return corrupt(r, "a block that ends beyond 64 bits");

    if (history->block_count >= r->input->size / least_bytes)
        return corrupt(r, "the segments have more blocks than the file has room for");
    if (!trace_reserve((void **)&history->blocks, &history->block_capacity, history->block_count, sizeof found))
        return no_memory(r);
    history->blocks[history->block_count++] = found;
    return TARN_OK;
}

static tarn_status take_segment(const reader *r, pickle_value value) {
    tarn_status status = check_dict(r, value, "a segment");
    if (status != TARN_OK) return status;
    history_block common = {.block.site = TARN_TRACE_NO_STRING, .block.tag = TARN_TRACE_NO_STRING};
    pickle_value field;
    uint64_t total = 0;
    if (pickle_find(value, "device", &field)) status = take_device(r, field, &common.block.device);
    if (status == TARN_OK && pickle_find(value, "address", &field))
        status = take_number(r, field, "a segment's address", true, &common.block.segment);
    if (status == TARN_OK && pickle_find(value, "stream", &field))
        status = take_number(r, field, "a segment's stream", true, &common.stream);
    if (status == TARN_OK && !pickle_find(value, "total_size", &field))
        return corrupt(r, "a segment without a total size");
    if (status == TARN_OK) status = take_number(r, field, "a segment's size", false, &total);
    if (status != TARN_OK) return status;
    if (__builtin_add_overflow(r->history->final_reserved, total, &r->history->final_reserved))
        return corrupt(r, "the segments add up to more than 64 bits");

    if (!pickle_find(value, "blocks", &field) || field.type != PICKLE_LIST)
        return corrupt(r, "a segment without a list of blocks");
    uint64_t address = common.block.segment;
    pickle_value block;
    for (pickle_cursor cursor = pickle_begin(field); pickle_next(&cursor, &block);) {
        status = take_block(r, block, common, &address);
        if (status != TARN_OK) return status;
    }
    return TARN_OK;
}

static tarn_status take_segments(const reader *r, pickle_value segments) {
    if (segments.type != PICKLE_LIST)
        return base_fail(TARN_CORRUPT_DATA, "%s: segments is %s, and should be a list", r->input->path,
                         pickle_type_name(segments));
    pickle_value segment;
    for (pickle_cursor cursor = pickle_begin(segments); pickle_next(&cursor, &segment);) {
        tarn_status status = take_segment(r, segment);
        if (status != TARN_OK) return status;
    }
    return TARN_OK;
}

/* The oldest form is the list of segments alone. */
static bool is_segment_list(pickle_value top) {
    pickle_value first, blocks;
    if (top.type != PICKLE_LIST) return false;
    pickle_cursor cursor = pickle_begin(top);
    return pickle_next(&cursor, &first) && pickle_find(first, "blocks", &blocks);
}

static tarn_status take_top(const reader *r, pickle_value top) {
    pickle_value part;
    r->history->device_count = 1;
    if (is_segment_list(top)) return take_segments(r, top);
    if (top.type != PICKLE_DICT || !pickle_find(top, "segments", &part))
        return base_fail(TARN_CORRUPT_DATA, "%s: a pickle, but not a memory snapshot: it is %s%s", r->input->path,
                         pickle_type_name(top), top.type == PICKLE_DICT ? " without \"segments\"" : "");
    tarn_status status = take_segments(r, part);
    if (status == TARN_OK && pickle_find(top, "device_traces", &part)) status = take_traces(r, part);
    if (status == TARN_OK && pickle_find(top, "external_annotations", &part)) status = take_annotations(r, part);
    if (status == TARN_OK && pickle_find(top, "allocator_settings", &part)) status = pytorch_settings(r->builder, part);
    if (status == TARN_OK && pickle_find(top, PYTORCH_PEAK_FIELD, &part))
        status = take_number(r, part, "the peak of reserved bytes", false, &r->history->told_peak);
    return status;
}

tarn_status trace_read_pytorch(const trace_input *input, tarn_trace **out_trace) {
    pickle *loaded = NULL;
    trace_builder builder = {0};
    trace_history history = {.path = input->path};
    reader r = {.input = input, .builder = &builder, .history = &history};
    tarn_status status = pickle_read(input, &loaded);
    if (status == TARN_OK) status = take_top(&r, pickle_top(loaded));
    pickle_release(loaded);
    if (status == TARN_OK) status = trace_history_emit(&history, &builder);
    trace_history_discard(&history);
    if (status == TARN_OK) status = trace_builder_finish(&builder, input->path, TARN_TRACE_PYTORCH_SNAPSHOT, out_trace);
    trace_builder_discard(&builder);
    return status;
}
