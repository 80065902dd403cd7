/* Passes: which values are computed together, in one go over memory.
 *
 * A program computes elementwise values of one shape, its *space*, and ends in at most one reduction of the last of them. Any other
 * operation is a pass by itself, with the bias and the activation that follow a matrix product or a convolution. Values that are
 * needed outside of their pass are *stored*; all others never reach memory. */
#ifndef EXPR_FUSE_H
#define EXPR_FUSE_H

#include "expr/values.h"

#define EXPR_NONE UINT32_MAX

typedef struct expr_pass {
    bool is_program;
    uint32_t last;         /* the value that comes last: in this order passes are run */
    uint32_t first_member; /* of a program: the elementwise values, linked by `next_member` in ascending order */
    uint32_t reduction;    /* of a program: the value that is reduced, or EXPR_NONE */
    /* Of another operation. */
    uint32_t operation;        /* its value; `last` may be what follows it */
    uint32_t bias;             /* a value, or EXPR_NONE */
    tarn_operation activation; /* COPY: none */
} expr_pass;

typedef struct expr_passes {
    expr_pass *items; /* in the order in which they are run */
    uint32_t count;
    /* Of each value. */
    uint32_t *pass_of;     /* EXPR_NONE: nothing computes it */
    uint32_t *next_member; /* EXPR_NONE: it is the last one */
    bool *is_stored;
} expr_passes;

/* Makes passes of the values, whose users have been counted; `is_result` says of each value whether it is one. OUT_OF_MEMORY. The structure is
 * to be freed in any case. */
tarn_status expr_passes_find(const expr_values *values, const bool *is_result, expr_passes *out_passes);
void expr_passes_free(expr_passes *passes);

#endif
