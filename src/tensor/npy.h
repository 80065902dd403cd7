/* NumPy's .npy files: "\x93NUMPY", a version, the length of a header, the header, the elements. The header is the text of a Python
 * dictionary with three entries: the type, the order of the dimensions, and the dimensions. */
#ifndef TENSOR_NPY_H
#define TENSOR_NPY_H

#include <stdbool.h>
#include <stddef.h>

#include <tarn/shape.h>

#define NPY_MAGIC "\x93NUMPY"
#define NPY_MAGIC_LENGTH 6
/* The longest header that is read; NumPy's own limit is 10,000. */
#define NPY_MAXIMUM_HEADER 65536

typedef struct npy_header {
    tarn_element_type type;
    bool is_big_endian;
    bool is_fortran; /* the first dimension's neighbours lie side by side */
    tarn_shape shape;
} npy_header;

/* What NumPy calls the type: "f4". */
const char *npy_type_name(tarn_element_type type);
/* Reads the text of a header, which nothing ends but its length. CORRUPT_DATA: it is none; NOT_SUPPORTED: a type that Tarn lacks, or too
 * many dimensions. `path` is for sentences. */
tarn_status npy_parse_header(const char *path, const char *text, size_t length, npy_header *out_header);

#endif
