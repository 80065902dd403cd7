/* Backend: the table of functions that drives one kind of device.
 *
 * This page is all a backend's author needs. A backend is either registered by the program (tarn_backend_register in
 * tarn/device.h) or a shared object that exports one constant, `const tarn_backend tarn_backend_table`, found by
 * tarn_backend_load. Its `abi_version` and `struct_size` are read before anything in it is called.
 *
 * The hardware layer validates every argument before it calls a backend: sizes are above zero and rounded to what the
 * backend declared, handles are live, streams belong to the device. A backend therefore gets only valid calls and
 * reports only what the hardware answers. Each function may be called from any thread at the same time unless it says
 * otherwise. Outputs are written only on success. Functions marked (optional) may be NULL. */
#ifndef TARN_BACKEND_H
#define TARN_BACKEND_H

#include <stddef.h>
#include <stdint.h>

#include <tarn/backend_operations.h>
#include <tarn/export.h>
#include <tarn/log.h>
#include <tarn/status.h>

TARN_BEGIN_DECLARATIONS

/* Raised whenever a table of the previous version would be called wrongly. New members are appended and told apart by
 * struct_size; they do not raise it. */
#define TARN_BACKEND_ABI_VERSION 1u

typedef enum tarn_device_type {
    TARN_DEVICE_CPU = 0,
    TARN_DEVICE_CUDA,
    TARN_DEVICE_ROCM,
    TARN_DEVICE_METAL,
    TARN_DEVICE_ONEAPI,
    TARN_DEVICE_OPENCL,
    TARN_DEVICE_SIM,
    TARN_DEVICE_OTHER /* a plug-in's own kind: its name says which */
} tarn_device_type;

typedef enum tarn_memory_kind {
    TARN_MEMORY_DEVICE = 0, /* the device's own memory */
    TARN_MEMORY_PINNED,     /* host memory that the device reads and writes directly */
    TARN_MEMORY_MANAGED,    /* one pointer for host and device, moved by the driver */
    TARN_MEMORY_HOST,       /* ordinary host memory */
    TARN_MEMORY_SHARED      /* the device's own memory, which other processes can be given (tarn/interprocess.h) */
} tarn_memory_kind;

#define TARN_MEMORY_KIND_COUNT 5
#define TARN_MEMORY_KIND_BIT(kind) (1u << (unsigned)(kind))

/* Features of a device, or-ed together. */
enum {
    TARN_FEATURE_VIRTUAL_MEMORY = 1u << 0, /* address ranges are reserved apart from the memory mapped into them */
    TARN_FEATURE_HOST_ACCESS = 1u << 1,    /* the host may read and write DEVICE memory through the same pointer */
    TARN_FEATURE_UNIFIED_MEMORY = 1u << 2, /* MANAGED memory is supported */
    TARN_FEATURE_PEER_ACCESS = 1u << 3,    /* other devices of this backend may read and write its memory */
    TARN_FEATURE_NO_BACKING = 1u << 4,     /* addresses only: nothing is stored behind them (sim) */
    TARN_FEATURE_ALIASING = 1u << 5,       /* one granule may be mapped at several addresses at once */
    TARN_FEATURE_STREAM_ORDERED = 1u << 6, /* it has pools of memory that is had and freed in the order of streams */
    /* The driver forbids its host functions to call it. The layer then refuses, with INVALID_STATE or BUSY, what a host function of a stream
     * asks of any device of the backend; of the backend's functions that leaves event_destroy alone to be called from one. */
    TARN_FEATURE_HOST_FUNCTIONS_APART = 1u << 7
};

typedef struct tarn_device_properties {
    size_t struct_size;
    char name[128];           /* what the vendor calls it */
    uint64_t memory_total;    /* bytes */
    uint64_t memory_free;     /* bytes, now */
    size_t alignment;         /* bytes: what every allocation is aligned to at least; a power of two */
    size_t maximum_alignment; /* bytes: the largest that may be asked for */
    size_t granule;           /* bytes: the unit of virtual mapping; 0 without virtual memory */
    uint32_t compute_units;
    uint32_t features;     /* TARN_FEATURE_… */
    uint32_t memory_kinds; /* TARN_MEMORY_KIND_BIT(…) of each kind it can allocate */
} tarn_device_properties;

