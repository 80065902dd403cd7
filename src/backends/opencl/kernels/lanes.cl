/* Elements side by side: a program computes LANES of them in one work-item, as vectors. For each element type x, w_x is as many v_x, to_x converts
 * to it, LOAD_x and STORE_x move them, and choose_x takes from either of two. With LANES 1 all this is what the prelude has.
 *
 * A row may end within them: then `left` says how many there are, and the others are 0 and not stored. */
#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)
#if LANES == 1
#define WIDE(T) T
#define OFFSETS 0
#define truth(condition) (condition)
#define GET(T, place) (*(place))
#define PUT(T, value, place) (*(place) = (value))
#else
#define WIDE(T) PASTE(T, LANES)
#define truth(condition) (PASTE(as_, WIDE(uchar))(PASTE(convert_, WIDE(char))(condition)) & (WIDE(uchar))1)
#define GET(T, place) PASTE(vload, LANES)(0, place)
#define PUT(T, value, place) PASTE(vstore, LANES)(value, 0, place)
#endif
#define CONVERT(T) PASTE(convert_, WIDE(T))
/* Whether a condition on integers holds in all lanes, half of them at once: some drivers' own `all` asks lane by lane. */
#define every_2(condition) (((condition).lo & (condition).hi) != 0)
#define every_4(condition) every_2((condition).lo & (condition).hi)
#define every_8(condition) every_4((condition).lo & (condition).hi)
#define every_16(condition) every_8((condition).lo & (condition).hi)
#define every_lane(condition) PASTE(every_, LANES)(condition)
#if LANES == 2
#define OFFSETS ((long2)(0, 1))
#elif LANES == 4
#define OFFSETS ((long4)(0, 1, 2, 3))
#elif LANES == 8
#define OFFSETS ((long8)(0, 1, 2, 3, 4, 5, 6, 7))
#elif LANES == 16
#define OFFSETS ((long16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15))
#endif

typedef WIDE(float) w_f32, w_f16, w_bf16;
typedef WIDE(char) w_i8;
typedef WIDE(uchar) w_u8, w_bool;
typedef WIDE(short) w_i16;
typedef WIDE(int) w_i32;
typedef WIDE(long) w_i64;
#define to_f32(x) CONVERT(float)(x)
#define to_f16(x) CONVERT(float)(x)
#define to_bf16(x) CONVERT(float)(x)
#define to_i8(x) CONVERT(char)(x)
#define to_u8(x) CONVERT(uchar)(x)
#define to_bool(x) CONVERT(uchar)(x)
#define to_i16(x) CONVERT(short)(x)
#define to_i32(x) CONVERT(int)(x)
#define to_i64(x) CONVERT(long)(x)
/* Integers without sign, in which wrapping around is defined. */
#define work_i8(x) CONVERT(uint)(x)
#define work_u8(x) CONVERT(uint)(x)
#define work_i16(x) CONVERT(uint)(x)
#define work_i32(x) CONVERT(uint)(x)
#define work_i64(x) CONVERT(ulong)(x)
/* A condition on vectors is of integers as long as the elements are. */
#define CHOOSE(I, condition, a, b) (CONVERT(I)(condition) != (WIDE(I))0 ? (a) : (b))
#define choose_f32(condition, a, b) CHOOSE(int, condition, a, b)
#define choose_f16(condition, a, b) CHOOSE(int, condition, a, b)
#define choose_bf16(condition, a, b) CHOOSE(int, condition, a, b)
#define choose_i8(condition, a, b) CHOOSE(char, condition, a, b)
#define choose_u8(condition, a, b) CHOOSE(char, condition, a, b)
#define choose_bool(condition, a, b) CHOOSE(char, condition, a, b)
#define choose_i16(condition, a, b) CHOOSE(short, condition, a, b)
#define choose_i32(condition, a, b) CHOOSE(int, condition, a, b)
#define choose_i64(condition, a, b) CHOOSE(long, condition, a, b)
#ifdef HAS_F64
typedef WIDE(double) w_f64;
#define to_f64(x) CONVERT(double)(x)
#define choose_f64(condition, a, b) CHOOSE(long, condition, a, b)
#endif
#define relu_wide(T, x) ((x) > (T)0 || (x) != (x) ? (x) : (T)0)

