/* Track: who holds an allocator's memory.
 *
 * A stack with the adaptor `track` remembers for each live buffer where it was asked for and under which tag:
 *
 *     track | caching              the caller of the allocating function
 *     track:frames=8 | caching     and up to seven callers of that one, found by unwinding the stack
 *
 * A site is a tag together with the callers. When the stack's last reference is released, what still lives is written to the log,
 * one line for each site. The functions here tell the same at any time. Each takes the whole stack; NOT_SUPPORTED for one
 * without `track`, the highest counts where there are several. Any thread. */
#ifndef TARN_TRACK_H
#define TARN_TRACK_H

#include <stddef.h>
#include <stdint.h>

#include <tarn/buffer.h>

TARN_BEGIN_DECLARATIONS

typedef struct tarn_track_site {
    size_t struct_size;
    const char *tag;           /* NULL: none */
    const void *const *frames; /* addresses that the calls return to, the innermost first */
    size_t frame_count;        /* 0: not known */
    uint64_t buffers;          /* live */
    uint64_t bytes;            /* asked for by those */
    uint64_t total_buffers;    /* ever */
    uint64_t total_bytes;
} tarn_track_site;

/* Calls `visit` for each site that has live buffers, the one with most bytes first. A non-zero return stops. The site and
 * what it points to are valid during the call. `visit` may call the allocator, and holds up nobody. OUT_OF_MEMORY. */
TARN_API tarn_status tarn_track_each_site(tarn_allocator *allocator,
                                          int (*visit)(void *context, const tarn_track_site *site), void *context);

/* Writes "3 buffers of 1.5 MiB, tag \"weights\", asked for at load+0x4f (program)", cut to the capacity, and returns the
 * length that the whole text has, as snprintf does. Reads the symbol tables of the files that the callers lie in: slow. */
TARN_API size_t tarn_track_site_to_string(const tarn_track_site *site, char *out_text, size_t capacity);

/* Writes all sites that have live buffers, one line each with a newline at its end, and returns the length that the whole
 * text has, as snprintf does; 0 where nothing lives, and for a stack without `track`. */
TARN_API size_t tarn_track_report(tarn_allocator *allocator, char *out_text, size_t capacity);

typedef struct tarn_track_place {
    size_t struct_size;
    tarn_buffer *buffer; /* still its owner's */
    ptrdiff_t
        offset; /* of the pointer from the buffer's first byte; negative before it, which `guard` has memory for */
    tarn_track_site site; /* its pointers are valid as long as the allocator */
} tarn_track_place;

/* Which live buffer an address lies in, at its beginning or inside; the caller sets struct_size. INVALID_ARGUMENT for any
 * other address, which is never read. Inside a buffer this takes time in proportion to the number of
 * live ones. INVALID_STATE inside a visit of the allocator's blocks. */
TARN_API tarn_status tarn_track_find(tarn_allocator *allocator, const void *pointer, tarn_track_place *out_place);

TARN_END_DECLARATIONS

#endif
