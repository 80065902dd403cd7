/* Single steps that compare two inputs, or choose between them. */
#include "single.cuh"

SINGLE_OPERATION(equal)
SINGLE_OPERATION(less)
SINGLE_OPERATION(less_equal)

struct comparisons {
    template <class Out, class In, int LANES, int PACKS>
    static DEVICE void run(const cuda_single &single, const pack<In, LANES> *a, const pack<In, LANES> *b, pack<Out, LANES> *out) {
        switch (single.operation) {
            SINGLE_CASE(DO_EQUAL, equal)
            SINGLE_CASE(DO_LESS, less)
        default: compute_pairs<do_less_equal, Out, In, LANES, PACKS>(single, a, b, out); break;
        }
    }
};

template <class Element, int LANES, int PACKS> DEVICE void run_select(const cuda_single &single) {
    typedef typename lane_of<Element>::type Lane;
    const uint64 first = (uint64)blockIdx.x * (blockDim.x * PACKS) + threadIdx.x;
    const single_constant<int> chooses = find_constant<int>(single, 1);
    const single_constant<Lane> yes = find_constant<Lane>(single, 2), no = find_constant<Lane>(single, 3);
    single_place at[PACKS];
    pack<truth, LANES> is_first[PACKS];
    pack<Element, LANES> a[PACKS], b[PACKS], out[PACKS];
    UNROLLED for (int p = 0; p < PACKS; p++) {
        at[p] = find_pack<LANES>(single, first + (uint64)p * blockDim.x);
        UNROLLED for (int k = 0; k < LANES; k++) {
            is_first[p].elements[k] = element_of_one<truth>();
            a[p].elements[k] = b[p].elements[k] = element_of_one<Element>();
        }
        read_operand(single, 1, at[p], &is_first[p]);
        read_operand(single, 2, at[p], &a[p]);
        read_operand(single, 3, at[p], &b[p]);
    }
    UNROLLED for (int p = 0; p < PACKS; p++)
        UNROLLED for (int k = 0; k < LANES; k++)
            store(&out[p].elements[k], choose(lane_at(chooses, is_first[p].elements[k]), lane_at(yes, a[p].elements[k]),
                                              lane_at(no, b[p].elements[k])));
    UNROLLED for (int p = 0; p < PACKS; p++) write_output(single, at[p], out[p]);
}

#define FOR_TYPE(name, element)                                                                 \
    KERNEL(tarn_compare_##name)(PARAMETER(cuda_single) single) {                                \
        run_pairs<truth, element, CUDA_LANES(sizeof(element)), CUDA_PACKS, comparisons>(single); \
    }                                                                                           \
    KERNEL(tarn_select_##name)(PARAMETER(cuda_single) single) {                                 \
        run_select<element, CUDA_LANES(sizeof(element)), CUDA_PACKS>(single);                   \
    }
FOR_TYPES(FOR_TYPE)
#undef FOR_TYPE
