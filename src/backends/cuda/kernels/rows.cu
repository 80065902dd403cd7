/* Softmax and layer norm: rows of elements, each normalized by figures of its own. Some threads of a block share a row; what they find is combined in
 * pairs, in one order.
 *
 * Rows whose elements lie side by side are read once, in packs, into registers. Those that do not fit are read twice: the first time
 * piece by piece, for figures of all pieces so far. Rows that lie otherwise are read for each figure anew, by neighbouring threads from neighbouring rows where
 * those lie side by side. */
#include "pack.cuh"
#include "reduce.cuh"

/* Where a thread works: in which row, if there is one, and as which of the row's threads. */
struct row_place {
    reduction_place place;
    uint64 row;
    bool is_there;
};
DEVICE row_place find_row(const cuda_rows &shape) {
    row_place found;
    if (shape.lies == CUDA_ROWS_ACROSS) {
        found.place.output = threadIdx.x % shape.block_rows;
        found.place.thread = threadIdx.x / shape.block_rows;
    } else {
        found.place.output = threadIdx.x / shape.threads;
        found.place.thread = threadIdx.x % shape.threads;
    }
    found.row = (uint64)blockIdx.x * shape.block_rows + found.place.output;
    found.is_there = found.row < (uint64)shape.rows;
    return found;
}

/* What all threads of a row have, for each of them, by way of shared memory alone. */
template <class Lane> DEVICE Lane compute_whole_in_memory(const cuda_rows &shape, row_place at, uint32 operation, running<Lane> mine) {
    __shared__ cuda_lane whole[MOST_THREADS];
    mine = reduce_block(operation, shape.block_rows, shape.threads, at.place, mine);
    __syncthreads();
    if (at.place.thread == 0) lane_in<Lane>(whole[at.place.output]) = whole_of(mine);
    __syncthreads();
    return lane_in<Lane>(whole[at.place.output]);
}

/* The same: those of a warp by shuffles, warps by way of shared memory, from which each thread adds up all of its row, in the same order. Not where the
 * threads of a row are no neighbours, nor for doubles, whose kernels have no registers left for it. */
template <class Lane> DEVICE Lane compute_whole(const cuda_rows &shape, row_place at, uint32 operation, running<Lane> mine) {
    __shared__ cuda_partial of_warp[MOST_THREADS / WARP];
    if (sizeof(Lane) == 8 || shape.lies == CUDA_ROWS_ACROSS) return compute_whole_in_memory(shape, at, operation, mine);
    mine = reduce_near(operation, shape.threads < WARP ? shape.threads : WARP, mine);
    if (shape.threads <= WARP) return __shfl_sync(ALL_LANES, whole_of(mine), 0, (int)shape.threads);
    const uint32 warp = threadIdx.x / WARP, warps = shape.threads / WARP, first = warp / warps * warps;
    __syncthreads(); /* what was there before has been read */
    if (threadIdx.x % WARP == 0) {
        lane_in<Lane>(of_warp[warp].value) = mine.value;
        lane_in<Lane>(of_warp[warp].error) = mine.error;
    }
    __syncthreads();
    cuda_partial part = of_warp[first];
    running<Lane> all = {lane_in<Lane>(part.value), lane_in<Lane>(part.error)};
    ROLLED for (uint32 i = 1; i < warps; i++) {
        part = of_warp[first + i];
        take_in(operation, &all, lane_in<Lane>(part.value), lane_in<Lane>(part.error));
    }
    return whole_of(all);
}

DEVICE int64 row_offset(const cuda_rows &shape, row_place at, const int64 *strides) {
    return at.is_there ? offset_of(at.row, shape.dims, strides, 0, shape.row_rank) : 0;
}
DEVICE int64 place_in_row(const cuda_rows &shape, uint64 number, const int64 *strides) {
    return offset_of(number, shape.dims, strides, shape.row_rank, shape.rank);
}

/* Adds to a sum of floats: halves are so much shorter than the lanes which they are added up in that these lose nothing that counts. */
template <class Element, class Lane> DEVICE void add_to(running<Lane> *sum, Lane value) {
    if (sizeof(Element) == 2) sum->value += value;
    else take_in(DO_SUM, sum, value, (Lane)0);
}

