/* Expressions: operations on tensors that have not been done yet, so that they can be done together.
 *
 *     tarn_expr *y = tarn_expr_relu(tarn_expr_add(tarn_expr_multiply(tarn_expr_of(x), tarn_expr_of(w)), tarn_expr_of(x)));
 *     status = tarn_expr_eval(y, allocator, &result);      // one pass over x and w, no memory but the result's
 *     tarn_expr_release(y);
 *
 * **Building.** Each function makes an expression and gives the caller one reference of it. It takes over the references of its operands, so that
 * calls nest; who needs an operand again retains it first. Nothing is computed, and nothing can fail: an expression whose shapes or types
 * do not fit, or for which there was no host memory, is an expression all the same that remembers why, as does every one made of it, and
 * what evaluates it answers with that status and sentence. So there is one place to look for errors. NULL for an operand is such an error too.
 *
 * **Meaning.** Shapes and types are those of tarn/operation.h; a scalar promotes as it does there. The elements of a tensor are read when the
 * expression is evaluated, not when it is built: do not write to a tensor in between unless that is meant.
 *
 * **Evaluating.** What occurs twice is computed once. What consists of scalars is computed beforehand. Elementwise operations become one pass with those
 * that use their values, with the reduction that follows, and, a bias and an activation, with the matrix product or convolution before. Transposing,
 * slicing, broadcasting and, where strides allow it, reshaping move nothing. Intermediates that remain are laid out by the planner
 * (tarn/plan.h) in one block, which is taken from the allocator in one request and given back in the order of the stream. Results have memory of
 * their own. Fused steps of F16 and BF16 are rounded once at the end of the pass instead of after each operation.
 *
 * All tensors of an expression are on one device, that of the allocator. Expressions do not change; any thread may use them, and release them.
 * An expression is not limited in its depth. */
#ifndef TARN_EXPR_H
#define TARN_EXPR_H

#include <tarn/operation.h>

TARN_BEGIN_DECLARATIONS

typedef struct tarn_expr tarn_expr;

/* The elements of a tensor, which is retained. */
TARN_API tarn_expr *tarn_expr_of(tarn_tensor *tensor);
TARN_API tarn_expr *tarn_expr_scalar(tarn_scalar value);
TARN_API tarn_expr *tarn_expr_float(double value);
TARN_API tarn_expr *tarn_expr_integer(int64_t value);

TARN_API tarn_expr *tarn_expr_retain(tarn_expr *expr);
/* NULL is allowed. */
TARN_API void tarn_expr_release(tarn_expr *expr);

/* What the value will be like. The status is that of a failure which the expression remembers: its sentence is kept for tarn_last_error. */
TARN_API tarn_status tarn_expr_shape(const tarn_expr *expr, tarn_shape *out_shape);
TARN_API tarn_status tarn_expr_type(const tarn_expr *expr, tarn_element_type *out_type);

/* Elementwise; the operations of tarn_unary, tarn_binary and tarn_select. */
TARN_API tarn_expr *tarn_expr_unary(tarn_operation operation, tarn_expr *x);
TARN_API tarn_expr *tarn_expr_binary(tarn_operation operation, tarn_expr *a, tarn_expr *b);
TARN_API tarn_expr *tarn_expr_select(tarn_expr *condition, tarn_expr *a, tarn_expr *b);
TARN_API tarn_expr *tarn_expr_cast(tarn_expr *x, tarn_element_type type);

TARN_API tarn_expr *tarn_expr_neg(tarn_expr *x);
TARN_API tarn_expr *tarn_expr_exp(tarn_expr *x);
TARN_API tarn_expr *tarn_expr_log(tarn_expr *x);
TARN_API tarn_expr *tarn_expr_sqrt(tarn_expr *x);
TARN_API tarn_expr *tarn_expr_sin(tarn_expr *x);
TARN_API tarn_expr *tarn_expr_cos(tarn_expr *x);
TARN_API tarn_expr *tarn_expr_relu(tarn_expr *x);
TARN_API tarn_expr *tarn_expr_sigmoid(tarn_expr *x);
TARN_API tarn_expr *tarn_expr_tanh(tarn_expr *x);
TARN_API tarn_expr *tarn_expr_add(tarn_expr *a, tarn_expr *b);
TARN_API tarn_expr *tarn_expr_subtract(tarn_expr *a, tarn_expr *b);
TARN_API tarn_expr *tarn_expr_multiply(tarn_expr *a, tarn_expr *b);
TARN_API tarn_expr *tarn_expr_divide(tarn_expr *a, tarn_expr *b);
TARN_API tarn_expr *tarn_expr_pow(tarn_expr *a, tarn_expr *b);
TARN_API tarn_expr *tarn_expr_maximum(tarn_expr *a, tarn_expr *b);
TARN_API tarn_expr *tarn_expr_minimum(tarn_expr *a, tarn_expr *b);

/* Reductions, as tarn_reduce. */
TARN_API tarn_expr *tarn_expr_reduce(tarn_operation operation, tarn_expr *x, const int *dims, size_t dim_count,
                                     int keeps_dims);
