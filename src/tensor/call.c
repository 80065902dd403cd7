/* Around every operation: operands, options, results, and the way to the device. */
#include "tensor/call.h"

#include "base/status.h"
#include "base/structure.h"
#include "hal/device.h"
#include "hal/operation.h"
#include "tensor/overlap.h"

static const char *role_of(size_t place) {
    return place == 0 ? "the first operand" : place == 1 ? "the second operand" : "the third operand";
}

static const char *name_of(const tensor_call *call) { return tarn_operation_name(call->operation); }

tarn_status tensor_call_refuse(const tensor_call *call, tarn_status status) {
    return base_fail_within(status, "%s", tarn_device_name(call->device));
}

static tarn_status refuse_device(const tensor_call *call, const char *role, const tarn_device *device) {
    return base_fail(TARN_INVALID_ARGUMENT, "%s: the first operand is on %s, and %s on %s", name_of(call),
                     tarn_device_name(call->device), role, tarn_device_name(device));
}

/* The place where new results come from, and the stream; the rare case apart from the plain one. */
static tarn_status read_options(tensor_call *call, const tarn_operation_options *options) {
    tarn_operation_options read;
    tarn_status status = base_read_structure(name_of(call), options, &read, sizeof read);
    if (status == TARN_OK) status = tensor_stream(call->device, read.stream, &call->stream);
    if (status != TARN_OK || read.allocator == NULL) return status;
    tarn_device *device = tarn_allocator_device(read.allocator);
    if (device != call->device) return refuse_device(call, "the allocator of the result", device);
    call->allocator = read.allocator;
    return TARN_OK;
}

tarn_status tensor_call_begin(tensor_call *call, tarn_operation operation, tarn_tensor *const *tensors, size_t count,
                              const tarn_operation_options *options, tarn_tensor **inout_result) {
    call->operation = operation;
    call->count = count;
    call->allocator = NULL;
    call->inout_result = inout_result;
    call->target = NULL;
    call->target_is_new = false;
    for (size_t i = 0; i < count; i++) {
        tarn_tensor *tensor = call->tensors[i] = tensors[i];
        tarn_status status = tensor_check(tensor, name_of(call), role_of(i));
        if (status != TARN_OK) return status;
        tarn_device *device = tensor->storage->device;
        if (i == 0) call->device = device;
        else if (device != call->device) return refuse_device(call, role_of(i), device);
        if (call->allocator == NULL) call->allocator = tensor->storage->allocator;
    }
    if (inout_result == NULL)
        return base_fail(TARN_INVALID_ARGUMENT, "%s: the place for the result is NULL", name_of(call));
    if (options != NULL) return read_options(call, options);
    return tensor_stream(call->device, NULL, &call->stream);
}

tarn_status tensor_call_support(const tensor_call *call, tarn_operation operation, tarn_element_type type) {
    if (hal_operation_is_supported(call->device, operation, type)) return TARN_OK;
    if (operation == call->operation) {
        return base_fail(TARN_NOT_SUPPORTED, "%s: the device does not compute %s of %s", tarn_device_name(call->device),
                         name_of(call), tarn_element_name(type));
    }
    return base_fail(TARN_NOT_SUPPORTED, "%s: the device does not compute %s of %s, which %s needs",
                     tarn_device_name(call->device), tarn_operation_name(operation), tarn_element_name(type),
                     name_of(call));
}

static tarn_status make_result(tensor_call *call, const tensor_inferred *inferred) {
    if (call->allocator == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT,
                         "%s: %s: the memory of all operands was lent, and no allocator is named for the result",
                         tarn_device_name(call->device), name_of(call));
    }
    tarn_status status = tensor_create(call->allocator, &inferred->shape, inferred->type, call->stream, &call->target);
    call->target_is_new = status == TARN_OK;
    return status;
}

static tarn_status refuse_result(const tensor_call *call, const char *why) {
    return base_fail(TARN_INVALID_ARGUMENT, "%s: %s: the result %s", tarn_device_name(call->device), name_of(call),
                     why);
}

/* Whether it can be seen at once that the tensors have no memory in common: they have a buffer each. */
static bool are_apart(const tarn_tensor *a, const tarn_tensor *b) {
    const tensor_storage *one = a->storage, *other = b->storage;
    return one != other && one->buffer != NULL && other->buffer != NULL;
}

