/* The maximum over windows. Where channels lie side by side a thread has as many of them as 16 bytes hold, elsewhere one element of the result, and its
 * neighbours those beside it, which read the same lines of the image. */
#include "functions.cuh"
#include "pack.cuh"
#include "space.cuh"

/* The windows of LANES channels at one place. */
template <class Element, int LANES>
DEVICE pack<Element, LANES> find_most(const cuda_window &window, const Element *in, int64 y, int64 x) {
    typename lane_of<Element>::type most[LANES];
    UNROLLED for (int k = 0; k < LANES; k++) most[k] = 0;
    bool has_any = false;
    ROLLED for (int64 ky = 0; ky < window.kernel_height; ky++) {
        const int64 in_y = y * window.stride[0] - window.padding[0] + ky * window.dilation[0];
        if (in_y < 0 || in_y >= window.in_height) continue;
        for (int64 kx = 0; kx < window.kernel_width; kx++) {
            const int64 in_x = x * window.stride[1] - window.padding[1] + kx * window.dilation[1];
            if (in_x < 0 || in_x >= window.in_width) continue;
            const pack<Element, LANES> read = read_whole<Element, LANES>(in + in_y * window.in_strides[2] + in_x * window.in_strides[3]);
            UNROLLED for (int k = 0; k < LANES; k++)
                most[k] = has_any ? compute_maximum(most[k], load(read.elements[k])) : load(read.elements[k]);
            has_any = true;
        }
    }
    pack<Element, LANES> made;
    UNROLLED for (int k = 0; k < LANES; k++) store(&made.elements[k], most[k]);
    return made;
}

/* Threads are numbered along columns, or along groups of channels where these lie side by side. */
template <class Element, int LANES> DEVICE void max_pool2d(const cuda_window &window) {
    const uint64 width = (uint64)window.out_width, height = (uint64)window.out_height, groups = (uint64)window.channels / LANES;
    const uint64 count = (uint64)window.batch * groups * height * width;
    for (uint64 i = thread_number(); i < count; i += thread_count()) {
        uint64 left = i, group = 0;
        if (LANES > 1) {
            left = quotient(i, groups);
            group = i - left * groups;
        }
        const uint64 row = quotient(left, width), x = left - row * width;
        uint64 image = quotient(row, height);
        const uint64 y = row - image * height;
        if (LANES == 1) {
            const uint64 plane = image;
            image = quotient(plane, groups);
            group = plane - image * groups;
        }
        const int64 channel = (int64)group * LANES;
        const Element *in = (const Element *)window.in + (int64)image * window.in_strides[0] + channel * window.in_strides[1];
        Element *out = (Element *)window.out + (int64)image * window.out_strides[0] + channel * window.out_strides[1] +
                       (int64)y * window.out_strides[2] + (int64)x * window.out_strides[3];
        const pack<Element, LANES> made = find_most<Element, LANES>(window, in, (int64)y, (int64)x);
        if (window.out_strides[1] == 1 && is_aligned<Element, LANES>(out)) {
            write_whole(out, made);
        } else {
            UNROLLED for (int k = 0; k < LANES; k++) out[k * window.out_strides[1]] = made.elements[k];
        }
    }
}

#define FOR_TYPE(name, element)                                                                 \
    KERNEL(tarn_max_pool2d_##name)(PARAMETER(cuda_window) window) {                             \
        if (window.channels_last) max_pool2d<element, CUDA_LANES(sizeof(element))>(window);     \
        else max_pool2d<element, 1>(window);                                                    \
    }
FOR_NUMBERS(FOR_TYPE)
#undef FOR_TYPE
