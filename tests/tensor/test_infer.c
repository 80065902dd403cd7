/* Inference: shapes and types of results from those of operands, and what is refused. The types are PyTorch's, the shapes NumPy's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "tensor/infer.h"

#define F32 TARN_ELEMENT_F32
#define F16 TARN_ELEMENT_F16
#define BF16 TARN_ELEMENT_BF16
#define F64 TARN_ELEMENT_F64
#define I8 TARN_ELEMENT_I8
#define U8 TARN_ELEMENT_U8
#define I16 TARN_ELEMENT_I16
#define I32 TARN_ELEMENT_I32
#define I64 TARN_ELEMENT_I64
#define BOOL TARN_ELEMENT_BOOL

#define S(...)                                                                              \
    (tarn_shape) {                                                                          \
        .rank = sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), .dims = { __VA_ARGS__ } \
    }
#define SINGLE \
    (tarn_shape) { .rank = 0 }

static tensor_argument of(tarn_element_type type, const tarn_shape *shape) {
    return (tensor_argument){.shape = shape, .type = type};
}

static void assert_shape(const tensor_inferred *inferred, tarn_shape wanted) {
    char text[128];
    tarn_shape_to_string(&inferred->shape, text, sizeof text);
    if (!tarn_shape_equals(&inferred->shape, &wanted)) fail_msg("inferred %s", text);
    size_t elements;
    assert_int_equal(tarn_shape_elements(&wanted, &elements), TARN_OK);
    assert_int_equal(inferred->elements, elements);
}

/* Refused with a sentence that has these words in it, and the result untouched. */
static void assert_refused(tarn_status wanted, const char *words, const tensor_node *node,
                           const tensor_argument *arguments) {
    tensor_inferred inferred;
    memset(&inferred, 77, sizeof inferred);
    tensor_inferred before = inferred;
    assert_int_equal(tensor_infer(node, arguments, &inferred), wanted);
    assert_memory_equal(&inferred, &before, sizeof before);
    if (strstr(tarn_last_error(), words) == NULL) fail_msg("'%s' lacks '%s'", tarn_last_error(), words);
}

static void types_are_promoted_within_and_across_sorts(void **state) {
    (void)state;
    const struct {
        tarn_element_type a, b, wanted;
    } cases[] = {{F32, F64, F64}, {F16, BF16, F32},   {F16, F32, F32}, {BF16, I64, BF16}, {F16, BOOL, F16},
                 {U8, I8, I16},   {U8, I16, I16},     {U8, I64, I64},  {I8, I32, I32},    {I32, I64, I64},
                 {BOOL, I8, I8},  {BOOL, BOOL, BOOL}, {I64, F32, F32}, {I64, F16, F16},   {I16, BF16, BF16}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(tarn_element_promote(cases[i].a, cases[i].b), cases[i].wanted);
        assert_int_equal(tarn_element_promote(cases[i].b, cases[i].a), cases[i].wanted);
    }
    for (int type = 0; type < TARN_ELEMENT_TYPE_COUNT; type++)
        assert_int_equal(tarn_element_promote((tarn_element_type)type, (tarn_element_type)type), type);
    assert_int_equal(tarn_element_promote((tarn_element_type)99, I8), F32);
}

static void single_elements_and_scalars_change_the_sort_alone(void **state) {
    (void)state;
    tarn_shape many = S(3), one = SINGLE;
    const struct {
        tarn_element_type tensor;
        tarn_element_type single; /* of rank 0 */
        tarn_element_type wanted;
    } singles[] = {{F32, F64, F32}, {F16, F32, F16}, {I8, I64, I8},  {I32, F16, F16},
                   {I64, F64, F64}, {BOOL, U8, U8},  {U8, BOOL, U8}, {F16, I64, F16}};
    for (size_t i = 0; i < sizeof singles / sizeof singles[0]; i++) {
        tensor_argument a = of(singles[i].tensor, &many), b = of(singles[i].single, &one);
        assert_int_equal(tensor_promote(&a, &b), singles[i].wanted);
        assert_int_equal(tensor_promote(&b, &a), singles[i].wanted);
    }
    const struct {
        tarn_element_type tensor;
        tarn_scalar_kind kind;
        tarn_element_type wanted;
    } scalars[] = {{F16, TARN_SCALAR_FLOAT, F16},  {F64, TARN_SCALAR_FLOAT, F64}, {I8, TARN_SCALAR_FLOAT, F32},
                   {BOOL, TARN_SCALAR_FLOAT, F32}, {I8, TARN_SCALAR_INTEGER, I8}, {BOOL, TARN_SCALAR_INTEGER, I64},
                   {U8, TARN_SCALAR_BOOL, U8},     {BOOL, TARN_SCALAR_BOOL, BOOL}};
    for (size_t i = 0; i < sizeof scalars / sizeof scalars[0]; i++) {
        tensor_argument scalar = tensor_argument_of_scalar(scalars[i].kind);
        for (int rank = 0; rank < 2; rank++) { /* a scalar has less to say than a tensor of rank 0 too */
            tensor_argument tensor = of(scalars[i].tensor, rank == 0 ? &one : &many);
            assert_int_equal(tensor_promote(&tensor, &scalar), scalars[i].wanted);
            assert_int_equal(tensor_promote(&scalar, &tensor), scalars[i].wanted);
        }
    }
}

