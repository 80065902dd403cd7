/* Functions of floats against the C library's in double, over all exponents and at each level of instructions that the processor has. */
#include "programs.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cpu/compute/kernels.h"

/* A prime, so that the floats that are tried have all sorts of lowest bits. */
#define STRIDE 65537u
#define COUNT (UINT32_MAX / STRIDE + 1)
#define SPECIAL_COUNT 12

static const float specials[SPECIAL_COUNT] = {0.0f,      -0.0f,     1.0f,       -1.0f,           INFINITY,
                                              -INFINITY, 0x1p-149f, -0x1p-149f, 0x1.fffffep127f, -0x1.fffffep127f,
                                              0x1p-126f, NAN};

static float inputs[COUNT + SPECIAL_COUNT], outputs[COUNT + SPECIAL_COUNT];
static double wanted[COUNT + SPECIAL_COUNT];

static void make_inputs(void) {
    for (uint32_t i = 0; i < COUNT; i++) {
        uint32_t bits = i * STRIDE;
        memcpy(&inputs[i], &bits, sizeof bits);
    }
    memcpy(inputs + COUNT, specials, sizeof specials);
}

static double sigmoid(double x) { return x > 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x)); }

static void try_function(tarn_operation operation, double (*function)(double), double most) {
    make_inputs();
    for (size_t i = 0; i < COUNT + SPECIAL_COUNT; i++) wanted[i] = function((double)inputs[i]);
    test_program program;
    program_make(&program, operation, TARN_ELEMENT_F32, COUNT + SPECIAL_COUNT, outputs, inputs, NULL);
    for (size_t level = 0; level < cpu_kernels_level_count(); level++) {
        cpu_kernels_use(cpu_kernels_level(level));
        assert_int_equal(program_run(&program), TARN_OK);
        double worst = 0;
        float worst_at = 0;
        for (size_t i = 0; i < COUNT + SPECIAL_COUNT; i++) {
            double distance = float_distance(outputs[i], wanted[i]);
            if (distance <= worst) continue;
            worst = distance;
            worst_at = inputs[i];
        }
        printf("%s at level %s: at most %.3f units, for %a\n", tarn_operation_name(operation),
               cpu_kernels_level(level)->name, worst, (double)worst_at);
        assert_true(worst <= most);
    }
    cpu_kernels_use(NULL);
}

static void exp_errs_by_two_units_at_most(void **state) {
    (void)state;
    try_function(TARN_OPERATION_EXP, exp, 2);
}

static void log_errs_by_two_units_at_most(void **state) {
    (void)state;
    try_function(TARN_OPERATION_LOG, log, 2);
}

static void sigmoid_errs_by_two_units_at_most(void **state) {
    (void)state;
    try_function(TARN_OPERATION_SIGMOID, sigmoid, 2);
}

static void tanh_errs_by_two_units_at_most(void **state) {
    (void)state;
    try_function(TARN_OPERATION_TANH, tanh, 2);
}

static void sin_and_cos_err_by_one_unit_at_most_however_large_the_number(void **state) {
    (void)state;
    try_function(TARN_OPERATION_SIN, sin, 1);
    try_function(TARN_OPERATION_COS, cos, 1);
}

static void roots_are_rounded_once(void **state) {
    (void)state;
    try_function(TARN_OPERATION_SQRT, sqrt, 0.5);
}

#define POWERS 131072

static uint64_t noise_state = 1;

static uint32_t noise(void) {
    noise_state = noise_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(noise_state >> 32);
}

static float random_between(float least, float most) {
    return least + (most - least) * ((float)(noise() >> 8) * 0x1p-24f);
}

/* Bases and exponents of four sorts: any bits; bases of all sizes with results in range; bases close to 1 with large exponents; and small
 * whole exponents of bases of both signs. */
static void make_power(size_t i, float *out_base, float *out_exponent) {
    uint32_t bits = noise();
    switch (i % 4) {
    case 0:
        memcpy(out_base, &bits, sizeof bits);
        bits = noise();
        memcpy(out_exponent, &bits, sizeof bits);
        break;
    case 1:
        *out_base = exp2f(random_between(-149, 128));
        *out_exponent = random_between(-150, 129) / log2f(*out_base);
        break;
    case 2:
        *out_base = 1 + random_between(-0x1p-10f, 0x1p-10f);
        *out_exponent = random_between(-0x1p17f, 0x1p17f);
        break;
    default: *out_base = random_between(-30, 30); *out_exponent = (float)((int)(bits % 81) - 40);
    }
}

