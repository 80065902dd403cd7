/* Matrix products as products of a batch: matrices of the left side that all meet one right matrix are rows of one, and a product with few columns, or whose
 * columns lie side by side, is turned round, so that kernels find the rows so. */
#include "backends/opencl/opencl_product.h"

#define FEW_COLUMNS 4

enum { RESULT, LEFT, RIGHT, BIAS };

/* Takes the last dimension of the batch into the rows where one stride leads through both, and one right matrix serves all. */
static bool fold_batch(tarn_operand *operands, int count) {
    const uint32_t rank = operands[RESULT].rank;
    if (rank < 3 || operands[RIGHT].strides[rank - 3] != 0) return false;
    const int64_t rows = operands[RESULT].dims[rank - 2], matrices = operands[RESULT].dims[rank - 3];
    for (int i = 0; i < count; i++) {
        const tarn_operand *operand = &operands[i];
        if (i != RIGHT && rows > 1 && matrices > 1 && operand->strides[rank - 3] != rows * operand->strides[rank - 2])
            return false;
    }
    for (int i = 0; i < count; i++) {
        tarn_operand *operand = &operands[i];
        const int64_t stride = rows > 1 ? operand->strides[rank - 2] : operand->strides[rank - 3];
        if (i != RIGHT) {
            operand->dims[rank - 3] = matrices * rows;
            operand->strides[rank - 3] = stride;
        } else {
            operand->dims[rank - 3] = operand->dims[rank - 2];
            operand->strides[rank - 3] = operand->strides[rank - 2];
        }
        operand->dims[rank - 2] = operand->dims[rank - 1];
        operand->strides[rank - 2] = operand->strides[rank - 1];
        operand->rank = rank - 1;
    }
    return true;
}

/* A result of few columns, or one whose columns lie side by side. */
static bool is_better_turned(const tarn_operand *result) {
    const uint32_t row = result->rank - 2, column = row + 1;
    if (result->dims[column] < FEW_COLUMNS || result->dims[row] < FEW_COLUMNS)
        return result->dims[column] < result->dims[row];
    return result->strides[row] == 1 && result->strides[column] != 1;
}

/* The transposed product, of the transposed matrices in the other order. */
static void turn(tarn_operand *operands, int count) {
    const uint32_t row = operands[RESULT].rank - 2, column = row + 1;
    for (int i = 0; i < count; i++) {
        const int64_t dim = operands[i].dims[row], stride = operands[i].strides[row];
        operands[i].dims[row] = operands[i].dims[column];
        operands[i].strides[row] = operands[i].strides[column];
        operands[i].dims[column] = dim;
        operands[i].strides[column] = stride;
    }
    const tarn_operand left = operands[LEFT];
    operands[LEFT] = operands[RIGHT];
    operands[RIGHT] = left;
}

tarn_status opencl_matmul_run(const opencl_neural_call *given) {
    const tarn_matmul_attributes *attributes = &given->operation->attributes.matmul;
    const int count = attributes->has_bias ? 4 : 3;
    tarn_operand operands[4] = {{.data = NULL}};
    for (int i = 0; i < count; i++) operands[i] = given->operation->operands[i];
    while (fold_batch(operands, count)) continue;
    const uint32_t rank = operands[RESULT].rank;
    if (is_better_turned(&operands[RESULT])) turn(operands, count);
    tarn_backend_operation operation = *given->operation;
    operation.operands = operands;
    opencl_neural_call call = *given;
    call.operation = &operation;
    opencl_product product = {.call = &call,
                              .m = operands[RESULT].dims[rank - 2],
                              .n = operands[RESULT].dims[rank - 1],
                              .k = operands[LEFT].dims[rank - 1],
                              .batch = opencl_walk_none(),
                              .has_bias = attributes->has_bias != 0,
                              .activation = attributes->activation};
    for (int i = 0; i < count; i++) {
        product.matrices = opencl_walk_along(&product.batch, i, &operands[i], 0, rank - 2);
        for (uint32_t d = 0; d < 2; d++) product.strides[i][d] = operands[i].strides[rank - 2 + d];
    }
    return opencl_product_run(&product);
}
