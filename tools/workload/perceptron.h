/* A multilayer perceptron with one hidden layer, its loss and, written by hand, its gradients. */
#ifndef WORKLOAD_PERCEPTRON_H
#define WORKLOAD_PERCEPTRON_H

#include "workload/step.h"

/* Weight and bias of the hidden layer, then of the last one. */
#define PERCEPTRON_PARAMETERS 4

typedef struct perceptron {
    tarn_tensor *parameters[PERCEPTRON_PARAMETERS]; /* [inputs, hidden], [hidden], [hidden, classes], [classes] */
} perceptron;

/* Parameters at random, held by the step. */
perceptron perceptron_create(work_step *step, int64_t inputs, int64_t hidden, int64_t classes, uint64_t seed);
/* What the last layer says of the samples `x`, [samples, inputs]: [samples, classes]. */
tarn_tensor *perceptron_logits(work_step *step, const perceptron *model, tarn_tensor *x);
/* The mean cross-entropy of the samples whose classes `y` has ones at, a tensor of rank 0, and its gradients by the parameters. */
tarn_tensor *perceptron_gradients(work_step *step, const perceptron *model, tarn_tensor *x, tarn_tensor *y,
                                  tarn_tensor **out_gradients);
/* One step of gradient descent: the parameters change in place. The loss from before. */
tarn_tensor *perceptron_learn(work_step *step, const perceptron *model, tarn_tensor *x, tarn_tensor *y, double rate);

#endif
