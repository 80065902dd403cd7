/* Slices by number: each thread copies elements of the result, whose types do not matter, only their size; several that lie side by side are one. The first number that is
 * out of range is left for the host, and its slice is 0. */
#include "pack.cuh"
#include "space.cuh"

DEVICE void note_failure(const cuda_gather &gather, int64 number) {
    cuda_failure *failure = gather.failure;
    if (atomicCAS(&failure->is_taken, 0u, 1u) != 0) return; /* somebody else's is told */
    failure->number = number;
    failure->limit = gather.slices;
    __threadfence_system();
    *(volatile uint32 *)&failure->is_set = 1;
}

template <class Element> DEVICE void gather_slices(const cuda_gather &gather) {
    const Element *in = (const Element *)gather.in;
    for (uint64 i = thread_number(); i < (uint64)gather.count; i += thread_count()) {
        int64 at = offset_of(i, gather.dims, gather.index_strides, 0, gather.rank);
        int64 number = gather.wide_indices ? ((const int64 *)gather.indices)[at] : ((const int *)gather.indices)[at];
        int64 slice = number < 0 ? number + gather.slices : number;
        Element element = {};
        if (slice >= 0 && slice < gather.slices)
            element = in[offset_of(i, gather.dims, gather.in_strides, 0, gather.rank) + slice * gather.slice_stride];
        else note_failure(gather, number);
        ((Element *)gather.out)[offset_of(i, gather.dims, gather.out_strides, 0, gather.rank)] = element;
    }
}

KERNEL(tarn_gather_1)(PARAMETER(cuda_gather) gather) { gather_slices<uint8>(gather); }
KERNEL(tarn_gather_2)(PARAMETER(cuda_gather) gather) { gather_slices<uint16>(gather); }
KERNEL(tarn_gather_4)(PARAMETER(cuda_gather) gather) { gather_slices<uint32>(gather); }
KERNEL(tarn_gather_8)(PARAMETER(cuda_gather) gather) { gather_slices<uint64>(gather); }
KERNEL(tarn_gather_16)(PARAMETER(cuda_gather) gather) { gather_slices<access<16>::words>(gather); }

/* Moves a failure on, from that of a graph to that of the stream where the graph was launched. */
KERNEL(tarn_move_failure)(cuda_failure *from, cuda_failure *to) {
    if (from->is_set == 0) return;
    if (to->is_set == 0) {
        to->number = from->number;
        to->limit = from->limit;
        to->is_taken = 1;
        __threadfence_system();
        *(volatile uint32 *)&to->is_set = 1;
    }
    from->is_set = 0;
    from->is_taken = 0;
}
