/* The gradients that were written by hand, against differences of the loss, in F64. */
#include "bench.h"

#include <math.h>

#include "workload/perceptron.h"

#define SAMPLES 5
#define INPUTS 3
#define HIDDEN 4
#define CLASSES 3

static test_bench bench;
static work_step kept;
static perceptron model;
static tarn_tensor *x, *y;

static int open_bench(void **state) {
    (void)state;
    bench_open(&bench, "cpu", "caching");
    step_begin(&kept, bench.allocator, NULL);
    model = perceptron_create(&kept, INPUTS, HIDDEN, CLASSES, 7);
    uint64_t number = 100;
    for (int i = 0; i < PERCEPTRON_PARAMETERS; i++) {
        model.parameters[i] = step_cast(&kept, model.parameters[i], TARN_ELEMENT_F64);
    }
    x = step_cast(&kept, step_random(&kept, SHAPE(SAMPLES, INPUTS), 7, &number, 1), TARN_ELEMENT_F64);
    double labels[SAMPLES * CLASSES] = {0};
    for (int i = 0; i < SAMPLES; i++) labels[i * CLASSES + i % CLASSES] = 1;
    EXPECT_OK(tarn_tensor_from_data(bench.allocator, SHAPE(SAMPLES, CLASSES), TARN_ELEMENT_F64, labels, NULL, &y));
    assert_int_equal(kept.status, TARN_OK);
    return 0;
}

static int close_bench(void **state) {
    (void)state;
    tarn_tensor_release(y);
    EXPECT_OK(step_end(&kept));
    bench_close(&bench);
    return 0;
}

static double loss_now(void) {
    work_step step;
    tarn_tensor *gradients[PERCEPTRON_PARAMETERS];
    tarn_scalar loss = {.kind = TARN_SCALAR_FLOAT};
    step_begin(&step, bench.allocator, NULL);
    tarn_tensor *found = perceptron_gradients(&step, &model, x, y, gradients);
    EXPECT_OK(tarn_tensor_item(found, NULL, &loss));
    EXPECT_OK(step_end(&step));
    return loss.floating;
}

static void gradients_are_the_slopes_of_the_loss(void **state) {
    (void)state;
    static const double little = 1e-6;
    work_step step;
    tarn_tensor *gradients[PERCEPTRON_PARAMETERS];
    step_begin(&step, bench.allocator, NULL);
    assert_non_null(perceptron_gradients(&step, &model, x, y, gradients));
    for (int i = 0; i < PERCEPTRON_PARAMETERS; i++) {
        double *parameters = tarn_tensor_data(model.parameters[i]);
        tarn_tensor *gradient = NULL;
        EXPECT_OK(tarn_tensor_contiguous(gradients[i], NULL, &gradient));
        const double *slopes = tarn_tensor_data(gradient);
        assert_int_equal(tarn_tensor_elements(gradient), tarn_tensor_elements(model.parameters[i]));
        for (size_t k = 0; k < tarn_tensor_elements(gradient); k++) {
            double before = parameters[k];
            parameters[k] = before + little;
            double above = loss_now();
            parameters[k] = before - little;
            double below = loss_now();
            parameters[k] = before;
            assert_true(fabs((above - below) / (2 * little) - slopes[k]) < 1e-7);
        }
        tarn_tensor_release(gradient);
    }
    EXPECT_OK(step_end(&step));
}

static void learning_lowers_the_loss(void **state) {
    (void)state;
    double before = loss_now();
    for (int i = 0; i < 20; i++) {
        work_step step;
        step_begin(&step, bench.allocator, NULL);
        assert_non_null(perceptron_learn(&step, &model, x, y, 0.2));
        EXPECT_OK(step_end(&step));
    }
    assert_true(loss_now() < 0.8 * before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_the_slopes_of_the_loss),
        cmocka_unit_test(learning_lowers_the_loss),
    };
    return cmocka_run_group_tests(tests, open_bench, close_bench);
}
