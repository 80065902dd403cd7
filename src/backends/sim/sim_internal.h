/* The structures of the simulated device.
 *
 * One lock per device protects everything but the clock. Addresses come from one window of the address space; what is free in it
 * and what is handed out are two maps of ranges, and the node of a block serves as the node of the free range that it
 * becomes, so that giving back never needs memory. */
#ifndef SIM_INTERNAL_H
#define SIM_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <tarn/backend.h>

#include "base/granules.h"
#include "base/range_map.h"

/* The calls that are counted, that faults can be scheduled for and that may take simulated time. */
typedef enum sim_call {
    SIM_DEVICE_SYNCHRONIZE = 0,
    SIM_MEMORY_ALLOCATE,
    SIM_MEMORY_FREE,
    SIM_VIRTUAL_RESERVE,
    SIM_VIRTUAL_RELEASE,
    SIM_GRANULES_CREATE,
    SIM_GRANULES_RELEASE,
    SIM_VIRTUAL_MAP,
    SIM_VIRTUAL_UNMAP,
    SIM_STREAM_CREATE,
    SIM_STREAM_SYNCHRONIZE,
    SIM_STREAM_HOST_FUNCTION,
    SIM_STREAM_COPY,
    SIM_STREAM_COPY_BOX,
    SIM_STREAM_FILL,
    SIM_STREAM_WAIT,
    SIM_EVENT_CREATE,
    SIM_EVENT_RECORD,
    SIM_EVENT_QUERY,
    SIM_EVENT_SYNCHRONIZE,
    SIM_EVENT_ELAPSED,
    SIM_POOL_CREATE,
    SIM_POOL_ALLOCATE,
    SIM_POOL_FREE,
    SIM_POOL_TRIM,
    SIM_CALL_COUNT
} sim_call;

#define SIM_ANY_CALL SIM_CALL_COUNT

extern const char *const sim_call_names[SIM_CALL_COUNT];

typedef enum sim_misbehaviour {
    SIM_HONEST = 0,
    SIM_GIVES_NULL,
    SIM_GIVES_MISALIGNED,
    SIM_GIVES_OVERLAP
} sim_misbehaviour;

/* What the arguments say. */
typedef struct sim_options {
    uint64_t capacity;                /* bytes */
    uint64_t granule;                 /* bytes; 0: no virtual memory */
    uint64_t alignment;               /* bytes */
    uint64_t lag;                     /* nanoseconds by which work ends after it was enqueued */
    uint64_t latency[SIM_CALL_COUNT]; /* nanoseconds: of each call, or of each granule in it */
    bool aliasing;
    uint64_t fail_at, fail_every, fail_count; /* 0: not given */
    sim_call fail_for;
    tarn_status fail_status;
    bool has_seed;
    uint64_t seed;
    uint64_t shrink_after; /* calls; 0: never */
    uint64_t shrink_to;    /* bytes */
    sim_misbehaviour misbehaviour;
} sim_options;

/* A block of addresses: handed out, or free (then only `range` counts). */
typedef struct sim_block {
    base_range range; /* the first member: a range is cast back to its block */
    int kind;         /* tarn_memory_kind, SIM_RESERVATION or SIM_POOLED */
    uintptr_t base;   /* where its addresses begin: below range.start for a block that was misaligned on purpose */
    size_t extent;    /* bytes of addresses from base on */
    size_t size;      /* bytes as asked */
    uint32_t *slots;  /* of a reservation: for each granule of it the number mapped there, 0 for none */

    /* Of a pool's that was freed: the stream, NULL once that has ended, and the simulated time when it comes to the free. */
    const tarn_backend_stream *freed_on;
    uint64_t free_at;
    struct sim_block *next_freed;
} sim_block;

#define SIM_RESERVATION TARN_MEMORY_KIND_COUNT
#define SIM_POOLED (TARN_MEMORY_KIND_COUNT + 1)

struct tarn_backend_stream {
    uint64_t ready_at;   /* simulated time before which later work does not begin */
    uint64_t busy_until; /* simulated time at which the work enqueued so far ends */
};

struct tarn_backend_event {
    bool is_recorded;
    uint64_t complete_at; /* simulated time */
};

struct tarn_backend_device {
    sim_options options; /* fixed */

    /* Simulated time is clock + cost: what the trace says, and how much the driver has delayed the program. Relaxed:
     * they are figures, and order nothing. */
    atomic_uint_fast64_t clock, cost;

    pthread_mutex_t lock;            /* protects all that follows */
    uint64_t capacity, used;         /* bytes */
    uint64_t calls;                  /* counted calls of all kinds */
    uint64_t chosen_calls, failures; /* of the kind that may fail; how many did */
    uint64_t random;                 /* state of the generator that `seed` starts */
    uint64_t last_active;            /* simulated time at which the trace's clock was last set */
    uint64_t busy_until;             /* the latest of all streams */
    bool knows_work;                 /* the trace says which streams it gives work */

    base_range *free_ranges;
    base_range *blocks;
    base_granules granules;
    tarn_backend_pool *pools;

    struct tarn_backend_stream default_stream;
};

