/* Elements as bytes: numbers written as a type, and read back. */
#ifndef TENSOR_ELEMENT_H
#define TENSOR_ELEMENT_H

#include "tensor/tensor.h"

static inline bool tensor_is_floating(tarn_element_type type) { return type <= TARN_ELEMENT_F64; }

/* The number as a program's constant of that type, cast as elements are. */
tarn_constant tensor_constant(tarn_scalar value, tarn_element_type type);
/* Writes the bytes of one element, at most 8, and returns how many. */
size_t tensor_write_element(const tarn_constant *constant, void *out_bytes);
/* The element at `bytes`, of any alignment. */
tarn_scalar tensor_read_element(const void *bytes, tarn_element_type type);

#endif