static tarn_status check_overlap(const tensor_call *call, const tarn_tensor *result, bool may_coincide) {
    tarn_operand whole, operand;
    for (size_t i = 0; i < call->count; i++) {
        const tarn_tensor *tensor = call->tensors[i];
        if (tensor->elements == 0 || are_apart(tensor, result) || (may_coincide && tensor == result)) continue;
        tensor_operand(result, NULL, &whole);
        if (may_coincide) { /* it broadcasts to the result, then */
            tensor_operand(tensor, &result->shape, &operand);
            if (tensor_operands_coincide(&whole, &operand)) continue;
        }
        tensor_operand(tensor, NULL, &operand);
        if (!tensor_operands_overlap(&whole, &operand)) continue;
        return base_fail(TARN_INVALID_ARGUMENT, "%s: %s: the result overlaps %s%s", tarn_device_name(call->device),
                         name_of(call), role_of(i), may_coincide ? " without having the same elements" : "");
    }
    return TARN_OK;
}

static tarn_status check_result(const tensor_call *call, const tensor_inferred *inferred, bool may_coincide) {
    const tarn_tensor *result = *call->inout_result;
    tarn_status status = tensor_check(result, name_of(call), "the result");
    if (status != TARN_OK) return status;
    if (result->storage->device != call->device) return refuse_device(call, "the result", result->storage->device);
    if (!tarn_shape_equals(&result->shape, &inferred->shape)) {
        char texts[2][TENSOR_SHAPE_TEXT];
        tarn_shape_to_string(&inferred->shape, texts[0], sizeof texts[0]);
        tarn_shape_to_string(&result->shape, texts[1], sizeof texts[1]);
        return base_fail(TARN_INVALID_ARGUMENT, "%s: %s: the result has the shape %s, and not %s",
                         tarn_device_name(call->device), name_of(call), texts[0], texts[1]);
    }
    if (!tensor_type_can_cast(inferred->type, result->type)) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s: %s: the result is of type %s, which cannot be cast to %s",
                         tarn_device_name(call->device), name_of(call), tarn_element_name(inferred->type),
                         tarn_element_name(result->type));
    }
    if (result->storage->is_read_only) return refuse_result(call, "is read-only");
    if (result->is_read_only) return refuse_result(call, "has one element at two places");
    return result->elements != 0 ? check_overlap(call, result, may_coincide) : TARN_OK;
}

tarn_status tensor_call_result(tensor_call *call, const tensor_inferred *inferred, bool may_cast, bool may_coincide) {
    tarn_tensor *result = *call->inout_result;
    if (result == NULL) return make_result(call, inferred);
    tarn_status status = check_result(call, inferred, may_coincide);
    if (status != TARN_OK) return status;
    if (!may_cast && result->type != inferred->type) {
        if (call->allocator == NULL) call->allocator = result->storage->allocator;
        return make_result(call, inferred);
    }
    call->target = result;
    return TARN_OK;
}

tarn_status tensor_call_run(const tensor_call *call, const tarn_backend_operation *operation) {
    tarn_status status = tensor_use(call->target, call->stream);
    for (size_t i = 0; i < call->count && status == TARN_OK; i++) status = tensor_use(call->tensors[i], call->stream);
    return status == TARN_OK ? hal_operation_enqueue(call->stream, operation) : status;
}

tarn_status tensor_call_end(tensor_call *call, tarn_status status) {
    if (!call->target_is_new) return status;
    if (status == TARN_OK && *call->inout_result == NULL) {
        *call->inout_result = call->target;
        return TARN_OK;
    }
    if (status == TARN_OK) status = tarn_tensor_copy(*call->inout_result, call->target, call->stream);
    tarn_status released = tarn_tensor_release(call->target);
    return status != TARN_OK ? status : released;
}

int tarn_device_supports(tarn_device *device, tarn_operation operation, tarn_element_type type) {
    tarn_element_type computed;
    if (device == NULL || !tensor_computed_type(operation, type, &computed)) return 0;
    if (!hal_operation_is_supported(device, operation, computed)) return 0;
    return computed == type || hal_operation_is_supported(device, TARN_OPERATION_COPY, type);
}
