/* Products by CLBlast: of F32 and F64 whose matrices have a unit stride in one of their two dimensions, and whose batch has one stride. Its products of F16 add
 * up in F16, which is too little. Bias and activation are a launch of their own behind it.
 *
 * CLBlast takes buffers and offsets. Shared virtual memory is put into a buffer for the call, which OpenCL 2.0 lets live in the same place. */
#include "backends/opencl/opencl_clblast.h"

#include "backends/opencl/opencl_clblast_library.h"

/* How CLBlast is told where a matrix lies. */
typedef struct blas_matrix {
    unsigned transpose;
    size_t leading, offset, stride; /* elements; stride: from one matrix of the batch to the next */
    cl_mem buffer;
} blas_matrix;

static bool is_line(int64_t dim, int64_t stride) { return dim == 1 || stride == 1; }

/* Rows, or columns, lie side by side, and do not overlap. */
static bool find_leading(int64_t rows, int64_t columns, const cl_long *strides, blas_matrix *out_matrix) {
    if (is_line(columns, strides[1]) && (rows == 1 || strides[0] >= columns)) {
        out_matrix->transpose = CLBLAST_NOT_TRANSPOSED;
        out_matrix->leading = (size_t)(rows == 1 ? columns : strides[0]);
        return true;
    }
    out_matrix->transpose = CLBLAST_TRANSPOSED;
    out_matrix->leading = (size_t)(columns == 1 ? rows : strides[1]);
    return is_line(rows, strides[0]) && (columns == 1 || strides[1] >= rows);
}

/* The one stride of a batch for operand `place`. */
static bool find_stride(const opencl_walk *batch, int place, size_t *out_stride) {
    int64_t count = 1, stride = 0;
    for (int i = TARN_MAXIMUM_RANK - 1; i >= 0; i--) {
        if (batch->dims[i] == 1) continue;
        if (count == 1) stride = batch->strides[place][i];
        else if (batch->strides[place][i] != count * stride) return false;
        count *= batch->dims[i];
    }
    *out_stride = (size_t)stride;
    return stride >= 0;
}

/* A buffer that is to be released. */
static tarn_status put_into_buffer(const opencl_product *product, int place, blas_matrix *matrix) {
    const tarn_backend_device *device = product->call->device;
    const void *address = product->call->operation->operands[place].data;
    const size_t element = opencl_type_size(product->call->form.type);
    opencl_block block;
    if (!opencl_memory_find(product->call->device, address, &block) || !block.is_for_kernels) {
        return opencl_fail(TARN_NOT_SUPPORTED, "the kernels of an OpenCL device do not reach the memory at %p",
                           address);
    }
    matrix->offset = ((uintptr_t)address - block.address) / element;
    cl_int error;
    if (block.buffer != NULL) {
        matrix->buffer = block.buffer;
        error = opencl.clRetainMemObject(block.buffer);
    } else {
        matrix->buffer = opencl.clCreateBuffer(device->context, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, block.size,
                                               (void *)block.address, &error);
    }
    if (error == CL_SUCCESS) return TARN_OK;
    matrix->buffer = NULL;
    return opencl_fail_call(error, block.buffer != NULL ? "clRetainMemObject" : "clCreateBuffer");
}

static tarn_status fail(int answer, const opencl_product *product) {
    tarn_status status = answer == CLBLAST_NO_MEMORY ? TARN_OUT_OF_MEMORY
                         : answer == CLBLAST_NO_F64  ? TARN_NOT_SUPPORTED
                                                     : opencl_error_status(answer);
    return opencl_fail(status, "CLBlast answers %d (%s) to a product of %lld by %lld and %lld by %lld elements", answer,
                       opencl_error_name(answer), (long long)product->m, (long long)product->k, (long long)product->k,
                       (long long)product->n);
}

