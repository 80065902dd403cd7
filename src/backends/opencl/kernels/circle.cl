/* sin and cos of elements side by side. A driver's own may take one way for all lanes, and a wrong one where a single lane is large; one element is
 * left to the driver.
 *
 * Up to a limit x is brought near zero by as many quarters of a turn as fit, n: half of pi stands in three parts, of which x - n * first is exact,
 * and what is rounded away after that is carried along as a rest. Lanes beyond the limit, infinite ones and NaN go to the driver's function one by
 * one. An answer depends on its own lane alone. Of type T, several of the floats F, with integers I as long; `turn` says how many quarters come on top. */
#if LANES == 1
#define wide_sin_float(x) sin(x)
#define wide_cos_float(x) cos(x)
#define wide_sin_double(x) sin(x)
#define wide_cos_double(x) cos(x)
#else
#define float_near 0x1p17f
#define float_quarters 0x1.45f306p-1f
#define float_half_pi 0x1.921fb6p+0f
#define float_half_pi_second -0x1.777a5cp-25f
#define float_half_pi_third -0x1.ee59dap-50f
/* Added to a number of quarters, it leaves them as an integer in the lowest bits. */
#define float_shift 0x1.8p23f
#define float_sign 30
#define float_sine_terms(t) t(-1.0f / 39916800) t(1.0f / 362880) t(-1.0f / 5040) t(1.0f / 120) t(-1.0f / 6)
#define float_cosine_terms(t) t(-1.0f / 3628800) t(1.0f / 40320) t(-1.0f / 720) t(1.0f / 24)
#define double_near 0x1p30
#define double_quarters 0x1.45f306dc9c883p-1
#define double_half_pi 0x1.921fb54442d18p+0
#define double_half_pi_second 0x1.1a62633145c07p-54
#define double_half_pi_third -0x1.f1976b7ed8fbcp-110
#define double_shift 0x1.8p52
#define double_sign 62
#define double_sine_terms(t)                                                                                \
    t(1.0 / 355687428096000) t(-1.0 / 1307674368000) t(1.0 / 6227020800) t(-1.0 / 39916800) t(1.0 / 362880) \
    t(-1.0 / 5040) t(1.0 / 120) t(-1.0 / 6)
#define double_cosine_terms(t)                                                                        \
    t(1.0 / 20922789888000) t(-1.0 / 87178291200) t(1.0 / 479001600) t(-1.0 / 3628800) t(1.0 / 40320) \
    t(-1.0 / 720) t(1.0 / 24)
#define sine_horner(c) sine = fma(sine, z, (type_)(c));
#define cosine_horner(c) cosine = fma(cosine, z, (type_)(c));
#define DEFINE_TURNED_SINE(T, F, I)                                                                     \
    static T turned_sine_##F(T x, long turn) {                                                          \
        typedef T type_;                                                                                \
        const T shifted = fma(x, (T)F##_quarters, (T)F##_shift), n = shifted - (T)F##_shift;            \
        const I quarter = as_##I(shifted) + (I)turn;                                                    \
        const T first = fma(-n, (T)F##_half_pi, x);                                                     \
        const T second = n * (T)F##_half_pi_second, lost = fma(n, (T)F##_half_pi_second, -second);      \
        const T nearer = first - second, back = nearer - first;                                         \
        const T rest = ((first - (nearer - back)) - (second + back)) - lost - n * (T)F##_half_pi_third; \
        const T r = nearer + rest, r_rest = (nearer - r) + rest, z = r * r, half_ = z * (T)0.5f;        \
        const T whole = 1 - half_;                                                                      \
        T sine = 0, cosine = 0;                                                                         \
        F##_sine_terms(sine_horner) F##_cosine_terms(cosine_horner)                                     \
        sine = r + fma(r * z, sine, fma(-half_, r_rest, r_rest));                                       \
        cosine = whole + ((1 - whole) - half_ + fma(z * z, cosine, -r * r_rest));                       \
        const T answer = (quarter & (I)1) != (I)0 ? cosine : sine;                                      \
        return as_##T(as_##I(answer) ^ ((quarter & (I)2) << (I)F##_sign));                              \
    }
#define DEFINE_CIRCLE(NAME, T, F, I, FUNCTION, TURN, AT_ZERO)                   \
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
        const T answer = x == (T)0 ? AT_ZERO : turned_sine_##F(x, TURN);        \
        return every_lane(is_near) ? answer : far_##NAME(x, answer);            \
    }
#define DEFINE_WIDE_CIRCLE(T, F, I)                 \
    DEFINE_TURNED_SINE(T, F, I)                     \
    DEFINE_CIRCLE(wide_sin_##F, T, F, I, sin, 0, x) \
    DEFINE_CIRCLE(wide_cos_##F, T, F, I, cos, 1, (T)1)
#define DEFINE_EXPANDED_CIRCLE(T, F, I) DEFINE_WIDE_CIRCLE(T, F, I)
DEFINE_EXPANDED_CIRCLE(WIDE(float), float, WIDE(int))
#ifdef HAS_F64
DEFINE_EXPANDED_CIRCLE(WIDE(double), double, WIDE(long))
#endif
#endif
