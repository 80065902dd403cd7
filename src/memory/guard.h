/* guard[:quarantine=SIZE,canary=SIZE,pages=on|off,frames=N] as its parts know it: guard.c, which hands out and takes back;
 * guard_queue.c, where freed blocks wait; guard_memory.c, which fills and looks at memory; guard_query.c, which answers; guard_report.c, which finds words.
 *
 * A guarded buffer has a descriptor of its own and lies inside a larger block of the element below:
 *
 *     | … | canary | the caller's bytes | canary | … |        pages=off: `canary` bytes on each side
 *     | closed page | canary | the caller's bytes | canary | closed page |        pages=on: canaries up to the pages
 *
 * From its allocation until its block is given back, an entry is in the map `known`. What becomes of it:
 *
 *     LIVE     freed     WAITING, until the streams that use it have passed the free
 *              judged    QUARANTINED, filled with poison (closed, with pages=on), the oldest first out
 *              looked at given back
 *
 * Whoever works on an entry without the lock has set `is_held`; others wait for that or leave it alone. */
#ifndef MEMORY_GUARD_H
#define MEMORY_GUARD_H

#include <pthread.h>

#include "base/call_site.h"
#include "base/range_map.h"
#include "memory/direct_streams.h"
#include "memory/stats.h"
#include "memory/strategy.h"

#define GUARD_TAG 48 /* room for a tag; longer ones are cut */
#define GUARD_SENTENCE 1024

typedef enum guard_state { GUARD_LIVE, GUARD_WAITING, GUARD_QUARANTINED } guard_state;

/* How the host gets at the memory. */
typedef enum guard_access {
    GUARD_BY_POINTER,
    GUARD_BY_COPIES, /* through a stream of the guard's own */
    GUARD_BY_NOTHING /* the device stores nothing */
} guard_access;

typedef struct guard_call {
    const void *frames[BASE_CALL_FRAMES];
    unsigned count;
} guard_call;

/* What is told of a buffer. */
typedef struct guard_record {
    const tarn_buffer *handle;
    const void *address;
    size_t size;
    char tag[GUARD_TAG]; /* a copy: the text need not outlive the buffer */
    guard_call allocated, freed;
} guard_record;

typedef struct guard_entry {
    base_range range;    /* of the inner block, in `known` */
    memory_block *block; /* handed out; the owner is the guard */
    memory_block *inner; /* of the element below; NULL once that has taken it back */
    tarn_buffer *inner_handle;
    size_t front, back; /* bytes of canary before and after */
    guard_record record;
    direct_use *uses; /* streams, protected by the lock of the streams */
    /* Protected by the guard's lock. */
    guard_state state;
    bool is_held;
    bool is_returned;                    /* a free has come */
    struct guard_entry *next, *previous; /* in a queue */
    /* Of whoever holds the entry. */
    bool has_unknown_use; /* by a stream that could not be remembered */
    bool is_poisoned;     /* what is to be seen of a write: poison, or closed pages */
    bool is_closed;
} guard_entry;

typedef struct guard_queue {
    guard_entry *first, *last;
    size_t bytes; /* of inner blocks */
    size_t count;
} guard_queue;

typedef struct guard {
    tarn_allocator base;
    size_t quarantine, canary; /* bytes */
    bool has_pages;
    unsigned frames;
    guard_access access;
    direct_streams streams;
    tarn_stream *stream; /* for copies, or NULL */
    unsigned char *staging;
    tarn_memory_kind staging_kind;
    atomic_bool
        is_behind; /* a wait for `stream` has failed; relaxed: whoever sets it is the one who gives memory back */

    pthread_mutex_t lock; /* protects what follows; no driver is called and nothing is logged with it held */
    pthread_cond_t let_go;
    base_range *known;
    guard_queue waiting, quarantined;
    /* Entries of freed memory that was taken back by the strategy while streams still used it. What one of them has is in no other: who
     * gets the memory next takes them out first. */
    base_range *overtaken;
    uintptr_t polled; /* where the next look at these goes on */
    memory_tally tally;
    tarn_figure cached;
    char finding[GUARD_SENTENCE]; /* the first that no check or release has answered yet */

    pthread_mutex_t copying; /* one copy at a time, for there is one staging area; the driver is called with it held */
} guard;

static inline guard *guard_of(tarn_allocator *allocator) { return (guard *)(void *)allocator; }
static inline guard_entry *guard_entry_of(base_range *range) { return (guard_entry *)(void *)range; }

/* guard_memory.c */

#define GUARD_CANARY 0xCA
#define GUARD_POISON 0xDB

/* A byte that is not what it should be. */
typedef struct guard_damage {
    ptrdiff_t offset; /* of the first, from the caller's first byte */
    size_t count;     /* how many differ, from there on */
    unsigned char found;
} guard_damage;

