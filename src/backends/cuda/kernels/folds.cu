/* Folds: reductions of one operand as it lies, a kernel for each type, which branches on the operation once.
 *
 * Where elements of one output lie side by side, its threads read packs of 16 bytes, several before the first is added, and combine what they have by
 * shuffles within warps and then across them. Where elements of neighbouring outputs lie side by side, a thread reads a pack of those and has a sum for each.
 * What slices of a long reduction came to is added up by a kernel of its own (program.cu). The order depends on the shape alone. */
#include "pack.cuh"
#include "reduce.cuh"

/* Packs that a thread has in flight, and sums of a row that it adds to in turn, so that none waits for the one before. */
#define FLIGHT CUDA_FOLD_FLIGHT
#define SUMS 4

/* What elements are summed up in: integers in the widest. */
template <class Lane> struct sum_of_lanes {
    typedef int64 type;
};
template <> struct sum_of_lanes<float> {
    typedef float type;
};
template <> struct sum_of_lanes<double> {
    typedef double type;
};
#define SUM_OF(Element) typename sum_of_lanes<typename lane_of<Element>::type>::type

/* How an operation takes in a value, and whether those of a pack of short integers can be combined as ints first. */
struct fold_sum {
    static const bool is_short = true;
    static DEVICE int of_two(int x, int y) { return compute_add(x, y); }
    template <class Sum> static DEVICE void take(running<Sum> *all, Sum value) { add_up(value, &all->value, &all->error); }
};
struct fold_product {
    static const bool is_short = false;
    static DEVICE int of_two(int x, int y) { return compute_multiply(x, y); }
    template <class Sum> static DEVICE void take(running<Sum> *all, Sum value) { all->value = compute_multiply(all->value, value); }
};
struct fold_maximum {
    static const bool is_short = true;
    static DEVICE int of_two(int x, int y) { return compute_maximum(x, y); }
    template <class Sum> static DEVICE void take(running<Sum> *all, Sum value) { all->value = compute_maximum(all->value, value); }
};
struct fold_minimum {
    static const bool is_short = true;
    static DEVICE int of_two(int x, int y) { return compute_minimum(x, y); }
    template <class Sum> static DEVICE void take(running<Sum> *all, Sum value) { all->value = compute_minimum(all->value, value); }
};
template <class Lane> struct is_int {
    static const bool value = false;
};
template <> struct is_int<int> {
    static const bool value = true;
};

/* Takes in those of several packs that there are: each lane into a sum of its own, or all into a few. */
template <class Fold, int SUM_COUNT, class Sum, class Element, int LANES>
DEVICE void take_packs(running<Sum> *sums, const pack<Element, LANES> *packs, const bool *has) {
    UNROLLED for (int p = 0; p < FLIGHT; p++) {
        if (!has[p]) continue;
        if constexpr (SUM_COUNT != LANES && Fold::is_short && sizeof(Element) <= 2 && is_int<typename lane_of<Element>::type>::value) {
            int part = load(packs[p].elements[0]);
            UNROLLED for (int k = 1; k < LANES; k++) part = Fold::of_two(part, load(packs[p].elements[k]));
            Fold::take(&sums[p % SUM_COUNT], (Sum)part);
        } else {
            UNROLLED for (int k = 0; k < LANES; k++)
                Fold::take(&sums[SUM_COUNT == LANES ? k : (p * LANES + k) % SUM_COUNT], (Sum)load(packs[p].elements[k]));
        }
    }
}
template <int SUM_COUNT, class Sum, class Element, int LANES>
DEVICE void take_packs_by(uint32 operation, running<Sum> *sums, const pack<Element, LANES> *packs, const bool *has) {
    switch (operation) {
    case DO_PROD: take_packs<fold_product, SUM_COUNT>(sums, packs, has); break;
    case DO_MAX: take_packs<fold_maximum, SUM_COUNT>(sums, packs, has); break;
    case DO_MIN: take_packs<fold_minimum, SUM_COUNT>(sums, packs, has); break;
    default: take_packs<fold_sum, SUM_COUNT>(sums, packs, has); break;
    }
}

