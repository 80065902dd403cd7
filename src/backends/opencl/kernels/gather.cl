/* Gathering elements of type T, which are moved and nothing else, so that T is an integer as long as they are. Operands are the result, the
 * input, and the numbers of its slices, of type N. An item has `run` elements that follow each other along the result's last dimension; where that lies
 * within a slice, it moves LANES of them at a time. */
/* -1: there is no such slice. */
static long find(long number, long dim, global int *wrong) {
    if (number < 0) number += dim;
    if (number >= 0 && number < dim) return number;
    atomic_xchg(wrong, 1);
    return -1;
}

kernel __attribute__((reqd_work_group_size(SIZE, 1, 1))) void run(global uchar *b0, long o0, global uchar *b1,
                                                                   long o1, global uchar *b2, long o2, const walk all,
                                                                   long count, long run, long dim, long stride,
                                                                   global int *wrong) {
    const long item = get_global_id(0);
    if (item >= count) return;
    const long side = all.dims[RANK - 1], each = (side + run - 1) / run, begin = item % each * run;
    const long end = min(begin + run, side);
    const long to = all.strides[0][RANK - 1], from = all.strides[1][RANK - 1], next = all.strides[2][RANK - 1];
    long places[3] = {0, 0, 0};
    PLACES(3, all, item / each * side, places)
    global S *out = (global S *)(b0 + o0) + places[0];
    global const S *in = (global const S *)(b1 + o1) + places[1];
    global const N *numbers = (global const N *)(b2 + o2) + places[2];
    if (next != 0) {
        for (long at = begin; at < end; at++) {
            const long number = find(numbers[at * next], dim, wrong);
            out[at * to] = number < 0 ? 0 : in[number * stride + at * from];
        }
        return;
    }
    const long number = find(*numbers, dim, wrong);
    for (long at = begin; at < end; at += LANES) {
        const int left = (int)min((long)LANES, end - at);
        GLUE(w_, T) moved = 0;
        if (number >= 0) moved = LOAD_ALONG(T, in + number * stride + at * from, from);
        STORE_ALONG(T, moved, out + at * to, to);
    }
}
