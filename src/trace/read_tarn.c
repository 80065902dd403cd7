/* Reads Tarn's own format, docs/trace-format.md, of which format.h is the writing half.
 *
 * A loop over records with the state that the format's differences need. Addresses are looked up in one map for
 * each device, so that frees find their allocations. */
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "format.h"
#include "trace_internal.h"

enum { device_limit = UINT16_MAX };

typedef struct reader {
    const trace_input *input;
    size_t at;     /* the next byte */
    size_t record; /* where the current record begins */
    bool partial;  /* TRACE_FILE_PARTIAL */
    bool numbered; /* TRACE_FILE_NUMBERED: addresses are not looked up */
    bool ended;
    uint64_t address; /* of the last record that had one */
    uint64_t time_ns;
    uint32_t thread, stream; /* the trace's numbers */
    bool thread_known;
    uint16_t device;
    uint32_t *strings; /* the file's numbers → the trace's */
    size_t string_count, string_capacity;
    trace_map *live; /* for each device: address → id of the allocation made there last */
    size_t live_count, live_capacity;
    size_t unknown_frees, missing_frees;
    trace_builder builder;
} reader;

static tarn_status corrupt(const reader *r, const char *what) {
    return base_fail(TARN_CORRUPT_DATA, "%s: record at byte %zu: %s", r->input->path, r->record, what);
}

static tarn_status no_memory(const reader *r) {
    return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory left at byte %zu", r->input->path, r->record);
}

static tarn_status take_number(reader *r, uint64_t *out_number) {
    uint64_t number = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (r->at == r->input->size) return corrupt(r, "it is cut off by the end of the file");
        uint64_t byte = r->input->data[r->at++];
        if (shift == 63 && byte > 1) return corrupt(r, "a number of more than 64 bits");
        number |= (byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            *out_number = number;
            return TARN_OK;
        }
    }
    return corrupt(r, "a number of more than ten bytes");
}

/* Adds the difference that follows to `*value`. */
static tarn_status take_difference(reader *r, uint64_t *value) {
    uint64_t number = 0;
    tarn_status status = take_number(r, &number);
    if (status == TARN_OK) *value += (number >> 1) ^ (uint64_t) - (int64_t)(number & 1);
    return status;
}

static tarn_status take_bytes(reader *r, uint64_t length, const uint8_t **out_bytes) {
    if (length > r->input->size - r->at)
        return base_fail(TARN_CORRUPT_DATA,
                         "%s: record at byte %zu: it declares %" PRIu64 " bytes, and the file has %zu more",
                         r->input->path, r->record, length, r->input->size - r->at);
    *out_bytes = r->input->data + r->at;
    r->at += (size_t)length;
    return TARN_OK;
}

static tarn_status take_string(reader *r, bool is_there, uint32_t *out_string) {
    uint64_t number = 0;
    *out_string = TARN_TRACE_NO_STRING;
    if (!is_there) return TARN_OK;
    tarn_status status = take_number(r, &number);
    if (status != TARN_OK) return status;
    if (number >= r->string_count) return corrupt(r, "a string that is not defined");
    *out_string = r->strings[number];
    return TARN_OK;
}

static tarn_status read_string(reader *r) {
    uint64_t length = 0;
    const uint8_t *bytes = NULL;
    tarn_status status = take_number(r, &length);
    if (status == TARN_OK) status = take_bytes(r, length, &bytes);
    if (status != TARN_OK) return status;
    if (memchr(bytes, '\0', (size_t)length) != NULL) return corrupt(r, "a string with a NUL byte");
    if (!trace_reserve((void **)&r->strings, &r->string_capacity, r->string_count, sizeof *r->strings))
        return no_memory(r);
    status = trace_builder_string(&r->builder, (const char *)bytes, (size_t)length, &r->strings[r->string_count]);
    if (status == TARN_OK) r->string_count++;
    return status;
}