/* Takes in a piece of a row. What lies before the first pack and behind the last goes element by element, as all does that is apart. */
template <class Sum, class Element>
DEVICE void take_piece(const cuda_fold &shape, running<Sum> *sums, const Element *from, uint64 count, uint32 thread) {
    const int lanes = 16 / (int)sizeof(Element);
    const uint32 threads = shape.along;
    uint64 head = count, packs = 0;
    if (shape.step == 1) {
        const uint64 before = (0 - (uint64)from / sizeof(Element)) % lanes;
        head = before < count ? before : count;
        packs = (count - head) / lanes;
    }
    const uint64 apart = count - packs * lanes;
    ROLLED for (uint64 i = thread; i < apart; i += threads) {
        const uint64 at = i < head ? i : i + packs * lanes;
        take_in(shape.operation, &sums[0], (Sum)load(from[(int64)at * shape.step]), (Sum)0);
    }
    from += packs > 0 ? head : 0;
    ROLLED for (uint64 first = thread; first < packs; first += FLIGHT * (uint64)threads) {
        pack<Element, lanes> read[FLIGHT];
        bool has[FLIGHT];
        UNROLLED for (int p = 0; p < FLIGHT; p++) {
            const uint64 number = first + (uint64)p * threads;
            has[p] = number < packs;
            if (has[p]) read[p] = read_whole<Element, lanes>(from + number * lanes);
        }
        take_packs_by<SUMS>(shape.operation, sums, read, has);
    }
}

/* What one thread finds of an output's rows. Some threads, a team, share a piece. */
template <class Sum, class Element> DEVICE running<Sum> fold_row(const cuda_fold &shape, uint64 output, uint32 thread) {
    running<Sum> sums[SUMS];
    UNROLLED for (int i = 0; i < SUMS; i++) sums[i] = begin_reduction<Sum>(shape.operation);
    if (output < (uint64)shape.kept) {
        const uint32 teams = shape.threads / shape.along;
        const Element *in = (const Element *)shape.in + offset_of(output, shape.dims, shape.in_strides, 0, shape.kept_rank);
        const uint64 all = (uint64)(shape.runs * shape.pieces);
        ROLLED for (uint64 number = blockIdx.y * teams + thread / shape.along; number < all; number += (uint64)teams * shape.slices) {
            const uint64 run = quotient(number, (uint64)shape.pieces);
            const int64 first = (int64)(number - run * (uint64)shape.pieces) * shape.piece, left = shape.length - first;
            const Element *from = in + offset_of(run, shape.dims, shape.in_strides, shape.kept_rank, shape.run_rank) + first * shape.step;
            take_piece(shape, sums, from, (uint64)(left < shape.piece ? left : shape.piece), thread % shape.along);
        }
    }
    UNROLLED for (int i = 1; i < SUMS; i++) take_in(shape.operation, &sums[0], sums[i].value, sums[i].error);
    return sums[0];
}

/* Writes what an output came to, or what this slice of it did. */
template <class Element, class Sum> DEVICE void put_fold(const cuda_fold &shape, uint64 output, running<Sum> all) {
    if (shape.slices > 1) {
        cuda_partial *partial = (cuda_partial *)shape.partial + output * shape.slices + blockIdx.y;
        lane_in<Sum>(partial->value) = all.value;
        lane_in<Sum>(partial->error) = all.error;
        return;
    }
    Sum whole = whole_of(all);
    if (shape.operation == DO_MEAN) whole = compute_divide(whole, (Sum)shape.reduced);
    const int64 at = offset_of(output, shape.dims, shape.out_strides, 0, shape.kept_rank);
    if (shape.is_widened) ((Sum *)shape.out)[at] = whole;
    else store((Element *)shape.out + at, (typename lane_of<Element>::type)whole);
}

/* Combines what the threads of each output have: those of a warp by shuffles, warps by shared memory. The block has whole warps. */
template <class Element, class Sum> DEVICE void combine_rows(const cuda_fold &shape, uint64 output, uint32 thread, running<Sum> mine) {
    __shared__ cuda_partial of_warp[MOST_THREADS / WARP];
    mine = reduce_near(shape.operation, shape.threads < WARP ? shape.threads : WARP, mine);
    if (shape.threads > WARP) {
        const uint32 warp = threadIdx.x / WARP;
        if (threadIdx.x % WARP == 0) {
            lane_in<Sum>(of_warp[warp].value) = mine.value;
            lane_in<Sum>(of_warp[warp].error) = mine.error;
        }
        __syncthreads();
        for (uint32 i = 1; thread == 0 && i < shape.threads / WARP; i++) {
            cuda_partial other = of_warp[warp + i];
            take_in(shape.operation, &mine, lane_in<Sum>(other.value), lane_in<Sum>(other.error));
        }
    }
    if (thread == 0 && output < (uint64)shape.kept) put_fold<Element>(shape, output, mine);
}

