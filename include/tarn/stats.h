/* Statistics of an allocator. */
#ifndef TARN_STATS_H
#define TARN_STATS_H

#include <stddef.h>
#include <stdint.h>

#include <tarn/export.h>
#include <tarn/status.h>

TARN_BEGIN_DECLARATIONS

/* A figure as it is now, at its highest, and all that was ever added. They saturate and never wrap. */
typedef struct tarn_figure {
    uint64_t current, peak, total;
} tarn_figure;

/* One bucket for each power of two: bucket i counts requests of 2^i up to 2^(i+1)-1 bytes. */
#define TARN_HISTOGRAM_BUCKETS 48

typedef struct tarn_memory_stats {
    size_t struct_size;
    tarn_figure requested_bytes; /* as asked for */
    tarn_figure in_use_bytes;    /* capacity of live buffers */
    tarn_figure cached_bytes;    /* reserved and not in use */
    tarn_figure reserved_bytes;  /* physical memory taken from the device */
    tarn_figure blocks;          /* live buffers */
    uint64_t allocations, frees, failed_allocations;
    uint64_t retries;            /* times the cache was emptied because the device had no more */
    uint64_t device_waits;       /* times an allocation waited for the device */
    uint64_t largest_free_block; /* bytes that one request can get without asking the device */
    uint64_t histogram[TARN_HISTOGRAM_BUCKETS];
    uint64_t is_graph_mode; /* 1: a graph switch is on, and these are its graph pool's figures; else 0 */
} tarn_memory_stats;

/* Writes the statistics as one line of text ("Memory: 1.50 MB, Blocks: 3, GraphMode: False" and what follows), and
 * returns the length that the whole text has, as snprintf does. */
TARN_API size_t tarn_memory_stats_to_string(const tarn_memory_stats *stats, char *out_text, size_t capacity);
/* The same as one JSON object. */
TARN_API size_t tarn_memory_stats_to_json(const tarn_memory_stats *stats, char *out_text, size_t capacity);

TARN_END_DECLARATIONS

#endif
