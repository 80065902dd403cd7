/* Making tensors: of new memory, of memory that is lent, and views of others.
 *
 * Creating is on the path of every operation that gives a new result, so that it does each thing once: one walk over the
 * dimensions for strides and size, one piece of host memory, one call of the allocator. What is wrong with a shape is worked
 * out again where it is told. */
#include "tensor/create.h"

#include <string.h>

#include "base/checked.h"
#include "base/memory.h"
#include "base/status.h"
#include "hal/device.h"

/* What follows from a shape. */

/* Row-major strides, as tarn_shape_strides has them, and the number of elements; false where that is nothing memory can have. */
static bool measure(const tarn_shape *shape, size_t element_size, int64_t *out_strides, size_t *out_elements) {
    int64_t reach = 1;
    bool is_empty = false, fits = true;
    if (shape->rank > TARN_MAXIMUM_RANK || element_size == 0) return false;
    for (size_t i = shape->rank; i-- > 0;) {
        int64_t dim = shape->dims[i];
        if (dim < 0) return false;
        out_strides[i] = fits ? reach : 0;
        is_empty |= dim == 0;
        if (dim != 0) fits = fits && !__builtin_mul_overflow(reach, dim, &reach);
    }
    *out_elements = is_empty ? 0 : (size_t)reach;
    return is_empty || (fits && (size_t)reach <= PTRDIFF_MAX / element_size);
}

/* What measure said no to. */
static tarn_status refuse_shape(const tarn_shape *shape, tarn_element_type type) {
    size_t bytes;
    int64_t strides[TARN_MAXIMUM_RANK];
    tarn_status status = tarn_shape_bytes(shape, type, &bytes);
    return status == TARN_OK ? tarn_shape_strides(shape, strides) : status;
}

/* Whether two places of the shape may be the same element. Sorted by strides, each step has to be longer than everything that the
 * smaller ones reach; what breaks this rule and still has each element once is taken for the former. */
static bool may_coincide(const tarn_shape *shape, const int64_t *strides) {
    uint64_t sizes[TARN_MAXIMUM_RANK], reaches[TARN_MAXIMUM_RANK], reached = 0;
    size_t count = 0;
    for (size_t i = 0; i < shape->rank; i++) {
        if (shape->dims[i] <= 1) continue;
        uint64_t size = strides[i] < 0 ? 0 - (uint64_t)strides[i] : (uint64_t)strides[i];
        size_t place = count++;
        for (; place > 0 && sizes[place - 1] > size; place--) {
            sizes[place] = sizes[place - 1];
            reaches[place] = reaches[place - 1];
        }
        sizes[place] = size;
        reaches[place] = size * (uint64_t)(shape->dims[i] - 1);
    }
    for (size_t i = 0; i < count; i++) {
        if (sizes[i] <= reached) return true;
        reached += reaches[i];
    }
    return false;
}

static bool is_row_major(const tarn_tensor *tensor) {
    int64_t stride = 1;
    for (size_t i = tensor->shape.rank; i-- > 0;) {
        if (tensor->shape.dims[i] == 1) continue;
        if (tensor->strides[i] != stride) return false;
        stride *= tensor->shape.dims[i];
    }
    return true;
}

void tensor_describe(tarn_tensor *tensor) {
    const tarn_shape *shape = &tensor->shape;
    size_t elements = 1;
    for (size_t i = 0; i < shape->rank && elements != 0; i++) {
        if (shape->dims[i] == 0) elements = 0;
    }
    for (size_t i = 0; i < shape->rank && elements != 0; i++) elements *= (size_t)shape->dims[i];
    tensor->elements = elements;
    tensor->is_contiguous = elements == 0 || is_row_major(tensor);
    tensor->is_read_only = tensor->storage->is_read_only ||
                           (elements != 0 && !tensor->is_contiguous && may_coincide(shape, tensor->strides));
}

/* New memory. */

static tarn_status refuse_memory(const tarn_device *device) {
    return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory for a tensor", tarn_device_name(device));
}