template <class Element> DEVICE void fold_rows(const cuda_fold &shape) {
    typedef SUM_OF(Element) Sum;
    const uint64 output = (uint64)blockIdx.x * shape.outputs + threadIdx.x / shape.threads;
    const uint32 thread = threadIdx.x % shape.threads;
    combine_rows<Element>(shape, output, thread, fold_row<Sum, Element>(shape, output, thread));
}

/* What one thread finds of LANES neighbouring outputs, the first of which begins at `from`. */
template <int LANES, class Sum, class Element>
DEVICE void fold_column(const cuda_fold &shape, const Element *from, uint64 all, uint32 thread, running<Sum> *sums) {
    UNROLLED for (int k = 0; k < LANES; k++) sums[k] = begin_reduction<Sum>(shape.operation);
    const uint64 step = (uint64)shape.threads * shape.slices;
    ROLLED for (uint64 first = blockIdx.y * shape.threads + thread; first < all; first += FLIGHT * step) {
        pack<Element, LANES> read[FLIGHT];
        bool has[FLIGHT];
        UNROLLED for (int p = 0; p < FLIGHT; p++) {
            const uint64 number = first + (uint64)p * step;
            has[p] = number < all;
            if (has[p])
                read[p] = read_whole<Element, LANES>(
                    from + offset_of(number, shape.dims, shape.in_strides, shape.kept_rank, shape.rank));
        }
        take_packs_by<LANES>(shape.operation, sums, read, has);
    }
}

/* Combines what the threads of the same outputs have: each thread of the block adds up some of one output's, and then in pairs. */
template <class Element, int LANES, class Sum>
DEVICE void combine_columns(const cuda_fold &shape, const running<Sum> *mine, running<Sum> *shared) {
    const uint32 outputs = shape.outputs * LANES, helpers = blockDim.x / outputs;
    UNROLLED for (int k = 0; k < LANES; k++) shared[k * blockDim.x + threadIdx.x] = mine[k];
    __syncthreads();
    const reduction_place place = {threadIdx.x % outputs, threadIdx.x / outputs};
    const uint32 column = place.output % shape.outputs, lane = place.output / shape.outputs;
    running<Sum> all = begin_reduction<Sum>(shape.operation);
    ROLLED for (uint32 i = place.thread; i < shape.threads; i += helpers) {
        const running<Sum> other = shared[lane * blockDim.x + i * shape.outputs + column];
        take_in(shape.operation, &all, other.value, other.error);
    }
    all = reduce_block(shape.operation, outputs, helpers, place, all);
    const uint64 output = ((uint64)blockIdx.x * shape.outputs + column) * LANES + lane;
    if (place.thread == 0 && output < (uint64)shape.kept) put_fold<Element>(shape, output, all);
}

template <int LANES, class Sum, class Element> DEVICE void fold_columns_of(const cuda_fold &shape, running<Sum> *shared) {
    const uint64 first = ((uint64)blockIdx.x * shape.outputs + threadIdx.x % shape.outputs) * LANES;
    const bool is_there = first < (uint64)shape.kept;
    const Element *from = (const Element *)shape.in;
    if (is_there) from += offset_of(first, shape.dims, shape.in_strides, 0, shape.kept_rank);
    running<Sum> mine[LANES];
    fold_column<LANES>(shape, from, is_there ? (uint64)shape.reduced : 0, threadIdx.x / shape.outputs, mine);
    combine_columns<Element, LANES>(shape, mine, shared);
}

template <class Element> DEVICE void fold_columns(const cuda_fold &shape) {
    typedef SUM_OF(Element) Sum;
    const int lanes = CUDA_LANES((int)sizeof(Element));
    __shared__ running<Sum> shared[CUDA_LANES(sizeof(Element)) * MOST_THREADS];
    if (shape.lanes > 1) fold_columns_of<lanes, Sum, Element>(shape, shared);
    else fold_columns_of<1, Sum, Element>(shape, shared);
}

#define FOR_TYPE(name, element)                                                                      \
    KERNEL(tarn_fold_rows_##name)(PARAMETER(cuda_fold) shape) { fold_rows<element>(shape); }         \
    KERNEL(tarn_fold_columns_##name)(PARAMETER(cuda_fold) shape) { fold_columns<element>(shape); }
FOR_TYPES(FOR_TYPE)
#undef FOR_TYPE
