/* The structures of the CUDA backend.
 *
 * A device is the primary context of one GPU, which it shares with the CUDA runtime and with whatever else the process runs there. Each
 * function that calls the driver is in the context's scope meanwhile (cuda_enter … cuda_leave) and leaves the caller's thread as it
 * found it. The driver keeps everything else that is to be kept: granules and addresses are its own numbers. */
#ifndef CUDA_INTERNAL_H
#define CUDA_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <tarn/backend.h>

#include "backends/cuda/driver_api.h"
#include "base/range_map.h"

/* All functions of the driver that Tarn calls; filled by cuda_driver_load and constant from then on. */
typedef struct cuda_driver_functions {
/* A list of parameters stands in parentheses already, and a declaration's name must not. */
/* NOLINTNEXTLINE(bugprone-macro-parentheses) */
#define CUDA_SYMBOL(name, parameters) driver_result(*name) parameters;
#include "backends/cuda/driver_symbols.h"
#undef CUDA_SYMBOL
} cuda_driver_functions;

/* Bytes: what the driver's own allocations are aligned to at least. */
#define CUDA_ALIGNMENT 256

extern cuda_driver_functions cuda_driver;
extern int cuda_driver_version; /* of the interface that the driver offers, 12040; constant once it is loaded */
extern const tarn_backend_host *cuda_host;

/* Keeps the sentence of a failure and returns its status, which static analysis is told, since it does not see that. */
#ifdef __clang_analyzer__
#define cuda_fail(status, ...) ((void)cuda_host->fail(status, __VA_ARGS__), (status))
#else
#define cuda_fail cuda_host->fail
#endif

/* cuda_driver.c: opens the driver's library and finds all symbols. UNAVAILABLE with the reason; then nothing stays open. */
tarn_status cuda_driver_load(void);
/* Starts the driver, and sees that there is a device. UNAVAILABLE. */
tarn_status cuda_driver_begin(void);

/* cuda_error.c: turns what the driver answers into a status and a sentence, "cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY (2), out of memory". */
tarn_status cuda_answer_failure(driver_result result, const char *call);
static inline tarn_status cuda_answer(driver_result result, const char *call) {
    return result == DRIVER_SUCCESS ? TARN_OK : cuda_answer_failure(result, call);
}
/* The status that stands for a result. */
tarn_status cuda_status_of(driver_result result);
/* For what gives back and cannot fail: warns, unless the device is lost, in which case everything fails, or the driver has ended. */
void cuda_report_leak(driver_result result, const char *call);

/* CUDA_CALL(cuMemFree, address) calls the driver and turns its answer into a status. */
#define CUDA_CALL(name, ...) cuda_answer(cuda_driver.name(__VA_ARGS__), #name)
/* The same where nobody can be told. */
#define CUDA_DISCARD(name, ...) cuda_report_leak(cuda_driver.name(__VA_ARGS__), #name)

struct tarn_backend_stream {
    driver_stream handle;
    tarn_backend_device *device;
    bool is_adopted;                  /* another library's: never destroyed */
    struct cuda_workspace *workspace; /* the operations'; NULL until they need it. Protected by their lock */
};

struct tarn_backend_event {
    driver_event handle;
    atomic_bool is_recorded; /* since it was created or taken from the pool; relaxed: the driver orders the rest */
    bool is_untimed;         /* decides which pool it goes to */
    struct tarn_backend_event *next; /* of the pool */
};

/* A reserved range of addresses, with a bit for each granule of it that is mapped. */
typedef struct cuda_reservation {
    base_range range; /* the first member: a range is cast back to its reservation */
    uint64_t *mapped;
} cuda_reservation;

/* Devices that one device can let into its memory. */
#define CUDA_MAXIMUM_PEERS 63

/* One of them. */
typedef struct cuda_accessor {
    int ordinal;
    bool was_let_in_here; /* its context reaches the owner's because of Tarn, not of another library */
} cuda_accessor;

/* What the operations keep of a device: kernels, library handles (operations/). */
typedef struct cuda_operations_state cuda_operations_state;

struct tarn_backend_device {
    int ordinal;
    driver_device handle;
    driver_context context;

