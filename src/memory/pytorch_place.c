/* Putting a buffer where one was before: the FREE block that holds the address is cut in front of it. What lies behind the buffer is cut
 * off by the same rule as for every other request, so that buffers which are brought back in descending order get the capacities that
 * they had: the one behind is there already, and bounds what is free. */
#include "memory/pytorch_place.h"

#include "base/checked.h"
#include "base/status.h"
#include "memory/pytorch_pending.h"
#include "memory/stack.h"

static tarn_status refuse(const pytorch *owner, const memory_request *request, tarn_status status, const char *why) {
    return base_fail(status, "%s: %zu bytes at %#llx: %s", memory_device_name(&owner->base), request->size,
                     (unsigned long long)request->address, why);
}

tarn_status pytorch_find_place(pytorch_stream *stream, const memory_request *request, size_t size,
                               memory_block **out_block) {
    pytorch *owner = stream->owner;
    uintptr_t address = request->address;
    if (address % owner->unit != 0 || address % request->alignment != 0)
        return refuse(owner, request, TARN_INVALID_ARGUMENT, "the address is not aligned");
    pytorch_poll(owner);
    memory_block *block = address < UINTPTR_MAX ? pytorch_tree_before(&owner->blocks, 0, address + 1) : NULL;
    size_t before = block != NULL ? address - (uintptr_t)block->address : 0;
    if (block == NULL || before >= block->capacity || block->kind == PYTORCH_UNMAPPED ||
        pytorch_stream_of(block) != stream)
        return refuse(owner, request, TARN_INVALID_ARGUMENT, "the stream has no memory of this allocator there");
    if (block->kind != PYTORCH_FREE || block->capacity - before < size)
        return refuse(owner, request, TARN_BUSY, "not all of it is free");
    pytorch_hide(block);
    if (before != 0) {
        memory_block *rest = pytorch_cut(block, before);
        pytorch_show(block);
        if (rest == NULL)
            return refuse(owner, request, TARN_OUT_OF_MEMORY, "there is no host memory for a block's descriptor");
        block = rest;
    }
    *out_block = block;
    return TARN_OK;
}
