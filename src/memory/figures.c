/* Figures of strategies with an element below; see figures.h. */
#include "memory/figures.h"

#include <string.h>

void memory_figures_take(memory_figures *figures, size_t bytes) {
    figures->held += bytes;
    uint64_t cached = figures->held - figures->in_use.current;
    if (cached > figures->cached_peak) figures->cached_peak = cached;
}

void memory_figures_give(memory_figures *figures, size_t bytes) { figures->held -= bytes; }

void memory_figures_fill(memory_figures *figures, tarn_memory_stats *inout_stats) {
    /* Other threads may have taken memory since the element below was asked. */
    tarn_figure *reserved = &inout_stats->reserved_bytes;
    if (reserved->current < figures->in_use.current) memory_figure_set(reserved, figures->in_use.current);
    uint64_t cached = reserved->current - figures->in_use.current;
    if (cached > figures->cached_peak) figures->cached_peak = cached;
    inout_stats->requested_bytes = figures->requested;
    inout_stats->in_use_bytes = figures->in_use;
    inout_stats->blocks = figures->blocks;
    inout_stats->blocks.total = figures->allocations;
    /* Cached is what was reserved, and what was in use once. */
    inout_stats->cached_bytes = (tarn_figure){
        .current = cached,
        .peak = figures->cached_peak,
        .total = saturating_add(reserved->total, figures->in_use.total - figures->in_use.current),
    };
    inout_stats->allocations = figures->allocations;
    inout_stats->frees = figures->frees;
    inout_stats->failed_allocations = figures->failed;
    inout_stats->retries = saturating_add(inout_stats->retries, figures->retries);
    memcpy(inout_stats->histogram, figures->histogram, sizeof figures->histogram);
}

void memory_figures_reset_peaks(memory_figures *figures) {
    memory_figure_reset_peak(&figures->requested);
    memory_figure_reset_peak(&figures->in_use);
    memory_figure_reset_peak(&figures->blocks);
    figures->cached_peak = figures->held - figures->in_use.current;
}
