/* What the benchmarks share: their settings, medians, comparing with a target. */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "tarn/table.h"
#include "tarn/tool.h"

#define BENCH_COMMAND "tarn bench"
#define BENCH_MOST_SPECS 32

typedef struct bench_options {
    bool quick;
    bool as_json;
    const char *data;                    /* folder with snapshots; NULL: none was named */
    const char *specs[BENCH_MOST_SPECS]; /* stacks to measure instead of the usual ones */
    size_t spec_count;
} bench_options;

/* A benchmark prints its table, unless JSON is asked for, and gives its JSON object. It returns an exit code of the tool, and
 * `*out_result` only when that is TOOL_DONE. */
typedef struct benchmark {
    const char *name;
    int (*run)(const bench_options *options, json_t **out_result);
} benchmark;

int bench_alloc(const bench_options *options, json_t **out_result);
int bench_stacks(const bench_options *options, json_t **out_result);
int bench_replay(const bench_options *options, json_t **out_result);
int bench_record(const bench_options *options, json_t **out_result);
int bench_shapes(const bench_options *options, json_t **out_result);
int bench_plan(const bench_options *options, json_t **out_result);

/* The middle value, the mean of the two middle ones for an even count. Sorts `values`; `count` is above zero. */
double bench_median(double *values, size_t count);
/* Nanoseconds with three significant digits and their unit. */
char *bench_duration(double nanoseconds, char out_text[TOOL_TEXT]);
/* Keeps a value alive that nobody reads, so that what made it is not optimised away. */
static inline void bench_keep(void *value) { __asm__ volatile("" : : "r"(value) : "memory"); }

#endif
