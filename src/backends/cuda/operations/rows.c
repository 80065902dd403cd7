/* Softmax and layer norm: rows of one dimension, or of the last ones. */
#include "backends/cuda/operations/space.h"

#include <string.h>

#define THREADS 256
#define WARP 32
/* Elements that a thread takes before others help it, where they do not lie side by side. */
#define EACH 4

/* Appends dimension `dim` of all operands; those that have not as many dimensions lie along the last. */
static void add_dim(const cuda_task *task, const tarn_operand *const *operands, uint32_t dim, uint32_t skipped,
                    cuda_dims *dims) {
    if (!cuda_dims_add(dims, task->operation->operands[0].dims[dim])) return;
    for (unsigned i = 0; i < 4; i++) {
        uint32_t own = dim - (i < 2 ? 0 : skipped);
        bool has = (i < 2 || dim >= skipped) && operands[i] != NULL;
        dims->strides[i][dims->rank - 1] = has ? operands[i]->strides[own] : 0;
    }
}

/* Whether elements of a row lie side by side in an operand, or there is none. */
static bool is_beside(const cuda_rows *rows, const void *data, const long long *strides) {
    return data == NULL || strides[rows->row_rank] == 1;
}

/* Whether each row of an operand begins at a pack. */
static bool is_packed(const cuda_rows *rows, const void *data, const long long *strides, unsigned lanes) {
    if ((uintptr_t)data % 16 != 0) return false;
    for (unsigned d = 0; d < rows->row_rank; d++)
        if (strides[d] % lanes != 0) return false;
    return true;
}

static unsigned lies_of(const cuda_rows *rows, unsigned lanes) {
    if (rows->rank != rows->row_rank + 1 || !is_beside(rows, rows->out, rows->out_strides) ||
        !is_beside(rows, rows->in, rows->in_strides) || !is_beside(rows, rows->weight, rows->weight_strides) ||
        !is_beside(rows, rows->bias, rows->bias_strides)) {
        bool runs_across = rows->row_rank > 0 && rows->in_strides[rows->row_rank - 1] == 1;
        return runs_across ? CUDA_ROWS_ACROSS : CUDA_ROWS_APART;
    }
    bool are_packed = rows->length % lanes == 0 && is_packed(rows, rows->out, rows->out_strides, lanes) &&
                      is_packed(rows, rows->in, rows->in_strides, lanes) && (uintptr_t)rows->weight % 16 == 0 &&
                      (uintptr_t)rows->bias % 16 == 0;
    return are_packed ? CUDA_ROWS_IN_PACKS : CUDA_ROWS_SIDE_BY_SIDE;
}

/* How threads share rows: a row that a warp can hold has a warp, or less; a longer one as many as hold it, or a block. */
static void share(cuda_rows *rows, unsigned size) {
    const unsigned lanes = CUDA_LANES(size), each = CUDA_ROW_EACH(size);
    rows->lies = lies_of(rows, lanes);
    switch (rows->lies) {
    case CUDA_ROWS_IN_PACKS:
    case CUDA_ROWS_SIDE_BY_SIDE:
        if (rows->length > (long long)WARP * each)
            rows->threads = cuda_power_above((rows->length + each - 1) / each, THREADS);
        else
            rows->threads =
                cuda_power_above(rows->lies == CUDA_ROWS_IN_PACKS ? rows->length / lanes : rows->length, WARP);
        break;
    case CUDA_ROWS_ACROSS:
        rows->block_rows = cuda_power_above(rows->rows, WARP);
        rows->threads = cuda_power_above(rows->length / EACH, THREADS / rows->block_rows);
        return;
    default: rows->threads = cuda_power_above(rows->length / EACH, THREADS); break;
    }
    rows->block_rows = cuda_power_above(rows->rows, THREADS / rows->threads);
    /* Warps are whole. */
    if (rows->block_rows * rows->threads < WARP) rows->block_rows = WARP / rows->threads;
}

/* Dimensions with their bit in `mask` are those of a row. */
static cuda_rows find_rows(const cuda_task *task, const tarn_operand *const *operands, uint32_t mask,
                           uint32_t skipped) {
    const uint32_t rank = operands[0]->rank;
    cuda_dims dims = {.operand_count = 4};
    cuda_rows rows = {.rows = 1, .length = 1};
    for (uint32_t d = 0; d < rank; d++)
        if ((mask >> d & 1) == 0) add_dim(task, operands, d, skipped, &dims);
    cuda_dims_merge(&dims, 0);
    rows.row_rank = dims.rank;
    for (uint32_t d = 0; d < rank; d++)
        if ((mask >> d & 1) != 0) add_dim(task, operands, d, skipped, &dims);
    cuda_dims_merge(&dims, rows.row_rank);
    rows.rank = dims.rank;
    for (unsigned d = 0; d < dims.rank; d++) *(d < rows.row_rank ? &rows.rows : &rows.length) *= dims.dims[d];
    memcpy(rows.dims, dims.dims, sizeof rows.dims);
    memcpy(rows.out_strides, dims.strides[0], sizeof rows.out_strides);
    memcpy(rows.in_strides, dims.strides[1], sizeof rows.in_strides);
    memcpy(rows.weight_strides, dims.strides[2], sizeof rows.weight_strides);
    memcpy(rows.bias_strides, dims.strides[3], sizeof rows.bias_strides);
    rows.out = operands[0]->data;
    rows.in = operands[1]->data;
    if (operands[2] != NULL) rows.weight = operands[2]->data;
    if (operands[3] != NULL) rows.bias = operands[3]->data;
    share(&rows, (unsigned)tarn_element_size(operands[0]->type));
    return rows;
}

static tarn_status enqueue(const cuda_task *task, cuda_kernel first, cuda_rows *rows) {
    long long blocks = (rows->rows + rows->block_rows - 1) / rows->block_rows;
    if (blocks > INT32_MAX) return cuda_fail(TARN_NOT_SUPPORTED, "%lld rows", rows->rows);
    cuda_grid grid = {(unsigned)blocks, 1, 1, rows->block_rows * rows->threads};
    return cuda_launch(task, cuda_kernel_of(first, task->operation->operands[0].type), grid, (void *[]){rows});
}

tarn_status cuda_softmax_enqueue(const cuda_task *task) {
    const tarn_operand *operands[4] = {&task->operation->operands[0], &task->operation->operands[1]};
    cuda_rows rows = find_rows(task, operands, UINT32_C(1) << task->operation->attributes.softmax.axis, 0);
    return enqueue(task, tarn_softmax_f32_kernel, &rows);
}

tarn_status cuda_layer_norm_enqueue(const cuda_task *task) {
    const tarn_layer_norm_attributes *attributes = &task->operation->attributes.layer_norm;
    const tarn_operand *next = &task->operation->operands[2];
    const tarn_operand *operands[4] = {&task->operation->operands[0], &task->operation->operands[1]};
    if (attributes->has_weight) operands[2] = next++;
    if (attributes->has_bias) operands[3] = next;
    uint32_t outer = operands[0]->rank - attributes->normalized_dims;
    uint32_t mask = ((UINT32_C(1) << attributes->normalized_dims) - 1) << outer;
    cuda_rows rows = find_rows(task, operands, mask, outer);
    rows.epsilon = attributes->epsilon;
    return enqueue(task, tarn_layer_norm_f32_kernel, &rows);
}
