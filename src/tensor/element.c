/* Numbers and their bytes. Only single elements come through here: those of a fill, of a text, of a file's header. */
#include "tensor/element.h"

#include <math.h>
#include <string.h>

#include "base/half.h"

/* Towards zero, as a cast; what does not fit becomes the nearest that does. */
static int64_t truncate(double value) {
    if (isnan(value)) return 0;
    if (value >= 0x1p63) return INT64_MAX;
    return value <= -0x1p63 ? INT64_MIN : (int64_t)value;
}

/* What is left of an integer in a type of `size` bytes. */
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

tarn_constant tensor_constant(tarn_scalar value, tarn_element_type type) {
    tarn_constant constant = {.type = type};
    bool is_float = value.kind == TARN_SCALAR_FLOAT;
    if (tensor_is_floating(type)) constant.floating = is_float ? value.floating : (double)value.integer;
    else if (type == TARN_ELEMENT_BOOL) constant.integer = is_float ? value.floating != 0 : value.integer != 0;
    else constant.integer = wrap(is_float ? truncate(value.floating) : value.integer, type);
    return constant;
}

size_t tensor_write_element(const tarn_constant *constant, void *out_bytes) {
    float single = (float)constant->floating;
    uint16_t half = constant->type == TARN_ELEMENT_F16 ? half_of_float(single) : brain_of_float(single);
    size_t size = tarn_element_size(constant->type);
    const void *bytes = &constant->integer;
    if (constant->type == TARN_ELEMENT_F32) bytes = &single;
    else if (constant->type == TARN_ELEMENT_F64) bytes = &constant->floating;
    else if (tensor_is_floating(constant->type)) bytes = &half;
    /* Integers: the machine's order begins with the lowest byte. */
    memcpy(out_bytes, bytes, size);
    return size;
}

tarn_scalar tensor_read_element(const void *bytes, tarn_element_type type) {
    union {
        float f32;
        double f64;
        uint16_t half;
        int8_t i8;
        uint8_t u8;
        int16_t i16;
        int32_t i32;
        int64_t i64;
    } element = {.i64 = 0};
    memcpy(&element, bytes, tarn_element_size(type));
    switch (type) {
    case TARN_ELEMENT_F32: return tarn_scalar_float((double)element.f32);
    case TARN_ELEMENT_F16: return tarn_scalar_float((double)float_of_half(element.half));
    case TARN_ELEMENT_BF16: return tarn_scalar_float((double)float_of_brain(element.half));
    case TARN_ELEMENT_F64: return tarn_scalar_float(element.f64);
    case TARN_ELEMENT_I8: return tarn_scalar_integer(element.i8);
    case TARN_ELEMENT_U8: return tarn_scalar_integer(element.u8);
    case TARN_ELEMENT_I16: return tarn_scalar_integer(element.i16);
    case TARN_ELEMENT_I32: return tarn_scalar_integer(element.i32);
    case TARN_ELEMENT_I64: return tarn_scalar_integer(element.i64);
    default: return tarn_scalar_bool(element.u8 != 0);
    }
}
