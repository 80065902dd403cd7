/* Patterns of allocating and freeing.
 *
 * The loops are written once and inlined for each contender, whose functions are constants there: malloc and Tarn are called
 * directly, and a nanosecond is not lost to a function pointer. */
#include "patterns.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include <tarn/tarn.h>

#include "base/clock.h"
#include "base/status.h"
#include "harness.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define PAGE 4096u
#define TENSORS 200u
#define LANE 4096u /* places of a lane; a power of two */
#define BATCH 64u  /* blocks handed over at once */
#define WARM_UP_PAIRS ((size_t)1 << 17)
/* Warming up takes so many times the time that is measured for, but no longer than this. */
#define WARM_UP_BUDGETS 50
#define WARM_UP_NS 1.5e8
#define SETTLING_STEPS 6u
/* Short turns are seldom disturbed. Threads take longer to start than a short turn takes, and seldom run beside each other all the time. */
#define TURNS_OF_A_BUDGET 16
#define THREADS_TURNS_OF_A_BUDGET 2
#define MOST_TURNS 512

const bench_pattern bench_patterns[] = {
    {"64 B", PATTERN_SAME_SIZE, 64, false, 1, TARGET_TIMES_TCMALLOC, 1.5},
    {"256 B", PATTERN_SAME_SIZE, 256, false, 1, TARGET_TIMES_TCMALLOC, 1.5},
    {"1 KiB", PATTERN_SAME_SIZE, KIB, false, 1, TARGET_TIMES_TCMALLOC, 1.5},
    {"4 KiB", PATTERN_SAME_SIZE, 4 * KIB, false, 1, TARGET_TIMES_TCMALLOC, 1.5},
    {"64 KiB", PATTERN_SAME_SIZE, 64 * KIB, false, 1, TARGET_TIMES_TCMALLOC, 1.5},
    {"1 MiB", PATTERN_SAME_SIZE, MIB, false, 1, TARGET_NANOSECONDS, 40},
    {"16 MiB", PATTERN_SAME_SIZE, 16 * MIB, false, 1, TARGET_NANOSECONDS, 40},
    {"128 MiB", PATTERN_SAME_SIZE, 128 * MIB, false, 1, TARGET_NANOSECONDS, 40},
    {"128 MiB, written", PATTERN_SAME_SIZE, 128 * MIB, true, 1, TARGET_TIMES_TCMALLOC, 1},
    {"training step", PATTERN_TRAINING, 0, false, 1, TARGET_TIMES_BEST, 1},
    {"training step, written", PATTERN_TRAINING, 0, true, 1, TARGET_TIMES_BEST, 1},
    {"handed over, 1 thread", PATTERN_HAND_OVER, 0, false, 1, TARGET_NONE, 0},
    {"handed over, 2 threads", PATTERN_HAND_OVER, 0, false, 2, TARGET_SCALING, 1.8},
};
const size_t bench_pattern_count = sizeof bench_patterns / sizeof bench_patterns[0];

/* Each returns NULL, or false, where the allocator refuses. */
typedef struct pattern_contender {
    void *(*allocate)(tarn_allocator *allocator, size_t size);
    bool (*release)(tarn_allocator *allocator, void *block);
    unsigned char *(*data)(void *block);
} pattern_contender;

static inline void *malloc_allocate(tarn_allocator *allocator, size_t size) {
    (void)allocator;
    return malloc(size);
}
static inline bool malloc_release(tarn_allocator *allocator, void *block) {
    (void)allocator;
    free(block);
    return true;
}
static inline unsigned char *malloc_data(void *block) { return block; }

static inline void *tarn_allocate(tarn_allocator *allocator, size_t size) {
    tarn_buffer *buffer;
    return tarn_allocator_allocate(allocator, size, NULL, &buffer) == TARN_OK ? buffer : NULL;
}
static inline bool tarn_release(tarn_allocator *allocator, void *block) {
    return tarn_allocator_free(allocator, block, NULL) == TARN_OK;
}
static inline unsigned char *tarn_data(void *block) { return tarn_buffer_data(block); }

