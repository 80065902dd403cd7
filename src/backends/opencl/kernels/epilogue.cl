/* What is left of a product that a library has computed: the bias and the activation, an item for each element. */
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void run(OPERANDS, long m, long n, long k) {
    const long number = get_global_id(0), row = number / n, column = number % n;
    if (number >= m * n) return;
    long places[4] = {0, 0, 0, 0};
    PLACES(4, batch, get_global_id(1), places)
    global S *out = (global S *)(b0 + o0) + places[0] + row * all.strides[0][0] + column * all.strides[0][1];
    FL sum = LOAD(out);
    if (has_bias) sum += LOAD((global const S *)(b3 + o3) + places[3] + row * all.strides[3][0] + column * all.strides[3][1]);
    STORE(ACTIVATE(sum), out);
}
