/* Softmax, layer norm, gather, max pooling and convolution of elements of type T, each under its name. FL is the type in which a
 * float is computed. */
#define GLUE_(a, b) a##b
#define GLUE(a, b) GLUE_(a, b)
#define V GLUE(v_, T)
#define S GLUE(s_, T)
#define LOAD(place) GLUE(load_, T)(place)
#define STORE(value, place) GLUE(store_, T)(value, place)
#define SUM GLUE(sum_, FL)
#define SUM_ADD GLUE(sum_add_, FL)
#define SUM_JOIN GLUE(sum_join_, FL)
#define SUM_OF GLUE(sum_of_, FL)
#define GROUP 64
#define RANK 8

/* Sizes along dimensions, and the strides of up to four operands along them. */
typedef struct walk {
    long dims[RANK];
    long strides[4][RANK];
} walk;

#define PLACES(n, w, number, places)                      \
    {                                                     \
        ulong rest_ = (ulong)(number);                    \
        for (int d_ = RANK - 1; d_ >= 0; d_--) {          \
            long along_ = (long)(rest_ % (ulong)w.dims[d_]); \
            rest_ /= (ulong)w.dims[d_];                   \
            for (int i_ = 0; i_ < n; i_++) places[i_] += along_ * w.strides[i_][d_]; \
        }                                                 \
    }

#define ACTIVATE(x) (activation == 1 ? relu_of(x) : activation == 2 ? sigmoid_of(FL, x) : activation == 3 ? tanh(x) : (x))

/* Joins what the items of the group have, for all of them. */
#define JOIN_ALL(parts, join)                                               \
    for (uint width_ = GROUP / 2; width_ > 0; width_ /= 2) {                \
        barrier(CLK_LOCAL_MEM_FENCE);                                       \
        if (item < width_) parts[item] = join(parts[item], parts[item + width_]); \
    }                                                                       \
    barrier(CLK_LOCAL_MEM_FENCE);

#ifdef SOFTMAX
/* A group for each row. */
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void run(global uchar *b0, long o0, global uchar *b1,
                                                                    long o1, const walk rows, long length, long to,
                                                                    long from) {
    global S *out = (global S *)(b0 + o0);
    global const S *in = (global const S *)(b1 + o1);
    const uint item = get_local_id(0);
    local FL greatest[GROUP];
    local SUM sums[GROUP];
    long places[2] = {0, 0};
    PLACES(2, rows, get_group_id(0), places)
    FL most = -INFINITY;
    for (long i = item; i < length; i += GROUP) {
        FL x = LOAD(in + places[1] + i * from);
        most = greater_of(most, x);
    }
    greatest[item] = most;
    JOIN_ALL(greatest, greater_of)
    most = greatest[0];
    SUM sum = {0, 0};
    for (long i = item; i < length; i += GROUP) sum = SUM_ADD(sum, exp(LOAD(in + places[1] + i * from) - most));
    sums[item] = sum;
    JOIN_ALL(sums, SUM_JOIN)
    const FL all = SUM_OF(sums[0]);
    for (long i = item; i < length; i += GROUP)
        STORE(exp(LOAD(in + places[1] + i * from) - most) / all, out + places[0] + i * to);
}
#endif

#ifdef LAYER_NORM
/* A group for each row; operands are the result, x, the weight and the bias. */
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void run(
    global uchar *b0, long o0, global uchar *b1, long o1, global uchar *b2, long o2, global uchar *b3, long o3,
    const walk rows, const walk inner, long has_weight, long has_bias, long length, FL epsilon) {
    global S *out = (global S *)(b0 + o0);
    global const S *in = (global const S *)(b1 + o1);
    global const S *weight = (global const S *)(b2 + o2);
    global const S *bias = (global const S *)(b3 + o3);
    const uint item = get_local_id(0);
    local SUM sums[GROUP];
    long row[2] = {0, 0};
    PLACES(2, rows, get_group_id(0), row)
    SUM sum = {0, 0};
    for (long i = item; i < length; i += GROUP) {
        long places[2] = {row[0], row[1]};
        PLACES(2, inner, i, places)
        sum = SUM_ADD(sum, LOAD(in + places[1]));
    }
    sums[item] = sum;
    JOIN_ALL(sums, SUM_JOIN)
    const FL mean = SUM_OF(sums[0]) / (FL)length;
    barrier(CLK_LOCAL_MEM_FENCE);
    sum.sum = sum.rest = 0;
    for (long i = item; i < length; i += GROUP) {
        long places[2] = {row[0], row[1]};
        PLACES(2, inner, i, places)
        FL apart = LOAD(in + places[1]) - mean;
        sum = SUM_ADD(sum, apart * apart);
    }
    sums[item] = sum;
    JOIN_ALL(sums, SUM_JOIN)
    const FL scale = (FL)1 / sqrt(SUM_OF(sums[0]) / (FL)length + epsilon);
    for (long i = item; i < length; i += GROUP) {
        long places[4] = {row[0], row[1], 0, 0};
        PLACES(4, inner, i, places)
        FL x = (LOAD(in + places[1]) - mean) * scale;
        if (has_weight) x *= LOAD(weight + places[2]);
        if (has_bias) x += LOAD(bias + places[3]);
        STORE(x, out + places[0]);
    }
}
#endif

