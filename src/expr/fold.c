/* Steps on single numbers, by the rules of tarn/backend_operations.h. */
#include "expr/fold.h"

#include <math.h>
#include <string.h>

static bool is_floating(tarn_element_type type) { return type == TARN_ELEMENT_F32 || type == TARN_ELEMENT_F64; }
static bool is_half(tarn_element_type type) { return type == TARN_ELEMENT_F16 || type == TARN_ELEMENT_BF16; }

bool expr_same_float(double a, double b) {
    uint64_t bits_a, bits_b;
    memcpy(&bits_a, &a, sizeof a);
    memcpy(&bits_b, &b, sizeof b);
    return bits_a == bits_b;
}

tarn_constant expr_constant_of(tarn_scalar scalar) {
    static const tarn_element_type types[] = {
        [TARN_SCALAR_BOOL] = TARN_ELEMENT_BOOL,
        [TARN_SCALAR_INTEGER] = TARN_ELEMENT_I64,
        [TARN_SCALAR_FLOAT] = TARN_ELEMENT_F32,
    };
    tarn_constant constant = {.type = types[scalar.kind]};
    if (scalar.kind == TARN_SCALAR_FLOAT) constant.floating = scalar.floating;
    else constant.integer = scalar.kind == TARN_SCALAR_BOOL ? scalar.integer != 0 : scalar.integer;
    return constant;
}

tarn_scalar expr_scalar_of(const tarn_constant *constant) {
    if (is_floating(constant->type)) return tarn_scalar_float(constant->floating);
    if (constant->type == TARN_ELEMENT_BOOL) return tarn_scalar_bool(constant->integer != 0);
    return tarn_scalar_integer(constant->integer);
}

/* What is left of an integer in a type of its own width. */
static int64_t wrap(int64_t value, tarn_element_type type) {
    switch (type) {
    case TARN_ELEMENT_I8: return (int8_t)(uint8_t)value;
    case TARN_ELEMENT_U8: return (uint8_t)value;
    case TARN_ELEMENT_I16: return (int16_t)(uint16_t)value;
    case TARN_ELEMENT_I32: return (int32_t)(uint32_t)value;
    case TARN_ELEMENT_BOOL: return value != 0;
    default: return value;
    }
}

static double round_to(double value, tarn_element_type type) {
    return type == TARN_ELEMENT_F32 ? (double)(float)value : value;
}

bool expr_fold_cast(const tarn_constant *constant, tarn_element_type type, tarn_constant *out_constant) {
    if (is_half(type) || is_half(constant->type)) return false;
    tarn_constant cast = {.type = type};
    bool was_floating = is_floating(constant->type);
    if (is_floating(type)) {
        cast.floating = round_to(was_floating ? constant->floating : (double)constant->integer, type);
    } else if (!was_floating) {
        cast.integer = wrap(constant->integer, type);
    } else if (type == TARN_ELEMENT_BOOL) {
        cast.integer = constant->floating != 0;
    } else {
        double value = trunc(constant->floating);
        /* Compared as numbers that both types have: 2^63 is one, the greatest I64 is not. */
        if (!(value >= -9223372036854775808.0 && value < 9223372036854775808.0)) return false;
        cast.integer = (int64_t)value;
        if (wrap(cast.integer, type) != cast.integer) return false;
    }
    *out_constant = cast;
    return true;
}

/* Like IEEE's maximum: a NaN wins. */
static double greater(double a, double b) { return isnan(a) || a > b ? a : b; }
static double smaller(double a, double b) { return isnan(a) || a < b ? a : b; }

