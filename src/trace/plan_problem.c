/* Plan problems: what tarn/plan_problem.h promises, but for the reading of tables.
 *
 * Ids are interned as strings are: one that is there already keeps its number, and so a duplicate is found. */
#include "plan_problem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/output.h"
#include "base/status.h"
#include "trace_file.h"

static tarn_status no_memory(const char *path, size_t count) {
    return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory for %zu buffers", path, count);
}

tarn_status plan_problem_create(const char *path, size_t capacity, tarn_plan_problem **out_problem) {
    tarn_plan_problem *problem = base_allocate(1, sizeof *problem);
    if (problem == NULL) return no_memory(path, capacity);
    problem->path = base_duplicate(path);
    if (capacity > 0) problem->buffers = base_allocate(capacity, sizeof *problem->buffers);
    problem->capacity = problem->buffers != NULL ? capacity : 0;
    if (problem->path == NULL || (capacity > 0 && problem->buffers == NULL)) {
        tarn_plan_problem_release(problem);
        return no_memory(path, capacity);
    }
    *out_problem = problem;
    return TARN_OK;
}

tarn_status plan_problem_add(tarn_plan_problem *problem, const char *id, size_t length,
                             const tarn_plan_buffer *buffer) {
    if (buffer->size >= PLAN_PROBLEM_LIMIT - problem->total)
        return base_fail(TARN_LIMIT_EXCEEDED, "the sizes add up to 2^63 bytes or more with this one of %" PRIu64,
                         buffer->size);
    if (!trace_reserve((void **)&problem->buffers, &problem->capacity, problem->count, sizeof *problem->buffers))
        return base_fail(TARN_OUT_OF_MEMORY, "no host memory for %zu buffers", problem->count + 1);
    uint32_t string;
    tarn_status status = trace_builder_string(&problem->ids, id, length, &string);
    if (status != TARN_OK) return status;
    if (string < problem->count)
        return base_fail(TARN_ALREADY_EXISTS, "the id \"%.40s\" is that of an earlier buffer too", id);
    problem->buffers[problem->count++] = *buffer;
    problem->total += buffer->size;
    if (buffer->region >= problem->region_count) problem->region_count = buffer->region + 1;
    return TARN_OK;
}

void plan_problem_finish(tarn_plan_problem *problem) {
    base_free(problem->ids.string_slots);
    problem->ids.string_slots = NULL;
    const tarn_plan_gap *next = problem->gaps;
    for (size_t i = 0; i < problem->count; i++) {
        if (problem->buffers[i].gap_count == 0) continue;
        problem->buffers[i].gaps = next;
        next += problem->buffers[i].gap_count;
    }
}

void tarn_plan_problem_release(tarn_plan_problem *problem) {
    if (problem == NULL) return;
    trace_builder_discard(&problem->ids);
    base_free(problem->gaps);
    base_free(problem->buffers);
    base_free(problem->path);
    base_free(problem);
}

tarn_status tarn_plan_problem_info_get(const tarn_plan_problem *problem, tarn_plan_problem_info *out_info) {
    if (problem == NULL) return base_fail(TARN_INVALID_ARGUMENT, "plan problem information asked of no problem (NULL)");
    if (out_info == NULL)
        return base_fail(TARN_INVALID_ARGUMENT, "%s: no place for the information (NULL)", problem->path);
    size_t size = out_info->struct_size;
    if (size < sizeof size)
        return base_fail(TARN_INVALID_ARGUMENT,
                         "%s: struct_size of the plan problem information is %zu, at least %zu is needed",
                         problem->path, size, sizeof size);
    tarn_plan_problem_info info = {
        .struct_size = size,
        .path = problem->path,
        .format = problem->format,
        .buffer_count = problem->count,
        .region_count = problem->region_count,
    };
    memcpy(out_info, &info, size < sizeof info ? size : sizeof info);
    return TARN_OK;
}

const tarn_plan_buffer *tarn_plan_problem_buffers(const tarn_plan_problem *problem) {
    return problem == NULL || problem->count == 0 ? NULL : problem->buffers;
}

const char *tarn_plan_problem_id(const tarn_plan_problem *problem, size_t index) {
    if (problem == NULL || index >= problem->count) return "";
    size_t length;
    return trace_builder_text(&problem->ids, (uint32_t)index, &length);
}

