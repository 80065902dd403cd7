/* Where the elements of values lie: which value owns the memory, and how it is walked. */
#ifndef EXPR_LAYOUT_H
#define EXPR_LAYOUT_H

#include "expr/values.h"

typedef struct expr_layout {
    uint32_t base;                      /* the value whose memory it is: a tensor, or one that is computed */
    int64_t offset;                     /* of the first element, in elements from the base's first */
    int64_t strides[TARN_MAXIMUM_RANK]; /* in elements */
} expr_layout;

/* Lays all values out; constants and what is only a step of a program have a layout that is not asked for. Reshapes that strides do not
 * allow become copies. `out_layouts` has one entry for each value. */
void expr_layouts_find(expr_values *values, expr_layout *out_layouts);

#endif
