/* Reads problem files: MiniMalloc's columns, found by their names, and one of Tarn's own.
 *
 * Whatever a solver would refuse of one buffer is refused here already, since only here the line is known. The file's lines are
 * counted first, so that a problem of ten million buffers is put where it stays and never moves. */
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "plan_problem.h"
#include "trace_file.h"
#include "trace_table.h"

enum {
    COLUMN_ID,
    COLUMN_LOWER,
    COLUMN_UPPER,
    COLUMN_SIZE,
    COLUMN_ALIGNMENT,
    COLUMN_GAPS,
    COLUMN_OFFSET,
    COLUMN_REGION,
    COLUMN_COUNT,
    COLUMN_REQUIRED = COLUMN_ALIGNMENT
};

typedef struct column_name {
    const char *name;
    int column;
    bool is_inclusive; /* its times are the last moments, not the first ones after them */
} column_name;

/* The first name of each column is the one that sentences use. */
static const column_name column_names[] = {
    {"id", COLUMN_ID, false},         {"lower", COLUMN_LOWER, false},         {"upper", COLUMN_UPPER, false},
    {"size", COLUMN_SIZE, false},     {"alignment", COLUMN_ALIGNMENT, false}, {"gaps", COLUMN_GAPS, false},
    {"offset", COLUMN_OFFSET, false}, {"region", COLUMN_REGION, false},       {"buffer", COLUMN_ID, false},
    {"buffer_id", COLUMN_ID, false},  {"start", COLUMN_LOWER, false},         {"begin", COLUMN_LOWER, false},
    {"end", COLUMN_UPPER, true},
};
enum { NAME_COUNT = sizeof column_names / sizeof column_names[0], MOST_REGIONS = 65536 };

typedef struct reader {
    trace_table table;
    int columns[COLUMN_COUNT]; /* the cell of each; -1: there is none */
    size_t cell_count;         /* of the header: each row has as many */
    bool is_inclusive;
    uint64_t alignment; /* of buffers that have none */
    tarn_plan_problem *problem;
} reader;

bool plan_problem_is_file(const uint8_t *data, size_t size) {
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf};
    if (size >= sizeof mark && memcmp(data, mark, sizeof mark) == 0) {
        data += sizeof mark;
        size -= sizeof mark;
    }
    const char *line = (const char *)data;
    size_t length = trace_first_line(data, size);
    if (memchr(line, '\0', length) != NULL || trace_line_has_cell(line, length, "action")) return false;
    unsigned found = 0;
    for (size_t i = 0; i < NAME_COUNT; i++)
        if (column_names[i].column < COLUMN_REQUIRED && trace_line_has_cell(line, length, column_names[i].name))
            found |= 1u << column_names[i].column;
    /* One missing column still leaves it recognisable. */
    return __builtin_popcount(found) >= COLUMN_REQUIRED - 1;
}

/* The column of this name, or NULL. */
static const column_name *find_column(const char *cell, size_t length) {
    while (length > 0 && *cell == ' ') {
        cell++;
        length--;
    }
    while (length > 0 && cell[length - 1] == ' ') length--;
    for (size_t i = 0; i < NAME_COUNT; i++)
        if (strlen(column_names[i].name) == length && strncasecmp(cell, column_names[i].name, length) == 0)
            return &column_names[i];
    return NULL;
}

static tarn_status read_header(reader *r) {
    for (size_t i = 0; i < COLUMN_COUNT; i++) r->columns[i] = -1;
    r->cell_count = r->table.cell_count;
    for (size_t i = 0; i < r->cell_count; i++) {
        const column_name *found = find_column(r->table.cells[i], r->table.lengths[i]);
        if (found == NULL) {
            base_log(TARN_LOG_WARNING, "%s: the column \"%.40s\" is not used", r->table.input->path, r->table.cells[i]);
            continue;
        }
        if (r->columns[found->column] >= 0)
            return trace_table_fail(&r->table, "a second column for \"%s\"", column_names[found->column].name);
        r->columns[found->column] = (int)i;
        if (found->column == COLUMN_UPPER) r->is_inclusive = found->is_inclusive;
    }
    for (size_t i = 0; i < COLUMN_REQUIRED; i++)
        if (r->columns[i] < 0) return trace_table_fail(&r->table, "the column \"%s\" is missing", column_names[i].name);
    return TARN_OK;
}

/* Takes a number from the front of a text. False: there is none of 64 bits. */
static bool take_size(const char **text, uint64_t *out_size) {
    const char *digit = *text;
    uint64_t size = 0;
    for (; *digit >= '0' && *digit <= '9'; digit++)
        if (__builtin_mul_overflow(size, 10, &size) || __builtin_add_overflow(size, (uint64_t)(*digit - '0'), &size))
            return false;
    if (digit == *text) return false;
    *text = digit;
    *out_size = size;
    return true;
}

