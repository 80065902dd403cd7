/* Reports: the statistics of one or more allocators as text, for people and for programs that watch. */
#ifndef TARN_REPORT_H
#define TARN_REPORT_H

#include <tarn/allocator.h>

TARN_BEGIN_DECLARATIONS

typedef enum tarn_report_format {
    TARN_REPORT_TEXT = 0,   /* a line for each allocator: its spec, its device, and tarn_memory_stats_to_string */
    TARN_REPORT_JSON,       /* {"allocators": [{"name", "allocator", "device", "statistics"}]}, one line */
    TARN_REPORT_OPENMETRICS /* OpenMetrics 1.0.0, which Prometheus reads; ended by "# EOF" */
} tarn_report_format;

/* Whose statistics are told. The structure does not grow. */
typedef struct tarn_report_subject {
    tarn_allocator *allocator;
    const char *name; /* what tells it from others of the same spec and device; NULL: nothing */
} tarn_report_subject;

/* Writes the report of `count` allocators to `out_text`, cut to `capacity` bytes with the NUL at their end, and the length of the
 * whole text, without the NUL, to `out_length`, which may be NULL. With `capacity` 0 `out_text` may be NULL: then only the length
 * is told; leave some room, since figures grow. Each allocator's statistics are read at one moment, one after the other.
 *
 * In OpenMetrics, sizes are gauges and counters in bytes (tarn_memory_requested_bytes, …_requested_peak_bytes,
 * …_requested_added_bytes_total; the same of in_use, cached and reserved), then tarn_memory_blocks, …_blocks_peak,
 * …_largest_free_block_bytes, the counters …_allocations_total, …_frees_total, …_failed_allocations_total, …_retries_total,
 * …_device_waits_total, and the histogram …_request_size_bytes. Labels are allocator (the spec), device, and name where
 * there is one. Bytes of a label that are no UTF-8 become U+FFFD.
 *
 * An allocator that plans (tarn/planned.h) has its plan's figures too: in text as a second line, in JSON as a member "planned" with
 * the members of tarn_planned_stats, in OpenMetrics as the counters tarn_memory_planned_rounds_total, …_planned_requests_total,
 * …_planned_kept_total, …_planned_deviations_total, …_planned_missing_total, …_planned_plans_total, …_planned_failed_plans_total and
 * the gauges …_plan_requests, …_plan_places, …_plan_bytes, …_plan_lower_bound_bytes, …_plan_is_learning. They are read after the statistics.
 *
 * INVALID_ARGUMENT: NULL without need; two subjects with the same labels in OpenMetrics, which cannot tell them apart. What
 * tarn_allocator_stats fails with; OUT_OF_MEMORY. Any thread. */
TARN_API tarn_status tarn_report_write(const tarn_report_subject *subjects, size_t count, tarn_report_format format,
                                       char *out_text, size_t capacity, size_t *out_length);

/* The same of one allocator without a name. */
TARN_API tarn_status tarn_allocator_report(tarn_allocator *allocator, tarn_report_format format, char *out_text,
                                           size_t capacity, size_t *out_length);

TARN_END_DECLARATIONS

#endif