static const pattern_contender malloc_contender = {malloc_allocate, malloc_release, malloc_data};
static const pattern_contender tarn_contender = {tarn_allocate, tarn_release, tarn_data};

#define INLINED static inline __attribute__((always_inline))

INLINED void write_pages(unsigned char *data, size_t size) {
    for (size_t i = 0; i < size; i += PAGE) ((volatile unsigned char *)data)[i] = 1;
}

INLINED bool same_size(const pattern_contender *contender, tarn_allocator *allocator, const bench_pattern *pattern,
                       size_t pairs) {
    for (size_t i = 0; i < pairs; i++) {
        void *block = contender->allocate(allocator, pattern->size);
        if (!block) return false;
        bench_keep(block);
        if (pattern->written) write_pages(contender->data(block), pattern->size);
        if (!contender->release(allocator, block)) return false;
    }
    return true;
}

/* The same tensors in every run: sizes log-uniform from 256 B to 16 MiB, freed in an order that has nothing to do with them. */
typedef struct training_step {
    size_t sizes[TENSORS];
    unsigned order[TENSORS];
} training_step;

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void prepare_training(training_step *out_training) {
    uint64_t state = 20260101;
    for (unsigned i = 0; i < TENSORS; i++) {
        double position = (double)(next_random(&state) >> 11) / (double)(UINT64_C(1) << 53);
        out_training->sizes[i] = (size_t)(256 * exp2(16 * position));
        out_training->order[i] = i;
    }
    for (unsigned i = TENSORS - 1; i > 0; i--) {
        unsigned other = (unsigned)(next_random(&state) % (i + 1)), kept = out_training->order[i];
        out_training->order[i] = out_training->order[other];
        out_training->order[other] = kept;
    }
}

/* Whole steps: at least `pairs` allocations. */
INLINED bool train(const pattern_contender *contender, tarn_allocator *allocator, const training_step *training,
                   bool written, size_t pairs) {
    void *tensors[TENSORS];
    for (size_t done = 0; done < pairs; done += TENSORS) {
        for (unsigned i = 0; i < TENSORS; i++) {
            tensors[i] = contender->allocate(allocator, training->sizes[i]);
            if (!tensors[i]) return false;
            bench_keep(tensors[i]);
            if (written) write_pages(contender->data(tensors[i]), training->sizes[i]);
        }
        for (unsigned i = 0; i < TENSORS; i++) {
            if (!contender->release(allocator, tensors[training->order[i]])) return false;
        }
    }
    return true;
}

/* Blocks on their way from one thread to another, or back to itself: one writes, one reads. Both ends are published a batch at a
 * time, so that what is measured is the allocator and not the lane. */
typedef struct pattern_lane {
    _Alignas(64) _Atomic size_t written; /* release: the places before it are filled */
    atomic_bool is_closed;               /* release: nothing more will be written */
    _Alignas(64) _Atomic size_t taken;   /* release: the places before it are free again */
    atomic_bool is_abandoned;            /* the reader failed and takes no more */
    _Alignas(64) void *places[LANE];
} pattern_lane;

typedef struct pattern_worker {
    tarn_allocator *allocator; /* NULL: malloc */
    pattern_lane *in, *out;
    size_t pairs;
    size_t sent;
    bool succeeded;
} pattern_worker;

INLINED bool take_what_came(const pattern_contender *contender, pattern_worker *worker) {
    size_t taken = atomic_load_explicit(&worker->in->taken, memory_order_relaxed);
    size_t written = atomic_load_explicit(&worker->in->written, memory_order_acquire);
    if (taken == written) return true;
    for (; taken != written; taken++) {
        if (!contender->release(worker->allocator, worker->in->places[taken % LANE])) return false;
    }
    atomic_store_explicit(&worker->in->taken, taken, memory_order_release);
    return true;
}

