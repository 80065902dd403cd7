/* Training: a perceptron learns the digits, step by step or as a captured graph that is launched for each step.
 *
 * Which samples a step learns from is drawn on the host and written to a tensor whose address stays, `picks`; the loss comes back through another one.
 * So a captured step does what any other does, with the same operations in the same order, and the losses are the same bit by bit. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/status.h"
#include "workload/digits.h"
#include "workload/perceptron.h"
#include "workload/workload.h"

#define HIDDEN 128
#define BATCH 128
#define STEPS 300
#define RATE 0.5

typedef struct training_state {
    const workload_options *options;
    work_step kept; /* holds what outlives steps */
    tarn_stream *stream;
    tarn_tensor *images, *labels, *picks, *loss;
    perceptron model;
    uint64_t drawn;
    /* Where steps are captured. */
    tarn_allocator *pool;
    tarn_graph_instance *instance;
} training_state;

static tarn_status prepare(training_state *training) {
    work_step *kept = &training->kept;
    const tarn_shape batch = {.rank = 1, .dims = {BATCH}}, one = {.rank = 0};
    training->images = digits_images(kept);
    training->labels = digits_labels(kept);
    training->model = perceptron_create(kept, DIGITS_PIXELS, HIDDEN, DIGITS_CLASSES, training->options->seed);
    training->loss = step_zeros(kept, &one);
    training->picks = step_cast(kept, step_zeros(kept, &batch), TARN_ELEMENT_I64);
    training->drawn = training->options->seed * 2 + 1;
    return kept->status;
}

/* One step's work, with its memory from `allocator`. */
static tarn_status learn(training_state *training, tarn_allocator *allocator) {
    work_step step;
    step_begin(&step, allocator, training->stream);
    tarn_tensor *x = step_gather(&step, training->images, training->picks);
    tarn_tensor *y = step_gather(&step, training->labels, training->picks);
    tarn_tensor *loss = perceptron_learn(&step, &training->model, x, y, RATE);
    if (step.status == TARN_OK) step_note(&step, tarn_tensor_copy(training->loss, loss, training->stream));
    tarn_status status = step_end(&step);
    step_note(&training->kept, status);
    return status;
}

/* Draws the samples of the next step: a linear congruential generator with Knuth's constants, its upper bits. */
static tarn_status draw(training_state *training) {
    int64_t picks[BATCH];
    for (int i = 0; i < BATCH; i++) {
        training->drawn = training->drawn * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        picks[i] = (int64_t)((training->drawn >> 33) % DIGITS_LEARNT);
    }
    work_step step;
    tarn_tensor *fresh = NULL;
    step_begin(&step, training->options->allocator, training->stream);
    tarn_status status = tarn_tensor_from_data(training->options->allocator, tarn_tensor_shape(training->picks),
                                               TARN_ELEMENT_I64, picks, training->stream, &fresh);
    fresh = step_hold(&step, status, fresh);
    if (fresh != NULL) step_note(&step, tarn_tensor_copy(training->picks, fresh, training->stream));
    status = step_end(&step);
    step_note(&training->kept, status);
    return status;
}

/* Captures one step. Nothing of it runs yet. */
static tarn_status capture(training_state *training) {
    tarn_graph *graph = NULL;
    tarn_status status = tarn_graph_pool_create(training->options->device, NULL, &training->pool);
    if (status == TARN_OK) {
        status = tarn_graph_pool_begin_capture(training->pool, training->stream, TARN_CAPTURE_THREAD_LOCAL);
    }
    if (status != TARN_OK) return status;
    status = learn(training, training->pool);
    if (status == TARN_OK) status = tarn_stream_end_capture(training->stream, &graph);
    else (void)tarn_stream_abort_capture(training->stream);
    if (status == TARN_OK) status = tarn_graph_instantiate(graph, &training->instance);
    tarn_status released = tarn_graph_release(graph);
    return status == TARN_OK ? released : status;
}

