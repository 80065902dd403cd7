/* Host functions: malloc, calloc, realloc and free on a Tarn allocator, for libraries that take such functions.
 *
 * Libraries that pass a context on, such as zlib, are given the functions and the structure itself as the context:
 *
 *     stream.zalloc = functions->allocate_items; stream.zfree = functions->free; stream.opaque = functions->context;
 *
 * Libraries without a context, such as jansson and SQLite, are given functions of a slot, of which a process has eight:
 *
 *     tarn_plain_functions plain;
 *     tarn_host_functions_bind(functions, &plain);
 *     json_set_alloc_funcs(plain.allocate, plain.free);
 *
 * Every pointer that was handed out is remembered. Freeing or reallocating any other one is refused, is reported to the log and changes
 * nothing; the pointer is never followed. All functions may be called from any thread if the allocator may. */
#ifndef TARN_HOST_FUNCTIONS_H
#define TARN_HOST_FUNCTIONS_H

#include <tarn/allocator.h>

TARN_BEGIN_DECLARATIONS

/* Made by tarn_host_functions_create alone; the members are read only. Failing functions return NULL and set errno to ENOMEM, for bad
 * arguments to EINVAL; tarn_last_error() has the sentence. Memory is on the default stream, aligned as the device aligns it, at
 * least as malloc does. */
typedef struct tarn_host_functions {
    size_t struct_size;
    void *context; /* what each function takes first */
    /* As malloc; 0 bytes give a pointer of their own, too. */
    void *(*allocate)(void *context, size_t size);
    /* As calloc: zeroed. */
    void *(*allocate_zeroed)(void *context, size_t count, size_t size);
    /* As realloc: the contents move along. NULL allocates, and 0 bytes free and return NULL. On failure the old memory stays. */
    void *(*reallocate)(void *context, void *memory, size_t size);
    /* As free; NULL is allowed. */
    void (*free)(void *context, void *memory);
    /* As aligned_alloc: `alignment` is a power of two. Freed and reallocated as the others; then without that alignment. */
    void *(*allocate_aligned)(void *context, size_t alignment, size_t size);
    /* Not zeroed; in the form that zlib and libraries like it take. */
    void *(*allocate_items)(void *context, unsigned count, unsigned size);
    /* Bytes that may be used; 0 for a pointer that is not one of these. */
    size_t (*usable_size)(void *context, const void *memory);
} tarn_host_functions;

/* Creates functions on the allocator, which they keep alive. Caller owns them. NOT_SUPPORTED: memory that the host cannot read; OUT_OF_MEMORY. */
TARN_API tarn_status tarn_host_functions_create(tarn_allocator *allocator, tarn_host_functions **out_functions);
/* Frees the functions and their slot, if any: whoever was given them must not call them any more. Memory that is still allocated is
 * reported to the log (count, bytes), and stays live in the allocator. NULL is allowed. */
TARN_API tarn_status tarn_host_functions_release(tarn_host_functions *functions);

/* The same functions without a context. */
typedef struct tarn_plain_functions {
    size_t struct_size;
    void *(*allocate)(size_t size);
    void *(*allocate_zeroed)(size_t count, size_t size);
    void *(*reallocate)(void *memory, size_t size);
    void (*free)(void *memory);
    size_t (*usable_size)(const void *memory);
} tarn_plain_functions;

#define TARN_HOST_SLOTS 8

/* Takes one of the process's eight slots for the functions until their release; the caller sets struct_size. Bound twice, they give the same
 * slot. BUSY: all slots are taken. */
TARN_API tarn_status tarn_host_functions_bind(tarn_host_functions *functions, tarn_plain_functions *out_plain);

TARN_END_DECLARATIONS

#endif
