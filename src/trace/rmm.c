/* Reads a log of RMM's logging resource adaptor: a table with the columns Thread, Time, Action, Pointer, Size and
 * Stream.
 *
 * The two ages of the format differ in how they write a cell. Times were HH:MM:SS:microseconds, then
 * HH:MM:SS.microseconds, and seconds since 1970 in RMM's own guide; streams were decimal numbers, then hexadecimal
 * ones; a null pointer is 0x0 or (nil); failures came to be logged. All of these are taken, in any mixture. The
 * time of day is continued past midnight. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "trace_table.h"

enum { COLUMN_THREAD, COLUMN_TIME, COLUMN_ACTION, COLUMN_POINTER, COLUMN_SIZE, COLUMN_STREAM, COLUMN_COUNT };
static const char *const column_names[COLUMN_COUNT] = {"Thread", "Time", "Action", "Pointer", "Size", "Stream"};

static const int64_t nanoseconds = 1000000000;
static const int64_t seconds_of_day = 86400;

typedef struct reader {
    trace_table table;
    int columns[COLUMN_COUNT];
    trace_builder builder;
    trace_map live;      /* address → id of the allocation made there last */
    int64_t last_time;   /* nanoseconds as in the file */
    int64_t past_nights; /* nanoseconds of the midnights passed */
} reader;

/* Digits up to nine of them as nanoseconds; false when there is anything else. */
static bool parse_fraction(const char *digits, int64_t *out_ns) {
    int64_t value = 0, unit = nanoseconds;
    for (; *digits >= '0' && *digits <= '9'; digits++) {
        if (unit == 1) continue;
        unit /= 10;
        value += (*digits - '0') * unit;
    }
    *out_ns = value;
    return *digits == '\0';
}

/* HH:MM:SS:microseconds, HH:MM:SS.fraction or seconds.fraction. */
static bool parse_time(const char *text, int64_t *out_ns, bool *out_is_day_time) {
    unsigned hours, minutes, seconds;
    int used = 0;
    text += strspn(text, " ");
    *out_is_day_time = sscanf(text, "%2u:%2u:%2u%n", &hours, &minutes, &seconds, &used) == 3;
    int64_t whole = 0, fraction = 0;
    if (*out_is_day_time) {
        /* A leap second is 60; a sign makes a number of ten digits. */
        if (hours > 23 || minutes > 59 || seconds > 60) return false;
        whole = (int64_t)hours * 3600 + (int64_t)minutes * 60 + (int64_t)seconds;
        text += used;
        if (*text != '\0' && ((*text != ':' && *text != '.') || !parse_fraction(text + 1, &fraction))) return false;
    } else {
        const char *start = text;
        for (; *text >= '0' && *text <= '9'; text++) {
            if (whole > INT64_MAX / nanoseconds / 10 - 1) return false;
            whole = whole * 10 + (*text - '0');
        }
        if (text == start || (*text != '\0' && (*text != '.' || !parse_fraction(text + 1, &fraction)))) return false;
    }
    *out_ns = whole * nanoseconds + fraction;
    return true;
}

static tarn_status read_time(reader *r, int64_t *out_ns) {
    const char *cell = trace_table_cell(&r->table, r->columns[COLUMN_TIME]);
    int64_t time;
    bool is_day_time;
    if (!parse_time(cell, &time, &is_day_time))
        return trace_table_fail(&r->table, "\"%.40s\" in column \"Time\" is no time", cell);
    /* Threads may log a little out of order; half a day is midnight. */
    if (is_day_time && r->last_time - time > seconds_of_day / 2 * nanoseconds && r->past_nights < INT64_MAX / 2)
        r->past_nights += seconds_of_day * nanoseconds;
    r->last_time = time;
    *out_ns = is_day_time ? time + r->past_nights : time;
    return TARN_OK;
}

static tarn_status read_stream(const reader *r, uint64_t *out_stream) {
    const char *cell = trace_table_cell(&r->table, r->columns[COLUMN_STREAM]);
    /* Only its being the same or not matters, so that base 16 serves for the decimal ones too. */
    if (!trace_parse_number(cell, 16, out_stream))
        return trace_table_fail(&r->table, "\"%.40s\" in column \"Stream\" is no stream", cell);
    return TARN_OK;
}

