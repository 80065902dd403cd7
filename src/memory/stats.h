/* Figures: a number as it is now, at its highest, and all that was ever added; and the tally that every strategy keeps of what it
 * hands out. Whoever keeps one protects it. */
#ifndef MEMORY_STATS_H
#define MEMORY_STATS_H

#include <tarn/stats.h>

#include "base/checked.h"

static inline void memory_figure_add(tarn_figure *figure, uint64_t amount) {
    figure->current = saturating_add(figure->current, amount);
    figure->total = saturating_add(figure->total, amount);
    if (figure->current > figure->peak) figure->peak = figure->current;
}

static inline void memory_figure_subtract(tarn_figure *figure, uint64_t amount) {
    figure->current = figure->current > amount ? figure->current - amount : 0;
}

/* For an amount that becomes another one. */
static inline void memory_figure_change(tarn_figure *figure, uint64_t from, uint64_t to) {
    if (to > from) memory_figure_add(figure, to - from);
    else memory_figure_subtract(figure, from - to);
}

/* For a figure that is the difference of others. */
static inline void memory_figure_set(tarn_figure *figure, uint64_t current) {
    if (current > figure->current) memory_figure_add(figure, current - figure->current);
    else figure->current = current;
}

static inline void memory_figure_reset_peak(tarn_figure *figure) { figure->peak = figure->current; }

/* The bucket of a request; the last one also takes what is larger. */
static inline unsigned memory_histogram_bucket(size_t size) {
    unsigned bucket = size != 0 ? 63u - (unsigned)__builtin_clzll((unsigned long long)size) : 0;
    return bucket < TARN_HISTOGRAM_BUCKETS ? bucket : TARN_HISTOGRAM_BUCKETS - 1;
}

/* Of buffers. A call writes as little of it as can be: what follows from other figures is worked out when somebody asks. */
typedef struct memory_tally {
    tarn_figure requested, in_use, blocks; /* the total of the blocks is not kept */
    uint64_t failed, retries;
    uint64_t histogram[64]; /* allocations by the power of two that their size begins with */
} memory_tally;

/* What is live fits the address space, so that only totals need to saturate. */
static inline void memory_tally_raise(tarn_figure *figure, uint64_t amount) {
    figure->current += amount;
    figure->total = saturating_add(figure->total, amount);
    if (figure->current > figure->peak) figure->peak = figure->current;
}

/* `size` is above zero. */
static inline void memory_tally_allocate(memory_tally *tally, size_t size, size_t capacity) {
    memory_tally_raise(&tally->requested, size);
    memory_tally_raise(&tally->in_use, capacity);
    if (++tally->blocks.current > tally->blocks.peak) tally->blocks.peak = tally->blocks.current;
    tally->histogram[63u - (unsigned)__builtin_clzll((unsigned long long)size)]++;
}

static inline void memory_tally_free(memory_tally *tally, size_t size, size_t capacity) {
    tally->requested.current -= size;
    tally->in_use.current -= capacity;
    tally->blocks.current--;
}

uint64_t memory_tally_allocations(const memory_tally *tally);
static inline uint64_t memory_tally_frees(const memory_tally *tally) {
    return memory_tally_allocations(tally) - tally->blocks.current;
}

/* Writes the tally into statistics; retries are added to those of the elements below, which are there already. */
void memory_tally_fill(const memory_tally *tally, tarn_memory_stats *inout_stats);
void memory_tally_reset_peaks(memory_tally *tally);

#endif