static tarn_status one_step(training_state *training, double *out_loss) {
    tarn_scalar loss;
    tarn_status status = draw(training);
    if (status == TARN_OK) {
        status = training->instance != NULL ? tarn_graph_instance_launch(training->instance, training->stream)
                                            : learn(training, training->options->allocator);
    }
    if (status == TARN_OK) status = tarn_tensor_item(training->loss, training->stream, &loss);
    if (status == TARN_OK) *out_loss = loss.floating;
    return status;
}

static int place_of_greatest(const float *values, int count) {
    int place = 0;
    for (int i = 1; i < count; i++)
        if (values[i] > values[place]) place = i;
    return place;
}

/* How many of the digits that were not learnt from are recognized. */
static tarn_status find_accuracy(training_state *training, double *out_accuracy) {
    static const size_t tested = DIGITS_COUNT - DIGITS_LEARNT;
    work_step step;
    step_begin(&step, training->options->allocator, training->stream);
    tarn_tensor *unseen = NULL;
    tarn_status status = tarn_tensor_slice(training->images, 0, DIGITS_LEARNT, DIGITS_COUNT, 1, &unseen);
    tarn_tensor *logits = perceptron_logits(&step, &training->model, step_hold(&step, status, unseen));
    float *values = calloc(tested * DIGITS_CLASSES, sizeof *values);
    if (values == NULL) step_note(&step, base_fail(TARN_OUT_OF_MEMORY, "no host memory for logits"));
    if (step.status == TARN_OK) {
        step_note(&step, tarn_tensor_read(logits, training->stream, values, tested * DIGITS_CLASSES * sizeof *values));
    }
    size_t right = 0;
    for (size_t i = 0; values != NULL && i < tested && step.status == TARN_OK; i++) {
        right += place_of_greatest(values + i * DIGITS_CLASSES, DIGITS_CLASSES) == digits_label(DIGITS_LEARNT + i);
    }
    free(values);
    *out_accuracy = (double)right / (double)tested;
    status = step_end(&step);
    step_note(&training->kept, status);
    return status;
}

static tarn_status take_steps(training_state *training, workload_result *result) {
    const workload_options *options = training->options;
    tarn_status status = TARN_OK;
    uint64_t began = base_clock_ns();
    for (size_t i = 0; i < result->steps && status == TARN_OK; i++) {
        status = one_step(training, &result->last);
        if (i == 0) result->first = result->last;
        if (status == TARN_OK && options->progress != NULL)
            options->progress(options->context, i + 1, result->steps, result->last);
    }
    result->seconds = (double)(base_clock_ns() - began) * 1e-9;
    return status;
}

tarn_status training_run(const workload_options *options, workload_result *out_result) {
    training_state *training = calloc(1, sizeof *training);
    if (training == NULL) return base_fail(TARN_OUT_OF_MEMORY, "no host memory for a workload");
    training->options = options;
    training->stream = options->stream;
    workload_result result = {
        .figure_name = "loss", .accuracy = -1, .item = "samples", .steps = options->steps > 0 ? options->steps : STEPS};
    result.items = (double)result.steps * BATCH;
    tarn_status status = TARN_OK;
    /* The default stream cannot be captured. */
    if (options->uses_graph && options->stream == NULL) {
        status = tarn_stream_create(options->device, &training->stream);
    }
    step_begin(&training->kept, options->allocator, training->stream);
    step_note(&training->kept, status);
    if (status == TARN_OK) status = prepare(training);
    if (status == TARN_OK && options->uses_graph) status = capture(training);
    if (status == TARN_OK) status = take_steps(training, &result);
    if (status == TARN_OK) status = find_accuracy(training, &result.accuracy);
    step_note(&training->kept, status);
    step_note(&training->kept, tarn_graph_instance_release(training->instance));
    status = step_end(&training->kept);
    tarn_status released = tarn_allocator_release(training->pool);
    if (status == TARN_OK) status = released;
    if (training->stream != options->stream) {
        released = tarn_stream_release(training->stream);
        if (status == TARN_OK) status = released;
    }
    free(training);
    if (status == TARN_OK) *out_result = result;
    return status;
}
