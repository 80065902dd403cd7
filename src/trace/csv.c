/* Reads Tarn's own table: one row for each event, its columns found by their names in the first row.
 *
 *     time_ns,action,id,size,address,device,stream,thread,alignment,tag,site
 *
 * The first four must be there. Actions are called as trace_action_name says; `initial` is an allocation from
 * before the recording. Ids are any numbers that tell allocations apart; each may be allocated once. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "trace_table.h"

enum {
    COLUMN_TIME,
    COLUMN_ACTION,
    COLUMN_ID,
    COLUMN_SIZE,
    COLUMN_ADDRESS,
    COLUMN_DEVICE,
    COLUMN_STREAM,
    COLUMN_THREAD,
    COLUMN_ALIGNMENT,
    COLUMN_TAG,
    COLUMN_SITE,
    COLUMN_COUNT,
    COLUMN_REQUIRED = COLUMN_ADDRESS
};
static const char *const column_names[COLUMN_COUNT] = {"time_ns", "action", "id",        "size", "address", "device",
                                                       "stream",  "thread", "alignment", "tag",  "site"};

typedef struct reader {
    trace_table table;
    int columns[COLUMN_COUNT];
    trace_builder builder;
    trace_map ids; /* id in the file → id */
} reader;

static tarn_status read_number(const reader *r, int column, uint64_t limit, uint64_t *out_number) {
    const char *cell = trace_table_cell(&r->table, r->columns[column]);
    int base = cell[0] == '0' && (cell[1] == 'x' || cell[1] == 'X') ? 16 : 10;
    *out_number = 0;
    if (column >= COLUMN_REQUIRED && cell[0] == '\0') return TARN_OK;
    tarn_status status = trace_table_number(&r->table, r->columns[column], column_names[column], base, out_number);
    if (status == TARN_OK && *out_number > limit)
        return trace_table_fail(&r->table, "%" PRIu64 " in column \"%s\", at most %" PRIu64 " is allowed", *out_number,
                                column_names[column], limit);
    return status;
}

/* Frees have their allocation's size: theirs may be left out. */
static tarn_status read_size(const reader *r, uint64_t *out_size) {
    const char *action = trace_table_cell(&r->table, r->columns[COLUMN_ACTION]);
    *out_size = 0;
    if (trace_table_cell(&r->table, r->columns[COLUMN_SIZE])[0] == '\0' && strncmp(action, "free", 4) == 0)
        return TARN_OK;
    return read_number(r, COLUMN_SIZE, UINT64_MAX, out_size);
}

static tarn_status read_time(const reader *r, int64_t *out_time_ns) {
    const char *cell = trace_table_cell(&r->table, r->columns[COLUMN_TIME]);
    char *end;
    errno = 0;
    long long time = strtoll(cell, &end, 10);
    if (cell[0] == '\0' || *end != '\0' || errno != 0)
        return trace_table_fail(&r->table, "\"%.40s\" in column \"time_ns\" is no time", cell);
    *out_time_ns = time;
    return TARN_OK;
}

static tarn_status read_string(reader *r, int column, uint32_t *out_string) {
    const char *cell = trace_table_cell(&r->table, r->columns[column]);
    *out_string = TARN_TRACE_NO_STRING;
    return cell[0] == '\0' ? TARN_OK : trace_builder_string(&r->builder, cell, strlen(cell), out_string);
}

static tarn_status add_allocate(reader *r, uint64_t number, const tarn_trace_event *event, bool initial) {
    if (initial && r->builder.started)
        return trace_table_fail(&r->table, "an initial allocation after the recording has begun");
    if (trace_map_find(&r->ids, number) != NULL)
        return trace_table_fail(&r->table, "id %" PRIu64 " is allocated a second time", number);
    uint64_t id;
    tarn_status status = trace_builder_allocate(&r->builder, event, initial, &id);
    if (status != TARN_OK) return base_fail_within(status, "%s: line %llu", r->table.input->path, r->table.line);
    if (trace_map_insert(&r->ids, number, id, NULL) == NULL)
        return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory for %zu ids", r->table.input->path, r->ids.count);
    return TARN_OK;
}

