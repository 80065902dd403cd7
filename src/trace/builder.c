/* The builder of trace_internal.h: where the rules of the model are kept, whatever the format.
 *
 * Vectors grow by half; the finished trace takes them over, cut to size. Strings lie one after the other in one
 * text, and a hash table of their numbers finds equal ones. */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/memory.h"
#include "base/status.h"
#include "trace_internal.h"

static const size_t first_vector_capacity = 16;
static const size_t first_slot_count = 256;

static tarn_status no_memory(const trace_builder *builder) {
    return base_fail(TARN_OUT_OF_MEMORY, "no host memory for a trace of %zu events, %u strings",
                     builder->trace.event_count, builder->trace.string_count);
}

/* Room for `wanted` elements in all. */
static bool reserve_many(void **items, size_t *capacity, size_t wanted, size_t element_size) {
    if (wanted <= *capacity) return true;
    size_t grown;
    if (!checked_add(*capacity, *capacity / 2, &grown)) return false;
    if (grown < wanted) grown = wanted;
    if (grown < first_vector_capacity) grown = first_vector_capacity;
    void *moved = base_reallocate(*items, grown, element_size);
    if (moved == NULL) return false;
    *items = moved;
    *capacity = grown;
    return true;
}

bool trace_reserve(void **items, size_t *capacity, size_t count, size_t element_size) {
    return reserve_many(items, capacity, count + 1, element_size);
}

/* Both halves of the product: each bit of the result depends on each of both factors. */
static uint64_t fold(uint64_t left, uint64_t right) {
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)left * right;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* The factor is as secret as the seed, since words that make up for each other under one that is known can be chosen. */
static uint64_t hash_text(const char *text, size_t length) {
    const uint64_t factor = trace_hash(0) | 1;
    uint64_t hash = trace_hash(length);
    while (length >= 8) {
        uint64_t word;
        memcpy(&word, text, 8);
        hash = fold(hash ^ word, factor);
        text += 8;
        length -= 8;
    }
    uint64_t rest = 0;
    if (length > 0) memcpy(&rest, text, length);
    return trace_hash(hash ^ rest);
}

static size_t string_length(const trace_builder *builder, uint32_t string) {
    size_t end =
        string + 1 < builder->trace.string_count ? builder->trace.string_offsets[string + 1] : builder->text_length;
    return end - builder->trace.string_offsets[string] - 1;
}

/* The slot of the string with this text, or the free one where it belongs. */
static uint32_t *find_slot(const trace_builder *builder, uint32_t *slots, size_t slot_count, const char *text,
                           size_t length) {
    size_t i = (size_t)hash_text(text, length) & (slot_count - 1);
    for (; slots[i] != 0; i = (i + 1) & (slot_count - 1)) {
        uint32_t string = slots[i] - 1;
        if (string_length(builder, string) == length &&
            memcmp(builder->trace.text + builder->trace.string_offsets[string], text, length) == 0)
            break;
    }
    return &slots[i];
}

static bool grow_slots(trace_builder *builder) {
    size_t slot_count = builder->string_slot_count == 0 ? first_slot_count : builder->string_slot_count * 2;
    uint32_t *slots = base_allocate(slot_count, sizeof *slots);
    if (slots == NULL) return false;
    for (uint32_t string = 0; string < builder->trace.string_count; string++)
        *find_slot(builder, slots, slot_count, builder->trace.text + builder->trace.string_offsets[string],
                   string_length(builder, string)) = string + 1;
    base_free(builder->string_slots);
    builder->string_slots = slots;
    builder->string_slot_count = slot_count;
    return true;
}

const char *trace_builder_text(const trace_builder *builder, uint32_t string, size_t *out_length) {
    *out_length = string_length(builder, string);
    return builder->trace.text + builder->trace.string_offsets[string];
}

tarn_status trace_builder_string(trace_builder *builder, const char *text, size_t length, uint32_t *out_string) {
    tarn_trace *trace = &builder->trace;
    if (trace->string_count >= builder->string_slot_count / 2 && !grow_slots(builder)) return no_memory(builder);

    /* The text is put behind the others first: there its NUL bytes can be replaced before it is looked up. */
    size_t end;
    if (!checked_add(builder->text_length, length, &end) || !checked_add(end, 1, &end)) return no_memory(builder);
    if (!reserve_many((void **)&trace->text, &builder->text_capacity, end, 1)) return no_memory(builder);
    char *copy = trace->text + builder->text_length;
    if (length > 0) memcpy(copy, text, length);
    copy[length] = '\0';
    for (char *nul = memchr(copy, '\0', length); nul != NULL; nul = memchr(nul, '\0', length - (size_t)(nul - copy)))
        *nul = ' ';

    uint32_t *slot = find_slot(builder, builder->string_slots, builder->string_slot_count, copy, length);
    if (*slot == 0) {
        if (trace->string_count == UINT32_MAX - 1)
            return base_fail(TARN_LIMIT_EXCEEDED, "more than %u strings", trace->string_count);
        if (!trace_reserve((void **)&trace->string_offsets, &builder->offset_capacity, trace->string_count,
                           sizeof *trace->string_offsets))
            return no_memory(builder);
        trace->string_offsets[trace->string_count] = builder->text_length;
        builder->text_length = end;
        *slot = ++trace->string_count;
    }
    *out_string = *slot - 1;
    return TARN_OK;
}

