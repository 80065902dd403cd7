/* Single steps of arithmetic: a kernel for each type, which branches on the operation once for all that its threads have read. */
#include "single.cuh"

SINGLE_FUNCTION(neg)
SINGLE_FUNCTION(relu)
SINGLE_OPERATION(add)
SINGLE_OPERATION(subtract)
SINGLE_OPERATION(multiply)
SINGLE_OPERATION(divide)
SINGLE_OPERATION(maximum)
SINGLE_OPERATION(minimum)

struct arithmetic {
    template <class Out, class In, int LANES, int PACKS>
    static DEVICE void run(const cuda_single &single, const pack<In, LANES> *a, const pack<In, LANES> *b, pack<Out, LANES> *out) {
        switch (single.operation) {
            SINGLE_CASE(DO_NEG, neg)
            SINGLE_CASE(DO_RELU, relu)
            SINGLE_CASE(DO_ADD, add)
            SINGLE_CASE(DO_SUBTRACT, subtract)
            SINGLE_CASE(DO_MULTIPLY, multiply)
            SINGLE_CASE(DO_DIVIDE, divide)
            SINGLE_CASE(DO_MAXIMUM, maximum)
        default: compute_pairs<do_minimum, Out, In, LANES, PACKS>(single, a, b, out); break;
        }
    }
};

#define FOR_TYPE(name, element)                                               \
    KERNEL(tarn_arithmetic_##name)(PARAMETER(cuda_single) single) {           \
        run_pairs<element, element, CUDA_LANES(sizeof(element)), CUDA_PACKS, arithmetic>(single); \
    }
FOR_TYPES(FOR_TYPE)
#undef FOR_TYPE