extern const tarn_backend_host *sim_host;
/* Keeps the sentence of a failure and returns its status, which static analysis is told, since it does not see that. */
#ifdef __clang_analyzer__
#define sim_fail(status, ...) ((void)sim_host->fail(status, __VA_ARGS__), (status))
#else
#define sim_fail sim_host->fail
#endif

/* sim_options.c. INVALID_ARGUMENT gives the column. */
tarn_status sim_options_parse(const char *arguments, sim_options *out_options);

/* sim_schedule.c: counts a call of `units` granules or of one, charges its time, and says whether it is to fail. Must be called
 * with the lock held. */
tarn_status sim_begin_call(tarn_backend_device *device, sim_call call, size_t units);
uint64_t sim_now(const tarn_backend_device *device);
/* Enqueues work that has no effect but on time; returns when it ends. Must be called with the lock held. */
uint64_t sim_enqueue(tarn_backend_device *device, tarn_backend_stream *stream);
/* When the work enqueued so far ends. While a trace drives the clock and does not say which streams it gives work, each has some. Must be
 * called with the lock held. */
uint64_t sim_end_of_work(tarn_backend_device *device, tarn_backend_stream *stream);
/* Lets simulated time pass until `when`. */
void sim_wait_until(tarn_backend_device *device, uint64_t when);

/* sim_addresses.c. All must be called with the lock held. */
tarn_status sim_addresses_start(tarn_backend_device *device);
void sim_addresses_end(tarn_backend_device *device);
/* A block of addresses, entered in `blocks`. `alignment` is at least the device's. OUT_OF_MEMORY. */
tarn_status sim_block_create(tarn_backend_device *device, int kind, size_t size, size_t alignment,
                             sim_block **out_block);
void sim_block_release(tarn_backend_device *device, sim_block *block);
/* INVALID_ARGUMENT unless a block of that kind and size starts there. */
tarn_status sim_block_find(tarn_backend_device *device, int kind, const void *address, size_t size,
                           sim_block **out_block);
/* INVALID_ARGUMENT when part of the range is in the device's window and not in memory that is there. */
tarn_status sim_check_access(tarn_backend_device *device, const void *address, size_t size);

/* sim_memory.c, sim_virtual.c */
tarn_status sim_memory_allocate(tarn_backend_device *device, tarn_memory_kind kind, size_t size, size_t alignment,
                                void **out_address);
tarn_status sim_memory_free(tarn_backend_device *device, tarn_memory_kind kind, void *address, size_t size);
/* OUT_OF_MEMORY when `bytes` more are not there. Must be called with the lock held. */
tarn_status sim_charge(tarn_backend_device *device, size_t bytes);
tarn_status sim_virtual_reserve(tarn_backend_device *device, size_t size, void **out_address);
tarn_status sim_virtual_release(tarn_backend_device *device, void *address, size_t size);
tarn_status sim_granules_create(tarn_backend_device *device, size_t count, tarn_backend_granule *out_granules);
tarn_status sim_granules_release(tarn_backend_device *device, size_t count, const tarn_backend_granule *granules);
tarn_status sim_virtual_map(tarn_backend_device *device, void *address, size_t count,
                            const tarn_backend_granule *granules);
tarn_status sim_virtual_unmap(tarn_backend_device *device, void *address, size_t count);

/* sim_pool.c. Both must be called with the lock held. */
/* The host has waited for the device: pools give back what they keep beyond their thresholds. */
void sim_pools_synchronize(tarn_backend_device *device);
void sim_pools_forget_stream(tarn_backend_device *device, const tarn_backend_stream *stream);
extern const tarn_backend_stream_ordered sim_stream_ordered;

/* sim_stream.c, sim_event.c */
tarn_backend_stream *sim_stream_default(tarn_backend_device *device);
tarn_status sim_device_synchronize(tarn_backend_device *device);
tarn_status sim_stream_create(tarn_backend_device *device, tarn_backend_stream **out_stream);
void sim_stream_destroy(tarn_backend_device *device, tarn_backend_stream *stream);
tarn_status sim_stream_synchronize(tarn_backend_device *device, tarn_backend_stream *stream);
tarn_status sim_stream_host_function(tarn_backend_device *device, tarn_backend_stream *stream,
                                     tarn_host_function function, void *context);
tarn_status sim_stream_copy(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                            const void *source, size_t size);
tarn_status sim_stream_fill(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                            const void *pattern, size_t pattern_size, size_t size);
tarn_status sim_clock_enqueue(tarn_backend_device *device, tarn_backend_stream *stream);
tarn_status sim_stream_copy_box(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                                const void *source, const tarn_box *box);
tarn_status sim_stream_wait(tarn_backend_device *device, tarn_backend_stream *stream, tarn_backend_event *event);
tarn_status sim_event_create(tarn_backend_device *device, tarn_backend_event **out_event);
void sim_event_destroy(tarn_backend_device *device, tarn_backend_event *event);
tarn_status sim_event_record(tarn_backend_device *device, tarn_backend_event *event, tarn_backend_stream *stream);
tarn_status sim_event_query(tarn_backend_device *device, tarn_backend_event *event, int *out_complete);
tarn_status sim_event_synchronize(tarn_backend_device *device, tarn_backend_event *event);
tarn_status sim_event_elapsed(tarn_backend_device *device, tarn_backend_event *begin, tarn_backend_event *end,
                              int64_t *out_nanoseconds);

#endif
