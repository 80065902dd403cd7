/* The structures of the caching allocator, and what always holds of them.
 *
 * Address space is plenty and physical memory is dear, so the two are kept apart. Physical memory comes in granules (2 MiB on
 * most devices). A heap, one for each stream, has segments of reserved addresses; each granule of a segment is a
 * place where one physical granule may be mapped. A physical granule has exactly one home: the place through which it is
 * used now. Where the device allows one granule to be mapped at several addresses, the other places sleep: they
 * stay mapped, and become the home again without a driver call. That is how free granules of a fragmented heap are put under a
 * large request without moving anything, without waiting for the device (both uses are on one stream), and, once a
 * program repeats itself, without any driver call.
 *
 *     addresses  |  live  | free     |hollow|  free |        live       | hollow ...
 *     granules   |   h    |h    |h   |s     |h      |h      |h    |h    |               h: home, s: sleeping
 *
 * Each segment is tiled by blocks in address order:
 *   USED    handed out, or waiting in a thread's cache, or for another stream's event, or on its way to or from the driver
 *   FREE    every granule that it touches is at home here. Two FREE blocks never touch
 *   HOLLOW  whole granules, none of which is at home here. Two HOLLOW blocks never touch
 *
 * A device without virtual memory has segments that are one driver allocation each; all their granules are always home.
 *
 * Everything below is protected by caching.lock, except thread caches, whose own rule stands in caching_cache.h. */
#ifndef MEMORY_CACHING_TYPES_H
#define MEMORY_CACHING_TYPES_H

#include <pthread.h>

#include "hal/device.h"
#include "hal/event.h"
#include "hal/memory.h"
#include "memory/stats.h"
#include "memory/strategy.h"

typedef struct caching caching;
typedef struct caching_heap caching_heap;
typedef struct caching_segment caching_segment;
typedef struct caching_place caching_place;
typedef struct caching_physical caching_physical;
typedef struct caching_cache caching_cache;
typedef struct caching_pending caching_pending;
typedef struct caching_magazines caching_magazines;

enum { CACHING_USED = 0, CACHING_FREE, CACHING_HOLLOW };

/* A granule of addresses. */
struct caching_place {
    caching_segment *segment;   /* set when something is first mapped or begins here */
    caching_physical *physical; /* what is mapped here, NULL for nothing */
    caching_place *next;        /* another place of the same physical granule */
    memory_block *first;        /* the lowest block that begins in this granule, NULL for none */
    uint64_t freed_at;          /* the heap's sequence when `users` last became 0 */
    uint32_t users;             /* USED blocks that touch it */
};

/* A granule of memory. */
struct caching_physical {
    tarn_backend_granule handle;
    caching_place *home;
    caching_place *places; /* all of them, home included */
    uint32_t mark;         /* of the search that saw it last, */
    uint32_t seen;         /* and where: the number of the place */
    caching_physical *next_unused;
};

struct caching_segment {
    caching_heap *heap;
    caching_segment *next;
    uintptr_t address;
    size_t size; /* bytes, a multiple of the granule */
    size_t place_count;
    size_t mapped_count; /* nothing was ever mapped at places from this one on */
    caching_place *places;
    memory_block *first_block; /* lowest */
    memory_block *last_block;  /* highest */
    size_t used_blocks;
    bool is_plain;  /* one driver allocation, no virtual memory */
    bool is_ending; /* what sleeps here is being unmapped, without the lock */
};

/* Free blocks by the size of a part of them. Bins are powers of two divided into eight; the bitmap says which have blocks. */
#define CACHING_INDEX_BINS 320
typedef struct caching_index {
    uint64_t bitmap[CACHING_INDEX_BINS / 64];
    memory_block *bins[CACHING_INDEX_BINS];
    unsigned list; /* which of a block's links it uses */
} caching_index;

/* Sizes are indexed in units of 64 bytes, the smallest alignment there is. */
enum { CACHING_PIECE_SHIFT = 6 };

/* Which link of a free block belongs to what. */
enum { CACHING_LINK_PIECES = 0, CACHING_LINK_WHOLE };

/* A point in a heap's stream: all that was freed up to `sequence` is idle when `event` is complete. */
typedef struct caching_mark {
    hal_event *event;
    uint64_t sequence;
} caching_mark;

#define CACHING_MARKS 8

/* A place for a request. */
typedef struct caching_spot {
    caching_segment *segment;
    size_t offset;
} caching_spot;

typedef struct caching_memories caching_memories;

