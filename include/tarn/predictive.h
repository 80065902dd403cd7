/* Predictive allocation: buffers for shapes that vary from one use to the next.
 *
 * A `predictive` allocator is asked for bounds, not for bytes: the smallest shape, the largest, and what is expected. It
 * gives a buffer with room to spare, and the buffer is resized as the shape changes. A padding strategy decides how much room
 * there is; what it learns, it learns for each site, which is the tag of the request. What does not fit the capacity grows
 * in place where the device has virtual memory: addresses are reserved for the largest shape, and memory is mapped as
 * it is needed. Elsewhere the buffer moves, with its contents.
 *
 * The allocator is a tarn_allocator like any other: everything in tarn/allocator.h works with it, buffers are freed with
 * tarn_allocator_free or tarn_buffer_free, and a stale handle is refused. It is made by tarn_predictive_create, or by text:
 *
 *     predictive[:strategy=fixed|adaptive|quantile, factor=1.2, growth=1.5, shrink=0.5, quantile=0.9,
 *                 max=SIZE, kind=…, in_place=on|off]
 *
 * A plain request for bytes is a request for the shape [size] of u8, without an upper bound; its size is learnt at once.
 *
 * Any thread may use the allocator; one buffer is resized, freed and asked about by one thread at a time, as its pointer and
 * capacity change. Work on other streams than the one named in a call must not need the old place of the buffer then. */
#ifndef TARN_PREDICTIVE_H
#define TARN_PREDICTIVE_H

#include <tarn/allocator.h>
#include <tarn/shape.h>

TARN_BEGIN_DECLARATIONS

/* What has been learnt of a site: the sizes of its uses. Up to 128 different sizes are kept exactly; beyond that,
 * neighbours are taken together. Older uses slowly lose weight. */
typedef struct tarn_padding_site tarn_padding_site;

/* What a padding strategy is asked about. All sizes are in bytes. */
typedef struct tarn_padding_request {
    size_t struct_size;
    size_t needed;   /* of the shape that the buffer is to hold */
    size_t capacity; /* that the buffer has; 0 when it is being allocated */
    size_t minimum;  /* of the smallest shape within the bounds */
    size_t expected; /* of the expected shape */
    size_t maximum;  /* of the largest shape; PTRDIFF_MAX without bounds */
    size_t
        recent_count; /* last uses of this buffer that are remembered, this one included: at most TARN_PADDING_RECENT */
    size_t recent_largest; /* the largest of them */
    const tarn_padding_site *site;
} tarn_padding_request;

#define TARN_PADDING_RECENT 16

/* A strategy. The functions are called under the allocator's lock, by any thread: they may call the tarn_padding_site_
 * functions and nothing else of the allocator (INVALID_STATE). */
typedef struct tarn_padding_strategy {
    size_t struct_size;
    const char *name;
    void *context;
    /* How many bytes the buffer should have. Called for an allocation, when `needed` exceeds the capacity, and when
     * should_resize said yes. Less than `needed` is taken for `needed`, more than `maximum` for `maximum`. */
    size_t (*required_size)(void *context, const tarn_padding_request *request);
    /* (optional) 1 when a buffer that is large enough should be given another capacity all the same; without it no buffer
     * shrinks. */
    int (*should_resize)(void *context, const tarn_padding_request *request);
} tarn_padding_strategy;

/* How many uses of the site weigh in, and the largest of its last TARN_PADDING_RECENT ones; 0 when there was none. */
TARN_API uint64_t tarn_padding_site_uses(const tarn_padding_site *site);
TARN_API size_t tarn_padding_site_recent_largest(const tarn_padding_site *site);
/* The smallest size that at least `fraction` (0 to 1) of the uses do not exceed; 0 when there was none. */
TARN_API size_t tarn_padding_site_quantile(const tarn_padding_site *site, double fraction);
/* Which fraction of the uses was smaller than `bytes`. */
TARN_API double tarn_padding_site_fraction_below(const tarn_padding_site *site, size_t bytes);

typedef enum tarn_padding_kind {
    /* The size times `factor`. Never shrinks. */
    TARN_PADDING_FIXED = 0,
    /* What the site has needed lately, or the size times `factor` as long as nothing is known. Grows by `growth` times the
     * capacity. Shrinks to the largest of the last TARN_PADDING_RECENT uses when none of them used `shrink` of it. */
    TARN_PADDING_ADAPTIVE,
    /* The `quantile` of the sizes that the site has used, or the size times `factor` as long as nothing is known. Grows to
     * the median of the known sizes that are as large as needed; by `growth` where none is. Shrinks as `adaptive` does,
     * but not below the quantile. */
    TARN_PADDING_QUANTILE
} tarn_padding_kind;

