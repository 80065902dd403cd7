/* Decimal digits of floating numbers, with the C library's exact conversions: it is asked for fewer digits until what it gives no
 * longer reads as the same number. */
#include "tensor/digits.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"

/* Whether the text reads as `value` in the type. */
static bool reads_as(const char *text, double value, tarn_element_type type) {
    switch (type) {
    case TARN_ELEMENT_F32: return strtof(text, NULL) == (float)value;
    case TARN_ELEMENT_F16: return half_of_float(strtof(text, NULL)) == half_of_float((float)value);
    case TARN_ELEMENT_BF16: return brain_of_float(strtof(text, NULL)) == brain_of_float((float)value);
    default: return strtod(text, NULL) == value;
    }
}

/* Adds one to the last digit of "d.ddde+xx". The digits are not all nines: such a number has a shorter one beside it. */
static void raise(char *text) {
    char *at = strchr(text, 'e');
    for (at--; *at == '9' || *at == '.'; at--)
        if (*at == '9') *at = '0';
    ++*at;
}

/* Whether `count` digits tell the number; they are written as "d.ddde+xx". */
static bool try_digits(double value, tarn_element_type type, int count, char *out_text, size_t capacity) {
    int exponent;
    snprintf(out_text, capacity, "%.*e", count - 1, value);
    if (reads_as(out_text, value, type)) return true;
    /* Above a power of two neighbours are farther away than below: the number above the nearest may do where that does not. */
    if (frexp(value, &exponent) != 0.5 || strspn(out_text, "9.") >= (size_t)count) return false;
    raise(out_text);
    return reads_as(out_text, value, type);
}

/* "d.ddde+xx" as digits and exponent. */
static void read_digits(const char *text, tensor_digits *out_digits) {
    int count = 0;
    for (; *text != 'e'; text++)
        if (*text != '.') out_digits->digits[count++] = *text;
    while (count > 1 && out_digits->digits[count - 1] == '0') count--;
    out_digits->digits[count] = '\0';
    out_digits->count = count;
    out_digits->exponent = (int)strtol(text + 1, NULL, 10);
}

void tensor_digits_shortest(double value, tarn_element_type type, tensor_digits *out_digits) {
    int enough = type == TARN_ELEMENT_F64 ? 17 : type == TARN_ELEMENT_F32 ? 9 : type == TARN_ELEMENT_F16 ? 5 : 4;
    char text[40];
    for (int low = 1; low < enough;) {
        int middle = (low + enough) / 2;
        if (try_digits(value, type, middle, text, sizeof text)) enough = middle;
        else low = middle + 1;
    }
    (void)try_digits(value, type, enough, text, sizeof text);
    read_digits(text, out_digits);
}

void tensor_digits_scientific(double value, tarn_element_type type, int precision, tensor_digits *out_digits) {
    char text[40];
    tensor_digits_shortest(value, type, out_digits);
    if (precision < 0 || out_digits->count <= precision + 1) return;
    snprintf(text, sizeof text, "%.*e", precision, value);
    read_digits(text, out_digits);
}

int tensor_digits_positional(double value, tarn_element_type type, int precision, char out_text[TENSOR_NUMBER_TEXT]) {
    tensor_digits digits;
    const char *sign = signbit(value) ? "-" : "";
    tensor_digits_shortest(fabs(value), type, &digits);
    int whole = digits.exponent + 1; /* digits before the point; negative: zeros after it */
    if (value == 0) return snprintf(out_text, TENSOR_NUMBER_TEXT, "%s0.", sign);
    if (precision >= 0 && digits.count - whole > precision) {
        int length = snprintf(out_text, TENSOR_NUMBER_TEXT, "%s%.*f", sign, precision, fabs(value));
        if (precision == 0) out_text[length++] = '.';
        while (precision > 0 && out_text[length - 1] == '0') length--;
        out_text[length] = '\0';
        return length;
    }
    char zeros[TENSOR_NUMBER_TEXT];
    memset(zeros, '0', sizeof zeros);
    if (whole <= 0) {
        return snprintf(out_text, TENSOR_NUMBER_TEXT, "%s0.%.*s%s", sign, -whole, zeros, digits.digits);
    }
    int kept = digits.count < whole ? digits.count : whole;
    return snprintf(out_text, TENSOR_NUMBER_TEXT, "%s%.*s%.*s.%s", sign, kept, digits.digits, whole - kept, zeros,
                    digits.digits + kept);
}
