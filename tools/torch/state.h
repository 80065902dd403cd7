/* What the plug-in keeps: its devices, their streams and pools, and whose pointers are whose.
 *
 * Devices are opened once and stay. Order of locks: a device's lock, then that of a shelf of pointers. The driver is called without
 * them, but for adopting streams and making pools, which is rare. */
#ifndef TORCH_STATE_H
#define TORCH_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "memory/pointer_table.h"
#include "torch/torch.h"

#define TORCH_DEVICES 64

typedef struct torch_pool {
    tarn_torch_pool_id id;
    tarn_allocator *allocator; /* a strategy without adaptors, so that it is the owner of its buffers */
    unsigned users;            /* times begun and not released; 0: it ends with its last buffer */
    unsigned requests;         /* that threads are serving from it, with the lock released */
    bool is_active;            /* allocations go to it */
    int (*filter)(void *context, void *stream);
    void (*drop)(void *context);
    void *context;
    struct torch_pool *next;
} torch_pool;

/* A buffer whose free waits until no pool is allocated to. */
typedef struct torch_late_free {
    tarn_buffer *buffer;
    tarn_stream *stream;
    struct torch_late_free *next;
} torch_late_free;

typedef struct torch_device {
    int number;
    tarn_device *device;
    tarn_allocator *allocator;

    pthread_mutex_t lock;
    pointer_table streams;    /* tarn_stream by cudaStream_t. Protected by lock, as all that follows */
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

/* pool.c. The pool that a request on that stream is for, which stays until the request has ended; NULL: none, so that the request is for
 * the device's own allocator. */
torch_pool *torch_pool_begin(torch_device *device, void *native);
/* The request has ended. NULL is allowed. */
void torch_pool_end(torch_device *device, torch_pool *pool);
/* A buffer of the owner was freed: ends a pool that was released and has none left. */
void torch_pool_tend(torch_device *device, const tarn_allocator *owner);
/* Puts the free off until no pool is allocated to; false where that is now, or there is no host memory. */
bool torch_pool_put_off(torch_device *device, tarn_buffer *buffer, tarn_stream *stream);

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
/* Notes that other streams use the pointer's memory, too. False when there is no host memory for that. */
bool torch_pointers_share(const void *pointer);

#endif
