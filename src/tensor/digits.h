/* Decimal digits of floating numbers. */
#ifndef TENSOR_DIGITS_H
#define TENSOR_DIGITS_H

#include <tarn/shape.h>

/* A number that is not negative: digits[0] . digits[1] digits[2] … × 10^exponent, without zeros at the end. */
typedef struct tensor_digits {
    char digits[24]; /* ends with '\0' */
    int count;
    int exponent;
} tensor_digits;

/* Room for any number that is written without an exponent. */
#define TENSOR_NUMBER_TEXT 512

/* The fewest digits that tell `value`, finite and not negative, from its neighbours in the type; of those, the nearest. */
void tensor_digits_shortest(double value, tarn_element_type type, tensor_digits *out_digits);
/* Those, or where they are more than `precision` behind the first, the number rounded to as many; negative: those. */
void tensor_digits_scientific(double value, tarn_element_type type, int precision, tensor_digits *out_digits);
/* Likewise as text, "12.5", "12.", "0.", with at most `precision` digits after the point; negative: as many as there are. The
 * number may be negative. Returns the length. */
int tensor_digits_positional(double value, tarn_element_type type, int precision, char out_text[TENSOR_NUMBER_TEXT]);

#endif