static tarn_status add_allocate(reader *r, const tarn_trace_event *event) {
    uint64_t *last = trace_map_find(&r->live, event->address);
    if (last != NULL && r->builder.allocations[*last].state == TRACE_LIVE)
        return trace_table_fail(&r->table, "0x%" PRIx64 " is allocated, and is live already", event->address);
    uint64_t id;
    tarn_status status = trace_builder_allocate(&r->builder, event, false, &id);
    if (status != TARN_OK) return base_fail_within(status, "%s: line %llu", r->table.input->path, r->table.line);
    uint64_t *place = trace_map_insert(&r->live, event->address, id, NULL);
    if (place == NULL)
        return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory for %zu addresses", r->table.input->path,
                         r->live.count);
    *place = id;
    return TARN_OK;
}

static tarn_status add_free(reader *r, const tarn_trace_event *event) {
    uint64_t *last = trace_map_find(&r->live, event->address);
    if (last == NULL || r->builder.allocations[*last].state != TRACE_LIVE)
        return trace_table_fail(&r->table, "0x%" PRIx64 " is freed, and is not live", event->address);
    return trace_builder_free(&r->builder, *last, event, false);
}

static tarn_status read_event(reader *r) {
    tarn_trace_event event = {.tag = TARN_TRACE_NO_STRING, .site = TARN_TRACE_NO_STRING};
    uint64_t thread, stream;
    tarn_status status = trace_table_number(&r->table, r->columns[COLUMN_THREAD], "Thread", 10, &thread);
    if (status == TARN_OK) status = read_time(r, &event.time_ns);
    if (status == TARN_OK)
        status = trace_table_number(&r->table, r->columns[COLUMN_POINTER], "Pointer", 16, &event.address);
    if (status == TARN_OK) status = trace_table_number(&r->table, r->columns[COLUMN_SIZE], "Size", 10, &event.size);
    if (status == TARN_OK) status = read_stream(r, &stream);
    if (status == TARN_OK) status = trace_builder_thread(&r->builder, thread, &event.thread);
    if (status == TARN_OK) status = trace_builder_stream(&r->builder, stream, &event.stream);
    if (status != TARN_OK) return status;

    const char *action = trace_table_cell(&r->table, r->columns[COLUMN_ACTION]);
    bool allocates = strcmp(action, "allocate") == 0;
    if (allocates || strcmp(action, "free") == 0 || strcmp(action, "deallocate") == 0) {
        /* No bytes take no memory, and RMM may give them all the null pointer. */
        if (event.size == 0) return TARN_OK;
        return allocates ? add_allocate(r, &event) : add_free(r, &event);
    }
    if (strcmp(action, "allocate failure") != 0) return trace_table_fail(&r->table, "unknown action \"%.40s\"", action);
    event.action = TARN_TRACE_OUT_OF_MEMORY;
    event.address = 0;
    return trace_builder_other(&r->builder, &event);
}

static tarn_status read_rows(reader *r) {
    bool more = false;
    tarn_status status = trace_table_next(&r->table, &more);
    if (status == TARN_OK && !more) return trace_table_fail(&r->table, "no header");
    if (status == TARN_OK)
        status = trace_table_columns(&r->table, column_names, COLUMN_COUNT, COLUMN_COUNT, r->columns);
    while (status == TARN_OK) {
        status = trace_table_next(&r->table, &more);
        if (status != TARN_OK || !more) break;
        status = read_event(r);
    }
    return status;
}

tarn_status trace_read_rmm(const trace_input *input, tarn_trace **out_trace) {
    reader r = {.last_time = INT64_MIN / 4};
    tarn_status status = trace_table_open(&r.table, input);
    if (status == TARN_OK) status = read_rows(&r);
    if (status == TARN_OK) status = trace_builder_finish(&r.builder, input->path, TARN_TRACE_RMM_CSV, out_trace);
    trace_builder_discard(&r.builder);
    trace_map_discard(&r.live);
    trace_table_close(&r.table);
    return status;
}
