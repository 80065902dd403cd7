/* What a planned allocator notes while it learns: each request in its order, and the moment when its buffer was freed.
 *
 * Time is counted in events: each request that is noted is one, and so is each free of a buffer that was noted. The end of a round is
 * a mark in this list, or is found as the period with which the list repeats. Not locked. */
#ifndef MEMORY_PLANNED_LOG_H
#define MEMORY_PLANNED_LOG_H

#include "memory/pointer_table.h"
#include "memory/strategy.h"

#define PLANNED_ALIVE UINT64_MAX
/* Longer rounds are not learnt. */
#define PLANNED_MOST_REQUESTS ((size_t)1 << 20)

typedef struct planned_request {
    size_t size, alignment; /* bytes; the size as buffers have it, rounded up */
    uint64_t born, died;    /* events; PLANNED_ALIVE */
    uint32_t stream;
} planned_request;

typedef struct planned_log {
    planned_request *requests;
    size_t count, room;
    uint64_t first;      /* how many were forgotten before the first one that is there */
    uint64_t clock;      /* events so far */
    pointer_table notes; /* of live blocks: the number of their request, counted from 1 for ever */
    /* The round that is under way begins with that request and at that event, and so did the one before it. Indices into `requests`;
     * without a round before, both are the same. */
    size_t begin, previous;
    uint64_t begin_clock;
    bool is_broken;  /* the round lacks a request, for want of host memory or because it is too long */
    size_t check_at; /* where the period is looked for again */
} planned_log;

/* One round to plan, copied out of the log: `previous` are the requests of the round before it, one for each, where that was alike; else
 * NULL. */
typedef struct planned_round {
    planned_request *requests, *previous;
    size_t count;
    uint64_t begin, end; /* events */
} planned_round;

/* Notes the request that a block serves. What there is no host memory for breaks the round. */
void planned_log_add(planned_log *log, const memory_block *block, const planned_request *request);
/* Notes that a block is freed; of one that was not noted, nothing. */
void planned_log_remove(planned_log *log, const memory_block *block);
/* Ends the round. With true, it is to be planned, and was copied to `out_round`: nothing of it outlives it, the one before was alike, or
 * `is_enough`. OUT_OF_MEMORY: it could not be copied. */
tarn_status planned_log_end_round(planned_log *log, bool is_enough, bool *out_is_ready, planned_round *out_round);
/* Where it is time to look, looks for a period; with true there is one, and its last round was copied: the latest request is the first one
 * of the round that follows. */
bool planned_log_find_period(planned_log *log, planned_round *out_round);
/* Forgets everything and begins a round. */
void planned_log_clear(planned_log *log);
void planned_log_end(planned_log *log);

void planned_round_end(planned_round *round);
/* Whether two requests are the same, whatever became of them. */
static inline bool planned_is_alike(const planned_request *a, const planned_request *b) {
    return a->size == b->size && a->stream == b->stream && a->alignment == b->alignment;
}

#endif
