/* Load: how many bytes live in each slot, and the most around each buffer, from a tree of maxima over the slots. */
#include "plan/load.h"

#include <inttypes.h>

#include "base/memory.h"
#include "base/status.h"

void plan_load(const plan_section *section, uint64_t *out_load) {
    for (uint32_t slot = 0; slot < section->slot_count; slot++) out_load[slot] = 0;
    /* Differences first, which may be negative: they wrap, and so do their sums, back. */
    for (uint32_t i = 0; i < section->count; i++) {
        uint32_t begin = section->first_piece != NULL ? section->first_piece[i] : 0;
        uint32_t end = section->first_piece != NULL ? section->first_piece[i + 1] : 1;
        for (uint32_t j = begin; j < end; j++) {
            plan_piece piece = section->first_piece != NULL
                                   ? section->pieces[j]
                                   : (plan_piece){section->lower[i], section->upper[i], 0, section->size[i]};
            out_load[piece.lower] += piece.top - piece.bottom;
            if (piece.upper < section->slot_count) out_load[piece.upper] -= piece.top - piece.bottom;
        }
    }
    for (uint32_t slot = 1; slot < section->slot_count; slot++) out_load[slot] += out_load[slot - 1];
}

static uint64_t greatest(uint64_t a, uint64_t b) { return a > b ? a : b; }

tarn_status plan_load_around(const plan_section *section, uint64_t *out_load) {
    const uint32_t slots = section->slot_count;
    /* Node i is the greater of 2i and 2i + 1; the slots are the nodes from `slots` on. */
    uint64_t *tree = base_allocate(slots, 2 * sizeof *tree);
    if (tree == NULL) return base_fail(TARN_OUT_OF_MEMORY, "the load in %" PRIu32 " moments: no host memory", slots);
    plan_load(section, tree + slots);
    for (uint32_t i = slots - 1; i > 0; i--) tree[i] = greatest(tree[2 * (size_t)i], tree[2 * (size_t)i + 1]);
    for (uint32_t i = 0; i < section->count; i++) {
        uint64_t most = 0;
        size_t low = (size_t)slots + section->lower[i], high = (size_t)slots + section->upper[i];
        for (; low < high; low /= 2, high /= 2) {
            if (low % 2 == 1) most = greatest(most, tree[low++]);
            if (high % 2 == 1) most = greatest(most, tree[--high]);
        }
        out_load[i] = most;
    }
    base_free(tree);
    return TARN_OK;
}
