/* Replay: the calls of a trace, made again on another allocator.
 *
 * A run is two loops. The outer one repeats the trace; the inner one walks its events and makes, for each, the one call that it
 * stands for, with a clock around that call and nothing else inside. What the memory looked like is read from the device's own
 * counters afterwards, so that every allocator is judged by the same scale: physical bytes taken from the device.
 *
 * Only handles and addresses pass through here. The memory behind them is never touched, so the device may be a
 * simulated one without any. Requests for 0 bytes, which some libraries record, ask for nothing and are passed over. */
#include <stdlib.h>
#include <string.h>

#include <tarn/planned.h>
#include <tarn/replay.h>

#include "base/checked.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/status.h"
#include "hal/device.h"
#include "recorded_spec.h"
#include "trace/replay_steps.h"

/* Durations of one kind of call, in the order they were made; `room` is known before the run. */
typedef struct replay_durations {
    uint64_t *nanoseconds;
    size_t count, room;
} replay_durations;

typedef struct replay_run {
    const tarn_trace *trace;
    const tarn_trace_event *events;
    tarn_trace_info info;
    tarn_replay_options options;
    tarn_device *device;
    tarn_allocator *allocator;
    bool has_steps;  /* the allocator is reset at the end of each */
    bool is_planned; /* the allocator is told that a repeat has ended */
    replay_steps steps;
    size_t next_end;       /* of a step, in this repeat */
    tarn_buffer **buffers; /* by id; NULL while not alive */
    uint32_t *
        other_stream; /* by id: a stream that used it besides its own, plus one; 0: none. NULL where no event says so */
    tarn_stream **streams;   /* by the trace's number; NULL: the default stream, or not created yet */
    uint64_t clock_overhead; /* ns that reading the clock twice takes by itself */
    uint64_t base_in_use;    /* bytes that the device had given to others before the run */
    uint64_t base_peak;      /* the device's peak before the run */
    uint64_t live;
    int64_t time_offset; /* ns: where the current repeat begins on the device's clock */
    replay_durations allocates, frees;
    tarn_replay_result result;
} replay_run;

static bool belongs(const replay_run *run, const tarn_trace_event *event) {
    return event->device == run->options.trace_device;
}

static tarn_status counters_get(const replay_run *run, tarn_device_counters *out_counters) {
    out_counters->struct_size = sizeof *out_counters;
    return tarn_device_counters_get(run->device, out_counters);
}

/* The least time between two readings of the clock: it is taken off each duration, since a cached allocation takes no longer. */
static uint64_t clock_overhead(void) {
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < 64; i++) {
        uint64_t begin = base_clock_ns();
        uint64_t duration = base_clock_ns() - begin;
        if (duration < least) least = duration;
    }
    return least;
}

static void durations_add(replay_run *run, replay_durations *durations, uint64_t host, uint64_t simulated) {
    host = host > run->clock_overhead ? host - run->clock_overhead : 0;
    if (durations->count < durations->room)
        durations->nanoseconds[durations->count++] = saturating_add(host, simulated);
}

