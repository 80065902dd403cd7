/* The structures of the cpu device.
 *
 * Memory is that of mmap. Streams are queues with a worker thread each; the default stream has none and runs its work
 * on the thread that brings it. What orders them are points: a point is done once, and whoever wants to know when something has
 * been reached holds a reference to its point. */
#ifndef CPU_INTERNAL_H
#define CPU_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <tarn/backend.h>

#include "base/granules.h"
#include "base/range_map.h"

/* The size of the huge pages that transparent huge pages are made of, and of a granule. */
#define CPU_GRANULE ((size_t)2 << 20)
#define CPU_ALIGNMENT ((size_t)64)
#define CPU_MAXIMUM_ALIGNMENT ((size_t)1 << 30)

typedef struct cpu_point cpu_point;

/* "dependent waits for the point in whose list this is". Embedded in the dependent. */
typedef struct cpu_edge {
    cpu_point *dependent; /* a reference */
    struct cpu_edge *next;
} cpu_edge;

/* A point in a stream. */
struct cpu_point {
    atomic_uint references;
    atomic_bool is_done; /* release when set: what came before the point is seen by whoever sees it */
    uint64_t time_ns;    /* when it was done; written before is_done */

    /* Protected by the device's point_lock. */
    unsigned missing;     /* points that must be done before this one, for barriers */
    cpu_edge *dependents; /* barriers that wait for this point */
    cpu_edge edges[2];    /* this point's own places in the lists of others */
    cpu_point *next_ready;
};

typedef enum cpu_task_kind {
    CPU_TASK_FUNCTION,
    CPU_TASK_COPY,
    CPU_TASK_COPY_BOX,
    CPU_TASK_FILL,
    CPU_TASK_OPERATION,
    CPU_TASK_REACH,
    CPU_TASK_WAIT
} cpu_task_kind;

/* A copy of a box: apart, so that other tasks are small. */
typedef struct cpu_box_copy {
    void *destination;
    const void *source;
    tarn_box box;
} cpu_box_copy;

/* One piece of a stream's work. */
typedef struct cpu_task {
    cpu_task_kind kind;
    union {
        struct {
            tarn_host_function function;
            void *context;
        } host;
        struct {
            void *destination;
            const void *source;
            size_t size;
        } copy;
        cpu_box_copy *box; /* owned */
        struct {
            void *destination;
            unsigned char pattern[8];
            size_t pattern_size, size;
        } fill;
        tarn_backend_operation *operation; /* owned */
        cpu_point *point;                  /* a reference; REACH does it, WAIT waits for it */
    } work;
    struct cpu_task *next;
} cpu_task;

struct tarn_backend_stream {
    tarn_backend_device *device;
    bool is_default;
    uint64_t serial; /* ascending in the device's list */
    atomic_uint references;
    pthread_t worker;
    struct tarn_backend_stream *next; /* protected by the device's stream_lock */

    pthread_mutex_t lock; /* protects all that follows */
    pthread_cond_t has_work, has_finished;
    cpu_task *first, **end;      /* the queue */
    uint64_t enqueued, finished; /* tasks so far; of the default stream: those that run without a point */
    bool is_stopping;
    cpu_task *spare; /* tasks to be used again */
    size_t spare_count;
    /* Of the default stream: done when all its work so far is. NULL: there is none, or only a task that runs without a point. */
    cpu_point *tail;
    bool runs_without_point; /* a task of the default stream runs, and nobody has needed to wait for it when it began */
    cpu_point *late_point;   /* what that task must reach after all; NULL: nobody came since */
    unsigned waiting;        /* threads that wait for the default stream without a point */
    tarn_status failure;     /* of work, not yet reported, with its sentence; TARN_OK: none */
    char failure_sentence[256];
};

struct tarn_backend_event {
    pthread_mutex_t lock;
    cpu_point *point; /* protected by lock; NULL: never recorded */
};

struct tarn_backend_device {
    char name[128];
    uint64_t capacity; /* bytes */
    size_t page_size;
    atomic_uint_fast64_t used; /* bytes handed out, touched or not. Relaxed: a figure */

    pthread_mutex_t virtual_lock; /* protects the next three */
    base_range *reservations;
    base_range *shared;     /* allocations that are files; cpu_shared.c */
    base_granules granules; /* whose place is where their pages are; NULL: they have none yet */

    pthread_mutex_t point_lock;
    pthread_cond_t point_done;

    pthread_mutex_t stream_lock; /* protects the next two */
    struct tarn_backend_stream *streams;
    uint64_t last_serial;
    struct tarn_backend_stream default_stream;
};

extern const tarn_backend_host *cpu_host;
/* Keeps the sentence of a failure and returns its status, which static analysis is told, since it does not see that. */
#ifdef __clang_analyzer__
#define cpu_fail(status, ...) ((void)cpu_host->fail(status, __VA_ARGS__), (status))
#else
#define cpu_fail cpu_host->fail
#endif

/* cpu_limits.c: memory of the machine, or of the control group that limits this process, in bytes. */
uint64_t cpu_limits_total(void);
uint64_t cpu_limits_free(void);

/* cpu_memory.c */
tarn_status cpu_memory_allocate(tarn_backend_device *device, tarn_memory_kind kind, size_t size, size_t alignment,
                                void **out_address);
tarn_status cpu_memory_free(tarn_backend_device *device, tarn_memory_kind kind, void *address, size_t size);
/* Counts `bytes` against the capacity: OUT_OF_MEMORY when they are not there. */
tarn_status cpu_charge(tarn_backend_device *device, size_t bytes);
void cpu_discharge(tarn_backend_device *device, size_t bytes);
/* `size` bytes of addresses aligned to `alignment`, without access. NULL, with errno. */
void *cpu_reserve_aligned(size_t size, size_t alignment);
/* OUT_OF_MEMORY for a system call on memory that failed with `error`, and how many mappings there are. */
tarn_status cpu_fail_memory(const char *call, size_t size, int error);

