/* Reductions: each over every set of dimensions, on all types and layouts, with dimensions kept and without, into new tensors and given ones. */
#include <math.h>

#include "tensor/infer.h"
#include "trials.h"

static void try(test_trials *trials, tarn_operation operation, tarn_tensor *x, uint32_t mask, bool keeps_dims,
                bool is_given) {
    const tensor_argument argument = {.shape = tarn_tensor_shape(x), .type = tarn_tensor_type(x)};
    const tensor_reduce_attributes attributes = {.dims = mask, .keeps_dims = keeps_dims};
    const tarn_operation_options options = trials_options(trials);
    int dims[TARN_MAXIMUM_RANK];
    size_t count = 0;
    /* From the end or from the beginning: both mean the same. */
    for (int i = 0; i < (int)argument.shape->rank; i++)
        if ((mask >> i & 1) != 0) dims[count++] = i % 2 == 0 ? i : i - (int)argument.shape->rank;
    tensor_inferred inferred;
    tarn_status status = tensor_infer_reduce(operation, &argument, &attributes, &inferred);
    tarn_tensor *result = NULL;
    if (status != TARN_OK) {
        assert_int_equal(tarn_reduce(operation, x, dims, count, keeps_dims, &options, &result), status);
    } else {
        reference_tensor read = reference_read(x);
        reference_tensor wanted =
            reference_reduce(operation, &read, mask, keeps_dims, &inferred.shape, inferred.computed);
        if (is_given) result = trials_result(trials, &inferred.shape, inferred.type);
        status = tarn_reduce(operation, x, dims, count, keeps_dims, &options, &result);
        JUDGE(trials, status, operation, argument.type, result, &wanted);
        reference_free(&read);
    }
    EXPECT_OK(tarn_tensor_release(x));
}

static void reductions_match_the_reference(void **state) {
    test_trials *trials = *state;
    for (int operation = TARN_OPERATION_SUM; operation <= TARN_OPERATION_MIN; operation++) {
        for (int type = 0; type < TARN_ELEMENT_TYPE_COUNT; type++) {
            for (int layout = 0; layout < LAYOUT_COUNT; layout++) {
                for (uint32_t mask = 1; mask < 8; mask++) {
                    if (trials_leaves_out(trials)) continue;
                    const tarn_shape shape = trials_shape(trials, 3, 4);
                    tarn_tensor *x =
                        trials_tensor(trials, &shape, (tarn_element_type)type, (trial_layout)layout, mask % 2 == 0);
                    trials->stream = trials_random(trials, 4) == 0 ? trials->worker : NULL;
                    try(trials, (tarn_operation)operation, x, mask, trials_random(trials, 2) == 0,
                        trials_random(trials, 2) == 0);
                }
            }
        }
    }
}

/* Rows, columns, planes between others, and everything, long enough for vectors and threads. */
static void long_reductions_match_the_reference(void **state) {
    test_trials *trials = *state;
    static const tarn_element_type types[] = {TARN_ELEMENT_F32, TARN_ELEMENT_F64, TARN_ELEMENT_F16, TARN_ELEMENT_I32};
    static const tarn_operation operations[] = {TARN_OPERATION_SUM, TARN_OPERATION_MEAN, TARN_OPERATION_MAX};
    const struct {
        tarn_shape shape;
        uint32_t mask;
    } cases[] = {{{.rank = 1, .dims = {20011}}, 1},     {{.rank = 2, .dims = {5, 4099}}, 2},
                 {{.rank = 2, .dims = {4099, 5}}, 1},   {{.rank = 2, .dims = {4099, 5}}, 2},
                 {{.rank = 3, .dims = {9, 33, 65}}, 2}, {{.rank = 3, .dims = {9, 33, 65}}, 5},
                 {{.rank = 2, .dims = {131, 601}}, 1},  {{.rank = 3, .dims = {2, 77, 1030}}, 2}};
    trials->stream = NULL;
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        for (size_t j = 0; j < sizeof types / sizeof types[0]; j++) {
            for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
                if (trials_leaves_out(trials)) continue;
                tarn_tensor *x = trials_tensor(trials, &cases[k].shape, types[j], LAYOUT_CONTIGUOUS, false);
                try(trials, operations[i], x, cases[k].mask, false, false);
            }
        }
    }
}

static void single_elements_reduce_to_themselves(void **state) {
    test_trials *trials = *state;
    for (int operation = TARN_OPERATION_SUM; operation <= TARN_OPERATION_MIN; operation++) {
        for (int type = 0; type < TARN_ELEMENT_TYPE_COUNT; type++) {
            tarn_tensor *single =
                trials_tensor(trials, NO_DIMENSIONS, (tarn_element_type)type, LAYOUT_CONTIGUOUS, false);
            tarn_tensor *ones = trials_tensor(trials, SHAPE(1, 1), (tarn_element_type)type, LAYOUT_CONTIGUOUS, false);
            trials->stream = NULL;
            try(trials, (tarn_operation)operation, single, 0, false, false);
            try(trials, (tarn_operation)operation, ones, 2, true, false);
        }
    }
}

static void nothing_reduces_to_what_changes_nothing(void **state) {
    test_trials *trials = *state;
    tarn_tensor *x = counting(&trials->bench, SHAPE(2, 0)), *result = NULL;
    static const struct {
        tarn_status (*call)(tarn_tensor *, const int *, size_t, int, const tarn_operation_options *, tarn_tensor **);
        float wanted;
    } cases[] = {{tarn_sum, 0}, {tarn_prod, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        EXPECT_OK(cases[i].call(x, (const int[]){1}, 1, 0, NULL, &result));
        EXPECT_FLOATS(result, cases[i].wanted, cases[i].wanted);
    }
    EXPECT_OK(tarn_tensor_release(result));
    result = NULL;
    EXPECT_OK(tarn_mean(x, NULL, 0, 1, NULL, &result));
    float mean;
    EXPECT_OK(tarn_tensor_read(result, NULL, &mean, sizeof mean));
    assert_true(isnan(mean));
    EXPECT_OK(tarn_tensor_release(result));
    result = NULL;
    EXPECT(TARN_INVALID_ARGUMENT, tarn_max(x, (const int[]){1}, 1, 0, NULL, &result));
    EXPECT_SENTENCE("max: over no elements of the shape [2, 0]");
    EXPECT(TARN_INVALID_ARGUMENT, tarn_min(x, NULL, 0, 0, NULL, &result));
    assert_null(result);
    EXPECT_OK(tarn_tensor_release(x));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reductions_match_the_reference),
        cmocka_unit_test(long_reductions_match_the_reference),
        cmocka_unit_test(single_elements_reduce_to_themselves),
        cmocka_unit_test(nothing_reduces_to_what_changes_nothing),
    };
    return cmocka_run_group_tests(tests, trials_begin, trials_end);
}
