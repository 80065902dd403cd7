/* Tensors as values: counting, looking, and how operations see them.
 *
 * The last reference of a tensor drops its storage, the last tensor of a storage gives the memory back. Nothing waits there: the
 * allocator keeps the memory from others until the streams that used it are done. */
#include "tensor/tensor.h"

#include "base/status.h"
#include "hal/device.h"
#include "hal/graph.h"
#include "memory/graph_pool.h"
#include "tensor/create.h"

/* Counting. */

/* Drops one reference and says whether it was the last. Whoever has the only one needs no exchange: nobody else can make
 * another. Release and acquire: what others did with the object comes before its end. */
static bool drop(atomic_uint *references) {
    if (atomic_load_explicit(references, memory_order_acquire) == 1) {
        atomic_store_explicit(references, 0, memory_order_relaxed);
        return true;
    }
    return atomic_fetch_sub_explicit(references, 1, memory_order_acq_rel) == 1;
}

/* On the stream that the memory was made for, NULL, which may have ended. What a graph still uses ends with the graph; where
 * that ended in between, nothing refuses the free any more. */
static tarn_status give_back(const tensor_storage *storage) {
    tarn_status status = tarn_allocator_free(storage->allocator, storage->buffer, NULL);
    if (status != TARN_INVALID_STATE) return status;
    if (graph_pool_leave(storage->buffer)) return TARN_OK;
    return tarn_allocator_free(storage->allocator, storage->buffer, NULL);
}

static tarn_status end_storage(tensor_storage *storage) {
    tarn_status status = storage->buffer != NULL ? give_back(storage) : TARN_OK;
    if (storage->lent != NULL) {
        status = tensor_lent_end(storage->lent);
        tarn_status released = tarn_device_release(storage->device);
        if (status == TARN_OK) status = released;
    }
    tarn_status released = tarn_allocator_release(storage->allocator);
    if (status == TARN_OK) status = released;
    tensor_keep_released(storage);
    return status;
}

tarn_tensor *tarn_tensor_retain(tarn_tensor *tensor) {
    if (tensor == NULL || tensor_check(tensor, "tensor_retain", "the tensor") != TARN_OK) return NULL;
    atomic_fetch_add_explicit(&tensor->references, 1, memory_order_relaxed);
    return tensor;
}

tarn_status tarn_tensor_release(tarn_tensor *tensor) {
    if (tensor == NULL) return TARN_OK;
    tarn_status status = tensor_check(tensor, "tensor_release", "the tensor");
    if (status != TARN_OK || !drop(&tensor->references)) return status;
    tensor_storage *storage = tensor->storage;
    if (!tensor_is_first(tensor)) tensor_keep_released(tensor);
    return drop(&storage->references) ? end_storage(storage) : TARN_OK;
}

/* Looking. */

static const tarn_shape no_shape;

const tarn_shape *tarn_tensor_shape(const tarn_tensor *tensor) { return tensor != NULL ? &tensor->shape : &no_shape; }

const int64_t *tarn_tensor_strides(const tarn_tensor *tensor) { return tensor != NULL ? tensor->strides : NULL; }

tarn_element_type tarn_tensor_type(const tarn_tensor *tensor) {
    return tensor != NULL ? tensor->type : TARN_ELEMENT_F32;
}

size_t tarn_tensor_elements(const tarn_tensor *tensor) { return tensor != NULL ? tensor->elements : 0; }

size_t tarn_tensor_bytes(const tarn_tensor *tensor) {
    return tensor != NULL ? tensor->elements * tarn_element_size(tensor->type) : 0;
}

tarn_device *tarn_tensor_device(const tarn_tensor *tensor) { return tensor != NULL ? tensor->storage->device : NULL; }

tarn_allocator *tarn_tensor_allocator(const tarn_tensor *tensor) {
    return tensor != NULL ? tensor->storage->allocator : NULL;
}

tarn_buffer *tarn_tensor_buffer(const tarn_tensor *tensor) { return tensor != NULL ? tensor->storage->buffer : NULL; }

void *tarn_tensor_data(const tarn_tensor *tensor) {
    return tensor != NULL && tensor->elements > 0 ? tensor->data : NULL;
}

int tarn_tensor_is_contiguous(const tarn_tensor *tensor) { return tensor != NULL && tensor->is_contiguous; }

int tarn_tensor_is_read_only(const tarn_tensor *tensor) { return tensor != NULL && tensor->is_read_only; }

/* Scalars. */

tarn_scalar tarn_scalar_float(double value) { return (tarn_scalar){.kind = TARN_SCALAR_FLOAT, .floating = value}; }

tarn_scalar tarn_scalar_integer(int64_t value) { return (tarn_scalar){.kind = TARN_SCALAR_INTEGER, .integer = value}; }

tarn_scalar tarn_scalar_bool(int value) { return (tarn_scalar){.kind = TARN_SCALAR_BOOL, .integer = value != 0}; }

/* For operations. */

tarn_status tensor_check(const tarn_tensor *tensor, const char *operation, const char *role) {
    if (tensor == NULL) return base_fail(TARN_INVALID_ARGUMENT, "%s: %s is NULL", operation, role);
    /* Relaxed: whoever uses a tensor has a reference, unless it does what is refused here. */
    if (atomic_load_explicit(&tensor->references, memory_order_relaxed) != 0) return TARN_OK;
    return base_fail(TARN_INVALID_ARGUMENT, "%s: %s was released before", operation, role);
}

tarn_status tensor_stream(tarn_device *device, tarn_stream *stream, tarn_stream **out_stream) {
    stream = hal_stream_or_default(device, stream);
    if (stream == NULL) return TARN_INVALID_ARGUMENT;
    *out_stream = stream;
    return TARN_OK;
}

tarn_status tensor_use(const tarn_tensor *tensor, tarn_stream *stream) {
    const tensor_storage *storage = tensor->storage;
    if (storage->lent != NULL) return tensor_lent_use(storage->lent, stream);
    if (storage->stream == hal_stream_number(stream) || storage->buffer == NULL) return TARN_OK;
    if (hal_stream_is_capturing(stream)) return TARN_OK;
    return tarn_buffer_record_stream(storage->buffer, stream);
}

tarn_status tensor_check_broadcast(const tarn_shape *from, const tarn_shape *to, const char *operation) {
    bool fits = from->rank <= to->rank;
    for (size_t i = 0; i < from->rank && fits; i++) {
        int64_t dim = from->dims[i];
        fits = dim == 1 || dim == to->dims[to->rank - from->rank + i];
    }
    if (fits) return TARN_OK;
    char texts[2][TENSOR_SHAPE_TEXT];
    tarn_shape_to_string(from, texts[0], sizeof texts[0]);
    tarn_shape_to_string(to, texts[1], sizeof texts[1]);
    return base_fail(TARN_INVALID_ARGUMENT, "%s: the shape %s cannot be broadcast to %s", operation, texts[0],
                     texts[1]);
}

void tensor_operand(const tarn_tensor *tensor, const tarn_shape *shape, tarn_operand *out_operand) {
    const tarn_shape *own = &tensor->shape;
    if (shape == NULL) shape = own;
    size_t added = shape->rank - own->rank;
    out_operand->data = tensor->data;
    out_operand->type = tensor->type;
    out_operand->rank = (uint32_t)shape->rank;
    for (size_t i = 0; i < shape->rank; i++) {
        out_operand->dims[i] = shape->dims[i];
        bool is_spread = i < added || own->dims[i - added] != shape->dims[i];
        out_operand->strides[i] = is_spread ? 0 : tensor->strides[i - added];
    }
}
