/* Writes Tarn's own format: everything that a trace holds. Allocations are named by number, so that traces without
 * addresses keep their meaning. */
#include <string.h>

#include "format.h"
#include "writers.h"

static const trace_record_kind kinds[] = {
    [TARN_TRACE_ALLOCATE] = TRACE_RECORD_ALLOCATE,
    [TARN_TRACE_FREE] = TRACE_RECORD_FREE,
    [TARN_TRACE_FREE_COMPLETED] = TRACE_RECORD_FREE_COMPLETED,
    [TARN_TRACE_SEGMENT_ALLOCATE] = TRACE_RECORD_SEGMENT_ALLOCATE,
    [TARN_TRACE_SEGMENT_FREE] = TRACE_RECORD_SEGMENT_FREE,
    [TARN_TRACE_OUT_OF_MEMORY] = TRACE_RECORD_OUT_OF_MEMORY,
    [TARN_TRACE_MARK] = TRACE_RECORD_MARK,
};

static void write_string(base_output *output, const char *text) {
    uint8_t head[TRACE_STRING_ROOM];
    size_t length = strlen(text);
    head[0] = TRACE_RECORD_STRING;
    base_output_bytes(output, head, 1 + trace_put_number(head + 1, length));
    base_output_bytes(output, text, length);
}

static void write_event(base_output *output, trace_encoder *encoder, const tarn_trace_event *event, bool initial,
                        uint64_t allocations) {
    trace_record record = {
        .kind = kinds[event->action],
        .initial = initial,
        .alignment_log2 = event->alignment_log2,
        .tag = event->tag,
        .site = event->site,
        .address = event->address,
        .size = event->size,
        .distance = event->action == TARN_TRACE_ALLOCATE ? 0 : allocations - event->id,
        .time_ns = event->time_ns,
        .thread = event->thread,
        .stream = event->stream,
        .device = event->device,
    };
    uint8_t bytes[TRACE_RECORD_ROOM];
    base_output_bytes(output, bytes, trace_encode_event(encoder, bytes, &record));
}

static void write_block(base_output *output, trace_encoder *encoder, const tarn_trace_block *block) {
    uint8_t bytes[TRACE_RECORD_ROOM];
    size_t n = trace_encode_context(bytes, &encoder->stream, block->stream, TRACE_RECORD_STREAM);
    n += trace_encode_context(bytes + n, &encoder->device, block->device, TRACE_RECORD_DEVICE);
    bool has_site = block->site != TARN_TRACE_NO_STRING, has_tag = block->tag != TARN_TRACE_NO_STRING;
    bytes[n++] = (uint8_t)(TRACE_RECORD_BLOCK | (has_tag ? TRACE_HAS_TAG : 0) | (has_site ? TRACE_HAS_SITE : 0));
    n += trace_encode_address(encoder, bytes + n, block->segment);
    n += trace_encode_address(encoder, bytes + n, block->address);
    n += trace_put_number(bytes + n, block->size);
    n += trace_put_number(bytes + n, block->requested);
    n += trace_put_number(bytes + n, block->state);
    if (has_tag) n += trace_put_number(bytes + n, block->tag);
    if (has_site) n += trace_put_number(bytes + n, block->site);
    base_output_bytes(output, bytes, n);
}

tarn_status trace_write_tarn(const tarn_trace *trace, base_output *output) {
    uint8_t bytes[TRACE_RECORD_ROOM];
    trace_encoder encoder = {0};
    base_output_bytes(output, bytes, trace_encode_header(bytes, TRACE_FILE_NUMBERED));
    for (uint32_t string = 0; string < trace->string_count; string++)
        write_string(output, tarn_trace_string(trace, string));
    if (trace->settings != NULL) {
        write_string(output, trace->settings);
        base_output_bytes(output, bytes, trace_encode_property(bytes, TRACE_PROPERTY_SETTINGS, trace->string_count));
    }
    if (trace->has_recorded_peak)
        base_output_bytes(output, bytes,
                          trace_encode_property(bytes, TRACE_PROPERTY_PEAK_RESERVED, trace->recorded_peak_reserved));

    uint64_t allocations = 0;
    for (size_t i = 0; i < trace->event_count; i++) {
        write_event(output, &encoder, &trace->events[i], i < trace->initial_count, allocations);
        allocations += trace->events[i].action == TARN_TRACE_ALLOCATE;
    }
    for (size_t i = 0; i < trace->block_count; i++) write_block(output, &encoder, &trace->blocks[i]);
    base_output_bytes(output, bytes, trace_encode_end(bytes));
    return TARN_OK;
}
