/* Trials of operations: random tensors in every way that memory can be walked, and the operation's result against the reference's, as a new
 * tensor, into one of another type and layout, and over an operand. */
#ifndef TESTS_TENSOR_TRIALS_H
#define TESTS_TENSOR_TRIALS_H

#include "bench.h"
#include "reference.h"

typedef enum trial_layout {
    LAYOUT_CONTIGUOUS = 0,
    LAYOUT_TRANSPOSED,
    LAYOUT_STEPPED,  /* every second or third element */
    LAYOUT_REVERSED, /* negative strides */
    LAYOUT_OFFSET,   /* out of the middle of a larger one */
    LAYOUT_WRITABLE_COUNT,
    LAYOUT_SPREAD = LAYOUT_WRITABLE_COUNT, /* strides of 0 */
    LAYOUT_COUNT
} trial_layout;

typedef enum trial_form { FORM_NEW = 0, FORM_OUT, FORM_IN_PLACE, FORM_COUNT } trial_form;

typedef struct test_trials {
    test_bench bench;
    tarn_stream *worker;
    tarn_stream *stream; /* of the trials to come: NULL or the worker */
    uint64_t seed;
    size_t tried;
    size_t every; /* one trial of so many is done: 1, unless everything takes longer */
} test_trials;

int trials_begin(void **state);
int trials_end(void **state);

/* A number below `limit`, above 0. */
size_t trials_random(test_trials *trials, size_t limit);
/* Whether the next trial is to be left out, since everything takes longer (TARN_TEST_SLOWNESS). */
bool trials_leaves_out(test_trials *trials);
tarn_shape trials_shape(test_trials *trials, size_t rank, int64_t maximum);
/* A tensor of random elements: small ones, exact in each type, and now and then a NaN or an infinity where `with_special`. */
tarn_tensor *trials_tensor(test_trials *trials, const tarn_shape *shape, tarn_element_type type, trial_layout layout,
                           bool with_special);
/* A tensor for a result that may be cast to its type: of any such type and of any layout. */
tarn_tensor *trials_result(test_trials *trials, const tarn_shape *shape, tarn_element_type type);

/* What follows a call that answered `status`: waits for the stream and compares. Releases the result and frees `wanted`. */
void trials_judge(test_trials *trials, tarn_status status, tarn_operation operation, tarn_element_type type,
                  tarn_tensor *result, reference_tensor *wanted, const char *file, int line);
#define JUDGE(trials, status, operation, type, result, wanted) \
    trials_judge(trials, status, operation, type, result, wanted, __FILE__, __LINE__)

static inline tarn_operation_options trials_options(const test_trials *trials) {
    return (tarn_operation_options){.struct_size = sizeof(tarn_operation_options), .stream = trials->stream};
}

#endif