/* Publishes what was sent, and waits until there is room for another batch. */
INLINED bool end_batch(const pattern_contender *contender, pattern_worker *worker) {
    atomic_store_explicit(&worker->out->written, worker->sent, memory_order_release);
    if (!take_what_came(contender, worker)) return false;
    while (worker->sent - atomic_load_explicit(&worker->out->taken, memory_order_acquire) > LANE - BATCH) {
        if (atomic_load_explicit(&worker->out->is_abandoned, memory_order_relaxed)) return false;
        sched_yield();
        if (!take_what_came(contender, worker)) return false;
    }
    return true;
}

INLINED bool send_all(const pattern_contender *contender, pattern_worker *worker) {
    static const size_t sizes[8] = {256, KIB, 4 * KIB, 512, 16 * KIB, 2 * KIB, 64 * KIB, 8 * KIB};
    for (size_t i = 0; i < worker->pairs; i++) {
        void *block = contender->allocate(worker->allocator, sizes[i / 2 % 8]);
        if (!block) return false;
        bench_keep(block);
        if (i % 2 != 0) {
            worker->out->places[worker->sent++ % LANE] = block;
            if (worker->sent % BATCH == 0 && !end_batch(contender, worker)) return false;
        } else if (!contender->release(worker->allocator, block)) {
            return false;
        }
    }
    return end_batch(contender, worker);
}

/* Sends its own share, then frees what still comes. */
INLINED bool hand_over(const pattern_contender *contender, pattern_worker *worker) {
    bool succeeded = send_all(contender, worker);
    atomic_store_explicit(&worker->out->is_closed, true, memory_order_release);
    while (succeeded) {
        bool is_last = atomic_load_explicit(&worker->in->is_closed, memory_order_acquire);
        succeeded = take_what_came(contender, worker);
        if (is_last) break;
        sched_yield();
    }
    if (!succeeded) atomic_store_explicit(&worker->in->is_abandoned, true, memory_order_relaxed);
    return succeeded;
}

static void *work(void *context) {
    pattern_worker *worker = context;
    worker->succeeded = worker->allocator ? hand_over(&tarn_contender, worker) : hand_over(&malloc_contender, worker);
    return NULL;
}

/* Whole batches for each thread. */
static size_t share_of(const bench_pattern *pattern, size_t pairs) {
    return (pairs / pattern->threads / (2 * BATCH) + 1) * 2 * BATCH;
}

static bool run_threads(const bench_pattern *pattern, tarn_allocator *allocator, size_t pairs) {
    pattern_lane lanes[2] = {0};
    pattern_worker workers[2] = {0};
    pthread_t threads[2];
    unsigned count = pattern->threads, started = 0;
    for (unsigned i = 0; i < count; i++) {
        workers[i] =
            (pattern_worker){allocator, &lanes[i], &lanes[(i + 1) % count], share_of(pattern, pairs), 0, false};
    }
    while (started < count && pthread_create(&threads[started], NULL, work, &workers[started]) == 0) started++;
    if (started < count) {
        /* Whoever did start must not wait for the one that did not. */
        for (unsigned i = 0; i < count; i++)
            atomic_store(&lanes[i].is_closed, true), atomic_store(&lanes[i].is_abandoned, true);
    }
    bool succeeded = started == count;
    for (unsigned i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
        succeeded = succeeded && workers[i].succeeded;
    }
    return succeeded;
}

static bool run(const bench_pattern *pattern, tarn_allocator *allocator, const training_step *training, size_t pairs) {
    switch (pattern->kind) {
    case PATTERN_SAME_SIZE:
        return allocator ? same_size(&tarn_contender, allocator, pattern, pairs)
                         : same_size(&malloc_contender, NULL, pattern, pairs);
    case PATTERN_TRAINING:
        return allocator ? train(&tarn_contender, allocator, training, pattern->written, pairs)
                         : train(&malloc_contender, NULL, training, pattern->written, pairs);
    case PATTERN_HAND_OVER: break;
    }
    return run_threads(pattern, allocator, pairs);
}