/* The same for a whole number that may be negative. */
static bool take_time(const char **text, int64_t *out_time) {
    bool is_negative = **text == '-';
    const char *digits = *text + is_negative;
    uint64_t size;
    if (!take_size(&digits, &size) || size > (uint64_t)INT64_MAX + is_negative) return false;
    *text = digits;
    *out_time = is_negative ? (int64_t)(0 - size) : (int64_t)size;
    return true;
}

static const char *skip_spaces(const char *text) {
    while (*text == ' ') text++;
    return text;
}

static bool take(const char **text, char character) {
    if (**text != character) return false;
    ++*text;
    return true;
}

/* Where a lifetime or a gap ends: the first moment after it. */
static bool excluded(const reader *r, int64_t *time) {
    return !r->is_inclusive || !__builtin_add_overflow(*time, 1, time);
}

static tarn_status read_time(const reader *r, int column, int64_t *out_time) {
    const char *cell = trace_table_cell(&r->table, r->columns[column]), *text = skip_spaces(cell);
    if (!take_time(&text, out_time) || *skip_spaces(text) != '\0' || (column == COLUMN_UPPER && !excluded(r, out_time)))
        return trace_table_fail(&r->table, "\"%.40s\" in column \"%s\" is no whole number of 64 bits", cell,
                                column_names[column].name);
    return TARN_OK;
}

static tarn_status read_number(const reader *r, int column, uint64_t *out_number) {
    const char *cell = trace_table_cell(&r->table, r->columns[column]), *text = skip_spaces(cell);
    if (!take_size(&text, out_number) || *skip_spaces(text) != '\0')
        return trace_table_fail(&r->table, "\"%.40s\" in column \"%s\" is no number of 64 bits", cell,
                                column_names[column].name);
    return TARN_OK;
}

static tarn_status read_optional(const reader *r, int column, uint64_t absent, uint64_t *out_number) {
    *out_number = absent;
    bool is_absent = trace_table_cell(&r->table, r->columns[column])[0] == '\0';
    return is_absent ? TARN_OK : read_number(r, column, out_number);
}

/* "lower-upper" or "lower-upper@window_lower:window_upper". */
static bool take_gap(const reader *r, const char **text, tarn_plan_gap *out_gap) {
    *out_gap = (tarn_plan_gap){0};
    if (!take_time(text, &out_gap->lower) || !take(text, '-') || !take_time(text, &out_gap->upper)) return false;
    if (!excluded(r, &out_gap->upper)) return false;
    if (!take(text, '@')) return true;
    return take_size(text, &out_gap->window_lower) && take(text, ':') && take_size(text, &out_gap->window_upper);
}

static tarn_status check_gap(const reader *r, const tarn_plan_buffer *buffer, const tarn_plan_gap *gap,
                             const tarn_plan_gap *last) {
    if (gap->lower >= gap->upper || gap->lower < buffer->lower || gap->upper > buffer->upper)
        return trace_table_fail(&r->table,
                                "a gap from %" PRId64 " to %" PRId64 " does not lie in the lifetime from %" PRId64
                                " to %" PRId64,
                                gap->lower, gap->upper, buffer->lower, buffer->upper);
    if (last != NULL && gap->lower < last->upper)
        return trace_table_fail(&r->table, "a gap from %" PRId64 " begins before the one before it ends, at %" PRId64,
                                gap->lower, last->upper);
    bool is_whole = gap->window_lower == 0 && gap->window_upper == 0;
    if (!is_whole && (gap->window_lower >= gap->window_upper || gap->window_upper > buffer->size))
        return trace_table_fail(
            &r->table, "a window from %" PRIu64 " to %" PRIu64 " does not lie in the buffer's %" PRIu64 " bytes",
            gap->window_lower, gap->window_upper, buffer->size);
    return TARN_OK;
}

static tarn_status read_gaps(reader *r, tarn_plan_buffer *buffer) {
    tarn_plan_problem *problem = r->problem;
    const char *text = trace_table_cell(&r->table, r->columns[COLUMN_GAPS]);
    for (text = skip_spaces(text); *text != '\0'; text = skip_spaces(text)) {
        const char *begin = text;
        tarn_plan_gap gap;
        if (!take_gap(r, &text, &gap) || (*text != '\0' && *text != ' '))
            return trace_table_fail(&r->table, "\"%.40s\" is no gap; \"10-20\" and \"10-20@0:64\" are", begin);
        const tarn_plan_gap *last = buffer->gap_count > 0 ? &problem->gaps[problem->gap_count - 1] : NULL;
        tarn_status status = check_gap(r, buffer, &gap, last);
        if (status != TARN_OK) return status;
        if (!trace_reserve((void **)&problem->gaps, &problem->gap_capacity, problem->gap_count, sizeof gap))
            return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory for %zu gaps", problem->path,
                             problem->gap_count + 1);
        problem->gaps[problem->gap_count++] = gap;
        buffer->gap_count++;
    }
    return TARN_OK;
}