static tarn_status read_device(reader *r) {
    uint64_t device = 0;
    tarn_status status = take_number(r, &device);
    if (status != TARN_OK) return status;
    if (device >= device_limit) return corrupt(r, "a device above 65534");
    r->device = (uint16_t)device;
    return TARN_OK;
}

static tarn_status read_thread_or_stream(reader *r, bool is_thread) {
    uint64_t number = 0;
    tarn_status status = take_number(r, &number);
    if (status != TARN_OK) return status;
    if (!is_thread) return trace_builder_stream(&r->builder, number, &r->stream);
    r->thread_known = true;
    return trace_builder_thread(&r->builder, number, &r->thread);
}

/* The map of the current device. */
static trace_map *live_map(reader *r) {
    while (r->live_count <= r->device) {
        if (!trace_reserve((void **)&r->live, &r->live_capacity, r->live_count, sizeof *r->live)) return NULL;
        r->live[r->live_count++] = (trace_map){0};
    }
    return &r->live[r->device];
}

static tarn_status add_numbered(reader *r, const tarn_trace_event *event, bool initial) {
    uint64_t id;
    tarn_status status = trace_builder_allocate(&r->builder, event, initial, &id);
    return status == TARN_OK ? status : base_fail_within(status, "%s: record at byte %zu", r->input->path, r->record);
}

static tarn_status add_allocate(reader *r, const tarn_trace_event *event, bool initial) {
    if (r->numbered) return add_numbered(r, event, initial);
    trace_map *live = live_map(r);
    if (live == NULL) return no_memory(r);
    uint64_t *last = trace_map_find(live, event->address);
    if (last != NULL && r->builder.allocations[*last].state == TRACE_LIVE) {
        if (!r->partial || initial)
            return base_fail(TARN_CORRUPT_DATA,
                             "%s: record at byte %zu: 0x%" PRIx64 " is allocated, and is live already", r->input->path,
                             r->record, event->address);
        tarn_status status = trace_builder_free(&r->builder, *last, event, false);
        if (status != TARN_OK) return status;
        r->missing_frees++;
    }
    uint64_t id;
    tarn_status status = trace_builder_allocate(&r->builder, event, initial, &id);
    if (status != TARN_OK) return base_fail_within(status, "%s: record at byte %zu", r->input->path, r->record);
    uint64_t *place = trace_map_insert(live, event->address, id, NULL);
    if (place == NULL) return no_memory(r);
    *place = id;
    return TARN_OK;
}

static tarn_status read_allocate(reader *r, unsigned flags, tarn_trace_event *event) {
    bool initial = (flags & TRACE_IS_INITIAL) != 0;
    if (initial && r->builder.started) return corrupt(r, "an initial allocation after the recording has begun");
    tarn_status status = initial ? TARN_OK : take_difference(r, &r->time_ns);
    event->time_ns = (int64_t)r->time_ns;
    if (status == TARN_OK) status = take_difference(r, &r->address);
    event->address = r->address;
    if (status == TARN_OK) status = take_number(r, &event->size);
    if (status == TARN_OK) status = take_string(r, (flags & TRACE_HAS_TAG) != 0, &event->tag);
    if (status == TARN_OK) status = take_string(r, (flags & TRACE_HAS_SITE) != 0, &event->site);
    if (status == TARN_OK && (flags & TRACE_HAS_ALIGNMENT) != 0) {
        const uint8_t *alignment = NULL;
        status = take_bytes(r, 1, &alignment);
        if (status == TARN_OK && *alignment > 63) return corrupt(r, "an alignment above 2^63");
        if (status == TARN_OK) event->alignment_log2 = *alignment;
    }
    return status == TARN_OK ? add_allocate(r, event, initial) : status;
}

