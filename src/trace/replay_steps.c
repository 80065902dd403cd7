/* Finding the steps of a traced program; see replay_steps.h. */
#include "trace/replay_steps.h"

#include <string.h>
#include <strings.h>

#include <tarn/arena.h>
#include <tarn/pool.h>

#include "base/memory.h"
#include "base/status.h"

static const char suffix[] = "+reset-per-step";

bool replay_steps_asked(const char *spec, size_t *out_length) {
    size_t length = spec != NULL ? strlen(spec) : 0, last = sizeof suffix - 1;
    if (length < last || strcmp(spec + length - last, suffix) != 0) return false;
    *out_length = length - last;
    return true;
}

static tarn_status refuse_host_memory(void) {
    return base_fail(TARN_OUT_OF_MEMORY, "replay: no host memory for the steps of a trace");
}

static tarn_status add_end(replay_steps *steps, size_t event) {
    if (steps->count == steps->room) {
        size_t room = steps->room != 0 ? 2 * steps->room : 16;
        size_t *grown = base_reallocate(steps->ends, room, sizeof *grown);
        if (grown == NULL) return refuse_host_memory();
        steps->ends = grown;
        steps->room = room;
    }
    steps->ends[steps->count++] = event;
    return TARN_OK;
}

static bool is_step_mark(const tarn_trace *trace, const tarn_trace_event *event) {
    if (event->action != TARN_TRACE_MARK) return false;
    for (const char *text = tarn_trace_string(trace, event->tag); *text != '\0'; text++)
        if (strncasecmp(text, "step", 4) == 0) return true;
    return false;
}

/* Live bytes as events pass. A size is known from the allocation, and kept by id. */
typedef struct level {
    uint64_t *sizes; /* by id; 0 while not alive */
    uint64_t live;
} level;

static void pass(level *at, const tarn_trace_event *event) {
    if (event->action == TARN_TRACE_ALLOCATE) {
        at->sizes[event->id] = event->size;
        at->live += event->size;
    } else if (event->action == TARN_TRACE_FREE) {
        at->live -= at->sizes[event->id];
        at->sizes[event->id] = 0;
    }
}

typedef struct curve {
    const tarn_trace_event *events;
    size_t count;
    uint16_t device;
    uint64_t peak, lowest; /* the lowest between the first and the last moment above half of the peak */
} curve;

static void start_level(level *at, size_t ids) {
    memset(at->sizes, 0, ids * sizeof *at->sizes);
    at->live = 0;
}

static void measure(curve *of, level *at, size_t ids) {
    start_level(at, ids);
    for (size_t i = 0; i < of->count; i++) {
        if (of->events[i].device != of->device) continue;
        pass(at, &of->events[i]);
        if (at->live > of->peak) of->peak = at->live;
    }
    start_level(at, ids);
    uint64_t valley = of->lowest = of->peak;
    bool was_high = false;
    for (size_t i = 0; i < of->count; i++) {
        if (of->events[i].device != of->device) continue;
        pass(at, &of->events[i]);
        if (at->live > of->peak / 2) {
            /* A valley counts once there is a hill behind it. */
            if (was_high && valley < of->lowest) of->lowest = valley;
            was_high = true;
            valley = of->peak;
        } else if (at->live < valley) {
            valley = at->live;
        }
    }
}

static tarn_status find_valleys(replay_steps *steps, curve *of, level *at, size_t ids) {
    measure(of, at, ids);
    uint64_t range = of->peak - of->lowest;
    uint64_t high = of->lowest + range / 2, low = of->lowest + range / 10, least = UINT64_MAX;
    size_t bottom = 0;
    bool was_high = false;
    start_level(at, ids);
    for (size_t i = 0; i < of->count && range > 0; i++) {
        if (of->events[i].device != of->device) continue;
        pass(at, &of->events[i]);
        if (at->live > high) {
            tarn_status status = was_high && least != UINT64_MAX ? add_end(steps, bottom) : TARN_OK;
            if (status != TARN_OK) return status;
            was_high = true;
            least = UINT64_MAX;
        } else if (was_high && at->live <= low && at->live <= least) {
            least = at->live;
            bottom = i;
        }
    }
    return TARN_OK;
}

static void find_survivors(replay_steps *steps, const curve *of, level *at, size_t ids) {
    /* Here the sizes stand for the step of the allocation, plus one. */
    start_level(at, ids);
    size_t step = 0;
    for (size_t i = 0; i < of->count; i++) {
        const tarn_trace_event *event = &of->events[i];
        if (event->device != of->device) continue;
        while (step < steps->count && steps->ends[step] < i) step++;
        if (event->action == TARN_TRACE_ALLOCATE) at->sizes[event->id] = step + 1;
        if (event->action != TARN_TRACE_FREE) continue;
        steps->outlives[event->id] = at->sizes[event->id] != step + 1;
        at->sizes[event->id] = 0;
    }
    for (size_t id = 0; id < ids; id++)
        if (at->sizes[id] != 0 && at->sizes[id] <= steps->count) steps->outlives[id] = true;
}

tarn_status replay_steps_begin(replay_steps *steps, const tarn_trace *trace, uint16_t trace_device,
                               tarn_device *device) {
    tarn_trace_info info = {.struct_size = sizeof info};
    tarn_status status = tarn_trace_info_get(trace, &info);
    if (status != TARN_OK) return status;
    size_t ids = info.allocation_count > 0 ? info.allocation_count : 1;
    level at = {.sizes = base_allocate(ids, sizeof *at.sizes)};
    steps->outlives = base_allocate(ids, sizeof *steps->outlives);
    if (at.sizes == NULL || steps->outlives == NULL) status = refuse_host_memory();
    curve of = {.events = tarn_trace_events(trace), .count = info.event_count, .device = trace_device};
    for (size_t i = 0; i < of.count && status == TARN_OK; i++) {
        if (of.events[i].device == trace_device && is_step_mark(trace, &of.events[i])) status = add_end(steps, i);
    }
    if (status == TARN_OK && steps->count == 0) status = find_valleys(steps, &of, &at, ids);
    if (status == TARN_OK) find_survivors(steps, &of, &at, ids);
    base_free(at.sizes);
    if (status == TARN_OK) status = tarn_allocator_create(device, "caching", &steps->beside);
    return status;
}

tarn_status replay_steps_end(replay_steps *steps) {
    tarn_status status = tarn_allocator_release(steps->beside);
    base_free(steps->outlives);
    base_free(steps->ends);
    return status;
}

tarn_status replay_steps_reset(tarn_allocator *allocator) {
    tarn_status status = tarn_arena_reset(allocator);
    if (status == TARN_NOT_SUPPORTED) status = tarn_pool_clear(allocator);
    if (status != TARN_NOT_SUPPORTED) return status;
    return base_fail(TARN_INVALID_ARGUMENT, "replay: \"%s\" is neither an arena nor a pool, which is what %s needs",
                     tarn_allocator_spec(allocator), suffix + 1);
}
