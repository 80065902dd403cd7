/* What is prepared once for an evaluation and looked at by each run. */
#ifndef EXPR_EVALUATION_H
#define EXPR_EVALUATION_H

#include "expr/emit.h"
#include "expr/layout.h"
#include "memory/layout.h"

/* A pass that is ready: the operation of a program, with the value whose memory each operand lies in. */
typedef struct expr_ready_pass {
    tarn_backend_operation *operation; /* NULL: no program, or one over no elements */
    uint32_t *bases;                   /* one for each operand */
} expr_ready_pass;

/* Data of operands counts from here until a run knows where memory is. */
#define EXPR_ANCHOR ((char *)((uintptr_t)1 << 46))

struct tarn_evaluation {
    atomic_uint references;
    tarn_device *device; /* of the tensors; NULL: there are none. Kept alive by them */
    tarn_expr **exprs;   /* references */
    size_t count;
    expr_values values;
    expr_layout *layouts; /* of each value */
    uint32_t *result_of;  /* of each value: which result it is, or EXPR_NONE */
    expr_passes passes;
    expr_ready_pass *ready; /* of each pass */
    uint32_t *place_of;     /* of each value: which buffer of the memory layout it lies in, or EXPR_NONE */
    memory_layout *memory;
    tarn_evaluation_info info;
};

#endif
