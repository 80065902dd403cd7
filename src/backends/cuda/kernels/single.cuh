/* Programs of one step, for all layouts: rows of elements along the last dimension, cut into packs that are read and written as one.
 *
 * A thread takes several packs, a block's width apart, and reads all of them before it computes. Packs begin where the output's elements are aligned, so the
 * first and the last of a row may be in part only; those, and operands that lie otherwise, go element by element. */
#ifndef CUDA_KERNELS_SINGLE_CUH
#define CUDA_KERNELS_SINGLE_CUH

#include "functions.cuh"
#include "pack.cuh"
#include "space.cuh"

/* A pack of the space: its row, and the number of its first element there, which is below 0 where the row begins later. */
struct single_place {
    uint64 row;
    int64 first;
    int begin, end; /* of the pack's elements, those that there are; none where both are 0 */
};

template <int LANES> DEVICE single_place find_pack(const cuda_single &single, uint64 number) {
    const uint64 packs = (uint64)single.packs;
    single_place at = {0, 0, 0, 0};
    uint64 within = number;
    if (single.rows > 1) {
        at.row = quotient(number, packs);
        within = number - at.row * packs;
    }
    if (at.row >= (uint64)single.rows || within >= packs) return at;
    int64 head = 0;
    if (single.steps[0] == 1) {
        uint64 address = (uint64)single.data[0] +
                         (uint64)offset_of(at.row, single.dims, single.strides[0], 0, single.rank) * single.out_size;
        head = (int64)(((uint32)address / single.out_size) % LANES);
    }
    at.first = (int64)within * LANES - head;
    int64 left = single.length - at.first;
    at.begin = at.first < 0 ? (int)-at.first : 0;
    at.end = left < LANES ? (int)(left > 0 ? left : 0) : LANES;
    if (at.begin > at.end) at.begin = at.end;
    return at;
}

/* Where the pack's first element of an operand would lie. */
template <class Element> DEVICE Element *find_elements(const cuda_single &single, uint32 operand, const single_place &at) {
    return (Element *)single.data[operand] + offset_of(at.row, single.dims, single.strides[operand], 0, single.rank) +
           at.first * single.steps[operand];
}

/* What a pack does not have is left as it was. */
template <class Element, int LANES>
DEVICE void read_operand(const cuda_single &single, uint32 operand, const single_place &at, pack<Element, LANES> *out) {
    if (single.data[operand] == 0 || at.begin == at.end) return;
    const Element *from = find_elements<Element>(single, operand, at);
    const int64 step = single.steps[operand];
    if (step == 1 && at.begin == 0 && at.end == LANES && is_aligned<Element, LANES>(from)) {
        *out = read_whole<Element, LANES>(from);
    } else if (step == 0) {
        const Element all = *from;
        UNROLLED for (int k = 0; k < LANES; k++) out->elements[k] = all;
    } else {
        UNROLLED for (int k = 0; k < LANES; k++)
            if (k >= at.begin && k < at.end) out->elements[k] = from[k * step];
    }
}

template <class Element, int LANES>
DEVICE void write_output(const cuda_single &single, const single_place &at, const pack<Element, LANES> &made) {
    if (at.begin == at.end) return;
    Element *to = find_elements<Element>(single, 0, at);
    const int64 step = single.steps[0];
    if (step == 1 && at.begin == 0 && at.end == LANES && is_aligned<Element, LANES>(to)) {
        write_whole(to, made);
    } else {
        UNROLLED for (int k = 0; k < LANES; k++)
            if (k >= at.begin && k < at.end) to[k * step] = made.elements[k];
    }
}

/* An input's lanes, or a constant instead of them. */
template <class Lane> struct single_constant {
    bool is_there;
    Lane value;
};
DEVICE void take_constant(const cuda_lane &lane, float *out) { *out = lane.single; }
DEVICE void take_constant(const cuda_lane &lane, double *out) { *out = lane.real; }
DEVICE void take_constant(const cuda_lane &lane, int *out) { *out = (int)lane.integer; }
DEVICE void take_constant(const cuda_lane &lane, int64 *out) { *out = lane.integer; }
template <class Lane> DEVICE single_constant<Lane> find_constant(const cuda_single &single, uint32 operand) {
    single_constant<Lane> found;
    found.is_there = single.data[operand] == 0;
    take_constant(single.constants[operand - 1], &found.value);
    return found;
}
template <class Element>
DEVICE typename lane_of<Element>::type lane_at(const single_constant<typename lane_of<Element>::type> &constant, const Element &element) {
    return constant.is_there ? constant.value : load(element);
}

/* A step on one or two inputs of one type. `Step::run` computes all packs, given the operation, whose kernels branch on it once. */
template <class Out, class In, int LANES, int PACKS, class Step> DEVICE void run_pairs(const cuda_single &single) {
    const uint64 first = (uint64)blockIdx.x * (blockDim.x * PACKS) + threadIdx.x;
    single_place at[PACKS];
    pack<In, LANES> a[PACKS], b[PACKS];
    pack<Out, LANES> out[PACKS];
    UNROLLED for (int p = 0; p < PACKS; p++) {
        at[p] = find_pack<LANES>(single, first + (uint64)p * blockDim.x);
        /* What a pack lacks is computed with all the same, and not kept. */
        UNROLLED for (int k = 0; k < LANES; k++) a[p].elements[k] = b[p].elements[k] = element_of_one<In>();
        read_operand(single, 1, at[p], &a[p]);
        read_operand(single, 2, at[p], &b[p]);
    }
    Step::template run<Out, In, LANES, PACKS>(single, a, b, out);
    UNROLLED for (int p = 0; p < PACKS; p++) write_output(single, at[p], out[p]);
}

/* All lanes of all packs by one operation. */
template <class Operation, class Out, class In, int LANES, int PACKS>
DEVICE void compute_pairs(const cuda_single &single, const pack<In, LANES> *a, const pack<In, LANES> *b, pack<Out, LANES> *out) {
    typedef typename lane_of<In>::type Lane;
    const single_constant<Lane> first = find_constant<Lane>(single, 1), second = find_constant<Lane>(single, 2);
    UNROLLED for (int p = 0; p < PACKS; p++)
        UNROLLED for (int k = 0; k < LANES; k++)
            store(&out[p].elements[k],
                  Operation::run(lane_at(first, a[p].elements[k]), lane_at(second, b[p].elements[k])));
}

#define SINGLE_OPERATION(name)                                                              \
    struct do_##name {                                                                      \
        template <class Lane> static DEVICE auto run(Lane x, Lane y) { return compute_##name(x, y); } \
    };
#define SINGLE_FUNCTION(name)                                                             \
    struct do_##name {                                                                    \
        template <class Lane> static DEVICE Lane run(Lane x, Lane) { return compute_##name(x); } \
    };
#define SINGLE_CASE(number, name) \
    case number: compute_pairs<do_##name, Out, In, LANES, PACKS>(single, a, b, out); break;

#endif