typedef struct tarn_predictive_options {
    size_t struct_size;
    tarn_padding_kind padding;             /* one of the built-in strategies */
    const tarn_padding_strategy *strategy; /* used instead where not NULL; must live as long as the allocator */
    double factor;                         /* from 1; 0: 1.2 */
    double growth;                         /* from 1; 0: 1.5 */
    double shrink;                         /* from 0 to 1; 0: 0.5 */
    double quantile;                       /* from 0 to 1; 0: 0.9 */
    size_t
        max_capacity; /* bytes that all buffers together may have, to be changed by tarn_allocator_set_limit; 0: no limit */
    tarn_memory_kind kind; /* only DEVICE memory grows in place */
    int always_moves;      /* 1: nothing grows in place, even where it could */
} tarn_predictive_options;

/* Creates a predictive allocator on `device`; NULL options are all defaults. Caller owns one reference; the allocator keeps the
 * device alive. INVALID_ARGUMENT for numbers out of their range and a strategy without its function; NOT_SUPPORTED: a memory
 * kind that the device lacks; OUT_OF_MEMORY. */
TARN_API tarn_status tarn_predictive_create(tarn_device *device, const tarn_predictive_options *options,
                                            tarn_allocator **out_allocator);

/* Hands out a buffer for the expected shape of `bounds`, on the options' stream, for the site that their tag names. The bounds
 * are copied. Caller owns the buffer. INVALID_ARGUMENT: bounds that contradict themselves or cannot be counted, an
 * expected shape without elements, an allocator that is not predictive at the end of its stack; else as
 * tarn_allocator_allocate_with. Padding is never a reason to fail: where the device or the limit has no room for it, the
 * buffer gets what it needs. */
TARN_API tarn_status tarn_predictive_allocate(tarn_allocator *allocator, const tarn_shape_bounds *bounds,
                                              tarn_element_type type, const tarn_allocate_options *options,
                                              tarn_buffer **out_buffer);

/* Gives the buffer another shape, which is learnt. Within the capacity nothing moves and nothing is asked of the device. Beyond it
 * the memory grows in place or the buffer moves; its first bytes, as many as both shapes have, are kept, copied on
 * `stream` where they move (NULL: the stream that it was allocated for). Read tarn_buffer_data again afterwards. After a shape
 * became smaller, only the bytes of the new one are kept.
 * INVALID_ARGUMENT, and counted as refused: a shape outside the bounds. LIMIT_EXCEEDED, OUT_OF_MEMORY, SHUT_DOWN as for an
 * allocation, with the buffer as it was. NOT_SUPPORTED: a buffer that was allocated through an adaptor, which would not
 * learn of its new size. INVALID_ARGUMENT for a stale handle and a buffer of another kind of allocator. A reclaimer that is
 * called meanwhile must not free this buffer. */
TARN_API tarn_status tarn_predictive_resize(tarn_buffer *buffer, const tarn_shape *shape, tarn_stream *stream);

/* Tells the shape that is really used: the site learns it, and the buffer expects it from now on. Nothing is resized. Errors
 * as above. */
TARN_API tarn_status tarn_predictive_update_expectations(tarn_buffer *buffer, const tarn_shape *actual);

/* What is known of a buffer. */
typedef struct tarn_predictive_info {
    size_t struct_size;
    void *pointer;
    size_t capacity;       /* bytes that it has */
    size_t reach;          /* bytes that it can grow to in place; the capacity where it cannot */
    size_t effective_size; /* bytes of its shape */
    double utilization;    /* effective size / capacity */
    tarn_element_type type;
    tarn_shape shape;
    tarn_shape_bounds bounds;
    uint64_t allocated_ns; /* when it was allocated, on the monotonic clock */
    uint64_t resizes, moves;
} tarn_predictive_info;

/* Fills the structure; the caller sets struct_size. INVALID_ARGUMENT as above. */
TARN_API tarn_status tarn_predictive_info_get(const tarn_buffer *buffer, tarn_predictive_info *out_info);

/* What an allocator has done. A use is an allocation or a resize: at each, the capacity and what the shape needs of it are
 * added up. */
typedef struct tarn_predictive_stats {
    size_t struct_size;
    uint64_t allocations, frees, resizes;
    uint64_t refused;          /* shapes beyond their bounds */
    uint64_t in_place_growths; /* no byte was copied */
    uint64_t in_place_shrinks;
    uint64_t moves, moved_bytes; /* to another place, with what was copied there */
    uint64_t live;               /* buffers */
    uint64_t sites;
    uint64_t uses;
    uint64_t allocated_bytes;   /* capacity, added up over the uses */
    uint64_t wasted_bytes;      /* capacity that the shape did not need, added up over the uses */
    double average_utilization; /* 1 - wasted_bytes / allocated_bytes; 0 before the first use */
} tarn_predictive_stats;

/* Fills the structure; the caller sets struct_size. INVALID_ARGUMENT for an allocator that is not predictive. */
TARN_API tarn_status tarn_predictive_stats_get(tarn_allocator *allocator, tarn_predictive_stats *out_stats);
/* Writes them as lines of text for people, and returns the length that the whole text has, as snprintf does. */
TARN_API size_t tarn_predictive_stats_to_report(const tarn_predictive_stats *stats, char *out_text, size_t capacity);

TARN_END_DECLARATIONS

#endif
