/* How exact the functions of floats are, in units in the last place of the number that is wanted: over all exponents, of F32 and, where the device
 * has it, of F64, on the device that TARN_TEST_DEVICE names.
 *
 * What is wanted is the C library's answer in long double. A first argument says how many samples each function has (65,536
 * without it, and fewer where everything takes longer). */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static test_bench bench;
static size_t samples = 65536;

static int open_bench(void **state) {
    (void)state;
    bench_open(&bench, bench_device(), "caching");
    return 0;
}

static int close_bench(void **state) {
    (void)state;
    bench_close(&bench);
    return 0;
}

/* A floating type as the distances need it. */
typedef struct format {
    tarn_element_type type;
    size_t size;
    int digits, least_exponent, most_exponent; /* as in <float.h> */
} format;

static const format single = {TARN_ELEMENT_F32, 4, FLT_MANT_DIG, FLT_MIN_EXP, FLT_MAX_EXP};
static const format wide = {TARN_ELEMENT_F64, 8, DBL_MANT_DIG, DBL_MIN_EXP, DBL_MAX_EXP};

static uint64_t noise_state;

static uint64_t noise(void) {
    noise_state = noise_state * 6364136223846793005u + 1442695040888963407u;
    uint64_t mixed = (noise_state ^ noise_state >> 32) * 0xd6e8feb86659fd93u;
    return mixed ^ mixed >> 32;
}

static long double random_between(long double least, long double most) {
    return least + (most - least) * ((long double)(noise() >> 11) * 0x1p-53L);
}

static long double load(const format *of, const void *elements, size_t i) {
    if (of->type == TARN_ELEMENT_F32) return (long double)((const float *)elements)[i];
    return (long double)((const double *)elements)[i];
}

static void store(const format *of, void *elements, size_t i, long double number) {
    if (of->type == TARN_ELEMENT_F32) ((float *)elements)[i] = (float)number;
    else ((double *)elements)[i] = (double)number;
}

static void store_bits(const format *of, void *elements, size_t i, uint64_t bits) {
    if (of->type == TARN_ELEMENT_F32) ((uint32_t *)elements)[i] = (uint32_t)(bits >> 32);
    else ((uint64_t *)elements)[i] = bits;
}

/* Zeros, ones, the ends of the range, and numbers at which functions turn; each with both signs. */
static const long double specials[] = {0.0L,
                                       1.0L,
                                       0.5L,
                                       2.0L,
                                       3.0L,
                                       1.5L,
                                       10.0L,
                                       88.0L,
                                       89.0L,
                                       103.0L,
                                       104.0L,
                                       127.0L,
                                       128.0L,
                                       149.0L,
                                       150.0L,
                                       709.0L,
                                       710.0L,
                                       745.0L,
                                       746.0L,
                                       1023.0L,
                                       1024.0L,
                                       0x1p-10L,
                                       0x1p-24L,
                                       0x1p-53L,
                                       0x1p-126L,
                                       0x1p-149L,
                                       0x1.fffffep127L,
                                       0x1p-1022L,
                                       0x1p-1074L,
                                       0x1.fffffffffffffp1023L,
                                       0x1.fffffep-1L,
                                       0x1.000002p0L,
                                       0x1.fffffffffffffp-1L,
                                       0x1.0000000000001p0L,
                                       0x1.921fb6p0L,
                                       0x1.921fb6p1L,
                                       0x1p23L,
                                       0x1p24L,
                                       0x1.fffffep22L,
                                       0x1p52L,
                                       0x1p53L,
                                       (long double)INFINITY,
                                       (long double)NAN};
enum { SPECIALS = sizeof specials / sizeof specials[0] };

static long double special(size_t i) { return i % 2 == 0 ? specials[i / 2 % SPECIALS] : -specials[i / 2 % SPECIALS]; }

/* The distance of a result from what is wanted; a result that is infinite stands for the number after the largest. A zero has a sign too. */
static double distance(const format *of, long double actual, long double wanted) {
    if (isnan(wanted) || isnan(actual)) return isnan(wanted) && isnan(actual) ? 0 : (double)INFINITY;
    if ((signbit(actual) != 0) != (signbit(wanted) != 0)) return (double)INFINITY;
    if (isinf(wanted) || actual == wanted) return actual == wanted ? 0 : (double)INFINITY;
    long double end = ldexpl(1, of->most_exponent);
    if (isinf(actual)) actual = copysignl(end, actual);
    if (fabsl(wanted) > end) wanted = copysignl(end, wanted);
    int exponent;
    frexpl(wanted, &exponent);
    if (exponent < of->least_exponent) exponent = of->least_exponent;
    return (double)(fabsl(actual - wanted) / ldexpl(1, exponent - of->digits));
}

