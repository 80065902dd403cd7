/* The model: live buffers, memory that streams still use, figures, and one function for each kind of operation. A function that
 * finds the allocator wrong writes the verdict; the run ends there. */
#include "model.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fake.h"
#include "footprint.h"
#include "stand.h"

#define LIVE 96
#define PENDING 64
#define STREAMS 3
#define STALE 32

typedef struct live_buffer {
    tarn_buffer *buffer;
    uintptr_t address;
    size_t size, capacity;
    int stream;      /* -1: the default one */
    unsigned others; /* streams recorded, as bits */
    uint64_t mark;   /* written into it where that can be done */
    footprint memory;
} live_buffer;

/* Freed memory that streams which stand still may use. */
typedef struct pending_use {
    footprint memory;
    unsigned streams;
    unsigned epochs[STREAMS];
} pending_use;

typedef struct memory_model {
    const model_plan *plan;
    model_verdict *verdict;
    test_stand stand;
    bool is_fake, is_stored;
    live_buffer live[LIVE];
    size_t live_count;
    pending_use pending[PENDING];
    size_t pending_count;
    tarn_buffer *stale[STALE];
    intervals occupied;
    unsigned epochs[STREAMS];
    bool is_held[STREAMS];
    unsigned long forced_waits;
    tarn_status armed; /* the fault that may strike now; OK: none */
    uint64_t requested, requested_peak, requested_total, in_use, in_use_peak, in_use_total, blocks_peak;
    uint64_t allocations, frees, failed;
    uint64_t state; /* of the numbers of this operation */
} memory_model;

