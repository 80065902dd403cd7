/* Max pooling of elements of type T. An item has `run` elements that follow each other along a row of the result, and computes LANES of them at a
 * time. */
#define W GLUE(w_, T)

/* What LANES windows see in columns from `column` on, which are `step` apart; the least there is beyond the image. */
static W see(global const S *row, long column, long step, long width, long stride, int left) {
    if (column >= 0 && column + (LANES - 1) * step < width && left == LANES) {
        global const S *place = row + column * stride;
#if LANES > 1
        /* Every other one of twice as many, but for the last, which may not be there. */
        if (step * stride == 2) return (W)(LOAD_ALONG(T, place, 1).even, LOAD_ALONG(T, place + LANES - 1, 1).odd);
#endif
        return LOAD_ALONG(T, place, step * stride);
    }
    V lanes[LANES];
    for (int i = 0; i < LANES; i++) {
        const long here = column + i * step;
        lanes[i] = here >= 0 && here < width ? LOAD(row + here * stride) : LEAST;
    }
    return get_lanes(V, lanes);
}

kernel __attribute__((reqd_work_group_size(SIZE, 1, 1))) void run(global uchar *b0, long o0, global uchar *b1,
                                                                   long o1, const walk all, long count, long run,
                                                                   const window w) {
    const long item = get_global_id(0);
    if (item >= count) return;
    const long side = all.dims[RANK - 1], each = (side + run - 1) / run, begin = item % each * run;
    const long end = min(begin + run, side), to = all.strides[0][RANK - 1];
    const long y = item / each % all.dims[RANK - 2];
    long places[2] = {0, 0};
    PLACES(2, all, item / each * side, places)
    global S *out = (global S *)(b0 + o0) + places[0];
    /* Along the image the input has the strides of its own, in the third place. */
    global const S *image = (global const S *)(b1 + o1) + places[1];
    for (long x = begin; x < end; x += LANES) {
        const int left = (int)min((long)LANES, end - x);
        W most = (W)(LEAST);
        for (long ky = 0; ky < w.kernel_[0]; ky++) {
            const long row = y * w.stride[0] - w.padding[0] + ky * w.dilation[0];
            if (row < 0 || row >= w.height) continue;
            for (long kx = 0; kx < w.kernel_[1]; kx++) {
                const long column = x * w.stride[1] - w.padding[1] + kx * w.dilation[1];
                const W here = see(image + row * all.strides[2][RANK - 2], column, w.stride[1], w.width,
                                   all.strides[2][RANK - 1], left);
                most = greater_of(most, here);
            }
        }
        STORE_ALONG(T, most, out + x * to, to);
    }
}
