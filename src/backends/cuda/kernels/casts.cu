/* Casts, a kernel for each type that they take, and copies, for each size of element. */
#include "single.cuh"

template <class From> struct cast_input {
    single_place at[CUDA_PACKS];
    pack<From, CUDA_CAST_LANES> packs[CUDA_PACKS];
    single_constant<typename lane_of<From>::type> constant;
};

/* All lanes cast, as the bits of what they become: types of one size are then written by the same code. */
template <class To, class From, class Bits>
DEVICE void cast_lanes(const cast_input<From> &in, pack<Bits, CUDA_CAST_LANES> *out) {
    UNROLLED for (int p = 0; p < CUDA_PACKS; p++) {
        UNROLLED for (int k = 0; k < CUDA_CAST_LANES; k++) {
            To element;
            store(&element, cast<To, From>(lane_at(in.constant, in.packs[p].elements[k])));
            memcpy(&out[p].elements[k], &element, sizeof element);
        }
    }
}

#define CAST_TO(number, to) \
    case number: cast_lanes<to, From>(in, out); break;

template <class From, class Bits> DEVICE void cast_and_write(const cuda_single &single, const cast_input<From> &in) {
    pack<Bits, CUDA_CAST_LANES> out[CUDA_PACKS];
    if constexpr (sizeof(Bits) == 1) {
        switch (single.to) {
            CAST_TO(TYPE_I8, int8)
            CAST_TO(TYPE_U8, uint8)
        default: cast_lanes<truth, From>(in, out); break;
        }
    } else if constexpr (sizeof(Bits) == 2) {
        switch (single.to) {
            CAST_TO(TYPE_F16, half16)
            CAST_TO(TYPE_BF16, bfloat16)
        default: cast_lanes<short, From>(in, out); break;
        }
    } else if constexpr (sizeof(Bits) == 4) {
        if (single.to == TYPE_F32) cast_lanes<float, From>(in, out);
        else cast_lanes<int, From>(in, out);
    } else {
        if (single.to == TYPE_F64) cast_lanes<double, From>(in, out);
        else cast_lanes<int64, From>(in, out);
    }
    UNROLLED for (int p = 0; p < CUDA_PACKS; p++) write_output(single, in.at[p], out[p]);
}

template <class From> DEVICE void cast_from(const cuda_single &single) {
    const uint64 first = (uint64)blockIdx.x * (blockDim.x * CUDA_PACKS) + threadIdx.x;
    cast_input<From> in;
    in.constant = find_constant<typename lane_of<From>::type>(single, 1);
    UNROLLED for (int p = 0; p < CUDA_PACKS; p++) {
        in.at[p] = find_pack<CUDA_CAST_LANES>(single, first + (uint64)p * blockDim.x);
        UNROLLED for (int k = 0; k < CUDA_CAST_LANES; k++) in.packs[p].elements[k] = element_of_one<From>();
        read_operand(single, 1, in.at[p], &in.packs[p]);
    }
    switch (single.out_size) {
    case 1: cast_and_write<From, uint8>(single, in); break;
    case 2: cast_and_write<From, uint16>(single, in); break;
    case 4: cast_and_write<From, uint32>(single, in); break;
    default: cast_and_write<From, uint64>(single, in); break;
    }
}

#define FOR_TYPE(name, element) \
    KERNEL(tarn_cast_##name)(PARAMETER(cuda_single) single) { cast_from<element>(single); }
FOR_TYPES(FOR_TYPE)
#undef FOR_TYPE