static void results_are_cast_where_pytorch_casts_them(void **state) {
    (void)state;
    assert_true(tensor_type_can_cast(F64, F16));
    assert_true(tensor_type_can_cast(I64, F16));
    assert_true(tensor_type_can_cast(I64, I8));
    assert_true(tensor_type_can_cast(BOOL, U8));
    assert_true(tensor_type_can_cast(BOOL, BOOL));
    assert_false(tensor_type_can_cast(F16, I64));
    assert_false(tensor_type_can_cast(F32, BOOL));
    assert_false(tensor_type_can_cast(I8, BOOL));
}

static void elementwise_types_follow_the_operation(void **state) {
    (void)state;
    tarn_shape shape = S(2, 3);
    tensor_argument i32 = of(I32, &shape), i64 = of(I64, &shape), f16 = of(F16, &shape), truth = of(BOOL, &shape);
    tensor_inferred inferred;
    assert_int_equal(tensor_infer_binary(TARN_OPERATION_DIVIDE, &i32, &i64, &inferred), TARN_OK);
    assert_int_equal(inferred.type, F32);
    assert_int_equal(inferred.computed, F32);
    assert_int_equal(tensor_infer_binary(TARN_OPERATION_LESS, &i32, &i64, &inferred), TARN_OK);
    assert_int_equal(inferred.type, BOOL);
    assert_int_equal(inferred.computed, I64);
    assert_int_equal(tensor_infer_unary(TARN_OPERATION_EXP, &i64, &inferred), TARN_OK);
    assert_int_equal(inferred.type, F32);
    assert_int_equal(tensor_infer_unary(TARN_OPERATION_EXP, &f16, &inferred), TARN_OK);
    assert_int_equal(inferred.type, F16);
    assert_int_equal(tensor_infer_unary(TARN_OPERATION_RELU, &i32, &inferred), TARN_OK);
    assert_int_equal(inferred.type, I32);
    assert_int_equal(tensor_infer_cast(&f16, I8, &inferred), TARN_OK);
    assert_int_equal(inferred.type, I8);
    assert_int_equal(tensor_infer_select(&truth, &i32, &f16, &inferred), TARN_OK);
    assert_int_equal(inferred.type, F16);
    const tarn_operation numbers[] = {TARN_OPERATION_NEG, TARN_OPERATION_RELU, TARN_OPERATION_SUBTRACT,
                                      TARN_OPERATION_POW};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        assert_refused(TARN_NOT_SUPPORTED, "of bool", &(tensor_node){.operation = numbers[i]},
                       (const tensor_argument[]){truth, truth});
    assert_refused(TARN_INVALID_ARGUMENT, "has to be of bool", &(tensor_node){.operation = TARN_OPERATION_SELECT},
                   (const tensor_argument[]){i32, i32, i32});
    assert_refused(TARN_INVALID_ARGUMENT, "is no operation", &(tensor_node){.operation = TARN_OPERATION_RANDOM},
                   (const tensor_argument[]){i64, i64});
    assert_int_equal(tensor_infer_unary(TARN_OPERATION_ADD, &i32, &inferred), TARN_INVALID_ARGUMENT);
    assert_int_equal(tensor_infer_reduce(TARN_OPERATION_ADD, &i32, &(tensor_reduce_attributes){0}, &inferred),
                     TARN_INVALID_ARGUMENT);
    assert_int_equal(tensor_infer_cast(&f16, (tarn_element_type)99, &inferred), TARN_INVALID_ARGUMENT);
}

