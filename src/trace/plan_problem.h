/* A plan problem as its makers see it: vectors that grow, and ids that are each there once. */
#ifndef TRACE_PLAN_PROBLEM_H
#define TRACE_PLAN_PROBLEM_H

#include <tarn/plan_problem.h>

#include "trace_internal.h"

struct tarn_plan_problem {
    char *path;
    tarn_trace_format format;
    tarn_plan_buffer *buffers;
    size_t count, capacity;
    tarn_plan_gap *gaps; /* of all buffers, in their order */
    size_t gap_count, gap_capacity;
    uint32_t region_count;
    uint64_t total;    /* bytes of all buffers */
    trace_builder ids; /* of which only the strings are used: id i is string i */
};

/* The problem's sizes add up to less than this. */
#define PLAN_PROBLEM_LIMIT ((uint64_t)1 << 63)

/* An empty problem with room for `capacity` buffers. OUT_OF_MEMORY. */
tarn_status plan_problem_create(const char *path, size_t capacity, tarn_plan_problem **out_problem);
/* Adds a buffer whose `gap_count` gaps are the last ones of the problem. ALREADY_EXISTS: another buffer has this id; LIMIT_EXCEEDED: the
 * sizes add up to too much; OUT_OF_MEMORY. The sentence names no file. */
tarn_status plan_problem_add(tarn_plan_problem *problem, const char *id, size_t length, const tarn_plan_buffer *buffer);
/* Gives back what only adding needs, and lets the buffers point to their gaps. */
void plan_problem_finish(tarn_plan_problem *problem);

/* Whether a file that begins with these bytes is a table with columns of a problem, and not one of events. */
bool plan_problem_is_file(const uint8_t *data, size_t size);
/* Reads a problem file that is in memory. `alignment` is of buffers without one. */
tarn_status plan_problem_read_memory(const trace_input *input, uint64_t alignment, tarn_plan_problem **out_problem);

#endif