/* Defined by the backend; the hardware layer only passes the pointers on. */
typedef struct tarn_backend_device tarn_backend_device;
typedef struct tarn_backend_stream tarn_backend_stream;
typedef struct tarn_backend_event tarn_backend_event;

/* One granule of physical memory, as the backend numbers it. */
typedef uint64_t tarn_backend_granule;

/* What Tarn offers to a backend. The pointer stays valid until `stop` returns. */
typedef struct tarn_backend_host {
    size_t struct_size;
    /* Keeps the sentence for tarn_last_error() and returns `status`, so that a failure is one line. */
    tarn_status (*fail)(tarn_status status, const char *format, ...) TARN_PRINTF(2, 3);
    void (*log)(tarn_log_level level, const char *format, ...) TARN_PRINTF(2, 3);
} tarn_backend_host;

typedef void (*tarn_host_function)(void *context);

/* A box of bytes, as rectangular copies move it: rows of `width` bytes, `height` rows to a slice, `depth` slices. A pitch is how many bytes
 * lie between the beginnings of two rows, or of two slices, and each side has its own. Where any of the three is 0 there is nothing to
 * copy.
 *
 * A user may leave pitches 0: rows that lie side by side, slices too. A pitch of what there is one of is not looked at. Backends get boxes with all pitches in them, two rows or more, and rows
 * as long as they can be: rows that lie side by side on both sides have become one, slices that do have become rows. Rows do not
 * overlap: a row pitch is `width` at least, and a slice pitch (`height` - 1) × row pitch + `width`. */
typedef struct tarn_box {
    size_t struct_size;
    size_t width;                                          /* bytes */
    size_t height;                                         /* rows */
    size_t depth;                                          /* slices */
    size_t destination_row_pitch, destination_slice_pitch; /* bytes */
    size_t source_row_pitch, source_slice_pitch;           /* bytes */
} tarn_box;

/* Who may do what could disturb a capture while it lasts: ask the host whether an event of the device is complete, or wait
 * for one. The first two are strict, and such a capture is ended on the thread that began it. */
typedef enum tarn_capture_mode {
    TARN_CAPTURE_GLOBAL = 0,   /* no thread */
    TARN_CAPTURE_THREAD_LOCAL, /* any thread but the one that began the capture */
    TARN_CAPTURE_RELAXED       /* any thread */
} tarn_capture_mode;

typedef enum tarn_graph_node_kind {
    TARN_GRAPH_NODE_COPY = 0,
    TARN_GRAPH_NODE_FILL,
    TARN_GRAPH_NODE_HOST_FUNCTION,
    TARN_GRAPH_NODE_OPERATION,
    TARN_GRAPH_NODE_COPY_BOX /* only where the backend has stream_copy_box, or no graphs of its own */
} tarn_graph_node_kind;

/* A piece of captured work. What its kind does not have is zero. */
typedef struct tarn_graph_node_info {
    size_t struct_size;
    tarn_graph_node_kind kind;
    void *destination;
    const void *source;
    unsigned char pattern[8];
    size_t pattern_size; /* bytes */
    size_t size;         /* bytes */
    tarn_host_function function;
    void *context;
    const tarn_backend_operation *operation; /* lives as long as the graph */
    tarn_box box; /* as stream_copy_box gets it, or one row; `size` is how many bytes it has */
} tarn_graph_node_info;

/* Graphs of the driver's own (optional as a whole: `capture` in the table). The hardware layer captures by itself, on every
 * backend: it keeps the rules of tarn/graph.h and notes what is captured, and which piece comes after which. With these
 * functions the driver gets that as a graph once, and launches are its own. Without them each launch enqueues the pieces one
 * after the other through the stream functions, or, where the host reaches the device's memory, does them in one host
 * function. */
typedef struct tarn_backend_graph tarn_backend_graph;

/* A captured piece of work, and the numbers of those that must have finished before it begins; all are smaller than its own. */
typedef struct tarn_backend_graph_node {
    tarn_graph_node_info work; /* a size of 0 does nothing */
    const size_t *after;
    size_t after_count;
} tarn_backend_graph_node;

