/* Whether views share memory. The operands have elements, all of them in memory. */
#ifndef TENSOR_OVERLAP_H
#define TENSOR_OVERLAP_H

#include <stdbool.h>

#include <tarn/backend_operations.h>

/* Whether two operands have a byte in common. Where that cannot be found out in a bounded number of steps it is taken for granted. */
bool tensor_operands_overlap(const tarn_operand *a, const tarn_operand *b);
/* Whether the operands, of the same dimensions, have the same elements in the same order. */
bool tensor_operands_coincide(const tarn_operand *a, const tarn_operand *b);

#endif
