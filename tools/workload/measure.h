/* What the workloads that only compute have in common: steps that give a checksum. */
#ifndef WORKLOAD_MEASURE_H
#define WORKLOAD_MEASURE_H

#include "workload/step.h"
#include "workload/workload.h"

/* Computes step `number`, and adds what it processed to `inout_items`. */
typedef tarn_status (*measured_step)(void *context, size_t number, double *out_checksum, double *inout_items);

/* Takes the steps, measures them, tells of them, and fills everything of the result but `item`. */
tarn_status measure_steps(const workload_options *options, size_t default_steps, measured_step take, void *context,
                          workload_result *out_result);

#endif
