/* Reads a memory snapshot of PyTorch's CUDA allocator: a pickle of dicts and lists, in the forms of all its
 * versions.
 *
 * Dicts are recognised by their fields, innermost first, and at once become records: a history entry, a block, a segment.
 * A list of records is a range of them, since they lie in the order in which they were made. Which ranges count is known
 * only when the outermost dict has its fields; whatever is not recognised, or in a list that nobody asks for, is
 * passed over.
 *
 * The file is gone through twice. The first time everything is checked and counted and nothing kept, so that a file that
 * is no whole snapshot costs no more than itself. The second time the records are made, in arrays of the right size, and texts
 * collected. pytorch_history.c makes a trace of them, when the file is no longer needed. */
#include "pytorch_records.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"

/* A pickle names what it has written before in two bytes, so that texts put together of it may be far longer than the file.
 * Deep stacks of long names come to twenty times their file, where each is there once. */
static const size_t text_for_each_byte = 32, text_for_any_file = (size_t)16 << 20;

static size_t most_text(size_t size) {
    bool fits = size <= (SIZE_MAX - text_for_any_file) / text_for_each_byte;
    return fits ? size * text_for_each_byte + text_for_any_file : SIZE_MAX;
}

static tarn_status no_memory(const pytorch_reader *r) {
    return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory for the snapshot", r->path);
}

/* Whether the list is one of records of that kind, or empty. */
static bool is_list_of(const pickle_value *list, pytorch_kind kind) {
    if (list->type != PICKLE_LIST || list->is_shared) return false;
    return list->kind == kind || (list->kind == KIND_NONE && list->length == 0);
}

static tarn_status wrong_part(const pytorch_reader *r, const char *name, const pickle_value *value, const char *what) {
    if (r->complaint[0] != '\0') return base_fail(TARN_CORRUPT_DATA, "%s: %s", r->path, r->complaint);
    return base_fail(TARN_CORRUPT_DATA, "%s: %s is %s, and should be a list of %s", r->path, name,
                     pickle_type_name(*value), what);
}

/* Finds the parts of the snapshot that the pickle stands for. The oldest form is the list of segments alone. */
static tarn_status find_parts(const pytorch_reader *r, const pickle_value *top, pytorch_parts *out_parts) {
    static const pickle_value empty_list = {.type = PICKLE_LIST}, none = {.type = PICKLE_NONE};
    *out_parts = (pytorch_parts){empty_list, empty_list, empty_list, none, none};
    bool is_snapshot = top->type == PICKLE_DICT && top->kind == KIND_SNAPSHOT && top->is.range.first == r->snapshots;
    if (is_snapshot) *out_parts = r->parts;
    else if (top->type == PICKLE_LIST && top->kind == KIND_SEGMENT) out_parts->segments = *top;
    else
        return base_fail(TARN_CORRUPT_DATA, "%s: a pickle, but not a memory snapshot: it is %s%s", r->path,
                         pickle_type_name(*top), top->type == PICKLE_DICT ? " without \"segments\"" : "");
    if (!is_list_of(&out_parts->segments, KIND_SEGMENT))
        return wrong_part(r, "segments", &out_parts->segments, "segments");
    if (!is_list_of(&out_parts->traces, KIND_TRACE))
        return wrong_part(r, "device_traces", &out_parts->traces, "lists of history entries");
    /* Annotations are extra; a version that writes them otherwise is read without them. */
    bool has_peak = out_parts->peak.type == PICKLE_INTEGER && out_parts->peak.is.integer >= 0;
    if (!has_peak && out_parts->peak.type != PICKLE_NONE && out_parts->peak.type != PICKLE_UNSIGNED)
        return base_fail(TARN_CORRUPT_DATA, "%s: the peak of reserved bytes is %s", r->path,
                         pickle_type_name(out_parts->peak));
    if (!is_list_of(&out_parts->annotations, KIND_ANNOTATION)) out_parts->annotations = empty_list;
    return TARN_OK;
}

/* Goes through the file once. */
static tarn_status pass(const trace_input *input, pytorch_reader *r, pytorch_parts *out_parts) {
    r->count = (pytorch_counts){0};
    r->snapshots = 0;
    pickle_value top;
    pickle_sink sink = {.context = r, .fill = pytorch_fill};
    tarn_status status = pickle_run(input, &sink, &top);
    return status == TARN_OK ? find_parts(r, &top, out_parts) : status;
}

