/* The structures of the hardware layer, with who protects what.
 *
 * A device is a backend's handle with what every caller needs to know cached beside it, and with the state that the layer
 * itself keeps: whether it may be called at all, what reached the driver, which streams there were. Other rooms use
 * the functions of hal/device.h, hal/memory.h and hal/event.h; the members are visible so that those can be inline.
 *
 * Order of locks, outermost first: the registry's lock, then a device's `lock`, then its `region_lock`. No lock is held
 * while a backend, a watcher or a log callback runs. */
#ifndef HAL_TYPES_H
#define HAL_TYPES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <tarn/stream.h>

#include "base/range_map.h"

typedef struct hal_backend hal_backend;
typedef struct hal_stream_watcher hal_stream_watcher;
typedef struct hal_capture hal_capture;
typedef struct hal_deferred hal_deferred;

struct tarn_stream {
    tarn_device *device;
    tarn_backend_stream *handle;
    atomic_uint references; /* not counted for the default stream */
    uint32_t number;        /* 0: the default stream */
    atomic_bool has_work;   /* something was enqueued since the stream was last waited for */
    atomic_int failure;     /* tarn_status of work that failed after it was enqueued; the next wait reports it */
    /* Whether `capture` is set. Released when that has been, and acquired by those who ask without the lock. */
    atomic_bool is_capturing;
    /* Protected by the device's lock; graph.h. */
    hal_capture *capture;
    unsigned capture_place; /* which of the capture's streams this is */
};

/* What reached the driver; see tarn_device_counters. All relaxed: they order nothing. */
typedef struct hal_counters {
    atomic_uint_fast64_t allocs, frees, maps, unmaps;
    atomic_uint_fast64_t waits, wait_ns;
    atomic_uint_fast64_t in_use, peak;
} hal_counters;

struct tarn_device {
    /* Fixed while the device is open. */
    const tarn_backend *table;
    tarn_backend_device *handle;
    hal_backend *backend;
    char *name;
    tarn_device_properties properties; /* as they were at opening: memory_free is out of date */
    struct tarn_stream default_stream;
    unsigned process;  /* hal_process when it was opened: a forked child sees another one */
    bool is_inherited; /* from the parent of a fork; set before the child goes on */

    atomic_uint references; /* 0 is reached with the registry's lock held */
    atomic_bool is_lost;    /* set once by the first DEVICE_LOST, never cleared */
    atomic_bool has_work;   /* as in a stream, for all streams */
    atomic_int failure;     /* likewise */
    atomic_uint_fast32_t last_stream_number;
    hal_counters counters;

    /* Protected by the registry's lock. */
    tarn_device *next;
    bool is_opening; /* a placeholder: `opener` is asking the backend for it */
    pthread_t opener;

    pthread_mutex_t lock;
    pthread_cond_t watcher_idle;
    hal_stream_watcher *watchers; /* protected by lock */
    hal_capture *captures;        /* protected by lock */
    atomic_uint strict_captures;  /* of those, the ones that are not relaxed. Relaxed: asked again with the lock held */
    /* Graphs and instances that were released while they ran. Written with the lock held; relaxed where it is only asked
     * whether there are any. */
    hal_deferred *_Atomic deferred;

    pthread_mutex_t region_lock;
    base_range *regions; /* allocations and reservations by address; protected by region_lock */
};

/* Changes in a forked child and when the process begins to exit: what was opened under another value is out of reach. */
extern atomic_uint hal_process;

#endif