/* cpu_virtual.c */
tarn_status cpu_virtual_reserve(tarn_backend_device *device, size_t size, void **out_address);
tarn_status cpu_virtual_release(tarn_backend_device *device, void *address, size_t size);
tarn_status cpu_granules_create(tarn_backend_device *device, size_t count, tarn_backend_granule *out_granules);
tarn_status cpu_granules_release(tarn_backend_device *device, size_t count, const tarn_backend_granule *granules);
tarn_status cpu_virtual_map(tarn_backend_device *device, void *address, size_t count,
                            const tarn_backend_granule *granules);
tarn_status cpu_virtual_unmap(tarn_backend_device *device, void *address, size_t count);
void cpu_virtual_end(tarn_backend_device *device);

/* cpu_shared.c. Sizes of whole pages, which are charged by the caller. */
extern const tarn_backend_interprocess cpu_interprocess;
tarn_status cpu_shared_allocate(tarn_backend_device *device, size_t pages, size_t alignment, void **out_address);
tarn_status cpu_shared_free(tarn_backend_device *device, void *address, size_t pages);
void cpu_shared_end(tarn_backend_device *device);

/* cpu_event.c. A new point is not done and has one reference; NULL without memory. */
cpu_point *cpu_point_create(void);
cpu_point *cpu_point_retain(cpu_point *point);
/* NULL is allowed. */
void cpu_point_release(cpu_point *point);
bool cpu_point_is_done(const cpu_point *point);
void cpu_point_reach(tarn_backend_device *device, cpu_point *point);
void cpu_point_wait(tarn_backend_device *device, cpu_point *point);
/* Has `barrier`, a new point, be done when both others are; `second` may be NULL. */
void cpu_point_join(tarn_backend_device *device, cpu_point *barrier, cpu_point *first, cpu_point *second);
/* The point that the event was last recorded as, retained; NULL before. */
cpu_point *cpu_event_point(tarn_backend_event *event);
tarn_status cpu_event_create(tarn_backend_device *device, tarn_backend_event **out_event);
void cpu_event_destroy(tarn_backend_device *device, tarn_backend_event *event);
tarn_status cpu_event_record(tarn_backend_device *device, tarn_backend_event *event, tarn_backend_stream *stream);
tarn_status cpu_event_query(tarn_backend_device *device, tarn_backend_event *event, int *out_complete);
tarn_status cpu_event_synchronize(tarn_backend_device *device, tarn_backend_event *event);
tarn_status cpu_event_elapsed(tarn_backend_device *device, tarn_backend_event *begin, tarn_backend_event *end,
                              int64_t *out_nanoseconds);

/* cpu_queue.c: what streams are made of. */
/* Sets up the queue of a stream. */
void cpu_queue_start(tarn_backend_stream *stream);
void cpu_queue_end(tarn_backend_stream *stream);
/* Appends a copy of the task, or runs it at once on the default stream. OUT_OF_MEMORY before anything is enqueued. */
tarn_status cpu_queue_add(tarn_backend_stream *stream, const cpu_task *task);
/* Body of a worker, with its stream for context: runs tasks until the stream stops. */
void *cpu_queue_work(void *context);
/* Blocks until everything enqueued so far has finished. */
void cpu_queue_wait(tarn_backend_stream *stream);
/* Keeps `status`, other than OK, and the calling thread's sentence for whoever asks next, unless a failure is kept already. */
void cpu_queue_keep_failure(tarn_backend_stream *stream, tarn_status status);
/* The failure that is kept, which is forgotten; OK when there is none. */
tarn_status cpu_queue_take_failure(tarn_backend_stream *stream);
/* cpu_inline.c: the default stream. */
tarn_status cpu_inline_add(tarn_backend_stream *stream, const cpu_task *task);
/* A point, retained, that is done when all work of the default stream so far is. OUT_OF_MEMORY. */
tarn_status cpu_inline_point(tarn_backend_stream *stream, cpu_point **out_point);
void cpu_inline_wait(tarn_backend_stream *stream);
/* Computes the operation before it returns when the stream is the default one and the calling thread is not in its work; otherwise nothing
 * is done. The status is that of the computing, or OUT_OF_MEMORY. */
tarn_status cpu_inline_operation(tarn_backend_stream *stream, const tarn_backend_operation *operation,
                                 bool *out_has_run);
/* Does what the task of the stream says, on this thread, and drops its references. A failure is kept. */
void cpu_task_run(tarn_backend_stream *stream, const cpu_task *task);

/* cpu_operation.c */
extern const tarn_backend_operations cpu_operations;

/* cpu_stream.c */
tarn_status cpu_device_synchronize(tarn_backend_device *device);
tarn_backend_stream *cpu_stream_default(tarn_backend_device *device);
tarn_status cpu_stream_create(tarn_backend_device *device, tarn_backend_stream **out_stream);
void cpu_stream_destroy(tarn_backend_device *device, tarn_backend_stream *stream);
tarn_status cpu_stream_synchronize(tarn_backend_device *device, tarn_backend_stream *stream);
tarn_status cpu_stream_host_function(tarn_backend_device *device, tarn_backend_stream *stream,
                                     tarn_host_function function, void *context);
tarn_status cpu_stream_copy(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                            const void *source, size_t size);
tarn_status cpu_stream_fill(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                            const void *pattern, size_t pattern_size, size_t size);
tarn_status cpu_stream_copy_box(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                                const void *source, const tarn_box *box);
tarn_status cpu_stream_wait(tarn_backend_device *device, tarn_backend_stream *stream, tarn_backend_event *event);

#endif
