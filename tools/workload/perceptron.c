/* Forwards: h = relu(x·W1 + b1), z = h·W2 + b2, p = softmax(z), loss = -mean(log p at the right class).
 * Backwards: dz = (p - y) / samples, dW2 = hᵀ·dz, db2 = Σ dz, dh = dz·W2ᵀ where h > 0, dW1 = xᵀ·dh, db1 = Σ dh. */
#include "workload/perceptron.h"

#include <math.h>

perceptron perceptron_create(work_step *step, int64_t inputs, int64_t hidden, int64_t classes, uint64_t seed) {
    uint64_t number = 0;
    const tarn_shape first = {.rank = 2, .dims = {inputs, hidden}}, second = {.rank = 2, .dims = {hidden, classes}};
    const tarn_shape first_bias = {.rank = 1, .dims = {hidden}}, second_bias = {.rank = 1, .dims = {classes}};
    return (perceptron){
        {step_random(step, &first, seed, &number, sqrt(2.0 / (double)inputs)), step_zeros(step, &first_bias),
         step_random(step, &second, seed, &number, sqrt(2.0 / (double)hidden)), step_zeros(step, &second_bias)}};
}

static tarn_tensor *hidden_layer(work_step *step, const perceptron *model, tarn_tensor *x) {
    return step_linear(step, x, model->parameters[0], model->parameters[1], TARN_OPERATION_RELU);
}

tarn_tensor *perceptron_logits(work_step *step, const perceptron *model, tarn_tensor *x) {
    return step_linear(step, hidden_layer(step, model, x), model->parameters[2], model->parameters[3],
                       TARN_OPERATION_COPY);
}

/* -Σ y·log(p) / samples, with p kept from 0. */
static tarn_tensor *find_loss(work_step *step, tarn_tensor *p, tarn_tensor *y) {
    tarn_tensor *logarithms = step_unary(step, TARN_OPERATION_LOG, step_scalar(step, TARN_OPERATION_MAXIMUM, p, 1e-30));
    tarn_tensor *sum =
        step_reduce_all(step, TARN_OPERATION_SUM, step_binary(step, TARN_OPERATION_MULTIPLY, y, logarithms));
    return step_scalar(step, TARN_OPERATION_DIVIDE, sum, -(double)tarn_tensor_shape(y)->dims[0]);
}

static tarn_tensor *transposed(work_step *step, tarn_tensor *x) { return step_transpose(step, x, NULL); }

static tarn_tensor *product(work_step *step, tarn_tensor *a, tarn_tensor *b) {
    return step_linear(step, a, b, NULL, TARN_OPERATION_COPY);
}

tarn_tensor *perceptron_gradients(work_step *step, const perceptron *model, tarn_tensor *x, tarn_tensor *y,
                                  tarn_tensor **out_gradients) {
    tarn_tensor *h = hidden_layer(step, model, x);
    tarn_tensor *z = step_linear(step, h, model->parameters[2], model->parameters[3], TARN_OPERATION_COPY);
    tarn_tensor *p = step_softmax(step, z, -1);
    tarn_tensor *dz = step_scalar(step, TARN_OPERATION_DIVIDE, step_binary(step, TARN_OPERATION_SUBTRACT, p, y),
                                  (double)tarn_tensor_shape(y)->dims[0]);
    tarn_tensor *passed = product(step, dz, transposed(step, model->parameters[2]));
    /* 1 where the hidden layer passed something on: relu is 0 elsewhere. */
    tarn_tensor *is_open = step_cast(step, h, TARN_ELEMENT_BOOL);
    tarn_tensor *dh = step_binary(step, TARN_OPERATION_MULTIPLY, passed, is_open);
    out_gradients[0] = product(step, transposed(step, x), dh);
    out_gradients[1] = step_reduce(step, TARN_OPERATION_SUM, dh, 0, 0);
    out_gradients[2] = product(step, transposed(step, h), dz);
    out_gradients[3] = step_reduce(step, TARN_OPERATION_SUM, dz, 0, 0);
    return find_loss(step, p, y);
}

tarn_tensor *perceptron_learn(work_step *step, const perceptron *model, tarn_tensor *x, tarn_tensor *y, double rate) {
    tarn_tensor *gradients[PERCEPTRON_PARAMETERS];
    tarn_tensor *loss = perceptron_gradients(step, model, x, y, gradients);
    for (int i = 0; i < PERCEPTRON_PARAMETERS; i++) {
        tarn_tensor *change = step_scalar(step, TARN_OPERATION_MULTIPLY, gradients[i], rate);
        step_binary_into(step, TARN_OPERATION_SUBTRACT, model->parameters[i], change);
    }
    return loss;
}
