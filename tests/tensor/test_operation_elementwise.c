/* Elementwise operations: each on all types, broadcast, with all layouts, as a new tensor, into another one and in place, on the default stream
 * and on a worker's. */
#include <stdio.h>

#include "tensor/infer.h"
#include "trials.h"

/* What is tried once. */
typedef struct test_attempt {
    tarn_operation operation;
    size_t count; /* of operands, a scalar among them */
    tarn_tensor *tensors[3];
    const tarn_scalar *scalar;
    size_t scalar_place;
} test_attempt;

static tarn_status call(const test_trials *trials, const test_attempt *attempt, tarn_tensor **inout_result) {
    const tarn_operation_options options = trials_options(trials);
    const tarn_operation operation = attempt->operation;
    tarn_tensor *const *tensors = attempt->tensors;
    if (attempt->scalar != NULL && attempt->scalar_place == 0)
        return tarn_scalar_binary(operation, *attempt->scalar, tensors[0], &options, inout_result);
    if (attempt->scalar != NULL)
        return tarn_binary_scalar(operation, tensors[0], *attempt->scalar, &options, inout_result);
    if (attempt->count == 1) return tarn_unary(operation, tensors[0], &options, inout_result);
    if (attempt->count == 2) return tarn_binary(operation, tensors[0], tensors[1], &options, inout_result);
    return tarn_select(tensors[0], tensors[1], tensors[2], &options, inout_result);
}

/* The result before the call: none, one of another type and layout, or an operand that can be written over. */
static tarn_tensor *choose_result(test_trials *trials, const test_attempt *attempt, const tensor_inferred *inferred,
                                  trial_form form) {
    if (form == FORM_OUT) return trials_result(trials, &inferred->shape, inferred->type);
    size_t tensors = attempt->count - (attempt->scalar != NULL);
    for (size_t i = 0; i < tensors && form == FORM_IN_PLACE; i++) {
        tarn_tensor *tensor = attempt->tensors[i];
        if (!tarn_shape_equals(tarn_tensor_shape(tensor), &inferred->shape) || tarn_tensor_is_read_only(tensor) ||
            !tensor_type_can_cast(inferred->type, tarn_tensor_type(tensor)))
            continue;
        return tarn_tensor_retain(tensor);
    }
    return NULL;
}

/* Tries the operation on the tensors, which are released. */
static void try(test_trials *trials, const test_attempt *attempt, trial_form form, int line) {
    reference_tensor operands[3];
    tensor_argument arguments[3] = {{0}};
    size_t next = 0, tensors = attempt->count - (attempt->scalar != NULL);
    tarn_element_type scalar_type = TARN_ELEMENT_F64;
    for (size_t i = 0; i < attempt->count; i++) {
        bool is_scalar = attempt->scalar != NULL && i == attempt->scalar_place;
        arguments[i] = is_scalar ? tensor_argument_of_scalar(attempt->scalar->kind)
                                 : (tensor_argument){.shape = tarn_tensor_shape(attempt->tensors[next]),
                                                     .type = tarn_tensor_type(attempt->tensors[next])};
        if (is_scalar && attempt->scalar->kind != TARN_SCALAR_FLOAT) scalar_type = TARN_ELEMENT_I64;
        operands[i] =
            is_scalar ? reference_of_scalar(*attempt->scalar, scalar_type) : reference_read(attempt->tensors[next]);
        next += !is_scalar;
    }
    tensor_inferred inferred;
    const tensor_node node = {.operation = attempt->operation, .attributes.cast = arguments[0].type};
    tarn_status status = tensor_infer(&node, arguments, &inferred);
    tarn_tensor *result = NULL;
    if (status == TARN_OK) {
        reference_tensor wanted = reference_elementwise(attempt->operation, operands, attempt->count, &inferred.shape,
                                                        inferred.computed, inferred.type);
        result = choose_result(trials, attempt, &inferred, form);
        status = call(trials, attempt, &result);
        trials_judge(trials, status, attempt->operation, inferred.computed, result, &wanted, __FILE__, line);
    } else {
        assert_int_equal(call(trials, attempt, &result), status);
        assert_null(result);
    }
    for (size_t i = 0; i < attempt->count; i++) reference_free(&operands[i]);
    for (size_t i = 0; i < tensors; i++) EXPECT_OK(tarn_tensor_release(attempt->tensors[i]));
}

