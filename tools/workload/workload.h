/* Workloads: programs of the size of an afternoon that use the library as its users do, and that say what they computed. */
#ifndef WORKLOAD_WORKLOAD_H
#define WORKLOAD_WORKLOAD_H

#include <stdbool.h>

#include <tarn/tarn.h>

typedef struct workload_options {
    tarn_device *device;
    tarn_allocator *allocator; /* of everything that a step makes */
    tarn_stream *stream;       /* NULL: the default one */
    size_t steps;              /* 0: the workload's own number */
    uint64_t seed;
    bool uses_graph; /* capture one step and launch it for the others */
    /* (optional) Told of each step, from 1 to `steps`, with its figure, the loss or a checksum. */
    void (*progress)(void *context, size_t step, size_t steps, double figure);
    void *context;
} workload_options;

typedef struct workload_result {
    const char *figure_name; /* "loss" or "checksum" */
    double first, last;      /* the figure of the first step, and of the last */
    double accuracy;         /* of what was learnt, on data that was not learnt from; below 0: not asked */
    const char *item;        /* what is counted: "samples", "tokens" */
    double items;            /* that all steps processed */
    double seconds;          /* that the steps took */
    size_t steps;
} workload_result;

typedef struct workload {
    const char *name;
    const char *summary;
    const char *allocator; /* the spec that shows what the workload is about */
    bool can_use_graph;
    tarn_status (*run)(const workload_options *options, workload_result *out_result);
} workload;

/* All of them; NULL beyond the last. */
const workload *workload_at(size_t number);

tarn_status training_run(const workload_options *options, workload_result *out_result);
tarn_status transformer_run(const workload_options *options, workload_result *out_result);
tarn_status convolution_run(const workload_options *options, workload_result *out_result);
tarn_status expressions_run(const workload_options *options, workload_result *out_result);

#endif
