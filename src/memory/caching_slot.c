/* Slots; see caching_slot.h. */
#include "memory/caching_slot.h"

#include "memory/caching_physical.h"

size_t caching_give_chain(caching *owner, tarn_buffer *chain) {
    size_t bytes = 0;
    while (chain != NULL) {
        memory_block *block = block_behind(chain);
        chain = block->live.cached;
        bytes += block->capacity;
        caching_give_home(owner, block);
    }
    return bytes;
}
