/* Reading .npy files. Nothing is taken from a file on trust: memory is asked for only when the file is known to hold as many bytes as its
 * header says. The elements come in parts, so that host memory is needed for one of those alone. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/memory.h"
#include "base/status.h"
#include "hal/host_copy.h"
#include "tensor/npy.h"
#include "tensor/tensor.h"

#define PART ((size_t)1 << 20)

typedef struct npy_file {
    const char *path;
    int file;
    size_t size; /* bytes */
    size_t at;   /* where the next are read */
} npy_file;

static tarn_status fail_reading(const npy_file *self, int error) {
    return base_fail(TARN_IO_ERROR, "%s cannot be read: %s", self->path, strerror(error));
}

static tarn_status open_file(npy_file *self, const char *path) {
    struct stat about;
    /* Not blocking, so that a pipe that nobody writes is an error and not a wait. */
    *self = (npy_file){.path = path, .file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
    if (self->file < 0) return fail_reading(self, errno);
    int error = fstat(self->file, &about) != 0 ? errno : 0;
    if (error == 0 && S_ISREG(about.st_mode)) {
        self->size = (size_t)about.st_size;
        return TARN_OK;
    }
    close(self->file);
    return error != 0 ? fail_reading(self, error) : base_fail(TARN_IO_ERROR, "%s is no ordinary file", path);
}

/* All of it, or a failure. */
static tarn_status read_bytes(npy_file *self, void *out_bytes, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t count = pread(self->file, (char *)out_bytes + done, size - done, (off_t)(self->at + done));
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return fail_reading(self, errno);
        if (count == 0) {
            return base_fail(TARN_CORRUPT_DATA, "%s ends after %zu bytes, in the middle", self->path, self->at + done);
        }
        done += (size_t)count;
    }
    self->at += size;
    return TARN_OK;
}

/* Version and length of the header, of which `*out_length` bytes follow. */
static tarn_status read_beginning(npy_file *self, size_t *out_length) {
    unsigned char bytes[12];
    tarn_status status = read_bytes(self, bytes, 8);
    if (status != TARN_OK) return status;
    if (memcmp(bytes, NPY_MAGIC, NPY_MAGIC_LENGTH) != 0) {
        return base_fail(TARN_CORRUPT_DATA, "%s is no .npy file: it begins otherwise", self->path);
    }
    unsigned version = bytes[6];
    if (version < 1 || version > 3 || bytes[7] != 0) {
        return base_fail(TARN_NOT_SUPPORTED, "%s is a .npy file of version %u.%u; known are 1.0 to 3.0", self->path,
                         version, bytes[7]);
    }
    size_t count = version == 1 ? 2 : 4, length = 0;
    status = read_bytes(self, bytes + 8, count);
    if (status != TARN_OK) return status;
    for (size_t i = count; i-- > 0;) length = length << 8 | bytes[8 + i];
    if (length > NPY_MAXIMUM_HEADER || length > self->size - self->at) {
        return base_fail(TARN_CORRUPT_DATA, "%s is no .npy file: a header of %zu bytes in %zu", self->path, length,
                         self->size);
    }
    *out_length = length;
    return TARN_OK;
}

/* The header, and that the file holds all elements. */
static tarn_status read_header(npy_file *self, npy_header *out_header) {
    size_t length, bytes;
    tarn_status status = read_beginning(self, &length);
    if (status != TARN_OK) return status;
    char *text = base_allocate(length, 1);
    if (text == NULL) return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to read it", self->path);
    status = read_bytes(self, text, length);
    if (status == TARN_OK) status = npy_parse_header(self->path, text, length, out_header);
    base_free(text);
    if (status != TARN_OK) return status;
    if (tarn_shape_bytes(&out_header->shape, out_header->type, &bytes) != TARN_OK) {
        return base_fail_within(TARN_CORRUPT_DATA, "%s", self->path);
    }
    if (bytes <= self->size - self->at) return TARN_OK;
    char shape[TENSOR_SHAPE_TEXT];
    tarn_shape_to_string(&out_header->shape, shape, sizeof shape);
    return base_fail(TARN_CORRUPT_DATA, "%s: %zu bytes of elements; %s of %s would have %zu", self->path,
                     self->size - self->at, tarn_element_name(out_header->type), shape, bytes);
}

/* Elements as this machine has them. */
static void turn(char *bytes, size_t count, const npy_header *header) {
    size_t size = tarn_element_size(header->type);
    bool is_other = header->is_big_endian != (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
    for (size_t i = 0; i < count && is_other && size > 1; i++) {
        for (size_t low = i * size, high = low + size - 1; low < high; low++, high--) {
            char byte = bytes[low];
            bytes[low] = bytes[high];
            bytes[high] = byte;
        }
    }
    /* Another true than 1 is none that operations know. */
    for (size_t i = 0; i < count && header->type == TARN_ELEMENT_BOOL; i++) bytes[i] = bytes[i] != 0;
}

static tarn_status read_elements(npy_file *self, const npy_header *header, const tarn_tensor *tensor,
                                 tarn_stream *stream) {
    size_t size = tarn_element_size(header->type), left = tarn_tensor_bytes(tensor), done = 0;
    char *part = base_allocate(left < PART ? left : PART, 1);
    if (part == NULL) return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to read it", self->path);
    tarn_status status = TARN_OK;
    while (left > 0 && status == TARN_OK) {
        size_t count = left < PART ? left : PART;
        status = read_bytes(self, part, count);
        turn(part, count / size, header);
        if (status == TARN_OK) status = hal_host_write(stream, tensor->data + done, part, count);
        done += count;
        left -= count;
    }
    base_free(part);
    return status;
}

/* The tensor as it lies in the file: with its dimensions in the order of the memory. */
static tarn_status load(npy_file *self, tarn_allocator *allocator, tarn_stream *stream, npy_header *out_header,
                        tarn_tensor **out_tensor) {
    tarn_tensor *tensor;
    tarn_status status = read_header(self, out_header);
    if (status != TARN_OK) return status;
    tarn_shape shape = out_header->shape;
    for (size_t i = 0; i < shape.rank && out_header->is_fortran; i++) {
        shape.dims[i] = out_header->shape.dims[shape.rank - 1 - i];
    }
    status = tensor_create(allocator, &shape, out_header->type, stream, &tensor);
    if (status != TARN_OK) return status;
    status = read_elements(self, out_header, tensor, stream);
    if (status == TARN_OK) *out_tensor = tensor;
    else tarn_tensor_release(tensor);
    return status;
}

tarn_status tarn_tensor_load(tarn_allocator *allocator, const char *path, tarn_stream *stream,
                             tarn_tensor **out_tensor) {
    if (allocator == NULL || path == NULL || out_tensor == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT,
                         "tensor_load: the allocator, the path or the place for the tensor is NULL");
    }
    npy_file file;
    npy_header header;
    tarn_tensor *tensor, *turned;
    tarn_status status = tensor_stream(tarn_allocator_device(allocator), stream, &stream);
    if (status == TARN_OK) status = open_file(&file, path);
    if (status != TARN_OK) return status;
    status = load(&file, allocator, stream, &header, &tensor);
    close(file.file);
    if (status != TARN_OK) return status;
    if (!header.is_fortran) {
        *out_tensor = tensor;
        return TARN_OK;
    }
    status = tarn_tensor_transpose(tensor, NULL, &turned);
    tarn_tensor_release(tensor);
    if (status == TARN_OK) *out_tensor = turned;
    return status;
}