static tarn_status multiply(const clblast_library *library, const opencl_product *product,
                            const blas_matrix *matrices) {
    const blas_matrix *c = &matrices[0], *a = &matrices[1], *b = &matrices[2];
    const size_t m = (size_t)product->m, n = (size_t)product->n, k = (size_t)product->k;
    const size_t count = (size_t)product->matrices;
    const bool is_f64 = product->call->form.type == TARN_ELEMENT_F64;
    cl_command_queue queue = product->call->stream->queue;
    cl_event event = NULL;
    int answer;
    if (count > 1 && is_f64) {
        answer = library->CLBlastDgemmStridedBatched(CLBLAST_ROW_MAJOR, a->transpose, b->transpose, m, n, k, 1,
                                                     a->buffer, a->offset, a->leading, a->stride, b->buffer, b->offset,
                                                     b->leading, b->stride, 0, c->buffer, c->offset, c->leading,
                                                     c->stride, count, &queue, &event);
    } else if (count > 1) {
        answer = library->CLBlastSgemmStridedBatched(CLBLAST_ROW_MAJOR, a->transpose, b->transpose, m, n, k, 1,
                                                     a->buffer, a->offset, a->leading, a->stride, b->buffer, b->offset,
                                                     b->leading, b->stride, 0, c->buffer, c->offset, c->leading,
                                                     c->stride, count, &queue, &event);
    } else if (is_f64) {
        answer = library->CLBlastDgemm(CLBLAST_ROW_MAJOR, a->transpose, b->transpose, m, n, k, 1, a->buffer, a->offset,
                                       a->leading, b->buffer, b->offset, b->leading, 0, c->buffer, c->offset,
                                       c->leading, &queue, &event);
    } else {
        answer = library->CLBlastSgemm(CLBLAST_ROW_MAJOR, a->transpose, b->transpose, m, n, k, 1, a->buffer, a->offset,
                                       a->leading, b->buffer, b->offset, b->leading, 0, c->buffer, c->offset,
                                       c->leading, &queue, &event);
    }
    if (answer != CL_SUCCESS) return fail(answer, product);
    if (event != NULL) opencl_stream_began(product->call->stream, event);
    return TARN_OK;
}

/* What CLBlast is to compute, if it can. */
static bool describe(const opencl_product *product, blas_matrix *matrices) {
    const tarn_element_type type = product->call->form.type;
    if (product->image != NULL || (type != TARN_ELEMENT_F32 && type != TARN_ELEMENT_F64)) return false;
    const int64_t rows[3] = {product->m, product->m, product->k}, columns[3] = {product->n, product->k, product->n};
    for (int i = 0; i < 3; i++) {
        if (!find_leading(rows[i], columns[i], product->strides[i], &matrices[i])) return false;
        if (!find_stride(&product->batch, i, &matrices[i].stride)) return false;
    }
    return matrices[0].transpose == CLBLAST_NOT_TRANSPOSED;
}

tarn_status opencl_clblast_run(const opencl_product *product, bool *out_is_done) {
    blas_matrix matrices[3] = {{0}};
    const char *reason;
    const clblast_library *library = product->call->device->uses_clblast ? clblast_library_find(&reason) : NULL;
    *out_is_done = library != NULL && describe(product, matrices);
    if (!*out_is_done) return TARN_OK;
    tarn_status status = TARN_OK;
    for (int i = 0; i < 3 && status == TARN_OK; i++) status = put_into_buffer(product, i, &matrices[i]);
    if (status == TARN_OK) status = multiply(library, product, matrices);
    /* Commands that were enqueued keep them. */
    for (int i = 0; i < 3; i++)
        if (matrices[i].buffer != NULL) opencl.clReleaseMemObject(matrices[i].buffer);
    return status;
}

bool opencl_clblast_is_there(const char **out_reason) { return clblast_library_find(out_reason) != NULL; }

void opencl_clblast_end(const tarn_backend_device *device) {
    const char *reason;
    const clblast_library *library = device->uses_clblast ? clblast_library_find(&reason) : NULL;
    if (library != NULL) (void)library->CLBlastClearCache();
}
