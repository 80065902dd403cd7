/* Operations as a backend executes them: on elements in the memory of its device, in the order of a stream.
 *
 * What a user calls (tarn/operation.h) has been worked out before a backend hears of it: shapes are inferred, types are promoted,
 * broadcasting has become strides of 0, and the memory of the result is there. There are two sorts of operations. A *program*
 * computes each element of its results from the elements at the same place of its operands: every elementwise operation, a
 * change of type, a copy between strides, whole expressions fused into one pass, and the same with a reduction at its end. The
 * others (matrix products, convolutions, …) have one form each.
 *
 * The arguments of a call are the caller's and may be gone when it returns; tarn_backend_operation holds everything by pointers to
 * arrays, so that a small operation is small. */
#ifndef TARN_BACKEND_OPERATIONS_H
#define TARN_BACKEND_OPERATIONS_H

#include <tarn/shape.h>

TARN_BEGIN_DECLARATIONS

/* What can be done with tensors. Those up to SELECT are steps of programs; those up to MIN are programs. */
typedef enum tarn_operation {
    /* One element from one. */
    TARN_OPERATION_COPY = 0, /* of the same value; of another type: a cast */
    TARN_OPERATION_NEG,
    TARN_OPERATION_EXP,
    TARN_OPERATION_LOG,
    TARN_OPERATION_SQRT,
    TARN_OPERATION_SIN,
    TARN_OPERATION_COS,
    TARN_OPERATION_RELU,
    TARN_OPERATION_SIGMOID,
    TARN_OPERATION_TANH,
    /* One from two. */
    TARN_OPERATION_ADD,
    TARN_OPERATION_SUBTRACT,
    TARN_OPERATION_MULTIPLY,
    TARN_OPERATION_DIVIDE,
    TARN_OPERATION_POW,
    TARN_OPERATION_MAXIMUM,
    TARN_OPERATION_MINIMUM,
    TARN_OPERATION_EQUAL,
    TARN_OPERATION_LESS,
    TARN_OPERATION_LESS_EQUAL,
    TARN_OPERATION_RANDOM, /* from a seed and a number */
    /* One from three: the second where the first is true, else the third. */
    TARN_OPERATION_SELECT,
    /* One from all along some dimensions. */
    TARN_OPERATION_SUM,
    TARN_OPERATION_MEAN,
    TARN_OPERATION_PROD,
    TARN_OPERATION_MAX,
    TARN_OPERATION_MIN,
    /* The others. */
    TARN_OPERATION_MATMUL,
    TARN_OPERATION_CONV2D,
    TARN_OPERATION_MAX_POOL2D,
    TARN_OPERATION_SOFTMAX,
    TARN_OPERATION_LAYER_NORM,
    TARN_OPERATION_GATHER,
    /* Several steps and at most one reduction in one pass. */
    TARN_OPERATION_PROGRAM
} tarn_operation;

#define TARN_OPERATION_COUNT 34

/* "add", "max_pool2d"; "unknown" for a value that is no operation. Never NULL. */
TARN_API const char *tarn_operation_name(tarn_operation operation);

/* Elements in device memory. */
typedef struct tarn_operand {
    void *data; /* the first element, that of index 0 along each dimension */
    tarn_element_type type;
    uint32_t rank;
    int64_t dims[TARN_MAXIMUM_RANK];
    int64_t strides
        [TARN_MAXIMUM_RANK]; /* in elements; 0 where one element serves a whole dimension, negative where it runs back */
} tarn_operand;

/* Programs.
 *
 * All operands of a program have the dimensions of its space. A reduced dimension has the stride 0 in the result. Dimensions
 * are merged where the strides of all operands allow it, so that contiguous operands have one.
 *
 * A step computes from values and has one itself. All values that a step takes have its type, except: COPY takes any (it is the one way
 * in which types change), EQUAL, LESS and LESS_EQUAL take two of one type and give BOOL, SELECT takes a BOOL first. Integers wrap around.
 * F16 and BF16 are computed in F32, and rounded where they are stored or copied to another type, and at the backend's choice after each
 * step. EXP, LOG, SQRT, SIN, COS, SIGMOID and TANH have floating types, MEAN too. BOOL has COPY, ADD
 * (or), MULTIPLY (and), MAXIMUM, MINIMUM, the comparisons, SELECT, MAX and MIN, and no other. A float is cast to an integer by truncation
 * towards zero; a value that does not fit gives any integer. Anything but 0 is cast to BOOL as 1. DIVIDE of integers truncates
 * towards zero, and by 0 gives 0. POW of integers wraps; a negative exponent gives 0, or ±1 for the bases 1 and -1. MAXIMUM, MINIMUM,
 * MAX and MIN give NaN where an element is one. RANDOM takes two I64, a seed and a number, and gives an F32 or F64 in [0, 1): the
 * upper 24 or 53 bits of the first two words of Philox 4x32-10 (the first in the upper half), whose key is the seed and whose counter is
 * the number, lower half first in both. */

#define TARN_PROGRAM_MAXIMUM_OPERANDS 16
#define TARN_PROGRAM_MAXIMUM_STEPS 64
#define TARN_PROGRAM_MAXIMUM_CONSTANTS 16

typedef enum tarn_source {
    TARN_SOURCE_INPUT = 0, /* an element of that input */
    TARN_SOURCE_CONSTANT,
    TARN_SOURCE_STEP, /* the value of that step, an earlier one */
    TARN_SOURCE_INDEX /* an I64: the place of the element in the space, counted in row-major order from the program's first_index on */
} tarn_source;

