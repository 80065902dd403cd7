/* How fast memory and arithmetic are: the plainest loops that go over arrays, with stores that pass the caches by where the processor has them, and
 * multiplications with additions that do not wait for each other. Several threads take a part each. */
#include <pthread.h>
#include <stdlib.h>

#include <sys/mman.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/clock.h"
#include "computing.h"

enum { MOST_THREADS = 64, MOST_ROUNDS = 31, MOST_CHAINS = 12, STEPS = 1000000 };

typedef struct share {
    const float *a, *b;
    float *out;
    size_t begin, end;
    double flops; /* that were computed */
    float sum;
    pthread_t thread;
    void (*go_over)(struct share *part);
} share;

static void pass_over(share *part) {
    size_t i = part->begin;
#ifdef __SSE2__
    for (; i + 4 <= part->end; i += 4) {
        _mm_stream_ps(part->out + i, _mm_add_ps(_mm_load_ps(part->a + i), _mm_load_ps(part->b + i)));
    }
#endif
    for (; i < part->end; i++) part->out[i] = part->a[i] + part->b[i];
}

/* Many sums at once, so that adding is not what takes the time. */
static void read_over(share *part) {
    enum { SUMS = 64 };
    float sums[SUMS] = {0};
    size_t i = part->begin;
    for (; i + SUMS <= part->end; i += SUMS)
        for (size_t k = 0; k < SUMS; k++) sums[k] += part->a[i + k];
    for (; i < part->end; i++) sums[0] += part->a[i];
    for (size_t k = 0; k < SUMS; k++) part->sum += sums[k];
}

/* The widest vector of any processor, which the compiler cuts into those that there are. */
enum { LANES = 16 };
typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));

/* As many chains as the processor's registers hold, each a multiplication with an addition after the other. Compiled so that both are one
 * instruction (limits.cmake). */
static inline __attribute__((always_inline)) void multiply_and_add(share *part, int chains) {
    const lanes factor = (lanes){0} + 0.5f, one = (lanes){0} + 1;
    lanes sums[MOST_CHAINS] = {{0}};
    for (int k = 0; k < chains; k++) sums[k] = one * (float)k;
    for (int i = 0; i < STEPS; i++)
        for (int k = 0; k < chains; k++) sums[k] = sums[k] * factor + one;
    for (int k = 1; k < chains; k++) sums[0] += sums[k];
    part->sum = sums[0][0];
    part->flops = 2.0 * STEPS * chains * LANES;
}

static void compute_plainly(share *part) { multiply_and_add(part, 3); }

#ifdef __x86_64__
__attribute__((target("avx2,fma"))) static void compute_by_eight(share *part) { multiply_and_add(part, 6); }
__attribute__((target("avx512f"))) static void compute_by_sixteen(share *part) { multiply_and_add(part, 12); }
#endif

static void compute(share *part) {
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512f")) {
        compute_by_sixteen(part);
        return;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        compute_by_eight(part);
        return;
    }
#endif
    compute_plainly(part);
}

static void *go_over(void *context) {
    share *part = context;
    part->go_over(part);
    bench_keep(part);
    return NULL;
}

static double time_once(share *parts, unsigned threads) {
    uint64_t began = base_clock_ns();
    unsigned started = 1;
    while (started < threads && pthread_create(&parts[started].thread, NULL, go_over, &parts[started]) == 0) started++;
    for (unsigned i = started; i < threads; i++) go_over(&parts[i]);
    go_over(&parts[0]);
    for (unsigned i = 1; i < started; i++) pthread_join(parts[i].thread, NULL);
    return (double)(base_clock_ns() - began);
}

/* With huge pages, as the allocators have. */
static float *allocate(size_t elements) {
    static const size_t page = (size_t)2 << 20;
    size_t bytes = (elements * sizeof(float) + page - 1) / page * page;
    float *memory = aligned_alloc(page, bytes);
    if (memory != NULL) (void)madvise(memory, bytes, MADV_HUGEPAGE);
    return memory;
}

static void divide(share *parts, unsigned threads, size_t elements, const share *like) {
    size_t step = (elements / threads + 15) / 16 * 16;
    for (unsigned i = 0; i < threads; i++) {
        size_t begin = i * step, end = begin + step;
        if (begin > elements) begin = elements;
        if (i + 1 == threads || end > elements) end = elements;
        parts[i] = *like;
        parts[i].begin = begin;
        parts[i].end = end;
    }
}

void limits_measure(size_t elements, size_t rounds, unsigned threads, double out_limits[LIMITS]) {
    static void (*const loops[LIMITS])(share *) = {
        [LIMIT_PASS] = pass_over, [LIMIT_READ] = read_over, [LIMIT_ARITHMETIC] = compute};
    static const double bytes[LIMITS] = {[LIMIT_PASS] = 12, [LIMIT_READ] = 4};
    share parts[MOST_THREADS], like = {.a = allocate(elements), .b = allocate(elements), .out = allocate(elements)};
    float *a = (float *)like.a, *b = (float *)like.b;
    bool has_memory = a != NULL && b != NULL && like.out != NULL;
    double rates[LIMITS][MOST_ROUNDS];
    if (threads > MOST_THREADS) threads = MOST_THREADS;
    if (rounds > MOST_ROUNDS) rounds = MOST_ROUNDS;
    for (size_t i = 0; has_memory && i < elements; i++) a[i] = b[i] = like.out[i] = (float)(i % 100);
    /* The first round warms up. */
    for (size_t round = 0; has_memory && round <= rounds; round++) {
        for (int limit = LIMIT_PASS; limit < LIMITS; limit++) {
            like.go_over = loops[limit];
            divide(parts, threads, elements, &like);
            double ns = time_once(parts, threads), amount = bytes[limit] * (double)elements;
            for (unsigned i = 0; i < threads; i++) amount += parts[i].flops;
            if (round > 0) rates[limit][round - 1] = amount / ns;
        }
    }
    for (int limit = 0; limit < LIMITS; limit++)
        out_limits[limit] = has_memory && limit != LIMIT_NONE ? bench_median(rates[limit], rounds) : -1;
    free(a);
    free(b);
    free(like.out);
}
