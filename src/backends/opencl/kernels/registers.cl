/* Multiplying packed panels in registers: an item has LEFT by RIGHT elements of the result, RIGHT being two vectors of WIDTH elements. Each depth takes
 * two vectors of the right panel and LEFT elements of the left one, each spread over a vector. There is neither local memory nor a barrier: what
 * processors have is caches, and neighbouring items read the same right panel. Parts of 256 depths are summed by themselves, so that the error of a long sum stays small. */
#define VECTOR GLUE(FL, WIDTH)
#define LOAD_VECTOR GLUE(vload, WIDTH)
#define STORE_VECTOR GLUE(vstore, WIDTH)
#define PART 256
/* Of loops that are over too soon to be worth what their vectors would take to compile. */
#define ROLLED _Pragma("clang loop vectorize(disable) unroll(disable)")

kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void finish(OPERANDS, global FL *scratch, const slab part) {
    const long number = get_global_id(0), matrix = get_global_id(1);
    const long tiles = part.left_panels * part.right_panels;
    if (number >= tiles) return;
    const long row = number % part.left_panels * LEFT, column = number / part.left_panels * RIGHT;
    global const FL *left = scratch + (matrix * part.left_panels * LEFT + row) * part.padded;
    global const FL *right = scratch + part.right_at + (matrix * part.right_panels * RIGHT + column) * part.padded;
    global FL *kept = scratch + part.sums_at + (matrix * tiles + number) * LEFT * RIGHT;
    FL sums[LEFT * RIGHT];
    ROLLED for (int i = 0; i < 2 * LEFT; i++) STORE_VECTOR(part.is_first ? (VECTOR)0 : LOAD_VECTOR(i, kept), i, sums);
    for (long done = 0; done < part.depths; done += PART) {
        const long depths = min((long)PART, part.depths - done);
        VECTOR parts[LEFT][2];
#pragma unroll
        for (int i = 0; i < LEFT; i++) parts[i][0] = parts[i][1] = 0;
        for (long d = 0; d < depths; d++, left += LEFT, right += RIGHT) {
            const VECTOR first = LOAD_VECTOR(0, right), second = LOAD_VECTOR(1, right);
#pragma unroll
            for (int i = 0; i < LEFT; i++) {
                const VECTOR factor = left[i];
                parts[i][0] = MULTIPLY_ADD(factor, first, parts[i][0]);
                parts[i][1] = MULTIPLY_ADD(factor, second, parts[i][1]);
            }
        }
#pragma unroll
        for (int i = 0; i < LEFT; i++) {
            STORE_VECTOR(LOAD_VECTOR(2 * i, sums) + parts[i][0], 2 * i, sums);
            STORE_VECTOR(LOAD_VECTOR(2 * i + 1, sums) + parts[i][1], 2 * i + 1, sums);
        }
    }
    if (!part.is_last) {
        ROLLED for (int i = 0; i < 2 * LEFT; i++) STORE_VECTOR(LOAD_VECTOR(i, sums), i, kept);
        return;
    }
    long places[4] = {0, 0, 0, 0};
    PLACES(4, batch, part.batch + matrix, places)
    const int columns = (int)min((long)RIGHT, part.columns - column), rows = (int)min((long)LEFT, part.rows - row);
#ifdef CONV2D
    long across[RIGHT];
    position at = position_of(part.column + column, &picture);
    for (int j = 0; j < columns; j++, at = position_after(at, &picture)) across[j] = POSITION_PLACE(at, picture.strides[0]);
#define OUT_PLACE(j) across[j]
    const bool is_side_by_side = across[columns - 1] - across[0] == columns - 1 && picture.strides[0][3] == 1;
#else
#define OUT_PLACE(j) ((part.column + column + (j)) * all.strides[0][1])
    const bool is_side_by_side = all.strides[0][1] == 1;
#endif
    for (int i = 0; i < rows; i++) {
        FL *line = sums + i * RIGHT;
        const long here = part.row + row + i;
        global S *out = (global S *)(b0 + o0) + places[0] + here * all.strides[0][0];
        if (has_bias) {
            global const S *bias = (global const S *)(b3 + o3) + places[3] + here * all.strides[3][0] +
                                   (part.column + column) * all.strides[3][1];
            ROLLED for (int j = 0; j < columns; j++) line[j] += LOAD(bias + j * all.strides[3][1]);
        }
#if ACTIVATION != 0
        ROLLED for (int j = 0; j < columns; j++) line[j] = ACTIVATE(line[j]);
#endif
        if (is_side_by_side) {
            for (int j = 0; j < columns; j++) STORE(line[j], out + OUT_PLACE(0) + j);
        } else {
            ROLLED for (int j = 0; j < columns; j++) STORE(line[j], out + OUT_PLACE(j));
        }
    }
}
