/* Arenas: allocators that hand memory out from one end and take it back all at once.
 *
 * An arena is a stack of allocators whose strategy is `arena`, adaptors before it included: tarn_allocator_create(device,
 * "limit:1GiB | arena | caching", &allocator). Its memory comes in chunks from the element after it, or from the device where it
 * stands last, and stays with the arena until tarn_allocator_empty_cache or the end. A buffer may also be freed by itself: its
 * memory is used again once everything behind it in its chunk is free too.
 *
 * An arena is for one thread at a time, also where buffers are freed by their handles. Threads may take turns, if something
 * orders them. Two threads that are in the arena at once are told so with INVALID_STATE where that is noticed, which is not
 * always: it is an aid, no guarantee.
 *
 * Stream order: memory that was handed out for a stream goes back to that stream, at once, whether by free, reset or rewind. A
 * buffer that other streams were recorded for, or that was freed on another one, keeps its place until their work up to
 * that moment is known to be complete; the arena goes on beside it and waits for nobody. */
#ifndef TARN_ARENA_H
#define TARN_ARENA_H

#include <tarn/allocator.h>

TARN_BEGIN_DECLARATIONS

/* Takes all buffers back and keeps the memory. Their handles become stale and are refused from then on, whatever serves
 * their memory later. Adaptors of the stack hear of each buffer as if it had been freed on its own stream. INVALID_ARGUMENT:
 * NULL; NOT_SUPPORTED: no arena; INVALID_STATE: another thread is in the arena, or a visit of its blocks. */
TARN_API tarn_status tarn_arena_reset(tarn_allocator *allocator);

/* A point in the life of one arena; made by tarn_arena_mark, read by nobody else. */
typedef struct tarn_arena_position {
    uint64_t arena, sequence, rewinds;
} tarn_arena_position;

/* Writes the present position. Any number of positions may be kept, and nothing needs to be given back. Statuses as above. */
TARN_API tarn_status tarn_arena_mark(tarn_allocator *allocator, tarn_arena_position *out_position);
/* Takes back every buffer that was handed out since the position, as a reset does; older ones stay. The position stays good and may be
 * rewound to again. INVALID_ARGUMENT, and nothing changed: a position of another arena, and one that a rewind to an
 * older one or a reset has passed since. The arena remembers the last 64 different positions rewound to; a position from
 * before that may be refused too. */
TARN_API tarn_status tarn_arena_rewind(tarn_allocator *allocator, const tarn_arena_position *position);

TARN_END_DECLARATIONS

#endif
