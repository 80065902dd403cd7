/* Tensors: buffers seen through a shape.
 *
 * A tensor is an element type, dimensions, strides and an offset into a *storage*: a buffer of an allocator, or memory that
 * somebody else lends. Views share their storage, which lives as long as one of them does. Tensors are counted: functions that
 * make one give the caller one reference. What a tensor looks like never changes; its elements do.
 *
 * Stream order: an operation on a tensor takes its place in a stream (NULL: the device's default one), and the caller orders
 * streams among each other with events. The memory goes back to its allocator in the order of the stream that it was made on; other
 * streams that used it are recorded by themselves, so that releasing a tensor right after the last operation on it is safe on any
 * stream, and never blocks.
 *
 * Any thread may read tensors, make views and release them; one that is being written is for one thread at a time. Errors,
 * everywhere: INVALID_ARGUMENT for NULL, shapes and types that do not fit (the sentence names them), a tensor on another device than its
 * partner or the stream; and what allocating answers. On failure nothing is changed. */
#ifndef TARN_TENSOR_H
#define TARN_TENSOR_H

#include <tarn/allocator.h>
#include <tarn/shape.h>

TARN_BEGIN_DECLARATIONS

typedef struct tarn_tensor tarn_tensor;

/* A number with the kind that it was written in: what 2, 2.0 and true are in other languages. */
typedef enum tarn_scalar_kind { TARN_SCALAR_BOOL = 0, TARN_SCALAR_INTEGER, TARN_SCALAR_FLOAT } tarn_scalar_kind;
typedef struct tarn_scalar {
    tarn_scalar_kind kind;
    double floating; /* of a FLOAT */
    int64_t integer; /* of the others */
} tarn_scalar;
TARN_API tarn_scalar tarn_scalar_float(double value);
TARN_API tarn_scalar tarn_scalar_integer(int64_t value);
TARN_API tarn_scalar tarn_scalar_bool(int value);

/* Making tensors. The memory comes from `allocator`, whose device is the tensor's, for use on `stream` (NULL: the default stream). The
 * tensor keeps the allocator alive. A tensor without elements has no memory. */

/* With whatever the memory holds. */
TARN_API tarn_status tarn_tensor_empty(tarn_allocator *allocator, const tarn_shape *shape, tarn_element_type type,
                                       tarn_stream *stream, tarn_tensor **out_tensor);
TARN_API tarn_status tarn_tensor_zeros(tarn_allocator *allocator, const tarn_shape *shape, tarn_element_type type,
                                       tarn_stream *stream, tarn_tensor **out_tensor);
/* Every element `value`, cast to the type. */
TARN_API tarn_status tarn_tensor_full(tarn_allocator *allocator, const tarn_shape *shape, tarn_element_type type,
                                      tarn_scalar value, tarn_stream *stream, tarn_tensor **out_tensor);
/* A copy of elements of `type` in host memory, in row-major order. Waits for the stream: `data` may be reused when the call returns. */
TARN_API tarn_status tarn_tensor_from_data(tarn_allocator *allocator, const tarn_shape *shape, tarn_element_type type,
                                           const void *data, tarn_stream *stream, tarn_tensor **out_tensor);
/* begin, begin + step, … up to before `end`: one dimension of ceil((end - begin) / step). INVALID_ARGUMENT: a step of 0, or NaN. */
TARN_API tarn_status tarn_tensor_arange(tarn_allocator *allocator, tarn_scalar begin, tarn_scalar end, tarn_scalar step,
                                        tarn_element_type type, tarn_stream *stream, tarn_tensor **out_tensor);
/* Random numbers of a floating type, uniform in [minimum, maximum), or normal. The same seed gives the same numbers on every device, with
 * any number of threads (Philox 4x32-10: Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, SC 2011). */
TARN_API tarn_status tarn_tensor_random_uniform(tarn_allocator *allocator, const tarn_shape *shape,
                                                tarn_element_type type, uint64_t seed, double minimum, double maximum,
                                                tarn_stream *stream, tarn_tensor **out_tensor);
TARN_API tarn_status tarn_tensor_random_normal(tarn_allocator *allocator, const tarn_shape *shape,
                                               tarn_element_type type, uint64_t seed, double mean, double deviation,
                                               tarn_stream *stream, tarn_tensor **out_tensor);
