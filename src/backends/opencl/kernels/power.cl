/* pow of elements side by side; one element is left to the driver.
 *
 * |x| = 2^n * m with m around 1, and log2(m) is the series of the inverse hyperbolic tangent of s = (m - 1) / (m + 1). An error of the logarithm
 * counts as often as the exponent is large: so all of it that matters is carried as two numbers, the second being what the first has lost by
 * rounding, and so is y * log2|x|, of which 2 is raised to the whole part and the rest goes through the series of exp. Lanes with infinities, NaN
 * or a subnormal x go to the driver's function one by one. An answer depends on its own lane alone. Of type T, several of the floats F, with
 * integers I as long. */
#if LANES == 1
#define wide_pow_float(x, y) pow(x, y)
#define wide_pow_double(x, y) pow(x, y)
#else
/* The root of 1/2 as bits; 2 / ln 2 and a third of it, with their rests; and the other terms of the logarithm. */
#define float_root 0x3f3504f3
#define float_least 0x1p-126f
#define float_most 0x1.fffffep127f
#define float_last 160.0f
#define float_large 0x1p32f
#define float_log_first 0x1.715476p+1f
#define float_log_first_rest 0x1.4ae0cp-25f
#define float_log_second 0x1.ec709ep-1f
#define float_log_second_rest -0x1.e2fe02p-28f
#define float_log_terms(t)                                                                                        \
    t(2.8853900817779268f / 13) t(2.8853900817779268f / 11) t(2.8853900817779268f / 9) t(2.8853900817779268f / 7) \
    t(2.8853900817779268f / 5)
#define double_root 0x3fe6a09e667f3bcdL
#define double_least 0x1p-1022
#define double_most 0x1.fffffffffffffp1023
#define double_last 1100.0
#define double_large 0x1p64
#define double_log_first 0x1.71547652b82fep+1
#define double_log_first_rest 0x1.777d0ffda0d24p-55
#define double_log_second 0x1.ec709dc3a03fdp-1
#define double_log_second_rest 0x1.d27f05548af0cp-55
#define double_log_terms(t)                                                                                     \
    t(2.8853900817779268 / 25) t(2.8853900817779268 / 23) t(2.8853900817779268 / 21) t(2.8853900817779268 / 19) \
    t(2.8853900817779268 / 17) t(2.8853900817779268 / 15) t(2.8853900817779268 / 13) t(2.8853900817779268 / 11) \
    t(2.8853900817779268 / 9) t(2.8853900817779268 / 7) t(2.8853900817779268 / 5)
