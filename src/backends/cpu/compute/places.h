/* Where the elements of an operand are. */
#ifndef CPU_COMPUTE_PLACES_H
#define CPU_COMPUTE_PLACES_H

#include <stddef.h>

#include <tarn/backend_operations.h>

/* The address of the element that is `offset` elements behind the first. */
static inline void *cpu_element(const tarn_operand *operand, int64_t offset) {
    return (char *)operand->data + offset * (int64_t)tarn_element_size(operand->type);
}

/* The offset of the place with that number, counted in row-major order, in the dimensions whose bits are set in `dims`. */
static inline int64_t cpu_place(const tarn_operand *operand, uint32_t dims, size_t number) {
    int64_t offset = 0;
    for (uint32_t i = operand->rank; i-- > 0;) {
        if ((dims >> i & 1) == 0) continue;
        size_t extent = (size_t)operand->dims[i];
        offset += (int64_t)(number % extent) * operand->strides[i];
        number /= extent;
    }
    return offset;
}

/* How many places there are. */
static inline size_t cpu_place_count(const tarn_operand *operand, uint32_t dims) {
    size_t count = 1;
    for (uint32_t i = 0; i < operand->rank; i++)
        if ((dims >> i & 1) != 0) count *= (size_t)operand->dims[i];
    return count;
}

#endif
