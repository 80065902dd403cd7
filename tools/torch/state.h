/* What the plug-in keeps: its devices, their streams and pools, and whose pointers are whose.
 *
 * Devices are opened once and stay. Order of locks: that of looking at segments, a device's lock, then that of a ledger or of a
 * shelf of pointers. The driver is called without them, but for adopting streams and making pools, which is rare. */
#ifndef TORCH_STATE_H
#define TORCH_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "memory/pointer_table.h"
#include "torch/native.h"

#define TORCH_DEVICES 64

typedef struct torch_pool {
    tarn_torch_pool_id id;
    tarn_allocator *allocator; /* a strategy without adaptors, so that it is the owner of its buffers */
    unsigned users;            /* times begun and not released; 0: it ends with its last buffer */
    unsigned requests;         /* that threads are serving from it, with the lock released */
    bool is_active;            /* allocations go to it */
    bool is_whole;             /* blocks are not split */
    bool serves_failures;      /* what it has free serves requests of others that would fail */
    int (*filter)(void *context, void *stream);
    void (*drop)(void *context);
    void *context;
    struct torch_pool *next;
} torch_pool;

/* A buffer whose free waits until no pool is allocated to. */
typedef struct torch_late_free {
    tarn_buffer *buffer;
    tarn_stream *stream;
    tarn_torch_event event; /* that tells of it */
    struct torch_late_free *next;
} torch_late_free;

/* A run of mapped blocks of a segment. */
typedef struct torch_segment {
    uint64_t address, size;
    void *stream;
    tarn_torch_pool_id pool;
    bool is_expandable;
} torch_segment;

/* What the figures of a device are. */
typedef struct torch_ledger {
    pthread_mutex_t looking; /* protects `segments` and `seen` */
    torch_segment *segments; /* as they were when they were looked at last, by address */
    size_t segment_count;
    atomic_uint_fast64_t seen; /* calls of the driver up to then. Relaxed: who reads an old number looks again */

    pthread_mutex_t lock;   /* protects what follows */
    tarn_torch_stats stats; /* but what is asked of others */
    tarn_torch_stats bases; /* what others counted up to the last reset */
} torch_ledger;

typedef struct torch_device {
    int number;
    tarn_device *device;
    tarn_allocator *allocator;
    torch_ledger ledger;

    pthread_mutex_t lock;
    pointer_table streams;    /* tarn_stream by cudaStream_t. Protected by lock, as all that follows */
    pointer_table natives;    /* cudaStream_t by the number of Tarn's stream, which is no pointer */
    tarn_stream *null_stream; /* that of the stream NULL, which no table holds */
    torch_pool *pools;        /* the latest begun first */
    torch_late_free *late;
    atomic_uint active_pools; /* written with the lock held. Relaxed: a thread that begins a pool sees its own */
    atomic_uint pool_count;   /* likewise */
} torch_device;

/* Keeps the thread's sentence for tarn_torch_last_error and returns the status. */
tarn_status torch_fail(tarn_status status, const char *format, ...) TARN_PRINTF(2, 3);
/* Takes over libtarn's sentence where a call of it failed. */
tarn_status torch_answer(tarn_status status);
/* Prints "tarn-torch: …" to stderr. */
void torch_complain(const char *format, ...) TARN_PRINTF(1, 2);

/* device.c. The device, opened when it is first asked for. */
tarn_status torch_device_open(int number, torch_device **out_device);
/* The device if it is open, else NULL. */
torch_device *torch_device_known(int number);
/* Tarn's stream for PyTorch's. Borrowed, for as long as the process lives. */
tarn_status torch_stream_of(torch_device *device, void *native, tarn_stream **out_stream);

/* PyTorch's stream for the number of Tarn's; NULL for one that it did not name. Must be called with the device's lock held. */
void *torch_native_of(const torch_device *device, uint64_t number);

/* figures.c. */
void torch_ledger_begin(torch_ledger *ledger);
/* An allocation of `size` bytes, in a block of `capacity`, came or went. It stays active, until it is looked at, where other streams use it. */
void torch_count_allocation(torch_device *device, size_t size, size_t capacity);
void torch_count_free(torch_device *device, size_t size, size_t capacity, bool is_shared);
/* What is reserved now, in so many segments. */
void torch_count_segments(torch_device *device, const int64_t counts[TARN_TORCH_SIZES],
                          const int64_t bytes[TARN_TORCH_SIZES]);
