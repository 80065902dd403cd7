/* The watch over a search. One flag ends it for all threads; whoever looks at it also looks at the clock, and calls `progress` when a while
 * has passed, unless another thread is at it. */
#include "plan/watch.h"

#include "base/clock.h"

#define REPORT_NS 50000000u
#define SECOND_NS 1e9
/* Beyond that, 31 years, a search has no end: the sum with the clock would overflow. */
#define LONGEST_SECONDS 1e9
#define USUAL_SECONDS 1.0
#define QUICK_SECONDS 0.01

void plan_watch_begin(plan_watch *watch, const tarn_plan_options *options) {
    double seconds = options->timeout_seconds;
    if (seconds == 0) seconds = USUAL_SECONDS;
    if (!(seconds > 0)) seconds = QUICK_SECONDS;
    if (seconds > LONGEST_SECONDS) seconds = LONGEST_SECONDS;
    watch->begin_ns = base_clock_ns();
    watch->deadline_ns = watch->begin_ns + (uint64_t)(seconds * SECOND_NS);
    watch->progress = options->progress;
    watch->context = options->context;
    pthread_mutex_init(&watch->lock, NULL);
    atomic_init(&watch->next_report_ns, watch->begin_ns + REPORT_NS);
    atomic_init(&watch->height, 0);
    atomic_init(&watch->lower_bound, 0);
    atomic_init(&watch->is_over, false);
    atomic_init(&watch->is_cancelled, false);
}

void plan_watch_end(plan_watch *watch) { pthread_mutex_destroy(&watch->lock); }

void plan_watch_reserve(plan_watch *watch, uint64_t nanoseconds) {
    uint64_t half = (watch->deadline_ns - watch->begin_ns) / 2;
    watch->deadline_ns -= nanoseconds < half ? nanoseconds : half;
}

/* With the lock held. */
static void report(plan_watch *watch, uint64_t now) {
    tarn_plan_progress progress = {.struct_size = sizeof progress,
                                   .seconds = (double)(now - watch->begin_ns) / SECOND_NS,
                                   .height = atomic_load(&watch->height),
                                   .lower_bound = atomic_load(&watch->lower_bound)};
    atomic_store(&watch->next_report_ns, now + REPORT_NS);
    if (atomic_load(&watch->is_cancelled) || watch->progress(watch->context, &progress) == 0) return;
    atomic_store(&watch->is_cancelled, true);
    atomic_store(&watch->is_over, true);
}

static void report_now_and_then(plan_watch *watch, uint64_t now) {
    if (watch->progress == NULL || now < atomic_load_explicit(&watch->next_report_ns, memory_order_relaxed)) return;
    if (pthread_mutex_trylock(&watch->lock) != 0) return;
    if (now >= atomic_load(&watch->next_report_ns)) report(watch, now);
    pthread_mutex_unlock(&watch->lock);
}

bool plan_watch_is_over(plan_watch *watch) {
    if (atomic_load_explicit(&watch->is_over, memory_order_relaxed)) return true;
    uint64_t now = base_clock_ns();
    report_now_and_then(watch, now);
    if (now >= watch->deadline_ns) atomic_store(&watch->is_over, true);
    return atomic_load(&watch->is_over);
}

bool plan_watch_is_cancelled(plan_watch *watch) {
    report_now_and_then(watch, base_clock_ns());
    return atomic_load(&watch->is_cancelled);
}

void plan_watch_stop(plan_watch *watch) { atomic_store(&watch->is_over, true); }

void plan_watch_tell(plan_watch *watch, uint64_t height, uint64_t lower_bound) {
    if (watch->progress == NULL) return;
    pthread_mutex_lock(&watch->lock);
    atomic_store(&watch->height, height);
    atomic_store(&watch->lower_bound, lower_bound);
    report(watch, base_clock_ns());
    pthread_mutex_unlock(&watch->lock);
}
