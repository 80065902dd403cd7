/* Numbers, elementwise operations and reductions of the reference. */
#include "reference.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

bool reference_is_floating(tarn_element_type type) { return type <= TARN_ELEMENT_F64; }

/* Mantissa bits with the hidden one, exponents, of each floating type. */
typedef struct format {
    int precision, minimum_exponent, maximum_exponent;
} format;

static format format_of(tarn_element_type type) {
    switch (type) {
    case TARN_ELEMENT_F16: return (format){11, -14, 15};
    case TARN_ELEMENT_BF16: return (format){8, -126, 127};
    case TARN_ELEMENT_F32: return (format){24, -126, 127};
    default: return (format){53, -1022, 1023};
    }
}

static double round_to(double value, tarn_element_type type) {
    if (type == TARN_ELEMENT_F64 || !isfinite(value) || value == 0) return value;
    if (type == TARN_ELEMENT_F32) return (double)(float)value;
    format f = format_of(type);
    int exponent = ilogb(value) < f.minimum_exponent ? f.minimum_exponent : ilogb(value);
    double unit = ldexp(1, exponent - f.precision + 1);
    double rounded = nearbyint(value / unit) * unit;
    if (rounded != 0 && ilogb(rounded) > f.maximum_exponent) return copysign((double)INFINITY, value);
    return rounded;
}

static double load_half(uint16_t bits) {
    int exponent = bits >> 10 & 31, mantissa = bits & 1023;
    double value = exponent == 31  ? (mantissa != 0 ? (double)NAN : (double)INFINITY)
                   : exponent == 0 ? ldexp(mantissa, -24)
                                   : ldexp(mantissa + 1024, exponent - 25);
    return (bits & 0x8000) != 0 ? -value : value;
}

static uint16_t store_half(double value) {
    uint16_t sign = signbit(value) ? 0x8000 : 0;
    value = fabs(round_to(value, TARN_ELEMENT_F16));
    if (isnan(value)) return (uint16_t)(sign | 0x7e00);
    if (isinf(value)) return (uint16_t)(sign | 0x7c00);
    if (value < ldexp(1, -14)) return (uint16_t)(sign | (int)ldexp(value, 24));
    int exponent = ilogb(value);
    return (uint16_t)(sign | (exponent + 15) << 10 | ((int)ldexp(value, 10 - exponent) & 1023));
}

/* The lowest bytes of a word are the element: little-endian, as all of Tarn's machines. */
static int64_t extend(uint64_t word, size_t size) {
    unsigned unused = 64 - 8 * (unsigned)size;
    return (int64_t)(word << unused) >> unused;
}

static double load_f32(uint32_t word) {
    float value;
    memcpy(&value, &word, sizeof value);
    return (double)value;
}

reference_number reference_load(tarn_element_type type, const void *element) {
    reference_number number = {0};
    size_t size = tarn_element_size(type);
    uint64_t word = 0;
    memcpy(&word, element, size);
    switch (type) {
    case TARN_ELEMENT_F32: number.floating = load_f32((uint32_t)word); break;
    case TARN_ELEMENT_F64: memcpy(&number.floating, &word, sizeof word); break;
    case TARN_ELEMENT_F16: number.floating = load_half((uint16_t)word); break;
    case TARN_ELEMENT_BF16: number.floating = load_f32((uint32_t)word << 16); break;
    case TARN_ELEMENT_U8:
    case TARN_ELEMENT_BOOL: number.integer = (int64_t)word; break;
    default: number.integer = extend(word, size); break;
    }
    return number;
}

void reference_store(tarn_element_type type, reference_number number, void *out_element) {
    float f32 = (float)round_to(number.floating, type);
    double f64 = number.floating;
    uint32_t word;
    memcpy(&word, &f32, sizeof word);
    uint16_t half = type == TARN_ELEMENT_F16 ? store_half(number.floating) : (uint16_t)(word >> 16);
    const void *source = type == TARN_ELEMENT_F32                                ? (const void *)&f32
                         : type == TARN_ELEMENT_F64                              ? (const void *)&f64
                         : type == TARN_ELEMENT_F16 || type == TARN_ELEMENT_BF16 ? (const void *)&half
                                                                                 : (const void *)&number.integer;
    memcpy(out_element, source, tarn_element_size(type));
}

