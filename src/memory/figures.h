/* The figures of a strategy that takes its memory from the element below: what it hands out it counts itself, what is reserved the
 * element below knows. Whoever keeps them protects them. */
#ifndef MEMORY_FIGURES_H
#define MEMORY_FIGURES_H

#include "memory/stats.h"
#include "memory/strategy.h"

typedef struct memory_figures {
    tarn_figure requested, in_use, blocks; /* the total of the blocks is `allocations` */
    uint64_t held;                         /* bytes of the pieces taken from below */
    uint64_t cached_peak;                  /* the most of them that was not in use */
    uint64_t allocations, frees, failed, retries;
    uint64_t histogram[TARN_HISTOGRAM_BUCKETS];
} memory_figures;

/* What is live fits the address space, so that only totals need to saturate. */
static inline void memory_figures_raise(tarn_figure *figure, uint64_t amount) {
    figure->current += amount;
    figure->total = saturating_add(figure->total, amount);
    if (figure->current > figure->peak) figure->peak = figure->current;
}

static inline void memory_figures_allocate(memory_figures *figures, size_t size, size_t capacity) {
    memory_figures_raise(&figures->requested, size);
    memory_figures_raise(&figures->in_use, capacity);
    if (++figures->blocks.current > figures->blocks.peak) figures->blocks.peak = figures->blocks.current;
    figures->allocations++;
    figures->histogram[memory_histogram_bucket(size)]++;
}

static inline void memory_figures_free(memory_figures *figures, size_t size, size_t capacity) {
    figures->requested.current -= size;
    figures->in_use.current -= capacity;
    figures->blocks.current--;
    figures->frees++;
    uint64_t cached = figures->held - figures->in_use.current;
    if (cached > figures->cached_peak) figures->cached_peak = cached;
}

/* A piece of so many bytes was taken from below, or given back. */
void memory_figures_take(memory_figures *figures, size_t bytes);
void memory_figures_give(memory_figures *figures, size_t bytes);
/* Completes the statistics of the element below, in `inout_stats`, to those of the whole. */
void memory_figures_fill(memory_figures *figures, tarn_memory_stats *inout_stats);
void memory_figures_reset_peaks(memory_figures *figures);

#endif
