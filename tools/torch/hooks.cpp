// The hooks whose arguments are C++: PyTorch hands over the filter of a pool as a std::function. It takes a cudaStream_t, a pointer, so that no header
// of CUDA's or PyTorch's is needed.
#include <cstdint>
#include <functional>
#include <new>
#include <utility>

#include "torch/torch.h"

struct CUstream_st;

using pool_filter = std::function<bool(CUstream_st *)>;
using pool_id = std::pair<unsigned long long, unsigned long long>;

namespace {

int accept(void *context, void *stream) {
    return (*static_cast<pool_filter *>(context))(static_cast<CUstream_st *>(stream)) ? 1 : 0;
}

void drop(void *context) { delete static_cast<pool_filter *>(context); }

} // namespace

extern "C" {

// As PyTorch's beginAllocateToPool. Without host memory for the filter, allocations of every stream go to the pool.
TARN_API void tarn_torch_begin_allocate_to_pool(int device, pool_id id, pool_filter filter) {
    tarn_torch_pool_id plain = {id.first, id.second};
    pool_filter *kept = filter ? new (std::nothrow) pool_filter(std::move(filter)) : nullptr;
    tarn_torch_begin_allocate_to_pool_with(device, plain, kept != nullptr ? accept : nullptr,
                                           kept != nullptr ? drop : nullptr, kept);
}
}