/* Makes room for all that the first pass has counted. */
static tarn_status make_room(pytorch_reader *r) {
    trace_history *history = r->history;
    if (r->count.entries + r->count.annotations + r->count.blocks >= UINT32_MAX)
        return base_fail(TARN_CORRUPT_DATA, "%s: the snapshot has 2^32 entries and blocks or more", r->path);
    history->entries = base_allocate((size_t)(r->count.entries + r->count.annotations), sizeof history->entries[0]);
    history->blocks = base_allocate((size_t)r->count.blocks, sizeof history->blocks[0]);
    r->segments = base_allocate((size_t)r->count.segments, sizeof r->segments[0]);
    r->annotations = base_allocate((size_t)r->count.annotations, sizeof r->annotations[0]);
    bool has_room =
        history->entries != NULL && history->blocks != NULL && r->segments != NULL && r->annotations != NULL;
    return has_room ? TARN_OK : no_memory(r);
}

static void see_device(trace_history *history, uint16_t device) {
    if (device >= history->device_count) history->device_count = (uint16_t)(device + 1);
}

/* Leaves the entries of the snapshot's own lists, and numbers them. */
static void keep_entries(pytorch_reader *r, const pickle_value *traces) {
    trace_history *history = r->history;
    history->entry_count = traces->is.range.count;
    memmove(history->entries, history->entries + traces->is.range.first,
            history->entry_count * sizeof history->entries[0]);
    for (size_t i = 0; i < history->entry_count; i++) {
        history->entries[i].sequence = (uint32_t)i;
        see_device(history, history->entries[i].device);
    }
}

/* Annotations older than the history say nothing about it. */
static void keep_annotations(pytorch_reader *r, const pickle_value *annotations) {
    trace_history *history = r->history;
    int64_t begin_ns = INT64_MAX;
    for (size_t i = 0; i < history->entry_count; i++)
        if (history->entries[i].time_ns < begin_ns) begin_ns = history->entries[i].time_ns;
    for (size_t i = 0; i < annotations->is.range.count; i++) {
        history_entry entry = r->annotations[annotations->is.range.first + i];
        if (entry.time_ns < begin_ns || entry.action == HISTORY_DROPPED) continue;
        entry.sequence = (uint32_t)history->entry_count;
        see_device(history, entry.device);
        history->entries[history->entry_count++] = entry;
    }
}

/* Leaves the blocks of the snapshot's own segments. */
static tarn_status keep_blocks(pytorch_reader *r, const pickle_value *segments) {
    trace_history *history = r->history;
    for (size_t i = 0; i < segments->is.range.count; i++) {
        const pytorch_segment *segment = &r->segments[segments->is.range.first + i];
        memmove(history->blocks + history->block_count, history->blocks + segment->first_block,
                segment->block_count * sizeof history->blocks[0]);
        history->block_count += segment->block_count;
        see_device(history, segment->device);
        if (__builtin_add_overflow(history->final_reserved, segment->size, &history->final_reserved))
            return base_fail(TARN_CORRUPT_DATA, "%s: the segments add up to more than 64 bits", r->path);
    }
    return TARN_OK;
}

static tarn_status keep(pytorch_reader *r, const pytorch_parts *parts) {
    r->history->device_count = 1;
    if (parts->peak.type != PICKLE_NONE) r->history->told_peak = parts->peak.is.unsigned_integer;
    keep_entries(r, &parts->traces);
    keep_annotations(r, &parts->annotations);
    tarn_status status = keep_blocks(r, &parts->segments);
    if (status != TARN_OK || parts->settings.type != PICKLE_DICT || parts->settings.kind != KIND_SETTINGS)
        return status;
    size_t length;
    const char *text = trace_builder_text(&r->pieces, parts->settings.is.range.count, &length);
    return trace_builder_settings(r->builder, text, length);
}

static tarn_status read_records(const trace_input *input, pytorch_reader *r) {
    pytorch_parts parts;
    tarn_status status = pass(input, r, &parts);
    if (status == TARN_OK) status = make_room(r);
    r->keeps = true;
    if (status == TARN_OK) status = pass(input, r, &parts);
    return status == TARN_OK ? keep(r, &parts) : status;
}

tarn_status trace_read_pytorch(const trace_input *input, tarn_trace **out_trace) {
    trace_builder builder = {0};
    trace_history history = {.path = input->path};
    pytorch_reader r = {
        .path = input->path, .builder = &builder, .history = &history, .most_text = most_text(input->size)};
    tarn_status status = read_records(input, &r);
    base_free(r.segments);
    base_free(r.annotations);
    trace_builder_discard(&r.pieces);
    if (status == TARN_OK) {
        trace_input_drop(input);
        status = trace_history_emit(&history, &builder);
    }
    trace_history_discard(&history);
    if (status == TARN_OK) status = trace_builder_finish(&builder, input->path, TARN_TRACE_PYTORCH_SNAPSHOT, out_trace);
    trace_builder_discard(&builder);
    return status;
}