static int compare_durations(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* The smallest duration that at least `percent` of all do not exceed. */
static uint64_t percentile(const replay_durations *durations, size_t percent) {
    size_t whole = durations->count / 100 * percent, rest = durations->count % 100 * percent;
    size_t rank = whole + (rest + 99) / 100;
    return durations->nanoseconds[rank > 0 ? rank - 1 : 0];
}

static void durations_summarize(replay_durations *durations, tarn_latency *out_latency) {
    if (durations->count == 0) return;
    qsort(durations->nanoseconds, durations->count, sizeof *durations->nanoseconds, compare_durations);
    double sum = 0;
    for (size_t i = 0; i < durations->count; i++) sum += (double)durations->nanoseconds[i];
    out_latency->mean = sum / (double)durations->count;
    out_latency->p50 = percentile(durations, 50);
    out_latency->p99 = percentile(durations, 99);
    out_latency->max = durations->nanoseconds[durations->count - 1];
}

static tarn_status durations_create(replay_durations *durations, size_t count, unsigned repeat) {
    if (!checked_multiply(count, repeat, &durations->room)) durations->room = SIZE_MAX;
    if (durations->room == 0) return TARN_OK;
    durations->nanoseconds = base_allocate(durations->room, sizeof *durations->nanoseconds);
    if (durations->nanoseconds != NULL) return TARN_OK;
    return base_fail(TARN_OUT_OF_MEMORY, "replay: no host memory for the durations of %zu calls, %u times", count,
                     repeat);
}

/* Other streams' uses are not recorded themselves; that a block was completed on another stream than its own shows one.
 * It has to be known before the free, so it is gathered before the run. */
static tarn_status gather_other_streams(replay_run *run) {
    uint32_t *own = NULL;
    for (size_t i = 0; i < run->info.event_count; i++) {
        const tarn_trace_event *event = &run->events[i];
        if (event->action != TARN_TRACE_FREE_COMPLETED || !belongs(run, event)) continue;
        if (own == NULL) {
            own = base_allocate(run->info.allocation_count, sizeof *own);
            run->other_stream = base_allocate(run->info.allocation_count, sizeof *run->other_stream);
            if (own == NULL || run->other_stream == NULL) {
                base_free(own);
                return base_fail(TARN_OUT_OF_MEMORY, "replay: no host memory for %zu allocations",
                                 run->info.allocation_count);
            }
            for (size_t k = 0; k < run->info.event_count; k++)
                if (run->events[k].action == TARN_TRACE_ALLOCATE) own[run->events[k].id] = run->events[k].stream;
        }
        if (event->stream != own[event->id]) run->other_stream[event->id] = event->stream + 1;
    }
    base_free(own);
    return TARN_OK;
}

static tarn_status stream_for(replay_run *run, uint32_t number, tarn_stream **out_stream) {
    if (number != 0 && run->streams[number] == NULL) {
        tarn_status status = tarn_stream_create(run->device, &run->streams[number]);
        if (status != TARN_OK) return status;
    }
    *out_stream = number != 0 ? run->streams[number] : NULL;
    return TARN_OK;
}

static tarn_status check_event(const replay_run *run, size_t index) {
    const tarn_trace_event *event = &run->events[index];
    bool has_id = event->action == TARN_TRACE_ALLOCATE || event->action == TARN_TRACE_FREE;
    if (has_id && event->id >= run->info.allocation_count)
        return base_fail(TARN_CORRUPT_DATA, "%s: event %zu names allocation %llu of %zu", run->info.path, index,
                         (unsigned long long)event->id, run->info.allocation_count);
    if (event->stream >= run->info.stream_count && event->stream != 0)
        return base_fail(TARN_CORRUPT_DATA, "%s: event %zu names stream %u of %u", run->info.path, index, event->stream,
                         run->info.stream_count);
    if (event->action == TARN_TRACE_ALLOCATE && run->buffers[event->id] != NULL)
        return base_fail(TARN_CORRUPT_DATA, "%s: event %zu allocates %llu, which is alive", run->info.path, index,
                         (unsigned long long)event->id);
    return TARN_OK;
}

/* Whether the allocation is alive at the end of its step, and steps matter. */
static bool outlives(const replay_run *run, uint64_t id) { return run->has_steps && run->steps.outlives[id]; }

static tarn_status do_allocate(replay_run *run, const tarn_trace_event *event, bool is_measured) {
    if (is_measured) run->result.allocations++;
    if (event->size == 0) return TARN_OK;
    tarn_allocate_options options = {.struct_size = sizeof options};
    tarn_status status = stream_for(run, event->stream, &options.stream);
    if (status != TARN_OK) return status;
    if (event->alignment_log2 != 0) options.alignment = (size_t)1 << event->alignment_log2;
    if (event->tag != TARN_TRACE_NO_STRING) options.tag = tarn_trace_string(run->trace, event->tag);

    tarn_allocator *allocator = outlives(run, event->id) ? run->steps.beside : run->allocator;
    tarn_buffer *buffer = NULL;
    uint64_t cost = hal_device_clock_cost(run->device);
    uint64_t begin = base_clock_ns();
    status = tarn_allocator_allocate_with(allocator, event->size, &options, &buffer);
    uint64_t host = base_clock_ns() - begin;
    if (is_measured) durations_add(run, &run->allocates, host, hal_device_clock_cost(run->device) - cost);

    if (status == TARN_OUT_OF_MEMORY || status == TARN_LIMIT_EXCEEDED) {
        run->result.failed_allocations++;
        return TARN_OK;
    }
    if (status != TARN_OK) return status;
    run->buffers[event->id] = buffer;
    run->live = saturating_add(run->live, event->size);
    if (run->live > run->result.peak_live_bytes) run->result.peak_live_bytes = run->live;
    return TARN_OK;
}

/* Tells a device with a clock that the stream has had work up to now, as what is freed on it was used until then. NULL: the default stream. */
static tarn_status note_work(replay_run *run, tarn_stream *stream) {
    return hal_device_clock_enqueue(run->device, stream != NULL ? stream : tarn_device_default_stream(run->device));
}

static tarn_status do_free(replay_run *run, const tarn_trace_event *event) {
    run->result.frees++;
    tarn_buffer *buffer = run->buffers[event->id];
    if (buffer == NULL) return TARN_OK;
    tarn_stream *stream = NULL, *other = NULL;
    tarn_status status = stream_for(run, event->stream, &stream);
    /* No stream would stand for the one that the block was allocated for. */
    if (stream == NULL && run->info.stream_count > 1) stream = tarn_device_default_stream(run->device);
    if (status == TARN_OK) status = note_work(run, stream);
    if (status == TARN_OK && run->other_stream != NULL && run->other_stream[event->id] != 0) {
        status = stream_for(run, run->other_stream[event->id] - 1, &other);
        if (other == NULL) other = tarn_device_default_stream(run->device);
        if (status == TARN_OK) status = note_work(run, other);
        if (status == TARN_OK) status = tarn_buffer_record_stream(buffer, other);
    }
    if (status != TARN_OK) return status;

    size_t size = tarn_buffer_size(buffer);
    if (run->has_steps && !outlives(run, event->id)) {
        /* The end of the step takes it back. */
        status = tarn_buffer_record_stream(buffer, stream);
    } else {
        tarn_allocator *allocator = run->has_steps ? run->steps.beside : run->allocator;
        uint64_t cost = hal_device_clock_cost(run->device);
        uint64_t begin = base_clock_ns();
        status = tarn_allocator_free(allocator, buffer, stream);
        uint64_t host = base_clock_ns() - begin;
        if (status == TARN_OK) durations_add(run, &run->frees, host, hal_device_clock_cost(run->device) - cost);
    }
    if (status != TARN_OK) return status;
    run->buffers[event->id] = NULL;
    run->live -= size;
    return TARN_OK;
}

/* A repeat is a round of a planned allocator. Where there is no memory for a plan, the next repeat shows what that costs. */
static tarn_status end_round(replay_run *run) {
    if (!run->is_planned) return TARN_OK;
    tarn_status status = tarn_planned_step(run->allocator);
    return status == TARN_OUT_OF_MEMORY || status == TARN_LIMIT_EXCEEDED ? TARN_OK : status;
}

/* Makes the call that an event stands for, and shows the caller the state after it. */
static tarn_status do_event(replay_run *run, size_t index) {
    const tarn_trace_event *event = &run->events[index];
    bool is_measured = index >= run->info.initial_count;
    tarn_status status = check_event(run, index);
    int64_t now = run->time_offset + event->time_ns;
    if (status == TARN_OK && hal_device_has_clock(run->device))
        status = hal_device_clock_set(run->device, (uint64_t)now);
    if (status != TARN_OK) return status;

    tarn_replay_sample sample = {.time_ns = now, .event = index};
    if (is_measured) run->result.events++;
    if (event->action == TARN_TRACE_FREE) {
        sample.address = (uint64_t)(uintptr_t)tarn_buffer_data(run->buffers[event->id]);
        status = do_free(run, event);
    } else if (event->action == TARN_TRACE_ALLOCATE) {
        status = do_allocate(run, event, is_measured);
        sample.address = (uint64_t)(uintptr_t)tarn_buffer_data(run->buffers[event->id]);
    }
    tarn_device_counters counters;
    if (status == TARN_OK) status = counters_get(run, &counters);
    if (status != TARN_OK) return status;

    uint64_t reserved = counters.memory_in_use > run->base_in_use ? counters.memory_in_use - run->base_in_use : 0;
    if (reserved > run->result.peak_reserved_bytes) run->result.peak_reserved_bytes = reserved;
    if (reserved > run->result.steady_peak_reserved_bytes) run->result.steady_peak_reserved_bytes = reserved;
    run->result.final_reserved_bytes = reserved;
    sample.live_bytes = run->live;
    sample.reserved_bytes = reserved;
    if (run->options.after_event != NULL) run->options.after_event(run->options.context, run->allocator, &sample);
    return TARN_OK;
}

/* What the step that ends with that event leaves behind goes. */
static tarn_status end_step(replay_run *run, size_t index) {
    const replay_steps *steps = &run->steps;
    if (!run->has_steps || run->next_end == steps->count || steps->ends[run->next_end] != index) return TARN_OK;
    run->next_end++;
    return replay_steps_reset(run->allocator);
}

/* Events from `begin` to before `end`, those of other devices left out. */
static tarn_status do_events(replay_run *run, size_t begin, size_t end) {
    tarn_status status = TARN_OK;
    for (size_t i = begin; i < end && status == TARN_OK; i++) {
        if (!belongs(run, &run->events[i])) continue;
        status = do_event(run, i);
        if (status == TARN_OK) status = end_step(run, i);
    }
    return status;
}

/* Frees what is still alive; goes on after a failure and returns the first one. */
static tarn_status free_leftovers(replay_run *run) {
    tarn_status first = note_work(run, NULL);
    for (uint32_t i = 0; i < run->info.stream_count; i++) {
        tarn_status status = run->streams[i] != NULL ? note_work(run, run->streams[i]) : TARN_OK;
        if (first == TARN_OK) first = status;
    }
    for (size_t id = 0; id < run->info.allocation_count; id++) {
        if (run->buffers[id] == NULL) continue;
        tarn_status status = tarn_buffer_free(run->buffers[id], NULL);
        if (first == TARN_OK) first = status;
        run->buffers[id] = NULL;
    }
    if (run->has_steps) {
        tarn_status status = replay_steps_reset(run->allocator);
        if (first == TARN_OK) first = status;
    }
    run->next_end = 0;
    run->live = 0;
    return first;
}

static void add_counters(tarn_replay_result *result, const tarn_device_counters *before,
                         const tarn_device_counters *after) {
    uint64_t allocs = after->driver_allocs - before->driver_allocs, frees = after->driver_frees - before->driver_frees;
    uint64_t maps = after->driver_maps - before->driver_maps, unmaps = after->driver_unmaps - before->driver_unmaps;
    result->driver_allocs += allocs;
    result->driver_frees += frees;
    result->driver_maps += maps;
    result->driver_unmaps += unmaps;
    result->device_waits += after->device_waits - before->device_waits;
    result->device_wait_ns += after->device_wait_ns - before->device_wait_ns;
    result->steady_driver_calls = allocs + frees + maps + unmaps;
    result->steady_device_waits = after->device_waits - before->device_waits;
}

static tarn_status do_repeat(replay_run *run) {
    tarn_device_counters before, after;
    tarn_status status = do_events(run, 0, run->info.initial_count);
    if (status == TARN_OK) status = counters_get(run, &before);
    if (status == TARN_OK) status = do_events(run, run->info.initial_count, run->info.event_count);
    if (status == TARN_OK) status = counters_get(run, &after);
    if (status == TARN_OK) add_counters(&run->result, &before, &after);
    return status;
}

static tarn_status do_run(replay_run *run) {
    int64_t span = run->info.event_count > 0 ? run->events[run->info.event_count - 1].time_ns : 0;
    for (unsigned k = 0; k < run->options.repeat; k++) {
        run->result.steady_peak_reserved_bytes = 0;
        tarn_status status = do_repeat(run);
        tarn_status freed = free_leftovers(run);
        if (status == TARN_OK) status = freed;
        if (status == TARN_OK) status = end_round(run);
        if (status != TARN_OK) return status;
        if (__builtin_add_overflow(run->time_offset, span, &run->time_offset) || run->time_offset > INT64_MAX - span)
            return base_fail(TARN_INVALID_ARGUMENT, "replay: %u repeats of %lld ns do not fit the clock",
                             run->options.repeat, (long long)span);
    }
    return TARN_OK;
}

static tarn_status create_allocator(replay_run *run, const char *spec) {
    size_t length;
    char *resolved = NULL, *stack = NULL;
    tarn_status status = TARN_OK;
    run->has_steps = replay_steps_asked(spec, &length);
    if (spec != NULL) {
        stack = base_duplicate(spec);
        if (stack == NULL) return base_fail(TARN_OUT_OF_MEMORY, "replay: no host memory for the name of an allocator");
        if (run->has_steps) stack[length] = '\0';
        status = trace_resolve_spec(run->trace, stack, &resolved);
    }
    if (status == TARN_OK) status = tarn_allocator_create(run->device, resolved, &run->allocator);
    base_free(resolved);
    base_free(stack);
    if (status == TARN_OK) {
        tarn_planned_stats stats = {.struct_size = sizeof stats};
        run->is_planned = tarn_planned_stats_get(run->allocator, &stats) == TARN_OK;
        /* From the beginning on, so that it does not look for a period inside the repeat. */
        status = end_round(run);
    }
    if (status != TARN_OK || !run->has_steps) return status;
    status = replay_steps_reset(run->allocator);
    if (status != TARN_OK) return status;
    return replay_steps_begin(&run->steps, run->trace, run->options.trace_device, run->device);
}

static tarn_status prepare(replay_run *run, const char *spec) {
    const tarn_trace_info *info = &run->info;
    size_t allocations = 0, frees = 0;
    for (size_t i = info->initial_count; i < info->event_count; i++) {
        if (!belongs(run, &run->events[i])) continue;
        allocations += run->events[i].action == TARN_TRACE_ALLOCATE;
        frees += run->events[i].action == TARN_TRACE_FREE;
    }
    run->buffers = base_allocate(info->allocation_count > 0 ? info->allocation_count : 1, sizeof *run->buffers);
    run->streams = base_allocate(info->stream_count > 0 ? info->stream_count : 1, sizeof *run->streams);
    if (run->buffers == NULL || run->streams == NULL)
        return base_fail(TARN_OUT_OF_MEMORY, "replay: no host memory for %zu allocations", info->allocation_count);
    tarn_status status = durations_create(&run->allocates, allocations, run->options.repeat);
    if (status == TARN_OK) status = durations_create(&run->frees, frees, run->options.repeat);
    if (status == TARN_OK) status = gather_other_streams(run);
    tarn_device_counters counters;
    if (status == TARN_OK) status = counters_get(run, &counters);
    if (status != TARN_OK) return status;
    run->base_in_use = counters.memory_in_use;
    run->base_peak = counters.memory_peak;
    run->clock_overhead = clock_overhead();
    return create_allocator(run, spec);
}

/* The device's own peak also sees what was held only inside one call; it counts where this run is what raised it. */
static tarn_status finish_result(replay_run *run) {
    tarn_device_counters counters;
    tarn_status status = counters_get(run, &counters);
    if (status != TARN_OK) return status;
    tarn_replay_result *result = &run->result;
    if (counters.memory_peak > run->base_peak && counters.memory_peak - run->base_in_use > result->peak_reserved_bytes)
        result->peak_reserved_bytes = counters.memory_peak - run->base_in_use;
    if (result->peak_reserved_bytes > 0)
        result->utilization = (double)result->peak_live_bytes / (double)result->peak_reserved_bytes;
    durations_summarize(&run->allocates, &result->allocate_ns);
    durations_summarize(&run->frees, &result->free_ns);
    return TARN_OK;
}

/* Gives everything back; the first failure of those that the caller has not seen yet. */
static tarn_status tear_down(replay_run *run) {
    tarn_status first = TARN_OK;
    if (run->allocator != NULL) first = tarn_allocator_release(run->allocator);
    tarn_status ended = replay_steps_end(&run->steps);
    if (first == TARN_OK) first = ended;
    for (uint32_t i = 0; run->streams != NULL && i < run->info.stream_count; i++) {
        tarn_status status = tarn_stream_release(run->streams[i]);
        if (first == TARN_OK) first = status;
    }
    base_free(run->frees.nanoseconds);
    base_free(run->allocates.nanoseconds);
    base_free(run->other_stream);
    base_free(run->streams);
    base_free(run->buffers);
    return first;
}

tarn_status tarn_replay_run(const tarn_trace *trace, tarn_device *device, const char *spec,
                            const tarn_replay_options *options, tarn_replay_result *out_result) {
    if (trace == NULL || device == NULL || out_result == NULL)
        return base_fail(TARN_INVALID_ARGUMENT, "replay: trace, device or result is NULL");
    if (options != NULL &&
        (options->struct_size < sizeof options->struct_size || options->struct_size > sizeof *options))
        return base_fail(TARN_INVALID_ARGUMENT, "replay: options of %zu bytes, %zu are known", options->struct_size,
                         sizeof *options);
    if (out_result->struct_size < sizeof out_result->struct_size)
        return base_fail(TARN_INVALID_ARGUMENT, "replay: the result's struct_size is %zu", out_result->struct_size);

    replay_run run = {.trace = trace, .device = device, .info.struct_size = sizeof run.info};
    if (options != NULL) memcpy(&run.options, options, options->struct_size);
    if (run.options.repeat == 0) run.options.repeat = 1;
    tarn_status status = tarn_trace_info_get(trace, &run.info);
    if (status != TARN_OK) return status;
    run.events = tarn_trace_events(trace);

    status = prepare(&run, spec);
    if (status == TARN_OK) status = do_run(&run);
    if (status == TARN_OK) status = finish_result(&run);
    if (status != TARN_OK) {
        tear_down(&run);
        return status;
    }
    status = tear_down(&run);
    if (status != TARN_OK) return status;
    size_t size = out_result->struct_size < sizeof run.result ? out_result->struct_size : sizeof run.result;
    run.result.struct_size = out_result->struct_size;
    memcpy(out_result, &run.result, size);
    return TARN_OK;
}
