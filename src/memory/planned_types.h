/* What a planned allocator is made of, and what always holds of it.
 *
 * A plan is a list of entries, one for each request of a round, and a timeline of slots: in each, an entry's buffer is
 * allocated or freed. `next` is the slot that comes next. A place is *due* to an entry at `next` when the plan has the entry
 * alive then; an entry that outlives its round is freed in a slot before that of its request, and due around the end of the round.
 *
 *     slot    0    1    2    3    4    5
 *           +A   +B   -A   +C   -C   -B        next = 4: A is past, B and C are due
 *
 * Entries that are due at the same time never overlap, since the plan is right. So a request may have its place when all blocks that lie in
 * the plan are due: every entry whose block is there though it is not due (freed late, or still used by another stream) is *busy*
 * and lies in a map of ranges, and a place is handed out only where it overlaps none of these. In a program that keeps to
 * its plan the map is empty. */
#ifndef MEMORY_PLANNED_TYPES_H
#define MEMORY_PLANNED_TYPES_H

#include <tarn/planned.h>

#include "base/range_map.h"
#include "memory/biased_lock.h"
#include "memory/figures.h"
#include "memory/planned_log.h"
#include "memory/upstream.h"

typedef struct planned_plan planned_plan;
typedef struct planned_entry planned_entry;

typedef enum planned_state {
    PLANNED_IDLE,
    PLANNED_LIVE,
    PLANNED_WAITING, /* freed, and other streams may use it */
    PLANNED_LOST     /* freed, and used by a stream that could not be noted: only the whole device can be waited for */
} planned_state;

struct planned_entry {
    size_t size;         /* bytes, rounded up; 0: the guard behind the last slot */
    memory_block *block; /* NULL: kept by the element below */
    size_t alignment;    /* bytes */
    uint32_t stream;
    uint32_t served;     /* the round it was served in last */
    uint32_t begin, end; /* slots: allocated, freed; `end` means nothing where it is kept */
    planned_state state;
    bool is_busy; /* in the map */
    uint32_t kind;
    uint32_t region;
    size_t offset;    /* in the memory of its region */
    base_range range; /* in the map of what is busy */
    base_range shown; /* while the plan's blocks are put in order, to be shown or checked */
    planned_plan *plan;
    planned_entry *next_waiting;
};

/* Entries that are alike, in the order of their slots. */
typedef struct planned_kind {
    uint32_t *entries;
    uint32_t count, next; /* the first that was not served in `round` is not before `next` */
    uint32_t round;
} planned_kind;

/* The memory of one stream's entries. */
typedef struct planned_region {
    uint32_t stream;
    memory_block *piece; /* NULL while the plan has no memory */
    size_t size, alignment;
    direct_use *uses; /* of blocks that lay here, when the piece goes: the element below waits for them */
    bool is_lost;     /* likewise: only the whole device can be waited for */
} planned_region;

#define PLANNED_FREES 1u /* the lowest bit of a slot; the others are the entry's index */

struct planned_plan {
    planned_entry *entries; /* `count`, and the guard */
    uint32_t *slots;        /* `length`, and one that allocates the guard */
    planned_kind *kinds;
    uint32_t *kind_entries;  /* behind planned_kind.entries */
    uint32_t *kind_table;    /* by hash: index of a kind, plus one */
    size_t kind_table_count; /* a power of two */
    planned_region *regions;
    uint32_t count, length, kind_count, region_count, places;
    uint64_t bytes, lower_bound;

    bool has_memory;
    bool is_proven; /* a round came as it was planned */
    uint32_t next;  /* slot */
    uint32_t round; /* from 1 */
    uint32_t asked, deviations, in_a_row;
    uint32_t served; /* in this round: from their places, and kept */
    base_range *busy;
    planned_entry *waiting; /* those that are waiting or lost */
    size_t live;            /* entries */
    planned_plan *older;    /* in the list of those that are no longer served from */
};

typedef struct planned {
    tarn_allocator base;
    size_t alignment; /* of every buffer, and of sizes */
    uint64_t timeout; /* ms */
    direct_streams streams;
    biased_lock lock;    /* protects what follows */
    planned_plan *plan;  /* served from; NULL: none */
    planned_plan *older; /* no longer served from, and not all of it is idle */
    planned_log log;
    bool is_learning;
    bool is_marked;         /* the caller ends the rounds */
    bool is_tended;         /* a thread makes a plan, or takes memory for one or gives it back, without the lock */
    bool is_retired;        /* no short ways */
    bool wants_memory;      /* a round has begun, and the plan has none */
    bool wants_empty_cache; /* the plan has served its first round: what is cached below is not needed any more */
    unsigned patience, bad_rounds; /* rounds in a row that may deviate before it learns again, and how many did */
    unsigned learnt_rounds;        /* that learning took so far */
    memory_figures figures;
    size_t own; /* live blocks that this element is the top of */
    tarn_planned_stats counts;
} planned;

static inline planned *planned_of(tarn_allocator *allocator) { return (planned *)(void *)allocator; }

#endif
