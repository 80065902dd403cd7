/* Statistics as text. Both forms are written piece by piece into whatever room there is, while the whole length is counted. */
#include "memory/stats.h"

#include <inttypes.h>
#include <string.h>

#include <tarn/size.h>

#include "base/text.h"

/* The caller's structure, as far as its version goes, with zeros behind. */
static tarn_memory_stats read_stats(const tarn_memory_stats *stats) {
    tarn_memory_stats read = {0};
    size_t size = stats != NULL ? stats->struct_size : 0;
    if (size > 0) memcpy(&read, stats, size < sizeof read ? size : sizeof read);
    return read;
}

/* Megabytes with two decimals, in whole numbers: exact for every value, and the point is a point in every locale. */
static void put_megabytes(base_text *t, uint64_t bytes) {
    uint64_t whole = bytes >> 20, rest = bytes & 0xFFFFF;
    uint64_t hundredths = (rest * 100 + (1u << 19)) >> 20;
    if (hundredths == 100) {
        whole++;
        hundredths = 0;
    }
    base_text_put(t, "%" PRIu64 ".%02" PRIu64 " MB", whole, hundredths);
}

static void put_figure(base_text *t, const char *name, const tarn_figure *figure) {
    char now[TARN_SIZE_TEXT], peak[TARN_SIZE_TEXT];
    base_text_put(t, ", %s: %s (peak %s)", name, tarn_size_format(figure->current, now),
                  tarn_size_format(figure->peak, peak));
}

size_t tarn_memory_stats_to_string(const tarn_memory_stats *stats, char *out_text, size_t capacity) {
    tarn_memory_stats s = read_stats(stats);
    base_text t;
    base_text_begin(&t, out_text, capacity);
    char largest[TARN_SIZE_TEXT];
    base_text_put(&t, "Memory: ");
    put_megabytes(&t, saturating_add(s.in_use_bytes.current, s.cached_bytes.current));
    base_text_put(&t, ", Blocks: %" PRIu64 ", GraphMode: %s", s.blocks.current,
                  s.is_graph_mode != 0 ? "True" : "False");
    put_figure(&t, "Requested", &s.requested_bytes);
    put_figure(&t, "InUse", &s.in_use_bytes);
    put_figure(&t, "Cached", &s.cached_bytes);
    put_figure(&t, "Reserved", &s.reserved_bytes);
    base_text_put(&t, ", Allocations: %" PRIu64 ", Frees: %" PRIu64 ", Failed: %" PRIu64, s.allocations, s.frees,
                  s.failed_allocations);
    base_text_put(&t, ", Retries: %" PRIu64 ", DeviceWaits: %" PRIu64 ", LargestFreeBlock: %s", s.retries,
                  s.device_waits, tarn_size_format(s.largest_free_block, largest));
    return t.length;
}

static void put_json_figure(base_text *t, const char *name, const tarn_figure *figure) {
    base_text_put(t, "\"%s\":{\"current\":%" PRIu64 ",\"peak\":%" PRIu64 ",\"total\":%" PRIu64 "},", name,
                  figure->current, figure->peak, figure->total);
}

size_t tarn_memory_stats_to_json(const tarn_memory_stats *stats, char *out_text, size_t capacity) {
    tarn_memory_stats s = read_stats(stats);
    base_text t;
    base_text_begin(&t, out_text, capacity);
    base_text_put(&t, "{");
    put_json_figure(&t, "requested_bytes", &s.requested_bytes);
    put_json_figure(&t, "in_use_bytes", &s.in_use_bytes);
    put_json_figure(&t, "cached_bytes", &s.cached_bytes);
    put_json_figure(&t, "reserved_bytes", &s.reserved_bytes);
    put_json_figure(&t, "blocks", &s.blocks);
    base_text_put(&t, "\"allocations\":%" PRIu64 ",\"frees\":%" PRIu64 ",\"failed_allocations\":%" PRIu64 ",",
                  s.allocations, s.frees, s.failed_allocations);
    base_text_put(
        &t, "\"retries\":%" PRIu64 ",\"device_waits\":%" PRIu64 ",\"largest_free_block\":%" PRIu64 ",\"histogram\":[",
        s.retries, s.device_waits, s.largest_free_block);
    for (unsigned i = 0; i < TARN_HISTOGRAM_BUCKETS; i++)
        base_text_put(&t, "%s%" PRIu64, i > 0 ? "," : "", s.histogram[i]);
    base_text_put(&t, "],\"is_graph_mode\":%s}", s.is_graph_mode != 0 ? "true" : "false");
    return t.length;
}

uint64_t memory_tally_allocations(const memory_tally *tally) {
    uint64_t allocations = 0;
    for (unsigned i = 0; i < sizeof tally->histogram / sizeof tally->histogram[0]; i++)
        allocations += tally->histogram[i];
    return allocations;
}

void memory_tally_fill(const memory_tally *tally, tarn_memory_stats *inout_stats) {
    inout_stats->requested_bytes = tally->requested;
    inout_stats->in_use_bytes = tally->in_use;
    inout_stats->blocks = tally->blocks;
    inout_stats->allocations = inout_stats->blocks.total = memory_tally_allocations(tally);
    inout_stats->frees = memory_tally_frees(tally);
    inout_stats->failed_allocations = tally->failed;
    inout_stats->retries = saturating_add(inout_stats->retries, tally->retries);
    memset(inout_stats->histogram, 0, sizeof inout_stats->histogram);
    for (unsigned i = 0; i < sizeof tally->histogram / sizeof tally->histogram[0]; i++)
        inout_stats->histogram[memory_histogram_bucket((size_t)1 << i)] += tally->histogram[i];
}

void memory_tally_reset_peaks(memory_tally *tally) {
    memory_figure_reset_peak(&tally->requested);
    memory_figure_reset_peak(&tally->in_use);
    memory_figure_reset_peak(&tally->blocks);
}