static inline tarn_torch_sizes torch_sizes_of_request(size_t size) {
    return size <= (size_t)1 << 20 ? TARN_TORCH_SMALL : TARN_TORCH_LARGE;
}
static inline tarn_torch_sizes torch_sizes_of_segment(uint64_t size) {
    return size <= (uint64_t)2 << 20 ? TARN_TORCH_SMALL : TARN_TORCH_LARGE;
}

/* segments.c. Looks at the segments, if the driver was called since the last time; counts them, and tells of those that came and went. */
void torch_look(torch_device *device);

/* history.c. */
bool torch_is_watched(void);
void torch_tell(const tarn_torch_event *event);

/* pool.c. The pool that a request on that stream is for, which stays until the request has ended; NULL: none, so that the request is for
 * the device's own allocator. */
torch_pool *torch_pool_begin(torch_device *device, void *native);
/* The request has ended. NULL is allowed. */
void torch_pool_end(torch_device *device, torch_pool *pool);
/* A buffer of the owner was freed: ends a pool that was released and has none left. */
void torch_pool_tend(torch_device *device, const tarn_allocator *owner);
/* Puts the free off until no pool is allocated to; false where that is now, or there is no host memory. */
bool torch_pool_put_off(torch_device *device, tarn_buffer *buffer, tarn_stream *stream, const tarn_torch_event *event);
/* NOT_FOUND, saying which. */
tarn_status torch_fail_no_pool(int device, tarn_torch_pool_id id);
/* The pool of that name, or NULL. Must be called with the device's lock held, as the next one. */
torch_pool *torch_pool_find(const torch_device *device, tarn_torch_pool_id id);
/* The name of the pool whose allocator it is, or (0, 0). */
tarn_torch_pool_id torch_pool_name(const torch_device *device, const tarn_allocator *owner);
/* A pool that serves failures and has a free block of that size; it stays as after torch_pool_begin. NULL: none. */
torch_pool *torch_pool_begin_for_failure(torch_device *device, size_t size);

/* share.c. Ends what was kept for a pointer that was shared, and is freed now. */
void torch_close_share(const void *pointer);

/* fork.c. Has the plug-in's locks held around each fork, from the first call on: after libtarn's own are, so that they are taken first. */
void torch_watch_forks(void);
/* The locks of a file, all of them: taken before a fork, given back after it. */
void torch_device_opening_hold(bool is_held);
void torch_pointers_hold(bool is_held);
void torch_share_hold(bool is_held);

/* plugin.c. Remembers, counts and tells of a buffer that was allocated, which is freed where there is no host memory for that. */
tarn_status torch_hand_out(torch_device *device, tarn_buffer *buffer, void *native, tarn_torch_pool_id pool,
                           void **out_pointer);
/* Whose a buffer is, by the device that it lies on; NULL: nobody's here. */
torch_device *torch_device_of(const tarn_buffer *buffer);
/* Frees the buffer whose pointer is forgotten already, as tarn_torch_free does. */
void torch_free_buffer(torch_device *device, tarn_buffer *buffer, void *native, bool is_shared);

/* driver.c. A function of the CUDA driver that the process has loaded, written into a pointer to a function; false: there is none. */
bool torch_driver_find(const char *name, void *out_function);

/* capture_mode.c. Between the two, calls of this thread to the driver do not end captures, which matters only while a pool is allocated to.
 * The mode is what was before. */
int torch_capture_mode_relax(const torch_device *device);
void torch_capture_mode_restore(int mode);

/* pointers.c. The buffer behind each pointer that was handed out. */
/* False when there is no host memory. */
bool torch_pointers_add(const void *pointer, tarn_buffer *buffer);
/* NULL for a foreign pointer. */
tarn_buffer *torch_pointers_find(const void *pointer);
/* Takes the pointer out and returns its buffer; NULL for a foreign one. */
tarn_buffer *torch_pointers_remove(const void *pointer, bool *out_is_shared);
bool torch_pointers_is_shared(const void *pointer);
/* Notes that other streams use the pointer's memory, too. False when there is no host memory for that. */
bool torch_pointers_share(const void *pointer);

#endif