/* A piece of a row, of which a thread holds so many elements: those of every so many packs, or every so many elements where packs are not aligned. */
template <class Element, int EACH> struct row_piece {
    typedef typename lane_of<Element>::type Lane;
    static const int lanes = CUDA_LANES(sizeof(Element)), each = EACH;
    const cuda_rows &shape;
    uint64 first, length; /* of the row's elements, the piece's first; all that the row has */
    uint32 thread;

    DEVICE uint64 number_of(int i) const {
        if (shape.lies == CUDA_ROWS_IN_PACKS)
            return first + (uint64)(uint32)(i / lanes * (int)shape.threads + (int)thread) * lanes + (uint32)(i % lanes);
        return first + (uint64)(uint32)i * shape.threads + thread;
    }
    DEVICE bool has(int i) const { return number_of(i) < length; }

    /* What there is not becomes `missing`. */
    DEVICE void read(const Element *row, Lane missing, Lane *out) const {
        if (shape.lies == CUDA_ROWS_IN_PACKS) {
            UNROLLED for (int p = 0; p < each / lanes; p++) {
                const bool is_there = has(p * lanes);
                pack<Element, lanes> read;
                if (is_there) read = read_whole<Element, lanes>(row + number_of(p * lanes));
                UNROLLED for (int k = 0; k < lanes; k++) out[p * lanes + k] = is_there ? load(read.elements[k]) : missing;
            }
        } else {
            UNROLLED for (int i = 0; i < each; i++) out[i] = has(i) ? load(row[number_of(i)]) : missing;
        }
    }
    DEVICE void write(Element *row, const Lane *lane) const {
        if (shape.lies == CUDA_ROWS_IN_PACKS) {
            UNROLLED for (int p = 0; p < each / lanes; p++) {
                pack<Element, lanes> written;
                UNROLLED for (int k = 0; k < lanes; k++) store(&written.elements[k], lane[p * lanes + k]);
                if (has(p * lanes)) write_whole(row + number_of(p * lanes), written);
            }
        } else {
            UNROLLED for (int i = 0; i < each; i++)
                if (has(i)) store(row + number_of(i), lane[i]);
        }
    }
};
/* Of a row that is held as a whole, and of one that is taken piece by piece. */
#define HELD_EACH(Element) CUDA_ROW_EACH((int)sizeof(Element))
#define PIECE_EACH(Element) (2 * CUDA_LANES((int)sizeof(Element)))
/* Exponentials of doubles take so many registers that one pack has to do. */
#define SOFTMAX_PIECE_EACH(Element) ((sizeof(Element) == 8 ? 1 : 2) * CUDA_LANES((int)sizeof(Element)))

template <class Lane> DEVICE Lane least_lane() {
    Lane least;
    first_of(DO_MAX, &least);
    return least;
}

/* What is missing is the least number, whose exponential adds nothing. */
template <class Element>
DEVICE void softmax_held(const cuda_rows &shape, row_place at, const Element *in, Element *out, uint64 length) {
    typedef typename lane_of<Element>::type Lane;
    const int each = HELD_EACH(Element);
    const row_piece<Element, HELD_EACH(Element)> piece = {shape, 0, length, at.place.thread};
    Lane values[each];
    piece.read(in, least_lane<Lane>(), values);
    running<Lane> mine = begin_reduction<Lane>(DO_MAX);
    UNROLLED for (int i = 0; i < each; i++) mine.value = compute_maximum(mine.value, values[i]);
    const Lane maximum = compute_whole(shape, at, DO_MAX, mine);
    mine = begin_reduction<Lane>(DO_SUM);
    UNROLLED for (int i = 0; i < each; i++) {
        values[i] = compute_exp(values[i] - maximum);
        add_to<Element>(&mine, values[i]);
    }
    const Lane sum = compute_whole(shape, at, DO_SUM, mine);
    UNROLLED for (int i = 0; i < each; i++) values[i] /= sum;
    piece.write(out, values);
}

/* The sum is of exponentials relative to the largest element so far, and made smaller where a larger one comes. */
template <class Element>
DEVICE void softmax_long(const cuda_rows &shape, row_place at, const Element *in, Element *out, uint64 length) {
    typedef typename lane_of<Element>::type Lane;
    const int each = SOFTMAX_PIECE_EACH(Element);
    const Lane least = least_lane<Lane>();
    Lane values[each];
    running<Lane> most = begin_reduction<Lane>(DO_MAX), mine = begin_reduction<Lane>(DO_SUM);
    ROLLED for (uint64 first = 0; first < length; first += (uint64)shape.threads * each) {
        const row_piece<Element, SOFTMAX_PIECE_EACH(Element)> piece = {shape, first, length, at.place.thread};
        piece.read(in, least, values);
        Lane larger = most.value;
        UNROLLED for (int i = 0; i < each; i++) larger = compute_maximum(larger, values[i]);
        if (larger == least) continue;
        const Lane factor = compute_exp(most.value - larger);
        mine.value *= factor;
        mine.error *= factor;
        most.value = larger;
        UNROLLED for (int i = 0; i < each; i++) add_to<Element>(&mine, compute_exp(values[i] - larger));
    }
    const Lane maximum = compute_whole(shape, at, DO_MAX, most);
    const Lane factor = most.value == least ? (Lane)0 : compute_exp(most.value - maximum);
    mine.value *= factor;
    mine.error *= factor;
    const Lane sum = compute_whole(shape, at, DO_SUM, mine);
    ROLLED for (uint64 first = 0; first < length; first += (uint64)shape.threads * each) {
        const row_piece<Element, SOFTMAX_PIECE_EACH(Element)> piece = {shape, first, length, at.place.thread};
        piece.read(in, least, values);
        UNROLLED for (int i = 0; i < each; i++) values[i] = compute_exp(values[i] - maximum) / sum;
        piece.write(out, values);
    }
}

