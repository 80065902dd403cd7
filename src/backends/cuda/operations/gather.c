/* Slices by number. */
#include "backends/cuda/operations/operations.h"

/* The kernel for elements of that size; operand sizes are powers of two. */
static cuda_kernel kernel_for(tarn_element_type type) {
    switch (tarn_element_size(type)) {
    case 1: return tarn_gather_1_kernel;
    case 2: return tarn_gather_2_kernel;
    case 4: return tarn_gather_4_kernel;
    default: return tarn_gather_8_kernel;
    }
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
    return cuda_launch(task, kernel_for(out->type), cuda_grid_for(task->device, gather.count), (void *[]){&gather});
}