static int64_t wrap(int64_t value, tarn_element_type type) {
    switch (type) {
    case TARN_ELEMENT_U8: return (uint8_t)value;
    case TARN_ELEMENT_BOOL: return value != 0;
    default: return extend((uint64_t)value, tarn_element_size(type));
    }
}

reference_number reference_cast(reference_number number, tarn_element_type from, tarn_element_type to, bool rounds) {
    reference_number cast = {.magnitude = number.magnitude};
    if (reference_is_floating(to)) {
        cast.floating = reference_is_floating(from) ? number.floating : (double)number.integer;
        if (rounds) cast.floating = round_to(cast.floating, to);
    } else if (to == TARN_ELEMENT_BOOL && reference_is_floating(from)) {
        cast.integer = number.floating != 0;
    } else {
        cast.integer = wrap(reference_is_floating(from) ? (int64_t)number.floating : number.integer, to);
    }
    return cast;
}

reference_tensor reference_make(tarn_element_type type, const tarn_shape *shape) {
    reference_tensor tensor = {.type = type, .shape = *shape, .elements = 1};
    for (size_t i = 0; i < shape->rank; i++) tensor.elements *= (size_t)shape->dims[i];
    tensor.numbers = calloc(tensor.elements + 1, sizeof *tensor.numbers);
    if (tensor.numbers == NULL) abort();
    return tensor;
}

void reference_free(reference_tensor *tensor) {
    free(tensor->numbers);
    tensor->numbers = NULL;
}

/* The place of an element, counted in row-major order, along each dimension. */
static void find_place(const tarn_shape *shape, size_t number, int64_t *out_place) {
    for (size_t i = shape->rank; i-- > 0;) {
        out_place[i] = (int64_t)(number % (size_t)shape->dims[i]);
        number /= (size_t)shape->dims[i];
    }
}

reference_tensor reference_read(tarn_tensor *tensor) {
    reference_tensor read = reference_make(tarn_tensor_type(tensor), tarn_tensor_shape(tensor));
    char *elements = elements_of(tensor);
    for (size_t i = 0; i < read.elements; i++)
        read.numbers[i] = reference_load(read.type, elements + i * tarn_element_size(read.type));
    free(elements);
    return read;
}

reference_tensor reference_of_scalar(tarn_scalar scalar, tarn_element_type type) {
    reference_tensor single = reference_make(type, &(tarn_shape){.rank = 0});
    reference_number number = {.floating = scalar.floating, .integer = scalar.integer};
    tarn_element_type from = scalar.kind == TARN_SCALAR_FLOAT ? TARN_ELEMENT_F64 : TARN_ELEMENT_I64;
    single.numbers[0] = reference_cast(number, from, type, true);
    return single;
}

/* Elementwise. */

static double compute_floating(tarn_operation operation, double a, double b) {
    switch (operation) {
    case TARN_OPERATION_NEG: return -a;
    case TARN_OPERATION_EXP: return exp(a);
    case TARN_OPERATION_LOG: return log(a);
    case TARN_OPERATION_SQRT: return sqrt(a);
    case TARN_OPERATION_SIN: return sin(a);
    case TARN_OPERATION_COS: return cos(a);
    case TARN_OPERATION_RELU: return a > 0 || isnan(a) ? a : 0;
    case TARN_OPERATION_SIGMOID: return 1 / (1 + exp(-a));
    case TARN_OPERATION_TANH: return tanh(a);
    case TARN_OPERATION_ADD: return a + b;
    case TARN_OPERATION_SUBTRACT: return a - b;
    case TARN_OPERATION_MULTIPLY: return a * b;
    case TARN_OPERATION_DIVIDE: return a / b;
    case TARN_OPERATION_POW: return pow(a, b);
    case TARN_OPERATION_MAXIMUM: return isnan(a) || a > b ? a : b;
    case TARN_OPERATION_MINIMUM: return isnan(a) || a < b ? a : b;
    case TARN_OPERATION_EQUAL: return a == b;
    case TARN_OPERATION_LESS: return a < b;
    case TARN_OPERATION_LESS_EQUAL: return a <= b;
    default: return a;
    }
}

