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
    bool trial; /* everything as short as it can be, only to see that it works; `quick` is set as well */
    bool as_json;
    const char *data;                    /* folder with snapshots; NULL: none was named */
    const char *specs[BENCH_MOST_SPECS]; /* stacks to measure instead of the usual ones */
    size_t spec_count;
    const char *plots;  /* folder for plots; NULL: none are wanted */
    const char *device; /* that `alloc` and `ops` measure alone; NULL: none was named */
    size_t largest;     /* elements of the tensors that are computed with; 0: the usual number */
} bench_options;

/* A benchmark prints its table, unless JSON is asked for, and gives its JSON object. It returns an exit code of the tool, and
 * `*out_result` only when that is TOOL_DONE. */
typedef struct benchmark {
    const char *name;
    int (*run)(const bench_options *options, json_t **out_result);
    bool has_plots;
    bool has_devices; /* it measures the device that is named */
} benchmark;

int bench_alloc(const bench_options *options, json_t **out_result);
int bench_stacks(const bench_options *options, json_t **out_result);
int bench_replay(const bench_options *options, json_t **out_result);
int bench_record(const bench_options *options, json_t **out_result);
int bench_shapes(const bench_options *options, json_t **out_result);
int bench_plan(const bench_options *options, json_t **out_result);
int bench_graphs(const bench_options *options, json_t **out_result);
int bench_operations(const bench_options *options, json_t **out_result);
int bench_expressions(const bench_options *options, json_t **out_result);

/* Calls `run` for each problem file and trace of the folder that the options name, else TARN_SHARED_DATA, until one does not return
 * TOOL_DONE, and returns that. TOOL_INPUT where the named folder has none; without a folder says that there are none. */
int bench_each_problem(const bench_options *options, const char *name, int (*run)(void *context, const char *path),
                       void *context);

/* The middle value, the mean of the two middle ones for an even count. Sorts `values`; `count` is above zero. */
double bench_median(double *values, size_t count);
/* The value that a quarter of the others lies below, in the same way. */
double bench_first_quartile(double *values, size_t count);
/* Nanoseconds with three significant digits and their unit. */
char *bench_duration(double nanoseconds, char out_text[TOOL_TEXT]);
/* Keeps a value alive that nobody reads, so that what made it is not optimised away. */
static inline void bench_keep(void *value) { __asm__ volatile("" : : "r"(value) : "memory"); }

#endif