typedef struct tarn_value {
    uint16_t source; /* tarn_source */
    uint16_t number; /* of the input, constant or step */
} tarn_value;

typedef struct tarn_constant {
    tarn_element_type type;
    double floating; /* of floating types */
    int64_t integer; /* of all others */
} tarn_constant;

typedef struct tarn_step {
    tarn_operation operation; /* up to SELECT */
    tarn_element_type type;   /* of its value */
    tarn_value values[3];     /* as many as the operation takes */
} tarn_step;

typedef struct tarn_program {
    uint32_t step_count; /* at least 1 */
    uint32_t constant_count;
    const tarn_step *steps;
    const tarn_constant *constants;
    /* Output number i gets the value of step results[i], of the output's type. With a reduction there is one output. */
    const uint16_t *results;
    int64_t first_index;
    /* SUM, MEAN, PROD, MAX or MIN along `reduced_dims` (bit i: dimension i); COPY: none. The result of SUM, MEAN and PROD in F16 and
     * BF16 is rounded once, and sums are added in pairs, blocks or better, so that the error grows with the logarithm of their length. */
    tarn_operation reduction;
    uint32_t reduced_dims;
} tarn_program;

/* out = activation(a × b + bias). `a` is […, m, k], `b` […, k, n], the result […, m, n], all of one rank of at least 2 and one type; the
 * leading dimensions are those of the result, with strides of 0 where an operand has one matrix for all. Any strides. Inputs: a, b and,
 * when has_bias, a bias with the dimensions of the result. */
typedef struct tarn_matmul_attributes {
    int has_bias;
    tarn_operation activation; /* COPY (none), RELU, SIGMOID or TANH */
} tarn_matmul_attributes;

/* Inputs: [batch, channels, height, width], weights [filters, channels / groups, kernel height, kernel width] and, when has_bias, a bias
 * [filters]; the result [batch, filters, height, width]. It is a correlation, as in all frameworks. Pairs are of height and width. */
typedef struct tarn_conv2d_attributes {
    int64_t stride[2], padding[2], dilation[2];
    int64_t groups;
    int has_bias;
    tarn_operation activation; /* as above */
} tarn_conv2d_attributes;

/* The maximum over windows of [batch, channels, height, width]; what is padded never wins. */
typedef struct tarn_pool2d_attributes {
    int64_t kernel[2], stride[2], padding[2], dilation[2];
} tarn_pool2d_attributes;

/* exp(x - max) / sum(exp(x - max)) along one dimension. */
typedef struct tarn_softmax_attributes {
    uint32_t axis;
} tarn_softmax_attributes;

/* (x - mean) / sqrt(variance + epsilon) * weight + bias over the last `normalized_dims` dimensions. Inputs: x and, as has_weight
 * and has_bias say, a weight and a bias with those last dimensions. */
typedef struct tarn_layer_norm_attributes {
    uint32_t normalized_dims;
    int has_weight, has_bias;
    double epsilon;
} tarn_layer_norm_attributes;

/* Slices of the first input along `axis`, as the second, I32 or I64, numbers them: the result has the dimensions of the indices in the
 * place of that dimension. Negative numbers count from the end. A number out of range is a failure of the stream, INVALID_ARGUMENT,
 * that its next synchronisation reports; the slice is 0 then. */
typedef struct tarn_gather_attributes {
    uint32_t axis;
} tarn_gather_attributes;

typedef struct tarn_backend_operation {
    size_t struct_size;
    tarn_operation operation; /* PROGRAM, or MATMUL … GATHER */
    uint32_t output_count;
    uint32_t input_count;
    const tarn_operand *operands; /* outputs first, then inputs */
    const tarn_program *program;  /* of a PROGRAM, else NULL */
    union {
        tarn_matmul_attributes matmul;
        tarn_conv2d_attributes conv2d;
        tarn_pool2d_attributes pool2d;
        tarn_softmax_attributes softmax;
        tarn_layer_norm_attributes layer_norm;
        tarn_gather_attributes gather;
    } attributes;
} tarn_backend_operation;

struct tarn_backend_device;
struct tarn_backend_stream;

/* Operations of a backend (optional as a whole). No operand is empty. An output overlaps an input only where both have the same
 * elements at the same addresses and the operation is a program without a reduction; two outputs never overlap. */
typedef struct tarn_backend_operations {
    size_t struct_size; /* sizeof(tarn_backend_operations) */
    /* Whether the device executes `operation`, a step or one of the others, on elements of `type`: 1 or 0. */
    int (*supports)(struct tarn_backend_device *device, tarn_operation operation, tarn_element_type type);
    /* Enqueues the operation on the stream. NOT_SUPPORTED: these operands in this form, with the reason; OUT_OF_MEMORY. What fails later is
     * reported by stream_synchronize and device_synchronize, once. */
    tarn_status (*enqueue)(struct tarn_backend_device *device, struct tarn_backend_stream *stream,
                           const tarn_backend_operation *operation);
    /* (optional) Executes it on the calling thread before it returns: for devices with TARN_FEATURE_HOST_ACCESS, whose graphs are
     * run by one host function. Without it such a graph enqueues its operations one after the other. */
    tarn_status (*run)(struct tarn_backend_device *device, const tarn_backend_operation *operation);
} tarn_backend_operations;

TARN_END_DECLARATIONS

#endif