typedef struct tarn_backend_capture {
    size_t struct_size; /* sizeof(tarn_backend_capture) */

    /* Makes a graph that is ready to be launched; what `nodes` points to is the caller's. */
    tarn_status (*graph_create)(tarn_backend_device *device, const tarn_backend_graph_node *nodes, size_t count,
                                tarn_backend_graph **out_graph);
    /* No launch of it is running. Also called for a device that was lost. */
    void (*graph_destroy)(tarn_backend_device *device, tarn_backend_graph *graph);
    /* Has later launches do `work`, of the same kind, as number `node`. Launches so far, which may still run, are not touched. Not
     * called in two threads for one graph, nor while it is being launched. */
    tarn_status (*graph_update)(tarn_backend_device *device, tarn_backend_graph *graph, size_t node,
                                const tarn_graph_node_info *work);
    /* Enqueues the whole graph on the stream, or nothing of it. The stream has been made to wait for the launch before. */
    tarn_status (*graph_launch)(tarn_backend_device *device, tarn_backend_graph *graph, tarn_backend_stream *stream);
} tarn_backend_capture;

/* Peers: devices of one backend that reach each other's memory (optional as a whole: `peer` in the table; a device that has
 * peers says TARN_FEATURE_PEER_ACCESS). Access goes one way: `device` reaches the memory of `owner`. The two are open, of this
 * backend, and not the same. */
typedef struct tarn_backend_peer {
    size_t struct_size; /* sizeof(tarn_backend_peer) */

    /* Writes 1 where access can be enabled, else 0: an answer of the hardware, which does not change. */
    tarn_status (*can_access)(tarn_backend_device *device, tarn_backend_device *owner, int *out_can);
    /* Lets work of `device` read and write all DEVICE, MANAGED and SHARED memory of `owner`, at the addresses that it has there: what
     * `owner` has now, what memory_allocate hands out later, and every granule that is mapped there, now or later. So from here on
     * virtual_map of `owner` makes what it maps accessible to `device` too, and fails whole where that fails. Each pair is enabled
     * once, and not while it is being disabled; not called for a pair for which can_access answers 0. */
    tarn_status (*enable)(tarn_backend_device *device, tarn_backend_device *owner);
    /* Ends that; no work of `device` uses the memory of `owner` any more. The layer calls it for every pair that is enabled before it
     * closes either of the two, also when one of them was lost. Whatever it answers, the pair is not enabled afterwards. */
    tarn_status (*disable)(tarn_backend_device *device, tarn_backend_device *owner);
    /* (optional) Copies in the order of `stream`, which belongs to one of the two devices, between DEVICE or SHARED memory of both,
     * whether or not access is enabled. NOT_SUPPORTED, with nothing enqueued, where the driver cannot copy between these two: the layer then copies
     * by way of pinned memory, as it does where the function is missing. */
    tarn_status (*copy)(tarn_backend_stream *stream, tarn_backend_device *destination_device, void *destination,
                        tarn_backend_device *source_device, const void *source, size_t size);
    /* (optional) Later work of `stream` waits for the point that `event` marks, which belongs to `owner`, another device of this
     * backend. Without it a host function of the stream waits, by event_synchronize of `owner`: a driver that cannot be called
     * from its own host functions needs this one. */
    tarn_status (*wait)(tarn_backend_stream *stream, tarn_backend_device *owner, tarn_backend_event *event);
    /* (optional) As copy, for a box (stream_copy_box). Without it, and where it answers NOT_SUPPORTED with nothing enqueued, each row goes
     * by `copy`. */
    tarn_status (*copy_box)(tarn_backend_stream *stream, tarn_backend_device *destination_device, void *destination,
                            tarn_backend_device *source_device, const void *source, const tarn_box *box);
} tarn_backend_peer;

/* Memory between processes (optional as a whole: `interprocess` in the table; a device that has it offers the kind SHARED).
 *
 * What memory_allocate hands out as SHARED is DEVICE memory in every other way. It can stand behind file descriptors, which go to other
 * processes over Unix sockets. The physical memory lives until every process that allocated or imported it has given it back or
 * ended, and every descriptor is closed: a process that ends takes nothing from the others. */