static tarn_status add_free(reader *r, uint64_t number, const tarn_trace_event *event, bool completed) {
    const uint64_t *id = trace_map_find(&r->ids, number);
    if (id == NULL) return trace_table_fail(&r->table, "id %" PRIu64 " is freed, and was not allocated", number);
    if (r->builder.allocations[*id].state != (completed ? TRACE_FREED : TRACE_LIVE))
        return trace_table_fail(&r->table,
                                completed ? "the free of id %" PRIu64 " is completed, but it is not pending"
                                          : "id %" PRIu64 " is freed a second time",
                                number);
    return trace_builder_free(&r->builder, *id, event, completed);
}

static tarn_status add_event(reader *r, const char *name, uint64_t number, tarn_trace_event *event) {
    if (strcmp(name, "initial") == 0) return add_allocate(r, number, event, true);
    unsigned action = 0;
    while (trace_action_name(action) != NULL && strcmp(name, trace_action_name(action)) != 0) action++;
    if (trace_action_name(action) == NULL) return trace_table_fail(&r->table, "unknown action \"%.40s\"", name);
    event->action = (uint8_t)action;
    switch ((tarn_trace_action)action) {
    case TARN_TRACE_ALLOCATE: return add_allocate(r, number, event, false);
    case TARN_TRACE_FREE: return add_free(r, number, event, false);
    case TARN_TRACE_FREE_COMPLETED: return add_free(r, number, event, true);
    case TARN_TRACE_SEGMENT_ALLOCATE:
    case TARN_TRACE_SEGMENT_FREE:
    case TARN_TRACE_OUT_OF_MEMORY:
    case TARN_TRACE_MARK: break;
    }
    return trace_builder_other(&r->builder, event);
}

static tarn_status read_event(reader *r) {
    tarn_trace_event event = {0};
    uint64_t number, device, stream, thread, alignment;
    tarn_status status = read_time(r, &event.time_ns);
    const char *id_cell = trace_table_cell(&r->table, r->columns[COLUMN_ID]);
    number = 0;
    if (status == TARN_OK && id_cell[0] != '\0') status = read_number(r, COLUMN_ID, UINT64_MAX, &number);
    if (status == TARN_OK) status = read_size(r, &event.size);
    if (status == TARN_OK) status = read_number(r, COLUMN_ADDRESS, UINT64_MAX, &event.address);
    if (status == TARN_OK) status = read_number(r, COLUMN_DEVICE, UINT16_MAX - 1, &device);
    if (status == TARN_OK) status = read_number(r, COLUMN_STREAM, UINT64_MAX, &stream);
    if (status == TARN_OK) status = read_number(r, COLUMN_THREAD, UINT64_MAX, &thread);
    if (status == TARN_OK) status = read_number(r, COLUMN_ALIGNMENT, 63, &alignment);
    if (status == TARN_OK) status = trace_builder_stream(&r->builder, stream, &event.stream);
    if (status == TARN_OK) status = trace_builder_thread(&r->builder, thread, &event.thread);
    if (status == TARN_OK) status = read_string(r, COLUMN_TAG, &event.tag);
    if (status == TARN_OK) status = read_string(r, COLUMN_SITE, &event.site);
    if (status != TARN_OK) return status;
    event.device = (uint16_t)device;
    event.alignment_log2 = (uint8_t)alignment;
    return add_event(r, trace_table_cell(&r->table, r->columns[COLUMN_ACTION]), number, &event);
}

static tarn_status read_rows(reader *r) {
    bool more = false;
    tarn_status status = trace_table_next(&r->table, &more);
    if (status == TARN_OK && !more) return trace_table_fail(&r->table, "no header");
    if (status == TARN_OK)
        status = trace_table_columns(&r->table, column_names, COLUMN_COUNT, COLUMN_REQUIRED, r->columns);
    while (status == TARN_OK) {
        status = trace_table_next(&r->table, &more);
        if (status != TARN_OK || !more) break;
        status = read_event(r);
    }
    return status;
}

tarn_status trace_read_csv(const trace_input *input, tarn_trace **out_trace) {
    reader r = {0};
    tarn_status status = trace_table_open(&r.table, input);
    if (status == TARN_OK) status = read_rows(&r);
    if (status == TARN_OK) status = trace_builder_finish(&r.builder, input->path, TARN_TRACE_CSV, out_trace);
    trace_builder_discard(&r.builder);
    trace_map_discard(&r.ids);
    trace_table_close(&r.table);
    return status;
}
