/* Copies of elements as they are: of any type, by their size alone. Where the input's neighbours are not the output's they go through tiles of shared
 * memory, so that both are read and written side by side. */
#include "single.cuh"

template <class Element, int LANES, int PACKS> DEVICE void copy_all(const cuda_single &single) {
    const uint64 first = (uint64)blockIdx.x * (blockDim.x * PACKS) + threadIdx.x;
    single_place at[PACKS];
    pack<Element, LANES> moved[PACKS];
    UNROLLED for (int p = 0; p < PACKS; p++) {
        at[p] = find_pack<LANES>(single, first + (uint64)p * blockDim.x);
        UNROLLED for (int k = 0; k < LANES; k++) moved[p].elements[k] = 0;
        read_operand(single, 1, at[p], &moved[p]);
    }
    UNROLLED for (int p = 0; p < PACKS; p++) write_output(single, at[p], moved[p]);
}

/* A block of 32 × 8 threads turns tiles of 32 × 32 words, four bytes or what an element has. Elements that are shorter than a word are moved as
 * 4 or 2 × 2 … of them: as many lines as fit into a word. A line of shared memory is one word longer than the tile, so that a column of it
 * lies in 32 banks. */
template <class Element, class Word> DEVICE void turn_tiles(const cuda_turn &turn) {
    const int each = (int)(sizeof(Word) / sizeof(Element)), side = CUDA_TURN_SIDE * each;
    __shared__ Word tile[CUDA_TURN_SIDE * (sizeof(Word) / sizeof(Element))][CUDA_TURN_SIDE + 1];
    const uint32 lane = threadIdx.x % CUDA_TURN_SIDE, line = threadIdx.x / CUDA_TURN_SIDE;
    const uint64 along = (uint64)(turn.columns + side - 1) / side, down = (uint64)(turn.rows + side - 1) / side;
    const uint64 batch = quotient(blockIdx.x, along * down), within = blockIdx.x - batch * along * down;
    const int64 first_row = (int64)quotient(within, along) * side, first_column = (int64)(within % along) * side;
    const Element *in = (const Element *)turn.in + offset_of(batch, turn.dims, turn.in_strides, 0, turn.rank);
    Element *out = (Element *)turn.out + offset_of(batch, turn.dims, turn.out_strides, 0, turn.rank);
    /* Rows lie side by side in the input, columns in the output. */
    ROLLED for (uint32 i = line; i < (uint32)side; i += CUDA_TURN_LINES) {
        const int64 column = first_column + i, row = first_row + (int64)lane * each;
        if (column >= turn.columns || row >= turn.rows) continue;
        const Element *from = in + column * turn.in_column_stride + row;
        pack<Element, (int)(sizeof(Word) / sizeof(Element))> read;
        if (row + each <= turn.rows && is_aligned<Element, (int)(sizeof(Word) / sizeof(Element))>(from)) {
            read = read_whole<Element, (int)(sizeof(Word) / sizeof(Element))>(from);
        } else {
            UNROLLED for (int k = 0; k < each; k++) read.elements[k] = row + k < turn.rows ? from[k] : (Element)0;
        }
        Word word;
        memcpy(&word, &read, sizeof word);
        tile[i][lane] = word;
    }
    __syncthreads();
    ROLLED for (uint32 i = line; i < (uint32)side; i += CUDA_TURN_LINES) {
        const int64 row = first_row + i, column = first_column + (int64)lane * each;
        if (row >= turn.rows || column >= turn.columns) continue;
        pack<Element, (int)(sizeof(Word) / sizeof(Element))> written;
        UNROLLED for (int k = 0; k < each; k++)
            written.elements[k] = ((const Element *)&tile[lane * each + k][i / each])[i % each];
        Element *to = out + row * turn.out_row_stride + column;
        if (column + each <= turn.columns && is_aligned<Element, (int)(sizeof(Word) / sizeof(Element))>(to)) {
            write_whole(to, written);
        } else {
            UNROLLED for (int k = 0; k < each; k++)
                if (column + k < turn.columns) to[k] = written.elements[k];
        }
    }
}

#define FOR_SIZE(size, element, word)                                                                 \
    KERNEL(tarn_copy_##size)(PARAMETER(cuda_single) single) {                                         \
        copy_all<element, CUDA_LANES(sizeof(element)), CUDA_COPY_PACKS>(single);                      \
    }                                                                                                 \
    KERNEL(tarn_turn_##size)(PARAMETER(cuda_turn) turn) { turn_tiles<element, word>(turn); }
FOR_SIZE(1, uint8, uint32)
FOR_SIZE(2, uint16, uint32)
FOR_SIZE(4, uint32, uint32)
FOR_SIZE(8, uint64, uint64)
#undef FOR_SIZE
