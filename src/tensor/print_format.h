/* The one form that all elements of a text have: NumPy's FloatingFormat, IntegerFormat and BoolFormat (numpy/_core/arrayprint.py, its
 * rules as of NumPy 2.3, where single and half precision change to exponents at 10^6 and 10^3). */
#ifndef TENSOR_PRINT_FORMAT_H
#define TENSOR_PRINT_FORMAT_H

#include "tensor/digits.h"
#include "tensor/tensor.h"

/* Room for any element's text, whatever the padding. */
#define PRINT_ELEMENT_TEXT (2 * TENSOR_NUMBER_TEXT)

typedef struct print_format {
    tarn_element_type type;
    bool is_single;     /* of a tensor without dimensions, which stands for itself */
    bool is_scientific; /* with exponents */
    int precision;      /* most digits after the point; with exponents: exactly as many */
    int before, after;  /* characters before the point, with the sign, and behind it */
    int exponent;       /* digits of an exponent */
} print_format;

/* Finds the form for `count` elements. */
void print_format_begin(print_format *format, tarn_element_type type, bool is_single, int precision,
                        const void *elements, size_t count);
/* Writes one element and returns the length. */
int print_format_element(const print_format *format, const void *element, char out_text[PRINT_ELEMENT_TEXT]);

#endif