/* Some dimensions of a shape, counted from the end, and 1 for some of these. */
static tarn_shape smaller_shape(test_trials *trials, const tarn_shape *shape) {
    tarn_shape smaller = {.rank = trials_random(trials, shape->rank + 1)};
    for (size_t i = 0; i < smaller.rank; i++) {
        int64_t dim = shape->dims[shape->rank - smaller.rank + i];
        smaller.dims[i] = trials_random(trials, 3) == 0 ? 1 : dim;
    }
    return smaller;
}

static trial_layout any_layout(test_trials *trials) { return (trial_layout)trials_random(trials, LAYOUT_COUNT); }

static void unary_operations_match_the_reference(void **state) {
    test_trials *trials = *state;
    for (int operation = TARN_OPERATION_COPY; operation <= TARN_OPERATION_TANH; operation++) {
        for (int type = 0; type < TARN_ELEMENT_TYPE_COUNT; type++) {
            for (int i = 0; i < LAYOUT_COUNT * FORM_COUNT; i++) {
                if (trials_leaves_out(trials)) continue;
                test_attempt attempt = {.operation = (tarn_operation)operation, .count = 1};
                const tarn_shape shape = trials_shape(trials, trials_random(trials, 4), 5);
                attempt.tensors[0] =
                    trials_tensor(trials, &shape, (tarn_element_type)type, (trial_layout)(i % LAYOUT_COUNT), true);
                trials->stream = trials_random(trials, 4) == 0 ? trials->worker : NULL;
                try(trials, &attempt, (trial_form)(i / LAYOUT_COUNT), __LINE__);
            }
        }
    }
}

/* Each pair of types, with shapes and layouts by chance. */
static void try_binary(test_trials *trials, tarn_operation operation, int pair, trial_form form) {
    if (trials_leaves_out(trials)) return;
    const tarn_shape shape = trials_shape(trials, trials_random(trials, 4), 5);
    const tarn_shape smaller = trials_random(trials, 3) == 0 ? shape : smaller_shape(trials, &shape);
    const tarn_element_type types[2] = {(tarn_element_type)(pair / TARN_ELEMENT_TYPE_COUNT),
                                        (tarn_element_type)(pair % TARN_ELEMENT_TYPE_COUNT)};
    size_t whole = form == FORM_IN_PLACE ? 0 : trials_random(trials, 2);
    test_attempt attempt = {.operation = operation, .count = 2};
    for (size_t i = 0; i < 2; i++)
        attempt.tensors[i] = trials_tensor(trials, i == whole ? &shape : &smaller, types[i], any_layout(trials), true);
    trials->stream = trials_random(trials, 4) == 0 ? trials->worker : NULL;
    try(trials, &attempt, form, __LINE__);
}

static void binary_operations_match_the_reference(void **state) {
    for (int operation = TARN_OPERATION_ADD; operation <= TARN_OPERATION_LESS_EQUAL; operation++) {
        for (int pair = 0; pair < TARN_ELEMENT_TYPE_COUNT * TARN_ELEMENT_TYPE_COUNT; pair++)
            for (int form = 0; form < FORM_COUNT; form++)
                try_binary(*state, (tarn_operation)operation, pair, (trial_form)form);
    }
}

static void scalars_on_either_side_match_the_reference(void **state) {
    test_trials *trials = *state;
    const tarn_scalar scalars[] = {tarn_scalar_float(0.75), tarn_scalar_float(-2), tarn_scalar_integer(3),
                                   tarn_scalar_integer(-300), tarn_scalar_bool(1)};
    for (int operation = TARN_OPERATION_ADD; operation <= TARN_OPERATION_LESS_EQUAL; operation++) {
        for (int type = 0; type < TARN_ELEMENT_TYPE_COUNT; type++) {
            for (size_t i = 0; i < 2 * sizeof scalars / sizeof scalars[0]; i++) {
                if (trials_leaves_out(trials)) continue;
                const tarn_shape shape = trials_shape(trials, trials_random(trials, 3), 5);
                test_attempt attempt = {.operation = (tarn_operation)operation,
                                        .count = 2,
                                        .scalar = &scalars[i / 2],
                                        .scalar_place = i % 2};
                attempt.tensors[0] = trials_tensor(trials, &shape, (tarn_element_type)type, any_layout(trials), true);
                trials->stream = NULL;
                try(trials, &attempt, (trial_form)trials_random(trials, FORM_COUNT), __LINE__);
            }
        }
    }
}

