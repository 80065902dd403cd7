/* Random numbers: each follows from the seed and its place alone, so that threads and devices give the same.
 *
 * F64 is made of 53 random bits, all other types of 24 in single precision. What rounding could push out of the range of a uniform
 * distribution is brought back into it. Normal numbers are those of Box and Muller, each of two uniform ones. */
#include <math.h>

#include "base/half.h"
#include "base/status.h"
#include "tensor/element.h"
#include "tensor/made.h"

static tarn_element_type computed_in(tarn_element_type type) {
    return type == TARN_ELEMENT_F64 ? TARN_ELEMENT_F64 : TARN_ELEMENT_F32;
}

/* The value nearest to `value` in the type, as a number. */
static double rounded(double value, tarn_element_type type) {
    switch (type) {
    case TARN_ELEMENT_F16: return (double)float_of_half(half_of_float((float)value));
    case TARN_ELEMENT_BF16: return (double)float_of_brain(brain_of_float((float)value));
    case TARN_ELEMENT_F32: return (double)(float)value;
    default: return value;
    }
}

static bool is_in_reach(double value, tarn_element_type type) { return isfinite(rounded(value, type)); }

static tarn_status check(const char *what, tarn_element_type type, double a, double b, bool is_in_order,
                         tarn_tensor *const *out_tensor) {
    if (out_tensor == NULL) return base_fail(TARN_INVALID_ARGUMENT, "%s: the place for the tensor is NULL", what);
    if (!tensor_is_floating(type)) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s: random numbers have a floating type, not %s", what,
                         tarn_element_name(type));
    }
    if (is_in_order && is_in_reach(a, type) && is_in_reach(b, type) && is_in_reach(b - a, type)) return TARN_OK;
    return base_fail(TARN_INVALID_ARGUMENT, "%s: %g and %g are no parameters of random numbers of type %s", what, a, b,
                     tarn_element_name(type));
}

/* Digits of the type's numbers, and the exponent of its smallest steps. */
static double step_at(double value, tarn_element_type type) {
    int digits = type == TARN_ELEMENT_F16 ? 11 : type == TARN_ELEMENT_BF16 ? 8 : type == TARN_ELEMENT_F32 ? 24 : 53;
    int lowest = type == TARN_ELEMENT_F16    ? -24
                 : type == TARN_ELEMENT_BF16 ? -133
                 : type == TARN_ELEMENT_F32  ? -149
                                             : -1074;
    int exponent;
    (void)frexp(value, &exponent);
    return ldexp(1, value != 0 && exponent - digits > lowest ? exponent - digits : lowest);
}

/* The smallest number of the type that is not below `value`, and the greatest that is below it. */
static double not_below(double value, tarn_element_type type) {
    double near = rounded(value, type);
    return near >= value ? near : near + step_at(near, type);
}
static double below(double value, tarn_element_type type) {
    double near = rounded(value, type);
    /* Below a power of two the steps are half as long. */
    for (double step = step_at(near, type) / 2; near >= value; step *= 2) near = rounded(near - step, type);
    return near;
}

tarn_status tarn_tensor_random_uniform(tarn_allocator *allocator, const tarn_shape *shape, tarn_element_type type,
                                       uint64_t seed, double minimum, double maximum, tarn_stream *stream,
                                       tarn_tensor **out_tensor) {
    static const char what[] = "tensor_random_uniform";
    tarn_status status = check(what, type, minimum, maximum, minimum <= maximum, out_tensor);
    if (status != TARN_OK) return status;
    tarn_element_type computed = computed_in(type);
    double lowest = not_below(minimum, type), highest = fmax(below(maximum, type), lowest);
    tensor_program program = {0};
    tarn_value value =
        tensor_step(&program, TARN_OPERATION_RANDOM, computed, tensor_integer(&program, (int64_t)seed), tensor_index());
    tarn_value range = tensor_float(&program, computed, maximum - minimum);
    tarn_value floor = tensor_float(&program, computed, lowest), ceiling = tensor_float(&program, computed, highest);
    value = tensor_step(&program, TARN_OPERATION_MULTIPLY, computed, value, range);
    value = tensor_step(&program, TARN_OPERATION_ADD, computed, value, tensor_float(&program, computed, minimum));
    value = tensor_step(&program, TARN_OPERATION_MAXIMUM, computed, value, floor);
    value = tensor_step(&program, TARN_OPERATION_MINIMUM, computed, value, ceiling);
    if (type != computed) tensor_step_of_one(&program, TARN_OPERATION_COPY, type, value);
    return tensor_make(&program, what, allocator, shape, type, stream, out_tensor);
}

/* mean + deviation × sqrt(-2 log(1 - a)) cos(2π b), of the random numbers 2 × place and 2 × place + 1. */
tarn_status tarn_tensor_random_normal(tarn_allocator *allocator, const tarn_shape *shape, tarn_element_type type,
                                      uint64_t seed, double mean, double deviation, tarn_stream *stream,
                                      tarn_tensor **out_tensor) {
    static const char what[] = "tensor_random_normal";
    tarn_status status = check(what, type, mean, deviation, deviation >= 0, out_tensor);
    if (status != TARN_OK) return status;
    const tarn_element_type whole = TARN_ELEMENT_I64, computed = computed_in(type);
    tensor_program program = {0};
    tarn_value key = tensor_integer(&program, (int64_t)seed);
    tarn_value even =
        tensor_step(&program, TARN_OPERATION_MULTIPLY, whole, tensor_index(), tensor_integer(&program, 2));
    tarn_value odd = tensor_step(&program, TARN_OPERATION_ADD, whole, even, tensor_integer(&program, 1));
    tarn_value size = tensor_step(&program, TARN_OPERATION_RANDOM, computed, key, even);
    /* In (0, 1], of which there is a logarithm. */
    size = tensor_step(&program, TARN_OPERATION_SUBTRACT, computed, tensor_float(&program, computed, 1), size);
    size = tensor_step_of_one(&program, TARN_OPERATION_LOG, computed, size);
    size = tensor_step(&program, TARN_OPERATION_MULTIPLY, computed, size, tensor_float(&program, computed, -2));
    size = tensor_step_of_one(&program, TARN_OPERATION_SQRT, computed, size);
    tarn_value angle = tensor_step(&program, TARN_OPERATION_RANDOM, computed, key, odd);
    tarn_value circle = tensor_float(&program, computed, 0x1.921fb54442d18p+2);
    angle = tensor_step(&program, TARN_OPERATION_MULTIPLY, computed, angle, circle);
    angle = tensor_step_of_one(&program, TARN_OPERATION_COS, computed, angle);
    tarn_value value = tensor_step(&program, TARN_OPERATION_MULTIPLY, computed, size, angle);
    value =
        tensor_step(&program, TARN_OPERATION_MULTIPLY, computed, value, tensor_float(&program, computed, deviation));
    value = tensor_step(&program, TARN_OPERATION_ADD, computed, value, tensor_float(&program, computed, mean));
    if (type != computed) tensor_step_of_one(&program, TARN_OPERATION_COPY, type, value);
    return tensor_make(&program, what, allocator, shape, type, stream, out_tensor);
}
