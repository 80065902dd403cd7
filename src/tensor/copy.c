/* Copies and fills within one device.
 *
 * What is one piece of memory on both sides and needs no cast goes by the stream's own copy or fill, which every device has; all
 * else is a program of one step. Where source and destination share memory in another way than element by element, the source is copied
 * away first. */
#include "tensor/copy.h"

#include <tarn/graph_switch.h>

#include "base/status.h"
#include "hal/box.h"
#include "hal/device.h"
#include "hal/graph.h"
#include "hal/host_copy.h"
#include "hal/operation.h"
#include "memory/graph_pool.h"
#include "tensor/box.h"
#include "tensor/element.h"
#include "tensor/overlap.h"

/* Programs. */

static tarn_status check_support(tarn_device *device, const tarn_operand *operands, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (hal_operation_is_supported(device, TARN_OPERATION_COPY, operands[i].type)) continue;
        return base_fail(
            TARN_NOT_SUPPORTED,
            "%s: the device copies and fills %s in one piece and of one type alone, without strides or casts",
            tarn_device_name(device), tarn_element_name(operands[i].type));
    }
    return TARN_OK;
}

tarn_status tensor_run_copy(tarn_stream *stream, const tarn_operand *operands, uint32_t input_count,
                            const tarn_constant *constant) {
    tarn_status status = check_support(tarn_stream_device(stream), operands, 1 + input_count);
    if (status != TARN_OK) return status;
    uint16_t source = input_count > 0 ? TARN_SOURCE_INPUT : TARN_SOURCE_CONSTANT;
    tarn_step step = {.operation = TARN_OPERATION_COPY, .type = operands[0].type, .values = {{.source = source}}};
    const uint16_t result = 0;
    tarn_program program = {.step_count = 1,
                            .constant_count = input_count > 0 ? 0 : 1,
                            .steps = &step,
                            .constants = constant,
                            .results = &result,
                            .reduction = TARN_OPERATION_COPY};
    tarn_backend_operation operation = {.struct_size = sizeof operation,
                                        .operation = TARN_OPERATION_PROGRAM,
                                        .output_count = 1,
                                        .input_count = input_count,
                                        .operands = operands,
                                        .program = &program};
    return hal_operation_enqueue(stream, &operation);
}

/* One piece of memory, walked forwards. */
static bool is_one_piece(const tarn_operand *operand) {
    return operand->rank == 0 || (operand->rank == 1 && operand->strides[0] == 1);
}

/* Copies. */

static tarn_status enqueue_copy(const tarn_tensor *destination, tarn_operand *operands, tarn_stream *stream) {
    tensor_merge_operands(operands, 2, true, NULL);
    if (operands[0].type == operands[1].type && is_one_piece(&operands[0]) && is_one_piece(&operands[1])) {
        return tarn_stream_copy(stream, operands[0].data, operands[1].data, tarn_tensor_bytes(destination));
    }
    return tensor_run_copy(stream, operands, 1, NULL);
}

/* Memory for a moment of a captured stream has to stay for all launches: only a graph pool sees to that. */
static tarn_status check_capture(const tarn_tensor *source, const tarn_stream *stream) {
    tarn_allocator *allocator = source->storage->allocator;
    if (!hal_stream_is_capturing(stream)) return TARN_OK;
    if (allocator != NULL && (tarn_graph_switch_is_graph_mode(allocator) || graph_pool_below(allocator) != NULL)) {
        return TARN_OK;
    }
    return base_fail(
        TARN_INVALID_STATE,
        "tensor_copy: source and destination overlap, and a capture on stream %u has no graph pool for what "
        "lies between",
        hal_stream_number(stream));
}

static tarn_status copy_by_way_of_another(tarn_tensor *destination, tarn_tensor *source, tarn_stream *stream) {
    tarn_tensor *away;
    tarn_status status = check_capture(source, stream);
    if (status != TARN_OK) return status;
    status = tensor_duplicate(source, source->type, stream, &away);
    if (status != TARN_OK) return status;
    status = tensor_copy_within(destination, away, stream);
    tarn_status released = tarn_tensor_release(away);
    return status == TARN_OK ? released : status;
}

