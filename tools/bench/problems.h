/* Planning problems made up to be like real ones, of any number of buffers; the same from the same seed on every machine. */
#ifndef BENCH_PROBLEMS_H
#define BENCH_PROBLEMS_H

#include <stddef.h>
#include <stdint.h>

#include <tarn/plan.h>

typedef enum bench_problem {
    BENCH_PROBLEM_TRAINING =
        0, /* steps: what each layer keeps for the way back, nested, with short-lived scratch between */
    BENCH_PROBLEM_INTERVALS, /* both ends of each life at random: half of all live in the middle */
    BENCH_PROBLEM_STEADY,    /* a hundredth of all live at any time, for random times */
    BENCH_PROBLEM_POWERS,    /* sizes and lives by power laws: most are small and short, a few are neither */
    BENCH_PROBLEM_MEMORYLESS, /* a thousand live at any time, and however long one lives already, it is as likely to end */
    BENCH_PROBLEM_TILING,     /* a rectangle cut into buffers: a plan without a hole exists */
    BENCH_PROBLEM_TORN,       /* such a rectangle, of which about one buffer in twenty is missing */
    BENCH_PROBLEM_COUNT
} bench_problem;

/* "training", "intervals", … */
const char *bench_problem_name(bench_problem kind);

/* `count` buffers, which the caller frees with free(); NULL without memory. */
tarn_plan_buffer *bench_problem_make(bench_problem kind, size_t count, uint64_t seed);

#endif