static void selections_match_the_reference(void **state) {
    test_trials *trials = *state;
    for (int pair = 0; pair < TARN_ELEMENT_TYPE_COUNT * TARN_ELEMENT_TYPE_COUNT; pair++) {
        for (int form = 0; form < FORM_COUNT; form++) {
            if (trials_leaves_out(trials)) continue;
            const tarn_shape shape = trials_shape(trials, trials_random(trials, 4), 5);
            const tarn_element_type types[3] = {TARN_ELEMENT_BOOL, (tarn_element_type)(pair / TARN_ELEMENT_TYPE_COUNT),
                                                (tarn_element_type)(pair % TARN_ELEMENT_TYPE_COUNT)};
            test_attempt attempt = {.operation = TARN_OPERATION_SELECT, .count = 3};
            for (size_t i = 0; i < 3; i++) {
                const tarn_shape smaller = smaller_shape(trials, &shape);
                attempt.tensors[i] =
                    trials_tensor(trials, i == 1 ? &shape : &smaller, types[i], any_layout(trials), true);
            }
            trials->stream = trials_random(trials, 4) == 0 ? trials->worker : NULL;
            try(trials, &attempt, (trial_form)form, __LINE__);
        }
    }
}

/* Long enough for vectors, their ends, and several threads. */
static void long_operands_match_the_reference(void **state) {
    test_trials *trials = *state;
    static const tarn_operation operations[] = {TARN_OPERATION_EXP, TARN_OPERATION_TANH,    TARN_OPERATION_ADD,
                                                TARN_OPERATION_POW, TARN_OPERATION_MAXIMUM, TARN_OPERATION_LESS};
    static const tarn_element_type types[] = {TARN_ELEMENT_F32, TARN_ELEMENT_BF16, TARN_ELEMENT_U8};
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        for (size_t j = 0; j < sizeof types / sizeof types[0]; j++) {
            if (trials_leaves_out(trials)) continue;
            test_attempt attempt = {.operation = operations[i], .count = operations[i] < TARN_OPERATION_ADD ? 1 : 2};
            const tarn_shape shape = {.rank = 2, .dims = {3, 1037 + (int64_t)trials_random(trials, 64)}};
            for (size_t k = 0; k < attempt.count; k++)
                attempt.tensors[k] = trials_tensor(trials, &shape, types[j], (trial_layout)(j % LAYOUT_COUNT), true);
            trials->stream = NULL;
            try(trials, &attempt, FORM_NEW, __LINE__);
        }
    }
}

static void integers_wrap_around(void **state) {
    test_trials *trials = *state;
    test_bench *bench = &trials->bench;
    const int32_t data[2] = {INT32_MAX, INT32_MIN};
    tarn_tensor *x, *sum = NULL, *product = NULL;
    EXPECT_OK(tarn_tensor_from_data(bench->allocator, SHAPE(2), TARN_ELEMENT_I32, data, NULL, &x));
    EXPECT_OK(tarn_add(x, x, NULL, &sum));
    EXPECT_OK(tarn_binary_scalar(TARN_OPERATION_MULTIPLY, x, tarn_scalar_integer(3), NULL, &product));
    int32_t sums[2], products[2];
    EXPECT_OK(tarn_tensor_read(sum, NULL, sums, sizeof sums));
    EXPECT_OK(tarn_tensor_read(product, NULL, products, sizeof products));
    assert_int_equal(sums[0], -2);
    assert_int_equal(sums[1], 0);
    assert_int_equal(products[0], INT32_MAX - 2);
    assert_int_equal(products[1], INT32_MIN);
    EXPECT_OK(tarn_tensor_release(product));
    EXPECT_OK(tarn_tensor_release(sum));
    EXPECT_OK(tarn_tensor_release(x));
}

