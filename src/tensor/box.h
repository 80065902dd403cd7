/* Copies of strided tensors as copies of boxes, which hardware and drivers do by themselves. */
#ifndef TENSOR_BOX_H
#define TENSOR_BOX_H

#include "tensor/tensor.h"

/* Whether copying operands[1] to operands[0], which have one type and were merged, is copying a box: rows of elements side by side, in up
 * to two more dimensions, walked forwards and nowhere twice. Short rows are none where the device `can_gather` them. Writes it. */
bool tensor_box_of(const tarn_operand operands[2], bool can_gather, tarn_box *out_box);
/* The elements of `packed`, which gets the dimensions of `tensor`, as they lie side by side in row-major order from `data` on. */
void tensor_packed_operand(const tarn_tensor *tensor, void *data, tarn_operand *out_operand);

#endif
