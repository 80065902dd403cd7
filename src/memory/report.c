/* Reports of statistics. They are all read before the first byte is written: what fails leaves the output as it was, and a report
 * of OpenMetrics, which goes through the figures one by one and not through the allocators, still tells one moment of each. */
#include <tarn/report.h>

#include <inttypes.h>
#include <string.h>

#include <tarn/planned.h>
#include <tarn/size.h>

#include "base/checked.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/text.h"
#include "memory/planned.h"
#include "memory/strategy.h"

typedef struct report_entry {
    const char *spec, *device, *name; /* name: NULL for none */
    tarn_memory_stats stats;
    bool is_planned; /* it has a plan, or learns for one */
    tarn_planned_stats planned;
} report_entry;

/* A figure that programs read, by the place of its member. */
typedef struct metric {
    const char *name; /* after "tarn_memory_" */
    const char *meaning;
    size_t offset;   /* of the figure in the statistics */
    const char *key; /* in JSON; NULL: the statistics write themselves */
    bool is_counter;
    bool is_bytes; /* the name ends in the unit */
} metric;

#define PLANNED_METRIC(name, meaning, member, is_counter, is_bytes) \
    { name, meaning, offsetof(tarn_planned_stats, member), #member, is_counter, is_bytes }

static const metric planned_metrics[] = {
    PLANNED_METRIC("planned_rounds", "Rounds that have ended", rounds, true, false),
    PLANNED_METRIC("planned_requests", "Requests served from their places in a plan", planned, true, false),
    PLANNED_METRIC("planned_kept", "Expected requests that are left to the allocator below", kept, true, false),
    PLANNED_METRIC("planned_deviations", "Requests that a plan did not serve", deviations, true, false),
    PLANNED_METRIC("planned_missing", "Requests that were planned and did not come", missing, true, false),
    PLANNED_METRIC("planned_plans", "Plans that were made", plans, true, false),
    PLANNED_METRIC("planned_failed_plans", "Plans that could not be made or had no memory", failed_plans, true, false),
    PLANNED_METRIC("plan_requests", "Requests of a round of the plan", plan_requests, false, false),
    PLANNED_METRIC("plan_places", "Requests of it that have a place", plan_places, false, false),
    PLANNED_METRIC("plan_bytes", "Memory of the plan", plan_bytes, false, true),
    PLANNED_METRIC("plan_lower_bound_bytes", "What no plan of these requests can be below", plan_lower_bound, false,
                   true),
};
enum { PLANNED_METRICS = sizeof planned_metrics / sizeof planned_metrics[0] };

static uint64_t value_at(const void *structure, const metric *told) {
    uint64_t value;
    memcpy(&value, (const char *)structure + told->offset, sizeof value);
    return value;
}

/* What would end the quotation or is no UTF-8 is escaped; in JSON, control characters too. */
static void put_escaped(base_text *text, const char *value, bool is_json) {
    const char *plain = value; /* begins what can be put as it is */
    for (;;) {
        size_t length = base_utf8_length(value);
        bool is_control = length == 1 && (unsigned char)*value < 0x20;
        bool is_special = length == 0 || *value == '"' || *value == '\\' || *value == '\n' || *value == '\0' ||
                          (is_json && is_control);
        if (!is_special) {
            value += length;
            continue;
        }
        if (value > plain) base_text_put(text, "%.*s", (int)(value - plain), plain);
        if (*value == '\0') return;
        if (length == 0) base_text_put(text, "%s", is_json ? "\\ufffd" : "\xef\xbf\xbd");
        else if (*value == '\n') base_text_put(text, "\\n");
        else if (is_control) base_text_put(text, "\\u%04x", (unsigned)*value);
        else base_text_put(text, "\\%c", *value);
        plain = ++value;
    }
}

/* Lets a function that writes as snprintf does go on where the text ends. */
static void put_stats(base_text *text, const tarn_memory_stats *stats,
                      size_t (*write)(const tarn_memory_stats *, char *, size_t)) {
    bool has_room = text->length < text->capacity;
    text->length +=
        write(stats, has_room ? text->out + text->length : NULL, has_room ? text->capacity - text->length : 0);
}

static void put_planned_line(base_text *text, const tarn_planned_stats *stats) {
    char bytes[TARN_SIZE_TEXT], bound[TARN_SIZE_TEXT];
    base_text_put(text,
                  "  planned: %" PRIu64 " requests from their places, %" PRIu64 " kept below, %" PRIu64
                  " deviations, %" PRIu64 " missing, %" PRIu64 " rounds; plan: %s, at least %s%s\n",
                  stats->planned, stats->kept, stats->deviations, stats->missing, stats->rounds,
                  tarn_size_format(stats->plan_bytes, bytes), tarn_size_format(stats->plan_lower_bound, bound),
                  stats->is_learning != 0 ? "; learning" : "");
}

static void write_text(base_text *text, const report_entry *entries, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (entries[i].name != NULL) base_text_put(text, "%s: ", entries[i].name);
        base_text_put(text, "%s on %s: ", entries[i].spec, entries[i].device);
        put_stats(text, &entries[i].stats, tarn_memory_stats_to_string);
        base_text_put(text, "\n");
        if (entries[i].is_planned) put_planned_line(text, &entries[i].planned);
    }
}