    /* Fixed properties. */
    char name[128];
    int compute_units, major, minor;
    bool has_unified_addresses, has_virtual_memory, has_file_descriptors, has_managed_memory, has_pools, has_peers;
    size_t granule;    /* bytes; 0 without virtual memory */
    int maximum_pitch; /* bytes between the rows of a copy */

    struct tarn_backend_stream default_stream;
    cuda_operations_state *operations; /* theirs */

    /* Protects what is mapped and who may reach it, and is held while the driver is called for either: cuda_access.c. Before `lock`. */
    pthread_mutex_t mapping_lock;
    base_range *reservations; /* cuda_reservation */
    base_range *shared;       /* cuda_shared.c */
    tarn_backend_pool *pools; /* cuda_async.c */
    cuda_accessor accessors[CUDA_MAXIMUM_PEERS];
    size_t accessor_count;

    pthread_mutex_t lock;      /* protects all that follows; the driver is not called with it held */
    driver_granule *leftovers; /* granules that the driver did not take back, for a later try */
    size_t leftover_count;
    struct tarn_backend_event *events;         /* the pool of those that measure time */
    struct tarn_backend_event *untimed_events; /* and of those that do not */
    base_range *shifted; /* allocations that begin behind where the driver's begin: cuda_memory.c */
};

/* cuda_device.c: makes the device's context current for the calling thread, and the one it had before current again. Scopes nest. */
typedef struct cuda_scope {
    bool is_pushed;
} cuda_scope;
tarn_status cuda_enter(const tarn_backend_device *device, cuda_scope *out_scope);
/* The same for functions that end something, and go on whatever happens. */
cuda_scope cuda_enter_to_end(const tarn_backend_device *device);
void cuda_leave(cuda_scope scope);

/* cuda_memory.c */
tarn_status cuda_memory_allocate(tarn_backend_device *device, tarn_memory_kind kind, size_t size, size_t alignment,
                                 void **out_address);
tarn_status cuda_memory_free(tarn_backend_device *device, tarn_memory_kind kind, void *address, size_t size);
/* What the device keeps about allocations that were never given back. */
void cuda_memory_end(tarn_backend_device *device);

/* cuda_access.c. All but create and destroy must be called with the mapping lock held, except grant and withdraw, which take it. */
/* Without an address yet; NULL when there is no host memory. */
cuda_reservation *cuda_reservation_create(size_t granules);
/* NULL is allowed. */
void cuda_reservation_destroy(cuda_reservation *reservation);
/* INVALID_ARGUMENT unless the granules, which lie in one reservation, are all mapped, or all are not. */
tarn_status cuda_reservation_check(tarn_backend_device *device, driver_pointer address, size_t count, bool are_mapped);
/* Notes whether they are. */
void cuda_reservation_mark(tarn_backend_device *device, driver_pointer address, size_t count, bool are_mapped);
/* Lets the device and its peers reach what has just been mapped. In the context's scope. */
tarn_status cuda_access_open(tarn_backend_device *device, driver_pointer address, size_t size);
/* What lets the device's peers reach more: writes CUDA_MAXIMUM_PEERS at most, and returns how many. */
size_t cuda_access_list(const tarn_backend_device *device, driver_access *out_list);
/* Lets a device reach all that the owner has mapped and will map. */
tarn_status cuda_access_grant(tarn_backend_device *owner, cuda_accessor accessor);
/* No more, whatever the driver answers. Writes what the owner noted of the device of that number. */
tarn_status cuda_access_withdraw(tarn_backend_device *owner, int ordinal, cuda_accessor *out_accessor);

/* cuda_peer.c */
extern const tarn_backend_peer cuda_peer;

/* cuda_shared.c. In the context's scope. */
tarn_status cuda_shared_allocate(tarn_backend_device *device, size_t size, size_t alignment, void **out_address);
tarn_status cuda_shared_free(tarn_backend_device *device, void *address);
/* Forgets what was never given back. */
void cuda_shared_end(tarn_backend_device *device);
extern const tarn_backend_interprocess cuda_interprocess;

/* cuda_async.c */
/* Sets the access of one device to all pools. Must be called with the mapping lock held, in the context's scope. */
tarn_status cuda_pools_set_access(const tarn_backend_device *device, const driver_access *access);
extern const tarn_backend_stream_ordered cuda_stream_ordered;