static tarn_status check_buffer(const reader *r, const tarn_plan_buffer *buffer) {
    if (buffer->lower >= buffer->upper)
        return trace_table_fail(&r->table, "the lifetime ends at %" PRId64 ", no later than it begins, at %" PRId64,
                                buffer->upper, buffer->lower);
    if (buffer->fixed_offset == TARN_PLAN_ANYWHERE) return TARN_OK;
    if (buffer->alignment > 1 && buffer->fixed_offset % buffer->alignment != 0)
        return trace_table_fail(&r->table, "the offset %" PRIu64 " is no multiple of the alignment %" PRIu64,
                                buffer->fixed_offset, buffer->alignment);
    uint64_t end;
    if (__builtin_add_overflow(buffer->fixed_offset, buffer->size, &end) || end >= PLAN_PROBLEM_LIMIT)
        return trace_table_fail(&r->table, "%" PRIu64 " bytes at offset %" PRIu64 " end beyond 2^63", buffer->size,
                                buffer->fixed_offset);
    return TARN_OK;
}

static tarn_status read_buffer(reader *r) {
    if (r->table.cell_count != r->cell_count)
        return trace_table_fail(&r->table, "%zu cells, and the header has %zu", r->table.cell_count, r->cell_count);
    tarn_plan_buffer buffer = {0};
    uint64_t region = 0;
    tarn_status status = read_time(r, COLUMN_LOWER, &buffer.lower);
    if (status == TARN_OK) status = read_time(r, COLUMN_UPPER, &buffer.upper);
    if (status == TARN_OK) status = read_number(r, COLUMN_SIZE, &buffer.size);
    if (status == TARN_OK) status = read_optional(r, COLUMN_ALIGNMENT, r->alignment, &buffer.alignment);
    if (status == TARN_OK) status = read_optional(r, COLUMN_OFFSET, TARN_PLAN_ANYWHERE, &buffer.fixed_offset);
    if (status == TARN_OK) status = read_optional(r, COLUMN_REGION, 0, &region);
    if (status == TARN_OK && region >= MOST_REGIONS)
        status = trace_table_fail(&r->table, "region %" PRIu64 ", at most %d is allowed", region, MOST_REGIONS - 1);
    buffer.region = (uint32_t)region;
    if (status == TARN_OK) status = check_buffer(r, &buffer);
    if (status == TARN_OK) status = read_gaps(r, &buffer);
    if (status != TARN_OK) return status;
    int id = r->columns[COLUMN_ID];
    status = plan_problem_add(r->problem, r->table.cells[id], r->table.lengths[id], &buffer);
    if (status == TARN_OK) return TARN_OK;
    base_fail_within(status, "%s: line %llu", r->table.input->path, r->table.line);
    return status == TARN_OUT_OF_MEMORY ? status : TARN_CORRUPT_DATA;
}

/* How many buffers there may be: no more than lines, and than the shortest rows, "a,0,1,1", have room. */
static size_t most_buffers(const trace_input *input) {
    size_t count = 0, most = input->size / 8;
    const uint8_t *at = input->data, *end = input->data + input->size;
    for (; at < end && (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++) count++;
    return count < most ? count : most;
}

static tarn_status read_rows(reader *r) {
    bool more = false;
    tarn_status status = trace_table_next(&r->table, &more);
    if (status == TARN_OK && !more) return trace_table_fail(&r->table, "no header");
    if (status == TARN_OK) status = read_header(r);
    while (status == TARN_OK) {
        status = trace_table_next(&r->table, &more);
        if (status != TARN_OK || !more) break;
        status = read_buffer(r);
    }
    return status;
}

tarn_status plan_problem_read_memory(const trace_input *input, uint64_t alignment, tarn_plan_problem **out_problem) {
    reader r = {.alignment = alignment};
    tarn_status status = plan_problem_create(input->path, most_buffers(input), &r.problem);
    if (status != TARN_OK) return status;
    status = trace_table_open(&r.table, input);
    if (status == TARN_OK) status = read_rows(&r);
    trace_table_close(&r.table);
    if (status != TARN_OK) {
        tarn_plan_problem_release(r.problem);
        return status;
    }
    plan_problem_finish(r.problem);
    *out_problem = r.problem;
    return TARN_OK;
}
