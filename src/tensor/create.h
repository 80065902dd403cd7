/* How storages and their first tensors lie in memory. */
#ifndef TENSOR_CREATE_H
#define TENSOR_CREATE_H

#include "tensor/tensor.h"

typedef struct tensor_piece {
    tensor_storage storage; /* the first member: the piece is freed through it */
    tarn_tensor first;
} tensor_piece;

/* Whether the tensor is part of its storage's piece of memory. */
static inline bool tensor_is_first(const tarn_tensor *tensor) {
    return tensor == &((const tensor_piece *)(const void *)tensor->storage)->first;
}

/* Frees memory that began with, or holds, a tensor whose last reference has gone, some releases later; released.c. */
void tensor_keep_released(void *memory);

#endif
