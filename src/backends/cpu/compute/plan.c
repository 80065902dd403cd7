/* Making plans: how operands are reached, slots for registers, and tiles. Their instructions are made in instructions.c.
 *
 * A small operation spends more time here than in its kernels, so nothing is done twice and nothing is cleared that is not used. */
#include "backends/cpu/compute/plan.h"

#include <unistd.h>

#include "backends/cpu/cpu_internal.h"

/* Rows of tiles for operands that run along different dimensions, where there are as many: a few cache lines each way. */
#define TURNED_ROWS 64
/* Lanes of a tile whose results go past the caches: so few that reading and writing take turns before the memory notices. */
#define STREAMED_TILE 512
/* A last cache said to be larger is shared with others. */
#define LARGE_CACHE ((size_t)32 << 20)

_Static_assert(CPU_MOST_REGISTERS <= CPU_NO_SLOT, "registers and slots are numbered in a byte");
_Static_assert((CPU_MOST_REGISTERS + 1) * CPU_TILE_LEAST * sizeof(int64_t) <= CPU_SCRATCH, "the least tile fits");

static void set_space(cpu_plan *plan, const cpu_order *order) {
    const tarn_operand *first = &plan->operation->operands[0]; /* of which all have the dimensions */
    uint32_t padding = order->count < 2 ? 2 - order->count : 0;
    plan->rank = order->count + padding;
    for (uint32_t i = 0; i < padding; i++) {
        plan->dims[i] = 1;
        plan->index_strides[i] = 0;
    }
    for (uint32_t i = 0; i < order->count; i++) {
        uint32_t dim = order->dims[i];
        int64_t stride = 1;
        for (uint32_t k = dim + 1; k < first->rank; k++) stride *= first->dims[k];
        plan->dims[padding + i] = first->dims[dim];
        plan->index_strides[padding + i] = stride;
    }
}

static void set_access(cpu_plan *plan, const cpu_order *order, uint32_t i) {
    const tarn_operand *operand = &plan->operation->operands[i];
    const cpu_conversions *conversions = plan->kernels->conversions;
    cpu_access *access = &plan->accesses[i];
    uint32_t padding = plan->rank - order->count;
    access->data = operand->data;
    access->element = tarn_element_size(operand->type);
    access->lane = cpu_lane_of(operand->type);
    access->convert = plan->moves                         ? NULL
                      : i < plan->operation->output_count ? conversions->stores[operand->type]
                                                          : conversions->loads[operand->type];
    access->is_direct = false;
    int64_t size = (int64_t)access->element;
    int64_t any = 0;
    for (uint32_t k = 0; k < padding; k++) access->strides[k] = 0;
    for (uint32_t k = 0; k < order->count; k++) {
        any |= operand->strides[order->dims[k]];
        access->strides[padding + k] = operand->strides[order->dims[k]] * size;
    }
    int64_t along = access->strides[plan->rank - 1], across = access->strides[plan->rank - 2];
    bool has_rows_side_by_side =
        plan->tile_rows == 1 || (!order->is_turned && !order->has_rows && across == plan->dims[plan->rank - 1] * size);
    /* An output with one element is the space. */
    if (any == 0 && i >= plan->operation->output_count) access->reach = CPU_REACH_SINGLE;
    else if ((along == size || plan->dims[plan->rank - 1] == 1) && has_rows_side_by_side)
        access->reach = CPU_REACH_WHOLE;
    else access->reach = CPU_REACH_SCATTERED;
}

/* Whether an instruction after the one that makes `reg` reads an input where the output will be: then it must be written last. */
static bool is_read_later(const cpu_plan *plan, const cpu_access *output, uint8_t reg) {
    uint32_t i = 0;
    while (plan->instructions[i].out != reg) i++;
    for (i++; i < plan->instruction_count; i++) {
        for (unsigned k = 0; k < 3; k++) {
            uint8_t value = plan->instructions[i].values[k];
            if (value >= plan->operation->input_count) continue;
            const cpu_access *input = &plan->accesses[plan->operation->output_count + value];
            if (input->is_direct && input->data == output->data) return true;
        }
    }
    return false;
}

/* Output number `i` is an input as it is: where another output lies over that input, a copy is kept until it is stored. */
static void protect_input(cpu_plan *plan, uint32_t i) {
    cpu_access *input = &plan->accesses[plan->operation->output_count + plan->accesses[i].reg];
    for (uint32_t k = 0; k < plan->output_count; k++) {
        if (k != i && plan->accesses[k].data == input->data) input->is_direct = false;
    }
}

