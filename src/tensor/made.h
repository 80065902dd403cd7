/* Elements that follow from their place: what arange and random numbers share. */
#ifndef TENSOR_MADE_H
#define TENSOR_MADE_H

#include "tensor/tensor.h"

/* Steps of a program, put one behind the other. All zero: none. */
typedef struct tensor_program {
    tarn_step steps[16];
    tarn_constant constants[8];
    uint32_t step_count, constant_count;
} tensor_program;

tarn_value tensor_index(void);
tarn_value tensor_integer(tensor_program *program, int64_t value);
tarn_value tensor_float(tensor_program *program, tarn_element_type type, double value);
/* Adds a step that computes from one value or two, and gives its value. */
tarn_value tensor_step(tensor_program *program, tarn_operation operation, tarn_element_type type, tarn_value a,
                       tarn_value b);
tarn_value tensor_step_of_one(tensor_program *program, tarn_operation operation, tarn_element_type type, tarn_value a);
/* A new tensor whose elements the program's last step gives. NOT_SUPPORTED, naming `what`, where the device lacks a step. */
tarn_status tensor_make(const tensor_program *program, const char *what, tarn_allocator *allocator,
                        const tarn_shape *shape, tarn_element_type type, tarn_stream *stream, tarn_tensor **out_tensor);

#endif