static tarn_tensor *tensor_of(const format *of, const void *elements, size_t count) {
    tarn_tensor *tensor = NULL;
    EXPECT_OK(tarn_tensor_from_data(bench.allocator, SHAPE((int64_t)count), of->type, elements, NULL, &tensor));
    return tensor;
}

static void *room_for(size_t count) {
    void *room = calloc(count, sizeof(double));
    assert_non_null(room);
    return room;
}

/* Operations on the elements that `a` and, of two operands, `b` have, against what the function says. */
typedef struct sweep {
    const format *of;
    tarn_operation operation;
    long double (*one)(long double);
    long double (*two)(long double, long double);
    void *a, *b, *results;
    size_t count;
} sweep;

static sweep sweep_begin(const format *of, tarn_operation operation) {
    size_t count = samples + SPECIALS * 2;
    return (sweep){.of = of,
                   .operation = operation,
                   .a = room_for(count),
                   .b = room_for(count),
                   .results = room_for(count),
                   .count = count};
}

static void sweep_compute(const sweep *swept) {
    tarn_tensor *a = tensor_of(swept->of, swept->a, swept->count), *b = NULL, *result = NULL;
    if (swept->two != NULL) {
        b = tensor_of(swept->of, swept->b, swept->count);
        EXPECT_OK(tarn_binary(swept->operation, a, b, NULL, &result));
    } else {
        EXPECT_OK(tarn_unary(swept->operation, a, NULL, &result));
    }
    EXPECT_OK(tarn_tensor_read(result, NULL, swept->results, swept->count * swept->of->size));
    tarn_tensor_release(result);
    tarn_tensor_release(b);
    tarn_tensor_release(a);
}

/* Computes, compares and frees. */
static void sweep_end(sweep *swept, double most) {
    double worst = 0;
    size_t worst_at = 0;
    sweep_compute(swept);
    for (size_t i = 0; i < swept->count; i++) {
        long double a = load(swept->of, swept->a, i), b = load(swept->of, swept->b, i);
        long double wanted = swept->two != NULL ? swept->two(a, b) : swept->one(a);
        double apart = distance(swept->of, load(swept->of, swept->results, i), wanted);
        if (apart <= worst) continue;
        worst = apart;
        worst_at = i;
    }
    printf("%s of %s: at most %.4f units, for %La and %La, where it is %La\n", tarn_operation_name(swept->operation),
           tarn_element_name(swept->of->type), worst, load(swept->of, swept->a, worst_at),
           load(swept->of, swept->b, worst_at), load(swept->of, swept->results, worst_at));
    free(swept->a);
    free(swept->b);
    free(swept->results);
    assert_true(worst <= most);
}

static bool is_tested(const format *of, tarn_operation operation) {
    return tarn_device_supports(bench.device, operation, of->type) != 0;
}

/* Half of the samples have all exponents, the other half are between -30 and 30, where most functions do something. */
static void try_function(tarn_operation operation, long double (*function)(long double), double most) {
    static const format *const formats[] = {&single, &wide};
    for (int k = 0; k < 2; k++) {
        const format *of = formats[k];
        if (!is_tested(of, operation)) continue;
        sweep swept = sweep_begin(of, operation);
        swept.one = function;
        noise_state = 1;
        for (size_t i = 0; i < samples; i++) {
            if (i % 2 == 0) store_bits(of, swept.a, i, (noise() >> 40) + i * (UINT64_MAX / samples));
            else store(of, swept.a, i, random_between(-30, 30));
        }
        for (size_t i = samples; i < swept.count; i++) store(of, swept.a, i, special(i));
        sweep_end(&swept, most);
    }
}

static long double sigmoid(long double x) { return x > 0 ? 1 / (1 + expl(-x)) : expl(x) / (1 + expl(x)); }

static void exp_errs_by_two_units_at_most(void **state) {
    (void)state;
    try_function(TARN_OPERATION_EXP, expl, 2);
}

static void log_errs_by_two_units_at_most(void **state) {
    (void)state;
    try_function(TARN_OPERATION_LOG, logl, 2);
}

static void sin_and_cos_err_by_two_units_at_most_however_large_the_number(void **state) {
    (void)state;
    try_function(TARN_OPERATION_SIN, sinl, 2);
    try_function(TARN_OPERATION_COS, cosl, 2);
}

static void tanh_errs_by_two_units_at_most(void **state) {
    (void)state;
    try_function(TARN_OPERATION_TANH, tanhl, 2);
}

static void sigmoid_errs_by_two_units_at_most(void **state) {
    (void)state;
    try_function(TARN_OPERATION_SIGMOID, sigmoid, 2);
}

