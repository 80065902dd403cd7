/* What the parts of the measurement of a GPU share. */
#ifndef TESTS_GPU_MEASURE_H
#define TESTS_GPU_MEASURE_H

#include <stdbool.h>
#include <stddef.h>

#include <tarn/tarn.h>

/* Ends the program with the sentence of a failure. */
void measure_expect(tarn_status status, const char *call);
#define EXPECT(call) measure_expect((call), #call)

/* One figure of the result: a name, a number, its unit; and one that has a target. */
typedef enum measure_sense { MEASURE_AT_MOST, MEASURE_AT_LEAST } measure_sense;
void measure_say(const char *name, double value, const char *unit);
void measure_judge(const char *name, double value, const char *unit, measure_sense sense, double target);
/* Something that was not measured, and why. */
void measure_skip(const char *name, const char *why);

/* How often everything is measured; the least counts. */
int measure_rounds(void);
/* Whether there is nothing to measure: the device is the tests' own. */
bool measure_is_rehearsal(void);
/* Nanoseconds that the device takes for one call of `work`, enqueued on the default stream: the least of several rounds. */
double measure_device(tarn_device *device, void (*work)(void *context), void *context);

/* Bytes a nanosecond: reads and writes of a copy. */
extern double measure_ceiling;

/* allocating.c */
void measure_allocating(tarn_device *device);

/* operations.c: passes over `size` bytes; with them products of square matrices of that edge, and convolutions. */
void measure_passes(tarn_device *device, size_t size);
void measure_operations(tarn_device *device, size_t size, size_t edge);

/* cublas.c: the least time that cuBLASLt takes for a product of square matrices of F32 (without TF32, as Tarn's) or BF16 in device memory, in
 * nanoseconds; 0 where it is not there, with the reason. */
double measure_cublas(tarn_device *device, tarn_element_type type, size_t size, void *a, void *b, void *result,
                      const char **out_why);

#endif
