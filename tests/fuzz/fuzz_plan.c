/* Feeds arbitrary bytes to the reader of plan problems, and plans what comes out of it where that is little. */
#include <string.h>

#include <tarn/log.h>

#include "check_trace.h"
#include "trace/plan_problem.h"

enum { MOST_PLANNED = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_buffers(const tarn_plan_problem *problem, const tarn_plan_problem_info *info) {
    const tarn_plan_buffer *buffers = tarn_plan_problem_buffers(problem);
    uint64_t total = 0;
    for (size_t i = 0; i < info->buffer_count; i++) {
        const tarn_plan_buffer *buffer = &buffers[i];
        demand(buffer->lower < buffer->upper, "lifetimes are not empty");
        demand(!__builtin_add_overflow(total, buffer->size, &total) && total >> 63 == 0,
               "sizes add up to less than 2^63");
        demand(buffer->region < info->region_count, "regions are counted");
        for (uint32_t k = 0; k < buffer->gap_count; k++) {
            const tarn_plan_gap *gap = &buffer->gaps[k];
            demand(gap->lower < gap->upper && gap->lower >= buffer->lower && gap->upper <= buffer->upper,
                   "gaps lie in lifetimes");
            demand(k == 0 || gap->lower >= buffer->gaps[k - 1].upper, "gaps are in order");
            demand(gap->window_upper <= buffer->size, "windows lie in buffers");
        }
    }
}

static void check_plan(const tarn_plan_problem *problem, size_t count) {
    const tarn_plan_buffer *buffers = tarn_plan_problem_buffers(problem);
    uint64_t offsets[MOST_PLANNED];
    tarn_plan_options options = {.struct_size = sizeof options, .threads = 1, .timeout_seconds = -1};
    tarn_plan_result result = {.struct_size = sizeof result};
    tarn_status status = tarn_plan_solve(buffers, count, &options, offsets, &result);
    /* Fixed offsets may overlap each other, and alignments reach beyond what 63 bits hold. */
    demand(status == TARN_OK || status == TARN_INVALID_ARGUMENT || status == TARN_LIMIT_EXCEEDED,
           "a problem can be planned");
    if (status != TARN_OK) return;
    demand(tarn_plan_check(buffers, count, NULL, 0, offsets) == TARN_OK, "a plan is one");
    demand(result.height >= result.lower_bound, "no plan is below the lower bound");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tarn_log_set(NULL, NULL, TARN_LOG_OFF);
    tarn_plan_problem *problem = NULL;
    trace_input input = {.path = "input", .data = data, .size = size};
    tarn_status status = plan_problem_read_memory(&input, 0, &problem);
    if (status != TARN_OK) {
        demand(problem == NULL, "a failure leaves the result alone");
        demand(strncmp(tarn_last_error(), "input", 5) == 0, "a failure names the file");
        return 0;
    }
    tarn_plan_problem_info info = {.struct_size = sizeof info};
    demand(tarn_plan_problem_info_get(problem, &info) == TARN_OK, "a problem can be looked at");
    check_buffers(problem, &info);
    if (info.buffer_count <= MOST_PLANNED) check_plan(problem, info.buffer_count);
    tarn_plan_problem_release(problem);
    return 0;
}
