/* Tensors inside the room: the structures, and how other files of the room and of `expr` make them.
 *
 * A storage is counted by the tensors that use it. Its last reference gives the memory back on the stream that it was made for; the
 * streams of other operations have been recorded with the buffer by then (tensor_use). A storage and the first tensor of it are one
 * piece of host memory, which lives as long as the storage. */
#ifndef TENSOR_TENSOR_H
#define TENSOR_TENSOR_H

#include <stdatomic.h>
#include <stdbool.h>

#include <tarn/backend_operations.h>
#include <tarn/tensor.h>

/* Memory that was lent, beyond what all storages have; lent.c. */
typedef struct tensor_lent tensor_lent;

typedef struct tensor_storage {
    atomic_uint references;
    bool is_read_only;
    uint32_t stream;           /* number of the stream that the memory was taken for */
    tarn_device *device;       /* kept alive by the allocator, or by `lent` where there is none */
    tarn_allocator *allocator; /* a reference; NULL: the memory was lent */
    tarn_buffer *buffer;       /* NULL likewise, and without elements */
    char *data;                /* where the memory begins; NULL without elements */
    tensor_lent *lent;         /* NULL unless the memory was lent */
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

/* Room for any shape as tarn_shape_to_string writes it. */
#define TENSOR_SHAPE_TEXT 192

/* A tensor of new memory, row-major. `stream` is of the allocator's device, or NULL. Errors as tarn_tensor_empty, without looking for NULL. */
tarn_status tensor_create(tarn_allocator *allocator, const tarn_shape *shape, tarn_element_type type,
                          tarn_stream *stream, tarn_tensor **out_tensor);
/* A view of the tensor's storage with its own shape and strides, whose first element is `offset` elements from the tensor's. The caller has
 * seen to it that all elements lie within the tensor's. */
tarn_status tensor_create_view(tarn_tensor *tensor, const tarn_shape *shape, const int64_t *strides, int64_t offset,
                               tarn_tensor **out_view);
/* A tensor of bytes over a buffer that was taken from the allocator for `stream`, and which belongs to the tensor from then on. `buffer` NULL:
 * no bytes. On failure it is the caller's still. */
tarn_status tensor_create_block(tarn_allocator *allocator, tarn_buffer *buffer, tarn_stream *stream,
                                tarn_tensor **out_block);
/* A view of a block, from `offset` bytes on, as a row-major tensor. The caller has seen to it that it fits. */
tarn_status tensor_create_part(tarn_tensor *block, size_t offset, const tarn_shape *shape, tarn_element_type type,
                               tarn_tensor **out_tensor);
/* Fills what follows from shape and strides, which are set: the number of elements, whether they are contiguous, whether they
 * can be written. The storage is set, too. */
void tensor_describe(tarn_tensor *tensor);
/* INVALID_ARGUMENT, naming `operation` and `role` ("the first operand"), for NULL, and for a tensor that is not alive where that can be
 * seen. */
tarn_status tensor_check(const tarn_tensor *tensor, const char *operation, const char *role);
/* The stream that work on the device takes place on: `stream`, which must belong to it, or the default one. */
tarn_status tensor_stream(tarn_device *device, tarn_stream *stream, tarn_stream **out_stream);
/* Says that `stream` uses the tensor's memory, before the work is enqueued. Of captured work graph pools hear by themselves. */
tarn_status tensor_use(const tarn_tensor *tensor, tarn_stream *stream);
/* The tensor as a backend sees it, broadcast to `shape` (which the caller has checked); NULL: with its own dimensions. */
void tensor_operand(const tarn_tensor *tensor, const tarn_shape *shape, tarn_operand *out_operand);
/* OK where `from` broadcasts to `to` by NumPy's rules, else INVALID_ARGUMENT naming both. */
tarn_status tensor_check_broadcast(const tarn_shape *from, const tarn_shape *to, const char *operation);
/* Takes dimensions of 1 away and makes one of neighbours, where the strides of all `count` operands, which have the same dimensions, allow
 * it. With `may_reorder` dimensions are first turned and sorted so that memory is walked forwards, in small steps at the end: for
 * programs without an INDEX. `inout_reduced_dims` (may be NULL) is the program's: reduced dimensions stay apart from others. */
void tensor_merge_operands(tarn_operand *operands, size_t count, bool may_reorder, uint32_t *inout_reduced_dims);

/* Lent memory. */

/* NULL when there is no host memory. */
tensor_lent *tensor_lent_create(void (*release)(void *context), void *context);
/* Notes that the stream uses the memory. OUT_OF_MEMORY. */
tarn_status tensor_lent_use(tensor_lent *lent, tarn_stream *stream);
/* Waits for the streams and gives the memory back; the first failure. */
tarn_status tensor_lent_end(tensor_lent *lent);
/* Forgets it without giving the memory back; no stream has used it. */
void tensor_lent_destroy(tensor_lent *lent);

#endif
