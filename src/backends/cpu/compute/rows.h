/* Rows of elements: what matrix products, softmax and layer norm have in common. Elements of F32, F16 and BF16 are computed as floats,
 * those of F64 as doubles. Compiled once for each level. */
#ifndef CPU_COMPUTE_ROWS_H
#define CPU_COMPUTE_ROWS_H

#include <stddef.h>

#include <tarn/backend_operations.h>

/* Strides are in elements. */
typedef struct cpu_rows {
    /* Elements of F32, F16 or BF16 as floats, and back. */
    void (*load_floats)(tarn_element_type type, const void *source, int64_t stride, size_t count, float *out_values);
    void (*store_floats)(tarn_element_type type, void *destination, int64_t stride, size_t count, const float *values);
    /* Of F64. */
    void (*load_doubles)(const void *source, int64_t stride, size_t count, double *out_values);
    void (*store_doubles)(void *destination, int64_t stride, size_t count, const double *values);
    /* Panels of a product (product.h) from a strided matrix: of floats from F32, F16 or BF16, of doubles from F64. */
    void (*pack_floats)(tarn_element_type type, const void *source, int64_t member_stride, int64_t inner_stride,
                        size_t members, size_t inners, size_t width, float *packed);
    void (*pack_doubles)(const double *source, int64_t member_stride, int64_t inner_stride, size_t members,
                         size_t inners, size_t width, double *packed);
} cpu_rows;

#endif
