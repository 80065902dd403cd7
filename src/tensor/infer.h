/* What an operation makes of its operands: the shape and the type of the result, from shapes, types and attributes alone.
 *
 * Operations and expressions ask the same functions, so that both refuse the same things with the same sentences. Nothing here knows
 * memory or devices: each function is pure, may be called from any thread, and leaves its results untouched when it refuses. A sentence begins
 * with the operation's name; who knows the device puts that before it.
 *
 * INVALID_ARGUMENT: shapes, types or attributes that do not go together, and a result with more elements than can be counted.
 * NOT_SUPPORTED: a type for which the operation has no meaning on any device. What one device lacks is not known here. */
#ifndef TENSOR_INFER_H
#define TENSOR_INFER_H

#include <stdbool.h>

#include <tarn/operation.h>

/* An operand, as far as inference looks at it. */
typedef struct tensor_argument {
    const tarn_shape *shape;
    tarn_element_type type;
    bool is_scalar; /* a number and no tensor: BOOL, I64 or F32 by its kind, and of rank 0 */
} tensor_argument;

tensor_argument tensor_argument_of_scalar(tarn_scalar_kind kind);

typedef struct tensor_reduce_attributes {
    uint32_t dims; /* bit i: dimension i */
    bool keeps_dims;
} tensor_reduce_attributes;

/* An operation and all that it is told beside its operands. */
typedef struct tensor_node {
    tarn_operation operation; /* any but RANDOM and PROGRAM */
    union {
        tarn_element_type cast;          /* COPY: the type of the result */
        tensor_reduce_attributes reduce; /* SUM … MIN */
        tarn_matmul_attributes matmul;
        tarn_conv2d_attributes conv2d;
        tarn_pool2d_attributes pool2d;
        tarn_softmax_attributes softmax;
        tarn_layer_norm_attributes layer_norm;
        tarn_gather_attributes gather;
    } attributes; /* none for the others */
} tensor_node;

typedef struct tensor_inferred {
    tarn_element_type type;     /* of the result */
    tarn_element_type computed; /* what the values that the operation takes are cast to before it */
    size_t elements;            /* of the result */
    tarn_shape shape;           /* of the result */
} tensor_inferred;

/* How many operands the operation takes; optional ones are counted as the attributes say. 0: it is none of those above. */
size_t tensor_infer_argument_count(const tensor_node *node);
/* Any operation: the one door for those who hold it as a value. The operands are in the order of the backend's inputs. */
tarn_status tensor_infer(const tensor_node *node, const tensor_argument *arguments, tensor_inferred *out_inferred);

/* One function for each sort of operation. Attributes are those of a backend, and are checked here. */

/* COPY … TANH. COPY keeps the type. */
tarn_status tensor_infer_unary(tarn_operation operation, const tensor_argument *x, tensor_inferred *out_inferred);
tarn_status tensor_infer_cast(const tensor_argument *x, tarn_element_type type, tensor_inferred *out_inferred);
/* ADD … LESS_EQUAL. */
tarn_status tensor_infer_binary(tarn_operation operation, const tensor_argument *a, const tensor_argument *b,
                                tensor_inferred *out_inferred);
tarn_status tensor_infer_select(const tensor_argument *condition, const tensor_argument *a, const tensor_argument *b,
                                tensor_inferred *out_inferred);
/* SUM … MIN. */
tarn_status tensor_infer_reduce(tarn_operation operation, const tensor_argument *x,
                                const tensor_reduce_attributes *attributes, tensor_inferred *out_inferred);
/* `bias` may be NULL, here and below. */
tarn_status tensor_infer_matmul(const tensor_argument *a, const tensor_argument *b, const tensor_argument *bias,
                                const tarn_matmul_attributes *attributes, tensor_inferred *out_inferred);
tarn_status tensor_infer_conv2d(const tensor_argument *x, const tensor_argument *weight, const tensor_argument *bias,
                                const tarn_conv2d_attributes *attributes, tensor_inferred *out_inferred);
tarn_status tensor_infer_max_pool2d(const tensor_argument *x, const tarn_pool2d_attributes *attributes,
                                    tensor_inferred *out_inferred);
tarn_status tensor_infer_softmax(const tensor_argument *x, const tarn_softmax_attributes *attributes,
                                 tensor_inferred *out_inferred);
tarn_status tensor_infer_layer_norm(const tensor_argument *x, const tensor_argument *weight,
                                    const tensor_argument *bias, const tarn_layer_norm_attributes *attributes,
                                    tensor_inferred *out_inferred);
tarn_status tensor_infer_gather(const tensor_argument *x, const tensor_argument *indices,
                                const tarn_gather_attributes *attributes, tensor_inferred *out_inferred);

/* From what a caller writes to attributes. */

/* A dimension that may be counted from the end. */
tarn_status tensor_infer_dim(tarn_operation operation, const tarn_shape *shape, int dim, uint32_t *out_dim);
/* The dimensions of a reduction, one bit each; a `count` of 0 is all of them. */
tarn_status tensor_infer_dims(tarn_operation operation, const tarn_shape *shape, const int *dims, size_t count,
                              uint32_t *out_dims);
/* Options with their defaults filled in; `options` may be NULL for a convolution. */
tarn_status tensor_infer_conv2d_attributes(const tarn_conv2d_options *options, bool has_bias,
                                           tarn_conv2d_attributes *out_attributes);
tarn_status tensor_infer_pool2d_attributes(const tarn_max_pool2d_options *options,
                                           tarn_pool2d_attributes *out_attributes);

/* Types. */

bool tensor_type_is_floating(tarn_element_type type);
/* As tensor_infer_type, but only says whether there is such a type. */
bool tensor_computed_type(tarn_operation operation, tarn_element_type type, tarn_element_type *out_computed);
/* The type that two operands are promoted to, with regard to their ranks and to scalars. */
tarn_element_type tensor_promote(const tensor_argument *a, const tensor_argument *b);
/* Whether a result of type `from` may be written into a tensor of type `to`. */
bool tensor_type_can_cast(tarn_element_type from, tarn_element_type to);

/* For the files of inference: counts the elements of the result, whose shape and types are there. */
tarn_status tensor_infer_finish(tarn_operation operation, tensor_inferred *inferred);
/* INVALID_ARGUMENT for two types where there has to be one. */
tarn_status tensor_infer_same_type(tarn_operation operation, const tensor_argument *a, const tensor_argument *b);
/* The type in which the operation computes operands of `type`, to which they have been promoted; NOT_SUPPORTED where it has no meaning. */
tarn_status tensor_infer_type(tarn_operation operation, tarn_element_type type, tarn_element_type *out_computed);
/* The shape that shapes broadcast to by NumPy's rules. */
tarn_status tensor_infer_broadcast(tarn_operation operation, const tarn_shape *a, const tarn_shape *b,
                                   tarn_shape *out_shape);

#endif