/* Puts the piece together, whose shape, strides and buffer are there. */
static tarn_tensor *finish_piece(tensor_piece *piece, tarn_allocator *allocator, tarn_element_type type,
                                 tarn_stream *stream) {
    tensor_storage *storage = &piece->storage;
    tarn_tensor *tensor = &piece->first;
    if (storage->buffer != NULL) storage->data = tarn_buffer_data(storage->buffer);
    storage->stream = stream != NULL ? hal_stream_number(stream) : 0;
    storage->device = tarn_allocator_device(allocator);
    storage->allocator = tarn_allocator_retain(allocator);
    atomic_init(&storage->references, 1);
    atomic_init(&tensor->references, 1);
    tensor->type = type;
    tensor->is_contiguous = true;
    tensor->storage = storage;
    tensor->data = storage->data;
    return tensor;
}

tarn_status tensor_create(tarn_allocator *allocator, const tarn_shape *shape, tarn_element_type type,
                          tarn_stream *stream, tarn_tensor **out_tensor) {
    size_t size = tarn_element_size(type);
    tensor_piece *piece = base_allocate(1, sizeof *piece);
    if (piece == NULL) return refuse_memory(tarn_allocator_device(allocator));
    tarn_tensor *tensor = &piece->first;
    tarn_status status = TARN_OK;
    if (!measure(shape, size, tensor->strides, &tensor->elements)) status = refuse_shape(shape, type);
    else if (tensor->elements > 0) {
        status = tarn_allocator_allocate(allocator, tensor->elements * size, stream, &piece->storage.buffer);
    }
    if (status != TARN_OK) {
        base_free(piece);
        return status;
    }
    tensor->shape = *shape;
    *out_tensor = finish_piece(piece, allocator, type, stream);
    return TARN_OK;
}

tarn_status tensor_create_block(tarn_allocator *allocator, tarn_buffer *buffer, tarn_stream *stream,
                                tarn_tensor **out_block) {
    tensor_piece *piece = base_allocate(1, sizeof *piece);
    if (piece == NULL) return refuse_memory(tarn_allocator_device(allocator));
    piece->storage.buffer = buffer;
    piece->first.elements = tarn_buffer_size(buffer);
    piece->first.shape = (tarn_shape){.rank = 1, .dims = {(int64_t)piece->first.elements}};
    piece->first.strides[0] = 1;
    *out_block = finish_piece(piece, allocator, TARN_ELEMENT_U8, stream);
    return TARN_OK;
}

static tarn_status check_making(const char *operation, const tarn_allocator *allocator, const tarn_shape *shape,
                                tarn_tensor *const *out_tensor) {
    if (allocator != NULL && shape != NULL && out_tensor != NULL) return TARN_OK;
    return base_fail(TARN_INVALID_ARGUMENT, "%s: the %s is NULL", operation,
                     allocator == NULL ? "allocator"
                     : shape == NULL   ? "shape"
                                       : "place for the tensor");
}

tarn_status tarn_tensor_empty(tarn_allocator *allocator, const tarn_shape *shape, tarn_element_type type,
                              tarn_stream *stream, tarn_tensor **out_tensor) {
    tarn_status status = check_making("tensor_empty", allocator, shape, out_tensor);
    if (status == TARN_OK) status = tensor_stream(tarn_allocator_device(allocator), stream, &stream);
    return status == TARN_OK ? tensor_create(allocator, shape, type, stream, out_tensor) : status;
}

/* Memory that is lent. */

/* How many elements lie before the first one, for strides that run back. */
static bool find_elements_before(const tarn_shape *shape, const int64_t *strides, int64_t *out_before) {
    int64_t before = 0;
    for (size_t i = 0; i < shape->rank; i++) {
        int64_t way;
        if (strides[i] >= 0) continue;
        if (__builtin_mul_overflow(shape->dims[i] - 1, strides[i], &way)) return false;
        if (__builtin_sub_overflow(before, way, &before)) return false;
    }
    *out_before = before;
    return true;
}

