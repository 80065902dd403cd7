/* Softmax and layer norm of elements of type T, row by row.
 *
 * ITEMS work-items share a row: each takes LANES of its elements at a time, and what they have is joined in local memory. On processors ITEMS is 1: an
 * item has a row to itself, nothing is joined and nobody waits. ACROSS, where elements of neighbouring rows lie side by side, an item has
 * LANES rows and goes along them together. */
#define W GLUE(w_, T)
#define SUM GLUE(sum_, FL)
#define accumulator SUM
#define join GLUE(sum_join_, FL)
#define sum_of GLUE(sum_of_, FL)
typedef struct wide_accumulator {
    W sum, rest;
} wide_accumulator;
DEFINE_WIDE_SUM(W, FL)

/* The lanes that are there, and `other` in the place of those beyond the end of the row. */
#define THERE(value, other) \
    (left == LANES ? (value) : GLUE(choose_, T)(truth(to_i32(OFFSETS) < (w_i32)left), value, (W)(other)))

/* What the item has becomes what all that share the row have. */
#if ITEMS > 1
#define SHARED(type, parts) local type parts[ITEMS];
#define JOIN_ALL(parts, mine, join)                                          \
    barrier(CLK_LOCAL_MEM_FENCE);                                            \
    parts[item] = mine;                                                      \
    for (uint half_ = ITEMS / 2; half_ > 0; half_ /= 2) {                    \
        barrier(CLK_LOCAL_MEM_FENCE);                                        \
        if (item < half_) parts[item] = join(parts[item], parts[item + half_]); \
    }                                                                        \
    barrier(CLK_LOCAL_MEM_FENCE);                                            \
    mine = parts[0];
#else
#define SHARED(type, parts)
#define JOIN_ALL(parts, mine, join)
#endif

/* Which row the item has, or with ACROSS the first of its rows; then the loop along it, in which `left` lanes are there. */
#define BEGIN_ROW(count)                                                                   \
    const uint item = ITEMS > 1 ? get_local_id(0) : 0;                                     \
    const long number = ITEMS > 1 ? get_group_id(0) : get_global_id(0);                    \
    if (number >= count) return;
#ifdef ACROSS
#define FOR_EACH(length) for (long at = 0; at < length; at++)
#else
#define FOR_EACH(length) \
    for (long at = item * LANES, left; (left = min((long)LANES, length - at)) > 0; at += ITEMS * LANES)
#endif

#ifdef SOFTMAX
static FL greatest_of(W wide) {
    FL lanes[LANES], most = -INFINITY;
    put_lanes(wide, lanes);
    for (int i = 0; i < LANES; i++) most = greater_of(most, lanes[i]);
    return most;
}

/* KEEPS_POWERS: the result keeps them until their sum is known, since it rounds nothing and memory is near; elsewhere they are computed again. */
kernel __attribute__((reqd_work_group_size(SIZE, 1, 1))) void run(global uchar *b0, long o0, global uchar *b1,
                                                                   long o1, const walk rows, long count, long length,
                                                                   long to, long from) {
    BEGIN_ROW(count)
    SHARED(FL, greatest)
    SHARED(SUM, sums)
    long places[2] = {0, 0};
#ifdef ACROSS
    const long side = rows.dims[RANK - 1], each = (side + LANES - 1) / LANES, first = number % each * LANES;
    const long left = min((long)LANES, side - first), to_lane = 1, from_lane = 1;
    PLACES(2, rows, number / each * side + first, places)
#else
    const long to_lane = to, from_lane = from;
    PLACES(2, rows, number, places)
#endif
    global S *out = (global S *)(b0 + o0) + places[0];
    global const S *in = (global const S *)(b1 + o1) + places[1];
    W most = (W)(-INFINITY);
    FOR_EACH(length) {
        const W x = LOAD_ALONG(T, in + at * from, from_lane);
        most = greater_of(most, THERE(x, -INFINITY));
    }
#ifndef ACROSS
    FL greatest_here = greatest_of(most);
    JOIN_ALL(greatest, greatest_here, greater_of)
    most = (W)(greatest_here);
#endif
    wide_accumulator wide = {(W)(0), (W)(0)};
    FOR_EACH(length) {
        const W power = exp(LOAD_ALONG(T, in + at * from, from_lane) - most);
        wide = wide_add(wide, THERE(power, 0));
#ifdef KEEPS_POWERS
        STORE_ALONG(T, power, out + at * to, to_lane);
#endif
    }
#ifdef ACROSS
    const W all = wide_sum_of(wide);
#else
    SUM sum = fold(wide);
    JOIN_ALL(sums, sum, join)
    const W all = (W)(sum_of(sum));
#endif
    FOR_EACH(length) {
#ifdef KEEPS_POWERS
        const W power = LOAD_ALONG(T, out + at * to, to_lane);
#else
        const W power = exp(LOAD_ALONG(T, in + at * from, from_lane) - most);
#endif
        STORE_ALONG(T, power / all, out + at * to, to_lane);
    }
}
#endif

#ifdef LAYER_NORM
/* The elements of a row as lines, along which each operand has one stride. Operands are the result, x, the weight and the bias. */
#define FOR_EACH_LINE(n)                                      \
    for (long line_ = 0; line_ < lines; line_++) {            \
        long places[4] = {row[0], row[1], 0, 0};              \
        PLACES(n, inner, line_ * line, places)                \
        FOR_EACH(line)
#define END_LINE }

kernel __attribute__((reqd_work_group_size(SIZE, 1, 1))) void run(
    global uchar *b0, long o0, global uchar *b1, long o1, global uchar *b2, long o2, global uchar *b3, long o3,
    const walk rows, const walk inner, long count, long has_weight, long has_bias, long lines, FL epsilon) {
    BEGIN_ROW(count)
    SHARED(SUM, sums)
    global S *out = (global S *)(b0 + o0);
    global const S *in = (global const S *)(b1 + o1);
    global const S *weight = (global const S *)(b2 + o2);
    global const S *bias = (global const S *)(b3 + o3);
    const long line = inner.dims[RANK - 1];
    const long to = inner.strides[0][RANK - 1], from = inner.strides[1][RANK - 1];
    const long weights = inner.strides[2][RANK - 1], biases = inner.strides[3][RANK - 1];
    const FL length = (FL)(lines * line);
    long row[2] = {0, 0};
    PLACES(2, rows, number, row)
    wide_accumulator wide = {(W)(0), (W)(0)};
    FOR_EACH_LINE(2) wide = wide_add(wide, LOAD_ALONG(T, in + places[1] + at * from, from));
    END_LINE
    SUM sum = fold(wide);
    JOIN_ALL(sums, sum, join)
    const W mean = (W)(sum_of(sum) / length);
    wide.sum = wide.rest = (W)(0);
    FOR_EACH_LINE(2) {
        const W apart = LOAD_ALONG(T, in + places[1] + at * from, from) - mean;
        wide = wide_add(wide, THERE(apart * apart, 0));
    }
    END_LINE
    sum = fold(wide);
    JOIN_ALL(sums, sum, join)
    const W scale = (W)((FL)1 / sqrt(sum_of(sum) / length + epsilon));
    FOR_EACH_LINE(4) {
        W x = (LOAD_ALONG(T, in + places[1] + at * from, from) - mean) * scale;
        if (has_weight) x *= LOAD_ALONG(T, weight + places[2] + at * weights, weights);
        if (has_bias) x += LOAD_ALONG(T, bias + places[3] + at * biases, biases);
        STORE_ALONG(T, x, out + places[0] + at * to, to);
    }
    END_LINE
}
#endif