/* Reads from the device what it needs; NOT_SUPPORTED for pages where there can be none. `self` has its arguments. */
tarn_status guard_memory_begin(guard *self);
void guard_memory_end(guard *self);
/* How much the inner block needs for a request, where the caller's bytes lie in it, and how it is aligned. False where that
 * is more than there are addresses. */
bool guard_layout(const guard *self, const memory_request *request, size_t *out_size, size_t *out_offset,
                  size_t *out_alignment);
/* Bytes that a buffer takes beside its own, where the alignment is the device's. */
size_t guard_overhead(const guard *self);
/* Lays canaries around the caller's bytes and closes the pages. The memory is idle. */
tarn_status guard_memory_arm(guard *self, guard_entry *entry);
/* Looks at the canaries, and mends what is damaged. True where something was. */
bool guard_memory_is_overrun(guard *self, guard_entry *entry, guard_damage *out_damage);
/* Fills the freed memory with poison, or closes it. It is idle. */
void guard_memory_poison(guard *self, guard_entry *entry);
bool guard_memory_is_written(guard *self, guard_entry *entry, guard_damage *out_damage);
/* Tells the element below what of its memory the guard's own stream may still use. Before the inner block goes back. */
void guard_memory_leave(guard *self, memory_block *inner);
/* Opens everything again, for the element below. */
void guard_memory_release(guard *self, guard_entry *entry);

/* guard_queue.c */

/* Frees a held entry that is out of the LIVE state. CORRUPT_DATA for what was found in it or others meanwhile. */
tarn_status guard_queue_take(guard *self, guard_entry *entry);
/* Whether the streams that use an entry have passed the point where this was first asked. Never blocks. */
bool guard_has_passed(guard *self, guard_entry *entry);
/* Waits for the streams that use an entry. The failure of that. Without the lock. */
tarn_status guard_wait_for(guard *self, const guard_entry *entry);
/* Looks after those that wait for streams. */
tarn_status guard_queue_poll(guard *self);
/* Gives everything back, waiting for streams; sets how many bytes that were. */
tarn_status guard_queue_flush(guard *self, size_t *out_bytes);
/* Looks at all canaries and all poison. */
tarn_status guard_queue_check(guard *self);
/* Sets `is_held` of an entry once it is free. Must be called with the lock held; the entry cannot go meanwhile. */
void guard_hold(guard *self, guard_entry *entry);
void guard_let_go(guard *self, guard_entry *entry);
/* Waits for streams that still use memory of the range, which the strategy took back and hands out again. */
void guard_queue_wait_for_overtaken(guard *self, const memory_block *inner);
/* Takes the entry of an inner block out of everything, held; false where there is none. Waits for whoever holds it. */
bool guard_queue_withdraw(guard *self, const memory_block *inner, guard_entry **out_entry);
/* Keeps in mind that streams still use the memory of a withdrawn entry, and lets go of it. */
void guard_queue_overtake(guard *self, guard_entry *entry);
/* Gives everything back whatever streams do: for the end, where they could not be waited for. */
void guard_queue_abandon(guard *self);
/* Destroys an entry that is in no list; its inner block is somebody else's. */
void guard_entry_destroy(guard_entry *entry);

/* guard_query.c: entries of the strategy table. */

tarn_status guard_stats(tarn_allocator *allocator, tarn_memory_stats *out_stats);
tarn_status guard_reset_peaks(tarn_allocator *allocator);
tarn_status guard_find(tarn_allocator *allocator, const void *pointer, memory_block **out_block);
tarn_status guard_containing(tarn_allocator *allocator, const void *pointer, memory_block **out_block);
tarn_status guard_each_block(tarn_allocator *allocator, int (*visit)(void *, const tarn_block_info *), void *context);

/* guard_report.c */

void guard_call_capture(const guard *self, const void *site, guard_call *out_call);
/* Remembers for later who freed what. */
void guard_remember(const guard_record *record);
/* Tells the log, keeps the sentence, and returns CORRUPT_DATA. */
tarn_status guard_report_overrun(guard *self, const guard_entry *entry, const guard_damage *damage);
tarn_status guard_report_written(guard *self, const guard_entry *entry, const guard_damage *damage);
/* A free was refused with `status` and the thread's sentence: says more where a guard knows more. `allocator` NULL: any; `block`
 * NULL: the handle is that of no live buffer. */
tarn_status guard_explain_refusal(tarn_status status, tarn_allocator *allocator, const tarn_buffer *buffer,
                                  const memory_block *block, const void *site);
/* A guard begins and ends. False when there is no host memory. */
bool guard_report_begin(void);
void guard_report_end(void);

#endif
