/* What all operations do around their own part: looking at operands, finding stream and allocator, getting a result, enqueueing.
 *
 *     tensor_call call;
 *     status = tensor_call_begin(&call, operation, tensors, count, options, inout_result);
 *     status = tensor_infer_…(…, &inferred);
 *     status = tensor_call_result(&call, &inferred, may_cast, may_coincide);
 *     …the operation's own part, unless call.target is empty: operands, attributes, tensor_call_run…
 *     return tensor_call_end(&call, status);
 *
 * Nothing of it takes host memory but new tensors. */
#ifndef TENSOR_CALL_H
#define TENSOR_CALL_H

#include "tensor/infer.h"
#include "tensor/tensor.h"

#define TENSOR_CALL_OPERANDS 3

typedef struct tensor_call {
    tarn_operation operation;
    size_t count; /* of tensors */
    tarn_tensor *tensors[TENSOR_CALL_OPERANDS];
    tarn_device *device;
    tarn_stream *stream;
    tarn_allocator *allocator; /* of new results; NULL where there is none to ask */
    tarn_tensor **inout_result;
    tarn_tensor *target; /* what is computed: the result, or a new tensor that is cast to it in the end */
    bool target_is_new;
} tensor_call;

/* Checks tensors and options. Tensors after the first may be NULL only where the caller leaves them out of `count`. */
tarn_status tensor_call_begin(tensor_call *call, tarn_operation operation, tarn_tensor *const *tensors, size_t count,
                              const tarn_operation_options *options, tarn_tensor **inout_result);
/* Puts the device before the sentence of a failure that knew none. */
tarn_status tensor_call_refuse(const tensor_call *call, tarn_status status);
/* NOT_SUPPORTED, with operation, type and device, unless the device executes the operation on the type. */
tarn_status tensor_call_support(const tensor_call *call, tarn_operation operation, tarn_element_type type);
/* Makes or checks the result. With `may_cast` the operation itself writes any type that the result may be cast to. With `may_coincide`
 * the result may have the same elements as an operand. */
tarn_status tensor_call_result(tensor_call *call, const tensor_inferred *inferred, bool may_cast, bool may_coincide);
/* Notes the stream with everything that the call touches, and enqueues. */
tarn_status tensor_call_run(const tensor_call *call, const tarn_backend_operation *operation);
/* Hands the result over, or takes it back after a failure; returns `status`, or what failed here. */
tarn_status tensor_call_end(tensor_call *call, tarn_status status);

/* What inference and backends are told of a tensor. */
static inline tensor_argument tensor_argument_of(const tarn_tensor *tensor) {
    return (tensor_argument){.shape = &tensor->shape, .type = tensor->type};
}

#endif