static void put_member(base_text *text, const char *key, const char *value) {
    base_text_put(text, "\"%s\":", key);
    if (value == NULL) {
        base_text_put(text, "null,");
        return;
    }
    base_text_put(text, "\"");
    put_escaped(text, value, true);
    base_text_put(text, "\",");
}

static void put_planned_member(base_text *text, const tarn_planned_stats *stats) {
    base_text_put(text, ",\"planned\":{");
    for (size_t m = 0; m < PLANNED_METRICS; m++)
        base_text_put(text, "\"%s\":%" PRIu64 ",", planned_metrics[m].key, value_at(stats, &planned_metrics[m]));
    base_text_put(text, "\"is_learning\":%s}", stats->is_learning != 0 ? "true" : "false");
}

static void write_json(base_text *text, const report_entry *entries, size_t count) {
    base_text_put(text, "{\"allocators\":[");
    for (size_t i = 0; i < count; i++) {
        base_text_put(text, "%s{", i > 0 ? "," : "");
        put_member(text, "name", entries[i].name);
        put_member(text, "allocator", entries[i].spec);
        put_member(text, "device", entries[i].device);
        base_text_put(text, "\"statistics\":");
        put_stats(text, &entries[i].stats, tarn_memory_stats_to_json);
        if (entries[i].is_planned) put_planned_member(text, &entries[i].planned);
        base_text_put(text, "}");
    }
    base_text_put(text, "]}");
}

/* OpenMetrics: all samples of a metric stand together, under lines that say its type, unit and meaning. */