/* The alignment that the options ask for; 0 where they ask for none. */
static tarn_status read_options(const tarn_plan_problem_options *options, uint64_t *out_alignment) {
    tarn_plan_problem_options own = {0};
    if (options != NULL && options->struct_size < sizeof options->struct_size)
        return base_fail(TARN_INVALID_ARGUMENT,
                         "struct_size of the options of a plan problem is %zu, at least %zu is needed",
                         options->struct_size, sizeof options->struct_size);
    if (options != NULL) memcpy(&own, options, options->struct_size < sizeof own ? options->struct_size : sizeof own);
    *out_alignment = own.alignment;
    return TARN_OK;
}

/* What an allocator whose traces have this format promises of each address. */
static uint64_t promised_alignment(tarn_trace_format format) {
    switch (format) {
    case TARN_TRACE_PYTORCH_SNAPSHOT: return 512;
    case TARN_TRACE_RMM_CSV: return 256;
    case TARN_TRACE_TARN:
    case TARN_TRACE_CSV: return 64;
    case TARN_TRACE_PERFETTO:
    case TARN_TRACE_UNKNOWN: break;
    }
    return 1;
}

static tarn_status add_allocation(tarn_plan_problem *problem, const tarn_trace_event *event, size_t lower, size_t upper,
                                  uint64_t alignment) {
    char id[24];
    int length = snprintf(id, sizeof id, "%" PRIu64, event->id);
    tarn_plan_buffer buffer = {
        .lower = (int64_t)lower,
        .upper = (int64_t)upper,
        .size = event->size,
        .alignment = event->alignment_log2 != 0 ? (uint64_t)1 << event->alignment_log2 : alignment,
        .fixed_offset = TARN_PLAN_ANYWHERE,
        .region = event->device,
    };
    return plan_problem_add(problem, id, (size_t)length, &buffer);
}

/* `freed_by` has room for one number for each allocation. */
static tarn_status add_allocations(tarn_plan_problem *problem, const tarn_trace *trace, uint64_t alignment,
                                   size_t *freed_by) {
    for (size_t i = 0; i < trace->event_count; i++)
        if (trace->events[i].action == TARN_TRACE_FREE) freed_by[trace->events[i].id] = i;
    for (size_t i = 0; i < trace->event_count; i++) {
        const tarn_trace_event *event = &trace->events[i];
        if (event->action != TARN_TRACE_ALLOCATE) continue;
        size_t end = freed_by[event->id], lower = i < trace->initial_count ? 0 : i;
        tarn_status status = add_allocation(problem, event, lower, end > 0 ? end : trace->event_count, alignment);
        if (status != TARN_OK) return base_fail_within(status, "%s: allocation %" PRIu64, trace->path, event->id);
    }
    return TARN_OK;
}

tarn_status tarn_plan_problem_from_trace(const tarn_trace *trace, const tarn_plan_problem_options *options,
                                         tarn_plan_problem **out_problem) {
    if (trace == NULL) return base_fail(TARN_INVALID_ARGUMENT, "a plan problem made from no trace (NULL)");
    if (out_problem == NULL)
        return base_fail(TARN_INVALID_ARGUMENT, "%s: no place for the problem (NULL)", trace->path);
    uint64_t alignment;
    tarn_plan_problem *problem = NULL;
    tarn_status status = read_options(options, &alignment);
    if (status == TARN_OK) status = plan_problem_create(trace->path, trace->allocation_count, &problem);
    if (status != TARN_OK) return status;
    if (alignment == 0) alignment = promised_alignment(trace->format);
    problem->format = trace->format;
    size_t *freed_by = base_allocate(trace->allocation_count + 1, sizeof *freed_by);
    status = freed_by == NULL ? no_memory(trace->path, trace->allocation_count)
                              : add_allocations(problem, trace, alignment, freed_by);
    base_free(freed_by);
    if (status != TARN_OK) {
        tarn_plan_problem_release(problem);
        return status;
    }
    plan_problem_finish(problem);
    *out_problem = problem;
    return TARN_OK;
}