static void operations_have_names(void **state) {
    test_trials *trials = *state;
    tarn_tensor *x = counting(&trials->bench, SHAPE(3));
    static const struct {
        tarn_operation operation;
        tarn_status (*call)(tarn_tensor *, const tarn_operation_options *, tarn_tensor **);
    } unary[] = {
        {TARN_OPERATION_NEG, tarn_neg},   {TARN_OPERATION_EXP, tarn_exp},         {TARN_OPERATION_LOG, tarn_log},
        {TARN_OPERATION_SQRT, tarn_sqrt}, {TARN_OPERATION_SIN, tarn_sin},         {TARN_OPERATION_COS, tarn_cos},
        {TARN_OPERATION_RELU, tarn_relu}, {TARN_OPERATION_SIGMOID, tarn_sigmoid}, {TARN_OPERATION_TANH, tarn_tanh}};
    static const struct {
        tarn_operation operation;
        tarn_status (*call)(tarn_tensor *, tarn_tensor *, const tarn_operation_options *, tarn_tensor **);
    } binary[] = {{TARN_OPERATION_ADD, tarn_add},           {TARN_OPERATION_SUBTRACT, tarn_subtract},
                  {TARN_OPERATION_MULTIPLY, tarn_multiply}, {TARN_OPERATION_DIVIDE, tarn_divide},
                  {TARN_OPERATION_POW, tarn_pow},           {TARN_OPERATION_MAXIMUM, tarn_maximum},
                  {TARN_OPERATION_MINIMUM, tarn_minimum}};
    reference_tensor read = reference_read(x);
    const reference_tensor operands[2] = {read, read};
    trials->stream = NULL;
    for (size_t i = 0; i < sizeof unary / sizeof unary[0]; i++) {
        tarn_tensor *result = NULL;
        reference_tensor wanted =
            reference_elementwise(unary[i].operation, operands, 1, SHAPE(3), TARN_ELEMENT_F32, TARN_ELEMENT_F32);
        tarn_status status = unary[i].call(x, NULL, &result);
        JUDGE(trials, status, unary[i].operation, TARN_ELEMENT_F32, result, &wanted);
    }
    for (size_t i = 0; i < sizeof binary / sizeof binary[0]; i++) {
        tarn_tensor *result = NULL;
        reference_tensor wanted =
            reference_elementwise(binary[i].operation, operands, 2, SHAPE(3), TARN_ELEMENT_F32, TARN_ELEMENT_F32);
        tarn_status status = binary[i].call(x, x, NULL, &result);
        JUDGE(trials, status, binary[i].operation, TARN_ELEMENT_F32, result, &wanted);
    }
    reference_free(&read);
    EXPECT_OK(tarn_tensor_release(x));
}

static void empty_operands_give_empty_results(void **state) {
    test_trials *trials = *state;
    tarn_tensor *x = counting(&trials->bench, SHAPE(2, 0)), *row = counting(&trials->bench, SHAPE(2, 1)),
                *result = NULL;
    EXPECT_OK(tarn_add(x, row, NULL, &result));
    EXPECT_SHAPE(result, "[2, 0]");
    assert_null(tarn_tensor_data(result));
    EXPECT_OK(tarn_add(x, row, NULL, &result));
    EXPECT_OK(tarn_tensor_release(result));
    EXPECT_OK(tarn_tensor_release(row));
    EXPECT_OK(tarn_tensor_release(x));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unary_operations_match_the_reference),
        cmocka_unit_test(binary_operations_match_the_reference),
        cmocka_unit_test(scalars_on_either_side_match_the_reference),
        cmocka_unit_test(selections_match_the_reference),
        cmocka_unit_test(long_operands_match_the_reference),
        cmocka_unit_test(integers_wrap_around),
        cmocka_unit_test(operations_have_names),
        cmocka_unit_test(empty_operands_give_empty_results),
    };
    return cmocka_run_group_tests(tests, trials_begin, trials_end);
}