static int64_t power(int64_t base, int64_t exponent) {
    if (exponent < 0) return base == 1 ? 1 : base == -1 ? (exponent % 2 == 0 ? 1 : -1) : 0;
    uint64_t result = 1, factor = (uint64_t)base;
    for (; exponent != 0; exponent >>= 1, factor *= factor)
        if ((exponent & 1) != 0) result *= factor;
    return (int64_t)result;
}

/* Of a type that is not floating; the caller wraps. */
static int64_t compute_integer(tarn_operation operation, int64_t a, int64_t b) {
    switch (operation) {
    case TARN_OPERATION_NEG: return (int64_t)(0 - (uint64_t)a);
    case TARN_OPERATION_RELU: return a > 0 ? a : 0;
    case TARN_OPERATION_ADD: return (int64_t)((uint64_t)a + (uint64_t)b);
    case TARN_OPERATION_SUBTRACT: return (int64_t)((uint64_t)a - (uint64_t)b);
    case TARN_OPERATION_MULTIPLY: return (int64_t)((uint64_t)a * (uint64_t)b);
    case TARN_OPERATION_POW: return power(a, b);
    case TARN_OPERATION_MAXIMUM: return a > b ? a : b;
    case TARN_OPERATION_MINIMUM: return a < b ? a : b;
    case TARN_OPERATION_EQUAL: return a == b;
    case TARN_OPERATION_LESS: return a < b;
    case TARN_OPERATION_LESS_EQUAL: return a <= b;
    default: return a;
    }
}

static reference_number compute(tarn_operation operation, tarn_element_type computed, tarn_element_type type,
                                const reference_number *values) {
    reference_number result = {0};
    if (operation == TARN_OPERATION_SELECT) return values[0].integer != 0 ? values[1] : values[2];
    if (!reference_is_floating(computed)) {
        result.integer = wrap(compute_integer(operation, values[0].integer, values[1].integer), type);
    } else if (type == TARN_ELEMENT_BOOL) {
        result.integer = compute_floating(operation, values[0].floating, values[1].floating) != 0;
    } else {
        result.floating = compute_floating(operation, values[0].floating, values[1].floating);
        /* Cancellation leaves the error of what was added. */
        if (operation == TARN_OPERATION_ADD || operation == TARN_OPERATION_SUBTRACT)
            result.magnitude = fabs(values[0].floating) + fabs(values[1].floating);
    }
    return result;
}

/* The element of a tensor that broadcasting puts at a place of the shape. */
static size_t broadcast_place(const reference_tensor *tensor, const tarn_shape *shape, const int64_t *place) {
    size_t number = 0, added = shape->rank - tensor->shape.rank;
    for (size_t d = 0; d < tensor->shape.rank; d++) {
        int64_t dim = tensor->shape.dims[d];
        number = number * (size_t)dim + (size_t)(dim == 1 ? 0 : place[d + added]);
    }
    return number;
}

reference_tensor reference_elementwise(tarn_operation operation, const reference_tensor *operands, size_t count,
                                       const tarn_shape *shape, tarn_element_type computed, tarn_element_type type) {
    reference_tensor result = reference_make(type, shape);
    int64_t place[TARN_MAXIMUM_RANK] = {0};
    for (size_t i = 0; i < result.elements; i++) {
        reference_number values[3] = {{0}};
        find_place(shape, i, place);
        for (size_t j = 0; j < count; j++) {
            const reference_tensor *operand = &operands[j];
            values[j] = operand->numbers[broadcast_place(operand, shape, place)];
            bool is_condition = operation == TARN_OPERATION_SELECT && j == 0;
            if (!is_condition) values[j] = reference_cast(values[j], operand->type, computed, true);
        }
        result.numbers[i] = compute(operation, computed, type, values);
    }
    return result;
}

/* Reductions. */