/* Moving: all lanes at once where they follow each other and a row does not end within them, else one by one. */
#define get_f32(place) GET(float, place)
#define get_f64(place) GET(double, place)
#define get_i8(place) GET(char, place)
#define get_u8(place) GET(uchar, place)
#define get_bool(place) GET(uchar, place)
#define get_i16(place) GET(short, place)
#define get_i32(place) GET(int, place)
#define get_i64(place) GET(long, place)
#define put_f32(value, place) PUT(float, value, place)
#define put_f64(value, place) PUT(double, value, place)
#define put_i8(value, place) PUT(char, value, place)
#define put_u8(value, place) PUT(uchar, value, place)
#define put_bool(value, place) PUT(uchar, value, place)
#define put_i16(value, place) PUT(short, value, place)
#define put_i32(value, place) PUT(int, value, place)
#define put_i64(value, place) PUT(long, value, place)
#if LANES == 1
#define get_f16(place) load_f16(place)
#define put_f16(value, place) store_f16(value, place)
#define wide_round_f16(value) round_f16(value)
#define get_bf16(place) load_bf16(place)
#define put_bf16(value, place) store_bf16(value, place)
#define wide_round_bf16(value) round_bf16(value)
#define get_lanes(T, lanes) (lanes[0])
#define put_lanes(value, lanes) (lanes[0] = (value))
#else
#define get_lanes(T, lanes) PASTE(vload, LANES)(0, lanes)
#define put_lanes(value, lanes) PASTE(vstore, LANES)(value, 0, lanes)
#define get_f16(place) PASTE(vload_half, LANES)(0, (global const half *)(place))
#define put_f16(value, place) PASTE(PASTE(vstore_half, LANES), _rte)(value, 0, (global half *)(place))
static w_f32 wide_round_f16(w_f32 value) {
    ushort bits[LANES];
    PASTE(PASTE(vstore_half, LANES), _rte)(value, 0, (half *)bits);
    return PASTE(vload_half, LANES)(0, (const half *)bits);
}
static WIDE(uint) wide_bits_bf16(w_f32 value) {
    const WIDE(uint) bits = PASTE(as_, WIDE(uint))(value);
    const WIDE(uint) rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    return value != value ? (bits >> 16) | 0x40u : rounded;
}
static w_f32 get_bf16(global const ushort *place) {
    return PASTE(as_, WIDE(float))(CONVERT(uint)(PASTE(vload, LANES)(0, place)) << 16);
}
static void put_bf16(w_f32 value, global ushort *place) {
    PASTE(vstore, LANES)(CONVERT(ushort)(wide_bits_bf16(value)), 0, place);
}
static w_f32 wide_round_bf16(w_f32 value) { return PASTE(as_, WIDE(float))(wide_bits_bf16(value) << 16); }
#endif

#define DEFINE_MOVES(X)                                                                              \
    static w_##X load_some_##X(global const s_##X *place, long stride, int left) {                          \
        v_##X lanes[LANES];                                                                          \
        for (int i_ = 0; i_ < LANES; i_++) lanes[i_] = i_ < left ? load_##X(place + i_ * stride) : 0; \
        return get_lanes(v_##X, lanes);                                                              \
    }                                                                                                \
    static void store_some_##X(w_##X value, global s_##X *place, long stride, int left) {                   \
        v_##X lanes[LANES];                                                                          \
        put_lanes(value, lanes);                                                                     \
        for (int i_ = 0; i_ < left; i_++) store_##X(lanes[i_], place + i_ * stride);                 \
    }