static bool fold_floating(tarn_operation operation, double a, double b, double *out) {
    switch (operation) {
    case TARN_OPERATION_NEG: *out = -a; return true;
    case TARN_OPERATION_EXP: *out = exp(a); return true;
    case TARN_OPERATION_LOG: *out = log(a); return true;
    case TARN_OPERATION_SQRT: *out = sqrt(a); return true;
    case TARN_OPERATION_SIN: *out = sin(a); return true;
    case TARN_OPERATION_COS: *out = cos(a); return true;
    case TARN_OPERATION_RELU: *out = greater(a, 0); return true;
    case TARN_OPERATION_SIGMOID: *out = 1 / (1 + exp(-a)); return true;
    case TARN_OPERATION_TANH: *out = tanh(a); return true;
    case TARN_OPERATION_ADD: *out = a + b; return true;
    case TARN_OPERATION_SUBTRACT: *out = a - b; return true;
    case TARN_OPERATION_MULTIPLY: *out = a * b; return true;
    case TARN_OPERATION_DIVIDE: *out = a / b; return true;
    case TARN_OPERATION_POW: *out = pow(a, b); return true;
    case TARN_OPERATION_MAXIMUM: *out = greater(a, b); return true;
    case TARN_OPERATION_MINIMUM: *out = smaller(a, b); return true;
    default: return false;
    }
}

static int64_t power(int64_t base, int64_t exponent) {
    if (exponent < 0) return base == 1 ? 1 : base == -1 ? (exponent % 2 != 0 ? -1 : 1) : 0;
    uint64_t result = 1, factor = (uint64_t)base;
    for (; exponent > 0; exponent >>= 1) {
        if ((exponent & 1) != 0) result *= factor;
        factor *= factor;
    }
    return (int64_t)result;
}

static int64_t divide(int64_t a, int64_t b) {
    if (b == 0) return 0;
    return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}

static bool fold_integer(tarn_operation operation, int64_t a, int64_t b, int64_t *out) {
    switch (operation) {
    case TARN_OPERATION_NEG: *out = (int64_t)(0 - (uint64_t)a); return true;
    case TARN_OPERATION_RELU: *out = a > 0 ? a : 0; return true;
    case TARN_OPERATION_ADD: *out = (int64_t)((uint64_t)a + (uint64_t)b); return true;
    case TARN_OPERATION_SUBTRACT: *out = (int64_t)((uint64_t)a - (uint64_t)b); return true;
    case TARN_OPERATION_MULTIPLY: *out = (int64_t)((uint64_t)a * (uint64_t)b); return true;
    case TARN_OPERATION_DIVIDE: *out = divide(a, b); return true;
    case TARN_OPERATION_POW: *out = power(a, b); return true;
    case TARN_OPERATION_MAXIMUM: *out = a > b ? a : b; return true;
    case TARN_OPERATION_MINIMUM: *out = a < b ? a : b; return true;
    default: return false;
    }
}

static bool compare(tarn_operation operation, const tarn_constant *a, const tarn_constant *b) {
    bool is_floating_pair = is_floating(a->type);
    bool is_equal = is_floating_pair ? a->floating == b->floating : a->integer == b->integer;
    bool is_less = is_floating_pair ? a->floating < b->floating : a->integer < b->integer;
    return operation == TARN_OPERATION_EQUAL ? is_equal
                                             : is_less || (operation == TARN_OPERATION_LESS_EQUAL && is_equal);
}

bool expr_fold_step(tarn_operation operation, tarn_element_type computed, const tarn_constant *operands,
                    tarn_constant *out_constant) {
    if (is_half(computed)) return false;
    tarn_constant folded = {.type = computed};
    if (operation == TARN_OPERATION_COPY) {
        folded = operands[0];
    } else if (operation == TARN_OPERATION_SELECT) {
        folded = operands[0].integer != 0 ? operands[1] : operands[2];
    } else if (operation >= TARN_OPERATION_EQUAL && operation <= TARN_OPERATION_LESS_EQUAL) {
        folded = (tarn_constant){.type = TARN_ELEMENT_BOOL, .integer = compare(operation, &operands[0], &operands[1])};
    } else {
        const tarn_constant *second = operation >= TARN_OPERATION_ADD ? &operands[1] : &operands[0];
        if (is_floating(computed)) {
            if (!fold_floating(operation, operands[0].floating, second->floating, &folded.floating)) return false;
            folded.floating = round_to(folded.floating, computed);
        } else {
            if (!fold_integer(operation, operands[0].integer, second->integer, &folded.integer)) return false;
            folded.integer = wrap(folded.integer, computed);
        }
    }
    *out_constant = folded;
    return true;
}
