/* Numbers of half precision, F16 and BF16, as floats and back. Arithmetic on bits, the same on all processors, without branches, so that
 * compilers make vector instructions of a loop over it. */
#ifndef BASE_HALF_H
#define BASE_HALF_H

#include <stdint.h>
#include <string.h>

static inline uint32_t bits_of_float(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float float_of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline float float_of_half(uint16_t half) {
    uint32_t magnitude = (uint32_t)(half & 0x7fff) << 13;
    uint32_t exponent = magnitude & 0x0f800000u;
    uint32_t normal = magnitude + (112u << 23);
    uint32_t special = magnitude + (224u << 23); /* infinity, NaN */
    uint32_t denormal = bits_of_float(float_of_bits(magnitude + (113u << 23)) - float_of_bits(113u << 23));
    uint32_t bits = exponent == 0x0f800000u ? special : normal;
    bits = exponent == 0 ? denormal : bits;
    return float_of_bits(bits | (uint32_t)(half & 0x8000) << 16);
}

/* Rounded to the nearest, ties to even. A NaN stays one, with the upper bits that it has. */
static inline uint16_t half_of_float(float value) {
    uint32_t bits = bits_of_float(value);
    uint32_t magnitude = bits & 0x7fffffffu;
    uint32_t normal = (magnitude - (112u << 23) + 0x0fffu + ((magnitude >> 13) & 1)) >> 13;
    /* The float's own addition rounds to units of 2^-24. */
    uint32_t denormal = bits_of_float(float_of_bits(magnitude) + 0.5f) - bits_of_float(0.5f);
    uint32_t half = magnitude < 0x38800000u ? denormal : normal;
    half = magnitude >= 0x47800000u ? 0x7c00u : half;
    half = magnitude > 0x7f800000u ? 0x7e00u | (magnitude >> 13 & 0x3ffu) : half;
    return (uint16_t)(half | (bits >> 16 & 0x8000u));
}

static inline float float_of_brain(uint16_t brain) { return float_of_bits((uint32_t)brain << 16); }

static inline uint16_t brain_of_float(float value) {
    uint32_t bits = bits_of_float(value);
    uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1)) >> 16;
    uint32_t nan = bits >> 16 | 0x40u;
    return (uint16_t)((bits & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
}

#endif
