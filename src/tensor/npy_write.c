/* Writing .npy files, of version 1.0, which every NumPy reads. The elements go out in parts. A tensor whose memory is walked in the
 * other order of its dimensions is written as it lies, in Fortran order, as NumPy does. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/output.h"
#include "base/status.h"
#include "base/text.h"
#include "hal/host_copy.h"
#include "tensor/npy.h"
#include "tensor/tensor.h"

#define PART ((size_t)1 << 20)
/* Of what stands before the elements, so that they can be mapped into memory. */
#define ALIGNMENT 64

static void write_header(base_output *output, const tarn_tensor *tensor, bool is_fortran) {
    char header[512];
    base_text text;
    const tarn_shape *shape = &tensor->shape;
    size_t size = tarn_element_size(tensor->type);
    char order = size > 1 ? (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? '>' : '<') : '|';
    base_text_begin(&text, header, sizeof header);
    base_text_put(&text, "{'descr': '%c%s', 'fortran_order': %s, 'shape': (", order, npy_type_name(tensor->type),
                  is_fortran ? "True" : "False");
    for (size_t i = 0; i < shape->rank; i++) {
        base_text_put(&text, "%s%" PRId64, i > 0 ? ", " : "", shape->dims[i]);
    }
    base_text_put(&text, "%s), }", shape->rank == 1 ? "," : "");
    size_t before = NPY_MAGIC_LENGTH + 4, used = before + text.length + 1;
    size_t padding = (ALIGNMENT - used % ALIGNMENT) % ALIGNMENT, length = text.length + padding + 1;
    base_text_put(&text, "%*s\n", (int)padding, "");
    unsigned char version[4] = {1, 0, (unsigned char)(length & 0xff), (unsigned char)(length >> 8)};
    base_output_bytes(output, NPY_MAGIC, NPY_MAGIC_LENGTH);
    base_output_bytes(output, version, sizeof version);
    base_output_bytes(output, header, length);
}

/* The elements of a contiguous tensor. */
static tarn_status write_elements(base_output *output, const tarn_tensor *tensor, tarn_stream *stream) {
    size_t size = tarn_tensor_bytes(tensor);
    char *part = base_allocate(size < PART ? size : PART, 1);
    if (part == NULL) return base_fail(TARN_OUT_OF_MEMORY, "tensor_save: no host memory to write elements");
    tarn_status status = tensor_use(tensor, stream);
    for (size_t done = 0, count; done < size && status == TARN_OK; done += count) {
        count = size - done < PART ? size - done : PART;
        status = hal_host_read(stream, tensor->data + done, part, count);
        if (status == TARN_OK) base_output_bytes(output, part, count);
    }
    base_free(part);
    return status;
}

/* `whole` is the tensor, contiguous, or with its dimensions reversed. */
static tarn_status write_file(const char *path, const tarn_tensor *tensor, const tarn_tensor *whole, bool is_fortran,
                              tarn_stream *stream) {
    base_output output;
    tarn_status status = base_output_open(&output, path);
    if (status != TARN_OK) return status;
    write_header(&output, tensor, is_fortran);
    status = write_elements(&output, whole, stream);
    if (status == TARN_OK) return base_output_close(&output);
    base_output_discard(&output);
    return status;
}

tarn_status tarn_tensor_save(tarn_tensor *tensor, const char *path, tarn_stream *stream) {
    tarn_tensor *turned, *whole = NULL;
    tarn_status status = tensor_check(tensor, "tensor_save", "the tensor");
    if (status != TARN_OK) return status;
    if (path == NULL) return base_fail(TARN_INVALID_ARGUMENT, "tensor_save: the path is NULL");
    status = tensor_stream(tensor->storage->device, stream, &stream);
    if (status == TARN_OK) status = tarn_tensor_transpose(tensor, NULL, &turned);
    if (status != TARN_OK) return status;
    bool is_fortran = turned->is_contiguous && !tensor->is_contiguous;
    if (!is_fortran) status = tarn_tensor_contiguous(tensor, stream, &whole);
    if (status == TARN_OK) status = write_file(path, tensor, is_fortran ? turned : whole, is_fortran, stream);
    tarn_status released = tarn_tensor_release(turned);
    if (status == TARN_OK) status = released;
    released = tarn_tensor_release(whole);
    return status == TARN_OK ? released : status;
}
