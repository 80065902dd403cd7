/* Buffers whose lifetimes are known before they are needed, laid out in one block: the intermediates of an expression, or what a
 * capture allocates.
 *
 * Two that are not alive at the same time may share memory. The planner (tarn/plan.h) decides where each lies, once; then
 * the block is taken from any allocator, as often as the work is done, in one request:
 *
 *     memory_lifetime lifetimes[] = {
 *         {.begin = 0, .end = 2, .size = 4096},   // written by step 0, read last by step 1
 *         {.begin = 1, .end = 3, .size = 1024},
 *         {.begin = 2, .end = 4, .size = 4096}};  // where the first one was
 *     status = memory_layout_create(lifetimes, 3, 0, &layout);
 *     status = memory_layout_take(layout, allocator, stream, "intermediates", &block);
 *     char *second = (char *)tarn_buffer_data(block) + layout->offsets[1];
 *
 * A step that may write its result over what it reads says so by its result's `begin` being the `end` of what it reads. */
#ifndef MEMORY_LAYOUT_H
#define MEMORY_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include <tarn/allocator.h>

typedef struct memory_lifetime {
    int64_t begin, end; /* alive in [begin, end), in any unit: steps, events. begin < end */
    size_t size;        /* bytes; 0: it needs no memory, and gets offset 0 */
    size_t alignment;   /* bytes, a power of two; 0: LAYOUT_ALIGNMENT */
} memory_lifetime;

/* A cache line: two buffers share none. */
#define LAYOUT_ALIGNMENT ((size_t)64)

/* Not changed once it is made: any number of threads may use it at the same time. */
typedef struct memory_layout {
    size_t count;
    size_t size;        /* bytes of the block; 0: none is needed */
    size_t alignment;   /* of the block, in bytes */
    size_t lower_bound; /* bytes that no layout can do with less than */
    size_t total;       /* bytes if none shared memory with another */
    uint64_t offsets[]; /* `count` */
} memory_layout;

/* Lays them out, in the calling thread. `timeout_seconds` as in tarn_plan_options: negative is the quick plan, which is right where
 * it is made as often as the work is done. The caller owns the layout. INVALID_ARGUMENT: begin >= end, or an alignment that is no power
 * of two, with its index; LIMIT_EXCEEDED: more bytes than can be addressed; OUT_OF_MEMORY, of the host. */
tarn_status memory_layout_create(const memory_lifetime *lifetimes, size_t count, double timeout_seconds,
                                 memory_layout **out_layout);
/* NULL is allowed. Blocks that were taken stay. */
void memory_layout_destroy(memory_layout *layout);

/* Takes the block as tarn_allocator_allocate_with does, with its errors; the caller frees it as any buffer. NULL, and OK, where the
 * layout has no bytes. */
tarn_status memory_layout_take(const memory_layout *layout, tarn_allocator *allocator, tarn_stream *stream,
                               const char *tag, tarn_buffer **out_block);

#endif
