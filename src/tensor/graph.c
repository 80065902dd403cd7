/* Tensors for captured work: in memory whose addresses stay. */
#include <tarn/graph_switch.h>

#include "base/status.h"
#include "memory/graph_pool.h"
#include "tensor/tensor.h"

/* The graph pool that `allocator` is, or that its graph switch has. The caller owns a reference. */
static tarn_status find_pool(const char *operation, const tarn_tensor *tensor, tarn_allocator *allocator,
                             tarn_tensor *const *out_tensor, tarn_allocator **out_pool) {
    tarn_status status = tensor_check(tensor, operation, "the tensor");
    if (status != TARN_OK) return status;
    if (allocator == NULL || out_tensor == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s: the allocator or the place for the tensor is NULL", operation);
    }
    if (graph_pool_below(allocator) != NULL) {
        *out_pool = tarn_allocator_retain(allocator);
        return TARN_OK;
    }
    tarn_allocator *pool;
    status = tarn_graph_switch_pool(allocator, &pool);
    if (status != TARN_OK) return base_fail_within(status, "%s", operation);
    if (pool == NULL) {
        return base_fail(TARN_INVALID_STATE, "%s: %s on %s has no graph pool yet", operation,
                         tarn_allocator_spec(allocator), tarn_device_name(tarn_allocator_device(allocator)));
    }
    *out_pool = pool;
    return TARN_OK;
}

static tarn_status copy_into(tarn_allocator *pool, tarn_tensor *tensor, tarn_stream *stream, tarn_tensor **out_tensor) {
    tarn_tensor *copy;
    tarn_status status = tensor_stream(tarn_allocator_device(pool), stream, &stream);
    if (status == TARN_OK) status = tensor_create(pool, &tensor->shape, tensor->type, stream, &copy);
    if (status != TARN_OK) return status;
    status = tarn_tensor_copy(copy, tensor, stream);
    if (status == TARN_OK) *out_tensor = copy;
    else tarn_tensor_release(copy);
    return status;
}

tarn_status tarn_tensor_with_graph_memory(tarn_tensor *tensor, tarn_allocator *allocator, tarn_stream *stream,
                                          tarn_tensor **out_tensor) {
    tarn_allocator *pool;
    tarn_status status = find_pool("tensor_with_graph_memory", tensor, allocator, out_tensor, &pool);
    if (status != TARN_OK) return status;
    status = copy_into(pool, tensor, stream, out_tensor);
    tarn_allocator_release(pool);
    return status;
}

tarn_status tarn_tensor_ensure_graph_compatible(tarn_tensor *tensor, tarn_allocator *allocator, tarn_stream *stream,
                                                tarn_tensor **out_tensor) {
    tarn_allocator *pool;
    tarn_status status = find_pool("tensor_ensure_graph_compatible", tensor, allocator, out_tensor, &pool);
    if (status != TARN_OK) return status;
    const tarn_buffer *buffer = tensor->storage->buffer;
    bool is_there = buffer != NULL && tarn_buffer_allocator(buffer) == &graph_pool_below(pool)->base;
    if (is_there) *out_tensor = tarn_tensor_retain(tensor);
    else status = copy_into(pool, tensor, stream, out_tensor);
    tarn_allocator_release(pool);
    return status;
}
