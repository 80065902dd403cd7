/* How elements are written. The elements are looked at twice: for what decides between exponents and none, and for how much room
 * each side of the point needs. */
#include "tensor/print_format.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/element.h"

/* Digits that any number of the type keeps, as numpy.finfo's precision. */
static double largest_without_exponent(tarn_element_type type, bool is_single) {
    switch (type) {
    case TARN_ELEMENT_F32: return 1e6;
    case TARN_ELEMENT_F64: return is_single ? 1e16 : 1e8;
    default: return 1e3;
    }
}

/* In the arithmetic of the type, in which the quotient is compared. */
static double rounded(double value, tarn_element_type type) {
    tarn_constant constant = {.type = type, .floating = value};
    unsigned char bytes[8];
    tensor_write_element(&constant, bytes);
    return tensor_read_element(bytes, type).floating;
}

typedef struct range {
    double smallest, largest; /* of what is neither 0, infinite nor NaN; 0: nothing is */
    bool has_finite, has_others, has_negative_infinity;
} range;

static range find_range(tarn_element_type type, const char *elements, size_t count) {
    range found = {0};
    size_t size = tarn_element_size(type);
    for (size_t i = 0; i < count; i++) {
        double value = tensor_read_element(elements + i * size, type).floating, magnitude = fabs(value);
        if (!isfinite(value)) {
            found.has_others = true;
            found.has_negative_infinity |= isinf(value) && value < 0;
            continue;
        }
        found.has_finite = true;
        if (magnitude == 0) continue;
        if (found.smallest == 0 || magnitude < found.smallest) found.smallest = magnitude;
        if (magnitude > found.largest) found.largest = magnitude;
    }
    return found;
}

static void raise_to(int *inout_maximum, int value) {
    if (value > *inout_maximum) *inout_maximum = value;
}

static int exponent_digits(int exponent) { return abs(exponent) >= 100 ? 3 : 2; }

/* Room for all finite elements. */
static void measure(print_format *format, const char *elements, size_t count) {
    size_t size = tarn_element_size(format->type);
    int fraction = 0;
    for (size_t i = 0; i < count; i++) {
        double value = tensor_read_element(elements + i * size, format->type).floating;
        if (!isfinite(value)) continue;
        if (format->is_scientific) {
            tensor_digits digits;
            tensor_digits_scientific(fabs(value), format->type, format->precision, &digits);
            raise_to(&format->before, signbit(value) ? 2 : 1);
            raise_to(&fraction, digits.count - 1);
            raise_to(&format->exponent, exponent_digits(digits.exponent));
        } else {
            char text[TENSOR_NUMBER_TEXT];
            int length = tensor_digits_positional(value, format->type, format->precision, text);
            int whole = (int)(strchr(text, '.') - text);
            raise_to(&format->before, whole);
            raise_to(&fraction, length - whole - 1);
        }
    }
    if (format->is_scientific) format->precision = fraction;
    format->after = format->is_scientific ? format->exponent + 2 + fraction : fraction;
}

static void begin_floats(print_format *format, const char *elements, size_t count) {
    range found = find_range(format->type, elements, count);
    double least = format->is_single ? 1e-4 : rounded(1e-4, format->type);
    bool is_spread =
        !format->is_single && found.largest > 0 && rounded(found.largest / found.smallest, format->type) > 1000;
    format->is_scientific =
        found.largest > 0 && (found.largest >= largest_without_exponent(format->type, format->is_single) ||
                              found.smallest < least || is_spread);
    measure(format, elements, count);
    /* "nan" and "inf" stand in the room of the digits and the point. */
    if (found.has_others) {
        raise_to(&format->before, 3 - format->after - 1);
        raise_to(&format->before, 3 + (found.has_negative_infinity ? 1 : 0) - format->after - 1);
    }
}

static void begin_integers(print_format *format, const char *elements, size_t count) {
    size_t size = tarn_element_size(format->type);
    for (size_t i = 0; i < count; i++) {
        int64_t value = tensor_read_element(elements + i * size, format->type).integer;
        raise_to(&format->before, snprintf(NULL, 0, "%" PRId64, value));
    }
}

void print_format_begin(print_format *format, tarn_element_type type, bool is_single, int precision,
                        const void *elements, size_t count) {
    /* A single number is written with all the digits that it takes. */
    *format = (print_format){.type = type, .is_single = is_single, .precision = is_single ? -1 : precision};
    if (tensor_is_floating(type)) begin_floats(format, elements, count);
    else if (type == TARN_ELEMENT_BOOL) format->before = is_single ? 0 : 5;
    else begin_integers(format, elements, count);
}

/* "1e+16", "1.5e-07": a single number has the digits that it takes. Among others all have equally many digits: where the number
 * takes fewer, those that it goes on with. */
static int write_scientific(const print_format *format, double value, char *out_text) {
    tensor_digits digits;
    char text[160];
    tensor_digits_shortest(fabs(value), format->type, &digits);
    if (!format->is_single && digits.count != format->precision + 1) {
        snprintf(text, sizeof text, "%.*e", format->precision, fabs(value));
        digits.exponent = (int)strtol(strchr(text, 'e') + 1, NULL, 10);
        *strchr(text, 'e') = '\0';
    } else {
        snprintf(text, sizeof text, "%c%s%s", digits.digits[0], digits.count > 1 ? "." : "", digits.digits + 1);
    }
    const char *point = !format->is_single && format->precision == 0 ? "." : "";
    return snprintf(out_text, PRINT_ELEMENT_TEXT, "%*s%s%se%c%0*d", format->before - 1, signbit(value) ? "-" : "", text,
                    point, digits.exponent < 0 ? '-' : '+', format->exponent, abs(digits.exponent));
}

static int write_positional(const print_format *format, double value, char *out_text) {
    char text[TENSOR_NUMBER_TEXT];
    int length = tensor_digits_positional(value, format->type, format->precision, text);
    int whole = (int)(strchr(text, '.') - text), fraction = length - whole - 1;
    if (format->is_single) return snprintf(out_text, PRINT_ELEMENT_TEXT, "%s%s", text, fraction == 0 ? "0" : "");
    return snprintf(out_text, PRINT_ELEMENT_TEXT, "%*s%s%*s", format->before - whole, "", text,
                    format->after - fraction, "");
}

int print_format_element(const print_format *format, const void *element, char out_text[PRINT_ELEMENT_TEXT]) {
    tarn_scalar value = tensor_read_element(element, format->type);
    int width = format->before;
    if (value.kind == TARN_SCALAR_BOOL) {
        return snprintf(out_text, PRINT_ELEMENT_TEXT, "%*s", width, value.integer != 0 ? "True" : "False");
    }
    if (value.kind == TARN_SCALAR_INTEGER) {
        return snprintf(out_text, PRINT_ELEMENT_TEXT, "%*" PRId64, width, value.integer);
    }
    if (!isfinite(value.floating)) {
        const char *name = isnan(value.floating) ? "nan" : value.floating < 0 ? "-inf" : "inf";
        return snprintf(out_text, PRINT_ELEMENT_TEXT, "%*s", format->is_single ? 0 : width + format->after + 1, name);
    }
    return (format->is_scientific ? write_scientific : write_positional)(format, value.floating, out_text);
}
