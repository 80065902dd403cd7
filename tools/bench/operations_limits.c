/* How fast memory is: the plainest loops that go over it, with stores that pass the caches by where the processor has them. Several threads take a
 * part each. */
#include <pthread.h>
#include <stdlib.h>

#include <sys/mman.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/clock.h"
#include "harness.h"
#include "operations_rows.h"

enum { MOST_THREADS = 64, MOST_ROUNDS = 31 };

typedef struct share {
    const float *a, *b;
    float *out; /* NULL: only `a` is read */
    size_t begin, end;
    float sum;
    pthread_t thread;
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
    enum { LANES = 64 };
    float sums[LANES] = {0};
    size_t i = part->begin;
    for (; i + LANES <= part->end; i += LANES)
        for (size_t k = 0; k < LANES; k++) sums[k] += part->a[i + k];
    for (; i < part->end; i++) sums[0] += part->a[i];
    for (size_t k = 0; k < LANES; k++) part->sum += sums[k];
}

static void *go_over(void *context) {
    share *part = context;
    if (part->out != NULL) pass_over(part);
    else read_over(part);
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

bool rows_limits(size_t elements, size_t rounds, unsigned threads, double *out_pass_ns, double *out_read_ns) {
    float *a = allocate(elements), *b = allocate(elements), *out = allocate(elements);
    bool has_memory = a != NULL && b != NULL && out != NULL;
    share parts[MOST_THREADS] = {{.a = NULL}};
    double passes[MOST_ROUNDS] = {0}, reads[MOST_ROUNDS] = {0};
    if (threads > MOST_THREADS) threads = MOST_THREADS;
    if (rounds > MOST_ROUNDS) rounds = MOST_ROUNDS;
    for (size_t i = 0; has_memory && i < elements; i++) a[i] = b[i] = out[i] = (float)(i % 100);
    for (size_t round = 0; has_memory && round <= rounds; round++) {
        for (int reads_only = 0; reads_only < 2; reads_only++) {
            for (unsigned i = 0; i < threads; i++) {
                size_t step = (elements / threads + 15) / 16 * 16, begin = i * step, end = begin + step;
                if (begin > elements) begin = elements;
                if (i + 1 == threads || end > elements) end = elements;
                parts[i] = (share){.a = a, .b = b, .out = reads_only ? NULL : out, .begin = begin, .end = end};
            }
            double ns = time_once(parts, threads);
            /* The first round warms up. */
            if (round == 0) continue;
            if (reads_only) reads[round - 1] = ns;
            else passes[round - 1] = ns;
        }
    }
    free(a);
    free(b);
    free(out);
    if (!has_memory) return false;
    *out_pass_ns = bench_median(passes, rounds);
    *out_read_ns = bench_median(reads, rounds);
    return true;
}
