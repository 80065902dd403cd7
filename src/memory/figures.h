/* The figures of a strategy that takes its memory from the element below: what it hands out it counts itself, what is reserved the
 * element below knows. Whoever keeps them protects them. */
#ifndef MEMORY_FIGURES_H
#define MEMORY_FIGURES_H

#include "memory/stats.h"
#include "memory/strategy.h"

typedef struct memory_figures {
    memory_tally tally;
    uint64_t held;        /* bytes of the pieces taken from below */
    uint64_t cached_peak; /* the most of them that was not in use */
    uint64_t least;       /* when less than this is in use, more is cached than ever */
} memory_figures;

static inline void memory_figures_free(memory_figures *figures, size_t size, size_t capacity) {
    memory_tally_free(&figures->tally, size, capacity);
    uint64_t in_use = figures->tally.in_use.current;
    if (__builtin_expect(in_use < figures->least, 0)) {
        figures->least = in_use;
        figures->cached_peak = figures->held - in_use;
    }
}

/* A piece of so many bytes was taken from below, or given back. */
void memory_figures_take(memory_figures *figures, size_t bytes);
void memory_figures_give(memory_figures *figures, size_t bytes);
/* Completes the statistics of the element below, in `inout_stats`, to those of the whole. */
void memory_figures_fill(memory_figures *figures, tarn_memory_stats *inout_stats);
void memory_figures_reset_peaks(memory_figures *figures);

#endif
