/* Multiplying packed panels through local memory: a group of 64 items has 64 by 64 elements of the result, each item 8 by 8 of them in registers. CHUNK
 * depths of both panels at a time lie in local memory, copied by all items together, and each element there serves 8 items. */
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void finish(OPERANDS, global FL *scratch, const slab part) {
    local FL4 left[CHUNK * LEFT / 4], right[CHUNK * RIGHT / 4];
    const uint item = get_local_id(0);
    const long number = get_group_id(0), matrix = get_global_id(1);
    const long row = number % part.left_panels * LEFT, column = number / part.left_panels * RIGHT;
    global const FL *from_left = scratch + (matrix * part.left_panels * LEFT + row) * part.padded;
    global const FL *from_right = scratch + part.right_at + (matrix * part.right_panels * RIGHT + column) * part.padded;
    global FL *kept = scratch + part.sums_at +
                      ((matrix * part.left_panels * part.right_panels + number) * GROUP + item) * (LEFT * RIGHT / GROUP);
    const uint my_row = item / 8, my_column = item % 8;
    FL4 sums[8][2];
#pragma unroll
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 2; j++) sums[i][j] = part.is_first ? (FL4)0 : vload4(i * 2 + j, kept);
    for (long done = 0; done < part.padded; done += CHUNK) {
        for (uint i = item; i < CHUNK * LEFT / 4; i += GROUP) {
            left[i] = vload4(i, from_left + done * LEFT);
            right[i] = vload4(i, from_right + done * RIGHT);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (uint d = 0; d < CHUNK; d++) {
            const FL4 upper = left[d * 16 + my_row], lower = left[d * 16 + 8 + my_row];
            const FL4 first = right[d * 16 + my_column], second = right[d * 16 + 8 + my_column];
            const FL factors[8] = {upper.x, upper.y, upper.z, upper.w, lower.x, lower.y, lower.z, lower.w};
#pragma unroll
            for (int i = 0; i < 8; i++) {
                sums[i][0] = MULTIPLY_ADD((FL4)factors[i], first, sums[i][0]);
                sums[i][1] = MULTIPLY_ADD((FL4)factors[i], second, sums[i][1]);
            }
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    if (!part.is_last) {
#pragma unroll
        for (int i = 0; i < 8; i++)
            for (int j = 0; j < 2; j++) vstore4(sums[i][j], i * 2 + j, kept);
        return;
    }
    long places[4] = {0, 0, 0, 0};
    PLACES(4, batch, part.batch + matrix, places)
    /* A row at a time passes through local memory, each item's own place in it, since registers have no numbers. */
    local FL *line = (local FL *)(left + item * 2);
#pragma unroll
    for (int i = 0; i < 8; i++) {
        const long to_row = row + i / 4 * 32 + my_row * 4 + i % 4;
        vstore4(sums[i][0], 0, line);
        vstore4(sums[i][1], 1, line);
        if (to_row < part.rows) {
            for (uint j = 0; j < 8; j++) {
                const long to_column = column + j / 4 * 32 + my_column * 4 + j % 4;
                if (to_column >= part.columns) break;
                const long y = part.row + to_row, x = part.column + to_column;
                FL sum = line[j];
                if (has_bias)
                    sum += LOAD((global const S *)(b3 + o3) + places[3] + y * all.strides[3][0] + x * all.strides[3][1]);
#ifdef CONV2D
                const position at = position_of(x, &picture);
                const long across = POSITION_PLACE(at, picture.strides[0]);
#else
                const long across = x * all.strides[0][1];
#endif
                STORE(ACTIVATE(sum), (global S *)(b0 + o0) + places[0] + y * all.strides[0][0] + across);
            }
        }
    }
}