static uint64_t next(memory_model *model) {
    uint64_t z = model->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static bool wrong(memory_model *model, const char *format, ...) TARN_PRINTF(2, 3);
static bool wrong(memory_model *model, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(model->verdict->sentence, sizeof model->verdict->sentence, format, arguments);
    va_end(arguments);
    model->verdict->is_good = false;
    return false;
}

static void tell(const memory_model *model, const char *format, ...) TARN_PRINTF(2, 3);
static void tell(const memory_model *model, const char *format, ...) {
    if (!model->plan->is_told) return;
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
}

static tarn_stream *stream_of(memory_model *model, int stream) {
    return stream < 0 ? NULL : model->stand.streams[stream];
}

static bool may_fail(const memory_model *model, tarn_status status) {
    return status == TARN_OK || (model->armed != TARN_OK && status == model->armed);
}

/* Time may have passed while the allocator waited for the device: then no stream stands any more. */
static void notice_waits(memory_model *model) {
    if (!model->is_fake || fake_forced_waits() == model->forced_waits) return;
    model->forced_waits = fake_forced_waits();
    for (int s = 0; s < STREAMS; s++) {
        stand_let_go(&model->stand, s);
        model->is_held[s] = false;
    }
}

static unsigned still_used_by(const memory_model *model, const pending_use *item) {
    unsigned streams = 0;
    for (int s = 0; s < STREAMS; s++)
        if ((item->streams >> s & 1) != 0 && model->is_held[s] && model->epochs[s] == item->epochs[s])
            streams |= 1u << s;
    return streams;
}

/* Memory that another stream still uses must not have been handed out; what nobody uses any more is forgotten. */
static bool check_stream_order(memory_model *model, const live_buffer *taken) {
    for (size_t i = 0; i < model->pending_count;) {
        unsigned streams = still_used_by(model, &model->pending[i]);
        if (streams == 0) {
            model->pending[i] = model->pending[--model->pending_count];
            continue;
        }
        if (taken->stream >= 0) streams &= ~(1u << taken->stream);
        if (streams != 0 && footprint_overlaps(&model->pending[i].memory, &taken->memory))
            return wrong(model, "memory that a stream still uses (%#x) was handed out on stream %d", streams,
                         taken->stream);
        i++;
    }
    return true;
}

/* Marks a buffer's memory at both ends and in between, or checks the marks. */
static bool visit_marks(const live_buffer *item, bool writes) {
    unsigned char *bytes = tarn_buffer_data(item->buffer);
    for (size_t at = 0; at < item->capacity; at += at + 1 == item->capacity ? 1 : 16 * KIB) {
        if (at + 16 * KIB > item->capacity && at + 1 != item->capacity && at != 0) at = item->capacity - 1;
        unsigned char wanted = (unsigned char)(item->mark + at / 256);
        if (writes) bytes[at] = wanted;
        else if (bytes[at] != wanted) return false;
    }
    return true;
}

static size_t random_size(memory_model *model) {
    static const size_t usual[] = {512, 4096, 10000, 200000, 2 * MIB, 2 * MIB + 512, 5 * MIB, 12 * MIB};
    uint64_t number = next(model);
    if (number % 3 == 0) return usual[number / 3 % 8];
    size_t magnitude = (size_t)1 << (number / 3 % 25);
    return magnitude + next(model) % magnitude;
}

/* Whether what was handed out is what was asked for, and nobody else's. */
static bool accept(memory_model *model, live_buffer *taken, size_t alignment) {
    if (tarn_buffer_size(taken->buffer) != taken->size || taken->capacity < taken->size)
        return wrong(model, "size or capacity is wrong");
    if (alignment == 0) alignment = model->stand.properties.alignment;
    if (taken->address == 0 || taken->address % alignment != 0)
        return wrong(model, "%#zx is not aligned to %zu", taken->address, alignment);
    if (!footprint_look(&taken->memory, taken->address, taken->capacity, model->is_fake))
        return wrong(model, "a buffer has no memory behind it");
    if (!footprint_add(&taken->memory, &model->occupied)) return wrong(model, "two live buffers overlap");
    return check_stream_order(model, taken);
}

static bool allocate(memory_model *model) {
    size_t size = random_size(model), alignment = 0;
    uint64_t number = next(model);
    int stream = (int)(number % (STREAMS + 1)) - 1;
    if (number / 8 % 8 == 0) alignment = (size_t)1 << (number / 64 % 22);
    if (model->live_count == LIVE) return true;
    tell(model, "allocate %zu, aligned to %zu, on stream %d", size, alignment, stream);
    tarn_allocate_options options = {
        .struct_size = sizeof options, .alignment = alignment, .stream = stream_of(model, stream), .tag = "model"};
    live_buffer taken = {.stream = stream, .size = size};
    tarn_status status = tarn_allocator_allocate_with(model->stand.allocator, size, &options, &taken.buffer);
    notice_waits(model);
    tell(model, ": %s\n", tarn_status_name(status));
    if (status != TARN_OK) {
        model->failed++;
        model->verdict->refusals++;
        if (taken.buffer != NULL) return wrong(model, "a refused allocation wrote its output");
        bool is_told_to = strstr(model->plan->spec, "fail:") != NULL && status == TARN_OUT_OF_MEMORY;
        /* Segments that cannot move may be held by one small buffer each. */
        uint64_t sure = model->plan->is_rigid ? 0 : model->plan->capacity / 4;
        bool is_full = model->plan->capacity != 0 && model->in_use + size + alignment > sure &&
                       (status == TARN_OUT_OF_MEMORY || status == TARN_LIMIT_EXCEEDED);
        /* What a fault keeps the allocator from giving back is missing, whatever that fault was. */
        size_t held = tarn_allocator_allocated_size(model->stand.allocator);
        bool is_stuck = model->armed != TARN_OK && status == TARN_OUT_OF_MEMORY && model->plan->capacity != 0 &&
                        held + size + alignment > model->plan->capacity;
        if (!may_fail(model, status) && !is_told_to && !is_full && !is_stuck)
            return wrong(model, "%zu bytes were refused with %llu in use: %s", size, (unsigned long long)model->in_use,
                         tarn_last_error());
        return true;
    }
    taken.address = (uintptr_t)tarn_buffer_data(taken.buffer);
    taken.capacity = tarn_buffer_capacity(taken.buffer);
    taken.mark = next(model);
    if (model->is_stored) visit_marks(&taken, true);
    if (!accept(model, &taken, alignment)) {
        tarn_buffer_free(taken.buffer, NULL);
        return false;
    }
    model->live[model->live_count++] = taken;
    model->allocations++;
    model->requested += size;
    model->requested_total += size;
    model->in_use += taken.capacity;
    model->in_use_total += taken.capacity;
    if (model->requested > model->requested_peak) model->requested_peak = model->requested;
    if (model->in_use > model->in_use_peak) model->in_use_peak = model->in_use;
    if (model->live_count > model->blocks_peak) model->blocks_peak = model->live_count;
    return true;
}

/* Notes that streams that stand still may use the memory. */
static void note_pending(memory_model *model, const live_buffer *gone, int stream) {
    unsigned streams = gone->others | (stream >= 0 ? 1u << stream : 0u);
    pending_use item = {.memory = gone->memory, .streams = streams};
    memcpy(item.epochs, model->epochs, sizeof item.epochs);
    if (still_used_by(model, &item) != 0 && model->pending_count < PENDING)
        model->pending[model->pending_count++] = item;
}

static bool free_one(memory_model *model) {
    uint64_t number = next(model);
    if (model->live_count == 0) return true;
    size_t place = number % model->live_count;
    live_buffer gone = model->live[place];
    int stream = number / 1024 % 8 == 0 ? (int)(number / 65536 % (STREAMS + 1)) - 1 : gone.stream;
    /* NULL stands for the stream that it was allocated for. */
    tarn_stream *given = number / 8192 % 2 == 0 && stream == gone.stream ? NULL : stream_of(model, stream);
    if (given == NULL) stream = gone.stream;
    tell(model, "free %zu bytes on stream %d", gone.size, stream);
    if (model->is_stored && !visit_marks(&gone, false)) return wrong(model, "the contents of a live buffer changed");
    footprint now;
    if (!footprint_look(&now, gone.address, gone.capacity, model->is_fake) || !footprint_equals(&now, &gone.memory))
        return wrong(model, "the memory behind a live buffer was moved");
    note_pending(model, &gone, stream);
    tarn_status status = number / 16384 % 2 == 0 ? tarn_allocator_free(model->stand.allocator, gone.buffer, given)
                                                 : tarn_buffer_free(gone.buffer, given);
    notice_waits(model);
    tell(model, ": %s\n", tarn_status_name(status));
    if (!may_fail(model, status))
        return wrong(model, "a free was answered %s: %s", tarn_status_name(status), tarn_last_error());
    if (tarn_buffer_is_valid(gone.buffer)) return wrong(model, "a freed buffer is valid");
    footprint_remove(&gone.memory, &model->occupied);
    model->live[place] = model->live[--model->live_count];
    model->stale[model->frees++ % STALE] = gone.buffer;
    model->requested -= gone.size;
    model->in_use -= gone.capacity;
    return true;
}

static bool record_stream(memory_model *model) {
    uint64_t number = next(model);
    if (model->live_count == 0) return true;
    live_buffer *item = &model->live[number % model->live_count];
    int stream = (int)(number / 1024 % STREAMS);
    tarn_status status = tarn_buffer_record_stream(item->buffer, stream_of(model, stream));
    tell(model, "record stream %d: %s\n", stream, tarn_status_name(status));
    if (status == TARN_OK) item->others |= 1u << stream;
    return may_fail(model, status) || wrong(model, "record_stream was answered: %s", tarn_last_error());
}

static bool empty_cache(memory_model *model) {
    tarn_status status = tarn_allocator_empty_cache(model->stand.allocator);
    notice_waits(model);
    tell(model, "empty the cache: %s\n", tarn_status_name(status));
    if (!may_fail(model, status)) return wrong(model, "empty_cache was answered: %s", tarn_last_error());
    if (status == TARN_OK && model->live_count == 0 && tarn_allocator_allocated_size(model->stand.allocator) != 0)
        return wrong(model, "an empty cache holds %zu bytes", tarn_allocator_allocated_size(model->stand.allocator));
    return true;
}

static bool misuse(memory_model *model) {
    tarn_buffer *stale = model->stale[next(model) % STALE];
    if (stale == NULL) return true;
    tell(model, "free a stale handle\n");
    if (tarn_buffer_is_valid(stale)) return wrong(model, "a stale handle is valid");
    if (tarn_allocator_free(model->stand.allocator, stale, NULL) != TARN_INVALID_ARGUMENT)
        return wrong(model, "a stale handle was freed");
    return true;
}

static bool find(memory_model *model) {
    if (model->live_count == 0) return true;
    const live_buffer *item = &model->live[next(model) % model->live_count];
    tarn_buffer *found = NULL;
    tell(model, "find\n");
    if (tarn_allocator_find(model->stand.allocator, (const void *)item->address, &found) !=
            TARN_OK || // NOLINT(performance-no-int-to-ptr)
        found != item->buffer)
        return wrong(model, "a live buffer was not found");
    if (tarn_allocator_find(model->stand.allocator, (const void *)(item->address + 1), &found) ==
        TARN_OK) // NOLINT(performance-no-int-to-ptr)
        return wrong(model, "an interior pointer was found");
    return true;
}

static bool compare(memory_model *model, const char *what, uint64_t said, uint64_t wanted) {
    return said == wanted ||
           wrong(model, "%s: %llu, not %llu", what, (unsigned long long)said, (unsigned long long)wanted);
}

static bool compare_stats(memory_model *model) {
    tarn_memory_stats stats = {.struct_size = sizeof stats};
    tell(model, "compare the figures\n");
    if (tarn_allocator_stats(model->stand.allocator, &stats) != TARN_OK) return wrong(model, "no statistics");
    return compare(model, "requested", stats.requested_bytes.current, model->requested) &&
           compare(model, "requested, peak", stats.requested_bytes.peak, model->requested_peak) &&
           compare(model, "requested, total", stats.requested_bytes.total, model->requested_total) &&
           compare(model, "in use", stats.in_use_bytes.current, model->in_use) &&
           compare(model, "in use, peak", stats.in_use_bytes.peak, model->in_use_peak) &&
           compare(model, "in use, total", stats.in_use_bytes.total, model->in_use_total) &&
           compare(model, "blocks", stats.blocks.current, model->live_count) &&
           compare(model, "blocks, peak", stats.blocks.peak, model->blocks_peak) &&
           compare(model, "allocations", stats.allocations, model->allocations) &&
           compare(model, "frees", stats.frees, model->frees) &&
           compare(model, "failed", stats.failed_allocations, model->failed) &&
           compare(model, "cached", stats.cached_bytes.current, stats.reserved_bytes.current - model->in_use);
}

/* For an allocator that plans: what is random is no iteration, but it is planned all the same, and deviates at once. */
static bool end_round(memory_model *model) {
    tarn_status status = tarn_planned_step(model->stand.allocator);
    notice_waits(model);
    tell(model, "end the round: %s\n", tarn_status_name(status));
    bool is_short = status == TARN_OUT_OF_MEMORY || status == TARN_LIMIT_EXCEEDED;
    return may_fail(model, status) || is_short || wrong(model, "a step was answered: %s", tarn_last_error());
}

static bool check(memory_model *model) {
    tell(model, "check\n");
    if (tarn_allocator_check(model->stand.allocator) != TARN_OK) return wrong(model, "check: %s", tarn_last_error());
    return true;
}

static bool reset_peaks(memory_model *model) {
    tell(model, "reset the peaks\n");
    if (tarn_allocator_reset_peaks(model->stand.allocator) != TARN_OK) return wrong(model, "reset_peaks failed");
    model->requested_peak = model->requested;
    model->in_use_peak = model->in_use;
    model->blocks_peak = model->live_count;
    return true;
}

/* A stream begins or ends to stand still. */
static bool hold_or_let_go(memory_model *model) {
    int s = (int)(next(model) % STREAMS);
    if (!model->is_fake) return true;
    tell(model, "%s stream %d\n", model->is_held[s] ? "let go" : "hold", s);
    if (model->is_held[s]) stand_let_go(&model->stand, s);
    else stand_hold(&model->stand, s);
    model->is_held[s] = !model->is_held[s];
    model->epochs[s]++;
    /* Letting go waits for the stream, which is not the allocator's doing. */
    model->forced_waits = fake_forced_waits();
    return true;
}

/* One of the next driver calls will fail; the fault stays possible until the next one is armed. */
static bool arm(memory_model *model) {
    uint64_t number = next(model);
    if (!model->is_fake) return true;
    unsigned calls = FAKE_GIVING_MEMORY | FAKE_TAKING_MEMORY | FAKE_EVENTS;
    model->armed = number % 2 == 0 ? TARN_OUT_OF_MEMORY : TARN_INTERNAL;
    model->verdict->faults++;
    tell(model, "one driver call fails with %s\n", tarn_status_name(model->armed));
    fake_fail(calls, 1 + number / 2 % 20, number / 64 % 4 == 0, model->armed);
    return true;
}

static bool disarm(memory_model *model) {
    if (!model->is_fake || model->armed == TARN_OK) return true;
    fake_fail(0, 0, 0, TARN_OK);
    model->armed = TARN_OK;
    tell(model, "no driver call fails\n");
    return true;
}

static bool operate(memory_model *model) {
    uint64_t number = next(model) % 1000;
    if (number < 450) return allocate(model);
    if (number < 870) return free_one(model);
    if (number < 910) return record_stream(model);
    if (number < 930) return compare_stats(model);
    if (number < 950) return find(model);
    if (number < 970) return misuse(model);
    if (number < 984) return hold_or_let_go(model);
    if (number < 987) return arm(model);
    if (number < 994) return disarm(model);
    if (number < 997) return empty_cache(model);
    if (number < 998) return reset_peaks(model);
    if (number < 999 && strstr(model->plan->spec, "planned") != NULL) return end_round(model);
    return check(model);
}

static void finish(memory_model *model) {
    disarm(model);
    while (model->verdict->is_good && model->live_count > 0) {
        model->state = model->live_count;
        free_one(model);
    }
    if (model->verdict->is_good && compare_stats(model) && check(model)) empty_cache(model);
    /* After a failure as much as can be had is given back, for the next run. */
    for (size_t i = 0; i < model->live_count; i++) tarn_buffer_free(model->live[i].buffer, NULL);
    for (int s = 0; s < STREAMS; s++) stand_let_go(&model->stand, s);
    for (int s = 0; s < STREAMS; s++) tarn_stream_release(model->stand.streams[s]);
    tarn_allocator_release(model->stand.allocator);
    tarn_device_counters counters = {.struct_size = sizeof counters};
    tarn_device_counters_get(model->stand.device, &counters);
    tarn_device_release(model->stand.device);
    const char *first = "";
    if (model->verdict->is_good && counters.memory_in_use != model->stand.memory_before)
        wrong(model, "%llu bytes of the device were not given back", (unsigned long long)counters.memory_in_use);
    if (model->verdict->is_good && fake_violations(&first) != 0)
        wrong(model, "a rule of the driver was broken: %s", first);
    intervals_end(&model->occupied);
    fake_reset();
}

void model_run(const model_plan *plan, model_verdict *out_verdict) {
    static memory_model model;
    memset(&model, 0, sizeof model);
    *out_verdict = (model_verdict){.is_good = true};
    model.plan = plan;
    model.verdict = out_verdict;
    fake_reset();
    stand_open(&model.stand, plan->spec, plan->device);
    model.is_fake = strncmp(plan->device, "fake:", 5) == 0;
    model.is_stored = (model.stand.properties.features & TARN_FEATURE_HOST_ACCESS) != 0;
    for (int s = 0; s < STREAMS; s++) stand_stream(&model.stand, s);
    for (size_t i = 0; i < plan->operations && out_verdict->is_good; i++) {
        if (plan->left_out != NULL && plan->left_out[i]) continue;
        model.state = plan->seed * 0x2545f4914f6cdd1du + i * 0xd1342543de82ef95u;
        out_verdict->operation = i;
        if (plan->is_told) fprintf(stderr, "%zu: ", i);
        operate(&model);
    }
    out_verdict->allocations = model.allocations;
    finish(&model);
}