static void shapes_broadcast_as_in_numpy(void **state) {
    (void)state;
    const struct {
        tarn_shape a, b, wanted;
    } cases[] = {{S(2, 3), S(3), S(2, 3)},   {S(2, 1), S(3), S(2, 3)}, {S(4, 1, 5), S(3, 1), S(4, 3, 5)},
                 {SINGLE, S(2, 2), S(2, 2)}, {SINGLE, SINGLE, SINGLE}, {S(1), S(0), S(0)},
                 {S(2, 1), S(0), S(2, 0)}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tensor_argument a = of(F32, &cases[i].a), b = of(F32, &cases[i].b);
        tensor_inferred inferred;
        assert_int_equal(tensor_infer_binary(TARN_OPERATION_ADD, &a, &b, &inferred), TARN_OK);
        assert_shape(&inferred, cases[i].wanted);
        assert_int_equal(tensor_infer_binary(TARN_OPERATION_ADD, &b, &a, &inferred), TARN_OK);
        assert_shape(&inferred, cases[i].wanted);
    }
    tarn_shape two = S(2, 3), four = S(4), tall = S((int64_t)1 << 40, 1), wide = S((int64_t)1 << 40);
    assert_refused(TARN_INVALID_ARGUMENT, "add: the shapes [2, 3] and [4] do not broadcast",
                   &(tensor_node){.operation = TARN_OPERATION_ADD},
                   (const tensor_argument[]){of(F32, &two), of(F32, &four)});
    assert_refused(TARN_INVALID_ARGUMENT, "[1099511627776, 1099511627776] has more bytes",
                   &(tensor_node){.operation = TARN_OPERATION_ADD},
                   (const tensor_argument[]){of(F32, &tall), of(F32, &wide)});
}

static void reductions_take_dimensions_away_or_keep_them(void **state) {
    (void)state;
    tarn_shape shape = S(2, 3, 4), empty = S(2, 0), nothing = S(0, 0);
    tensor_argument x = of(I8, &shape), f = of(BF16, &shape);
    tensor_inferred inferred;
    uint32_t dims;
    assert_int_equal(tensor_infer_dims(TARN_OPERATION_SUM, &shape, NULL, 0, &dims), TARN_OK);
    assert_int_equal(dims, 7);
    assert_int_equal(tensor_infer_dims(TARN_OPERATION_SUM, &shape, (const int[]){-1, 0}, 2, &dims), TARN_OK);
    assert_int_equal(dims, 5);
    tensor_reduce_attributes outer = {.dims = 5}, kept = {.dims = 5, .keeps_dims = true};
    assert_int_equal(tensor_infer_reduce(TARN_OPERATION_SUM, &x, &outer, &inferred), TARN_OK);
    assert_shape(&inferred, S(3));
    assert_int_equal(inferred.type, I64);
    assert_int_equal(tensor_infer_reduce(TARN_OPERATION_MAX, &x, &kept, &inferred), TARN_OK);
    assert_shape(&inferred, S(1, 3, 1));
    assert_int_equal(inferred.type, I8);
    assert_int_equal(tensor_infer_reduce(TARN_OPERATION_MEAN, &f, &kept, &inferred), TARN_OK);
    assert_int_equal(inferred.type, BF16);
    assert_refused(TARN_NOT_SUPPORTED, "mean of i8",
                   &(tensor_node){.operation = TARN_OPERATION_MEAN, .attributes.reduce = outer}, &x);
    assert_refused(TARN_INVALID_ARGUMENT, "max: over no elements of the shape [2, 0]",
                   &(tensor_node){.operation = TARN_OPERATION_MAX, .attributes.reduce = {.dims = 2}},
                   (const tensor_argument[]){of(F32, &empty)});
    assert_refused(TARN_INVALID_ARGUMENT, "dimensions 0x8 of 3",
                   &(tensor_node){.operation = TARN_OPERATION_MAX, .attributes.reduce = {.dims = 8}}, &x);
    tensor_argument none = of(F32, &nothing), some = of(F32, &empty);
    assert_int_equal(tensor_infer_reduce(TARN_OPERATION_MIN, &none, &(tensor_reduce_attributes){.dims = 1}, &inferred),
                     TARN_OK);
    assert_shape(&inferred, S(0));
    assert_int_equal(tensor_infer_reduce(TARN_OPERATION_SUM, &some, &(tensor_reduce_attributes){.dims = 2}, &inferred),
                     TARN_OK);
    assert_shape(&inferred, S(2));
    assert_int_equal(tensor_infer_dims(TARN_OPERATION_SUM, &shape, (const int[]){3}, 1, &dims), TARN_INVALID_ARGUMENT);
    assert_non_null(strstr(tarn_last_error(), "sum: the shape [2, 3, 4] has no dimension 3"));
    assert_int_equal(tensor_infer_dims(TARN_OPERATION_SUM, &shape, (const int[]){1, -2}, 2, &dims),
                     TARN_INVALID_ARGUMENT);
    assert_int_equal(tensor_infer_dims(TARN_OPERATION_SUM, &shape, NULL, 2, &dims), TARN_INVALID_ARGUMENT);
}