static tarn_status read_table(trace_file *file, uint64_t alignment, tarn_plan_problem **out_problem) {
    uint8_t *data = NULL;
    trace_input input = {.path = file->path};
    tarn_status status = trace_file_load(file, &data, &input.size);
    if (status != TARN_OK) return status;
    input.data = data;
    status = plan_problem_read_memory(&input, alignment, out_problem);
    base_free(data);
    return status;
}

static tarn_status read_trace(const char *path, const tarn_plan_problem_options *options,
                              tarn_plan_problem **out_problem) {
    tarn_trace *trace = NULL;
    tarn_status status = tarn_trace_read(path, &trace);
    if (status != TARN_OK) return status;
    status = tarn_plan_problem_from_trace(trace, options, out_problem);
    tarn_trace_release(trace);
    return status;
}

tarn_status tarn_plan_problem_read(const char *path, const tarn_plan_problem_options *options,
                                   tarn_plan_problem **out_problem) {
    if (path == NULL || path[0] == '\0')
        return base_fail(TARN_INVALID_ARGUMENT, "a plan problem cannot be read from an empty path");
    if (out_problem == NULL) return base_fail(TARN_INVALID_ARGUMENT, "%s: no place for the problem (NULL)", path);
    uint64_t alignment;
    trace_file file;
    tarn_status status = read_options(options, &alignment);
    if (status == TARN_OK) status = trace_file_open(&file, path);
    if (status != TARN_OK) return status;
    bool is_table = plan_problem_is_file(file.beginning, file.beginning_size);
    if (is_table) status = read_table(&file, alignment, out_problem);
    trace_file_close(&file);
    return is_table ? status : read_trace(path, options, out_problem);
}

static void write_gaps(base_output *output, const tarn_plan_buffer *buffer) {
    for (uint32_t i = 0; i < buffer->gap_count; i++) {
        const tarn_plan_gap *gap = &buffer->gaps[i];
        base_output_format(output, "%s%" PRId64 "-%" PRId64, i > 0 ? " " : "", gap->lower, gap->upper);
        if (gap->window_upper > 0)
            base_output_format(output, "@%" PRIu64 ":%" PRIu64, gap->window_lower, gap->window_upper);
    }
}

static void write_rows(const tarn_plan_problem *problem, const uint64_t *offsets, base_output *output) {
    bool has_alignment = false;
    for (size_t i = 0; i < problem->count && !has_alignment; i++) has_alignment = problem->buffers[i].alignment > 1;
    bool has_gaps = problem->gap_count > 0, has_regions = problem->region_count > 1;
    base_output_format(output, "id,lower,upper,size%s%s%s,offset\n", has_alignment ? ",alignment" : "",
                       has_gaps ? ",gaps" : "", has_regions ? ",region" : "");
    for (size_t i = 0; i < problem->count; i++) {
        const tarn_plan_buffer *buffer = &problem->buffers[i];
        base_output_cell(output, tarn_plan_problem_id(problem, i));
        base_output_format(output, ",%" PRId64 ",%" PRId64 ",%" PRIu64, buffer->lower, buffer->upper, buffer->size);
        if (has_alignment) base_output_format(output, ",%" PRIu64, buffer->alignment > 1 ? buffer->alignment : 1);
        if (has_gaps) base_output_string(output, ",");
        write_gaps(output, buffer);
        if (has_regions) base_output_format(output, ",%" PRIu32, buffer->region);
        base_output_format(output, ",%" PRIu64 "\n", offsets[i]);
    }
}

tarn_status tarn_plan_problem_write(const tarn_plan_problem *problem, const uint64_t *offsets, const char *path) {
    if (problem == NULL) return base_fail(TARN_INVALID_ARGUMENT, "no plan problem to write (NULL)");
    if (path == NULL || path[0] == '\0')
        return base_fail(TARN_INVALID_ARGUMENT, "%s: a plan cannot be written to an empty path", problem->path);
    if (offsets == NULL && problem->count > 0)
        return base_fail(TARN_INVALID_ARGUMENT, "%s: no offsets to write (NULL)", problem->path);
    base_output output;
    tarn_status status = base_output_open(&output, path);
    if (status != TARN_OK) return status;
    write_rows(problem, offsets, &output);
    return base_output_close(&output);
}