DEFINE_MOVES(f32)
DEFINE_MOVES(f16)
DEFINE_MOVES(bf16)
DEFINE_MOVES(i8)
DEFINE_MOVES(u8)
DEFINE_MOVES(bool)
DEFINE_MOVES(i16)
DEFINE_MOVES(i32)
DEFINE_MOVES(i64)
#ifdef HAS_F64
DEFINE_MOVES(f64)
#endif
#define LOAD_UNIT(X, place) (left == LANES ? get_##X(place) : load_some_##X(place, 1, left))
#define STORE_UNIT(X, value, place)                     \
    if (left == LANES) put_##X(value, place);           \
    else store_some_##X(value, place, 1, left)
/* The same where the launch says which stride it is; X may be a macro. */
#define LOAD_ALONG(X, place, stride) \
    ((stride) == 1 && left == LANES ? PASTE(get_, X)(place) : PASTE(load_some_, X)(place, stride, left))
#define STORE_ALONG(X, value, place, stride)                           \
    if ((stride) == 1 && left == LANES) PASTE(put_, X)(value, place); \
    else PASTE(store_some_, X)(value, place, stride, left)

/* What there are no vectors of, lane by lane. */
#define DEFINE_BY_LANE(NAME, X, FUNCTION)                                     \
    static w_##X NAME(w_i64 a, w_i64 b) {                                            \
        long as_[LANES], bs_[LANES];                                          \
        v_##X results_[LANES];                                                \
        put_lanes(a, as_);                                                    \
        put_lanes(b, bs_);                                                    \
        for (int i_ = 0; i_ < LANES; i_++) results_[i_] = FUNCTION(as_[i_], bs_[i_]); \
        return get_lanes(v_##X, results_);                                    \
    }
DEFINE_BY_LANE(wide_divide, i64, divide_integers)
DEFINE_BY_LANE(wide_power, i64, power_of_integers)
DEFINE_BY_LANE(wide_random_f32, f32, random_f32)
#ifdef HAS_F64
DEFINE_BY_LANE(wide_random_f64, f64, random_f64)
#endif

#define DEFINE_WIDE_SIGMOID(NAME, T, F, I) DEFINE_SIGMOID(NAME, T, F, I)
DEFINE_WIDE_SIGMOID(wide_sigmoid_float, WIDE(float), float, WIDE(int))
#ifdef HAS_F64
DEFINE_WIDE_SIGMOID(wide_sigmoid_double, WIDE(double), double, WIDE(long))
#endif

/* Sums and what they lose by rounding, as in the prelude; and the lanes of an accumulator joined to one. */
#define DEFINE_WIDE_SUM(W, F)                                                   \
    static wide_accumulator wide_add(wide_accumulator a, W x) {                        \
        W sum = a.sum + x, back = sum - a.sum;                                  \
        a.rest += (a.sum - (sum - back)) + (x - back);                          \
        a.sum = sum;                                                            \
        return a;                                                               \
    }                                                                           \
    static wide_accumulator wide_join(wide_accumulator a, wide_accumulator b) {        \
        a = wide_add(a, b.sum);                                                 \
        a.rest += b.rest;                                                       \
        return a;                                                               \
    }                                                                           \
    static W wide_sum_of(wide_accumulator a) {                                         \
        return isfinite(a.sum) && isfinite(a.rest) ? a.sum + a.rest : a.sum;    \
    }                                                                           \
    static accumulator fold(wide_accumulator wide) {                                   \
        F sums[LANES], rests[LANES];                                            \
        put_lanes(wide.sum, sums);                                              \
        put_lanes(wide.rest, rests);                                            \
        accumulator all = {sums[0], rests[0]};                                  \
        for (int i_ = 1; i_ < LANES; i_++) {                                    \
            accumulator next = {sums[i_], rests[i_]};                           \
            all = join(all, next);                                              \
        }                                                                       \
        return all;                                                             \
    }
#define DEFINE_FOLD(V)                                                  \
    static accumulator fold(wide_accumulator wide) {                           \
        V lanes[LANES];                                                 \
        put_lanes(wide, lanes);                                         \
        accumulator all = lanes[0];                                     \
        for (int i_ = 1; i_ < LANES; i_++) all = join(all, lanes[i_]);  \
        return all;                                                     \
    }