static void matrix_products_take_the_shapes_of_numpy(void **state) {
    (void)state;
    const struct {
        tarn_shape a, b, wanted;
    } cases[] = {{S(2, 3), S(3, 4), S(2, 4)},
                 {S(3), S(3, 4), S(4)},
                 {S(2, 3), S(3), S(2)},
                 {S(3), S(3), SINGLE},
                 {S(5, 2, 3), S(3, 4), S(5, 2, 4)},
                 {S(5, 1, 2, 3), S(6, 3, 4), S(5, 6, 2, 4)},
                 {S(3), S(7, 3, 4), S(7, 4)},
                 {S(7, 2, 3), S(3), S(7, 2)},
                 {S(2, 0), S(0, 4), S(2, 4)}};
    tarn_matmul_attributes plain = {.has_bias = 0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tensor_argument a = of(F32, &cases[i].a), b = of(F32, &cases[i].b);
        tensor_inferred inferred;
        assert_int_equal(tensor_infer_matmul(&a, &b, NULL, &plain, &inferred), TARN_OK);
        assert_shape(&inferred, cases[i].wanted);
    }
    tarn_shape two = S(2, 3), four = S(4, 4), one = SINGLE, batch = S(5, 2, 3), other = S(6, 3, 4), row = S(3),
               wide = S(9, 1, 1, 1);
    tensor_argument product[3] = {of(F32, &two), of(F32, &four), of(F32, &row)};
    tensor_node node = {.operation = TARN_OPERATION_MATMUL};
    assert_refused(TARN_INVALID_ARGUMENT, "inner dimensions differ, [2, 3] and [4, 4]", &node, product);
    product[1] = of(F32, &one);
    assert_refused(TARN_INVALID_ARGUMENT, "at least one dimension", &node, product);
    product[0] = of(F32, &batch);
    product[1] = of(F32, &other);
    assert_refused(TARN_INVALID_ARGUMENT, "do not broadcast, [5, 2, 3] and [6, 3, 4]", &node, product);
    product[1] = of(F16, &two);
    assert_refused(TARN_INVALID_ARGUMENT, "types f32 and f16", &node, product);
    product[0] = of(I32, &two);
    assert_refused(TARN_NOT_SUPPORTED, "matmul of i32", &node, product);
    product[0] = of(F32, &four);
    product[1] = of(F32, &four);
    node.attributes.matmul.has_bias = 1;
    assert_refused(TARN_INVALID_ARGUMENT, "bias", &node, product);
    product[2] = of(F32, &wide);
    assert_refused(TARN_INVALID_ARGUMENT, "bias", &node, product);
    node.attributes.matmul = (tarn_matmul_attributes){.activation = TARN_OPERATION_EXP};
    assert_refused(TARN_INVALID_ARGUMENT, "activation", &node, product);
}