#ifdef GATHER
/* An item for each element of the result; operands are the result, the input and the numbers, of type N. */
kernel void run(global uchar *b0, long o0, global uchar *b1, long o1, global uchar *b2, long o2, const walk all,
                long n, long dim, long stride, global int *wrong) {
    global S *out = (global S *)(b0 + o0);
    global const S *in = (global const S *)(b1 + o1);
    global const N *numbers = (global const N *)(b2 + o2);
    const long i = get_global_id(0);
    if (i >= n) return;
    long places[3] = {0, 0, 0};
    PLACES(3, all, i, places)
    long number = numbers[places[2]];
    if (number < 0) number += dim;
    if (number < 0 || number >= dim) {
        atomic_xchg(wrong, 1);
        out[places[0]] = 0;
    } else {
        out[places[0]] = in[places[1] + number * stride];
    }
}
#endif

/* What windows over an image need. */
typedef struct window {
    long height, width, kernel_[2], stride[2], padding[2], dilation[2];
    long channels, filters, groups;
} window;

#ifdef MAX_POOL2D
kernel void run(global uchar *b0, long o0, global uchar *b1, long o1, const walk all, long n, const window w) {
    global S *out = (global S *)(b0 + o0);
    global const S *in = (global const S *)(b1 + o1);
    const long i = get_global_id(0);
    if (i >= n) return;
    long places[2] = {0, 0};
    PLACES(2, all, i, places)
    const long x = i % all.dims[RANK - 1], y = i / all.dims[RANK - 1] % all.dims[RANK - 2];
    V most = LEAST;
    for (long ky = 0; ky < w.kernel_[0]; ky++) {
        const long row = y * w.stride[0] - w.padding[0] + ky * w.dilation[0];
        if (row < 0 || row >= w.height) continue;
        for (long kx = 0; kx < w.kernel_[1]; kx++) {
            const long column = x * w.stride[1] - w.padding[1] + kx * w.dilation[1];
            if (column < 0 || column >= w.width) continue;
            /* Along the image the input has the strides of its own, in the third place. */
            const V here = LOAD(in + places[1] + row * all.strides[2][RANK - 2] + column * all.strides[2][RANK - 1]);
            most = greater_of(most, here);
        }
    }
    STORE(most, out + places[0]);
}
#endif

#ifdef CONV2D
/* Operands are the result, the input, the weights and the bias; the strides of the input and the weights are in the second and third place, those of
 * the bias in the fourth. */
