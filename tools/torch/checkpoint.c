/* Checkpoints of pools, which trees of CUDA graphs need: a graph that was captured after another one expects that one's results where they
 * were, whatever has run between. What was alive is a list of addresses; bringing it back is to free what is alive now and to ask the
 * pool's allocator for each address again, from the highest down (memory/pytorch_place.c says why). A pool keeps its memory, so that
 * the addresses are still its own. */
#include <string.h>

#include "base/memory.h"
#include "torch/state.h"

struct tarn_torch_checkpoint {
    int device;
    tarn_torch_pool_id id;
    size_t count;
    tarn_torch_live live[]; /* by address */
};

static bool is_same(tarn_torch_pool_id a, tarn_torch_pool_id b) { return a.first == b.first && a.second == b.second; }

/* The pool, which stays until torch_pool_end. */
static tarn_status find(int number, tarn_torch_pool_id id, torch_device **out_device, torch_pool **out_pool) {
    torch_device *device = torch_device_known(number);
    torch_pool *pool = NULL;
    if (device != NULL) {
        pthread_mutex_lock(&device->lock);
        pool = torch_pool_find(device, id);
        if (pool != NULL) pool->requests++;
        pthread_mutex_unlock(&device->lock);
    }
    *out_device = device;
    *out_pool = pool;
    return pool != NULL ? TARN_OK : torch_fail_no_pool(number, id);
}

static bool is_live(const tarn_torch_block *block, tarn_torch_pool_id id) {
    return block->state == TARN_BLOCK_IN_USE && is_same(block->pool, id);
}

/* Writes the live blocks of the pool; returns how many. */
static size_t list(const tarn_torch_block *blocks, size_t count, tarn_torch_pool_id id, tarn_torch_live *live) {
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        if (!is_live(&blocks[i], id)) continue;
        live[found++] = (tarn_torch_live){
            .pointer = (void *)(uintptr_t)blocks[i].address, /* NOLINT(performance-no-int-to-ptr) */
            .size = (size_t)blocks[i].requested,
            .stream = blocks[i].stream,
        };
    }
    return found;
}

static tarn_status no_host_memory(void) { return torch_fail(TARN_OUT_OF_MEMORY, "no host memory for a checkpoint"); }

tarn_status tarn_torch_checkpoint_take(int number, tarn_torch_pool_id id, tarn_torch_checkpoint **out_checkpoint) {
    torch_device *device;
    torch_pool *pool;
    tarn_torch_block *blocks = NULL;
    size_t count = 0;
    tarn_status status = find(number, id, &device, &pool);
    if (status == TARN_OK) status = tarn_torch_blocks_get(number, &blocks, &count);
    if (status == TARN_OK) {
        tarn_torch_checkpoint *made = base_allocate(1, sizeof *made + count * sizeof made->live[0]);
        if (made == NULL) {
            status = no_host_memory();
        } else {
            made->device = number;
            made->id = id;
            made->count = list(blocks, count, id, made->live);
            *out_checkpoint = made;
        }
        tarn_torch_blocks_free(blocks);
    }
    if (device != NULL) torch_pool_end(device, pool);
    return status;
}

void tarn_torch_checkpoint_destroy(tarn_torch_checkpoint *checkpoint) { base_free(checkpoint); }

void tarn_torch_restored_end(tarn_torch_restored *restored) {
    base_free(restored->freed);
    base_free(restored->created);
    *restored = (tarn_torch_restored){.freed = NULL};
}

/* Whether blocks of the pool cover all that was alive. Both lists are by address. */
static bool is_covered(const tarn_torch_checkpoint *checkpoint, const tarn_torch_block *blocks, size_t count) {
    size_t at = 0;
    for (size_t i = 0; i < checkpoint->count; i++) {
        uint64_t begin = (uintptr_t)checkpoint->live[i].pointer, end = begin + checkpoint->live[i].size;
        while (at < count && blocks[at].address + blocks[at].size <= begin) at++;
        for (size_t j = at; begin < end; j++) {
            if (j == count || blocks[j].address > begin || !is_same(blocks[j].pool, checkpoint->id)) return false;
            begin = blocks[j].address + blocks[j].size;
        }
    }
    return true;
}

