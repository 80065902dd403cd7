/* The instructions of a plan: kernels on registers from the steps of its program, with what types ask for between them. */
#include "backends/cpu/compute/plan.h"
#include "backends/cpu/cpu_internal.h"

static tarn_element_type type_of(const cpu_plan *plan, tarn_value value) {
    const tarn_program *program = plan->operation->program;
    switch (value.source) {
    case TARN_SOURCE_INPUT: return plan->operation->operands[plan->operation->output_count + value.number].type;
    case TARN_SOURCE_CONSTANT: return program->constants[value.number].type;
    case TARN_SOURCE_STEP: return program->steps[value.number].type;
    default: return TARN_ELEMENT_I64;
    }
}

static uint8_t register_of(cpu_plan *plan, tarn_value value) {
    switch (value.source) {
    case TARN_SOURCE_INPUT: return (uint8_t)value.number;
    case TARN_SOURCE_CONSTANT: return (uint8_t)(plan->first_constant + value.number);
    case TARN_SOURCE_STEP: return plan->step_registers[value.number];
    default: plan->uses_index = true; return plan->index_register;
    }
}

static uint8_t add_register(cpu_plan *plan, cpu_lane lane) {
    plan->lanes[plan->register_count] = lane;
    return (uint8_t)plan->register_count++;
}

static void emit(cpu_plan *plan, cpu_kernel *kernel, uint8_t out, uint8_t a, uint8_t b, uint8_t c) {
    plan->instructions[plan->instruction_count++] = (cpu_instruction){kernel, out, {a, b, c}};
}

static bool is_narrow_float(tarn_element_type type) { return type == TARN_ELEMENT_F16 || type == TARN_ELEMENT_BF16; }

/* The register of `from`'s value as one of type `to`; the same where lanes do not change. */
static uint8_t add_copy(cpu_plan *plan, tarn_value value, tarn_element_type to) {
    const cpu_conversions *conversions = plan->kernels->conversions;
    tarn_element_type from = type_of(plan, value);
    cpu_lane from_lane = cpu_lane_of(from), to_lane = cpu_lane_of(to);
    uint8_t reg = register_of(plan, value);
    if (from == to) return reg;
    if (value.source == TARN_SOURCE_STEP && is_narrow_float(from)) {
        uint8_t rounded = add_register(plan, from_lane);
        emit(plan, conversions->wraps[from], rounded, reg, reg, reg);
        reg = rounded;
    }
    if (to == TARN_ELEMENT_BOOL) {
        uint8_t truth = add_register(plan, to_lane);
        emit(plan, conversions->truths[from_lane], truth, reg, reg, reg);
        return truth;
    }
    if (from_lane != to_lane) {
        cpu_kernel *convert = conversions->lanes[from_lane][to_lane];
        if (from == TARN_ELEMENT_F64 && is_narrow_float(to)) convert = conversions->odd;
        uint8_t converted = add_register(plan, to_lane);
        emit(plan, convert, converted, reg, reg, reg);
        reg = converted;
        if (!is_narrow_float(to) && conversions->wraps[to] != NULL)
            emit(plan, conversions->wraps[to], reg, reg, reg, reg);
        return reg;
    }
    if (is_narrow_float(to) || conversions->wraps[to] == NULL) return reg;
    uint8_t wrapped = add_register(plan, to_lane);
    emit(plan, conversions->wraps[to], wrapped, reg, reg, reg);
    return wrapped;
}

static bool is_square(const cpu_plan *plan, const tarn_step *step) {
    if (step->operation != TARN_OPERATION_POW || step->values[1].source != TARN_SOURCE_CONSTANT) return false;
    if (step->type == TARN_ELEMENT_F64 || cpu_lane_of(step->type) == CPU_LANE_F32)
        return plan->operation->program->constants[step->values[1].number].floating == 2.0;
    return plan->operation->program->constants[step->values[1].number].integer == 2;
}

/* Whether integers of a narrow type may get a value that it does not have. */
static bool may_leave_type(tarn_operation operation) {
    return operation == TARN_OPERATION_NEG || (operation >= TARN_OPERATION_ADD && operation <= TARN_OPERATION_POW);
}

static unsigned value_count(tarn_operation operation) {
    if (operation == TARN_OPERATION_SELECT) return 3;
    return operation >= TARN_OPERATION_ADD ? 2 : 1;
}

/* About, for one lane with AVX2, in nanoseconds. */
static double cost_of(tarn_operation operation, cpu_lane lane) {
    switch (operation) {
    case TARN_OPERATION_EXP:
    case TARN_OPERATION_LOG:
    case TARN_OPERATION_SIGMOID:
    case TARN_OPERATION_TANH: return lane == CPU_LANE_F32 ? 0.4 : 8;
    case TARN_OPERATION_SIN:
    case TARN_OPERATION_COS: return lane == CPU_LANE_F32 ? 1.5 : 12;
    case TARN_OPERATION_POW: return lane == CPU_LANE_F32 ? 4 : 12;
    case TARN_OPERATION_RANDOM: return 3;
    case TARN_OPERATION_DIVIDE: return lane == CPU_LANE_F32 || lane == CPU_LANE_F64 ? 0.3 : 3;
    default: return 0.1;
    }
}