/* Which allocation a free names. `out_found` is false for an address where none is in the right state. */
static tarn_status find_allocation(reader *r, bool by_number, bool completed, uint64_t *out_id, bool *out_found) {
    tarn_status status;
    if (by_number) {
        uint64_t distance = 0;
        status = take_number(r, &distance);
        if (status != TARN_OK) return status;
        size_t count = r->builder.trace.allocation_count;
        if (distance == 0 || distance > count) return corrupt(r, "it frees an allocation from before the beginning");
        *out_id = count - distance;
    } else {
        if (r->numbered) return corrupt(r, "it names an address, and the file says that all frees have numbers");
        status = take_difference(r, &r->address);
        if (status != TARN_OK) return status;
        trace_map *live = live_map(r);
        if (live == NULL) return no_memory(r);
        const uint64_t *last = trace_map_find(live, r->address);
        *out_found = last != NULL;
        if (last == NULL) return TARN_OK;
        *out_id = *last;
    }
    *out_found = r->builder.allocations[*out_id].state == (completed ? TRACE_FREED : TRACE_LIVE);
    return TARN_OK;
}

static tarn_status read_free(reader *r, unsigned flags, bool completed, tarn_trace_event *event) {
    uint64_t id = 0;
    bool by_number = (flags & TRACE_BY_NUMBER) != 0, found = false;
    tarn_status status = take_difference(r, &r->time_ns);
    event->time_ns = (int64_t)r->time_ns;
    if (status == TARN_OK) status = find_allocation(r, by_number, completed, &id, &found);
    if (status == TARN_OK) status = take_string(r, (flags & TRACE_HAS_TAG) != 0, &event->tag);
    if (status == TARN_OK) status = take_string(r, (flags & TRACE_HAS_SITE) != 0, &event->site);
    if (status != TARN_OK) return status;
    if (found) return trace_builder_free(&r->builder, id, event, completed);
    if (by_number) return corrupt(r, "it frees an allocation a second time");
    if (!r->partial)
        return base_fail(TARN_CORRUPT_DATA, "%s: record at byte %zu: 0x%" PRIx64 " is freed, and is not live",
                         r->input->path, r->record, r->address);
    r->unknown_frees++;
    return TARN_OK;
}

static tarn_status read_other(reader *r, unsigned flags, tarn_trace_action action, tarn_trace_event *event) {
    tarn_status status = take_difference(r, &r->time_ns);
    event->time_ns = (int64_t)r->time_ns;
    event->action = (uint8_t)action;
    if (action != TARN_TRACE_MARK) {
        if (status == TARN_OK) status = take_difference(r, &r->address);
        event->address = r->address;
        if (status == TARN_OK) status = take_number(r, &event->size);
    }
    if (status == TARN_OK) status = take_string(r, (flags & TRACE_HAS_TAG) != 0, &event->tag);
    if (status == TARN_OK) status = take_string(r, (flags & TRACE_HAS_SITE) != 0, &event->site);
    return status == TARN_OK ? trace_builder_other(&r->builder, event) : status;
}

static tarn_status read_block(reader *r, unsigned flags) {
    tarn_trace_block block = {.stream = r->stream, .device = r->device, .tag = TARN_TRACE_NO_STRING};
    uint64_t state = 0;
    tarn_status status = take_difference(r, &r->address);
    block.segment = r->address;
    if (status == TARN_OK) status = take_difference(r, &r->address);
    block.address = r->address;
    if (status == TARN_OK) status = take_number(r, &block.size);
    if (status == TARN_OK) status = take_number(r, &block.requested);
    if (status == TARN_OK) status = take_number(r, &state);
    if (status == TARN_OK) status = take_string(r, (flags & TRACE_HAS_TAG) != 0, &block.tag);
    if (status == TARN_OK) status = take_string(r, (flags & TRACE_HAS_SITE) != 0, &block.site);
    if (status != TARN_OK) return status;
    if (state > TRACE_BLOCK_PENDING) return corrupt(r, "a block in an unknown state");
    block.state = (uint8_t)state;
    return trace_builder_block(&r->builder, &block);
}