struct caching_heap {
    caching *owner;
    caching_heap *next;
    uint32_t stream_number;
    tarn_stream *stream;       /* borrowed; NULL when it has ended: then everything is idle */
    caching_segment *segments; /* in address order */
    caching_segment *shown;    /* the next one to be shown */
    /* FREE blocks that have a piece of a granule in use at either end, by their whole size in units of the smallest
     * alignment; and those that have whole granules, by their number. */
    caching_index pieces, wholes;
    memory_block *hollows; /* HOLLOW blocks, by CACHING_LINK_WHOLE */
    uint64_t sequence;     /* raised by each mark */
    uint64_t idle;         /* what was freed up to this sequence is idle */
    uint64_t freed_at;     /* the sequence at which anything was freed last that its stream may still use */
    caching_mark marks[CACHING_MARKS];
    unsigned first_mark, mark_count;
    size_t pending_points;      /* blocks of any heap that wait for this one's stream */
    uint64_t pending_at;        /* the sequence at which the latest of them was freed */
    caching_memories *memories; /* NULL until there is something to remember */
    unsigned waiters;           /* threads that wait for the stream without the lock: it does not end meanwhile */
    unsigned holds;             /* threads that come back to the structure: it stays, though its stream may end */
    bool is_growing;            /* a thread asks the driver for memory for it, perhaps without the lock */
    unsigned in_line;           /* threads that wait until it has grown */
    size_t free_granules;       /* whole ones of the FREE blocks that are shown */
    /* What is made ahead of need (caching_ahead.h). */
    bool goes_ahead; /* it had to have memory made, and nothing was refused or given back since */
    bool is_behind;  /* the thread is to make more for it */
};

struct caching {
    tarn_allocator base;

    /* Fixed. */
    tarn_memory_kind kind;
    bool is_virtual;
    bool has_aliasing;
    double gc; /* reserve no more than this part of the device's memory while idle memory is cached; 0: no rule */
    size_t cache_limit; /* bytes that one thread's cache may hold */
    size_t granule;     /* bytes */
    unsigned granule_shift;
    size_t alignment; /* bytes: blocks are multiples of it */
    size_t ahead;     /* granules of each heap that are kept ready; 0: none */
    /* Whether threads cache what they free. Written with the lock held, read without it: relaxed, since either
     * answer is right. */
    atomic_bool is_settled;
    /* What is above is read by all threads all the time, and does not share a line with what is written below. */
    char apart[64];

    pthread_mutex_t lock;
    caching_heap *heaps;
    caching_physical *unused_physicals; /* structures without memory */
    caching_physical *homeless;         /* memory that a failed driver call left mapped nowhere */
    memory_block *spares;               /* descriptors laid aside, by neighbours.next */
    size_t spare_count;
    caching_pending *pending;
    caching_cache *caches;
    caching_magazines *shared; /* CACHING_SLOTS of them; NULL until needed */
    size_t shared_bytes;
    /* Who asks the driver without the lock (caching_growth.h). */
    pthread_cond_t growth_changed;
    unsigned growing; /* threads that grow a heap */
    unsigned stops;   /* threads that keep others from it, or wait until they can */
    bool is_stopped;  /* one of them does */
    size_t asked;     /* bytes of plain segments that the driver is being asked for */
    /* The thread that makes memory ahead of need; the process that forked has it, the child does not. */
    pthread_t ahead_thread;
    bool has_ahead_thread;
    bool ahead_ends;    /* it is to end */
    hal_event **events; /* pooled */
    size_t event_count, event_capacity;
    uint32_t mark; /* of the latest search */

    /* Figures; those of the thread caches are added when they publish. */
    tarn_figure requested, in_use, blocks, reserved, cached;
    uint64_t failed, retries, waits;
    uint64_t histogram[TARN_HISTOGRAM_BUCKETS];
    bool is_retired;

    uint64_t quiet; /* how far the heaps have come to rest: requests that they served, less what driver calls cost */
    uint64_t settle_after; /* so much makes is_settled true; doubled each time that this proves too early */
};

static inline caching *caching_of(tarn_allocator *allocator) { return (caching *)(void *)allocator; }

static inline size_t caching_granule_floor(const caching *owner, size_t offset) {
    return offset >> owner->granule_shift;
}
static inline size_t caching_offset(const caching_segment *segment, const memory_block *block) {
    return (uintptr_t)block->address - segment->address;
}
static inline caching_segment *caching_segment_of(const memory_block *block) { return block->home; }

#endif
