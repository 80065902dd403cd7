/* Shapes: how many elements of which type, along which dimensions, known or still open.
 *
 * A tarn_shape has a number for each dimension. A tarn_symbolic_shape has dimensions that may only have a name and a
 * range, such as [batch, seq<=4096, 512], until they are bound. A tarn_shape_bounds says between which two shapes something
 * will vary, and what is expected. All are plain values: nothing is owned, except that names are borrowed and must live as
 * long as the shapes that mention them. The functions may be called from any thread.
 *
 * Every sum and product is checked: a negative dimension, a rank above TARN_MAXIMUM_RANK and a number of elements or bytes
 * that does not fit are INVALID_ARGUMENT. A dimension of 0 is valid and makes a shape of 0 elements, whatever stands
 * beside it. */
#ifndef TARN_SHAPE_H
#define TARN_SHAPE_H

#include <stddef.h>
#include <stdint.h>

#include <tarn/export.h>
#include <tarn/status.h>

TARN_BEGIN_DECLARATIONS

#define TARN_MAXIMUM_RANK 8

typedef enum tarn_element_type {
    TARN_ELEMENT_F32 = 0, /* IEEE single precision */
    TARN_ELEMENT_F16,     /* IEEE half precision */
    TARN_ELEMENT_BF16,    /* the upper half of an F32 */
    TARN_ELEMENT_F64,     /* IEEE double precision */
    TARN_ELEMENT_I8,
    TARN_ELEMENT_U8,
    TARN_ELEMENT_I16,
    TARN_ELEMENT_I32,
    TARN_ELEMENT_I64,
    TARN_ELEMENT_BOOL /* one byte, 0 or 1 */
} tarn_element_type;

#define TARN_ELEMENT_TYPE_COUNT 10

/* Bytes of one element; 0 for a value that is no type. */
TARN_API size_t tarn_element_size(tarn_element_type type);
/* "f32", "bf16", "bool"; "unknown" for a value that is no type. Never NULL. */
TARN_API const char *tarn_element_name(tarn_element_type type);

typedef struct tarn_shape {
    size_t rank; /* 0: a single element */
    int64_t dims[TARN_MAXIMUM_RANK];
} tarn_shape;

/* Makes a shape of `rank` dimensions; `dims` may be NULL for rank 0. */
TARN_API tarn_status tarn_shape_make(const int64_t *dims, size_t rank, tarn_shape *out_shape);
/* How many elements: the product of the dimensions. */
TARN_API tarn_status tarn_shape_elements(const tarn_shape *shape, size_t *out_elements);
/* How many bytes: elements times the size of one. At most PTRDIFF_MAX, as any piece of memory has. */
TARN_API tarn_status tarn_shape_bytes(const tarn_shape *shape, tarn_element_type type, size_t *out_bytes);
/* Row-major strides, in elements: how far apart neighbours along each dimension lie. The last is 1; a dimension of 0
 * counts as 1, and in a shape of 0 elements a stride that does not fit is 0. Writes `rank` numbers. */
TARN_API tarn_status tarn_shape_strides(const tarn_shape *shape, int64_t *out_strides);
/* Bytes from the beginning of the memory to the end of the farthest element, for a view that begins `offset` elements into it and
 * has any strides, in elements: what the memory must at least have. 0 for a shape of 0 elements. INVALID_ARGUMENT when
 * an element would lie before the beginning, or farther away than memory reaches. */
TARN_API tarn_status tarn_shape_extent(const tarn_shape *shape, const int64_t *strides, int64_t offset,
                                       tarn_element_type type, size_t *out_bytes);
/* 1 when rank and dimensions are equal, else 0. NULL equals nothing. */
TARN_API int tarn_shape_equals(const tarn_shape *a, const tarn_shape *b);
/* Writes "[2, 3, 4]" and returns the length that the whole text has, as snprintf does. */
TARN_API size_t tarn_shape_to_string(const tarn_shape *shape, char *out_text, size_t capacity);

/* The value of a dimension that is not known yet, and the maximum of one that has none. */
#define TARN_DIM_UNKNOWN (-1)
#define TARN_DIM_UNLIMITED INT64_MAX

typedef struct tarn_dim {
    const char *name; /* NULL: none; dimensions of one name have one value */
    int64_t value;    /* TARN_DIM_UNKNOWN, or between minimum and maximum */
    int64_t minimum;
    int64_t maximum; /* TARN_DIM_UNLIMITED: none */
} tarn_dim;

