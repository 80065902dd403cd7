/* Products too small or too narrow to be worth packing, from the matrices as they lie. */
#ifdef CONV2D
/* An item for each element of the result. */
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void run(OPERANDS, long m, long n, long k) {
    const long number = get_global_id(0);
    if (number >= m * n) return;
    const long row = number / n, column = number % n;
    long places[4] = {0, 0, 0, 0};
    PLACES(4, batch, get_global_id(1), places)
    const position at = position_of(column, &picture);
    const long top = at.y * picture.seen.stride[0] - picture.seen.padding[0];
    const long left = at.x * picture.seen.stride[1] - picture.seen.padding[1];
    const long channels = k / (picture.seen.kernel_[0] * picture.seen.kernel_[1]);
    global const S *weights = (global const S *)(b1 + o1) + places[1] + row * all.strides[1][0];
    global const S *in = (global const S *)(b2 + o2) + places[2] + at.number * picture.strides[2][0];
    FL sum = 0;
    for (long c = 0; c < channels; c++) {
        FL part = 0;
        for (long y = 0; y < picture.seen.kernel_[0]; y++) {
            const long down = top + y * picture.seen.dilation[0];
            if (down < 0 || down >= picture.seen.height) continue;
            for (long x = 0; x < picture.seen.kernel_[1]; x++) {
                const long across = left + x * picture.seen.dilation[1];
                if (across < 0 || across >= picture.seen.width) continue;
                part += LOAD(in + c * picture.strides[2][1] + down * picture.strides[2][2] + across * picture.strides[2][3]) *
                        LOAD(weights + c * picture.strides[1][1] + y * picture.strides[1][2] + x * picture.strides[1][3]);
            }
        }
        sum += part;
    }
    if (has_bias) sum += LOAD((global const S *)(b3 + o3) + places[3] + row * all.strides[3][0]);
    STORE(ACTIVATE(sum), (global S *)(b0 + o0) + places[0] + row * all.strides[0][0] + POSITION_PLACE(at, picture.strides[0]));
}
#else
#define VECTOR GLUE(FL, WIDTH)
#define LOAD_VECTOR GLUE(vload, WIDTH)
#define STORE_VECTOR GLUE(vstore, WIDTH)
#define load_vector_f32(place) LOAD_VECTOR(0, place)
#define load_vector_f64(place) LOAD_VECTOR(0, place)
#define load_vector_f16(place) GLUE(vload_half, WIDTH)(0, (global const half *)(place))
#define load_vector_bf16(place) GLUE(as_float, WIDTH)(GLUE(convert_uint, WIDTH)(LOAD_VECTOR(0, place)) << 16)
#define LOAD_MANY(place) GLUE(load_vector_, T)(place)
#define PART 64

/* An item for WIDTH columns of a row; SIDE_BY_SIDE: they lie so in the right matrix. DEEP: for one element, and both matrices lie side by side along k. */
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void run(OPERANDS, long m, long n, long k) {
#ifdef DEEP
    const long across = n;
#else
    const long across = (n + WIDTH - 1) / WIDTH;
#endif
    if ((long)get_global_id(0) >= m * across) return;
    long places[4] = {0, 0, 0, 0};
    PLACES(4, batch, get_global_id(1), places)
    const long row = get_global_id(0) / across, number = get_global_id(0) % across;
    global const S *left = (global const S *)(b1 + o1) + places[1] + row * all.strides[1][0];
    global const S *right = (global const S *)(b2 + o2) + places[2];
    FL found[WIDTH];
#ifdef DEEP
    const long column = number;
    const int columns = 1;
    right += column * all.strides[2][1];
    VECTOR sums = 0;
    long d = 0;
    while (d + WIDTH <= k) {
        VECTOR part = 0;
        for (const long end = min(d + PART * WIDTH, k - WIDTH + 1); d < end; d += WIDTH)
            part = MULTIPLY_ADD(LOAD_MANY(left + d), LOAD_MANY(right + d), part);
        sums += part;
    }
    STORE_VECTOR(sums, 0, found);
    FL rest = 0;
    for (; d < k; d++) rest += LOAD(left + d) * LOAD(right + d);
    for (int half_ = WIDTH / 2; half_ > 0; half_ /= 2)
        for (int i = 0; i < half_; i++) found[i] += found[i + half_];
    found[0] += rest;
#else
    const long column = number * WIDTH;
    const int columns = (int)min((long)WIDTH, n - column);
    right += column * all.strides[2][1];
#ifdef SIDE_BY_SIDE
    if (columns == WIDTH) {
        VECTOR sums = 0;
        for (long done = 0; done < k; done += PART) {
            VECTOR part = 0;
            for (long d = done; d < min(done + PART, k); d++)
                part = MULTIPLY_ADD((VECTOR)LOAD(left + d * all.strides[1][1]), LOAD_MANY(right + d * all.strides[2][0]), part);
            sums += part;
        }
        STORE_VECTOR(sums, 0, found);
    } else
#endif
    {
        for (int j = 0; j < columns; j++) {
            FL sum = 0;
            for (long done = 0; done < k; done += PART) {
                FL part = 0;
                for (long d = done; d < min(done + PART, k); d++)
                    part = MULTIPLY_ADD(LOAD(left + d * all.strides[1][1]),
                                        LOAD(right + d * all.strides[2][0] + j * all.strides[2][1]), part);
                sum += part;
            }
            found[j] = sum;
        }
    }
#endif
    global S *out = (global S *)(b0 + o0) + places[0] + row * all.strides[0][0];
    global const S *bias = (global const S *)(b3 + o3) + places[3] + row * all.strides[3][0];
    for (int j = 0; j < columns; j++) {
        FL sum = found[j];
        if (has_bias) sum += LOAD(bias + (column + j) * all.strides[3][1]);
        STORE(ACTIVATE(sum), out + (column + j) * all.strides[0][1]);
    }
}
#endif
