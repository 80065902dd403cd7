/* First fit.
 *
 * The buffers that have been placed are kept in order of their offsets. Going through them upwards, those that live at another time are
 * passed over, and the first gap between the others that is large enough is the place. A buffer with gaps is forbidden an interval of offsets by
 * each pair of pieces that share a slot; there the intervals are sorted, and the place is the first offset in none of them. */
#include "plan/place.h"

#include <string.h>

#include "base/memory.h"
#include "base/status.h"

#include <inttypes.h>
#include <stdlib.h>

tarn_status plan_placer_begin(plan_placer *placer, const plan_section *section) {
    *placer = (plan_placer){.section = section};
    placer->placed = base_allocate(section->count, sizeof *placer->placed);
    if (section->first_piece != NULL) {
        /* A piece of a buffer meets each piece of the others at most once. */
        uint32_t pieces = section->first_piece[section->count] - section->first_piece[0], most = 0;
        for (uint32_t i = 0; i < section->count; i++) {
            uint32_t mine = section->first_piece[i + 1] - section->first_piece[i];
            if (mine > most) most = mine;
        }
        placer->forbidden = base_allocate((size_t)pieces + most * (size_t)section->count, sizeof *placer->forbidden);
    }
    if (placer->placed == NULL || (section->first_piece != NULL && placer->forbidden == NULL)) {
        plan_placer_end(placer);
        return base_fail(TARN_OUT_OF_MEMORY, "placing %" PRIu32 " buffers: no host memory", section->count);
    }
    return TARN_OK;
}

void plan_placer_end(plan_placer *placer) {
    base_free(placer->placed);
    base_free(placer->forbidden);
    *placer = (plan_placer){0};
}

static uint64_t align_up(uint64_t offset, uint64_t alignment) {
    return alignment == 1 ? offset : (offset + alignment - 1) / alignment * alignment;
}

static uint64_t lowest_place(const plan_placer *placer, uint32_t buffer, const uint64_t *offsets) {
    const plan_section *section = placer->section;
    const uint32_t lower = section->lower[buffer], upper = section->upper[buffer];
    const uint64_t size = section->size[buffer], alignment = section->alignment[buffer];
    uint64_t offset = 0;
    for (uint32_t i = 0; i < placer->placed_count; i++) {
        uint32_t other = placer->placed[i];
        if (section->lower[other] >= upper || section->upper[other] <= lower) continue;
        if (offsets[other] >= offset + size) break;
        uint64_t end = offsets[other] + section->size[other];
        if (end > offset) offset = align_up(end, alignment);
    }
    return offset;
}

/* Lists the offsets that an already placed buffer forbids to another. */
static uint32_t list_forbidden(const plan_section *section, uint32_t buffer, uint32_t other, uint64_t at,
                               plan_forbidden *out_forbidden) {
    uint32_t count = 0, i = section->first_piece[buffer], j = section->first_piece[other];
    while (i < section->first_piece[buffer + 1] && j < section->first_piece[other + 1]) {
        const plan_piece *mine = &section->pieces[i], *its = &section->pieces[j];
        if (mine->lower < its->upper && its->lower < mine->upper && at + its->top > mine->bottom) {
            uint64_t below = at + its->bottom + 1;
            out_forbidden[count++] = (plan_forbidden){.lower = below > mine->top ? below - mine->top : 0,
                                                      .upper = at + its->top - mine->bottom};
        }
        if (mine->upper < its->upper) i++;
        else j++;
    }
    return count;
}

static int compare_forbidden(const void *left, const void *right) {
    const plan_forbidden *a = left, *b = right;
    return a->lower < b->lower ? -1 : a->lower > b->lower;
}

static uint64_t lowest_place_of_pieces(plan_placer *placer, uint32_t buffer, const uint64_t *offsets) {
    const plan_section *section = placer->section;
    uint32_t count = 0;
    for (uint32_t i = 0; i < placer->placed_count; i++) {
        uint32_t other = placer->placed[i];
        if (section->lower[other] >= section->upper[buffer] || section->upper[other] <= section->lower[buffer])
            continue;
        count += list_forbidden(section, buffer, other, offsets[other], &placer->forbidden[count]);
    }
    qsort(placer->forbidden, count, sizeof *placer->forbidden, compare_forbidden);
    uint64_t offset = 0;
    for (uint32_t i = 0; i < count && placer->forbidden[i].lower <= offset; i++)
        if (placer->forbidden[i].upper > offset) {
            offset = align_up(placer->forbidden[i].upper, section->alignment[buffer]);
        }
    return offset;
}

static void put(plan_placer *placer, uint32_t buffer, const uint64_t *offsets) {
    uint32_t low = 0, high = placer->placed_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (offsets[placer->placed[middle]] < offsets[buffer]) low = middle + 1;
        else high = middle;
    }
    memmove(&placer->placed[low + 1], &placer->placed[low], (placer->placed_count - low) * sizeof *placer->placed);
    placer->placed[low] = buffer;
    placer->placed_count++;
}

bool plan_place(plan_placer *placer, const uint32_t *order, uint64_t limit, uint64_t *offsets, uint64_t *out_height) {
    const plan_section *section = placer->section;
    uint64_t height = 0;
    placer->placed_count = 0;
    for (uint32_t i = 0; i < section->count && section->has_fixed; i++) {
        if (section->fixed[i] == TARN_PLAN_ANYWHERE) continue;
        offsets[i] = section->fixed[i];
        if (offsets[i] + section->size[i] > height) height = offsets[i] + section->size[i];
        put(placer, i, offsets);
    }
    for (uint32_t i = 0; i < section->count; i++) {
        uint32_t buffer = order[i];
        if (section->fixed[buffer] != TARN_PLAN_ANYWHERE) continue;
        offsets[buffer] = section->first_piece == NULL ? lowest_place(placer, buffer, offsets)
                                                       : lowest_place_of_pieces(placer, buffer, offsets);
        if (offsets[buffer] + section->size[buffer] > height) height = offsets[buffer] + section->size[buffer];
        if (height > limit) return false;
        put(placer, buffer, offsets);
    }
    *out_height = height;
    return true;
}