/* How many pairs `run` does when asked for `pairs`. */
static size_t pairs_done(const bench_pattern *pattern, size_t pairs) {
    switch (pattern->kind) {
    case PATTERN_SAME_SIZE: return pairs;
    case PATTERN_TRAINING: return (pairs + TENSORS - 1) / TENSORS * TENSORS;
    case PATTERN_HAND_OVER: break;
    }
    return share_of(pattern, pairs) * pattern->threads;
}

static tarn_status time_once(const bench_pattern *pattern, tarn_allocator *allocator, const training_step *training,
                             size_t pairs, double *out_elapsed_ns) {
    uint64_t begin = base_clock_ns();
    bool succeeded = run(pattern, allocator, training, pairs);
    *out_elapsed_ns = (double)(base_clock_ns() - begin);
    if (succeeded) return TARN_OK;
    if (allocator) return base_fail_within(TARN_OUT_OF_MEMORY, "%s", pattern->name);
    return base_fail(TARN_OUT_OF_MEMORY, "%s: malloc has no memory left", pattern->name);
}

/* What is measured is an allocator that has come to rest: each contender first does the same without writing, so many pairs or so
 * long; a few at a time at first, since there are stacks that write to what they hand out. Then memory is touched for the first
 * time, and where sizes are mixed, blocks move about for some steps more, unless a step takes very long. */
static tarn_status warm_up(const bench_pattern *pattern, tarn_allocator *allocator, const training_step *training,
                           double budget_ns) {
    double most_ns = fmin(WARM_UP_NS, WARM_UP_BUDGETS * budget_ns);
    bench_pattern unwritten = *pattern;
    unwritten.written = false;
    tarn_status status = TARN_OK;
    double elapsed, spent = 0;
    size_t done = 0;
    for (size_t pairs = 1; done < WARM_UP_PAIRS && spent < most_ns && status == TARN_OK; pairs *= 2) {
        status = time_once(&unwritten, allocator, training, pairs, &elapsed);
        done += pairs_done(pattern, pairs);
        spent += elapsed;
    }
    unsigned steps = pattern->kind == PATTERN_TRAINING ? SETTLING_STEPS : 1;
    for (unsigned i = 0; i < steps && (i == 0 || spent < 2 * most_ns) && status == TARN_OK; i++) {
        status = time_once(pattern, allocator, training, 1, &elapsed);
        spent += elapsed;
    }
    return status;
}

/* How long a contender is measured for in all, in turns of no less than that. */
typedef struct pattern_time {
    double turn_ns, budget_ns;
} pattern_time;

/* Twice as many pairs each time, until they take as long as a turn: the clock is read twice for all of them. */
static tarn_status find_pairs(const bench_pattern *pattern, tarn_allocator *allocator, const training_step *training,
                              double turn_ns, size_t *out_pairs) {
    tarn_status status = TARN_OK;
    double elapsed = 0;
    size_t pairs = 1;
    while (status == TARN_OK) {
        status = time_once(pattern, allocator, training, pairs, &elapsed);
        if (elapsed >= turn_ns) break;
        pairs *= 2;
    }
    *out_pairs = pairs;
    return status;
}

/* Then some more times the same, of which the best counts: what else the machine does only ever adds. */
static tarn_status measure(const bench_pattern *pattern, tarn_allocator *allocator, pattern_time time, double *out_ns) {
    training_step training;
    prepare_training(&training);
    double elapsed, spent = 0, best = INFINITY;
    size_t pairs = 1;
    tarn_status status = warm_up(pattern, allocator, &training, time.budget_ns / 2);
    if (status == TARN_OK) status = find_pairs(pattern, allocator, &training, time.turn_ns, &pairs);
    while (status == TARN_OK && spent < time.budget_ns) {
        status = time_once(pattern, allocator, &training, pairs, &elapsed);
        spent += elapsed;
        best = fmin(best, elapsed / (double)pairs_done(pattern, pairs));
    }
    if (status == TARN_OK) *out_ns = best;
    return status;
}