tarn_status tensor_copy_within(tarn_tensor *destination, tarn_tensor *source, tarn_stream *stream) {
    if (destination->elements == 0) return TARN_OK;
    tarn_operand operands[2];
    tensor_operand(destination, NULL, &operands[0]);
    tensor_operand(source, &destination->shape, &operands[1]);
    if (tensor_operands_overlap(&operands[0], &operands[1])) {
        if (tensor_operands_coincide(&operands[0], &operands[1])) return TARN_OK;
        return copy_by_way_of_another(destination, source, stream);
    }
    tarn_status status = tensor_use(destination, stream);
    if (status == TARN_OK) status = tensor_use(source, stream);
    return status == TARN_OK ? enqueue_copy(destination, operands, stream) : status;
}

tarn_status tensor_check_writable(const tarn_tensor *tensor, const char *operation) {
    if (!tensor->is_read_only) return TARN_OK;
    char shape[TENSOR_SHAPE_TEXT];
    tarn_shape_to_string(&tensor->shape, shape, sizeof shape);
    return base_fail(TARN_INVALID_ARGUMENT, "%s: the tensor of shape %s on %s is read-only", operation, shape,
                     tarn_device_name(tensor->storage->device));
}

tarn_status tarn_tensor_copy(tarn_tensor *destination, tarn_tensor *source, tarn_stream *stream) {
    tarn_status status = tensor_check(destination, "tensor_copy", "the destination");
    if (status == TARN_OK) status = tensor_check(source, "tensor_copy", "the source");
    if (status == TARN_OK) status = tensor_stream(destination->storage->device, stream, &stream);
    if (status == TARN_OK) status = tensor_check_writable(destination, "tensor_copy");
    if (status == TARN_OK) status = tensor_check_broadcast(&source->shape, &destination->shape, "tensor_copy");
    if (status != TARN_OK) return status;
    bool is_one_device = destination->storage->device == source->storage->device;
    return (is_one_device ? tensor_copy_within : tensor_copy_between)(destination, source, stream);
}

/* Copies as new tensors. */

tarn_status tensor_allocator_of(const tarn_tensor *tensor, tarn_allocator **out_allocator) {
    tensor_storage *storage = tensor->storage;
    if (storage->allocator == NULL) return tarn_allocator_create(storage->device, "direct", out_allocator);
    *out_allocator = tarn_allocator_retain(storage->allocator);
    return TARN_OK;
}

tarn_status tensor_duplicate(tarn_tensor *tensor, tarn_element_type type, tarn_stream *stream,
                             tarn_tensor **out_tensor) {
    tarn_allocator *allocator;
    tarn_tensor *copy;
    tarn_status status = tensor_allocator_of(tensor, &allocator);
    if (status != TARN_OK) return status;
    status = tensor_create(allocator, &tensor->shape, type, stream, &copy);
    tarn_allocator_release(allocator);
    if (status != TARN_OK) return status;
    status = tensor_copy_within(copy, tensor, stream);
    if (status == TARN_OK) *out_tensor = copy;
    else tarn_tensor_release(copy);
    return status;
}

static tarn_status check(const tarn_tensor *tensor, const char *operation, tarn_tensor *const *out_tensor,
                         tarn_stream **inout_stream) {
    tarn_status status = tensor_check(tensor, operation, "the tensor");
    if (status == TARN_OK && out_tensor == NULL)
        return base_fail(TARN_INVALID_ARGUMENT, "%s: the place for the tensor is NULL", operation);
    return status == TARN_OK ? tensor_stream(tensor->storage->device, *inout_stream, inout_stream) : status;
}

tarn_status tarn_tensor_contiguous(tarn_tensor *tensor, tarn_stream *stream, tarn_tensor **out_tensor) {
    tarn_status status = check(tensor, "tensor_contiguous", out_tensor, &stream);
    if (status != TARN_OK) return status;
    if (!tensor->is_contiguous) return tensor_duplicate(tensor, tensor->type, stream, out_tensor);
    *out_tensor = tarn_tensor_retain(tensor);
    return TARN_OK;
}