static void check_powers(const float *bases, const float *exponents, size_t count, double most) {
    static float powers[POWERS];
    static double expected[POWERS];
    for (size_t i = 0; i < count; i++) expected[i] = pow((double)bases[i], (double)exponents[i]);
    test_program program;
    program_make(&program, TARN_OPERATION_POW, TARN_ELEMENT_F32, count, powers, (void *)bases, (void *)exponents);
    for (size_t level = 0; level < cpu_kernels_level_count(); level++) {
        cpu_kernels_use(cpu_kernels_level(level));
        assert_int_equal(program_run(&program), TARN_OK);
        double worst = 0;
        for (size_t i = 0; i < count; i++) {
            double distance = float_distance(powers[i], expected[i]);
            bool has_sign = isnan(expected[i]) || (signbit(powers[i]) != 0) == (signbit(expected[i]) != 0);
            if (distance > most || !has_sign) {
                fail_msg("%a to the power of %a at level %s is %a, not %a", (double)bases[i], (double)exponents[i],
                         cpu_kernels_level(level)->name, (double)powers[i], expected[i]);
            }
            if (distance > worst) worst = distance;
        }
        printf("pow at level %s: at most %.4f units\n", cpu_kernels_level(level)->name, worst);
    }
    cpu_kernels_use(NULL);
}

static void pow_errs_by_two_units_at_most(void **state) {
    (void)state;
    static float bases[POWERS], exponents[POWERS];
    for (int i = getenv("TARN_TEST_SLOWNESS") != NULL ? 1 : 16; i > 0; i--) {
        for (size_t k = 0; k < POWERS; k++) make_power(k, &bases[k], &exponents[k]);
        check_powers(bases, exponents, POWERS, 2);
    }
}

/* Each special number to the power of each, signs of zeros too. */
static void special_powers_are_those_of_c(void **state) {
    (void)state;
    static const float numbers[] = {0.0f,
                                    -0.0f,
                                    1.0f,
                                    -1.0f,
                                    INFINITY,
                                    -INFINITY,
                                    NAN,
                                    0x1p-149f,
                                    -0x1p-149f,
                                    0x1.fffffep127f,
                                    -0x1.fffffep127f,
                                    0x1p-126f,
                                    0.5f,
                                    -0.5f,
                                    2.0f,
                                    -2.0f,
                                    3.0f,
                                    -3.0f,
                                    1.5f,
                                    -1.5f,
                                    10.0f,
                                    0x1.000002p0f,
                                    0x1.fffffep-1f,
                                    -0x1.000002p0f,
                                    -0x1.fffffep-1f,
                                    0x1.fffffep22f,
                                    0x1.fffffep23f,
                                    -0x1.fffffep23f,
                                    0x1p24f,
                                    -0x1p24f,
                                    0x1p31f,
                                    0x1p32f,
                                    -0x1p40f,
                                    128.0f,
                                    -149.0f,
                                    -150.0f,
                                    -151.0f,
                                    127.0f};
    enum { NUMBERS = sizeof numbers / sizeof numbers[0] };
    static float bases[NUMBERS * NUMBERS], exponents[NUMBERS * NUMBERS];
    for (size_t i = 0; i < NUMBERS; i++) {
        for (size_t k = 0; k < NUMBERS; k++) {
            bases[i * NUMBERS + k] = numbers[i];
            exponents[i * NUMBERS + k] = numbers[k];
        }
    }
    check_powers(bases, exponents, (size_t)NUMBERS * NUMBERS, 2);
}