/* Memory that the caller lends: elements at `data`, which `device` can reach, with strides in elements (NULL: row-major). `release(context)`
 * is called once when the last tensor that uses it is gone, on the thread that lets it go, after the streams that it was used on have
 * been waited for; NULL: nothing is called. `is_read_only`: what would write to it is refused. */
TARN_API tarn_status tarn_tensor_wrap(tarn_device *device, void *data, const tarn_shape *shape, const int64_t *strides,
                                      tarn_element_type type, int is_read_only, void (*release)(void *context),
                                      void *context, tarn_tensor **out_tensor);

/* A tensor that was released for good is recognised, and INVALID_ARGUMENT (here: NULL), as long as views of it live and for some
 * releases more; later a use of it is that of freed memory. */
TARN_API tarn_tensor *tarn_tensor_retain(tarn_tensor *tensor);
/* NULL is allowed. The status is that of giving the memory back; the tensor is gone whatever it is. Memory of a graph pool that graphs
 * use stays a live buffer of the pool until the last of them has ended. */
TARN_API tarn_status tarn_tensor_release(tarn_tensor *tensor);

/* Looking at tensors. Each answers for NULL with NULL, 0 or an empty shape. What is borrowed lives as long as the tensor. */
TARN_API const tarn_shape *tarn_tensor_shape(const tarn_tensor *tensor); /* borrowed; never NULL */
TARN_API const int64_t *tarn_tensor_strides(
    const tarn_tensor *tensor); /* in elements, one for each dimension; borrowed */
TARN_API tarn_element_type tarn_tensor_type(const tarn_tensor *tensor); /* F32 for NULL */
TARN_API size_t tarn_tensor_elements(const tarn_tensor *tensor);
TARN_API size_t tarn_tensor_bytes(const tarn_tensor *tensor);              /* elements times the size of one */
TARN_API tarn_device *tarn_tensor_device(const tarn_tensor *tensor);       /* borrowed */
TARN_API tarn_allocator *tarn_tensor_allocator(const tarn_tensor *tensor); /* borrowed; NULL for memory that was lent */
TARN_API tarn_buffer *tarn_tensor_buffer(const tarn_tensor *tensor); /* borrowed; NULL likewise, and without elements */
/* The address of the first element, on the device; NULL without elements. On devices with TARN_FEATURE_HOST_ACCESS the host may use it
 * once the work on the tensor has finished. */
TARN_API void *tarn_tensor_data(const tarn_tensor *tensor);
TARN_API int tarn_tensor_is_contiguous(
    const tarn_tensor *tensor); /* 1: the elements lie in row-major order without gaps */
TARN_API int tarn_tensor_is_read_only(const tarn_tensor *tensor);

/* Views: other tensors of the same elements. Dimensions may be counted from the end, -1 being the last. */

/* Every `step`-th of [begin, end) along a dimension. Negative places count from the end; beyond it they are brought back to it, as in
 * Python. A negative step runs back. INVALID_ARGUMENT: a step of 0. */
TARN_API tarn_status tarn_tensor_slice(tarn_tensor *tensor, int dim, int64_t begin, int64_t end, int64_t step,
                                       tarn_tensor **out_view);
/* Dimension i of the view is dimension order[i] of the tensor; `order` has one entry for each. NULL: all reversed. */
TARN_API tarn_status tarn_tensor_transpose(tarn_tensor *tensor, const int *order, tarn_tensor **out_view);
/* Another shape of as many elements; one dimension may be -1, which is worked out. NOT_SUPPORTED where the strides do not
 * allow a view: tarn_tensor_reshape copies then. */
TARN_API tarn_status tarn_tensor_view(tarn_tensor *tensor, const int64_t *dims, size_t rank, tarn_tensor **out_view);
TARN_API tarn_status tarn_tensor_reshape(tarn_tensor *tensor, const int64_t *dims, size_t rank, tarn_stream *stream,
                                         tarn_tensor **out_tensor);
/* The shape that it broadcasts to by NumPy's rules, with strides of 0. Such a view is read-only where elements coincide. */
TARN_API tarn_status tarn_tensor_broadcast_to(tarn_tensor *tensor, const tarn_shape *shape, tarn_tensor **out_view);