/* cuda_virtual.c */
/* Physical memory of the device, which other processes can be given where the device does that. */
driver_allocation cuda_granule_properties(const tarn_backend_device *device);
/* Reads the size of the granules; a device without virtual memory has none. */
tarn_status cuda_virtual_begin(tarn_backend_device *device);
/* Tries for the last time to give back granules that the driver did not take. */
void cuda_virtual_end(tarn_backend_device *device);
tarn_status cuda_virtual_reserve(tarn_backend_device *device, size_t size, void **out_address);
tarn_status cuda_virtual_release(tarn_backend_device *device, void *address, size_t size);
tarn_status cuda_granules_create(tarn_backend_device *device, size_t count, tarn_backend_granule *out_granules);
tarn_status cuda_granules_release(tarn_backend_device *device, size_t count, const tarn_backend_granule *granules);
tarn_status cuda_virtual_map(tarn_backend_device *device, void *address, size_t count,
                             const tarn_backend_granule *granules);
tarn_status cuda_virtual_unmap(tarn_backend_device *device, void *address, size_t count);

/* cuda_stream.c */
/* Opens the default stream. In the context's scope. */
tarn_status cuda_stream_open(tarn_backend_device *device, tarn_backend_stream *stream);
tarn_backend_stream *cuda_stream_default(tarn_backend_device *device);
tarn_status cuda_stream_create(tarn_backend_device *device, tarn_backend_stream **out_stream);
void cuda_stream_destroy(tarn_backend_device *device, tarn_backend_stream *stream);
tarn_status cuda_stream_synchronize(tarn_backend_device *device, tarn_backend_stream *stream);
tarn_status cuda_stream_host_function(tarn_backend_device *device, tarn_backend_stream *stream,
                                      tarn_host_function function, void *context);
tarn_status cuda_stream_copy(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                             const void *source, size_t size);
tarn_status cuda_stream_fill(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                             const void *pattern, size_t pattern_size, size_t size);
tarn_status cuda_stream_wait(tarn_backend_device *device, tarn_backend_stream *stream, tarn_backend_event *event);

tarn_status cuda_stream_adopt(tarn_backend_device *device, void *native, tarn_backend_stream **out_stream);
tarn_status cuda_stream_native(tarn_backend_device *device, tarn_backend_stream *stream, void **out_native);

/* cuda_box.c */
driver_copy cuda_copy_of_row(void *destination, const void *source, size_t size);
/* Hands the driver's copies that are the box, one or one for each slice, to `call`. NOT_SUPPORTED, with nothing done, where the driver
 * does not take such a box: then it goes row by row. `name` is the driver's function. In the context's scope. */
typedef driver_result (*cuda_copy_call)(void *context, const driver_copy *copy);
tarn_status cuda_box_copy(const tarn_backend_device *device, void *destination, const void *source, const tarn_box *box,
                          cuda_copy_call call, void *context, const char *name);
tarn_status cuda_stream_copy_box(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                                 const void *source, const tarn_box *box);

/* cuda_event.c */
tarn_status cuda_event_create(tarn_backend_device *device, tarn_backend_event **out_event);
tarn_status cuda_event_create_untimed(tarn_backend_device *device, tarn_backend_event **out_event);
void cuda_event_destroy(tarn_backend_device *device, tarn_backend_event *event);
tarn_status cuda_event_record(tarn_backend_device *device, tarn_backend_event *event, tarn_backend_stream *stream);
tarn_status cuda_event_query(tarn_backend_device *device, tarn_backend_event *event, int *out_complete);
tarn_status cuda_event_synchronize(tarn_backend_device *device, tarn_backend_event *event);
tarn_status cuda_event_elapsed(tarn_backend_device *device, tarn_backend_event *begin, tarn_backend_event *end,
                               int64_t *out_nanoseconds);
static inline bool cuda_event_is_recorded(const tarn_backend_event *event) {
    return atomic_load_explicit(&event->is_recorded, memory_order_relaxed);
}
/* Gives the pools' events back to the driver. */
void cuda_events_end(tarn_backend_device *device);

/* cuda_graph.c */
extern const tarn_backend_capture cuda_capture;

#endif
