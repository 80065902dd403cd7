/* What the files of the fake driver share: its state, all of it behind one lock, and the functions that one file has for another.
 * Functions here are called with the lock held unless they say otherwise. Nothing is shared with Tarn. */
#ifndef FAKECUDA_STATE_H
#define FAKECUDA_STATE_H

#include "../declarations.h"
#include "../fakecuda.h"
#include "symbols.h"

#include <pthread.h>
#include <stdbool.h>

enum { MOST_DEVICES = 16, PAGE = 4096, GRANULE = 2 << 20, MAXIMUM_PITCH = 2147483647 };

#define CALL_NUMBER(name, base, since, needs, safety) CALL_##name,
typedef enum call_number { FAKECUDA_SYMBOLS(CALL_NUMBER) CALL_COUNT } call_number;

typedef struct fake_device fake_device;
typedef struct fake_context fake_context;
typedef struct fake_stream fake_stream;
typedef struct fake_event fake_event;
typedef struct fake_task fake_task;
typedef struct fake_pool fake_pool;
typedef struct fake_physical fake_physical;
typedef struct fake_range fake_range;
typedef struct fake_graph fake_graph;
typedef struct fake_node fake_node;
typedef struct fake_capture fake_capture;
typedef struct fake_kernel fake_kernel;
typedef struct fake_operation fake_operation;

typedef struct fake_settings {
    int version;
    int devices;
    size_t memory;
    bool peers, pools, concurrent;
    unsigned long long seed;
    bool threads;
    unsigned delay_microseconds;
    unsigned idle_milliseconds;
    bool abort_at_violation;
    char missing[2048];
    char kernels[4096];
} fake_settings;

/* entry.c */
typedef struct fake_driver {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* some work has ended */
    bool is_initialized;
    bool is_forked;  /* this process is the child of one that used the driver */
    bool is_exiting; /* the process ends */
    fake_settings settings;
    fake_device *devices[MOST_DEVICES];
    unsigned long long calls[CALL_COUNT];
    unsigned long long next_id;    /* for contexts, streams, buffers */
    unsigned long long generation; /* counts resets */
    unsigned long long last_call;  /* nanoseconds */
    bool is_held;
} fake_driver;
extern fake_driver the_driver;

/* Begins a call: takes the lock, counts it, lets a fault happen, checks what the function needs. When it refuses, the lock is not
 * held. call_end gives the lock back and returns the result, or that of a fault. */
