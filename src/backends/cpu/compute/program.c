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

static bool is_line(const tarn_operand *operand, tarn_element_type type, int64_t count) {
    if (operand->type != type) return false;
    if (operand->rank == 0) return count == 1;
    return operand->rank == 1 && operand->strides[0] == 1 && operand->dims[0] == count;
}

static bool has_elements_as_lanes(tarn_element_type type) {
    return type == TARN_ELEMENT_F32 || type == TARN_ELEMENT_F64 || type == TARN_ELEMENT_I32 || type == TARN_ELEMENT_I64;
}

/* One step on few elements that are lanes and lie side by side is one call of a kernel: a plan for it would take longer than the step
 * itself. False: it is something else. */
static bool run_at_once(const tarn_backend_operation *operation) {
    const tarn_operand *operands = operation->operands;
    const tarn_step *step = operation->program->steps;
    tarn_element_type type = step->type;
    if (operation->program->step_count != 1 || operation->output_count != 1 || step->operation == TARN_OPERATION_COPY ||
        step->operation > TARN_OPERATION_MINIMUM || operands[0].rank > 1 || !has_elements_as_lanes(type)) {
        return false;
    }
    int64_t count = operands[0].rank == 0 ? 1 : operands[0].dims[0];
    if (count > CPU_TILE_MOST) return false;
    for (uint32_t i = 0; i <= operation->input_count; i++) {
        if (!is_line(&operands[i], type, count)) return false;
    }
    const void *values[2];
    for (unsigned i = 0; i < 2; i++) {
        bool is_taken = i == 0 || step->operation >= TARN_OPERATION_ADD;
        if (is_taken && step->values[i].source != TARN_SOURCE_INPUT) return false;
        values[i] = operands[1 + step->values[is_taken ? i : 0].number].data;
    }
    cpu_kernel *kernel = cpu_step_kernel(cpu_kernels_get(), step->operation, cpu_lane_of(type));
    if (kernel == NULL) return false;
    kernel(operands[0].data, values[0], values[1], values[0], (size_t)count);
    return true;
}

tarn_status cpu_program_run(const tarn_backend_operation *operation) {
    if (operation->program->reduction != TARN_OPERATION_COPY) return cpu_reduce_run(operation);
    if (run_at_once(operation)) return TARN_OK;
    cpu_order order;
    cpu_order_find(operation, &order);
    cpu_plan plan;
    tarn_status status = cpu_plan_make(&plan, operation, &order, true);
    if (status == TARN_OK) cpu_parallel(plan.tile_count, cpu_plan_grain(&plan), run_tiles, &plan);
    return status;
}
