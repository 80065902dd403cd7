/* Figures of strategies with an element below; see figures.h. */
#include "memory/figures.h"

void memory_figures_take(memory_figures *figures, size_t bytes) {
    figures->held += bytes;
    uint64_t cached = figures->held - figures->tally.in_use.current;
    if (cached > figures->cached_peak) figures->cached_peak = cached;
}

void memory_figures_give(memory_figures *figures, size_t bytes) { figures->held -= bytes; }

void memory_figures_fill(memory_figures *figures, tarn_memory_stats *inout_stats) {
    /* Other threads may have taken memory since the element below was asked. */
    tarn_figure *reserved = &inout_stats->reserved_bytes;
    if (reserved->current < figures->tally.in_use.current) memory_figure_set(reserved, figures->tally.in_use.current);
    uint64_t cached = reserved->current - figures->tally.in_use.current;
    if (cached > figures->cached_peak) figures->cached_peak = cached;
    memory_tally_fill(&figures->tally, inout_stats);
    /* Cached is what was reserved, and what was in use once. */
    inout_stats->cached_bytes = (tarn_figure){
        .current = cached,
        .peak = figures->cached_peak,
        .total = saturating_add(reserved->total, figures->tally.in_use.total - figures->tally.in_use.current),
    };
}

void memory_figures_reset_peaks(memory_figures *figures) {
    memory_tally_reset_peaks(&figures->tally);
    figures->cached_peak = figures->held - figures->tally.in_use.current;
}
