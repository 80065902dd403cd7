/* The order in which the dimensions of a program are run through: as its first output lies in memory. */
#include "backends/cpu/compute/plan.h"

static int64_t magnitude(int64_t value) { return value < 0 ? -value : value; }

/* Moves the dimension at `from` to `to`, with those between keeping their order. */
static void move_dim(cpu_order *order, uint32_t from, uint32_t to) {
    uint32_t dim = order->dims[from];
    for (; from < to; from++) order->dims[from] = order->dims[from + 1];
    order->dims[to] = dim;
}

/* Finds a dimension along which an operand has its neighbours where it has not along the last one, and puts it beside that. */
static void turn_tiles(const tarn_backend_operation *operation, cpu_order *order) {
    uint32_t last = order->dims[order->count - 1];
    for (uint32_t i = 0; i < operation->output_count + operation->input_count; i++) {
        const tarn_operand *operand = &operation->operands[i];
        if (magnitude(operand->strides[last]) <= 1) continue;
        for (uint32_t k = 0; k + 1 < order->count; k++) {
            if (magnitude(operand->strides[order->dims[k]]) != 1) continue;
            move_dim(order, k, order->count - 2);
            order->is_turned = true;
            return;
        }
    }
}

void cpu_order_find(const tarn_backend_operation *operation, cpu_order *out_order) {
    const tarn_operand *output = &operation->operands[0];
    *out_order = (cpu_order){.count = 0};
    for (uint32_t i = 0; i < output->rank; i++) {
        if (output->dims[i] == 1) continue;
        uint32_t place = out_order->count++;
        /* By the output's strides, the least last. */
        for (; place > 0; place--) {
            uint32_t before = out_order->dims[place - 1];
            if (magnitude(output->strides[before]) >= magnitude(output->strides[i])) break;
            out_order->dims[place] = before;
        }
        out_order->dims[place] = i;
    }
    if (out_order->count > 1) turn_tiles(operation, out_order);
}
