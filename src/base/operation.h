/* Operations as values: copying them for later, and the memory that they touch. For the hardware layer, which keeps those of a capture,
 * and for backends, whose streams run them later. */
#ifndef BASE_OPERATION_H
#define BASE_OPERATION_H

#include <tarn/backend_operations.h>

/* A copy with all arrays, in one allocation that base_free takes back; NULL when there is no host memory. */
tarn_backend_operation *base_operation_copy(const tarn_backend_operation *operation);
/* The bytes from the lowest element of the operand to the end of the highest. The caller knows that the operand has elements, all of them in
 * memory. */
void base_operand_range(const tarn_operand *operand, const void **out_begin, size_t *out_size);

#endif
