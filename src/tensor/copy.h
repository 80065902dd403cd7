/* Copies between tensors, for other files of the room. */
#ifndef TENSOR_COPY_H
#define TENSOR_COPY_H

#include "tensor/tensor.h"

/* An allocator for what is needed for a moment, or to hold a result: that of the tensor, else a new one of its device. The caller owns
 * a reference. */
tarn_status tensor_allocator_of(const tarn_tensor *tensor, tarn_allocator **out_allocator);
/* A new tensor of the shape, type and device of `tensor`, or of another type, with its elements. */
tarn_status tensor_duplicate(tarn_tensor *tensor, tarn_element_type type, tarn_stream *stream,
                             tarn_tensor **out_tensor);
/* Copies within one device; `destination` may be written and has the shape that `source` broadcasts to. */
tarn_status tensor_copy_within(tarn_tensor *destination, tarn_tensor *source, tarn_stream *stream);
/* From one device to another; likewise. `stream` is of the destination's device. transfer.c. */
tarn_status tensor_copy_between(tarn_tensor *destination, tarn_tensor *source, tarn_stream *stream);
/* Copies the elements in row-major order, and waits for the stream, which is of the tensor's device. */
tarn_status tensor_read(tarn_tensor *tensor, tarn_stream *stream, void *out_data);
/* INVALID_ARGUMENT where the tensor cannot be written. */
tarn_status tensor_check_writable(const tarn_tensor *tensor, const char *operation);
/* Has the device run a program of one step, which casts its only value to the type of operands[0]; `constant` stands for the input where there
 * is none. NOT_SUPPORTED, naming the device, without operations. */
tarn_status tensor_run_copy(tarn_stream *stream, const tarn_operand *operands, uint32_t input_count,
                            const tarn_constant *constant);

#endif
