/* Where elements lie: from an element's number in row-major order to an offset for each operand. */
#ifndef CUDA_KERNELS_SPACE_CUH
#define CUDA_KERNELS_SPACE_CUH

#include "elements.cuh"
#include "parameters.h"

/* Several dimensions: from the last to the first. */
static DEVICE_CALLED int64 offset_of_many(uint64 number, const int64 *dims, const int64 *strides, uint32 first, uint32 last) {
    int64 offset = 0;
    for (uint32 d = last; d-- > first;) {
        uint64 dim = (uint64)dims[d], rest;
        /* Most spaces are below 2^32, and short divisions are several times as fast. */
        if ((number | dim) >> 32 == 0) {
            rest = (uint32)number % (uint32)dim;
            number = (uint32)number / (uint32)dim;
        } else {
            rest = number % dim;
            number /= dim;
        }
        offset += (int64)rest * strides[d];
    }
    return offset;
}

/* Short divisions are several times as fast as long ones. */
DEVICE uint64 quotient(uint64 number, uint64 divisor) {
    return (number | divisor) >> 32 == 0 ? (uint32)number / (uint32)divisor : number / divisor;
}

/* How far the element of that number lies from the first, in elements, in a space of dimensions [first, last). */
DEVICE int64 offset_of(uint64 number, const int64 *dims, const int64 *strides, uint32 first, uint32 last) {
    if (last == first + 1) return (int64)number * strides[first];
    return last == first ? 0 : offset_of_many(number, dims, strides, first, last);
}

/* The number of this thread among all, and how many there are. */
DEVICE uint64 thread_number() { return (uint64)blockIdx.x * blockDim.x + threadIdx.x; }
DEVICE uint64 thread_count() { return (uint64)gridDim.x * blockDim.x; }

#endif