static bool is_step(tarn_value value, uint32_t number) {
    return value.source == TARN_SOURCE_STEP && value.number == number;
}

/* Whether nothing but the step after it takes the value of step `number`. */
static bool is_taken_once(const cpu_plan *plan, uint32_t number) {
    const tarn_program *program = plan->operation->program;
    for (uint32_t i = 0; i < plan->operation->output_count; i++) {
        if (program->results[i] == number) return false;
    }
    for (uint32_t i = number + 2; i < program->step_count; i++) {
        for (unsigned k = 0; k < value_count(program->steps[i].operation); k++) {
            if (is_step(program->steps[i].values[k], number)) return false;
        }
    }
    return true;
}

/* Has the product that the step before has just computed, and that is wanted for this sum alone, be computed together with it. */
static bool join_product(cpu_plan *plan, uint32_t number, uint8_t *out_register) {
    const tarn_step *step = &plan->operation->program->steps[number];
    if (number == 0 || step->operation != TARN_OPERATION_ADD) return false;
    cpu_kernel *kernel = plan->kernels->multiply_adds[cpu_lane_of(step->type)];
    unsigned other = is_step(step->values[0], number - 1) ? 1 : 0;
    if (kernel == NULL || step[-1].operation != TARN_OPERATION_MULTIPLY ||
        !is_step(step->values[1 - other], number - 1) || is_step(step->values[other], number - 1) ||
        !is_taken_once(plan, number - 1)) {
        return false;
    }
    cpu_instruction *product = &plan->instructions[plan->instruction_count - 1];
    product->kernel = kernel;
    product->values[2] = register_of(plan, step->values[other]);
    *out_register = product->out;
    return true;
}

static tarn_status add_step(cpu_plan *plan, const tarn_step *step, uint8_t *out_register) {
    if (step->operation == TARN_OPERATION_COPY) {
        *out_register = add_copy(plan, step->values[0], step->type);
        return TARN_OK;
    }
    tarn_operation operation = is_square(plan, step) ? TARN_OPERATION_MULTIPLY : step->operation;
    bool is_comparison = operation >= TARN_OPERATION_EQUAL && operation <= TARN_OPERATION_LESS_EQUAL;
    cpu_lane lane = cpu_lane_of(is_comparison ? type_of(plan, step->values[0]) : step->type);
    cpu_kernel *kernel = operation < CPU_STEP_COUNT ? cpu_step_kernel(plan->kernels, operation, lane) : NULL;
    if (kernel == NULL) {
        return cpu_fail(TARN_NOT_SUPPORTED, "the cpu device does not compute %s of %s",
                        tarn_operation_name(step->operation), tarn_element_name(step->type));
    }
    uint8_t values[3];
    values[0] = values[1] = values[2] = register_of(plan, step->values[0]);
    if (operation == step->operation) {
        for (unsigned i = 1; i < value_count(operation); i++) values[i] = register_of(plan, step->values[i]);
    }
    uint8_t reg = add_register(plan, cpu_lane_of(step->type));
    emit(plan, kernel, reg, values[0], values[1], values[2]);
    cpu_kernel *wrap = plan->kernels->conversions->wraps[step->type];
    if (wrap != NULL && !is_narrow_float(step->type) && may_leave_type(operation)) emit(plan, wrap, reg, reg, reg, reg);
    plan->lane_cost += cost_of(operation, lane);
    *out_register = reg;
    return TARN_OK;
}

tarn_status cpu_plan_add_steps(cpu_plan *plan) {
    const tarn_backend_operation *operation = plan->operation;
    const tarn_program *program = operation->program;
    plan->register_count = 0;
    plan->instruction_count = 0;
    for (uint32_t i = 0; i < operation->input_count; i++) {
        plan->accesses[operation->output_count + i].reg =
            add_register(plan, plan->accesses[operation->output_count + i].lane);
    }
    plan->first_constant = (uint8_t)plan->register_count;
    for (uint32_t i = 0; i < program->constant_count; i++) add_register(plan, cpu_lane_of(program->constants[i].type));
    plan->index_register = add_register(plan, CPU_LANE_I64);
    plan->uses_index = false;
    for (uint32_t i = 0; i < program->step_count; i++) {
        if (join_product(plan, i, &plan->step_registers[i])) continue;
        tarn_status status = add_step(plan, &program->steps[i], &plan->step_registers[i]);
        if (status != TARN_OK) return status;
    }
    return TARN_OK;
}
