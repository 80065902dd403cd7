/* Elements as they lie in memory, and lanes as they are computed with.
 *
 * A lane is a float for F32 and the two halves, a double, an int or, for I64, a long long. Elements are loaded into lanes and stored from
 * them; integers wrap when they are stored. The files of this folder are compiled by nvcc, by NVRTC, which has no headers, and by the emulation of
 * the tests, which defines CUDA_EMULATION and what CUDA would. */
#ifndef CUDA_KERNELS_ELEMENTS_CUH
#define CUDA_KERNELS_ELEMENTS_CUH

#ifndef CUDA_EMULATION
#define DEVICE __device__ __forceinline__
/* For what is large and would be there many times over. */
#define DEVICE_CALLED __device__ __noinline__
/* Before a loop: all of its rounds one after the other, some of them, or none. */
#define UNROLLED _Pragma("unroll")
#define UNROLLED_BY(count) AS_PRAGMA(unroll count)
#define AS_PRAGMA(words) _Pragma(#words)
#define ROLLED _Pragma("unroll 1")
/* A structure among a kernel's parameters that stays where it is, whatever is read of it. */
#define PARAMETER(type) const __grid_constant__ type
#define KERNEL(name) extern "C" __global__ void __launch_bounds__(256) name
#define INFINITE_FLOAT __int_as_float(0x7f800000)
#define INFINITE_DOUBLE __longlong_as_double(0x7ff0000000000000ll)
#endif

typedef signed char int8;
typedef unsigned char uint8;
typedef unsigned short uint16;
typedef unsigned int uint32;
typedef long long int64;
typedef unsigned long long uint64;

struct half16 {
    uint16 bits;
};
struct bfloat16 {
    uint16 bits;
};
struct truth {
    uint8 byte; /* 0 or 1 */
};

/* The types of elements by name: floats, all that are numbers, and all. */
#define FOR_FLOATS(FOR) FOR(f32, float) FOR(f16, half16) FOR(bf16, bfloat16) FOR(f64, double)
#define FOR_NUMBERS(FOR) \
    FOR_FLOATS(FOR) FOR(i8, int8) FOR(u8, uint8) FOR(i16, short) FOR(i32, int) FOR(i64, int64)
#define FOR_TYPES(FOR) FOR_NUMBERS(FOR) FOR(bool, truth)

/* As in tarn_element_type. */
enum { TYPE_F32, TYPE_F16, TYPE_BF16, TYPE_F64, TYPE_I8, TYPE_U8, TYPE_I16, TYPE_I32, TYPE_I64, TYPE_BOOL };

#ifndef CUDA_EMULATION
/* The rest of Tarn's kernels is compiled without fusing products and sums, so that each way to run a program gives the same. */
DEVICE float multiply_add(float x, float y, float z) { return __fmaf_rn(x, y, z); }
DEVICE double multiply_add(double x, double y, double z) { return __fma_rn(x, y, z); }
DEVICE float float_of_half(uint16 bits) {
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
}
DEVICE uint16 half_of_float(float value) {
    uint16 bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
}
#endif
DEVICE float float_of_bfloat(uint16 bits) { return __uint_as_float((uint32)bits << 16); }
/* To the nearest, ties to even. A NaN stays one. */
DEVICE uint16 bfloat_of_float(float value) {
    uint32 word = __float_as_uint(value);
    if (value != value) return (uint16)(word >> 16 | 0x40);
    return (uint16)((word + 0x7fff + (word >> 16 & 1)) >> 16);
}

template <class Element> struct lane_of {
    typedef int type;
};
template <> struct lane_of<float> {
    typedef float type;
};
template <> struct lane_of<half16> {
    typedef float type;
};
template <> struct lane_of<bfloat16> {
    typedef float type;
};
template <> struct lane_of<double> {
    typedef double type;
};
template <> struct lane_of<int64> {
    typedef int64 type;
};

DEVICE float load(float element) { return element; }
DEVICE float load(half16 element) { return float_of_half(element.bits); }
DEVICE float load(bfloat16 element) { return float_of_bfloat(element.bits); }
DEVICE double load(double element) { return element; }
DEVICE int load(int8 element) { return element; }
DEVICE int load(uint8 element) { return element; }
DEVICE int load(short element) { return element; }
DEVICE int load(int element) { return element; }
DEVICE int64 load(int64 element) { return element; }
DEVICE int load(truth element) { return element.byte != 0; }

DEVICE void store(float *out, float lane) { *out = lane; }
DEVICE void store(half16 *out, float lane) { out->bits = half_of_float(lane); }
DEVICE void store(bfloat16 *out, float lane) { out->bits = bfloat_of_float(lane); }
DEVICE void store(double *out, double lane) { *out = lane; }
DEVICE void store(int8 *out, int lane) { *out = (int8)lane; }
DEVICE void store(uint8 *out, int lane) { *out = (uint8)lane; }
DEVICE void store(short *out, int lane) { *out = (short)lane; }
DEVICE void store(int *out, int lane) { *out = lane; }
DEVICE void store(int64 *out, int64 lane) { *out = lane; }
DEVICE void store(truth *out, int lane) { out->byte = lane != 0; }

template <class Element> DEVICE Element element_of_one() {
    Element one;
    store(&one, (typename lane_of<Element>::type)1);
    return one;
}

/* A lane as what is left of it once stored. */
template <class Element> DEVICE typename lane_of<Element>::type round_trip(typename lane_of<Element>::type lane) {
    Element element;
    store(&element, lane);
    return load(element);
}

/* A cast between lanes of two types. Floats become integers by way of the widest, so that small types wrap alike everywhere. */
template <class To, class From> struct lane_cast {
    static DEVICE typename lane_of<To>::type run(typename lane_of<From>::type lane) {
        return round_trip<To>((typename lane_of<To>::type)lane);
    }
};
template <class To> struct lane_cast<To, float> {
    static DEVICE typename lane_of<To>::type run(float lane) { return round_trip<To>((typename lane_of<To>::type)(int64)lane); }
};
template <class To> struct lane_cast<To, double> {
    static DEVICE typename lane_of<To>::type run(double lane) { return round_trip<To>((typename lane_of<To>::type)(int64)lane); }
};
#define FLOATING_CAST(to, from)                                                                          \
    template <> struct lane_cast<to, from> {                                                             \
        static DEVICE lane_of<to>::type run(lane_of<from>::type lane) { return (lane_of<to>::type)lane; } \
    };
FLOATING_CAST(float, float)
FLOATING_CAST(float, double)
FLOATING_CAST(double, float)
FLOATING_CAST(double, double)
#undef FLOATING_CAST
template <> struct lane_cast<truth, float> {
    static DEVICE int run(float lane) { return lane != 0; }
};
template <> struct lane_cast<truth, double> {
    static DEVICE int run(double lane) { return lane != 0; }
};

/* Halves are floats once they are loaded, and rounded where they are cast. */
template <class Element> struct lane_kind {
    typedef Element type;
};
template <> struct lane_kind<half16> {
    typedef float type;
};
template <> struct lane_kind<bfloat16> {
    typedef float type;
};
template <class To, class From> DEVICE typename lane_of<To>::type cast(typename lane_of<From>::type lane) {
    return lane_cast<typename lane_kind<To>::type, typename lane_kind<From>::type>::run(round_trip<From>(lane));
}

#endif