static tarn_status check(const tarn_torch_checkpoint *checkpoint, const torch_device *device,
                         const tarn_torch_block *blocks, size_t count, const tarn_torch_restored *restored) {
    if (atomic_load_explicit(&device->active_pools, memory_order_relaxed) > 0)
        return torch_fail(TARN_INVALID_STATE, "device %d: a checkpoint cannot be restored while a pool is allocated to",
                          device->number);
    if (!is_covered(checkpoint, blocks, count))
        return torch_fail(TARN_INVALID_STATE,
                          "device %d: the pool has given back memory that was alive at the checkpoint", device->number);
    for (size_t i = 0; i < restored->freed_count; i++) {
        if (torch_pointers_is_shared(restored->freed[i].pointer))
            return torch_fail(TARN_BUSY, "device %d: other streams use %p, which the checkpoint would take back",
                              device->number, restored->freed[i].pointer);
    }
    return TARN_OK;
}

/* Empties the pool; returns how many were the plug-in's, and leaves those at the beginning of the list. */
static size_t free_all(torch_device *device, tarn_torch_live *live, size_t count) {
    size_t freed = 0;
    for (size_t i = 0; i < count; i++) {
        bool is_shared;
        tarn_buffer *buffer = torch_pointers_remove(live[i].pointer, &is_shared);
        if (buffer == NULL) continue;
        torch_free_buffer(device, buffer, live[i].stream, false);
        live[freed++] = live[i];
    }
    return freed;
}

static tarn_status bring_back(torch_device *device, const torch_pool *pool, const tarn_torch_live *wanted) {
    tarn_allocate_options options = {.struct_size = sizeof options, .address = wanted->pointer};
    tarn_buffer *buffer;
    void *pointer;
    tarn_status status = torch_stream_of(device, wanted->stream, &options.stream);
    if (status == TARN_OK)
        status = torch_answer(tarn_allocator_allocate_with(pool->allocator, wanted->size, &options, &buffer));
    if (status == TARN_OK) status = torch_hand_out(device, buffer, wanted->stream, pool->id, &pointer);
    return status;
}

static tarn_status restore(const tarn_torch_checkpoint *checkpoint, torch_device *device, const torch_pool *pool,
                           tarn_torch_restored *restored) {
    tarn_torch_block *blocks = NULL;
    size_t count = 0;
    tarn_status status = tarn_torch_blocks_get(device->number, &blocks, &count);
    if (status != TARN_OK) return status;
    restored->freed = base_allocate(count + 1, sizeof *restored->freed);
    restored->created = base_allocate(checkpoint->count + 1, sizeof *restored->created);
    if (restored->freed == NULL || restored->created == NULL) {
        tarn_torch_blocks_free(blocks);
        return no_host_memory();
    }
    restored->freed_count = list(blocks, count, checkpoint->id, restored->freed);
    status = check(checkpoint, device, blocks, count, restored);
    tarn_torch_blocks_free(blocks);
    restored->freed_count = status == TARN_OK ? free_all(device, restored->freed, restored->freed_count) : 0;
    for (size_t i = checkpoint->count; i-- > 0 && status == TARN_OK;) {
        status = bring_back(device, pool, &checkpoint->live[i]);
        if (status == TARN_OK) restored->created[restored->created_count++] = checkpoint->live[i];
    }
    return status;
}

tarn_status tarn_torch_checkpoint_restore(const tarn_torch_checkpoint *checkpoint, tarn_torch_restored *out_restored) {
    torch_device *device;
    torch_pool *pool;
    *out_restored = (tarn_torch_restored){.freed = NULL};
    tarn_status status = find(checkpoint->device, checkpoint->id, &device, &pool);
    if (status == TARN_OK) status = restore(checkpoint, device, pool, out_restored);
    if (device != NULL) torch_pool_end(device, pool);
    return status;
}
