/* Replay: drives an allocator through a trace and measures what it needed. */
#ifndef TARN_REPLAY_H
#define TARN_REPLAY_H

#include <tarn/allocator.h>
#include <tarn/trace.h>

TARN_BEGIN_DECLARATIONS

/* Host time of one kind of call, in nanoseconds; on sim the simulated time of its driver calls is added. */
typedef struct tarn_latency {
    double mean;
    uint64_t p50, p99, max;
} tarn_latency;

/* What the memory looked like at one event; for the timeline. */
typedef struct tarn_replay_sample {
    int64_t time_ns;
    uint64_t event; /* index into the trace's events */
    uint64_t live_bytes, reserved_bytes;
    uint64_t address; /* of the buffer that the event allocated or freed; 0 where there is none */
} tarn_replay_sample;

typedef struct tarn_replay_options {
    size_t struct_size;
    unsigned repeat; /* times the trace is run one after the other, its leftovers freed between; 0: once */
    /* (optional) Called after every event with the state then; the allocator may be inspected, not changed. */
    void (*after_event)(void *context, tarn_allocator *allocator, const tarn_replay_sample *sample);
    void *context;
    uint16_t trace_device; /* which of the trace's devices; events of others are skipped */
} tarn_replay_options;

typedef struct tarn_replay_result {
    size_t struct_size;
    uint64_t events, allocations, frees; /* of all repeats, without the initial allocations; failed ones count */
    uint64_t peak_live_bytes;            /* sum of requested sizes, before any rounding */
    uint64_t peak_reserved_bytes;        /* physical memory taken from the device */
    double utilization;                  /* their ratio */
    uint64_t final_reserved_bytes;
    /* From the first event after the initial allocations to the last one, in each repeat. */
    uint64_t driver_allocs, driver_frees, driver_maps, driver_unmaps;
    uint64_t device_waits, device_wait_ns;
    /* The same, in the last repeat alone: what the steady state costs. Equal to the whole with one repeat. */
    uint64_t steady_driver_calls, steady_device_waits;
    uint64_t failed_allocations;
    tarn_latency allocate_ns, free_ns;
    uint64_t steady_peak_reserved_bytes; /* peak_reserved_bytes of the last repeat alone, after each of its events */
} tarn_replay_result;

/* Runs the trace on a fresh stack named `spec` on `device` and frees everything afterwards. A failed allocation is
 * counted, and its free skipped. The allocations alive before the recording are made first, unmeasured, in address order.
 * `pytorch:as-recorded` in `spec` stands for `pytorch` with the settings that a PyTorch snapshot carries; INVALID_ARGUMENT for a trace
 * that carries none.
 *
 * "SPEC+reset-per-step", SPEC being an arena or a pool (else INVALID_ARGUMENT), resets or clears it at the end of each step of the traced
 * program, and makes none of the frees before. A step ends at a mark whose text contains "step"; in a trace without such
 * marks, where the live bytes come back to their lowest level between two hills. An allocation that is alive at the end of its step
 * would be lost: it is not made there but in a `caching` beside, whose memory counts too, and is freed when the trace frees it.
 *
 * A repeat is a round for a planned allocator (tarn/planned.h): its end is marked.
 *
 * On a simulated device the trace's clock drives the device's. Other failures end the replay with their status. */
TARN_API tarn_status tarn_replay_run(const tarn_trace *trace, tarn_device *device, const char *spec,
                                     const tarn_replay_options *options, tarn_replay_result *out_result);

TARN_END_DECLARATIONS

#endif
