/* Products of matrices, which convolutions are too: with the texts kernels/product.cl, pack.cl, registers.cl, tiles.cl and direct.cl. */
#ifndef OPENCL_PRODUCT_H
#define OPENCL_PRODUCT_H

#include "backends/opencl/opencl_neural.h"

/* As in kernels/product.cl. */
typedef struct opencl_image {
    opencl_window seen;
    cl_long height, width, is_flat;
    cl_long strides[3][4];
} opencl_image;

/* A product of m by k and k by n elements for each matrix of a batch. */
typedef struct opencl_product {
    const opencl_neural_call *call;
    int64_t matrices, m, n, k;
    opencl_walk batch;
    cl_long strides[4][2];     /* of the result, the left matrix, the right one and the bias */
    const opencl_image *image; /* NULL: of a matrix product */
    bool has_bias;             /* the fourth operand */
    tarn_operation activation; /* COPY: none */
} opencl_product;

tarn_status opencl_product_run(const opencl_product *product);

#endif
