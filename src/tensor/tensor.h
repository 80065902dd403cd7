/* Tensors inside the room: the structures, and how other files of the room and of `expr` make them.
 *
 * A storage is counted by the tensors that use it. Its last reference gives the memory back on the stream that it was made for; the
 * streams of other operations have been recorded with the buffer by then (tensor_use). */
#ifndef TENSOR_TENSOR_H
#define TENSOR_TENSOR_H

#include <stdatomic.h>
#include <stdbool.h>

#include <tarn/backend_operations.h>
#include <tarn/tensor.h>

typedef struct tensor_storage {
    atomic_uint references;
    tarn_device *device;       /* kept alive by the allocator, or by this reference where there is none */
    tarn_allocator *allocator; /* NULL: the memory was lent */
    tarn_buffer *buffer;       /* NULL likewise, and without elements */
    tarn_stream *stream;       /* that the memory was taken for: a reference, except to the default stream */
    char *data;                /* where the memory begins; NULL without elements */
    bool is_read_only;
    void (*release)(void *context); /* of lent memory; may be NULL */
    void *context;
} tensor_storage;

struct tarn_tensor {
    atomic_uint references;
    tarn_element_type type;
    bool is_contiguous;
    bool is_read_only; /* the storage's, or by elements that coincide */
    tensor_storage *storage;
    char *data;      /* the first element */
    size_t elements; /* the product of the dimensions */
    tarn_shape shape;
    int64_t strides[TARN_MAXIMUM_RANK]; /* in elements */
};

/* A tensor of new memory, row-major. `stream` is of the allocator's device, or NULL. Errors as tarn_tensor_empty, without looking for NULL. */
tarn_status tensor_create(tarn_allocator *allocator, const tarn_shape *shape, tarn_element_type type,
                          tarn_stream *stream, tarn_tensor **out_tensor);
/* A view of the tensor's storage with its own shape and strides, whose first element is `offset` elements from the tensor's. The caller has
 * seen to it that all elements lie within the tensor's. */
tarn_status tensor_create_view(tarn_tensor *tensor, const tarn_shape *shape, const int64_t *strides, int64_t offset,
                               tarn_tensor **out_view);
/* INVALID_ARGUMENT, naming `operation` and `role` ("the first operand"), for NULL, and for a tensor that is not alive where that can be
 * seen. */
tarn_status tensor_check(const tarn_tensor *tensor, const char *operation, const char *role);
/* The stream that work on the device takes place on: `stream`, which must belong to it, or the default one. */
tarn_status tensor_stream(tarn_device *device, tarn_stream *stream, tarn_stream **out_stream);
/* Says that `stream` uses the tensor's memory, before the work is enqueued. */
tarn_status tensor_use(const tarn_tensor *tensor, tarn_stream *stream);
/* The tensor as a backend sees it, broadcast to `shape` (which the caller has checked); NULL: with its own dimensions. */
void tensor_operand(const tarn_tensor *tensor, const tarn_shape *shape, tarn_operand *out_operand);

#endif