#define FIGURE_METRICS(member, meaning)                                                                  \
    {#member "_bytes", meaning, offsetof(tarn_memory_stats, member##_bytes.current), NULL, false, true}, \
        {#member "_peak_bytes",                                                                          \
         meaning ", at most",                                                                            \
         offsetof(tarn_memory_stats, member##_bytes.peak),                                               \
         NULL,                                                                                           \
         false,                                                                                          \
         true},                                                                                          \
    {                                                                                                    \
#member "_added_bytes", meaning ", all that was ever added",                                     \
            offsetof(tarn_memory_stats, member##_bytes.total), NULL, true, true                          \
    }

static const metric metrics[] = {
    FIGURE_METRICS(requested, "Bytes asked for, of live buffers"),
    FIGURE_METRICS(in_use, "Capacity of live buffers"),
    FIGURE_METRICS(cached, "Bytes reserved and not in use"),
    FIGURE_METRICS(reserved, "Physical memory taken from the device"),
    {"blocks", "Live buffers", offsetof(tarn_memory_stats, blocks.current), NULL, false, false},
    {"blocks_peak", "Live buffers, at most", offsetof(tarn_memory_stats, blocks.peak), NULL, false, false},
    {"largest_free_block_bytes", "What one request can get without asking the device",
     offsetof(tarn_memory_stats, largest_free_block), NULL, false, true},
    {"allocations", "Allocations that succeeded", offsetof(tarn_memory_stats, allocations), NULL, true, false},
    {"frees", "Frees", offsetof(tarn_memory_stats, frees), NULL, true, false},
    {"failed_allocations", "Allocations that failed", offsetof(tarn_memory_stats, failed_allocations), NULL, true,
     false},
    {"retries", "Times the cache was emptied because the device had no more", offsetof(tarn_memory_stats, retries),
     NULL, true, false},
    {"device_waits", "Times an allocation waited for the device", offsetof(tarn_memory_stats, device_waits), NULL, true,
     false},
};

static void put_head(base_text *text, const char *name, const char *type, bool is_bytes, const char *meaning) {
    base_text_put(text, "# TYPE tarn_memory_%s %s\n", name, type);
    if (is_bytes) base_text_put(text, "# UNIT tarn_memory_%s bytes\n", name);
    base_text_put(text, "# HELP tarn_memory_%s %s.\n", name, meaning);
}

static void put_metric_head(base_text *text, const metric *told) {
    put_head(text, told->name, told->is_counter ? "counter" : "gauge", told->is_bytes, told->meaning);
}

/* `bound` is the upper bound of a histogram's bucket, or NULL. */
static void put_sample(base_text *text, const char *name, const char *suffix, const report_entry *entry,
                       const char *bound, uint64_t value) {
    base_text_put(text, "tarn_memory_%s%s{allocator=\"", name, suffix);
    put_escaped(text, entry->spec, false);
    base_text_put(text, "\",device=\"");
    put_escaped(text, entry->device, false);
    if (entry->name != NULL) {
        base_text_put(text, "\",name=\"");
        put_escaped(text, entry->name, false);
    }
    if (bound != NULL) base_text_put(text, "\",le=\"%s", bound);
    base_text_put(text, "\"} %" PRIu64 "\n", value);
}

/* Bucket i of the statistics holds whole sizes below 2^(i+1), so its bound is that less one; the last one has none. */
static void put_histogram(base_text *text, const char *name, const report_entry *entry) {
    uint64_t counted = 0;
    char bound[32];
    for (unsigned i = 0; i < TARN_HISTOGRAM_BUCKETS; i++) {
        counted = saturating_add(counted, entry->stats.histogram[i]);
        base_text written;
        base_text_begin(&written, bound, sizeof bound);
        if (i < TARN_HISTOGRAM_BUCKETS - 1) base_text_put(&written, "%" PRIu64 ".0", (UINT64_C(2) << i) - 1);
        else base_text_put(&written, "+Inf");
        put_sample(text, name, "_bucket", entry, bound, counted);
    }
    put_sample(text, name, "_count", entry, NULL, counted);
    put_sample(text, name, "_sum", entry, NULL, entry->stats.requested_bytes.total);
}

static void put_planned_metrics(base_text *text, const report_entry *entries, size_t count) {
    bool is_any = false;
    for (size_t i = 0; i < count; i++) is_any = is_any || entries[i].is_planned;
    for (size_t m = 0; m < PLANNED_METRICS && is_any; m++) {
        const metric *told = &planned_metrics[m];
        put_metric_head(text, told);
        for (size_t i = 0; i < count; i++)
            if (entries[i].is_planned)
                put_sample(text, told->name, told->is_counter ? "_total" : "", &entries[i], NULL,
                           value_at(&entries[i].planned, told));
    }
    static const char learning[] = "plan_is_learning";
    if (is_any) put_head(text, learning, "gauge", false, "Whether requests are being noted for a plan");
    for (size_t i = 0; i < count; i++)
        if (entries[i].is_planned)
            put_sample(text, learning, "", &entries[i], NULL, entries[i].planned.is_learning != 0 ? 1 : 0);
}

static void write_openmetrics(base_text *text, const report_entry *entries, size_t count) {
    for (size_t m = 0; m < sizeof metrics / sizeof metrics[0]; m++) {
        const metric *told = &metrics[m];
        put_metric_head(text, told);
        for (size_t i = 0; i < count; i++) {
            uint64_t value = value_at(&entries[i].stats, told);
            put_sample(text, told->name, told->is_counter ? "_total" : "", &entries[i], NULL, value);
        }
    }
    put_planned_metrics(text, entries, count);
    static const char sizes[] = "request_size_bytes";
    put_head(text, sizes, "histogram", true, "Sizes of the allocations that succeeded");
    for (size_t i = 0; i < count; i++) put_histogram(text, sizes, &entries[i]);
    base_text_put(text, "# EOF\n");
}

static bool are_the_same(const report_entry *a, const report_entry *b) {
    return strcmp(a->spec, b->spec) == 0 && strcmp(a->device, b->device) == 0 &&
           strcmp(a->name != NULL ? a->name : "", b->name != NULL ? b->name : "") == 0;
}

/* OpenMetrics forbids two samples with the same labels; a label that is empty is as good as none. */
static tarn_status check_labels(const report_entry *entries, size_t count) {
    for (size_t i = 1; i < count; i++)
        for (size_t k = 0; k < i; k++)
            if (are_the_same(&entries[k], &entries[i]))
                return base_fail(TARN_INVALID_ARGUMENT,
                                 "report: subjects %zu and %zu are both %s on %s%s%s: names tell them apart", k, i,
                                 entries[i].spec, entries[i].device, entries[i].name != NULL ? " named " : "",
                                 entries[i].name != NULL ? entries[i].name : "");
    return TARN_OK;
}

/* Whether a planned allocator stands below the adaptors. */
static bool plans(const tarn_allocator *allocator) {
    while (allocator->strategy->is_adaptor) allocator = allocator->upstream;
    return allocator->strategy == &planned_strategy;
}

static tarn_status read_entries(const tarn_report_subject *subjects, size_t count, report_entry *entries) {
    for (size_t i = 0; i < count; i++) {
        report_entry *entry = &entries[i];
        *entry = (report_entry){.spec = tarn_allocator_spec(subjects[i].allocator),
                                .name = subjects[i].name,
                                .stats.struct_size = sizeof entry->stats};
        tarn_status status = tarn_allocator_stats(subjects[i].allocator, &entry->stats);
        if (status != TARN_OK) return status;
        entry->is_planned = plans(subjects[i].allocator);
        entry->planned.struct_size = sizeof entry->planned;
        if (entry->is_planned) status = tarn_planned_stats_get(subjects[i].allocator, &entry->planned);
        if (status != TARN_OK) return status;
        entry->device = tarn_device_name(tarn_allocator_device(subjects[i].allocator));
    }
    return TARN_OK;
}

tarn_status tarn_report_write(const tarn_report_subject *subjects, size_t count, tarn_report_format format,
                              char *out_text, size_t capacity, size_t *out_length) {
    void (*write)(base_text *, const report_entry *, size_t) = NULL;
    switch (format) {
    case TARN_REPORT_TEXT: write = write_text; break;
    case TARN_REPORT_JSON: write = write_json; break;
    case TARN_REPORT_OPENMETRICS: write = write_openmetrics; break;
    }
    if (write == NULL) return base_fail(TARN_INVALID_ARGUMENT, "report: there is no format %d", (int)format);
    if ((subjects == NULL && count > 0) || (out_text == NULL && capacity > 0))
        return base_fail(TARN_INVALID_ARGUMENT, "report: the subjects or the place for the text is NULL");
    report_entry *entries = count > 0 ? base_allocate(count, sizeof *entries) : NULL;
    if (entries == NULL && count > 0)
        return base_fail(TARN_OUT_OF_MEMORY, "report: no host memory for the statistics of %zu allocators", count);
    tarn_status status = read_entries(subjects, count, entries);
    if (status == TARN_OK && format == TARN_REPORT_OPENMETRICS) status = check_labels(entries, count);
    if (status == TARN_OK) {
        base_text text;
        base_text_begin(&text, out_text, capacity);
        write(&text, entries, count);
        if (out_length != NULL) *out_length = text.length;
    }
    base_free(entries);
    return status;
}

tarn_status tarn_allocator_report(tarn_allocator *allocator, tarn_report_format format, char *out_text, size_t capacity,
                                  size_t *out_length) {
    tarn_report_subject subject = {.allocator = allocator};
    return tarn_report_write(&subject, 1, format, out_text, capacity, out_length);
}
