/* Primitives: what oneDNN has compiled for one form of an operation, kept for the next operation of that form. */
#ifndef CPU_COMPUTE_ONEDNN_CACHE_H
#define CPU_COMPUTE_ONEDNN_CACHE_H

#include "backends/cpu/compute/onednn_library.h"

#include <tarn/backend_operations.h>

/* The operands, in Tarn's order. */
enum { ONEDNN_OUT = 0, ONEDNN_SOURCE, ONEDNN_WEIGHTS, ONEDNN_BIAS, ONEDNN_OPERANDS };

/* All that a primitive depends on. Unused members are zero, since keys are compared byte by byte. */
typedef struct onednn_key {
    tarn_operation operation, activation;
    tarn_element_type type;
    uint32_t rank;
    int64_t has_bias; /* 1 or 0, as wide as what follows, so that there is no padding */
    int64_t dims[ONEDNN_BIAS][TARN_MAXIMUM_RANK], strides[ONEDNN_BIAS][TARN_MAXIMUM_RANK];
    int64_t stride[2], padding[2], dilation[2], groups;
} onednn_key;

/* What describes an operation to oneDNN. */
typedef struct onednn_description {
    union {
        dnnl_matmul_desc_t matmul;
        dnnl_convolution_desc_t convolution;
    } operation;
    dnnl_memory_desc_t given[ONEDNN_OPERANDS]; /* as the operands lie in memory */
} onednn_description;

/* A primitive, with what it takes to bring operands into the order in which it wants them. Constant once it is made. */
typedef struct onednn_primitive {
    dnnl_primitive_t primitive; /* NULL: oneDNN refuses this form */
    dnnl_memory_desc_t given[ONEDNN_OPERANDS], wanted[ONEDNN_OPERANDS], scratchpad;
    dnnl_primitive_t reorders[ONEDNN_OPERANDS]; /* NULL: the operand is as it is wanted */
    size_t offsets[ONEDNN_OPERANDS];            /* of reordered operands, in memory of `size` bytes */
    bool has_scratchpad;
    size_t scratchpad_offset, size;
} onednn_primitive;

/* The primitive for the key, from the cache or made by what `describe` says, which returns whether oneDNN took that. It is given
 * back by onednn_cache_put. NULL where there is no host memory. */
const onednn_primitive *onednn_cache_get(const onednn_library *library, const onednn_key *key,
                                         bool (*describe)(const onednn_library *library, const onednn_key *key,
                                                          onednn_description *out_description));
void onednn_cache_put(const onednn_library *library, const onednn_primitive *primitive);

#endif