typedef struct tarn_backend_interprocess {
    size_t struct_size; /* sizeof(tarn_backend_interprocess) */

    /* Opens a descriptor for memory that memory_allocate handed out as SHARED, whole: `address` and `size` are those of
     * the allocation. Descriptors are closed on exec; the caller closes it, before or after the memory is given back. */
    tarn_status (*memory_export)(tarn_backend_device *device, void *address, size_t size, int *out_descriptor);
    /* Makes the memory behind a descriptor readable and writable at an address of this process, aligned to `alignment`, as for
     * memory_allocate. `size` is what memory_export was given. The descriptor is open, stays the caller's and may be anything:
     * INVALID_ARGUMENT for one that is not such memory, has another size, or could be cut short by another process;
     * INVALID_STATE where the driver tells that its owner has given it back; NOT_SUPPORTED for memory of a device that this
     * one cannot reach. The layer gives it back with memory_close, not with memory_free. */
    tarn_status (*memory_import)(tarn_backend_device *device, int descriptor, size_t size, size_t alignment,
                                 void **out_address);
    /* Gives imported memory back in this process. The work that used it has finished. */
    tarn_status (*memory_close)(tarn_backend_device *device, void *address, size_t size);
} tarn_backend_interprocess;

/* Stream-ordered memory: pools that the driver keeps, from which memory is had and to which it is freed in the order of a stream's work
 * (optional as a whole: `stream_ordered` in the table; a device that has it says TARN_FEATURE_STREAM_ORDERED).
 *
 * Memory may be used by work of the stream it was allocated on from then on, and of other streams that have been made to wait for
 * that point. Freed on a stream, it may be used until that point of the stream; the pool hands it out again on that stream
 * at once, and on another one only when that is in order. It is DEVICE memory in every other way, and reached by the peers of the
 * device. Neither call waits for the device. */
typedef struct tarn_backend_pool tarn_backend_pool;

/* When memory whose free lies ahead on one stream may be handed out on another; or-ed together. A driver that does not tell them apart
 * ignores them. */
enum {
    TARN_POOL_FOLLOWS_EVENTS = 1u << 0,   /* when the other stream waits for an event behind the free */
    TARN_POOL_OPPORTUNISTIC = 1u << 1,    /* when the free turns out to have been reached */
    TARN_POOL_ADDS_DEPENDENCIES = 1u << 2 /* by making the other stream wait for the free */
};

typedef struct tarn_backend_pool_options {
    size_t struct_size;
    uint64_t release_threshold; /* bytes that the pool keeps when the host waits for the device; UINT64_MAX: all */
    uint32_t reuse;             /* TARN_POOL_… */
} tarn_backend_pool_options;

typedef struct tarn_backend_pool_figures {
    size_t struct_size;
    uint64_t reserved, reserved_peak; /* bytes of the device's memory that the pool has */
    uint64_t used, used_peak;         /* bytes of it that are handed out, or whose free has not been reached */
} tarn_backend_pool_figures;

typedef struct tarn_backend_stream_ordered {
    size_t struct_size; /* sizeof(tarn_backend_stream_ordered) */

    tarn_status (*pool_create)(tarn_backend_device *device, const tarn_backend_pool_options *options,
                               tarn_backend_pool **out_pool);
    /* All its memory has been freed; frees may lie ahead on their streams still, and take place. Also called for a device that was lost,
     * whose memory need not have been freed. */
    void (*pool_destroy)(tarn_backend_device *device, tarn_backend_pool *pool);
    /* Memory aligned to the properties' alignment. OUT_OF_MEMORY when there is none: the caller waits for frees, trims and tries again.
     * INVALID_STATE where another library captures the stream. */
    tarn_status (*pool_allocate)(tarn_backend_device *device, tarn_backend_pool *pool, tarn_backend_stream *stream,
                                 size_t size, void **out_address);
    /* The stream has been made to wait for what uses the memory on others. INVALID_STATE where another library captures it. */
    tarn_status (*pool_free)(tarn_backend_device *device, tarn_backend_pool *pool, tarn_backend_stream *stream,
                             void *address, size_t size);
    /* Gives memory that is not used back to the device, down to `keep` bytes or as far as that goes. */
    tarn_status (*pool_trim)(tarn_backend_device *device, tarn_backend_pool *pool, uint64_t keep);
    /* Fills every member after struct_size. */
    tarn_status (*pool_figures)(tarn_backend_device *device, tarn_backend_pool *pool,
                                tarn_backend_pool_figures *out_figures);
    /* Sets the peaks to the current figures. */
    tarn_status (*pool_reset_peaks)(tarn_backend_device *device, tarn_backend_pool *pool);
} tarn_backend_stream_ordered;

