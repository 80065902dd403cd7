/* Describing a convolution to cuDNN: its tensors have strides, of which those of channels or of columns are the smallest; its weights lie
 * without gaps in one of the same two orders; and all numbers are ints. */
#include "backends/cuda/operations/dnn_form.h"

#include <string.h>

#include "backends/cuda/operations/dnn_library.h"

/* Bytes: cuDNN's fast kernels read so many at once. */
#define ALIGNMENT 16

/* Dimensions from the outermost one to the innermost, with channels first and last. */
static const unsigned orders[2][4] = {[DNN_CHANNELS_FIRST] = {0, 1, 2, 3}, [DNN_CHANNELS_LAST] = {0, 2, 3, 1}};

/* Strides in the order, each past everything that lies within; a dimension of 1 is given the stride that it would have. False where memory
 * is in another order, where an element serves twice, or where places do not fit in an int. */
static bool find_strides(const tarn_operand *operand, int order, int *out_strides) {
    int64_t extent = 1;
    for (int k = 3; k >= 0; k--) {
        unsigned d = orders[order][k];
        int64_t stride = operand->dims[d] == 1 ? extent : operand->strides[d], most;
        if (stride < extent || stride > INT32_MAX) return false;
        if (__builtin_mul_overflow(stride, operand->dims[d], &most) || most > INT32_MAX) return false;
        out_strides[d] = (int)stride;
        extent = most;
    }
    return true;
}

static bool find_tensor(const tarn_operand *operand, int *out_dims, int *out_strides) {
    for (int d = 0; d < 4; d++) {
        if (operand->dims[d] > INT32_MAX) return false;
        out_dims[d] = (int)operand->dims[d];
    }
    return find_strides(operand, DNN_CHANNELS_FIRST, out_strides) ||
           find_strides(operand, DNN_CHANNELS_LAST, out_strides);
}

/* Weights have no strides there: only an order. */
static bool find_weight(const tarn_operand *weight, dnn_form *form) {
    int strides[4];
    for (int order = DNN_CHANNELS_FIRST; order <= DNN_CHANNELS_LAST; order++) {
        int64_t count = weight->dims[0] * weight->dims[1] * weight->dims[2] * weight->dims[3];
        if (!find_strides(weight, order, strides) || strides[0] * weight->dims[0] != count) continue;
        for (int d = 0; d < 4; d++) form->weight[d] = (int)weight->dims[d];
        form->weight_format = order;
        return true;
    }
    return false;
}

static bool copy_two(const int64_t *from, int *to) {
    for (int i = 0; i < 2; i++) {
        if (from[i] < 0 || from[i] > INT32_MAX) return false;
        to[i] = (int)from[i];
    }
    return true;
}

/* Sigmoid and tanh, and any bias that is no row, are left to a program, which takes halves after they were rounded once too often. */
static bool find_fusion(const cuda_task *task, dnn_form *form) {
    const tarn_conv2d_attributes *attributes = &task->operation->attributes.conv2d;
    const tarn_operand *bias = &task->operation->operands[DNN_BIAS];
    bool is_half = form->type == DNN_F16 || form->type == DNN_BF16, has_bias = attributes->has_bias != 0;
    bool has_relu = attributes->activation == TARN_OPERATION_RELU;
    bool has_other = !has_relu && attributes->activation != TARN_OPERATION_COPY;
    bool is_row = has_bias && (bias->strides[0] == 1 || bias->dims[0] == 1) && (uintptr_t)bias->data % ALIGNMENT == 0;
    form->must_fuse = is_half && has_bias;
    if (!has_other && (has_bias ? is_row : has_relu)) form->fusion = has_relu ? DNN_FUSES_RELU : DNN_FUSES_BIAS;
    return !(is_half && has_other) && !(form->must_fuse && form->fusion == DNN_FUSES_NOTHING);
}

bool dnn_form_find(const cuda_task *task, dnn_form *out_form) {
    static const int types[] = {[TARN_ELEMENT_F32] = DNN_F32,
                                [TARN_ELEMENT_F16] = DNN_F16,
                                [TARN_ELEMENT_BF16] = DNN_BF16,
                                [TARN_ELEMENT_F64] = DNN_F64};
    const tarn_conv2d_attributes *attributes = &task->operation->attributes.conv2d;
    const tarn_operand *operands = task->operation->operands;
    memset(out_form, 0, sizeof *out_form);
    for (int i = 0; i < 3; i++)
        if ((uintptr_t)operands[i].data % ALIGNMENT != 0) return false;
    out_form->type = types[operands[DNN_OUT].type];
    if (attributes->groups > INT32_MAX) return false;
    out_form->groups = (int)attributes->groups;
    for (int i = DNN_OUT; i <= DNN_IN; i++)
        if (!find_tensor(&operands[i], out_form->tensors[i], out_form->strides[i])) return false;
    return find_weight(&operands[DNN_WEIGHT], out_form) && copy_two(attributes->padding, out_form->padding) &&
           copy_two(attributes->stride, out_form->step) && copy_two(attributes->dilation, out_form->dilation) &&
           find_fusion(task, out_form);
}