/* Each half as a float, and back. */
static void halves_survive_a_float(void **state) {
    (void)state;
    enum { HALVES = 65536 };
    static uint16_t halves[HALVES], again[HALVES];
    for (size_t i = 0; i < HALVES; i++) halves[i] = (uint16_t)i;
    for (size_t level = 0; level < cpu_kernels_level_count(); level++) {
        cpu_kernels_use(cpu_kernels_level(level));
        test_program program;
        program_make(&program, TARN_OPERATION_COPY, TARN_ELEMENT_F16, HALVES, outputs, halves, NULL);
        program.operands[0].type = program.step.type = TARN_ELEMENT_F32;
        assert_int_equal(program_run(&program), TARN_OK);
        assert_true(outputs[1] == 0x1p-24f && outputs[0x3c00] == 1.0f && outputs[0x7bff] == 65504.0f);
        assert_true(isinf(outputs[0x7c00]) && isnan(outputs[0x7c01]));
        program_make(&program, TARN_OPERATION_COPY, TARN_ELEMENT_F32, HALVES, again, outputs, NULL);
        program.operands[0].type = program.step.type = TARN_ELEMENT_F16;
        assert_int_equal(program_run(&program), TARN_OK);
        for (size_t i = 0; i < HALVES; i++) {
            if ((i & 0x7fff) <= 0x7c00) assert_int_equal(again[i], i);
            else assert_true((again[i] & 0x7fff) > 0x7c00);
        }
    }
    cpu_kernels_use(NULL);
}

/* From F64 to F16 there is one rounding, not one to F32 before it. */
static void doubles_are_rounded_to_halves_once(void **state) {
    (void)state;
    /* Just above the middle between 1 and the next half, by less than a float can tell. */
    double values[2] = {1 + 0x1p-11 + 0x1p-40, 1 + 0x1p-11};
    uint16_t halves[2];
    test_program program;
    program_make(&program, TARN_OPERATION_COPY, TARN_ELEMENT_F64, 2, halves, values, NULL);
    program.operands[0].type = program.step.type = TARN_ELEMENT_F16;
    assert_int_equal(program_run(&program), TARN_OK);
    assert_int_equal(halves[0], 0x3c01);
    assert_int_equal(halves[1], 0x3c00);
}

/* The words that the authors of Philox publish for their generator (philox4x32-10). */
static void random_numbers_are_those_of_philox(void **state) {
    (void)state;
    int64_t seed = 0, number = 0;
    double random;
    test_program program;
    program_make(&program, TARN_OPERATION_RANDOM, TARN_ELEMENT_I64, 1, &random, &seed, &number);
    program.operands[0].type = program.step.type = TARN_ELEMENT_F64;
    assert_int_equal(program_run(&program), TARN_OK);
    uint64_t words = (uint64_t)0x6627e8d5u << 32 | 0xe169c58du;
    assert_true(random == (double)(words >> 11) * 0x1p-53);
}

static void a_level_that_is_not_there_is_ignored(void **state) {
    (void)state;
    size_t highest = cpu_kernels_level_count() - 1;
    assert_int_equal(setenv("TARN_CPU_ISA", "portable", 1), 0);
    cpu_kernels_use(NULL);
    assert_string_equal(cpu_kernels_get()->name, "portable");
    assert_int_equal(setenv("TARN_CPU_ISA", "abacus", 1), 0);
    cpu_kernels_use(NULL);
    assert_ptr_equal(cpu_kernels_get(), cpu_kernels_level(highest));
    assert_int_equal(unsetenv("TARN_CPU_ISA"), 0);
    cpu_kernels_use(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exp_errs_by_two_units_at_most),
        cmocka_unit_test(log_errs_by_two_units_at_most),
        cmocka_unit_test(sigmoid_errs_by_two_units_at_most),
        cmocka_unit_test(tanh_errs_by_two_units_at_most),
        cmocka_unit_test(sin_and_cos_err_by_one_unit_at_most_however_large_the_number),
        cmocka_unit_test(pow_errs_by_two_units_at_most),
        cmocka_unit_test(special_powers_are_those_of_c),
        cmocka_unit_test(roots_are_rounded_once),
        cmocka_unit_test(halves_survive_a_float),
        cmocka_unit_test(doubles_are_rounded_to_halves_once),
        cmocka_unit_test(random_numbers_are_those_of_philox),
        cmocka_unit_test(a_level_that_is_not_there_is_ignored),
    };
    return cmocka_run_group_tests(tests, programs_open, programs_close);
}
