/* Buffers of made-up plans. Defined here, so that static analysis sees what a number is below. */
#ifndef TESTS_PLAN_BUFFERS_H
#define TESTS_PLAN_BUFFERS_H

#include <tarn/plan.h>

/* One that lives in [lower, upper), and may lie anywhere. */
static inline tarn_plan_buffer buffer(int64_t lower, int64_t upper, uint64_t size) {
    return (tarn_plan_buffer){.lower = lower, .upper = upper, .size = size, .fixed_offset = TARN_PLAN_ANYWHERE};
}

/* A number below `limit`; the same ones in each run of a program. One thread. */
static inline uint32_t random_below(uint32_t limit) {
    static uint64_t state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((state >> 33) % limit);
}

#endif