tarn_status tarn_tensor_cast(tarn_tensor *tensor, tarn_element_type type, tarn_stream *stream,
                             tarn_tensor **out_tensor) {
    tarn_status status = check(tensor, "tensor_cast", out_tensor, &stream);
    if (status != TARN_OK) return status;
    if (tensor->type != type) return tensor_duplicate(tensor, type, stream, out_tensor);
    *out_tensor = tarn_tensor_retain(tensor);
    return TARN_OK;
}

/* To the host. */

/* Reads rows from where they lie, as long as they are worth it; false, and nothing done, otherwise. */
static bool read_rows(tarn_tensor *tensor, tarn_stream *stream, void *out_data, tarn_status *out_status) {
    tarn_operand operands[2];
    tarn_box box;
    if (tensor->is_contiguous) return false;
    tensor_packed_operand(tensor, out_data, &operands[0]);
    tensor_operand(tensor, NULL, &operands[1]);
    tensor_merge_operands(operands, 2, true, NULL);
    bool can_gather = hal_operation_is_supported(tarn_stream_device(stream), TARN_OPERATION_COPY, tensor->type);
    if (!tensor_box_of(operands, can_gather, &box)) return false;
    *out_status = hal_box_read("tensor_read", &box, &box);
    if (*out_status == TARN_OK) *out_status = tensor_use(tensor, stream);
    if (*out_status == TARN_OK) *out_status = hal_host_read_box(stream, operands[1].data, operands[0].data, &box);
    return true;
}

tarn_status tensor_read(tarn_tensor *tensor, tarn_stream *stream, void *out_data) {
    tarn_status read;
    if (tensor->elements == 0) return TARN_OK;
    if (read_rows(tensor, stream, out_data, &read)) return read;
    tarn_tensor *whole;
    tarn_status status = tarn_tensor_contiguous(tensor, stream, &whole);
    if (status != TARN_OK) return status;
    status = tensor_use(whole, stream);
    if (status == TARN_OK) status = hal_host_read(stream, whole->data, out_data, tarn_tensor_bytes(whole));
    tarn_status released = tarn_tensor_release(whole);
    return status == TARN_OK ? released : status;
}

tarn_status tarn_tensor_read(tarn_tensor *tensor, tarn_stream *stream, void *out_data, size_t size) {
    tarn_status status = tensor_check(tensor, "tensor_read", "the tensor");
    if (status != TARN_OK) return status;
    if (out_data == NULL) return base_fail(TARN_INVALID_ARGUMENT, "tensor_read: the place for the elements is NULL");
    if (size != tarn_tensor_bytes(tensor)) {
        return base_fail(TARN_INVALID_ARGUMENT, "tensor_read: room for %zu bytes; the tensor has %zu", size,
                         tarn_tensor_bytes(tensor));
    }
    status = tensor_stream(tensor->storage->device, stream, &stream);
    return status == TARN_OK ? tensor_read(tensor, stream, out_data) : status;
}

tarn_status tarn_tensor_item(tarn_tensor *tensor, tarn_stream *stream, tarn_scalar *out_value) {
    unsigned char bytes[8];
    tarn_status status = tensor_check(tensor, "tensor_item", "the tensor");
    if (status != TARN_OK) return status;
    if (out_value == NULL) return base_fail(TARN_INVALID_ARGUMENT, "tensor_item: the place for the value is NULL");
    if (tensor->elements != 1) {
        return base_fail(TARN_INVALID_ARGUMENT, "tensor_item: the tensor has %zu elements, not one", tensor->elements);
    }
    status = tensor_stream(tensor->storage->device, stream, &stream);
    if (status == TARN_OK) status = tensor_read(tensor, stream, bytes);
    if (status == TARN_OK) *out_value = tensor_read_element(bytes, tensor->type);
    return status;
}
