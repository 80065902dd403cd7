/* The structures of an OpenCL device, and what its files offer each other.
 *
 * This backend is a plug-in: of Tarn it uses tarn/backend.h alone, and nothing of libtarn. */
#ifndef OPENCL_INTERNAL_H
#define OPENCL_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tarn/backend.h>

#include "backends/opencl/opencl_driver.h"
#include "backends/opencl/opencl_text.h"

#define OPENCL_MAXIMUM_ALIGNMENT ((size_t)2 << 20)

/* What may be asked for by `memory=` in a device's name. */
typedef enum opencl_memory_path {
    OPENCL_MEMORY_SHARED, /* shared virtual memory: addresses are the driver's */
    OPENCL_MEMORY_BUFFER  /* buffers: addresses are reserved and stand for a place in one */
} opencl_memory_path;

/* Which way matrix products go, as may be asked for by `product=`. */
typedef enum opencl_product_way {
    OPENCL_PRODUCT_REGISTERS, /* a tile of the result in the registers of each item: devices whose local memory is memory like any other */
    OPENCL_PRODUCT_TILES /* tiles of the operands in local memory, for groups of items */
} opencl_product_way;

/* One allocation. Its addresses are its own even where there is nothing behind them. */
typedef struct opencl_block {
    uintptr_t address;
    size_t size;
    tarn_memory_kind kind;
    cl_mem buffer;       /* NULL: shared virtual memory, or memory of the host */
    void *base;          /* what the driver gave, or the reserved addresses */
    size_t base_size;    /* of reserved addresses; 0: nothing is reserved */
    bool is_for_kernels; /* kernels reach it */
    bool is_for_host;    /* the host reaches it through the address */
} opencl_block;

/* A function for a host thread, in the order of a stream. */
typedef struct opencl_host_task {
    tarn_host_function function;
    void *context;
    cl_event before; /* complete when its turn has come */
    cl_event after;  /* a user event; what comes behind waits for it */
    struct opencl_host_task *next;
} opencl_host_task;

/* The kernels that a device has compiled. */
typedef struct opencl_programs {
    pthread_mutex_t lock; /* protects the buckets' lists; never held while something is compiled */
    struct opencl_compiled **buckets;
    /* These stay as they are. */
    size_t bucket_count;
    char *folder;               /* on disk; NULL: nothing is kept there */
    opencl_text identity;       /* of the device and its driver */
    atomic_bool has_complained; /* that nothing can be kept there. Relaxed: it guards a sentence alone */
} opencl_programs;

struct tarn_backend_stream {
    tarn_backend_device *device;
    cl_command_queue queue;
    atomic_uint references;
    struct tarn_backend_stream *next; /* protected by the device's stream_lock */

    pthread_mutex_t watch_lock; /* protects the next five */
    cl_event *watched;          /* of commands that may yet fail */
    size_t watched_count, watched_capacity;
    tarn_status failure; /* of work, not yet reported, with its sentence; TARN_OK: none */
    char failure_sentence[256];
    cl_mem fault_word;    /* an int that kernels set; NULL: none has been needed. Protected by watch_lock */
    bool may_have_faults; /* a kernel with the word was enqueued since it was last looked at. Protected by watch_lock */

    pthread_mutex_t
        scratch_lock;    /* held from the first to the last launch that uses the memory. Protects the next two */
    cl_mem scratch;      /* NULL: none has been needed */
    size_t scratch_size; /* bytes */

    /* Held while a host function is enqueued too, so that tasks are in the queue's order. Protects all that follows. */
    pthread_mutex_t host_lock;
    pthread_cond_t host_changed;
    opencl_host_task *first_task, **end_of_tasks;
    pthread_t worker;
    bool has_worker, is_stopping;
};

struct tarn_backend_event {
    pthread_mutex_t lock;
    cl_event marker; /* protected by lock; NULL: never recorded */
};

struct tarn_backend_device {
    cl_platform_id platform;
    cl_device_id id;
    cl_context context;
    char name[128];
    opencl_memory_path path;
    bool is_processor;   /* its memory is the machine's */
    bool has_fine_grain; /* shared virtual memory that the host reaches without more ado */
    uint64_t capacity;   /* bytes */
    size_t alignment;    /* bytes */
    cl_uint compute_units;
    uint32_t group; /* work-items of a group of a program's kernel; a power of 2 */
    uint32_t lanes
        [TARN_ELEMENT_TYPE_COUNT]; /* how many elements of a type it likes to compute side by side: 1, 2, 4, 8 or 16 */
    bool has_f64;
    bool shares_rows; /* a group of items has each row of a softmax or a layer norm; false: an item has */
    opencl_product_way product_way;
    bool uses_clblast;    /* where that takes the operands */
    cl_uint vector_bytes; /* what the device computes with at a time */
    cl_ulong local_size;  /* bytes of local memory */
    char build_options[128];
    cl_command_queue mapping_queue; /* for what must not wait behind a stream's work */

    atomic_uint_fast64_t used;   /* bytes. Relaxed: a figure */
    pthread_rwlock_t block_lock; /* protects the next */
    void *blocks;                /* of tsearch, by address */

    opencl_programs programs;

    pthread_mutex_t stream_lock; /* protects the next */
    struct tarn_backend_stream *streams;
    size_t stream_count;
    struct tarn_backend_stream default_stream;
};