template <class Element>
DEVICE void softmax_apart(const cuda_rows &shape, row_place at, const Element *in, Element *out, uint64 length) {
    typedef typename lane_of<Element>::type Lane;
    running<Lane> mine = begin_reduction<Lane>(DO_MAX);
    for (uint64 i = at.place.thread; i < length; i += shape.threads)
        take_in(DO_MAX, &mine, load(in[place_in_row(shape, i, shape.in_strides)]), (Lane)0);
    /* What a maximum has lost is nothing, and added to an infinity it changes nothing. */
    Lane maximum = compute_whole(shape, at, DO_MAX, mine);

    mine = begin_reduction<Lane>(DO_SUM);
    for (uint64 i = at.place.thread; i < length; i += shape.threads)
        take_in(DO_SUM, &mine, compute_exp(load(in[place_in_row(shape, i, shape.in_strides)]) - maximum), (Lane)0);
    Lane sum = compute_whole(shape, at, DO_SUM, mine);

    for (uint64 i = at.place.thread; i < length; i += shape.threads)
        store(out + place_in_row(shape, i, shape.out_strides),
              compute_exp(load(in[place_in_row(shape, i, shape.in_strides)]) - maximum) / sum);
}

template <class Element> DEVICE void softmax(const cuda_rows &shape) {
    row_place at = find_row(shape);
    const Element *in = (const Element *)shape.in + row_offset(shape, at, shape.in_strides);
    Element *out = (Element *)shape.out + row_offset(shape, at, shape.out_strides);
    uint64 length = at.is_there ? (uint64)shape.length : 0;
    if (shape.lies != CUDA_ROWS_IN_PACKS && shape.lies != CUDA_ROWS_SIDE_BY_SIDE) softmax_apart(shape, at, in, out, length);
    else if ((uint64)shape.length <= (uint64)shape.threads * HELD_EACH(Element)) softmax_held(shape, at, in, out, length);
    else softmax_long(shape, at, in, out, length);
}

/* (value - mean) / root, times the weight, plus the bias, for a piece of a row. */
template <class Element, int EACH>
DEVICE void normalize(const cuda_rows &shape, const row_piece<Element, EACH> &piece, Element *out,
                      typename lane_of<Element>::type *values, typename lane_of<Element>::type mean,
                      typename lane_of<Element>::type root) {
    typedef typename lane_of<Element>::type Lane;
    Lane factors[EACH];
    UNROLLED for (int i = 0; i < EACH; i++) values[i] = (values[i] - mean) / root;
    if (shape.weight != 0) {
        piece.read((const Element *)shape.weight, (Lane)0, factors);
        UNROLLED for (int i = 0; i < EACH; i++) values[i] *= factors[i];
    }
    if (shape.bias != 0) {
        piece.read((const Element *)shape.bias, (Lane)0, factors);
        UNROLLED for (int i = 0; i < EACH; i++) values[i] += factors[i];
    }
    piece.write(out, values);
}

template <class Element>
DEVICE void layer_norm_held(const cuda_rows &shape, row_place at, const Element *in, Element *out, uint64 length) {
    typedef typename lane_of<Element>::type Lane;
    const int each = HELD_EACH(Element);
    const row_piece<Element, HELD_EACH(Element)> piece = {shape, 0, length, at.place.thread};
    Lane values[each];
    piece.read(in, (Lane)0, values);
    running<Lane> mine = begin_reduction<Lane>(DO_SUM);
    UNROLLED for (int i = 0; i < each; i++) add_to<Element>(&mine, values[i]);
    const Lane mean = compute_whole(shape, at, DO_SUM, mine) / (Lane)shape.length;
    mine = begin_reduction<Lane>(DO_SUM);
    UNROLLED for (int i = 0; i < each; i++) {
        const Lane difference = piece.has(i) ? values[i] - mean : (Lane)0;
        add_to<Element>(&mine, difference * difference);
    }
    const Lane variance = compute_whole(shape, at, DO_SUM, mine) / (Lane)shape.length;
    normalize(shape, piece, out, values, mean, compute_sqrt(variance + (Lane)shape.epsilon));
}

