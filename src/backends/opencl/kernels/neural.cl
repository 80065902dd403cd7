/* Softmax, layer norm, gather and max pooling of elements of type T, each under its name. */
#define SUM GLUE(sum_, FL)
#define SUM_ADD GLUE(sum_add_, FL)
#define SUM_JOIN GLUE(sum_join_, FL)
#define SUM_OF GLUE(sum_of_, FL)
#define GROUP 64

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
