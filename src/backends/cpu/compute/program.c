/* Programs: elementwise ones, and the way to reductions. */
#include "backends/cpu/compute/compute.h"
#include "backends/cpu/compute/plan.h"
#include "backends/cpu/compute/threads.h"

static void run_tiles(void *context, size_t begin, size_t end) {
    const cpu_plan *plan = context;
    cpu_evaluation evaluation;
    cpu_evaluation_begin(&evaluation, plan, begin);
    for (size_t tile = begin; tile < end; tile++) {
        cpu_evaluation_compute(&evaluation);
        cpu_evaluation_store(&evaluation);
        cpu_evaluation_next(&evaluation);
    }
    cpu_evaluation_end(&evaluation);
}

tarn_status cpu_program_run(const tarn_backend_operation *operation) {
    if (operation->program->reduction != TARN_OPERATION_COPY) return cpu_reduce_run(operation);
    cpu_order order;
    cpu_order_find(operation, &order);
    cpu_plan plan;
    tarn_status status = cpu_plan_make(&plan, operation, &order, true);
    if (status == TARN_OK) cpu_parallel(plan.tile_count, cpu_plan_grain(&plan), run_tiles, &plan);
    return status;
}
