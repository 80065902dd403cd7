/* Measuring steps. */
#include "workload/measure.h"

#include "base/clock.h"

tarn_status measure_steps(const workload_options *options, size_t default_steps, measured_step take, void *context,
                          workload_result *out_result) {
    workload_result result = {
        .figure_name = "checksum", .accuracy = -1, .steps = options->steps > 0 ? options->steps : default_steps};
    tarn_status status = TARN_OK;
    uint64_t began = base_clock_ns();
    for (size_t i = 0; i < result.steps && status == TARN_OK; i++) {
        status = take(context, i, &result.last, &result.items);
        if (i == 0) result.first = result.last;
        if (status == TARN_OK && options->progress != NULL)
            options->progress(options->context, i + 1, result.steps, result.last);
    }
    result.seconds = (double)(base_clock_ns() - began) * 1e-9;
    if (status == TARN_OK) *out_result = result;
    return status;
}
