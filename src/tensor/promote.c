/* Promotion of element types, by PyTorch's rules: a table for two types, and a rule for operands of different weight.
 *
 * Operands are dimensioned tensors, tensors of rank 0 or scalars, and the weightier sort decides the type, unless the other one brings a
 * higher sort of number with it: a float to integers or bools, an integer to bools. */
#include "tensor/infer.h"

/* Short names make the table readable as one. */
enum {
    F32 = TARN_ELEMENT_F32,
    F16 = TARN_ELEMENT_F16,
    BF16 = TARN_ELEMENT_BF16,
    F64 = TARN_ELEMENT_F64,
    I8 = TARN_ELEMENT_I8,
    U8 = TARN_ELEMENT_U8,
    I16 = TARN_ELEMENT_I16,
    I32 = TARN_ELEMENT_I32,
    I64 = TARN_ELEMENT_I64,
    BOOL = TARN_ELEMENT_BOOL
};

/* The order of lines and columns is that of tarn_element_type. */
static const uint8_t promoted[TARN_ELEMENT_TYPE_COUNT][TARN_ELEMENT_TYPE_COUNT] = {
    [F32] = {F32, F32, F32, F64, F32, F32, F32, F32, F32, F32},
    [F16] = {F32, F16, F32, F64, F16, F16, F16, F16, F16, F16},
    [BF16] = {F32, F32, BF16, F64, BF16, BF16, BF16, BF16, BF16, BF16},
    [F64] = {F64, F64, F64, F64, F64, F64, F64, F64, F64, F64},
    [I8] = {F32, F16, BF16, F64, I8, I16, I16, I32, I64, I8},
    [U8] = {F32, F16, BF16, F64, I16, U8, I16, I32, I64, U8},
    [I16] = {F32, F16, BF16, F64, I16, I16, I16, I32, I64, I16},
    [I32] = {F32, F16, BF16, F64, I32, I32, I32, I32, I64, I32},
    [I64] = {F32, F16, BF16, F64, I64, I64, I64, I64, I64, I64},
    [BOOL] = {F32, F16, BF16, F64, I8, U8, I16, I32, I64, BOOL},
};

tarn_element_type tarn_element_promote(tarn_element_type a, tarn_element_type b) {
    if ((unsigned)a >= TARN_ELEMENT_TYPE_COUNT || (unsigned)b >= TARN_ELEMENT_TYPE_COUNT) return TARN_ELEMENT_F32;
    return (tarn_element_type)promoted[a][b];
}

bool tensor_type_is_floating(tarn_element_type type) { return type <= TARN_ELEMENT_F64; }
_Static_assert(TARN_ELEMENT_F32 == 0 && TARN_ELEMENT_F64 == 3, "the floating types are the first four");

tensor_argument tensor_argument_of_scalar(tarn_scalar_kind kind) {
    static const tarn_shape single = {.rank = 0};
    tarn_element_type type = kind == TARN_SCALAR_BOOL      ? TARN_ELEMENT_BOOL
                             : kind == TARN_SCALAR_INTEGER ? TARN_ELEMENT_I64
                                                           : TARN_ELEMENT_F32;
    return (tensor_argument){.shape = &single, .type = type, .is_scalar = true};
}

/* 0 decides, 2 has the least to say. */
static int weight_of(const tensor_argument *argument) {
    if (argument->is_scalar) return 2;
    return argument->shape->rank == 0 ? 1 : 0;
}

tarn_element_type tensor_promote(const tensor_argument *a, const tensor_argument *b) {
    if (a->type == b->type) return a->type;
    int order = weight_of(a) - weight_of(b);
    if (order == 0) return tarn_element_promote(a->type, b->type);
    tarn_element_type deciding = order < 0 ? a->type : b->type;
    tarn_element_type other = order < 0 ? b->type : a->type;
    if (tensor_type_is_floating(deciding)) return deciding;
    if (deciding == TARN_ELEMENT_BOOL || tensor_type_is_floating(other)) return tarn_element_promote(deciding, other);
    return deciding;
}

bool tensor_type_can_cast(tarn_element_type from, tarn_element_type to) {
    if (to == TARN_ELEMENT_BOOL) return from == TARN_ELEMENT_BOOL;
    return tensor_type_is_floating(to) || !tensor_type_is_floating(from);
}
