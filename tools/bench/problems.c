/* Planning problems made up to be like real ones. Everything random comes from whole numbers, so that no machine's rounding changes a
 * problem. */
#include "bench/problems.h"

#include <stdlib.h>

#define TILING_HEIGHT ((uint64_t)1 << 30)
/* Of the buffers of a torn tiling, one in so many is missing. */
#define TORN_OF 20

/* Random numbers (splitmix64). */
static uint64_t next_random(uint64_t *state) {
    uint64_t x = *state += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

static uint64_t random_between(uint64_t *state, uint64_t least, uint64_t most) {
    return least + next_random(state) % (most - least + 1);
}

/* At least `least`; each doubling is half as likely. */
static uint64_t random_power(uint64_t *state, uint64_t least, unsigned most_doublings) {
    unsigned doublings = (unsigned)__builtin_ctzll(next_random(state) | (uint64_t)1 << most_doublings);
    return random_between(state, least << doublings, (least << doublings) * 2 - 1);
}

static tarn_plan_buffer buffer(uint64_t lower, uint64_t upper, uint64_t size) {
    return (tarn_plan_buffer){
        .lower = (int64_t)lower, .upper = (int64_t)upper, .size = size, .fixed_offset = TARN_PLAN_ANYWHERE};
}

/* A step goes forward through the layers and back. Layers differ in size, and are the same in each step. */
static void make_training(tarn_plan_buffer *buffers, size_t count, uint64_t *random) {
    enum { LAYERS = 200, OF_LAYER = 6 };
    uint64_t sizes[LAYERS][OF_LAYER], begun[LAYERS], now = 0;
    for (size_t layer = 0; layer < LAYERS; layer++)
        for (size_t i = 0; i < OF_LAYER; i++) sizes[layer][i] = random_power(random, 4096, 14);
    size_t made = 0;
    while (made < count) {
        for (size_t layer = 0; layer < LAYERS; layer++) {
            begun[layer] = now++;
            for (size_t i = 1; i < OF_LAYER / 2 && made < count; i++, now++)
                buffers[made++] = buffer(now, now + random_between(random, 1, 6), sizes[layer][i]);
        }
        for (size_t layer = LAYERS; layer-- > 0;) {
            for (size_t i = OF_LAYER / 2; i < OF_LAYER && made < count; i++, now++)
                buffers[made++] = buffer(now, now + random_between(random, 1, 8), sizes[layer][i]);
            now++;
            if (made < count) buffers[made++] = buffer(begun[layer], now, sizes[layer][0]);
        }
    }
}

static void make_intervals(tarn_plan_buffer *buffers, size_t count, uint64_t *random) {
    for (size_t i = 0; i < count; i++) {
        uint64_t a = random_between(random, 0, 10 * count), b = random_between(random, 0, 10 * count);
        buffers[i] = buffer(a < b ? a : b, (a < b ? b : a) + 1, random_between(random, 1, 1000000));
    }
}

static void make_steady(tarn_plan_buffer *buffers, size_t count, uint64_t *random) {
    for (size_t i = 0; i < count; i++) {
        uint64_t lower = random_between(random, 0, 10 * count), life = random_between(random, 1, count / 5 + 1);
        buffers[i] = buffer(lower, lower + life, random_between(random, 1, 1000000));
    }
}

static void make_powers(tarn_plan_buffer *buffers, size_t count, uint64_t *random) {
    for (size_t i = 0; i < count; i++) {
        uint64_t lower = random_between(random, 0, 2 * count), life = random_power(random, 4, 16);
        buffers[i] = buffer(lower, lower + life, random_power(random, 512, 18));
    }
}

/* Each further half-life is half as likely. */
static void make_memoryless(tarn_plan_buffer *buffers, size_t count, uint64_t *random) {
    enum { ALIVE = 1000, HALF_LIFE = 20 * ALIVE / 3 };
    for (size_t i = 0; i < count; i++) {
        uint64_t lower = random_between(random, 0, 10 * count);
        uint64_t halves = (uint64_t)__builtin_ctzll(next_random(random) | (uint64_t)1 << 40);
        uint64_t life = HALF_LIFE * halves + random_between(random, 1, HALF_LIFE);
        buffers[i] = buffer(lower, lower + life, random_between(random, 1, 1000000));
    }
}

/* Cuts the first of the pieces that are left, which are in the order of their cutting, in time or in space by turns of chance. */
static void make_tiling(tarn_plan_buffer *buffers, size_t count, uint64_t *random) {
    buffers[0] = buffer(0, 1000 + 10 * count, TILING_HEIGHT);
    size_t made = 1, uncut = 0;
    while (made < count) {
        tarn_plan_buffer *first = &buffers[uncut++ % made], *second = &buffers[made];
        uint64_t life = (uint64_t)(first->upper - first->lower);
        if (next_random(random) % 2 == 0 ? life >= 8 : first->size < 8) {
            if (life < 2) continue;
            *second = *first;
            second->lower = first->lower + (int64_t)random_between(random, (life + 3) / 4, life - (life + 3) / 4);
            first->upper = second->lower;
            made++;
        } else if (first->size >= 2) {
            *second = *first;
            first->size = random_between(random, (first->size + 3) / 4, first->size - (first->size + 3) / 4);
            second->size -= first->size;
            made++;
        }
    }
}

/* Makes more than are wanted, and leaves some out. */
static void make_torn(tarn_plan_buffer *buffers, size_t count, uint64_t *random) {
    size_t whole = count + count / TORN_OF, kept = 0;
    make_tiling(buffers, whole, random);
    for (size_t i = 0; kept < count; i++)
        if (whole - i == count - kept || next_random(random) % TORN_OF != 0) buffers[kept++] = buffers[i];
}

static const struct {
    const char *name;
    void (*make)(tarn_plan_buffer *buffers, size_t count, uint64_t *random);
} kinds[BENCH_PROBLEM_COUNT] = {
    [BENCH_PROBLEM_TRAINING] = {"training", make_training},
    [BENCH_PROBLEM_INTERVALS] = {"intervals", make_intervals},
    [BENCH_PROBLEM_STEADY] = {"steady", make_steady},
    [BENCH_PROBLEM_POWERS] = {"powers", make_powers},
    [BENCH_PROBLEM_MEMORYLESS] = {"memoryless", make_memoryless},
    [BENCH_PROBLEM_TILING] = {"tiling", make_tiling},
    [BENCH_PROBLEM_TORN] = {"torn tiling", make_torn},
};

const char *bench_problem_name(bench_problem kind) { return kinds[kind].name; }

tarn_plan_buffer *bench_problem_make(bench_problem kind, size_t count, uint64_t seed) {
    tarn_plan_buffer *buffers = calloc(count + count / TORN_OF + 1, sizeof *buffers);
    if (buffers != NULL && count != 0) kinds[kind].make(buffers, count, &seed);
    return buffers;
}