/* A dimension whose value is known. */
TARN_API tarn_dim tarn_dim_known(int64_t value);
/* A dimension that is to be bound by its name, to a value from `minimum` to `maximum`. */
TARN_API tarn_dim tarn_dim_open(const char *name, int64_t minimum, int64_t maximum);

typedef struct tarn_symbolic_shape {
    size_t rank;
    tarn_dim dims[TARN_MAXIMUM_RANK];
} tarn_symbolic_shape;

/* Makes a symbolic shape. INVALID_ARGUMENT for a range that is empty or begins below 0, a value outside its range, an open
 * dimension without a name, and one name with two ranges or values. */
TARN_API tarn_status tarn_symbolic_shape_make(const tarn_dim *dims, size_t rank, tarn_symbolic_shape *out_shape);
/* How many dimensions are open: 0 for a shape that is known. */
TARN_API size_t tarn_symbolic_shape_open_dims(const tarn_symbolic_shape *shape);
/* Gives every dimension of that name the value. `out_shape` may be `shape`. NOT_FOUND when none has the name;
 * INVALID_ARGUMENT for a value outside the range, or another one than it has been bound to. */
TARN_API tarn_status tarn_symbolic_shape_bind(const tarn_symbolic_shape *shape, const char *name, int64_t value,
                                              tarn_symbolic_shape *out_shape);
/* The numbers of a shape that is known. INVALID_STATE, naming the first open dimension, for another. */
TARN_API tarn_status tarn_symbolic_shape_value(const tarn_symbolic_shape *shape, tarn_shape *out_shape);
/* The shape that two shapes broadcast to by NumPy's rules: aligned at their last dimensions, where a missing one counts as
 * 1, and 1 gives way to the other. INVALID_ARGUMENT when they cannot agree whatever the open dimensions become; INVALID_STATE
 * when that depends on what they become. Against an open dimension a known one stands: the open one can only become that or
 * 1. */
TARN_API tarn_status tarn_symbolic_shape_broadcast(const tarn_symbolic_shape *a, const tarn_symbolic_shape *b,
                                                   tarn_symbolic_shape *out_shape);
/* OK when the two have equally many elements whatever the open dimensions become: then one can be reshaped to the other.
 * INVALID_ARGUMENT when they never have; INVALID_STATE when that depends on what the open dimensions become. */
TARN_API tarn_status tarn_symbolic_shape_check_reshape(const tarn_symbolic_shape *from, const tarn_symbolic_shape *to);
/* Writes "[batch, seq<=4096, 512]"; "[batch=8, 16<=seq<=4096, 512]" where a named one is bound or has a minimum. Returns the
 * length that the whole text has, as snprintf does. */
TARN_API size_t tarn_symbolic_shape_to_string(const tarn_symbolic_shape *shape, char *out_text, size_t capacity);

/* Between which shapes something varies. All three have one rank, and along each dimension minimum <= expected <= maximum. */
typedef struct tarn_shape_bounds {
    tarn_shape minimum;
    tarn_shape maximum;
    tarn_shape expected;
} tarn_shape_bounds;

/* Makes bounds. `minimum` NULL: zero everywhere. `expected` NULL: the maximum. INVALID_ARGUMENT for different ranks, a
 * minimum above the maximum, something else expected, and a maximum whose elements cannot be counted. */
TARN_API tarn_status tarn_shape_bounds_make(const tarn_shape *minimum, const tarn_shape *maximum,
                                            const tarn_shape *expected, tarn_shape_bounds *out_bounds);
/* The bounds of a symbolic shape: from its dimensions' minima to their maxima. INVALID_ARGUMENT as above; INVALID_STATE when an
 * open dimension is unlimited. */
TARN_API tarn_status tarn_shape_bounds_of(const tarn_symbolic_shape *shape, const tarn_shape *expected,
                                          tarn_shape_bounds *out_bounds);
/* INVALID_ARGUMENT where tarn_shape_bounds_make would refuse what `bounds` holds. */
TARN_API tarn_status tarn_shape_bounds_check(const tarn_shape_bounds *bounds);
/* The most elements that a shape within the bounds has, and how many are expected. */
TARN_API tarn_status tarn_shape_bounds_max_elements(const tarn_shape_bounds *bounds, size_t *out_elements);
TARN_API tarn_status tarn_shape_bounds_expected_elements(const tarn_shape_bounds *bounds, size_t *out_elements);
/* 1 when the shape has the bounds' rank and lies between minimum and maximum along each dimension, else 0. */
TARN_API int tarn_shape_bounds_contains(const tarn_shape_bounds *bounds, const tarn_shape *shape);

TARN_END_DECLARATIONS

#endif