static void windows_are_counted_as_in_pytorch(void **state) {
    (void)state;
    tarn_shape x_shape = S(2, 6, 10, 9), weight_shape = S(4, 3, 3, 2), filters = S(4), short_bias = S(3);
    tensor_argument x = of(F32, &x_shape), weight = of(F32, &weight_shape), bias = of(F32, &filters);
    tarn_conv2d_options options = {
        .struct_size = sizeof options, .stride = {2, 1}, .padding = {1, 0}, .dilation = {1, 3}, .groups = 2};
    tensor_node node = {.operation = TARN_OPERATION_CONV2D};
    tarn_conv2d_attributes *conv2d = &node.attributes.conv2d;
    assert_int_equal(tensor_infer_conv2d_attributes(&options, true, conv2d), TARN_OK);
    tensor_inferred inferred;
    const tensor_argument arguments[3] = {x, weight, bias};
    assert_int_equal(tensor_infer(&node, arguments, &inferred), TARN_OK);
    assert_shape(&inferred, S(2, 4, 5, 6));
    conv2d->groups = 3;
    assert_refused(TARN_INVALID_ARGUMENT, "in 3 groups", &node, arguments);
    conv2d->groups = 0;
    assert_refused(TARN_INVALID_ARGUMENT, "0 groups", &node, arguments);
    conv2d->groups = 2;
    conv2d->dilation[0] = 6;
    assert_refused(TARN_INVALID_ARGUMENT, "does not fit into a height of 10 with padding 1", &node, arguments);
    conv2d->dilation[0] = INT64_MAX;
    assert_refused(TARN_INVALID_ARGUMENT, "does not fit", &node, arguments);
    conv2d->dilation[0] = 1;
    conv2d->padding[1] = INT64_MAX;
    assert_refused(TARN_INVALID_ARGUMENT, "does not fit", &node, arguments);
    conv2d->padding[1] = -1;
    assert_refused(TARN_INVALID_ARGUMENT, "a padding of -1 along the width", &node, arguments);
    conv2d->padding[1] = 0;
    conv2d->stride[0] = 0;
    assert_refused(TARN_INVALID_ARGUMENT, "a stride of 0", &node, arguments);
    conv2d->stride[0] = (int64_t)INT32_MAX + 1;
    assert_refused(TARN_INVALID_ARGUMENT, "stride 2147483648, padding 1 and dilation 1 along the height", &node,
                   arguments);
    conv2d->stride[0] = 1;
    assert_refused(TARN_INVALID_ARGUMENT, "bias", &node, (const tensor_argument[]){x, weight, of(F32, &short_bias)});
    assert_refused(TARN_INVALID_ARGUMENT, "the input has", &node, (const tensor_argument[]){bias, weight, bias});
    assert_refused(TARN_INVALID_ARGUMENT, "the weights have", &node, (const tensor_argument[]){x, bias, bias});
    assert_int_equal(tensor_infer_conv2d_attributes(NULL, false, conv2d), TARN_OK);
    assert_int_equal(conv2d->stride[0], 1);
    assert_int_equal(conv2d->dilation[1], 1);
    assert_int_equal(conv2d->groups, 1);

    tarn_max_pool2d_options pool = {.struct_size = sizeof pool, .kernel = {3, 2}, .padding = {1, 1}};
    node = (tensor_node){.operation = TARN_OPERATION_MAX_POOL2D};
    assert_int_equal(tensor_infer_pool2d_attributes(&pool, &node.attributes.pool2d), TARN_OK);
    assert_int_equal(tensor_infer(&node, &x, &inferred), TARN_OK);
    assert_shape(&inferred, S(2, 6, 4, 5));
    node.attributes.pool2d.padding[1] = 2;
    assert_refused(TARN_INVALID_ARGUMENT, "more than half", &node, &x);
    node.attributes.pool2d.padding[1] = 0;
    node.attributes.pool2d.kernel[0] = 13;
    assert_refused(TARN_INVALID_ARGUMENT, "does not fit into a height of 10", &node, &x);
    node.attributes.pool2d.kernel[0] = (int64_t)1 << 32;
    node.attributes.pool2d.padding[0] = (int64_t)1 << 31;
    assert_refused(TARN_INVALID_ARGUMENT, "each is below 2^31", &node, &x);
    assert_refused(TARN_NOT_SUPPORTED, "of bool", &node, (const tensor_argument[]){of(BOOL, &x_shape)});
    assert_int_equal(tensor_infer_pool2d_attributes(NULL, &node.attributes.pool2d), TARN_INVALID_ARGUMENT);
    pool.struct_size = 1;
    assert_int_equal(tensor_infer_pool2d_attributes(&pool, &node.attributes.pool2d), TARN_INVALID_ARGUMENT);
    options.struct_size = 1;
    assert_int_equal(tensor_infer_conv2d_attributes(&options, false, conv2d), TARN_INVALID_ARGUMENT);
}

