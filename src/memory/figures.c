/* Figures of strategies with an element below; see figures.h. */
#include "memory/figures.h"

static void set_least(memory_figures *figures) {
    figures->least = figures->held > figures->cached_peak ? figures->held - figures->cached_peak : 0;
}

/* So many bytes are held and not in use. */
static void note_cached(memory_figures *figures, uint64_t cached) {
    if (cached > figures->cached_peak) figures->cached_peak = cached;
    set_least(figures);
}

void memory_figures_take(memory_figures *figures, size_t bytes) {
    figures->held += bytes;
    note_cached(figures, figures->held - figures->tally.in_use.current);
}

void memory_figures_give(memory_figures *figures, size_t bytes) {
    figures->held -= bytes;
    set_least(figures);
}

void memory_figures_fill(memory_figures *figures, tarn_memory_stats *inout_stats) {
    /* Other threads may have taken memory since the element below was asked. */
    tarn_figure *reserved = &inout_stats->reserved_bytes;
    if (reserved->current < figures->tally.in_use.current) memory_figure_set(reserved, figures->tally.in_use.current);
    uint64_t cached = reserved->current - figures->tally.in_use.current;
    note_cached(figures, cached);
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
    set_least(figures);
}
