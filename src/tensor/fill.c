/* Tensors of given numbers: fills, zeros, and what the host has. */
#include "base/status.h"
#include "hal/host_copy.h"
#include "tensor/copy.h"
#include "tensor/element.h"

/* Fills. */

/* `constant` has the tensor's type. */
static tarn_status fill(tarn_tensor *tensor, const tarn_constant *constant, tarn_stream *stream) {
    if (tensor->elements == 0) return TARN_OK;
    tarn_operand operand;
    unsigned char pattern[8];
    tarn_status status = tensor_use(tensor, stream);
    if (status != TARN_OK) return status;
    tensor_operand(tensor, NULL, &operand);
    tensor_merge_operands(&operand, 1, true, NULL);
    if (operand.rank > 1 || (operand.rank == 1 && operand.strides[0] != 1)) {
        return tensor_run_copy(stream, &operand, 0, constant);
    }
    size_t size = tensor_write_element(constant, pattern);
    return tarn_stream_fill(stream, operand.data, pattern, size, tarn_tensor_bytes(tensor));
}

static tarn_status check_scalar(tarn_scalar value, const char *operation) {
    if ((unsigned)value.kind <= TARN_SCALAR_FLOAT) return TARN_OK;
    return base_fail(TARN_INVALID_ARGUMENT, "%s: %d is no kind of scalar", operation, (int)value.kind);
}

tarn_status tarn_tensor_fill(tarn_tensor *tensor, tarn_scalar value, tarn_stream *stream) {
    tarn_status status = tensor_check(tensor, "tensor_fill", "the tensor");
    if (status == TARN_OK) status = check_scalar(value, "tensor_fill");
    if (status == TARN_OK) status = tensor_stream(tensor->storage->device, stream, &stream);
    if (status == TARN_OK) status = tensor_check_writable(tensor, "tensor_fill");
    if (status != TARN_OK) return status;
    tarn_constant constant = tensor_constant(value, tensor->type);
    return fill(tensor, &constant, stream);
}

/* New tensors. */

/* Gives the tensor to the caller, or takes it back when what was to be in it failed. */
static tarn_status hand_out(tarn_tensor *tensor, tarn_status status, tarn_tensor **out_tensor) {
    if (status == TARN_OK) *out_tensor = tensor;
    else tarn_tensor_release(tensor);
    return status;
}

tarn_status tarn_tensor_full(tarn_allocator *allocator, const tarn_shape *shape, tarn_element_type type,
                             tarn_scalar value, tarn_stream *stream, tarn_tensor **out_tensor) {
    tarn_tensor *tensor;
    tarn_status status = check_scalar(value, "tensor_full");
    if (status == TARN_OK && out_tensor == NULL)
        status = base_fail(TARN_INVALID_ARGUMENT, "tensor_full: the place for the tensor is NULL");
    if (status == TARN_OK) status = tarn_tensor_empty(allocator, shape, type, stream, &tensor);
    if (status != TARN_OK) return status;
    return hand_out(tensor, tarn_tensor_fill(tensor, value, stream), out_tensor);
}

tarn_status tarn_tensor_zeros(tarn_allocator *allocator, const tarn_shape *shape, tarn_element_type type,
                              tarn_stream *stream, tarn_tensor **out_tensor) {
    return tarn_tensor_full(allocator, shape, type, tarn_scalar_integer(0), stream, out_tensor);
}

tarn_status tarn_tensor_from_data(tarn_allocator *allocator, const tarn_shape *shape, tarn_element_type type,
                                  const void *data, tarn_stream *stream, tarn_tensor **out_tensor) {
    tarn_tensor *tensor;
    if (out_tensor == NULL)
        return base_fail(TARN_INVALID_ARGUMENT, "tensor_from_data: the place for the tensor is NULL");
    tarn_status status = tarn_tensor_empty(allocator, shape, type, stream, &tensor);
    if (status != TARN_OK) return status;
    if (data == NULL && tensor->elements > 0) {
        status = base_fail(TARN_INVALID_ARGUMENT, "tensor_from_data: the elements are NULL");
    }
    if (status == TARN_OK) status = tensor_stream(tensor->storage->device, stream, &stream);
    if (status == TARN_OK) status = hal_host_write(stream, tensor->data, data, tarn_tensor_bytes(tensor));
    return hand_out(tensor, status, out_tensor);
}
