/* What predictive allocators are made of.
 *
 * A *memory* is what the driver gave: one plain allocation, or a range of addresses in which granules are mapped from its beginning
 * on. It belongs to a buffer, or rests in the cache, or is in the hands of the one thread that makes it, changes it or gives it
 * back. A *handle* is a live buffer: its shape, its bounds, and the memory it has now.
 *
 *     range     |<------------------- range.size ------------------->|      plain: the capacity
 *     granules  | mapped | mapped | mapped |  (spare: owned, not mapped)
 *     capacity  |<------------------------>|
 *
 * The allocator's lock protects what the structures say; the driver is called without it. Who holds a memory alone changes it
 * with the lock held, so that others may read it. */
#ifndef MEMORY_PREDICTIVE_TYPES_H
#define MEMORY_PREDICTIVE_TYPES_H

#include <pthread.h>

#include "base/range_map.h"
#include "hal/memory.h"
#include "memory/direct_streams.h"
#include "memory/predictive_padding.h"
#include "memory/predictive_sites.h"
#include "memory/stats.h"
#include "memory/strategy.h"

#define PREDICTIVE_BINS 256

typedef struct predictive_handle predictive_handle;

typedef struct predictive_memory {
    base_range range; /* in `all` while it has an address */
    bool is_in_all;
    bool is_cached; /* in a bin */
    bool is_virtual;
    bool has_unknown_use; /* by a stream that is not among `uses` */
    size_t capacity;      /* bytes that can be used */
    size_t mapped;        /* granules */
    size_t owned;         /* granules, the mapped ones first */
    tarn_backend_granule *granules;
    uint32_t stream; /* number of the last buffer's */
    direct_use *uses;
    predictive_handle *handle;                 /* whose it is; NULL: nobody's */
    struct predictive_memory *next, *previous; /* in the bin, or among the remains */
} predictive_memory;

struct predictive_handle {
    memory_block *block;
    predictive_memory *memory;
    tarn_padding_site *site;
    tarn_shape_bounds bounds;
    tarn_shape shape;
    tarn_element_type type;
    size_t minimum, expected, maximum; /* bytes of the bounds */
    size_t alignment;
    size_t recent[TARN_PADDING_RECENT]; /* bytes of the last uses */
    uint64_t used;                      /* uses that there ever were */
    size_t trim_to;                     /* bytes to which a shrink in place waits to be done; 0: none waits */
    uint64_t allocated_ns, resizes, moves;
};

/* What an allocator is created with. */
typedef struct predictive_settings {
    tarn_padding_kind padding;
    const tarn_padding_strategy *strategy; /* NULL: the one of that kind */
    predictive_numbers numbers;
    size_t most; /* SIZE_MAX: no limit */
    tarn_memory_kind kind;
    bool grows_in_place;
} predictive_settings;

typedef struct predictive {
    tarn_allocator base;
    tarn_memory_kind kind;
    size_t granule; /* 0: nothing grows in place */
    predictive_numbers numbers;
    tarn_padding_strategy strategy;
    bool is_built_in; /* the strategy: it does not call back */
    direct_streams streams;

    pthread_mutex_t lock; /* protects what follows; never held while the driver is called */
    base_range *all;      /* memories, by address */
    predictive_memory *bins[PREDICTIVE_BINS];
    predictive_memory *remains; /* what could not be given back: tried again later */
    predictive_sites sites;
    bool has_limit;
    size_t most;     /* bytes that live buffers may have */
    size_t promised; /* bytes that they have or are about to have */
    memory_tally tally;
    tarn_figure cached, reserved;
    tarn_predictive_stats done;
} predictive;

static inline predictive *predictive_of(tarn_allocator *allocator) { return (predictive *)(void *)allocator; }
static inline predictive_memory *predictive_memory_of(base_range *range) { return (predictive_memory *)(void *)range; }

#endif