#define log_horner(c) terms = fma(terms, z, (type_)(c));
#define exp_horner(c) terms = fma(terms, u, (type_)(c));
#define DEFINE_LOG2(T, F, I)                                                                             \
    static T log2_##F(T x, T *out_rest) {                                                                \
        typedef T type_;                                                                                 \
        const I power = (as_##I(x) - (I)F##_root) >> (I)F##_digits;                                      \
        const T m = as_##T(as_##I(x) - (power << (I)F##_digits)), n = convert_##T(power);                \
        const T above = m - 1, below = m + 1, below_rest = m - (below - 1);                              \
        const T s = above / below, s_rest = fma(-s, below_rest, fma(-s, below, above)) / below;          \
        const T z = s * s, z_rest = fma(s, s, -z) + 2 * s * s_rest;                                      \
        T terms = 0;                                                                                     \
        F##_log_terms(log_horner)                                                                        \
        terms *= z;                                                                                      \
        const T second = (T)F##_log_second + terms;                                                      \
        const T second_rest = (((T)F##_log_second - second) + terms) + (T)F##_log_second_rest;           \
        const T product = z * second;                                                                    \
        const T product_rest = fma(z, second, -product) + fma(z, second_rest, z_rest * second);          \
        const T first = (T)F##_log_first + product;                                                      \
        const T first_rest =                                                                             \
            (((T)F##_log_first - first) + product) + ((T)F##_log_first_rest + product_rest);             \
        const T part = s * first, part_rest = fma(s, first, -part) + fma(s, first_rest, s_rest * first); \
        const T sum = n + part;                                                                          \
        *out_rest = ((n - sum) + part) + part_rest;                                                      \
        return sum;                                                                                      \
    }
#define DEFINE_POSITIVE_POW(T, F, I)                                                                     \
    static T positive_pow_##F(T x, T y) {                                                                \
        typedef T type_;                                                                                 \
        T log_rest;                                                                                      \
        const T log_ = log2_##F(x, &log_rest), times = clamp(y, (T)-F##_large, (T)F##_large);            \
        const T product = times * log_, limited = clamp(product, (T)-F##_last, (T)F##_last);             \
        const T rest = product != limited ? (T)0 : fma(times, log_, -product) + times * log_rest;        \
        const T whole = rint(limited), part = (limited - whole) + rest;                                  \
        const T part_rest = ((limited - whole) - part) + rest;                                           \
        const T u = part * (T)F##_ln2;                                                                   \
        const T u_rest = fma(part, (T)F##_ln2, -u) + fma(part, (T)F##_ln2_rest, part_rest * (T)F##_ln2); \
        T terms = 0;                                                                                     \
        F##_terms(exp_horner)                                                                            \
        const T scaled = 1 + (u + fma(u * u, terms, u_rest));                                            \
        const I power = convert_##I(whole), half_ = power >> (I)1;                                       \
        return scaled * two_to(half_, T, F) * two_to(power - half_, T, F);                               \
    }
#define DEFINE_POW(NAME, T, F, I)                                                                                \
    static T NAME(T x, T y) {                                                                                    \
        const I is_usual = (x >= (T)F##_least) & (x <= (T)F##_most) & (fabs(y) <= (T)F##_most);                  \
        if (every_lane(is_usual)) return positive_pow_##F(x, y);                                                 \
        const T size = fabs(x), half_ = y * (T)0.5f;                                                             \
        const I is_whole = rint(y) == y, is_odd = is_whole & (rint(half_) != half_);                             \
        const I is_plain = ((size >= (T)F##_least) & (size <= (T)F##_most)) | (size == (T)0);                    \
        T answer = positive_pow_##F(size, y);                                                                    \
        const T at_zero = y > (T)0 ? (T)0 : y < (T)0 ? (T)INFINITY : (T)1;                                       \
        answer = size == (T)0 ? at_zero : answer;                                                                \
        answer = is_odd ? copysign(answer, x) : answer;                                                          \
        answer = (x < (T)0) & ~is_whole ? (T)NAN : answer;                                                       \
        const I is_near = is_plain & (fabs(y) <= (T)F##_most);                                                   \
        if (every_lane(is_near)) return answer;                                                                  \
        F xs_[LANES], ys_[LANES], answers_[LANES];                                                               \
        put_lanes(x, xs_);                                                                                       \
        put_lanes(y, ys_);                                                                                       \
        put_lanes(answer, answers_);                                                                             \
        for (int i_ = 0; i_ < LANES; i_++) {                                                                     \
            const F size_ = fabs(xs_[i_]);                                                                       \
            const bool is_normal = size_ >= F##_least && size_ <= F##_most;                                      \
            if (!((is_normal || size_ == 0) && fabs(ys_[i_]) <= F##_most)) answers_[i_] = pow(xs_[i_], ys_[i_]); \
        }                                                                                                        \
        return get_lanes(F, answers_);                                                                           \
    }
#define DEFINE_WIDE_POW(T, F, I) \
    DEFINE_LOG2(T, F, I)         \
    DEFINE_POSITIVE_POW(T, F, I) \
    DEFINE_POW(wide_pow_##F, T, F, I)
#define DEFINE_EXPANDED_POW(T, F, I) DEFINE_WIDE_POW(T, F, I)
#define as_wide(T, x) PASTE(as_, WIDE(T))(x)
#define DEFINE_EXPANDED_QUICK_POW(T, F, I) DEFINE_POW(wide_pow_##F, T, F, I)
#ifdef HAS_QUICK_F64
/* In F64 one number is enough, and neither large exponents nor small powers need care. The quotient s begins with an F32 division, whose error one
 * step of Newton's brings to 2^-46; the whole part of the answer's logarithm is added to the exponent of what 2 to the rest of it is. The terms of
 * the logarithm are within 2^-37 of its series, those of the power within 2^-28, over all that they are asked for. */
#define quick_log_terms(t) \
    t(0x1.a58dc78dd320fp-2) t(0x1.27777f54b0e3dp-1) t(0x1.ec709d13ae363p-1) t(0x1.71547652bed21p+1)
#define quick_exp_terms(t)                                                                           \
    t(0x1.5f48c04f62e50p-10) t(0x1.3b2a1b7152befp-7) t(0x1.c6aecc669b6ddp-5) t(0x1.ebfbe045f4d3cp-3) \
    t(0x1.62e430d034702p-1) t(1.0)
#define quick_horner_z(c) terms = fma(terms, z, (type_)(c));
#define quick_horner_part(c) power_ = fma(power_, part, (type_)(c));
static WIDE(float) positive_pow_float(WIDE(float) x, WIDE(float) y) {
    typedef WIDE(double) type_;
    const WIDE(int) power = (as_wide(int, x) - float_root) >> 23;
    const WIDE(float) m = as_wide(float, as_wide(int, x) - (power << 23));
    const type_ wide_m = CONVERT(double)(m), above = wide_m - 1, below = wide_m + 1;
    const type_ guess = CONVERT(double)(1.0f / (m + 1.0f)), near_ = above * guess;
    const type_ s = fma(near_, fma(-below, guess, (type_)1), near_), z = s * s;
    type_ terms = 0x1.5ce42aa8d1c0dp-2, power_ = 0x1.443fffc90db59p-13;
    quick_log_terms(quick_horner_z)
    const type_ log_ = fma(s, terms, CONVERT(double)(power));
    const type_ limited = clamp(CONVERT(double)(y) * log_, (type_)-float_last, (type_)float_last);
    const type_ shifted = limited + 0x1.8p52, part = limited - (shifted - 0x1.8p52);
    quick_exp_terms(quick_horner_part)
    return CONVERT(float)(as_wide(double, as_wide(long, power_) + (as_wide(long, shifted) << 52)));
}
DEFINE_EXPANDED_QUICK_POW(WIDE(float), float, WIDE(int))
#else
DEFINE_EXPANDED_POW(WIDE(float), float, WIDE(int))
#endif
#ifdef HAS_F64
DEFINE_EXPANDED_POW(WIDE(double), double, WIDE(long))
#endif
#endif