TARN_API tarn_expr *tarn_expr_sum(tarn_expr *x, const int *dims, size_t dim_count, int keeps_dims);
TARN_API tarn_expr *tarn_expr_mean(tarn_expr *x, const int *dims, size_t dim_count, int keeps_dims);
TARN_API tarn_expr *tarn_expr_prod(tarn_expr *x, const int *dims, size_t dim_count, int keeps_dims);
TARN_API tarn_expr *tarn_expr_max(tarn_expr *x, const int *dims, size_t dim_count, int keeps_dims);
TARN_API tarn_expr *tarn_expr_min(tarn_expr *x, const int *dims, size_t dim_count, int keeps_dims);

/* The others, as the functions of tarn/operation.h; `weight` and `bias` of layer_norm, and `bias` of conv2d, may be NULL. */
TARN_API tarn_expr *tarn_expr_matmul(tarn_expr *a, tarn_expr *b);
TARN_API tarn_expr *tarn_expr_conv2d(tarn_expr *x, tarn_expr *weight, tarn_expr *bias,
                                     const tarn_conv2d_options *conv2d);
TARN_API tarn_expr *tarn_expr_max_pool2d(tarn_expr *x, const tarn_max_pool2d_options *pool);
TARN_API tarn_expr *tarn_expr_softmax(tarn_expr *x, int dim);
TARN_API tarn_expr *tarn_expr_layer_norm(tarn_expr *x, size_t normalized_dims, tarn_expr *weight, tarn_expr *bias,
                                         double epsilon);
TARN_API tarn_expr *tarn_expr_gather(tarn_expr *x, tarn_expr *indices, int dim);

/* Other views, as the functions of tarn/tensor.h. */
TARN_API tarn_expr *tarn_expr_reshape(tarn_expr *x, const int64_t *dims, size_t rank);
TARN_API tarn_expr *tarn_expr_transpose(tarn_expr *x, const int *order);
TARN_API tarn_expr *tarn_expr_slice(tarn_expr *x, int dim, int64_t begin, int64_t end, int64_t step);
TARN_API tarn_expr *tarn_expr_broadcast_to(tarn_expr *x, const tarn_shape *shape);

/* Evaluates on the default stream of the allocator's device. The caller owns the result, whose memory, like that of intermediates, comes from
 * `allocator`. Errors: what the expression remembers; INVALID_ARGUMENT: a tensor of another device; NOT_SUPPORTED and
 * OUT_OF_MEMORY as tarn/operation.h and tarn/allocator.h say. Nothing is left behind on failure. */
TARN_API tarn_status tarn_expr_eval(tarn_expr *expr, tarn_allocator *allocator, tarn_tensor **out_tensor);

/* Evaluations: expressions made ready once and run as often as needed, with what their tensors hold then. Counted; the functions may be called
 * from any thread, also to run one evaluation on several streams at the same time. */
typedef struct tarn_evaluation tarn_evaluation;

/* Makes `count` expressions ready to be evaluated together. The evaluation keeps their tensors; the expressions stay the caller's. */
TARN_API tarn_status tarn_evaluation_create(tarn_expr *const *exprs, size_t count, tarn_evaluation **out_evaluation);
TARN_API tarn_evaluation *tarn_evaluation_retain(tarn_evaluation *evaluation);
/* NULL is allowed. */
TARN_API void tarn_evaluation_release(tarn_evaluation *evaluation);
/* Computes everything in the order of `stream` (NULL: the default one) and writes one tensor for each expression to `inout_results`. An entry that is
 * NULL becomes a new tensor, of which the caller owns one reference; any other is written into, as tarn/operation.h says of results, and may not
 * share memory with a tensor that is read. On a stream that is being captured the work is captured: take the allocator's memory from a graph pool. */
TARN_API tarn_status tarn_evaluation_run(tarn_evaluation *evaluation, tarn_allocator *allocator, tarn_stream *stream,
                                         tarn_tensor **inout_results);

typedef struct tarn_evaluation_info {
    size_t struct_size;
    size_t operations;           /* that the expressions ask for, views apart */
    size_t shared;               /* of those, the ones that others compute already */
    size_t folded;               /* of those, the ones computed beforehand */
    size_t passes;               /* over memory: what is enqueued by one run */
    size_t intermediates;        /* that get memory */
    uint64_t intermediate_bytes; /* of the block for them: the peak, beside the results */
    uint64_t separate_bytes;     /* what they would take if none shared memory */
    uint64_t lower_bound;        /* what no plan can be below */
    uint64_t unfused_bytes;      /* what all values would take that are not results, each in memory of its own */
    uint64_t result_bytes;
} tarn_evaluation_info;
/* The caller sets struct_size. */
TARN_API tarn_status tarn_evaluation_info_get(const tarn_evaluation *evaluation, tarn_evaluation_info *out_info);
/* Writes the passes, one in a line with its steps and the places of its values, and the peak of memory; returns the length that the whole text
 * has, as snprintf does. */
TARN_API size_t tarn_evaluation_to_string(const tarn_evaluation *evaluation, char *out_text, size_t capacity);

TARN_END_DECLARATIONS

#endif