static tarn_status read_property(reader *r) {
    uint64_t property = 0, value = 0;
    tarn_status status = take_number(r, &property);
    if (status == TARN_OK) status = take_number(r, &value);
    if (status != TARN_OK) return status;
    tarn_trace *trace = &r->builder.trace;
    if (property == TRACE_PROPERTY_PEAK_RESERVED) {
        trace->has_recorded_peak = true;
        trace->recorded_peak_reserved = value;
        return TARN_OK;
    }
    if (property != TRACE_PROPERTY_SETTINGS) return corrupt(r, "an unknown property");
    if (value >= r->string_count) return corrupt(r, "a string that is not defined");
    const char *text = trace->text + trace->string_offsets[r->strings[value]];
    return trace_builder_settings(&r->builder, text, strlen(text));
}

static tarn_status skip_extension(reader *r) {
    uint64_t kind = 0, length = 0;
    const uint8_t *bytes = NULL;
    tarn_status status = take_number(r, &kind);
    if (status == TARN_OK) status = take_number(r, &length);
    return status == TARN_OK ? take_bytes(r, length, &bytes) : status;
}

/* The flags that a kind may have. */
static unsigned allowed_flags(unsigned kind) {
    static const uint8_t allowed[16] = {
        [TRACE_RECORD_ALLOCATE] = TRACE_HAS_TAG | TRACE_HAS_SITE | TRACE_HAS_ALIGNMENT | TRACE_IS_INITIAL,
        [TRACE_RECORD_FREE] = TRACE_HAS_TAG | TRACE_HAS_SITE | TRACE_BY_NUMBER,
        [TRACE_RECORD_FREE_COMPLETED] = TRACE_HAS_TAG | TRACE_HAS_SITE | TRACE_BY_NUMBER,
        [TRACE_RECORD_SEGMENT_ALLOCATE] = TRACE_HAS_TAG | TRACE_HAS_SITE,
        [TRACE_RECORD_SEGMENT_FREE] = TRACE_HAS_TAG | TRACE_HAS_SITE,
        [TRACE_RECORD_OUT_OF_MEMORY] = TRACE_HAS_TAG | TRACE_HAS_SITE,
        [TRACE_RECORD_MARK] = TRACE_HAS_TAG | TRACE_HAS_SITE,
        [TRACE_RECORD_BLOCK] = TRACE_HAS_TAG | TRACE_HAS_SITE,
    };
    return allowed[kind];
}

static tarn_status read_record(reader *r) {
    r->record = r->at;
    unsigned first = r->input->data[r->at++];
    unsigned kind = first & 0x0f, flags = first & 0xf0;
    if (kind == 0 || (flags & ~allowed_flags(kind)) != 0)
        return base_fail(TARN_CORRUPT_DATA, "%s: record at byte %zu: 0x%02x begins no record", r->input->path,
                         r->record, first);
    /* A file that never says so is of one thread. */
    if (!r->thread_known && kind >= TRACE_RECORD_ALLOCATE && kind <= TRACE_RECORD_MARK) {
        tarn_status status = trace_builder_thread(&r->builder, 0, &r->thread);
        if (status != TARN_OK) return status;
        r->thread_known = true;
    }
    tarn_trace_event event = {.tag = TARN_TRACE_NO_STRING,
                              .site = TARN_TRACE_NO_STRING,
                              .thread = r->thread,
                              .stream = r->stream,
                              .device = r->device};
    switch ((trace_record_kind)kind) {
    case TRACE_RECORD_STRING: return read_string(r);
    case TRACE_RECORD_THREAD: return read_thread_or_stream(r, true);
    case TRACE_RECORD_STREAM: return read_thread_or_stream(r, false);
    case TRACE_RECORD_DEVICE: return read_device(r);
    case TRACE_RECORD_ALLOCATE: return read_allocate(r, flags, &event);
    case TRACE_RECORD_FREE: return read_free(r, flags, false, &event);
    case TRACE_RECORD_FREE_COMPLETED: return read_free(r, flags, true, &event);
    case TRACE_RECORD_SEGMENT_ALLOCATE: return read_other(r, flags, TARN_TRACE_SEGMENT_ALLOCATE, &event);
    case TRACE_RECORD_SEGMENT_FREE: return read_other(r, flags, TARN_TRACE_SEGMENT_FREE, &event);
    case TRACE_RECORD_OUT_OF_MEMORY: return read_other(r, flags, TARN_TRACE_OUT_OF_MEMORY, &event);
    case TRACE_RECORD_MARK: return read_other(r, flags, TARN_TRACE_MARK, &event);
    case TRACE_RECORD_BLOCK: return read_block(r, flags);
    case TRACE_RECORD_PROPERTY: return read_property(r);
    case TRACE_RECORD_EXTENSION: return skip_extension(r);
    case TRACE_RECORD_END: break;
    }
    r->ended = true;
    if (r->at != r->input->size) return corrupt(r, "bytes follow the end");
    return TARN_OK;
}

