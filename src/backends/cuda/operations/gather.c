/* Slices by number. */
#include "backends/cuda/operations/operations.h"

/* Bytes that a thread moves at most. */
#define WIDEST 16

/* The kernel for elements of that size, a power of two. */
static cuda_kernel kernel_for(size_t size) {
    switch (size) {
    case 1: return tarn_gather_1_kernel;
    case 2: return tarn_gather_2_kernel;
    case 4: return tarn_gather_4_kernel;
    case 8: return tarn_gather_8_kernel;
    default: return tarn_gather_16_kernel;
    }
}

/* Whether pairs of elements along the last dimension, which slices have whole, can be moved as one element of twice the size. */
static bool pairs_up(const cuda_gather *gather, size_t size) {
    if (gather->rank == 0) return false;
    const unsigned last = gather->rank - 1;
    if (gather->index_strides[last] != 0 || gather->out_strides[last] != 1 || gather->in_strides[last] != 1)
        return false;
    if (gather->dims[last] % 2 != 0 || gather->slice_stride % 2 != 0) return false;
    if ((uintptr_t)gather->out % (2 * size) != 0 || (uintptr_t)gather->in % (2 * size) != 0) return false;
    for (unsigned d = 0; d < last; d++)
        if (gather->out_strides[d] % 2 != 0 || gather->in_strides[d] % 2 != 0) return false;
    return true;
}

/* Makes elements as wide as they can be, and returns their size. */
static size_t widen(cuda_gather *gather, size_t size) {
    for (; size < WIDEST && pairs_up(gather, size); size *= 2) {
        const unsigned last = gather->rank - 1;
        gather->dims[last] /= 2;
        gather->count /= 2;
        gather->slice_stride /= 2;
        for (unsigned d = 0; d < last; d++) {
            gather->out_strides[d] /= 2;
            gather->in_strides[d] /= 2;
        }
    }
    return size;
}

tarn_status cuda_gather_enqueue(const cuda_task *task) {
    const tarn_operand *out = &task->operation->operands[0], *in = &task->operation->operands[1];
    const tarn_operand *indices = &task->operation->operands[2];
    const uint32_t axis = task->operation->attributes.gather.axis;
    cuda_gather gather = {.count = 1,
                          .rank = out->rank,
                          .out = out->data,
                          .in = in->data,
                          .indices = indices->data,
                          .slices = in->dims[axis],
                          .slice_stride = in->strides[axis],
                          .wide_indices = indices->type == TARN_ELEMENT_I64};
    for (uint32_t d = 0; d < out->rank; d++) {
        gather.count *= out->dims[d];
        gather.dims[d] = out->dims[d];
        gather.out_strides[d] = out->strides[d];
        /* Dimensions of the result: the input's before the axis, the indices', the input's behind the axis. */
        if (d < axis) gather.in_strides[d] = in->strides[d];
        else if (d < axis + indices->rank) gather.index_strides[d] = indices->strides[d - axis];
        else gather.in_strides[d] = in->strides[d - indices->rank + 1];
    }
    tarn_status status = cuda_workspace_failure(task->workspace, &gather.failure);
    if (status != TARN_OK) return status;
    size_t size = widen(&gather, tarn_element_size(out->type));
    return cuda_launch(task, kernel_for(size), cuda_grid_for(task->device, gather.count), (void *[]){&gather});
}