/* Which operands are read and written where they are. */
static void choose_direct(cpu_plan *plan, bool with_outputs) {
    for (uint32_t i = plan->operation->output_count; i < plan->access_count; i++) {
        cpu_access *access = &plan->accesses[i];
        access->is_direct = access->reach == CPU_REACH_WHOLE && access->convert == NULL;
    }
    plan->output_count = with_outputs ? plan->operation->output_count : 0;
    for (uint32_t i = 0; i < plan->output_count; i++) {
        cpu_access *access = &plan->accesses[i];
        access->reg = plan->step_registers[plan->operation->program->results[i]];
        if (access->reg < plan->operation->input_count) protect_input(plan, i);
        access->is_direct = access->reach == CPU_REACH_WHOLE && access->convert == NULL && !plan->streams &&
                            access->reg > plan->index_register && !is_read_later(plan, access, access->reg);
        for (uint32_t k = 0; k < i; k++) {
            if (plan->accesses[k].reg == access->reg) access->is_direct = false;
        }
    }
}

/* Slots that are free again. */
typedef struct free_slots {
    uint8_t slots[CPU_MOST_REGISTERS];
    uint32_t free_count, used;
} free_slots;

static uint8_t take_slot(free_slots *slots) {
    return slots->free_count > 0 ? slots->slots[--slots->free_count] : (uint8_t)slots->used++;
}

/* Gives back the slots of what the instruction is the last to read. */
static void give_back(cpu_plan *plan, free_slots *slots, const uint32_t *last_uses, uint32_t i) {
    const cpu_instruction *instruction = &plan->instructions[i];
    for (unsigned k = 0; k < 3; k++) {
        uint8_t reg = instruction->values[k];
        bool is_again = (k > 0 && reg == instruction->values[0]) || (k > 1 && reg == instruction->values[1]);
        if (is_again || last_uses[reg] != i || plan->slots[reg] == CPU_NO_SLOT) continue;
        slots->slots[slots->free_count++] = plan->slots[reg];
    }
}

/* Inputs and constants keep their slots; a step's lasts from the step to the last that takes its value. */
static uint32_t assign_slots(cpu_plan *plan) {
    uint32_t last_uses[CPU_MOST_REGISTERS];
    free_slots slots = {.free_count = 0, .used = 0};
    bool needs_raw = false;
    for (uint32_t i = 0; i < plan->register_count; i++) plan->slots[i] = CPU_NO_SLOT;
    for (uint32_t i = 0; i < plan->operation->input_count; i++) {
        const cpu_access *access = &plan->accesses[plan->operation->output_count + i];
        if (!access->is_direct) plan->slots[i] = take_slot(&slots);
    }
    for (uint32_t i = plan->first_constant; i < plan->index_register; i++) plan->slots[i] = take_slot(&slots);
    if (plan->uses_index) plan->slots[plan->index_register] = take_slot(&slots);
    for (uint32_t i = 0; i < plan->instruction_count; i++) {
        for (unsigned k = 0; k < 3; k++) last_uses[plan->instructions[i].values[k]] = i;
    }
    for (uint32_t i = 0; i <= plan->index_register; i++) last_uses[i] = UINT32_MAX;
    for (uint32_t i = 0; i < plan->operation->output_count; i++) {
        last_uses[plan->step_registers[plan->operation->program->results[i]]] = UINT32_MAX;
    }
    for (uint32_t i = 0; i < plan->access_count; i++) {
        if (!plan->accesses[i].is_direct && plan->accesses[i].convert != NULL) needs_raw = true;
    }
    for (uint32_t i = 0; i < plan->instruction_count; i++) {
        uint8_t reg = plan->instructions[i].out;
        bool is_written_in_place = false;
        for (uint32_t k = 0; k < plan->output_count; k++) {
            if (plan->accesses[k].is_direct && plan->accesses[k].reg == reg) is_written_in_place = true;
        }
        if (!is_written_in_place && plan->slots[reg] == CPU_NO_SLOT) plan->slots[reg] = take_slot(&slots);
        give_back(plan, &slots, last_uses, i);
    }
    if (needs_raw) plan->raw_slot = (uint8_t)slots.used++;
    return slots.used;
}

/* Columns of a tile whose operands run along different dimensions: about as many as rows. */
static int64_t turned_columns(const cpu_plan *plan, int64_t most) {
    int64_t side = TURNED_ROWS, rows = plan->dims[plan->rank - 2];
    while (side * side > most) side /= 2;
    int64_t columns = most / (rows < side ? rows : side);
    return columns > CPU_TILE_LEAST ? columns & ~(int64_t)(CPU_TILE_LEAST - 1) : columns;
}

static size_t slot_lane_size(const cpu_plan *plan) {
    if (plan->moves) return plan->accesses[0].element;
    for (uint32_t i = 0; i < plan->register_count; i++) {
        if (plan->slots[i] != CPU_NO_SLOT && cpu_lane_size(plan->lanes[i]) == 8) return 8;
    }
    return 4;
}