/* Moving elements. */

/* The elements of `source`, broadcast, cast and moved to the places of `destination`, which may be of any type and strides and on any device.
 * Where both share memory, the result is as if the source had been copied away before. Between devices it goes the shortest way there is:
 * `stream` belongs to the destination's device, work so far on the default stream of the source's comes first, and the host waits only where it
 * does not reach both memories. NOT_SUPPORTED: strides or types that neither device can change; INVALID_STATE: a copy between devices, or of
 * overlapping elements outside a graph pool, in a capture. */
TARN_API tarn_status tarn_tensor_copy(tarn_tensor *destination, tarn_tensor *source, tarn_stream *stream);
TARN_API tarn_status tarn_tensor_fill(tarn_tensor *tensor, tarn_scalar value, tarn_stream *stream);
/* The same tensor, retained, where it is contiguous, else a copy. */
TARN_API tarn_status tarn_tensor_contiguous(tarn_tensor *tensor, tarn_stream *stream, tarn_tensor **out_tensor);
/* The same tensor, retained, where it has the type, else a copy that is cast. */
TARN_API tarn_status tarn_tensor_cast(tarn_tensor *tensor, tarn_element_type type, tarn_stream *stream,
                                      tarn_tensor **out_tensor);
/* The tensor on the device of `allocator`: the same, retained, where it is there already, else a copy in its memory. */
TARN_API tarn_status tarn_tensor_to(tarn_tensor *tensor, tarn_allocator *allocator, tarn_stream *stream,
                                    tarn_tensor **out_tensor);
/* Copies the elements, in row-major order, to host memory of `size` bytes, which has to be tarn_tensor_bytes. Waits for the stream. */
TARN_API tarn_status tarn_tensor_read(tarn_tensor *tensor, tarn_stream *stream, void *out_data, size_t size);
/* The one element of a tensor that has one. Waits for the stream. */
TARN_API tarn_status tarn_tensor_item(tarn_tensor *tensor, tarn_stream *stream, tarn_scalar *out_value);

/* Graphs. */

/* A copy of the tensor in memory of the graph pool, or of the pool of the graph switch, `allocator`: its address stays as long as a graph
 * uses it. */
TARN_API tarn_status tarn_tensor_with_graph_memory(tarn_tensor *tensor, tarn_allocator *allocator, tarn_stream *stream,
                                                   tarn_tensor **out_tensor);
/* The same tensor, retained, where its memory is the pool's already, else as above. */
TARN_API tarn_status tarn_tensor_ensure_graph_compatible(tarn_tensor *tensor, tarn_allocator *allocator,
                                                         tarn_stream *stream, tarn_tensor **out_tensor);

/* Texts and files. Each waits for the stream. */

typedef struct tarn_print_options {
    size_t struct_size;
    int precision;     /* most digits after the point, up to 100; 0: 8, as NumPy; negative: none */
    size_t threshold;  /* tensors of more elements are summarised; 0: 1,000 */
    size_t edge_items; /* shown at each end of a dimension then; 0: 3 */
    size_t line_width; /* 0: 75 */
} tarn_print_options;
/* Writes what NumPy's str() gives, such as "[[1. 2.]\n [3. 4.]]", and the length that the whole text has, as snprintf counts. Where
 * NumPy's versions differ it is as since 2.3: F32 and F16 are written with exponents from 10^6 and 10^3 on. */
TARN_API tarn_status tarn_tensor_to_string(tarn_tensor *tensor, const tarn_print_options *options, tarn_stream *stream,
                                           char *out_text, size_t capacity, size_t *out_length);
/* Writes and reads NumPy's .npy files, versions 1.0 to 3.0, little-endian and big-endian, C and Fortran order. BF16, which NumPy lacks,
 * is written as '<V2', and read as such. A file appears whole or not at all. IO_ERROR; CORRUPT_DATA: no such file; NOT_SUPPORTED: types that
 * Tarn lacks, objects among them. */
TARN_API tarn_status tarn_tensor_save(tarn_tensor *tensor, const char *path, tarn_stream *stream);
TARN_API tarn_status tarn_tensor_load(tarn_allocator *allocator, const char *path, tarn_stream *stream,
                                      tarn_tensor **out_tensor);

TARN_END_DECLARATIONS

#endif
