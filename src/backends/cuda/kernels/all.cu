/* All kernels that are there before a program runs, as one module. */
#include "gather.cu"
#include "pooling.cu"
#include "product.cu"
#include "program.cu"
#include "rows.cu"