static tarn_status number_of(trace_builder *builder, trace_map *map, uint64_t number, uint32_t first,
                             uint32_t *out_number) {
    uint64_t next = (uint64_t)map->count + first;
    uint64_t *value = trace_map_insert(map, number, next, NULL);
    if (value == NULL) return no_memory(builder);
    if (*value >= UINT32_MAX) return base_fail(TARN_LIMIT_EXCEEDED, "more than %u streams or threads", UINT32_MAX);
    *out_number = (uint32_t)*value;
    return TARN_OK;
}

tarn_status trace_builder_stream(trace_builder *builder, uint64_t number, uint32_t *out_stream) {
    if (number == 0) {
        *out_stream = 0;
        return TARN_OK;
    }
    tarn_trace *trace = &builder->trace;
    size_t known = builder->streams.count;
    if (!trace_reserve((void **)&trace->stream_numbers, &builder->stream_capacity, known,
                       sizeof *trace->stream_numbers))
        return no_memory(builder);
    tarn_status status = number_of(builder, &builder->streams, number, 1, out_stream);
    if (builder->streams.count > known) trace->stream_numbers[known] = number;
    return status;
}

tarn_status trace_builder_thread(trace_builder *builder, uint64_t number, uint32_t *out_thread) {
    return number_of(builder, &builder->threads, number, 0, out_thread);
}

/* Nanoseconds since the first event, never less than the last one's. */
static int64_t relative_time(trace_builder *builder, int64_t time) {
    if (!builder->started) {
        builder->started = true;
        builder->first_time = time;
    }
    int64_t since;
    if (__builtin_sub_overflow(time, builder->first_time, &since)) since = time < 0 ? 0 : INT64_MAX;
    if (since < builder->last_time) since = builder->last_time;
    builder->last_time = since;
    return since;
}

static void see_device(tarn_trace *trace, uint16_t device) {
    if (device >= trace->device_count && device < UINT16_MAX) trace->device_count = (uint16_t)(device + 1);
}

/* Room was made before; `is_initial` events stand at time 0 and do not start the clock. */
static void append(trace_builder *builder, tarn_trace_event event, bool is_initial) {
    tarn_trace *trace = &builder->trace;
    event.time_ns = is_initial ? 0 : relative_time(builder, event.time_ns);
    see_device(trace, event.device);
    trace->events[trace->event_count++] = event;
}

static bool reserve_event(trace_builder *builder) {
    return trace_reserve((void **)&builder->trace.events, &builder->event_capacity, builder->trace.event_count,
                         sizeof(tarn_trace_event));
}

tarn_status trace_builder_allocate(trace_builder *builder, const tarn_trace_event *event, bool initial,
                                   uint64_t *out_id) {
    uint64_t live;
    if (__builtin_add_overflow(builder->live, event->size, &live))
        return base_fail(TARN_CORRUPT_DATA, "an allocation of %llu bytes beside %llu live ones passes 64 bits",
                         (unsigned long long)event->size, (unsigned long long)builder->live);
    tarn_trace *trace = &builder->trace;
    if (!reserve_event(builder) || !trace_reserve((void **)&builder->allocations, &builder->allocation_capacity,
                                                  trace->allocation_count, sizeof *builder->allocations))
        return no_memory(builder);

    uint64_t id = trace->allocation_count++;
    builder->allocations[id] = (trace_allocation){
        .address = event->address, .size = event->size, .state = TRACE_LIVE, .device = event->device};
    builder->live = live;
    if (live > trace->peak_live) trace->peak_live = live;
    if (initial) trace->initial_count++;
    tarn_trace_event added = *event;
    added.action = TARN_TRACE_ALLOCATE;
    added.id = id;
    append(builder, added, initial);
    *out_id = id;
    return TARN_OK;
}