typedef struct fake_call {
    call_number number;
    CUresult fault_after;
} fake_call;
CUresult call_begin(fake_call *call, call_number number);
CUresult call_end(fake_call *call, CUresult result);
#define ENTER(name)                                       \
    fake_call entered;                                    \
    CUresult refused = call_begin(&entered, CALL_##name); \
    if (refused != CUDA_SUCCESS) return refused
#define LEAVE(result) return call_end(&entered, (result))
/* The name of the function that the calling thread is in. */
const char *call_name(void);
unsigned long long now_nanoseconds(void);
void *obtain(size_t size);                          /* zeroed; ends the process when there is none. Needs no lock. */
void *grow(void *array, size_t count, size_t size); /* room for one more than `count`, doubling at powers of two */
/* Set while the calling thread runs a host function of a stream. */
extern _Thread_local bool in_host_function;

/* settings.c */
void settings_read(fake_settings *settings);

/* faults.c */
CUresult fault_before(call_number number, CUresult *after, CUresult *deferred);
int fault_schedule(const char *text);
void fault_reset(void);

/* violations.c */
void violation(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, and returns `error`. */
#define VIOLATION(error, ...) (violation(__VA_ARGS__), (error))
void violations_reset(void);

/* handles.c: a handle is the address of a slot, which is used again at once, as a driver does. */
typedef enum handle_kind {
    HANDLE_NONE,
    HANDLE_CONTEXT,
    HANDLE_STREAM,
    HANDLE_EVENT,
    HANDLE_PHYSICAL,
    HANDLE_POOL,
    HANDLE_GRAPH,
    HANDLE_NODE,
    HANDLE_EXECUTABLE,
    HANDLE_MODULE,
    HANDLE_FUNCTION,
    HANDLE_KINDS
} handle_kind;
void *handle_make(handle_kind kind, void *object);
/* NULL when it is none: a violation, but for NULL itself. */
void *handle_object(handle_kind kind, const void *handle);
/* The same without a violation. */
void *handle_peek(handle_kind kind, const void *handle);
void handle_end(void *handle);
size_t handle_count(handle_kind kind);
/* Calls the function with each live object of the kind. */
void handles_each(handle_kind kind, void (*visit)(void *object));
void handles_reset(void);

/* device.c, context.c */
struct fake_context {
    fake_device *on;
    CUcontext handle; /* NULL while it is not retained */
    unsigned long long id;
    unsigned flags;
    unsigned retained;
    unsigned peers;    /* bits of the devices whose memory it may reach */
    CUresult lost;     /* what every call answers from now on */
    CUresult deferred; /* what the next call that waits answers, once */
    fake_stream *legacy;
    fake_stream *streams; /* every stream, the legacy one too */
};
struct fake_device {
    int ordinal;
    int file; /* memfd behind its memory, as long as the addresses go: bytes are found by offset, used once */
    unsigned long long next_offset;
    size_t large_bytes; /* in use, in granules */
    size_t small_bytes; /* in use by allocations that share granules */
    fake_context primary;
    fake_pool *default_pool;
    fake_pool *current_pool;
};
fake_device *device_at(CUdevice ordinal);
void devices_make(void);
void devices_reset(void);
/* The calling thread's context; NULL when it has none. */
fake_context *context_current(void);
fake_context *context_of(CUcontext handle);
bool context_reaches(const fake_context *context, int device);
/* What a call that waits answers: what made the context unusable, or an error that work left behind. */
CUresult context_result(fake_context *context);
void context_lose(fake_context *context, CUresult error);
bool is_sticky(CUresult error);

/* physical.c: memory of a device, with no address that a program knows. */
struct fake_physical {
    fake_device *on; /* NULL: the host's */
    int file;
    bool owns_file; /* it came from another process */
    unsigned long long offset;
    size_t size;
    size_t counted; /* bytes that it takes from the device's capacity */
    bool is_small;
    bool is_exported; /* others may still map it when this process has let it go */
    bool is_touched;  /* it may hold something else than poison */
    char *alias;      /* where the driver itself reads and writes it; NULL until then */
    unsigned references;
    CUmemGenericAllocationHandle handle; /* 0: none */
    unsigned handle_count;
    CUmemAllocationProp properties;
};
/* counted: bytes to take from the capacity; 0: they are a pool's. NULL when there are not so many left. */
fake_physical *physical_make(fake_device *on, size_t size, size_t counted, bool is_small);
fake_physical *physical_import(int file);
int physical_export(fake_physical *memory); /* a new descriptor, or -1 */
char *physical_alias(fake_physical *memory);
void physical_hold(fake_physical *memory);
void physical_drop(fake_physical *memory);
size_t device_used(const fake_device *device);
bool device_take(fake_device *device, size_t granules_bytes);
void device_give(fake_device *device, size_t granules_bytes);

/* ranges.c: addresses. */
typedef enum range_kind {
    RANGE_DEVICE,   /* cuMemAlloc */
    RANGE_MAPPING,  /* cuMemMap */
    RANGE_POOLED,   /* cuMemAllocAsync */
    RANGE_GRAPH,    /* an allocation node's */
    RANGE_IMPORTED, /* another process's */
    RANGE_HOST,     /* cuMemHostAlloc */
    RANGE_REGISTERED,
    RANGE_MANAGED,
    RANGE_GLOBAL /* a variable of a module */
} range_kind;
struct fake_range {
    CUdeviceptr start;
    size_t size;
    range_kind kind;
    fake_device *on;
    fake_context *owner; /* NULL for mappings, which belong to no context */
    fake_physical *memory;
    size_t memory_offset; /* of `start` in `memory` */
    unsigned flags;
    unsigned long long id;
    unsigned readers; /* bits of the devices that may read it */
    unsigned writers;
    unsigned open; /* kernels that run on it */
    fake_pool *pool;
    bool is_ready;               /* its allocation has run, or needs none */
    bool is_freed;               /* a free of it is on its way */
    size_t counted;              /* bytes of its pool that it holds */
    unsigned long long freed_on; /* the stream of the free that is on its way */
    bool is_outstanding;         /* a graph's: a launch has allocated it and nothing has freed it */
    bool is_orphan;              /* the graph is gone */
    char *base; /* the whole of its address range, with guards; NULL when it belongs to a reservation or the program */
    size_t base_size;
    unsigned imports; /* times that it was opened from another process */
};
fake_range *range_find(CUdeviceptr address);
fake_range *range_make(range_kind kind, fake_device *on, CUdeviceptr start, size_t size);
void range_end(fake_range *ended);
/* The ranges, in order of addresses. */
fake_range **range_list(size_t *count);
/* Whether the address lies where something was freed lately. */
bool range_was_freed(CUdeviceptr address);
void ranges_reset(void);
/* Addresses that nothing can be reached at, with a guard page at each end; NULL when there are none. */
char *addresses_take(size_t size, size_t alignment, char **base, size_t *base_size);
void addresses_give(char *base, size_t base_size);
/* Puts memory behind a range's addresses, still out of reach. */
bool range_map(fake_range *range);
bool range_open(fake_range *range);
void range_close(fake_range *range);
/* Where the driver finds `address`, for at most *size bytes, which becomes less where the range ends. NULL, and a violation, when a
 * device may not use it. An address that is of no range is the program's own. */
char *range_reach(const fake_context *context, CUdeviceptr address, size_t *size, bool writes, fake_physical **held);
/* CUDA_SUCCESS when a call may name these addresses for a device's memory (or for any memory). */
CUresult range_check(CUdeviceptr address, size_t size, bool must_be_device);
bool range_is_pinned(CUdeviceptr address);

/* reservations, virtual.c */
bool reservation_covers(CUdeviceptr address, size_t size);
void reservations_reset(void);
size_t reservation_count(void);
void physical_reset(void);

/* stream.c, event.c */
struct fake_stream {
    CUstream handle;
    fake_context *in;
    unsigned flags;
    int priority;
    unsigned long long id;
    fake_task *last;
    bool is_legacy;
    pthread_t thread; /* whose per-thread stream it is */
    bool is_per_thread;
    fake_capture *capture;
    fake_node **joints; /* in a capture, what the next node comes after */
    size_t joint_count;
    fake_stream *next;
};
struct fake_event {
    CUevent handle;
    fake_context *in;
    unsigned flags;
    fake_task *recorded;
    bool is_recorded;
    fake_capture *capture; /* it was last recorded in this one */
    unsigned long long capture_id;
    fake_node **joints;
    size_t joint_count;
    struct shared_event *shared;
    unsigned long long number;
    unsigned references;
};
/* The stream of a handle, the two special ones too; NULL when there is none, and *error says why. */
fake_stream *stream_of(CUstream handle, CUresult *error);
fake_stream *stream_make(fake_context *in, unsigned flags, int priority);
void stream_end(fake_stream *ended);
void events_reset(void);
/* Gives the operation to the stream, or to the graph that it captures. *out (which may be NULL) becomes the task, held, or NULL. */
CUresult stream_submit(fake_stream *stream, fake_operation *operation, fake_task **out);
/* The next piece of work of a stream that does not capture, not submitted yet; held. */
fake_task *stream_prepare(fake_stream *stream, fake_operation *operation);
/* The same as stream_submit, outside a capture, for what comes after another stream's work too. */
CUresult stream_submit_after(fake_stream *stream, fake_operation *operation, fake_task *earlier);
CUresult stream_wait_done(fake_stream *stream);
void event_drop(fake_event *event);
struct shared_event *shared_event_hold(struct shared_event *shared);
void shared_event_drop(struct shared_event *shared);

/* pool.c */
struct fake_pool {
    CUmemoryPool handle;
    fake_device *on;
    size_t most;
    unsigned long long threshold;
    int reuse[3];
    size_t reserved, reserved_high, used, used_high;
    unsigned readers, writers;
    CUmemAllocationHandleType handle_types;
    bool is_default, is_ended, is_imported;
    size_t live; /* allocations that are not freed */
};
fake_pool *pool_make(fake_device *on);
void pool_drop_if_ended(fake_pool *ended);
bool pool_take(fake_pool *pool, size_t bytes);
void pool_give(fake_pool *pool, size_t bytes);
/* A synchronization happened: unused memory above the thresholds goes back to the devices. */
void pools_trim(fake_context *context);
void pools_reset(void);
CUresult pooled_free(fake_range *range, fake_stream *stream);
CUresult pooled_free_at_once(fake_range *range);
CUresult pooled_allocate(CUdeviceptr *pointer, size_t size, fake_pool *pool, fake_stream *stream);
void pooled_ready(CUdeviceptr address);
void pooled_end(CUdeviceptr address);

#include "work.h"

#endif
