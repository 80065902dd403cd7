/* Softmax and layer norm: how their rows are shared among work-items (kernels/rows.cl).
 *
 * On processors an item has a row, elsewhere a group of them, so that neighbouring items read neighbouring elements. Where a softmax runs across
 * elements that lie side by side, an item has as many rows as it has lanes, which gives the same order of reads without anything to join. */
#include <stdio.h>

#include "backends/opencl/opencl_neural.h"

/* How the rows are shared. */
typedef struct row_layout {
    char choices[96];
    size_t groups, group; /* of work-items */
    int64_t count;        /* items that have rows, or groups of them */
} row_layout;

static int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* Rows of `length` elements. `side`: rows that lie side by side and are gone along together; 0: none are. */
static row_layout lay_out(const opencl_neural_call *call, int64_t rows, int64_t length, int64_t side) {
    const tarn_backend_device *device = call->device;
    const uint32_t lanes = device->lanes[call->form.type];
    const bool is_shared = device->shares_rows && side == 0;
    row_layout made = {.count = side == 0 ? rows : rows / side * divide_up(side, lanes)};
    made.group = is_shared ? OPENCL_GROUP : opencl_neural_group(device, made.count, length);
    made.groups = is_shared ? (size_t)rows : (size_t)divide_up(made.count, (int64_t)made.group);
    const bool keeps_powers =
        device->is_processor && (call->form.type == TARN_ELEMENT_F32 || call->form.type == TARN_ELEMENT_F64);
    snprintf(made.choices, sizeof made.choices, "#define LANES %u\n#define ITEMS %d\n#define SIZE %zu\n%s%s",
             (unsigned)lanes, is_shared ? OPENCL_GROUP : 1, made.group, side > 0 ? "#define ACROSS\n" : "",
             keeps_powers ? "#define KEEPS_POWERS\n" : "");
    return made;
}

/* Whether the elements along a dimension lie side by side in both operands. */
static bool is_side_by_side(const tarn_operand *operands, uint32_t dim) {
    return operands[0].dims[dim] > 1 && operands[0].strides[dim] == 1 && operands[1].strides[dim] == 1;
}

/* The dimension besides `axis` to go across; the rank if there is none, or too little would be done at a time. */
static uint32_t find_across(const tarn_backend_device *device, const tarn_operand *operands, uint32_t axis,
                            int64_t rows) {
    const uint32_t rank = operands[0].rank;
    const int64_t least = device->is_processor ? 1 : (int64_t)device->compute_units * OPENCL_GROUP;
    if (is_side_by_side(operands, axis) || rows / device->lanes[operands[0].type] < least) return rank;
    for (uint32_t d = 0; d < rank; d++)
        if (d != axis && is_side_by_side(operands, d)) return d;
    return rank;
}

static void swap_dims(tarn_operand *operand, uint32_t a, uint32_t b) {
    const int64_t dim = operand->dims[a], stride = operand->strides[a];
    operand->dims[a] = operand->dims[b];
    operand->strides[a] = operand->strides[b];
    operand->dims[b] = dim;
    operand->strides[b] = stride;
}

/* The call's kernel for that layout, begun, with the operands in `places` and the walk from row to row as its first arguments. */
static tarn_status begin(const opencl_neural_call *given, const row_layout *layout, const int *places, int count,
                         const opencl_walk *rows, opencl_launch *out_launch) {
    opencl_neural_call call = *given;
    call.form.choices = layout->choices;
    call.form.texts[1] = opencl_source_rows;
    tarn_status status = opencl_neural_begin(&call, out_launch);
    if (status != TARN_OK) return status;
    opencl_neural_operands(&call, out_launch, places, count);
    opencl_launch_value(out_launch, rows, sizeof *rows);
    return TARN_OK;
}

tarn_status opencl_softmax_run(const opencl_neural_call *given) {
    const tarn_operand *out = &given->operation->operands[0], *in = &given->operation->operands[1];
    const uint32_t rank = out->rank, axis = given->operation->attributes.softmax.axis;
    tarn_operand others[2] = {*out, *in};
    int64_t count = 1;
    for (uint32_t i = 0; i < rank; i++) count *= i == axis ? 1 : out->dims[i];
    const uint32_t across = find_across(given->device, others, axis, count);
    opencl_walk rows = opencl_walk_none();
    for (int i = 0; i < 2; i++) {
        others[i].dims[axis] = 1;
        if (across < rank) swap_dims(&others[i], across, rank - 1);
        opencl_walk_along(&rows, i, &others[i], 0, rank);
    }
    const row_layout layout = lay_out(given, count, out->dims[axis], across < rank ? out->dims[across] : 0);
    opencl_launch launch;
    tarn_status status = begin(given, &layout, (const int[]){0, 1}, 2, &rows, &launch);
    if (status != TARN_OK) return status;
    opencl_launch_long(&launch, layout.count);
    opencl_launch_long(&launch, out->dims[axis]);
    opencl_launch_long(&launch, out->strides[axis]);
    opencl_launch_long(&launch, in->strides[axis]);
    return opencl_launch_enqueue(&launch, layout.groups, layout.group, 1);
}

tarn_status opencl_layer_norm_run(const opencl_neural_call *given) {
    const tarn_layer_norm_attributes *attributes = &given->operation->attributes.layer_norm;
    const tarn_operand *operands = given->operation->operands;
    const uint32_t rank = operands[0].rank, first = rank - attributes->normalized_dims;
    const bool has_weight = attributes->has_weight != 0, has_bias = attributes->has_bias != 0;
    const int weight = has_weight ? 2 : 1, bias = has_bias ? 2 + has_weight : 1;
    opencl_walk rows = opencl_walk_none(), inner = opencl_walk_none();
    const int64_t count = opencl_walk_along(&rows, 0, &operands[0], 0, first);
    opencl_walk_along(&rows, 1, &operands[1], 0, first);
    const int64_t length = opencl_walk_along(&inner, 0, &operands[0], first, rank);
    opencl_walk_along(&inner, 1, &operands[1], first, rank);
    if (has_weight) opencl_walk_along(&inner, 2, &operands[weight], 0, operands[weight].rank);
    if (has_bias) opencl_walk_along(&inner, 3, &operands[bias], 0, operands[bias].rank);
    opencl_walk_merge(&inner);
    const row_layout layout = lay_out(given, count, length, 0);
    opencl_launch launch;
    tarn_status status = begin(given, &layout, (const int[]){0, 1, weight, bias}, 4, &rows, &launch);
    if (status != TARN_OK) return status;
    opencl_launch_value(&launch, &inner, sizeof inner);
    opencl_launch_long(&launch, layout.count);
    opencl_launch_long(&launch, has_weight);
    opencl_launch_long(&launch, has_bias);
    opencl_launch_long(&launch, length / inner.dims[TARN_MAXIMUM_RANK - 1]);
    const float narrow = (float)attributes->epsilon;
    if (given->form.type == TARN_ELEMENT_F64) opencl_launch_value(&launch, &attributes->epsilon, sizeof(double));
    else opencl_launch_value(&launch, &narrow, sizeof narrow);
    return opencl_launch_enqueue(&launch, layout.groups, layout.group, 1);
}