static void accumulate(tarn_operation operation, tarn_element_type type, reference_number *inout,
                       reference_number value, bool is_first) {
    const tarn_operation step = operation == TARN_OPERATION_PROD  ? TARN_OPERATION_MULTIPLY
                                : operation == TARN_OPERATION_MAX ? TARN_OPERATION_MAXIMUM
                                : operation == TARN_OPERATION_MIN ? TARN_OPERATION_MINIMUM
                                                                  : TARN_OPERATION_ADD;
    double magnitude = inout->magnitude + fabs(value.floating);
    if (is_first) {
        *inout = value;
    } else {
        const reference_number values[3] = {*inout, value};
        *inout = compute(step, type, type, values);
    }
    inout->magnitude = operation <= TARN_OPERATION_MEAN ? magnitude : 0;
}

reference_tensor reference_reduce(tarn_operation operation, const reference_tensor *x, uint32_t dims, bool keeps_dims,
                                  const tarn_shape *shape, tarn_element_type type) {
    reference_tensor result = reference_make(type, shape);
    bool *is_begun = calloc(result.elements + 1, sizeof *is_begun);
    if (is_begun == NULL) abort();
    int64_t place[TARN_MAXIMUM_RANK] = {0};
    for (size_t i = 0; i < x->elements; i++) {
        size_t number = 0, next = 0;
        find_place(&x->shape, i, place);
        for (size_t d = 0; d < x->shape.rank; d++) {
            if ((dims >> d & 1) != 0) {
                next += keeps_dims;
                continue;
            }
            number = number * (size_t)shape->dims[next++] + (size_t)place[d];
        }
        reference_number value = reference_cast(x->numbers[i], x->type, type, true);
        accumulate(operation, type, &result.numbers[number], value, !is_begun[number]);
        is_begun[number] = true;
    }
    for (size_t i = 0; i < result.elements; i++) {
        reference_number *number = &result.numbers[i];
        if (!is_begun[i]) {
            *number = (reference_number){.floating = operation == TARN_OPERATION_PROD,
                                         .integer = operation == TARN_OPERATION_PROD};
        }
        if (operation == TARN_OPERATION_MEAN) {
            double count = (double)x->elements / (double)result.elements;
            number->floating /= count;
            number->magnitude /= count;
        }
    }
    free(is_begun);
    return result;
}

/* Comparing. */

static double unit_of(tarn_element_type type) {
    return reference_is_floating(type) ? ldexp(1, 1 - format_of(type).precision) : 0;
}

/* `rounded` is what is wanted, as all types on the way have it: infinite where one of them ends. */
static bool is_close(double actual, double wanted, double rounded, double magnitude, tarn_element_type type,
                     double unit) {
    if (isnan(wanted) || isnan(actual)) return isnan(wanted) == isnan(actual);
    if (actual == wanted || actual == rounded) return true;
    if (isinf(actual) || isinf(wanted)) return false;
    /* Below the smallest normal number a unit is as large as there. */
    double tiny = ldexp(1, format_of(type).minimum_exponent - format_of(type).precision + 2);
    return fabs(actual - wanted) <= 4 * unit * fmax(fabs(wanted), magnitude) + tiny;
}

const char *reference_compare(tarn_tensor *tensor, const reference_tensor *wanted) {
    static char sentence[256];
    if (!tarn_shape_equals(tarn_tensor_shape(tensor), &wanted->shape)) return "another shape";
    reference_tensor actual = reference_read(tensor);
    double unit = fmax(unit_of(actual.type), unit_of(wanted->type));
    size_t i = 0;
    reference_number have = {0}, want = {0};
    for (; i < actual.elements; i++) {
        have = actual.numbers[i];
        want = reference_cast(wanted->numbers[i], wanted->type, actual.type, false);
        if (!reference_is_floating(actual.type)) {
            if (have.integer != want.integer) break;
            continue;
        }
        double rounded = reference_is_floating(wanted->type) ? round_to(want.floating, wanted->type) : want.floating;
        rounded = round_to(rounded, actual.type);
        if (!is_close(have.floating, want.floating, rounded, want.magnitude, actual.type, unit)) break;
    }
    bool agrees = i == actual.elements;
    if (!agrees) {
        snprintf(sentence, sizeof sentence, "element %zu of %zu is %.17g (%" PRId64 ") and not %.17g (%" PRId64 ")", i,
                 actual.elements, have.floating, have.integer, want.floating, want.integer);
    }
    reference_free(&actual);
    return agrees ? NULL : sentence;
}
