/* The maximum over windows: a thread for each element of the result. */
#include "functions.cuh"
#include "space.cuh"

template <class Element> DEVICE void max_pool2d(const cuda_window &window) {
    typedef typename lane_of<Element>::type Lane;
    const uint64 width = (uint64)window.out_width, height = (uint64)window.out_height;
    const uint64 count = (uint64)window.batch * (uint64)window.channels * height * width;
    for (uint64 i = thread_number(); i < count; i += thread_count()) {
        int64 x = (int64)(i % width), y = (int64)(i / width % height);
        int64 channel = (int64)(i / (width * height) % (uint64)window.channels);
        int64 image = (int64)(i / (width * height * (uint64)window.channels));
        const Element *in = (const Element *)window.in + image * window.in_strides[0] + channel * window.in_strides[1];
        Lane most = 0;
        bool has_any = false;
        for (int64 ky = 0; ky < window.kernel_height; ky++) {
            int64 in_y = y * window.stride[0] - window.padding[0] + ky * window.dilation[0];
            if (in_y < 0 || in_y >= window.in_height) continue;
            for (int64 kx = 0; kx < window.kernel_width; kx++) {
                int64 in_x = x * window.stride[1] - window.padding[1] + kx * window.dilation[1];
                if (in_x < 0 || in_x >= window.in_width) continue;
                Lane lane = load(in[in_y * window.in_strides[2] + in_x * window.in_strides[3]]);
                most = has_any ? compute_maximum(most, lane) : lane;
                has_any = true;
            }
        }
        store((Element *)window.out + image * window.out_strides[0] + channel * window.out_strides[1] +
                  y * window.out_strides[2] + x * window.out_strides[3],
              most);
    }
}

#define FOR_TYPE(name, element) \
    KERNEL(tarn_max_pool2d_##name)(PARAMETER(cuda_window) window) { max_pool2d<element>(window); }
FOR_NUMBERS(FOR_TYPE)
#undef FOR_TYPE