/* The same for two, of whom each has its turn before any has another, and who was first comes last the next time. The best turns of threads are those
 * in which one was done before the other began, so that of these the first quartile counts. */
static tarn_status measure_both(const bench_pattern *pattern, tarn_allocator *const allocators[2], pattern_time time,
                                double out_ns[2]) {
    training_step training;
    prepare_training(&training);
    double elapsed, spent = 0, turns_ns[2][MOST_TURNS];
    size_t pairs = 1, turns = 0;
    tarn_status status = TARN_OK;
    for (int i = 0; i < 2 && status == TARN_OK; i++)
        status = warm_up(pattern, allocators[i], &training, time.budget_ns / 2);
    if (status == TARN_OK) status = find_pairs(pattern, allocators[0], &training, time.turn_ns, &pairs);
    for (; status == TARN_OK && spent < 2 * time.budget_ns && turns < MOST_TURNS; turns++) {
        for (size_t k = 0; k < 2 && status == TARN_OK; k++) {
            size_t i = (turns + k) % 2;
            status = time_once(pattern, allocators[i], &training, pairs, &elapsed);
            spent += elapsed;
            turns_ns[i][turns] = elapsed / (double)pairs_done(pattern, pairs);
        }
    }
    if (status != TARN_OK) return status;
    for (int i = 0; i < 2; i++) {
        double quartile = bench_first_quartile(turns_ns[i], turns);
        out_ns[i] = pattern->threads > 1 ? quartile : turns_ns[i][0];
    }
    return TARN_OK;
}

static tarn_status open_stack(const char *device_name, const char *spec, tarn_allocator **out_allocator) {
    tarn_device *device = NULL;
    tarn_status status = tarn_device_open(device_name, &device);
    if (status == TARN_OK) status = tarn_allocator_create(device, spec, out_allocator);
    tarn_device_release(device);
    return status;
}

tarn_status bench_measure(const bench_pattern *pattern, const char *device, const char *spec, double budget_ns,
                          double *out_ns) {
    const pattern_time time = {budget_ns / 2, 2 * budget_ns};
    tarn_allocator *allocator = NULL;
    tarn_status status = spec != NULL ? open_stack(device, spec, &allocator) : TARN_OK;
    if (status == TARN_OK) status = measure(pattern, allocator, time, out_ns);
    tarn_allocator_release(allocator);
    return status;
}

tarn_status bench_measure_both(const bench_pattern *pattern, const char *const devices[2], const char *spec,
                               double budget_ns, double out_ns[2]) {
    /* What goes through more memory, or through two processors, is the more often disturbed. */
    static const double budgets[] = {[PATTERN_SAME_SIZE] = 2, [PATTERN_TRAINING] = 12, [PATTERN_HAND_OVER] = 6};
    bool is_alone = pattern->threads == 1;
    const pattern_time time = {budget_ns / (is_alone ? TURNS_OF_A_BUDGET : THREADS_TURNS_OF_A_BUDGET),
                               budgets[pattern->kind] * budget_ns * (is_alone ? 1 : TURNS_OF_A_BUDGET / 2)};
    tarn_allocator *allocators[2] = {NULL, NULL};
    tarn_status status = open_stack(devices[0], spec, &allocators[0]);
    if (status == TARN_OK) status = open_stack(devices[1], spec, &allocators[1]);
    if (status == TARN_OK) status = measure_both(pattern, allocators, time, out_ns);
    for (int i = 0; i < 2; i++) tarn_allocator_release(allocators[i]);
    return status;
}
