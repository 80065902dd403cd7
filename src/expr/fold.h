/* Computing beforehand what consists of numbers alone. */
#ifndef EXPR_FOLD_H
#define EXPR_FOLD_H

#include <stdbool.h>

#include <tarn/backend_operations.h>
#include <tarn/tensor.h>

/* Whether two floats are the same bit by bit: 0 and -0 are not, and a NaN is itself. */
bool expr_same_float(double a, double b);
/* The number as a constant of its kind's type, with all its digits: an F32 keeps them until it is cast. */
tarn_constant expr_constant_of(tarn_scalar scalar);
/* The scalar that has the constant's value and sort. */
tarn_scalar expr_scalar_of(const tarn_constant *constant);
/* The constant as a program casts it. False where that is the backend's to decide: F16 and BF16, and floats that do not fit an integer. */
bool expr_fold_cast(const tarn_constant *constant, tarn_element_type type, tarn_constant *out_constant);
/* A step of a program, on constants of the type `computed` (the first of SELECT is a BOOL). False as above, and for RANDOM. */
bool expr_fold_step(tarn_operation operation, tarn_element_type computed, const tarn_constant *operands,
                    tarn_constant *out_constant);

#endif