static uint32_t get_u32(const uint8_t *bytes) {
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static tarn_status read_header(reader *r) {
    const uint8_t *bytes = NULL;
    if (r->input->size < TRACE_HEADER_SIZE)
        return base_fail(TARN_CORRUPT_DATA, "%s: the header is cut off at byte %zu", r->input->path, r->input->size);
    tarn_status status = take_bytes(r, TRACE_HEADER_SIZE, &bytes);
    if (status != TARN_OK) return status;
    if (memcmp(bytes, TRACE_MAGIC, TRACE_MAGIC_SIZE) != 0)
        return base_fail(TARN_CORRUPT_DATA, "%s: byte 5: line ends in it were changed, as text transfer does",
                         r->input->path);
    if (get_u32(bytes + 8) != TRACE_VERSION)
        return base_fail(TARN_NOT_SUPPORTED, "%s: version %u of Tarn's format; %u can be read", r->input->path,
                         get_u32(bytes + 8), TRACE_VERSION);
    uint32_t flags = get_u32(bytes + 12);
    if ((flags & ~(TRACE_FILE_PARTIAL | TRACE_FILE_NUMBERED)) != 0)
        return base_fail(TARN_CORRUPT_DATA, "%s: byte 12: unknown flags 0x%x", r->input->path, flags);
    r->partial = (flags & TRACE_FILE_PARTIAL) != 0;
    r->numbered = (flags & TRACE_FILE_NUMBERED) != 0;
    return TARN_OK;
}

static void report(const reader *r) {
    if (!r->ended)
        base_log(TARN_LOG_WARNING,
                 "%s ends after %zu events without an end record: its recorder did not come to its end", r->input->path,
                 r->builder.trace.event_count);
    if (r->unknown_frees + r->missing_frees > 0)
        base_log(TARN_LOG_INFO, "%s is partial: %zu frees of unknown addresses left out, %zu frees missing",
                 r->input->path, r->unknown_frees, r->missing_frees);
}

static tarn_status read_all(reader *r) {
    tarn_status status = read_header(r);
    while (status == TARN_OK && r->at < r->input->size) status = read_record(r);
    return status;
}

static void discard(reader *r) {
    trace_builder_discard(&r->builder);
    for (size_t i = 0; i < r->live_count; i++) trace_map_discard(&r->live[i]);
    base_free(r->live);
    base_free(r->strings);
}

tarn_status trace_read_tarn(const trace_input *input, tarn_trace **out_trace) {
    reader r = {.input = input};
    tarn_status status = read_all(&r);
    if (status == TARN_OK) report(&r);
    if (status == TARN_OK) status = trace_builder_finish(&r.builder, input->path, TARN_TRACE_TARN, out_trace);
    discard(&r);
    return status;
}

tarn_status trace_read_recording(const trace_input *input, trace_builder *out_builder) {
    reader r = {.input = input};
    tarn_status status = read_all(&r);
    if (status == TARN_OK) {
        *out_builder = r.builder;
        r.builder = (trace_builder){0};
    }
    discard(&r);
    return status;
}
