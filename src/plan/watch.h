/* The watch over a search: how long it may take, who wants to hear how it goes, and whether it is to end. */
#ifndef PLAN_WATCH_H
#define PLAN_WATCH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <tarn/plan.h>

typedef struct plan_watch {
    uint64_t begin_ns, deadline_ns;
    int (*progress)(void *context, const tarn_plan_progress *progress); /* (optional) */
    void *context;
    pthread_mutex_t lock;            /* held while `progress` runs */
    _Atomic uint64_t next_report_ns; /* not before, unless there is news */
    _Atomic uint64_t height, lower_bound;
    _Atomic bool is_over, is_cancelled;
} plan_watch;

void plan_watch_begin(plan_watch *watch, const tarn_plan_options *options);
void plan_watch_end(plan_watch *watch);

/* Moves the end forward, for what has to be done after the search; never before the middle of the time there was. */
void plan_watch_reserve(plan_watch *watch, uint64_t nanoseconds);

/* Whether the search is to end: somebody said so, the time is over, or `progress`, which is called now and then, wants it. Any thread;
 * costs a look at the clock, so that it is called after each few microseconds of work. */
bool plan_watch_is_over(plan_watch *watch);

/* Whether `progress` wants an end: for what is run to its end whatever time it takes. As plan_watch_is_over otherwise. */
bool plan_watch_is_cancelled(plan_watch *watch);

/* Ends the search for all threads. */
void plan_watch_stop(plan_watch *watch);

/* Tells `progress` at once of a better plan's height. Any thread. */
void plan_watch_tell(plan_watch *watch, uint64_t height, uint64_t lower_bound);

#endif
