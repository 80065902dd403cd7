/* Planned allocators: they learn what one iteration of a program asks for, lay it out as a whole, and serve the iterations that
 * follow from that plan.
 *
 * A planned allocator is a stack whose strategy is `planned`, adaptors before it included: tarn_allocator_create(device, "planned",
 * &allocator). Its memory comes from the element after it in the text, or from a `caching` of its own where it stands last:
 *
 *     planned[:timeout=MILLISECONDS, arguments of caching]
 *     planned | caching
 *
 * A *round* is one iteration. The caller marks its end with tarn_planned_step; an allocator that is never told looks for the repeating
 * period in what it is asked for (sizes, alignments, streams and their order) by itself. What the first round asks for goes to the
 * element below, and is noted. At its end the plan is made by tarn_plan_solve, for each stream a part of its own, and the memory of
 * the plan is taken from the element below in one block for each stream. Buffers that outlive their round are learnt from two rounds
 * that are alike: those freed in the next round before they are asked for again get a place in the plan, all others stay
 * with the element below, as weights do that are made once.
 *
 * From then on a request that the plan expects is served from its place without a search. Each place is tested before it is
 * handed out: two live buffers never share memory, whatever the program does. A *deviation* is a request that the plan does not
 * expect, or whose place is still in use; it goes to the element below. Requests that come in another order than learnt, or not
 * at all, find the plan again. When more than one request in 64 deviates for a whole round, or does not come, the allocator learns again; a program
 * that keeps changing makes it wait twice as long each time.
 *
 * Stream order: a place serves one stream alone. A buffer that another stream used keeps its place until an event on each
 * such stream says that the work is done.
 *
 * Graphs: a request on a captured stream goes to the element below and is no part of a round, so that `planned | graph` gives captured work
 * addresses that stay. What captured work uses of a plan's memory has to live as long as the graph does.
 *
 * Planning takes place in the thread that ends the round, within `timeout` (100; 0: the quick heuristics alone). The memory that was
 * cached below is given back before the plan's is taken, and again after the first round that came as planned. tarn_allocator_empty_cache gives the plan's memory back when none of it is in
 * use; the next round takes it again. Any thread. */
#ifndef TARN_PLANNED_H
#define TARN_PLANNED_H

#include <tarn/allocator.h>

TARN_BEGIN_DECLARATIONS

/* Ends a round, and begins the next one; call it where iterations end, by one thread at a time if rounds are to mean anything. From the
 * first call on, the allocator looks for no period by itself. When there is enough to learn from, plans.
 *
 * INVALID_ARGUMENT: NULL; NOT_SUPPORTED: no planned allocator; INVALID_STATE: inside a visit of its blocks. OUT_OF_MEMORY and
 * LIMIT_EXCEEDED, of the host or of the element below: there is no plan or no memory for it; the round has ended all the same, requests go to
 * the element below, and the end of the next round tries again. Any thread. */
TARN_API tarn_status tarn_planned_step(tarn_allocator *allocator);

typedef struct tarn_planned_stats {
    size_t struct_size;
    uint64_t rounds;  /* that have ended */
    uint64_t planned; /* requests served from their places */
    uint64_t kept;    /* requests that were expected, and are left to the element below because they outlive rounds */
    uint64_t deviations;   /* requests that a plan was there for, and that the element below served */
    uint64_t missing;      /* requests that were planned and did not come, in rounds that have ended */
    uint64_t plans;        /* made */
    uint64_t failed_plans; /* for want of memory, or because a round had more than 1,048,576 requests */
    /* Of the plan that there is; else 0. */
    uint64_t plan_requests;    /* of one round */
    uint64_t plan_places;      /* how many of them have one */
    uint64_t plan_bytes;       /* of its memory, for all streams */
    uint64_t plan_lower_bound; /* what no plan of these requests can be below */
    int is_learning;           /* 0 or 1: requests are being noted */
} tarn_planned_stats;

/* The caller sets struct_size. Errors as above. Any thread. */
TARN_API tarn_status tarn_planned_stats_get(tarn_allocator *allocator, tarn_planned_stats *out_stats);

TARN_END_DECLARATIONS

#endif
