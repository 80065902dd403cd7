/* The list of workloads. */
#include "workload/workload.h"

static const workload workloads[] = {
    {"training", "a multilayer perceptron learns handwritten digits", "caching", true, training_run},
    {"transformer", "a transformer block over sequences of varying length", "predictive", false, transformer_run},
    {"convolution", "a small convolutional net looks at handwritten digits", "caching", false, convolution_run},
    {"expressions", "a batch of fused expressions with planned memory", "arena | caching", false, expressions_run},
};

const workload *workload_at(size_t number) {
    return number < sizeof workloads / sizeof workloads[0] ? &workloads[number] : NULL;
}