extern const tarn_backend_host *opencl_host;
/* Keeps the sentence of a failure and returns its status, which static analysis is told, since it does not see that. */
#ifdef __clang_analyzer__
#define opencl_fail(status, ...) ((void)opencl_host->fail(status, __VA_ARGS__), (status))
#else
#define opencl_fail opencl_host->fail
#endif

/* opencl_driver.c */
/* Opens the library and looks for a device. UNAVAILABLE. */
tarn_status opencl_driver_open(void);
tarn_status opencl_driver_count(int *out_count);
/* NOT_FOUND. */
tarn_status opencl_driver_find(int number, cl_platform_id *out_platform, cl_device_id *out_device);
/* What the device says of itself in words, however long; the caller frees it. */
tarn_status opencl_driver_text(cl_device_id device, cl_device_info what, char **out_text);
const char *opencl_error_name(cl_int error);
tarn_status opencl_error_status(cl_int error);
/* The failure of a function of OpenCL. */
tarn_status opencl_fail_call(cl_int error, const char *call);

/* opencl_limits.c: memory of the machine, or of the control group that limits this process, in bytes. */
uint64_t opencl_limits_total(void);
uint64_t opencl_limits_free(void);

/* opencl_memory.c */
tarn_status opencl_memory_allocate(tarn_backend_device *device, tarn_memory_kind kind, size_t size, size_t alignment,
                                   void **out_address);
tarn_status opencl_memory_free(tarn_backend_device *device, tarn_memory_kind kind, void *address, size_t size);
/* Gives back what a device that was lost has left. */
void opencl_memory_end(tarn_backend_device *device);
/* The block that `address` lies in; false: it is none of the device's. */
bool opencl_memory_find(tarn_backend_device *device, const void *address, opencl_block *out_block);

/* opencl_stream.c */
/* Sets up a stream that does not stand in the device's list, with a queue of its own. */
tarn_status opencl_stream_start(tarn_backend_device *device, tarn_backend_stream *stream);
void opencl_stream_end(tarn_backend_stream *stream);
/* Has the device begin with what was enqueued, and takes over `event`, that of the last command, whose failure is reported by the next
 * synchronisation. */
void opencl_stream_began(tarn_backend_stream *stream, cl_event event);
/* Keeps a failure for the next synchronisation, unless one is kept already. */
void opencl_stream_keep_failure(tarn_backend_stream *stream, tarn_status status, const char *sentence);
/* The int that a kernel sets where an index is out of range; borrowed. The next synchronisation looks at it. */
tarn_status opencl_stream_fault_word(tarn_backend_stream *stream, cl_mem *out_word);
/* Memory for what one operation's launches pass on to each other, of at least `size` bytes; borrowed. Must be called with the scratch lock held. */
tarn_status opencl_stream_scratch(tarn_backend_stream *stream, size_t size, cl_mem *out_buffer);
tarn_status opencl_device_synchronize(tarn_backend_device *device);
tarn_backend_stream *opencl_stream_default(tarn_backend_device *device);
tarn_status opencl_stream_create(tarn_backend_device *device, tarn_backend_stream **out_stream);
void opencl_stream_destroy(tarn_backend_device *device, tarn_backend_stream *stream);
tarn_status opencl_stream_synchronize(tarn_backend_device *device, tarn_backend_stream *stream);
tarn_status opencl_stream_wait(tarn_backend_device *device, tarn_backend_stream *stream, tarn_backend_event *event);

/* opencl_copy.c */
/* One end of a copy. */
typedef struct opencl_end {
    void *address;
    cl_mem buffer;  /* NULL: the address is one that is followed */
    size_t offset;  /* bytes, in the buffer */
    bool is_shared; /* shared virtual memory that the host does not reach */
} opencl_end;
opencl_end opencl_end_of(tarn_backend_device *device, const void *address);
/* What became of a command: takes over its event, or answers the failure of `call`. */
tarn_status opencl_finish_enqueue(tarn_backend_stream *stream, cl_int error, const char *call, cl_event event);
tarn_status opencl_stream_copy(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                               const void *source, size_t size);
tarn_status opencl_stream_fill(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                               const void *pattern, size_t pattern_size, size_t size);

/* opencl_box.c */
tarn_status opencl_stream_copy_box(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                                   const void *source, const tarn_box *box);

/* opencl_host.c */
tarn_status opencl_stream_host_function(tarn_backend_device *device, tarn_backend_stream *stream,
                                        tarn_host_function function, void *context);
/* Ends the stream's thread, which has nothing left to do. */
void opencl_host_end(tarn_backend_stream *stream);

/* opencl_event.c */
/* What the event was recorded as, retained; NULL: never. */
cl_event opencl_event_marker(tarn_backend_event *event);
tarn_status opencl_event_create(tarn_backend_device *device, tarn_backend_event **out_event);
void opencl_event_destroy(tarn_backend_device *device, tarn_backend_event *event);
tarn_status opencl_event_record(tarn_backend_device *device, tarn_backend_event *event, tarn_backend_stream *stream);
tarn_status opencl_event_query(tarn_backend_device *device, tarn_backend_event *event, int *out_complete);
tarn_status opencl_event_synchronize(tarn_backend_device *device, tarn_backend_event *event);
tarn_status opencl_event_elapsed(tarn_backend_device *device, tarn_backend_event *begin, tarn_backend_event *end,
                                 int64_t *out_nanoseconds);

#endif
