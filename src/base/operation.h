/* Operations as values: the types that they take, copying them for later, and the memory that they touch. For the hardware layer, which
 * keeps those of a capture, and for backends, whose streams run them later. */
#ifndef BASE_OPERATION_H
#define BASE_OPERATION_H

#include <tarn/backend_operations.h>

/* Whether tarn/backend_operations.h gives the operation, a step or one of the others, a meaning on elements of the type: 1 or 0. */
int base_operation_takes(tarn_operation operation, tarn_element_type type);
/* A copy with all arrays, in one allocation that base_free takes back; NULL when there is no host memory. */
tarn_backend_operation *base_operation_copy(const tarn_backend_operation *operation);
/* The bytes from the lowest element of the operand to the end of the highest. The caller knows that the operand has elements, all of them in
 * memory. */
void base_operand_range(const tarn_operand *operand, const void **out_begin, size_t *out_size);

#endif
