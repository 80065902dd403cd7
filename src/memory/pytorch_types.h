/* The structures of the allocator `pytorch`, and what always holds of them.
 *
 * Memory is taken in segments. A segment belongs to a pool: each stream has one for small requests and one for large ones. Blocks
 * tile a segment without gaps, and each is of one kind:
 *
 *     USED      a buffer, or about to become or to have been one; `uses` are the other streams that use it
 *     PENDING   freed, and other streams are not known to be done with it; `flags` counts them
 *     FREE      in its pool's tree `free`; no neighbour in the segment is FREE
 *     UNMAPPED  addresses without memory, in its pool's tree `unmapped`; whole pages; no neighbour in the segment is UNMAPPED
 *
 * A plain segment is one driver allocation, and goes back when it is one FREE block. An expandable segment is a range of addresses
 * larger than the device's memory, one for each pool; pages of it are mapped when they are needed and unmapped when everything
 * that is cached is given back.
 *
 * A stream counts: whatever becomes FREE notes the stream's `sequence` in `freed_at`, and when the stream's work has been waited for,
 * all that was freed up to then is idle: `settled`. Only idle memory goes back to the driver. PyTorch's streams never end; here, what
 * one that has ended leaves behind is given to the next new one. */
#ifndef MEMORY_PYTORCH_TYPES_H
#define MEMORY_PYTORCH_TYPES_H

#include <pthread.h>

#include "hal/device.h"
#include "hal/event.h"
#include "memory/pytorch_settings.h"
#include "memory/pytorch_tree.h"
#include "memory/stats.h"

typedef struct pytorch pytorch;
typedef struct pytorch_stream pytorch_stream;

/* memory_block.kind */
enum { PYTORCH_FREE = 1, PYTORCH_USED, PYTORCH_PENDING, PYTORCH_UNMAPPED };

typedef struct pytorch_pool {
    pytorch_stream *stream;
    bool is_small;
    pytorch_tree free;     /* by size */
    pytorch_tree unmapped; /* by address */
} pytorch_pool;

struct pytorch_stream {
    pytorch *owner;
    pytorch_stream *next;
    uint32_t number;     /* of the stream, or of the one that has ended */
    tarn_stream *stream; /* borrowed; NULL when it has ended */
    unsigned waiters;    /* threads that wait for it, whose end waits for them */
    uint64_t sequence, settled, last_freed;
    pytorch_pool large, small;
    size_t segments;
};

/* A page of an expandable segment. */
typedef enum pytorch_page {
    PYTORCH_PAGE_NONE = 0,
    PYTORCH_PAGE_MAPPED,
    /* In UNMAPPED blocks, with memory that the driver did not take back yet: it was not unmapped; it was not released. */
    PYTORCH_PAGE_STUCK,
    PYTORCH_PAGE_STRAY
} pytorch_page;

typedef struct pytorch_segment {
    struct pytorch_segment *next, *previous;
    pytorch_pool *pool;
    uintptr_t address;
    size_t size; /* bytes */
    /* Of an expandable one; page_size is 0 in a plain one. */
    size_t page_size;
    uint8_t *pages; /* pytorch_page of each */
    tarn_backend_granule *granules;
    size_t strays; /* STUCK and STRAY pages */
} pytorch_segment;

/* A stream that uses a block besides the block's own. Each live buffer has one that is in no use yet, so that a free on
 * another stream never lacks memory. */
typedef struct pytorch_use {
    struct pytorch_use *next; /* of the same live buffer; in a queue: freed later; or: in no use either */
    memory_block *block;      /* once it is in a queue */
    hal_event *event;         /* NULL: none was needed yet; kept from use to use */
    uint32_t stream;
    bool is_recorded; /* the event marks the point at which the stream is done with the block */
    bool is_done;     /* that point was waited for */
    /* In the first of a queue. */
    struct pytorch_use *last, *next_queue;
} pytorch_use;

struct pytorch {
    tarn_allocator base;

    /* Fixed. */
    pytorch_settings settings;
    size_t unit;    /* bytes: blocks are multiples of it */
    size_t granule; /* bytes; of expandable segments */
    size_t limit;   /* bytes that may be reserved; SIZE_MAX: no limit */

    pthread_mutex_t lock; /* protects what follows, all blocks, segments and streams */
    pthread_cond_t waited;
    pytorch_stream *streams;
    pytorch_segment *segments;
    pytorch_tree blocks; /* all of them */
    pytorch_use *queues; /* of pending uses, one for each stream that has any */
    pytorch_use *unused;
    size_t unused_count;
    uint64_t searches; /* of large pools, as garbage collection counts age */

    memory_tally tally;
    tarn_figure cached, reserved;
    uint64_t waits;
};

static inline pytorch *pytorch_of(tarn_allocator *allocator) { return (pytorch *)(void *)allocator; }
static inline pytorch_segment *pytorch_segment_of(const memory_block *block) { return block->home; }
/* The stream on which the block will be used next, when it is FREE: not always the one of a live buffer, which may have ended. */
static inline pytorch_stream *pytorch_stream_of(const memory_block *block) {
    return pytorch_segment_of(block)->pool->stream;
}
static inline pytorch *pytorch_owner_of(const memory_block *block) { return pytorch_stream_of(block)->owner; }
/* Whether the block is all of its segment. */
static inline bool pytorch_is_whole(const memory_block *block) {
    return block->capacity == pytorch_segment_of(block)->size;
}
static inline bool pytorch_is_expandable(const memory_block *block) {
    return pytorch_segment_of(block)->page_size != 0;
}

#endif
