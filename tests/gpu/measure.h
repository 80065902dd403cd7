/* What the parts of the measurement of a GPU share. */
#ifndef TESTS_GPU_MEASURE_H
#define TESTS_GPU_MEASURE_H

#include <stdbool.h>
#include <stddef.h>

#include <tarn/tarn.h>

/* Ends the program with the sentence of a failure. */
void measure_expect(tarn_status status, const char *call);
#define EXPECT(call) measure_expect((call), #call)

/* One figure of the result: a name, a number, its unit. */
void measure_say(const char *name, double value, const char *unit);
/* Something that was not measured, and why. */
void measure_skip(const char *name, const char *why);

/* Nanoseconds that the device takes for one call of `work`, enqueued on the default stream: the least of several rounds. */
double measure_device(tarn_device *device, void (*work)(void *context), void *context);

/* cublas.c: the least time that cuBLASLt takes for a product of square matrices of F32 (by TF32) or BF16, in nanoseconds; 0 where it is not
 * there, with the reason. */
double measure_cublas(tarn_device *device, tarn_element_type type, size_t size, const char **out_why);

#endif