typedef struct tarn_backend {
    uint32_t abi_version; /* TARN_BACKEND_ABI_VERSION */
    uint32_t struct_size; /* sizeof(tarn_backend) */

    /* What stands before the colon in a device's name: "cpu", "cuda". Lower-case letters, digits and '-'. */
    const char *name;
    tarn_device_type type;

    /* (optional) Called once, before anything else, when somebody first asks for the backend; whoever else does waits. It
     * must not call Tarn except through `host`. A failure lists the backend as unavailable with the sentence as the reason; UNAVAILABLE is the
     * status for "no driver, no hardware". */
    tarn_status (*start)(const tarn_backend_host *host);
    /* (optional) Called once at exit. Not called where `start` failed or a device is still open. */
    void (*stop)(void);

    /* How many devices there are now. */
    tarn_status (*device_count)(int *out_count);
    /* Opens a device. `arguments` is what follows the colon in its name, "" when nothing does: "0", "80GiB,lag=10ms".
     * INVALID_ARGUMENT for words it does not understand, NOT_FOUND for a device that is not there. */
    tarn_status (*device_open)(const char *arguments, tarn_backend_device **out_device);
    /* Also called for a device that was lost, as are the functions that destroy streams and events. */
    void (*device_close)(tarn_backend_device *device);
    /* Fills every member after struct_size. */
    tarn_status (*device_properties)(tarn_backend_device *device, tarn_device_properties *out_properties);
    /* Blocks until all streams of the device are idle. */
    tarn_status (*device_synchronize)(tarn_backend_device *device);

    /* Memory. `size` is above zero, `alignment` a power of two between the properties' alignment and
     * maximum_alignment. OUT_OF_MEMORY when there is none: the caller frees caches and tries again. */
    tarn_status (*memory_allocate)(tarn_backend_device *device, tarn_memory_kind kind, size_t size, size_t alignment,
                                   void **out_address);
    /* The work that used it has finished. */
    tarn_status (*memory_free)(tarn_backend_device *device, tarn_memory_kind kind, void *address, size_t size);

    /* Virtual memory (optional, all six or none; TARN_FEATURE_VIRTUAL_MEMORY). Sizes and addresses are multiples of
     * the properties' granule. Addresses are reserved once; granules are created, mapped, unmapped, mapped elsewhere
     * and released. Unmapping a granule keeps it, not its contents. Each call succeeds whole or changes nothing. With
     * TARN_FEATURE_ALIASING a granule that is mapped may be mapped again elsewhere; without it that is refused. */
    tarn_status (*virtual_reserve)(tarn_backend_device *device, size_t size, void **out_address);
    tarn_status (*virtual_release)(tarn_backend_device *device, void *address, size_t size);
    tarn_status (*granules_create)(tarn_backend_device *device, size_t count, tarn_backend_granule *out_granules);
    tarn_status (*granules_release)(tarn_backend_device *device, size_t count, const tarn_backend_granule *granules);
    /* Maps `count` granules one after the other from `address` on, readable and writable by the device. */
    tarn_status (*virtual_map)(tarn_backend_device *device, void *address, size_t count,
                               const tarn_backend_granule *granules);
    /* The work that used the range has finished. */
    tarn_status (*virtual_unmap)(tarn_backend_device *device, void *address, size_t count);

    /* Streams: ordered queues of work. The default stream, stream_default, is opened and closed with the device. */
    tarn_backend_stream *(*stream_default)(tarn_backend_device *device);
    tarn_status (*stream_create)(tarn_backend_device *device, tarn_backend_stream **out_stream);
    /* The stream is idle. */
    void (*stream_destroy)(tarn_backend_device *device, tarn_backend_stream *stream);
    tarn_status (*stream_synchronize)(tarn_backend_device *device, tarn_backend_stream *stream);
    /* Runs `function` on a host thread when all earlier work of the stream has finished. */
    tarn_status (*stream_host_function)(tarn_backend_device *device, tarn_backend_stream *stream,
                                        tarn_host_function function, void *context);
    /* Copies between memory that the device can reach; the ranges do not overlap. */
    tarn_status (*stream_copy)(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                               const void *source, size_t size);
    /* Writes `pattern`, of 1, 2, 4 or 8 bytes, `size / pattern_size` times. The destination is aligned to the pattern. */
    tarn_status (*stream_fill)(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                               const void *pattern, size_t pattern_size, size_t size);
    /* Later work of `stream` waits for the point that `event` marks. */
    tarn_status (*stream_wait)(tarn_backend_device *device, tarn_backend_stream *stream, tarn_backend_event *event);

    /* Events mark the point of a stream where they were last recorded; one never recorded is complete. */
    tarn_status (*event_create)(tarn_backend_device *device, tarn_backend_event **out_event);
    void (*event_destroy)(tarn_backend_device *device, tarn_backend_event *event);
    tarn_status (*event_record)(tarn_backend_device *device, tarn_backend_event *event, tarn_backend_stream *stream);
    tarn_status (*event_query)(tarn_backend_device *device, tarn_backend_event *event, int *out_complete);
    tarn_status (*event_synchronize)(tarn_backend_device *device, tarn_backend_event *event);
    /* Nanoseconds from the completion of `begin` to that of `end`; both are complete. */
    tarn_status (*event_elapsed)(tarn_backend_device *device, tarn_backend_event *begin, tarn_backend_event *end,
                                 int64_t *out_nanoseconds);

    /* (optional) Simulated time, for devices that are driven by a trace's clock: sets the clock forward to
     * `nanoseconds`, and reads how long the driver calls and waits so far have taken in simulated time. */
    tarn_status (*clock_set)(tarn_backend_device *device, uint64_t nanoseconds);
    tarn_status (*clock_cost)(tarn_backend_device *device, uint64_t *out_nanoseconds);

    /* (optional) Graphs of the driver's own. */
    const tarn_backend_capture *capture;
    /* (optional) Access to the memory of other devices. Without it, copies between devices go by way of the host. */
    const tarn_backend_peer *peer;
    /* (optional) Memory between processes. */
    const tarn_backend_interprocess *interprocess;
    /* (optional) Operations on tensors. Without them there are none on its devices, and tensors can only be copied and filled. */
    const tarn_backend_operations *operations;

    /* Objects of the driver that other libraries made, or want to have (optional, each by itself): CUstream and CUcontext for
     * CUDA, cl_command_queue and cl_context for OpenCL. A backend says in its README which.
     *
     * stream_adopt makes a stream of one that another library made on the same device and goes on using; `native` may be NULL where the
     * driver gives that a meaning (CUDA: the default stream of the context). It stays the other library's: stream_destroy only forgets it.
     * It may be adopted more than once. INVALID_ARGUMENT where the driver tells that it is no stream, or one of another device. */
    tarn_status (*stream_adopt)(tarn_backend_device *device, void *native, tarn_backend_stream **out_stream);
    /* The driver's own stream behind any stream of the device; it stays the backend's. */
    tarn_status (*stream_native)(tarn_backend_device *device, tarn_backend_stream *stream, void **out_native);
    /* The driver's own context of the device; it stays the backend's. */
    tarn_status (*device_native)(tarn_backend_device *device, void **out_native);

    /* (optional) As event_create, for an event that event_elapsed is never asked about, where the driver has such events and they cost
     * less. Without it event_create makes them. */
    tarn_status (*event_create_untimed)(tarn_backend_device *device, tarn_backend_event **out_event);

    /* (optional) Copies a box between memory that the device can reach. Bytes of the two sides do not overlap, though their rows may take turns
     * in one piece of memory. Without it, and where it answers NOT_SUPPORTED with nothing enqueued, each row goes by stream_copy. */
    tarn_status (*stream_copy_box)(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                                   const void *source, const tarn_box *box);

    /* (optional) Pools of the driver's. Without them `cuda_async` is not to be had. */
    const tarn_backend_stream_ordered *stream_ordered;

    /* (optional, beside clock_set) At the clock's present time the traced program has enqueued work on the stream: events that are recorded there
     * later mark its end. Until it is first called, the program is taken to enqueue work on every stream all the time. */
    tarn_status (*clock_enqueue)(tarn_backend_device *device, tarn_backend_stream *stream);
} tarn_backend;

/* The name of the constant that a shared object exports. */
#define TARN_BACKEND_SYMBOL "tarn_backend_table"

TARN_END_DECLARATIONS

#endif
