/* What sources that are written for one program stand on: several elements at once, read and written as one where they lie side by side. */
#ifndef CUDA_KERNELS_GENERATED_CUH
#define CUDA_KERNELS_GENERATED_CUH

#include "pack.cuh"
#include "reduce.cuh"

/* How the elements of a pack lie: one for all, side by side, or at a stride. */
enum { LIES_STILL, LIES_SIDE_BY_SIDE, LIES_APART };

/* The first `lanes` of the elements; the others are not read. */
template <class Element, int COUNT, int LIES>
DEVICE pack<Element, COUNT> read_pack(const void *data, int64 offset, int64 stride, uint32 lanes) {
    const Element *from = (const Element *)data + offset;
    if (LIES == LIES_SIDE_BY_SIDE && lanes == COUNT) return read_whole<Element, COUNT>(from);
    pack<Element, COUNT> read;
    UNROLLED for (int i = 0; i < COUNT; i++) read.elements[i] = from[LIES == LIES_STILL || (uint32)i >= lanes ? 0 : i * stride];
    return read;
}

template <class Element, int COUNT, int LIES>
DEVICE void write_pack(void *data, int64 offset, int64 stride, uint32 lanes, const pack<Element, COUNT> &written) {
    Element *to = (Element *)data + offset;
    if (LIES == LIES_SIDE_BY_SIDE && lanes == COUNT) {
        write_whole(to, written);
        return;
    }
    UNROLLED for (int i = 0; i < COUNT; i++)
        if ((uint32)i < lanes) to[i * stride] = written.elements[i];
}

#endif