tarn_status trace_builder_free(trace_builder *builder, uint64_t id, const tarn_trace_event *event, bool completed) {
    if (!reserve_event(builder)) return no_memory(builder);
    trace_allocation *allocation = &builder->allocations[id];
    if (!completed) builder->live -= allocation->size;
    allocation->state = completed ? TRACE_COMPLETED : TRACE_FREED;
    tarn_trace_event added = *event;
    added.action = completed ? TARN_TRACE_FREE_COMPLETED : TARN_TRACE_FREE;
    added.id = id;
    added.address = allocation->address;
    added.size = allocation->size;
    added.device = allocation->device;
    append(builder, added, false);
    return TARN_OK;
}

tarn_status trace_builder_other(trace_builder *builder, const tarn_trace_event *event) {
    if (!reserve_event(builder)) return no_memory(builder);
    append(builder, *event, false);
    return TARN_OK;
}

tarn_status trace_builder_block(trace_builder *builder, const tarn_trace_block *block) {
    tarn_trace *trace = &builder->trace;
    if (!trace_reserve((void **)&trace->blocks, &builder->block_capacity, trace->block_count, sizeof *trace->blocks))
        return no_memory(builder);
    see_device(trace, block->device);
    trace->blocks[trace->block_count++] = *block;
    return TARN_OK;
}

tarn_status trace_builder_settings(trace_builder *builder, const char *text, size_t length) {
    char *copy = base_allocate(length + 1, 1);
    if (copy == NULL) return no_memory(builder);
    if (length > 0) memcpy(copy, text, length);
    base_free(builder->trace.settings);
    builder->trace.settings = copy;
    return TARN_OK;
}

static int compare_addresses(const void *left, const void *right) {
    const tarn_trace_event *a = left, *b = right;
    if (a->address != b->address) return a->address < b->address ? -1 : 1;
    if (a->device != b->device) return a->device < b->device ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

/* Puts the initial allocations in address order, and numbers them so that ids follow the events' order. */
static bool sort_initial(tarn_trace *trace) {
    size_t count = trace->initial_count;
    bool in_order = true;
    for (size_t i = 1; i < count && in_order; i++)
        in_order = compare_addresses(&trace->events[i - 1], &trace->events[i]) < 0;
    if (in_order) return true;
    uint64_t *ids = base_allocate(count, sizeof *ids);
    if (ids == NULL) return false;
    qsort(trace->events, count, sizeof *trace->events, compare_addresses);
    for (size_t i = 0; i < count; i++) ids[trace->events[i].id] = i;
    for (size_t i = 0; i < trace->event_count; i++) {
        tarn_trace_event *event = &trace->events[i];
        if (event->action <= TARN_TRACE_FREE_COMPLETED && event->id < count) event->id = ids[event->id];
    }
    base_free(ids);
    return true;
}

/* Gives back what growing has reserved; where that fails the larger block serves as well. */
static void *cut(void *items, size_t count, size_t element_size) {
    void *smaller = items == NULL || count == 0 ? NULL : base_reallocate(items, count, element_size);
    return smaller == NULL ? items : smaller;
}

tarn_status trace_builder_finish(trace_builder *builder, const char *path, tarn_trace_format format,
                                 tarn_trace **out_trace) {
    tarn_trace *trace = base_allocate(1, sizeof *trace);
    char *path_copy = base_duplicate(path);
    if (trace == NULL || path_copy == NULL || !sort_initial(&builder->trace)) {
        base_free(trace);
        base_free(path_copy);
        return no_memory(builder);
    }
    *trace = builder->trace;
    trace->path = path_copy;
    trace->format = format;
    trace->stream_count = (uint32_t)builder->streams.count + 1;
    trace->thread_count = builder->threads.count == 0 ? 1 : (uint32_t)builder->threads.count;
    if (trace->device_count == 0) trace->device_count = 1;
    trace->events = cut(trace->events, trace->event_count, sizeof *trace->events);
    trace->blocks = cut(trace->blocks, trace->block_count, sizeof *trace->blocks);
    trace->text = cut(trace->text, builder->text_length, 1);
    trace->string_offsets = cut(trace->string_offsets, trace->string_count, sizeof *trace->string_offsets);
    builder->trace = (tarn_trace){0};
    trace_builder_discard(builder);
    *out_trace = trace;
    return TARN_OK;
}

void trace_builder_discard(trace_builder *builder) {
    base_free(builder->trace.settings);
    base_free(builder->trace.events);
    base_free(builder->trace.blocks);
    base_free(builder->trace.text);
    base_free(builder->trace.string_offsets);
    base_free(builder->trace.stream_numbers);
    base_free(builder->string_slots);
    base_free(builder->allocations);
    trace_map_discard(&builder->streams);
    trace_map_discard(&builder->threads);
    *builder = (trace_builder){0};
}