static tarn_status check_lent(const tarn_device *device, const void *data, const tarn_shape *shape,
                              const int64_t *strides, tarn_element_type type) {
    const char *name = tarn_device_name(device);
    size_t size = tarn_element_size(type), extent, end;
    int64_t before;
    if (data == NULL) return base_fail(TARN_INVALID_ARGUMENT, "tensor_wrap on %s: the memory is NULL", name);
    if ((uintptr_t)data % size != 0) {
        return base_fail(TARN_INVALID_ARGUMENT, "tensor_wrap on %s: %p is not aligned to elements of type %s", name,
                         data, tarn_element_name(type));
    }
    if (!find_elements_before(shape, strides, &before)) before = INT64_MAX;
    tarn_status status = tarn_shape_extent(shape, strides, before, type, &extent);
    if (status != TARN_OK) return status;
    size_t begin = (uintptr_t)data - (size_t)before * size;
    if (begin > (uintptr_t)data || begin == 0 || !checked_add(begin, extent, &end)) {
        return base_fail(TARN_INVALID_ARGUMENT, "tensor_wrap on %s: the strides reach beyond memory from %p on", name,
                         data);
    }
    return TARN_OK;
}

tarn_status tarn_tensor_wrap(tarn_device *device, void *data, const tarn_shape *shape, const int64_t *strides,
                             tarn_element_type type, int is_read_only, void (*release)(void *context), void *context,
                             tarn_tensor **out_tensor) {
    if (device == NULL || shape == NULL || out_tensor == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "tensor_wrap: the %s is NULL",
                         device == NULL  ? "device"
                         : shape == NULL ? "shape"
                                         : "place for the tensor");
    }
    int64_t row_major[TARN_MAXIMUM_RANK] = {0};
    size_t elements;
    if (!measure(shape, tarn_element_size(type), row_major, &elements)) return refuse_shape(shape, type);
    if (strides == NULL) strides = row_major;
    tarn_status status = elements > 0 ? check_lent(device, data, shape, strides, type) : TARN_OK;
    if (status != TARN_OK) return status;
    tensor_lent *lent = tensor_lent_create(release, context);
    tensor_piece *piece = lent != NULL ? base_allocate(1, sizeof *piece) : NULL;
    if (piece == NULL) {
        if (lent != NULL) tensor_lent_destroy(lent);
        return refuse_memory(device);
    }
    tensor_storage *storage = &piece->storage;
    tarn_tensor *tensor = &piece->first;
    atomic_init(&storage->references, 1);
    storage->is_read_only = is_read_only != 0;
    storage->device = tarn_device_retain(device);
    storage->data = elements > 0 ? data : NULL;
    storage->lent = lent;
    atomic_init(&tensor->references, 1);
    tensor->type = type;
    tensor->storage = storage;
    tensor->data = storage->data;
    tensor->shape = *shape;
    if (shape->rank > 0) memcpy(tensor->strides, strides, shape->rank * sizeof *strides);
    tensor_describe(tensor);
    *out_tensor = tensor;
    return TARN_OK;
}

/* Views. */

tarn_status tensor_create_view(tarn_tensor *tensor, const tarn_shape *shape, const int64_t *strides, int64_t offset,
                               tarn_tensor **out_view) {
    tensor_storage *storage = tensor->storage;
    tarn_tensor *view = base_allocate(1, sizeof *view);
    if (view == NULL) return refuse_memory(storage->device);
    atomic_init(&view->references, 1);
    atomic_fetch_add_explicit(&storage->references, 1, memory_order_relaxed);
    view->type = tensor->type;
    view->storage = storage;
    view->shape = *shape;
    if (shape->rank > 0) memcpy(view->strides, strides, shape->rank * sizeof *strides);
    tensor_describe(view);
    if (view->elements > 0) view->data = tensor->data + offset * (int64_t)tarn_element_size(view->type);
    *out_view = view;
    return TARN_OK;
}

tarn_status tensor_create_part(tarn_tensor *block, size_t offset, const tarn_shape *shape, tarn_element_type type,
                               tarn_tensor **out_tensor) {
    int64_t strides[TARN_MAXIMUM_RANK];
    tarn_tensor *part;
    tarn_status status = tarn_shape_strides(shape, strides);
    if (status == TARN_OK) status = tensor_create_view(block, shape, strides, 0, &part);
    if (status != TARN_OK) return status;
    part->type = type;
    if (part->elements > 0) part->data = block->data + offset;
    *out_tensor = part;
    return TARN_OK;
}
