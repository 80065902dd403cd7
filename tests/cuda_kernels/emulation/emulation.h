/* What CUDA gives to kernels, for a host's C++ compiler: the same sources then run on a processor, block after block.
 *
 * The threads of a block are fibers of one thread. Each runs until it waits at a barrier or ends; when all have come there, all go on, in
 * the opposite order, so that what lacks a barrier comes out wrong. As long as the first thread of a block meets no barrier no fiber is needed for the others.
 * Shared memory is that of the thread which runs the block. */
#ifndef TESTS_CUDA_KERNELS_EMULATION_H
#define TESTS_CUDA_KERNELS_EMULATION_H

#define CUDA_EMULATION 1

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct emulated_extent {
    unsigned x, y, z;
};

/* Each shared object has its own, and its own fibers. */
extern thread_local emulated_extent threadIdx, blockIdx, blockDim, gridDim;

/* Runs all threads of all blocks: each calls `run(context)`. */
void emulation_launch(const unsigned grid[3], const unsigned block[3], void (*run)(void *), void *context);
/* Waits until all threads of the block have come here. */
void emulation_barrier();

/* Gives `bytes` of this thread to those of its warp, and takes those of the thread `from` of the warp. All threads of the block come here, in whole warps. */
void emulation_exchange(void *bytes, size_t size, unsigned from);

#define DEVICE inline
#define UNROLLED
#define UNROLLED_BY(count)
#define ROLLED
#define DEVICE_CALLED inline
#define __shared__ static thread_local
#define PARAMETER(type) const type
#define KERNEL(name) void name
#define INFINITE_FLOAT __builtin_inff()
#define INFINITE_DOUBLE __builtin_inf()
#define __syncthreads emulation_barrier

/* Of the last lanes of a group, which have no partner, their own. */
template <class Value> Value __shfl_down_sync(unsigned, Value value, unsigned by, unsigned width) {
    const unsigned lane = threadIdx.x % 32;
    emulation_exchange(&value, sizeof value, lane % width + by < width ? lane + by : lane);
    return value;
}

template <class Value> Value __shfl_sync(unsigned, Value value, unsigned from, unsigned width) {
    const unsigned lane = threadIdx.x % 32;
    emulation_exchange(&value, sizeof value, lane / width * width + from % width);
    return value;
}

inline uint32_t __float_as_uint(float value) {
    uint32_t word;
    memcpy(&word, &value, sizeof word);
    return word;
}
inline float __uint_as_float(uint32_t word) {
    float value;
    memcpy(&value, &word, sizeof value);
    return value;
}
inline double __longlong_as_double(long long word) {
    double value;
    memcpy(&value, &word, sizeof value);
    return value;
}

inline unsigned atomicCAS(unsigned *at, unsigned expected, unsigned wanted) {
    __atomic_compare_exchange_n(at, &expected, wanted, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return expected;
}
inline void __threadfence_system() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
inline unsigned __umulhi(unsigned x, unsigned y) { return (unsigned)((uint64_t)x * y >> 32); }

inline float multiply_add(float x, float y, float z) { return x * y + z; }
inline double multiply_add(double x, double y, double z) { return x * y + z; }

inline float float_of_half(uint16_t bits) {
    uint32_t sign = (uint32_t)(bits & 0x8000) << 16, exponent = bits >> 10 & 31, mantissa = bits & 1023;
    if (exponent == 31) return __uint_as_float(sign | 0x7f800000 | mantissa << 13);
    if (exponent != 0) return __uint_as_float(sign | (exponent + 112) << 23 | mantissa << 13);
    float value = (float)mantissa * 0x1p-24f;
    return sign != 0 ? -value : value;
}

/* To the nearest, ties to even; NaN becomes 0x7fff, as the instruction has it. */
inline uint16_t half_of_float(float value) {
    uint32_t word = __float_as_uint(value);
    uint16_t sign = (uint16_t)(word >> 16 & 0x8000);
    float magnitude = fabsf(value);
    if (value != value) return 0x7fff;
    if (magnitude >= 65520.0f) return (uint16_t)(sign | 0x7c00);
    if (magnitude < 0x1p-14f) return (uint16_t)(sign | (uint16_t)nearbyintf(magnitude * 0x1p24f));
    word &= 0x7fffffff;
    word += 0xfff + (word >> 13 & 1);
    return (uint16_t)(sign | (uint16_t)((word >> 13) - (112u << 10)));
}

/* How the fake driver calls a kernel: with pointers to its parameters, of which it knows the sizes. */
template <class Kernel> struct emulated_kernel;
template <class... Types> struct emulated_kernel<void (*)(Types...)> {
    typedef void (*function)(Types...);
    struct call {
        function kernel;
        void **parameters;
    };
    static constexpr size_t size_of(size_t number) {
        constexpr size_t sizes[] = {sizeof(Types)..., 0};
        return number < sizeof...(Types) ? sizes[number] : 0;
    }
    template <size_t... Numbers> struct numbers {};
    template <size_t Count, size_t... Numbers> struct count_up : count_up<Count - 1, Count - 1, Numbers...> {};
    template <size_t... Numbers> struct count_up<0, Numbers...> { typedef numbers<Numbers...> type; };
    template <size_t... Numbers> static void run(const call *made, numbers<Numbers...>) {
        made->kernel(*(Types *)made->parameters[Numbers]...);
    }
    static void run_thread(void *context) { run((const call *)context, typename count_up<sizeof...(Types)>::type()); }
};
template <class... Types>
void emulated_launch(void (*kernel)(Types...), const unsigned grid[3], const unsigned block[3], void **parameters) {
    typename emulated_kernel<void (*)(Types...)>::call made = {kernel, parameters};
    emulation_launch(grid, block, emulated_kernel<void (*)(Types...)>::run_thread, &made);
}

#define EMULATED(name)                                                                                  \
    extern "C" __attribute__((visibility("default"))) const size_t name##_parameters[];                 \
    const size_t name##_parameters[] = {                                                                \
        emulated_kernel<decltype(&name)>::size_of(0), emulated_kernel<decltype(&name)>::size_of(1),     \
        emulated_kernel<decltype(&name)>::size_of(2), emulated_kernel<decltype(&name)>::size_of(3), 0}; \
    extern "C" __attribute__((visibility("default"))) void name##_on_host(                              \
        const unsigned grid[3], const unsigned block[3], unsigned shared_bytes, void **parameters) {    \
        (void)shared_bytes;                                                                             \
        emulated_launch(&name, grid, block, parameters);                                                \
    }

#endif