static void roots_are_rounded_once(void **state) {
    (void)state;
    try_function(TARN_OPERATION_SQRT, sqrtl, 0.5);
}

static long double add(long double a, long double b) { return a + b; }
static long double subtract(long double a, long double b) { return a - b; }
static long double multiply(long double a, long double b) { return a * b; }
static long double divide(long double a, long double b) { return a / b; }

/* Numbers of all sizes, and numbers of one size, whose sums and quotients are ordinary. */
static void try_arithmetic(tarn_operation operation, long double (*function)(long double, long double)) {
    static const format *const formats[] = {&single, &wide};
    for (int k = 0; k < 2; k++) {
        const format *of = formats[k];
        if (!is_tested(of, operation)) continue;
        sweep swept = sweep_begin(of, operation);
        swept.two = function;
        noise_state = 2;
        for (size_t i = 0; i < samples; i++) {
            if (i % 2 == 0) {
                store_bits(of, swept.a, i, noise());
                store_bits(of, swept.b, i, noise());
            } else {
                store(of, swept.a, i, random_between(-4, 4));
                store(of, swept.b, i, random_between(-4, 4));
            }
        }
        for (size_t i = samples; i < swept.count; i++) {
            store(of, swept.a, i, special(i));
            store(of, swept.b, i, special(i * 31 + i / SPECIALS));
        }
        /* What is wanted is itself rounded to 64 digits, which may lie beside the middle of two numbers. */
        sweep_end(&swept, 0.501);
    }
}

static void arithmetic_is_rounded_once(void **state) {
    (void)state;
    try_arithmetic(TARN_OPERATION_ADD, add);
    try_arithmetic(TARN_OPERATION_SUBTRACT, subtract);
    try_arithmetic(TARN_OPERATION_MULTIPLY, multiply);
    try_arithmetic(TARN_OPERATION_DIVIDE, divide);
}

/* Bases and exponents of five sorts: any bits; bases of all sizes with results in range; bases close to 1 with large exponents; small whole
 * exponents of bases of both signs; and the special numbers. */
static void make_power(const format *of, sweep *swept, size_t i) {
    long double most = (long double)of->most_exponent, base;
    switch (i % 5) {
    case 0:
        store_bits(of, swept->a, i, noise());
        store_bits(of, swept->b, i, noise());
        break;
    case 1:
        store(of, swept->a, i, exp2l(random_between(-most - 20, most)));
        base = load(of, swept->a, i);
        store(of, swept->b, i, random_between(-most - 30, most + 1) / (base > 0 && base != 1 ? log2l(base) : 1));
        break;
    case 2:
        store(of, swept->a, i, 1 + random_between(-0x1p-10L, 0x1p-10L));
        store(of, swept->b, i, random_between(-0x1p10L, 0x1p10L) * most);
        break;
    case 3:
        store(of, swept->a, i, random_between(-30, 30));
        store(of, swept->b, i, (long double)((int)(noise() % 81) - 40));
        break;
    default:
        store(of, swept->a, i, special(noise() % (SPECIALS * 2)));
        store(of, swept->b, i, special(noise() % (SPECIALS * 2)));
    }
}

static void pow_errs_by_two_units_at_most(void **state) {
    (void)state;
    static const format *const formats[] = {&single, &wide};
    for (int k = 0; k < 2; k++) {
        if (!is_tested(formats[k], TARN_OPERATION_POW)) continue;
        sweep swept = sweep_begin(formats[k], TARN_OPERATION_POW);
        swept.two = powl;
        noise_state = 3;
        for (size_t i = 0; i < swept.count; i++) make_power(formats[k], &swept, i);
        sweep_end(&swept, 2);
    }
}

int main(int count, char **arguments) {
    if (getenv("TARN_TEST_ON_VALGRIND") != NULL) {
        puts("nothing is measured: valgrind has no long double");
        return 0;
    }
    const char *slowness = getenv("TARN_TEST_SLOWNESS");
    if (slowness != NULL && strtoul(slowness, NULL, 10) > 1) samples /= 8;
    if (count > 1) samples = strtoul(arguments[1], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exp_errs_by_two_units_at_most),
        cmocka_unit_test(log_errs_by_two_units_at_most),
        cmocka_unit_test(sin_and_cos_err_by_two_units_at_most_however_large_the_number),
        cmocka_unit_test(tanh_errs_by_two_units_at_most),
        cmocka_unit_test(sigmoid_errs_by_two_units_at_most),
        cmocka_unit_test(roots_are_rounded_once),
        cmocka_unit_test(arithmetic_is_rounded_once),
        cmocka_unit_test(pow_errs_by_two_units_at_most),
    };
    return cmocka_run_group_tests(tests, open_bench, close_bench);
}
