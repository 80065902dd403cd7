/* Plans: an offset for every buffer of a program whose buffers' lifetimes are known before it runs, so that no two that live at the
 * same time overlap and the memory they need together is as small as can be found. Finding the smallest is NP-hard (dynamic storage
 * allocation); the lower bound says how far a plan can be from it. */
#ifndef TARN_PLAN_H
#define TARN_PLAN_H

#include <stddef.h>
#include <stdint.h>

#include <tarn/status.h>

TARN_BEGIN_DECLARATIONS

#define TARN_PLAN_ANYWHERE UINT64_MAX

/* A time during which a buffer is not needed whole: nothing of it, or only the bytes [window_lower, window_upper) of it. Others may
 * use the rest meanwhile. */
typedef struct tarn_plan_gap {
    int64_t lower, upper;                /* [lower, upper), within the buffer's lifetime */
    uint64_t window_lower, window_upper; /* within the buffer's size; both 0: nothing of it */
} tarn_plan_gap;

typedef struct tarn_plan_buffer {
    int64_t lower, upper;  /* lives in [lower, upper), in any unit: events, steps, nanoseconds. lower < upper */
    uint64_t size;         /* bytes; 0: it needs no place, and gets offset 0, aligned or fixed as asked */
    uint64_t alignment;    /* of its offset, in bytes: any number; 0 and 1: none */
    uint64_t fixed_offset; /* TARN_PLAN_ANYWHERE, or where it has to lie: a multiple of its alignment */
    uint32_t region;       /* whose memory: each region is planned by itself, with offsets from 0 */
    uint32_t gap_count;
    const tarn_plan_gap *gaps; /* in order of time, not overlapping; NULL where there are none */
} tarn_plan_buffer;

/* What is known while a plan is sought. `height` and `lower_bound` are sums over the regions. */
typedef struct tarn_plan_progress {
    size_t struct_size;
    double seconds;  /* since the call began */
    uint64_t height; /* of the best plan so far; 0, as the lower bound, while there is none */
    uint64_t lower_bound;
} tarn_plan_progress;

typedef struct tarn_plan_options {
    size_t struct_size;
    /* (optional) Bytes of each region, `region_count` of them; UINT64_MAX: no limit. A region beyond them has none. A plan that
     * does not fit is returned all the same, and the result says so. Where one fits, the search goes on for a lower one. */
    const uint64_t *capacities;
    uint32_t region_count;
    unsigned threads; /* that search, the caller's among them; 0: one for each processor that the process may use */
    /* How long to search, in seconds, when the lower bound is not reached before. 0: 1 second; negative: a quick plan, in a hundredth
     * of a second where the problem is small. The heuristics are always run to their end: some milliseconds up to 5,000 buffers, and
     * about 4 µs for each beyond, 15 with ten million. The check of the plan is part of the time. */
    double timeout_seconds;
    /* (optional) Called now and then, by one thread at a time, and whenever a better plan is found. Returns other than 0 to end
     * the search; the best plan so far is the result. */
    int (*progress)(void *context, const tarn_plan_progress *progress);
    void *context;
    int stops_at_capacity; /* 0 or 1: ends the search with the first plan that fits all capacities */
} tarn_plan_options;

typedef struct tarn_plan_result {
    size_t struct_size;
    uint64_t height;      /* sum over the regions of the greatest offset + size */
    uint64_t lower_bound; /* sum over the regions of what no plan can be below: at least the most bytes alive at once */
    int is_optimal; /* 0 or 1, as all that follow: no plan is lower: the height is the lower bound, or the search has tried everything */
    int is_feasible;   /* every region's height is at most its capacity */
    int is_infeasible; /* proved: no plan fits the capacities */
    int is_cancelled;  /* `progress` ended the search */
    double seconds;
} tarn_plan_result;

/* Finds an offset for each of `count` buffers and writes them to `out_offsets`, which the caller owns. The result is the lowest plan
 * found in the time; it is checked with tarn_plan_check before it is handed out. With `threads` of 1 the same
 * problem leads to the same plans one after the other; the time decides how far it gets.
 * INVALID_ARGUMENT: lower >= upper, an alignment, gap, window or fixed offset that cannot be, fixed buffers that overlap; the sentence
 * names the buffer by its index. OUT_OF_MEMORY: of the host; nothing is written then. LIMIT_EXCEEDED: more than 2^31 buffers, or
 * sizes that, with their alignments, add up to 2^63 or more. Any thread; `options` and `out_result` may be NULL. */
TARN_API tarn_status tarn_plan_solve(const tarn_plan_buffer *buffers, size_t count, const tarn_plan_options *options,
                                     uint64_t *out_offsets, tarn_plan_result *out_result);

/* A lower bound of the height of one region, without a plan: the most bytes that live at one time, with what fixed buffers add.
 * Errors as tarn_plan_solve. */
TARN_API tarn_status tarn_plan_lower_bound(const tarn_plan_buffer *buffers, size_t count, uint32_t region,
                                           uint64_t *out_bytes);

/* Whether offsets are a plan: no two buffers of a region overlap in time and space, each keeps its alignment and its fixed offset, and
 * each ends within its region's capacity (NULL: no limit). INVALID_ARGUMENT with a sentence that names the buffers otherwise. It shares
 * no code with the search. */
TARN_API tarn_status tarn_plan_check(const tarn_plan_buffer *buffers, size_t count, const uint64_t *capacities,
                                     uint32_t region_count, const uint64_t *offsets);

TARN_END_DECLARATIONS

#endif