static void set_tiles(cpu_plan *plan, uint32_t slot_count, const cpu_order *order) {
    bool is_turned = order->is_turned;
    size_t lane = slot_lane_size(plan);
    int64_t most = order->most > 0 ? order->most : plan->moves ? (int64_t)(CPU_TILE_MOVED / lane) : CPU_TILE_MOST;
    if (plan->streams && !is_turned && most > STREAMED_TILE) most = STREAMED_TILE;
    if (slot_count > 0) {
        int64_t fits = (int64_t)(CPU_SCRATCH / (slot_count * lane)) & ~(int64_t)(CPU_TILE_LEAST - 1);
        if (fits < most) most = fits;
    }
    plan->slot_size = (size_t)most * lane;
    int64_t columns = plan->dims[plan->rank - 1], rows = plan->dims[plan->rank - 2];
    int64_t most_columns = is_turned                                               ? turned_columns(plan, most)
                           : order->most_columns > 0 && order->most_columns < most ? order->most_columns
                                                                                   : most;
    plan->tile_columns = columns < most_columns ? columns : most_columns;
    if (plan->tile_rows > 1) {
        plan->tile_rows = most / plan->tile_columns;
        /* Rows lie side by side only when they are whole. */
        if (!is_turned && !order->has_rows && plan->tile_columns < columns) plan->tile_rows = 1;
    }
    if (plan->tile_rows > rows) plan->tile_rows = rows;
    plan->tile_count = (size_t)((columns + plan->tile_columns - 1) / plan->tile_columns) *
                       (size_t)((rows + plan->tile_rows - 1) / plan->tile_rows);
    for (uint32_t i = 0; i + 2 < plan->rank; i++) plan->tile_count *= (size_t)plan->dims[i];
}

/* Bytes of the last cache that the machine says it has. */
static size_t last_cache(void) {
    static _Atomic size_t known; /* relaxed: a figure */
    size_t size = atomic_load_explicit(&known, memory_order_relaxed);
    if (size == 0) {
        long answer = sysconf(_SC_LEVEL3_CACHE_SIZE);
        size = answer > 0 ? (size_t)answer : (size_t)32 << 20;
        atomic_store_explicit(&known, size, memory_order_relaxed);
    }
    return size;
}

/* Whether all that is written would push out of the caches what else is there, and be gone itself before it is read. */
static bool is_past_caches(const cpu_plan *plan) {
    size_t elements = 1;
    for (uint32_t i = 0; i < plan->rank; i++) elements *= (size_t)plan->dims[i];
    size_t bytes = 0;
    for (uint32_t i = 0; i < plan->operation->output_count; i++) bytes += elements * plan->accesses[i].element;
    size_t cache = last_cache();
    return bytes >= (cache < LARGE_CACHE ? cache : LARGE_CACHE) / 2;
}

static bool is_single(const tarn_operand *operand) {
    int64_t any = 0;
    for (uint32_t i = 0; i < operand->rank; i++) any |= operand->strides[i];
    return any == 0;
}

/* A copy without a cast; one element for the whole space is a lane that is spread. */
static bool is_move(const tarn_backend_operation *operation) {
    const tarn_program *program = operation->program;
    const tarn_step *step = &program->steps[0];
    return program->step_count == 1 && program->reduction == TARN_OPERATION_COPY && operation->output_count == 1 &&
           operation->input_count == 1 && step->operation == TARN_OPERATION_COPY &&
           step->values[0].source == TARN_SOURCE_INPUT && step->type == operation->operands[0].type &&
           step->type == operation->operands[1].type && !is_single(&operation->operands[1]);
}

tarn_status cpu_plan_make(cpu_plan *plan, const tarn_backend_operation *operation, const cpu_order *order,
                          bool with_outputs) {
    plan->kernels = cpu_kernels_get();
    plan->operation = operation;
    plan->access_count = operation->output_count + operation->input_count;
    plan->lane_cost = 0.1;
    plan->moves = is_move(operation);
    set_space(plan, order);
    bool has_rows =
        !order->has_one_row && (order->is_turned || order->has_rows || plan->dims[plan->rank - 1] < CPU_SHORT_ROW);
    plan->tile_rows = has_rows ? plan->dims[plan->rank - 2] : 1;
    for (uint32_t i = 0; i < plan->access_count; i++) set_access(plan, order, i);
    tarn_status status = cpu_plan_add_steps(plan);
    if (status != TARN_OK) return status;
    plan->streams = with_outputs && is_past_caches(plan);
    choose_direct(plan, with_outputs);
    set_tiles(plan, assign_slots(plan), order);
    return TARN_OK;
}

/* Nanoseconds of work that are worth waking a thread for. */
#define GRAIN_NS 15000.0

size_t cpu_plan_grain(const cpu_plan *plan) {
    double tile = plan->lane_cost * (double)(plan->tile_rows * plan->tile_columns);
    return (size_t)(GRAIN_NS / tile) + 1;
}
