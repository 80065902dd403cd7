/* Single steps of functions: exponentials and what is made of them, waves (sines and cosines) and powers. What is long is called, not
 * repeated for each lane. */
#include "single.cuh"

SINGLE_FUNCTION(exp)
SINGLE_FUNCTION(log)
SINGLE_FUNCTION(sqrt)
SINGLE_FUNCTION(sigmoid)
SINGLE_FUNCTION(tanh)

struct exponentials {
    template <class Out, class In, int LANES, int PACKS>
    static DEVICE void run(const cuda_single &single, const pack<In, LANES> *a, const pack<In, LANES> *b, pack<Out, LANES> *out) {
        switch (single.operation) {
            SINGLE_CASE(DO_EXP, exp)
            SINGLE_CASE(DO_LOG, log)
            SINGLE_CASE(DO_SQRT, sqrt)
            SINGLE_CASE(DO_SIGMOID, sigmoid)
        default: compute_pairs<do_tanh, Out, In, LANES, PACKS>(single, a, b, out); break;
        }
    }
};

template <class Lane> static DEVICE_CALLED Lane call_wave(uint32 operation, Lane x) {
    return operation == DO_SIN ? compute_sin(x) : compute_cos(x);
}
template <class Lane> static DEVICE_CALLED Lane call_pow(Lane x, Lane y) { return compute_pow(x, y); }

struct waves {
    template <class Out, class In, int LANES, int PACKS>
    static DEVICE void run(const cuda_single &single, const pack<In, LANES> *a, const pack<In, LANES> *, pack<Out, LANES> *out) {
        UNROLLED for (int p = 0; p < PACKS; p++)
            UNROLLED for (int k = 0; k < LANES; k++)
                store(&out[p].elements[k], call_wave(single.operation, load(a[p].elements[k])));
    }
};

struct do_pow {
    template <class Lane> static DEVICE Lane run(Lane x, Lane y) { return call_pow(x, y); }
};
struct powers {
    template <class Out, class In, int LANES, int PACKS>
    static DEVICE void run(const cuda_single &single, const pack<In, LANES> *a, const pack<In, LANES> *b, pack<Out, LANES> *out) {
        compute_pairs<do_pow, Out, In, LANES, PACKS>(single, a, b, out);
    }
};

#define FOR_TYPE(name, element)                                                                      \
    KERNEL(tarn_exponential_##name)(PARAMETER(cuda_single) single) {                                 \
        run_pairs<element, element, CUDA_LANES(sizeof(element)), CUDA_PACKS, exponentials>(single);  \
    }                                                                                                \
    KERNEL(tarn_wave_##name)(PARAMETER(cuda_single) single) {                                        \
        run_pairs<element, element, CUDA_LANES(sizeof(element)), CUDA_PACKS, waves>(single);         \
    }
FOR_FLOATS(FOR_TYPE)
#undef FOR_TYPE

#define FOR_TYPE(name, element)                                                              \
    KERNEL(tarn_pow_##name)(PARAMETER(cuda_single) single) {                                 \
        run_pairs<element, element, CUDA_LANES(sizeof(element)), CUDA_PACKS, powers>(single); \
    }
FOR_NUMBERS(FOR_TYPE)
#undef FOR_TYPE
