/* Multiplying packed panels in registers: an item has LEFT by RIGHT elements of the result, RIGHT being two vectors of WIDTH elements. Each depth takes
 * two vectors of the right panel and LEFT elements of the left one, each spread over a vector. There is no barrier: what
 * processors have is caches, and neighbouring items read the same right panel, or one item all of it (FUSED). Parts of 256 depths are summed by themselves, so that the error of a long sum stays small. */
#define VECTOR GLUE(FL, WIDTH)
#define LOAD_VECTOR GLUE(vload, WIDTH)
#define STORE_VECTOR GLUE(vstore, WIDTH)
#define PART 256
/* Of loops that are over too soon to be worth what their vectors would take to compile. */
#define ROLLED _Pragma("clang loop vectorize(disable) unroll(disable)")

#ifdef FUSED
/* An item of a convolution packs its right panel itself and multiplies all left ones by it: what it packs stays in the cache of its processor. */
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void finish(OPERANDS, global FL *scratch, const slab part,
                                                                       local FL *panel) {
    const long number = get_global_id(0), matrix = get_global_id(1);
    if (number >= part.right_panels) return;
    const long across_number = number, begin = 0, end = part.left_panels;
#else
kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void finish(OPERANDS, global FL *scratch, const slab part) {
    const long number = get_global_id(0), matrix = get_global_id(1);
    if (number >= part.left_panels * part.right_panels) return;
    const long across_number = number / part.left_panels, begin = number % part.left_panels, end = begin + 1;
    PANEL const FL *panel = scratch + part.right_at + (matrix * part.right_panels + across_number) * RIGHT * part.padded;
#endif
    const long column = across_number * RIGHT;
    const int columns = (int)min((long)RIGHT, part.columns - column);
    long places[4] = {0, 0, 0, 0};
    PLACES(4, batch, part.batch + matrix, places)
#ifdef FUSED
    pack_image((global const S *)(b2 + o2) + places[2], &picture, part.column + column, columns, part.depth, part.depths, panel);
#endif
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
    for (long beside = begin; beside < end; beside++) {
        const long row = beside * LEFT;
        const int rows = (int)min((long)LEFT, part.rows - row);
        global const FL *left = scratch + (matrix * part.left_panels * LEFT + row) * part.padded;
        PANEL const FL *right = panel;
        global FL *kept = scratch + part.sums_at +
                          ((matrix * part.right_panels + across_number) * part.left_panels + beside) * LEFT * RIGHT;
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
            continue;
        }
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
}
