/* sin and cos of elements side by side. A driver's own may take one way for all lanes, and a wrong one where a single lane is large; one element is
 * left to the driver.
 *
 * Up to a limit x is brought to within a quarter of a turn of zero by as many quarters as fit, k: an even number of them for sin, an odd one for cos,
 * so that either is the sine of what remains or its negative. Half of pi stands in three parts, of which x - k * first is exact; what is
 * rounded away after that is carried along as a rest, with the slope of the sine, for which a parabola will do. The difference of two numbers is
 * exact with what it lost, since the first is a multiple of the second's last place. Lanes beyond the limit, infinite ones and NaN go to the driver's
 * function one by one. An answer depends on its own lane alone. Of type T, several of the floats F, with integers I as long. */
#if LANES == 1
#define wide_sin_float(x) sin(x)
#define wide_cos_float(x) cos(x)
#define wide_sin_double(x) sin(x)
#define wide_cos_double(x) cos(x)
#else
#define float_near 0x1p17f
#define float_halves 0x1.45f306p-2f
#define float_half_pi 0x1.921fb6p+0f
#define float_half_pi_second -0x1.777a5cp-25f
#define float_half_pi_third -0x1.ee59dap-50f
/* Added to a number of halves of a turn, it leaves them as an integer in the lowest bits. */
#define float_shift 0x1.8p23f
#define float_sign 31
/* 4 / pi^2: the parabola is 1 at zero and 0 a quarter of a turn away from it, as the slope is. */
#define float_bend 0x1.9f02f6p-2f
#define float_sine_last (1.0f / 6227020800)
#define float_sine_terms(t) t(-1.0f / 39916800) t(1.0f / 362880) t(-1.0f / 5040) t(1.0f / 120) t(-1.0f / 6)
#define double_near 0x1p30
#define double_halves 0x1.45f306dc9c883p-2
#define double_half_pi 0x1.921fb54442d18p+0
#define double_half_pi_second 0x1.1a62633145c07p-54
#define double_half_pi_third -0x1.f1976b7ed8fbcp-110
#define double_shift 0x1.8p52
#define double_sign 63
#define double_bend 0x1.9f02f6222c72p-2
#define double_sine_last (1.0 / 51090942171709440000.0)
#define double_sine_terms(t)                                                                          \
    t(-1.0 / 121645100408832000) t(1.0 / 355687428096000) t(-1.0 / 1307674368000) t(1.0 / 6227020800) \
    t(-1.0 / 39916800) t(1.0 / 362880) t(-1.0 / 5040) t(1.0 / 120) t(-1.0 / 6)
#define sine_horner(c) sine = fma(sine, z, (type_)(c));
#define DEFINE_TURNED_SINE(T, F, I)                                                                       \
    static T turned_sine_##F(T x, int turn) {                                                             \
        typedef T type_;                                                                                  \
        const T halves = turn == 0 ? x * (T)F##_halves : fma(x, (T)F##_halves, (T)-0.5f);                 \
        const T shifted = halves + (T)F##_shift, k = fma(shifted - (T)F##_shift, (T)2, (T)turn);          \
        const T first = fma(-k, (T)F##_half_pi, x);                                                       \
        const T second = k * (T)F##_half_pi_second, second_rest = fma(k, (T)F##_half_pi_second, -second); \
        const T r = first - second, lost = (first - r) - second;                                          \
        const T rest = fma(-k, (T)F##_half_pi_third, lost - second_rest), z = r * r;                      \
        T sine = (T)F##_sine_last;                                                                        \
        F##_sine_terms(sine_horner)                                                                       \
        const T cube = r * z, cube_rest = fma(r, z, -cube);                                               \
        sine = r + fma(cube, sine, fma(cube_rest, sine, fma(z * (T)-F##_bend, rest, rest)));              \
        return as_##T(as_##I(sine) ^ ((as_##I(shifted) + (I)turn) << (I)F##_sign));                       \
    }
#define as_it_is(x, answer) (answer)
#define with_zeros(x, answer) ((x) == 0 ? (x) : (answer))
#define DEFINE_CIRCLE(NAME, T, F, I, FUNCTION, TURN, ZEROS)                     \
    static __attribute__((noinline)) T far_##NAME(T x, T answer) {              \
        F xs_[LANES], answers_[LANES];                                          \
        put_lanes(x, xs_);                                                      \
        put_lanes(answer, answers_);                                            \
        for (int i_ = 0; i_ < LANES; i_++)                                      \
            if (!(fabs(xs_[i_]) <= F##_near)) answers_[i_] = FUNCTION(xs_[i_]); \
        return get_lanes(F, answers_);                                          \
    }                                                                           \
    static T NAME(T x) {                                                        \
        const I is_near = fabs(x) <= (T)F##_near;                               \
        const T answer = ZEROS(x, turned_sine_##F(x, TURN));                    \
        return every_lane(is_near) ? answer : far_##NAME(x, answer);            \
    }
#define DEFINE_WIDE_CIRCLE(T, F, I)                          \
    DEFINE_TURNED_SINE(T, F, I)                              \
    DEFINE_CIRCLE(wide_sin_##F, T, F, I, sin, 0, with_zeros) \
    DEFINE_CIRCLE(wide_cos_##F, T, F, I, cos, 1, as_it_is)
#define DEFINE_EXPANDED_CIRCLE(T, F, I) DEFINE_WIDE_CIRCLE(T, F, I)
DEFINE_EXPANDED_CIRCLE(WIDE(float), float, WIDE(int))
#ifdef HAS_F64
DEFINE_EXPANDED_CIRCLE(WIDE(double), double, WIDE(long))
#endif
#endif
