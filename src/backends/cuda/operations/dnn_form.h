/* What cuDNN is told of a convolution. */
#ifndef CUDA_OPERATIONS_DNN_FORM_H
#define CUDA_OPERATIONS_DNN_FORM_H

#include "backends/cuda/operations/operations.h"

/* The numbers of operands: of the operation, and of `tensors` in a form. */
enum { DNN_OUT, DNN_IN, DNN_WEIGHT, DNN_BIAS };

/* What cuDNN does after the convolution itself; the rest is left to a program. */
typedef enum dnn_fusion {
    DNN_FUSES_NOTHING,
    DNN_FUSES_BIAS,
    DNN_FUSES_RELU, /* with a bias, or one of zeros */
} dnn_fusion;

/* All that a choice depends on, in cuDNN's numbers: nothing but ints, so that forms are compared as bytes. */
typedef struct dnn_form {
    int type;
    int tensors[2][4], strides[2][4]; /* of out and in: batch, channels, height, width */
    int weight[4], weight_format;
    int padding[2], step[2], dilation[2], groups;
    int fusion; /* dnn_fusion: the most that may be asked for */
    int must_fuse;
} dnn_form;

/* False where cuDNN has no name for the operands' layout, sizes or types, or where halves would be rounded in between. */
bool dnn_form_find(const cuda_task *task, dnn_form *out_form);

#endif