kernel void run(global uchar *b0, long o0, global uchar *b1, long o1, global uchar *b2, long o2, global uchar *b3,
                long o3, const walk all, long n, const window w, long has_bias, long activation) {
    global S *out = (global S *)(b0 + o0);
    global const S *in = (global const S *)(b1 + o1);
    global const S *weights = (global const S *)(b2 + o2);
    global const S *bias = (global const S *)(b3 + o3);
    const long i = get_global_id(0);
    if (i >= n) return;
    long places[1] = {0};
    PLACES(1, all, i, places)
    const long x = i % all.dims[RANK - 1], y = i / all.dims[RANK - 1] % all.dims[RANK - 2];
    const long filter = i / (all.dims[RANK - 1] * all.dims[RANK - 2]) % w.filters;
    const long image = i / (all.dims[RANK - 1] * all.dims[RANK - 2]) / w.filters;
    const long channels = w.channels / w.groups, group = filter / (w.filters / w.groups);
    FL sum = 0;
    for (long c = 0; c < channels; c++) {
        FL part = 0;
        const long from = image * all.strides[1][RANK - 4] + (group * channels + c) * all.strides[1][RANK - 3];
        const long weight = filter * all.strides[2][RANK - 4] + c * all.strides[2][RANK - 3];
        for (long ky = 0; ky < w.kernel_[0]; ky++) {
            const long row = y * w.stride[0] - w.padding[0] + ky * w.dilation[0];
            if (row < 0 || row >= w.height) continue;
            for (long kx = 0; kx < w.kernel_[1]; kx++) {
                const long column = x * w.stride[1] - w.padding[1] + kx * w.dilation[1];
                if (column < 0 || column >= w.width) continue;
                part += LOAD(in + from + row * all.strides[1][RANK - 2] + column * all.strides[1][RANK - 1]) *
                        LOAD(weights + weight + ky * all.strides[2][RANK - 2] + kx * all.strides[2][RANK - 1]);
            }
        }
        sum += part;
    }
    if (has_bias) sum += LOAD(bias + filter * all.strides[3][RANK - 1]);
    STORE(ACTIVATE(sum), out + places[0]);
}
#endif

#ifdef MATMUL
/* A group has a tile of TILE by TILE elements of the result, each item SIDE by SIDE of them; DEPTH columns of `a` and rows of `b` at a time lie in
 * local memory. Operands are the result, a, b and the bias; their strides along the last two dimensions are in `last`. */
#define TILE 32
#define SIDE 4
#define DEPTH 16
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void run(
    global uchar *b0, long o0, global uchar *b1, long o1, global uchar *b2, long o2, global uchar *b3, long o3,
    const walk batch, const walk last, long m, long n, long k, long has_bias, long activation) {
    global const S *a = (global const S *)(b1 + o1);
    global const S *b = (global const S *)(b2 + o2);
    local FL left[DEPTH][TILE], right[DEPTH][TILE];
    const uint item = get_local_id(0);
    const long across = (n + TILE - 1) / TILE;
    const long row0 = (long)get_group_id(0) / across * TILE, column0 = (long)get_group_id(0) % across * TILE;
    const uint my_row = item / (TILE / SIDE) * SIDE, my_column = item % (TILE / SIDE) * SIDE;
    long places[4] = {0, 0, 0, 0};
    PLACES(4, batch, get_global_id(1), places)
    FL sums[SIDE][SIDE];
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) sums[i][j] = 0;
    for (long depth = 0; depth < k; depth += DEPTH) {
        for (uint i = item; i < DEPTH * TILE; i += GROUP) {
            const long d = depth + i / TILE, row = row0 + i % TILE, column = column0 + i % TILE;
            left[i / TILE][i % TILE] =
                d < k && row < m ? LOAD(a + places[1] + row * last.strides[1][0] + d * last.strides[1][1]) : (FL)0;
            right[i / TILE][i % TILE] =
                d < k && column < n ? LOAD(b + places[2] + d * last.strides[2][0] + column * last.strides[2][1]) : (FL)0;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        FL parts[SIDE][SIDE];
        for (int i = 0; i < SIDE; i++)
            for (int j = 0; j < SIDE; j++) parts[i][j] = 0;
        for (int d = 0; d < DEPTH; d++)
            for (int i = 0; i < SIDE; i++)
                for (int j = 0; j < SIDE; j++)
                    parts[i][j] = mad(left[d][my_row + i], right[d][my_column + j], parts[i][j]);
        for (int i = 0; i < SIDE; i++)
            for (int j = 0; j < SIDE; j++) sums[i][j] += parts[i][j];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    global S *out = (global S *)(b0 + o0) + places[0];
    global const S *bias = (global const S *)(b3 + o3) + places[3];
    for (int i = 0; i < SIDE; i++) {
        for (int j = 0; j < SIDE; j++) {
            const long row = row0 + my_row + i, column = column0 + my_column + j;
            if (row >= m || column >= n) continue;
            FL sum = sums[i][j];
            if (has_bias) sum += LOAD(bias + row * last.strides[3][0] + column * last.strides[3][1]);
            STORE(ACTIVATE(sum), out + row * last.strides[0][0] + column * last.strides[0][1]);
        }
    }
}
#endif
