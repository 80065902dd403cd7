/* Reading the digits out of what the tool carries, a NumPy file with a header of 128 bytes. */
#include "workload/digits.h"

#include <stdlib.h>

#include "base/status.h"
#include "workload/digits_data.h"

#define COLUMNS (DIGITS_PIXELS + 1)
#define HEADER (DIGITS_DATA_SIZE - DIGITS_COUNT * COLUMNS)

static const unsigned char *digit(size_t number) { return digits_data + HEADER + number * COLUMNS; }

int digits_label(size_t number) { return digit(number)[DIGITS_PIXELS]; }

/* A tensor of DIGITS_COUNT rows, which are there as floats. */
static tarn_tensor *make(work_step *step, float *values, int64_t columns) {
    tarn_tensor *tensor = NULL;
    const tarn_shape shape = {.rank = 2, .dims = {DIGITS_COUNT, columns}};
    tarn_status status =
        tarn_tensor_from_data(step->options.allocator, &shape, TARN_ELEMENT_F32, values, step->options.stream, &tensor);
    free(values);
    return step_hold(step, status, tensor);
}

static float *allocate(work_step *step, size_t columns) {
    float *values = step->status == TARN_OK ? calloc(DIGITS_COUNT * columns, sizeof *values) : NULL;
    if (values == NULL && step->status == TARN_OK) {
        step_note(step, base_fail(TARN_OUT_OF_MEMORY, "no host memory for the digits"));
    }
    return values;
}

tarn_tensor *digits_images(work_step *step) {
    float *values = allocate(step, DIGITS_PIXELS);
    if (values == NULL) return NULL;
    for (size_t i = 0; i < DIGITS_COUNT; i++)
        for (size_t k = 0; k < DIGITS_PIXELS; k++) values[i * DIGITS_PIXELS + k] = (float)digit(i)[k] / 16;
    return make(step, values, DIGITS_PIXELS);
}

tarn_tensor *digits_labels(work_step *step) {
    float *values = allocate(step, DIGITS_CLASSES);
    if (values == NULL) return NULL;
    for (size_t i = 0; i < DIGITS_COUNT; i++) values[i * DIGITS_CLASSES + (size_t)digits_label(i)] = 1;
    return make(step, values, DIGITS_CLASSES);
}
