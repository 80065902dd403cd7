/* Patterns of allocating and freeing, each measured on malloc or on one of Tarn's stacks. */
#ifndef BENCH_PATTERNS_H
#define BENCH_PATTERNS_H

#include <stdbool.h>
#include <stddef.h>

#include <tarn/status.h>

typedef enum pattern_kind {
    PATTERN_SAME_SIZE, /* allocate, free, again */
    PATTERN_TRAINING,  /* many tensors of many sizes, then freed in mixed order */
    PATTERN_HAND_OVER  /* threads that free half of each other's blocks */
} pattern_kind;

/* What the figure of `caching` is held against. */
typedef enum pattern_target {
    TARGET_TIMES_TCMALLOC, /* at most `limit` times tcmalloc's */
    TARGET_TIMES_BEST,     /* at most `limit` times the best peer's */
    TARGET_NANOSECONDS,    /* at most `limit` */
    TARGET_SCALING,        /* the pattern before it takes at least `limit` times as long */
    TARGET_NONE
} pattern_target;

typedef struct bench_pattern {
    const char *name;
    pattern_kind kind;
    size_t size;  /* bytes */
    bool written; /* every page, after each allocation */
    unsigned threads;
    pattern_target target;
    double limit;
} bench_pattern;

extern const bench_pattern bench_patterns[];
extern const size_t bench_pattern_count;

/* Measures for about three times `budget_ns` nanoseconds, after a warm-up: nanoseconds for one allocation and its free, all threads
 * together. `spec` names a stack on the device; NULL measures the malloc that the process has. Patterns that write need a device whose memory the
 * host reaches. */
tarn_status bench_measure(const bench_pattern *pattern, const char *device, const char *spec, double budget_ns,
                          double *out_ns);
/* The same for one stack on two devices, which take many short turns, so that what else the machine does meets both; for longer where it takes more of
 * them to come to rest. */
tarn_status bench_measure_both(const bench_pattern *pattern, const char *const devices[2], const char *spec,
                               double budget_ns, double out_ns[2]);

#endif
