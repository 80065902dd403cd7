/* The history of a PyTorch snapshot, between its pickle and the trace: pytorch.c fills it in, trace_history_emit
 * makes events of it.
 *
 * The history is a ring whose beginning may be lost, so it cannot be played forward from nothing. What was there
 * at its start is told by its other end: a block that is freed in it but never allocated in it was there, and so
 * was a block of the final segments that it never mentions. These become the trace's initial allocations. */
#ifndef TRACE_PYTORCH_HISTORY_H
#define TRACE_PYTORCH_HISTORY_H

#include "trace_internal.h"

typedef enum history_action {
    HISTORY_ALLOC,
    HISTORY_FREE_REQUESTED,
    HISTORY_FREE_COMPLETED,
    HISTORY_SEGMENT_ALLOC,
    HISTORY_SEGMENT_FREE,
    HISTORY_OUT_OF_MEMORY,
    HISTORY_MARK,
    HISTORY_DROPPED /* says nothing that the trace needs */
} history_action;

typedef struct history_entry {
    int64_t time_ns; /* never decreasing within one device */
    uint64_t address, size;
    uint64_t stream;     /* as in the file */
    uint32_t allocation; /* index of what it allocates or frees; set by trace_history_emit */
    uint32_t replaced;   /* of an alloc: the allocation whose free is missing; set likewise */
    uint32_t sequence;   /* place in the file: orders entries of the same time */
    uint32_t site, tag;
    uint16_t device;
    uint8_t action; /* history_action */
} history_entry;

typedef struct history_block {
    tarn_trace_block block;
    uint64_t stream; /* as in the file */
} history_block;

/* All zero is an empty history. The entries of a device lie together, in order. */
typedef struct trace_history {
    const char *path;
    history_entry *entries;
    size_t entry_count;
    history_block *blocks;
    size_t block_count;
    uint16_t device_count;   /* one more than the highest number used */
    uint64_t final_reserved; /* bytes in the final segments */
    uint64_t told_peak;      /* bytes reserved at most, where the file says so; else 0 */
    struct history_allocation *allocations;
    size_t allocation_count, allocation_capacity;
} trace_history;

/* Works out what was there at the start and adds everything to the builder. CORRUPT_DATA: memory is freed twice. */
tarn_status trace_history_emit(trace_history *history, trace_builder *builder);
void trace_history_discard(trace_history *history);

#endif