/* Each thread keeps the mean of what it has seen and the sum of squared differences from that, piece by piece (Chan, Golub and LeVeque's formula). */
template <class Element>
DEVICE void layer_norm_long(const cuda_rows &shape, row_place at, const Element *in, Element *out, uint64 length) {
    typedef typename lane_of<Element>::type Lane;
    const int each = PIECE_EACH(Element);
    Lane values[each], count = 0, middle = 0, squares = 0;
    ROLLED for (uint64 first = 0; first < length; first += (uint64)shape.threads * each) {
        const row_piece<Element, PIECE_EACH(Element)> piece = {shape, first, length, at.place.thread};
        piece.read(in, (Lane)0, values);
        running<Lane> sum = begin_reduction<Lane>(DO_SUM), rest = sum;
        Lane own = 0;
        UNROLLED for (int i = 0; i < each; i++) {
            add_to<Element>(&sum, values[i]);
            own += piece.has(i) ? (Lane)1 : (Lane)0;
        }
        if (own == 0) continue;
        const Lane mean = whole_of(sum) / own;
        UNROLLED for (int i = 0; i < each; i++) {
            const Lane difference = piece.has(i) ? values[i] - mean : (Lane)0;
            add_to<Element>(&rest, difference * difference);
        }
        const Lane all = count + own, step = mean - middle;
        squares += whole_of(rest) + step * step * (count * own / all);
        middle += step * (own / all);
        count = all;
    }
    running<Lane> mine = begin_reduction<Lane>(DO_SUM);
    mine.value = middle * count;
    const Lane mean = compute_whole(shape, at, DO_SUM, mine) / (Lane)shape.length;
    mine = begin_reduction<Lane>(DO_SUM);
    mine.value = squares + count * (middle - mean) * (middle - mean);
    const Lane variance = compute_whole(shape, at, DO_SUM, mine) / (Lane)shape.length;
    const Lane root = compute_sqrt(variance + (Lane)shape.epsilon);
    ROLLED for (uint64 first = 0; first < length; first += (uint64)shape.threads * each) {
        const row_piece<Element, PIECE_EACH(Element)> piece = {shape, first, length, at.place.thread};
        piece.read(in, (Lane)0, values);
        normalize(shape, piece, out, values, mean, root);
    }
}

template <class Element>
DEVICE void layer_norm_apart(const cuda_rows &shape, row_place at, const Element *in, Element *out, uint64 length) {
    typedef typename lane_of<Element>::type Lane;
    const Element *weight = (const Element *)shape.weight, *bias = (const Element *)shape.bias;
    running<Lane> mine = begin_reduction<Lane>(DO_SUM);
    for (uint64 i = at.place.thread; i < length; i += shape.threads)
        take_in(DO_SUM, &mine, load(in[place_in_row(shape, i, shape.in_strides)]), (Lane)0);
    Lane mean = compute_whole(shape, at, DO_SUM, mine) / (Lane)shape.length;

    mine = begin_reduction<Lane>(DO_SUM);
    for (uint64 i = at.place.thread; i < length; i += shape.threads) {
        Lane difference = load(in[place_in_row(shape, i, shape.in_strides)]) - mean;
        take_in(DO_SUM, &mine, difference * difference, (Lane)0);
    }
    Lane variance = compute_whole(shape, at, DO_SUM, mine) / (Lane)shape.length;
    Lane root = compute_sqrt(variance + (Lane)shape.epsilon);

    for (uint64 i = at.place.thread; i < length; i += shape.threads) {
        Lane value = (load(in[place_in_row(shape, i, shape.in_strides)]) - mean) / root;
        if (weight != 0) value *= load(weight[place_in_row(shape, i, shape.weight_strides)]);
        if (bias != 0) value += load(bias[place_in_row(shape, i, shape.bias_strides)]);
        store(out + place_in_row(shape, i, shape.out_strides), value);
    }
}

template <class Element> DEVICE void layer_norm(const cuda_rows &shape) {
    row_place at = find_row(shape);
    const Element *in = (const Element *)shape.in + row_offset(shape, at, shape.in_strides);
    Element *out = (Element *)shape.out + row_offset(shape, at, shape.out_strides);
    uint64 length = at.is_there ? (uint64)shape.length : 0;
    if (shape.lies != CUDA_ROWS_IN_PACKS && shape.lies != CUDA_ROWS_SIDE_BY_SIDE) layer_norm_apart(shape, at, in, out, length);
    else if ((uint64)shape.length <= (uint64)shape.threads * HELD_EACH(Element)) layer_norm_held(shape, at, in, out, length);
    else layer_norm_long(shape, at, in, out, length);
}

#define FOR_TYPE(name, element)                                                                \
    KERNEL(tarn_softmax_##name)(PARAMETER(cuda_rows) shape) { softmax<element>(shape); }       \
    KERNEL(tarn_layer_norm_##name)(PARAMETER(cuda_rows) shape) { layer_norm<element>(shape); }
FOR_FLOATS(FOR_TYPE)
#undef FOR_TYPE