static void normalizations_keep_the_shape(void **state) {
    (void)state;
    tarn_shape shape = S(2, 3, 4), last = S(3, 4), wrong = S(4);
    tensor_argument x = of(F16, &shape), parameter = of(F16, &last), other = of(F16, &wrong), i = of(I32, &shape);
    tensor_inferred inferred;
    tensor_node norm = {.operation = TARN_OPERATION_LAYER_NORM,
                        .attributes.layer_norm = {.normalized_dims = 2, .has_bias = 1, .epsilon = 1e-5}};
    assert_int_equal(tensor_infer_argument_count(&norm), 2);
    assert_int_equal(tensor_infer(&norm, (const tensor_argument[]){x, parameter}, &inferred), TARN_OK);
    assert_shape(&inferred, shape);
    assert_refused(TARN_INVALID_ARGUMENT, "the bias has", &norm, (const tensor_argument[]){x, other});
    assert_refused(TARN_NOT_SUPPORTED, "layer_norm of i32", &norm, (const tensor_argument[]){i, parameter});
    norm.attributes.layer_norm.has_weight = 1;
    assert_refused(TARN_INVALID_ARGUMENT, "the weight has", &norm, (const tensor_argument[]){x, other, parameter});
    norm.attributes.layer_norm.epsilon = NAN;
    assert_refused(TARN_INVALID_ARGUMENT, "epsilon", &norm, (const tensor_argument[]){x, parameter, parameter});
    norm.attributes.layer_norm.normalized_dims = 4;
    assert_refused(TARN_INVALID_ARGUMENT, "last 4 dimensions of [2, 3, 4]", &norm,
                   (const tensor_argument[]){x, parameter, parameter});
    tensor_node softmax = {.operation = TARN_OPERATION_SOFTMAX, .attributes.softmax.axis = 1};
    assert_int_equal(tensor_infer(&softmax, &x, &inferred), TARN_OK);
    assert_shape(&inferred, shape);
    assert_refused(TARN_NOT_SUPPORTED, "softmax of i32", &softmax, &i);
    softmax.attributes.softmax.axis = 3;
    assert_refused(TARN_INVALID_ARGUMENT, "[2, 3, 4]", &softmax, &x);
}

static void gathering_puts_the_indices_in_the_place_of_a_dimension(void **state) {
    (void)state;
    tarn_shape shape = S(2, 3, 4), places = S(5, 6), one = SINGLE, none = S(2, 0), long_places = S(1, 1, 1, 1, 1, 1, 1);
    tensor_argument x = of(BOOL, &shape), i = of(I32, &places), single = of(I64, &one), empty = of(F32, &none);
    tensor_node node = {.operation = TARN_OPERATION_GATHER, .attributes.gather.axis = 1};
    tensor_inferred inferred;
    assert_int_equal(tensor_infer(&node, (const tensor_argument[]){x, i}, &inferred), TARN_OK);
    assert_shape(&inferred, S(2, 5, 6, 4));
    assert_int_equal(inferred.type, BOOL);
    assert_int_equal(tensor_infer(&node, (const tensor_argument[]){x, single}, &inferred), TARN_OK);
    assert_shape(&inferred, S(2, 4));
    assert_refused(TARN_INVALID_ARGUMENT, "nothing to take, [2, 0]", &node, (const tensor_argument[]){empty, i});
    assert_refused(TARN_INVALID_ARGUMENT, "indices of type bool", &node, (const tensor_argument[]){x, x});
    assert_refused(TARN_INVALID_ARGUMENT, "too many dimensions", &node,
                   (const tensor_argument[]){x, of(I32, &long_places)});
    node.attributes.gather.axis = 3;
    assert_refused(TARN_INVALID_ARGUMENT, "[2, 3, 4]", &node, (const tensor_argument[]){x, i});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_are_promoted_within_and_across_sorts),
        cmocka_unit_test(single_elements_and_scalars_change_the_sort_alone),
        cmocka_unit_test(results_are_cast_where_pytorch_casts_them),
        cmocka_unit_test(elementwise_types_follow_the_operation),
        cmocka_unit_test(shapes_broadcast_as_in_numpy),
        cmocka_unit_test(reductions_take_dimensions_away_or_keep_them),
        cmocka_unit_test(matrix_products_take_the_shapes_of_numpy),
        cmocka_unit_test(windows_are_counted_as_in_pytorch),
        cmocka_unit_test(normalizations_keep_the_shape),
        cmocka_unit_test(gathering_puts_the_indices_in_the_place_of_a_dimension),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
