/* Where a request goes; see caching_search.h.
 *
 * What costs physical memory is not the bytes that a block covers but the granules that it touches first. A request of k whole
 * granules and a rest r needs at least k of them; it needs no more when its rest finds room in a granule that is in use
 * anyway. So a FREE block is seen as its parts, a piece at either end and whole granules between, and the best spot is the one
 * that uses the fewest new granules, then one that leaves no piece stranded, then the tightest. */
#include "memory/caching_search.h"

#include "base/checked.h"
#include "memory/caching_heap.h"
#include "memory/caching_index.h"
#include "memory/caching_physical.h"

/* Blocks looked at in one search of an index. */
enum { TRIED = 256 };
/* What a block's beginning is varied within. */
enum { PAGE_SHIFT = 12, PAGE = 1 << PAGE_SHIFT };

static void spot_in(const memory_block *block, size_t offset, caching_spot *out_spot) {
    out_spot->segment = caching_segment_of(block);
    out_spot->offset = offset;
}

/* A piece of a granule in use, in the smallest FREE block that has one: what is next to a long free run is left alone, since it
 * may become part of it. */
static bool search_piece(caching_heap *heap, size_t size, caching_spot *out_spot) {
    const caching *owner = heap->owner;
    const caching_index *index = &heap->pieces;
    memory_block *best = NULL;
    bool best_is_right = false;
    unsigned tried = 0;
    unsigned bin = caching_index_next(index, caching_index_bin(size >> CACHING_PIECE_SHIFT));
    for (; bin < CACHING_INDEX_BINS && best == NULL; bin = caching_index_next(index, bin + 1)) {
        for (memory_block *block = index->bins[bin]; block != NULL;
             block = block->idle.lists[CACHING_LINK_PIECES].next) {
            caching_parts parts = caching_parts_of(owner, block);
            bool left = parts.left >= size, right = parts.right >= size;
            if (++tried > TRIED) break;
            if (!left && !right) continue;
            if (best != NULL && (block->capacity > best->capacity ||
                                 (block->capacity == best->capacity && block->address > best->address))) {
                continue;
            }
            best = block;
            best_is_right = right && (!left || parts.right < parts.left);
        }
    }
    if (best == NULL) return false;
    size_t offset = caching_offset(caching_segment_of(best), best);
    /* A right piece begins where the last granule does. */
    spot_in(best, best_is_right ? round_down(offset + best->capacity, owner->granule) : offset, out_spot);
    return true;
}

/* How well a spot in a FREE block takes a request. */
typedef struct fit {
    size_t occupied; /* whole granules that become used */
    size_t leftover; /* bytes of the block that stay free beside it */
    bool strands;    /* leaves a piece of a granule that a request of this size cannot begin in */
    size_t offset;
    memory_block *block;
} fit;

static bool fits_better(const fit *a, const fit *b) {
    if (b->block == NULL || a->occupied != b->occupied) return b->block == NULL || a->occupied < b->occupied;
    if (a->strands != b->strands) return b->strands;
    if (a->leftover != b->leftover) return a->leftover < b->leftover;
    if (a->block != b->block) return a->block->address < b->block->address;
    return false;
}

/* Counts the whole granules of [first, end) that [offset, offset + size) touches. */
static size_t touched(const caching *owner, size_t first, size_t end, size_t offset, size_t size) {
    size_t from = offset > first ? round_down(offset, owner->granule) : first;
    size_t to = offset + size < end ? round_up(offset + size, owner->granule) : end;
    return to > from ? (to - from) >> owner->granule_shift : 0;
}

/* The best spot in one block: its beginning or its end, or its whole granules with the rest in the piece before or behind them. */
static void try_block(const caching *owner, memory_block *block, size_t size, fit *best) {
    if (block->capacity < size) return;
    caching_parts parts = caching_parts_of(owner, block);
    size_t begin = caching_offset(caching_segment_of(block), block), end = begin + block->capacity;
    size_t first = begin + parts.left, last = first + (parts.whole << owner->granule_shift);
    size_t rest = size & (owner->granule - 1), middle = size - rest;
    /* Where the rest of a request leaves a piece of a granule, the next request of that size goes on in the piece if it finds
     * room behind it. If not, the whole granules behind it go elsewhere in time, and the piece serves nothing but small ones. */
    size_t leftover = block->capacity - size;
    bool strands = owner->is_virtual && rest != 0 && leftover != 0 && leftover < size;
    const size_t spots[] = {first, first - rest, last - middle, begin, end - size};
    for (size_t i = 0; i < sizeof spots / sizeof spots[0]; i++) {
        if (spots[i] < begin || spots[i] > end - size) continue;
        fit found = {touched(owner, first, last, spots[i], size), leftover, strands, spots[i], block};
        if (fits_better(&found, best)) *best = found;
    }
}

static bool search_wholes(caching_heap *heap, size_t size, caching_spot *out_spot) {
    const caching *owner = heap->owner;
    /* Two pieces make up for one whole granule. */
    size_t least = size >> owner->granule_shift;
    least = least > 2 ? least - 1 : 1;
    fit best = {0};
    unsigned tried = 0;
    unsigned bin = caching_index_next(&heap->wholes, caching_index_bin(least));
    for (; bin < CACHING_INDEX_BINS && tried < TRIED; bin = caching_index_next(&heap->wholes, bin + 1)) {
        for (memory_block *block = heap->wholes.bins[bin]; block != NULL;
             block = block->idle.lists[CACHING_LINK_WHOLE].next) {
            try_block(owner, block, size, &best);
            if (++tried >= TRIED && best.block != NULL) break;
        }
        /* Bins rise with the number of granules, so nothing later leaves less over. */
        if (best.block != NULL && best.occupied <= size >> owner->granule_shift) break;
    }
    if (best.block == NULL) return false;
    spot_in(best.block, best.offset, out_spot);
    return true;
}

bool caching_search_free(caching_heap *heap, size_t size, caching_spot *out_spot) {
    if (size < 2 * heap->owner->granule && search_piece(heap, size, out_spot)) return true;
    return search_wholes(heap, size, out_spot);
}

size_t caching_search_colour(const caching *owner, const memory_block *block, size_t offset, size_t size) {
    const caching_segment *segment = caching_segment_of(block);
    size_t begin = segment->address + offset, end = offset + size, rest = size & (owner->granule - 1);
    if (size < owner->granule || rest == 0) return offset;
    /* Multiplied by the golden ratio, numbers that are near each other are far apart in the highest bits. */
    uint32_t scattered = (uint32_t)(begin >> owner->granule_shift) * 0x9E3779B1u;
    size_t wanted = scattered >> (32 - PAGE_SHIFT);
    size_t moved = round_down((wanted - begin) & (PAGE - 1), owner->alignment);
    size_t room = round_up(end, owner->granule) - end, free_end = caching_offset(segment, block) + block->capacity;
    if (moved > room || end + moved > free_end) return offset;
    /* The rest of another request of this size may go into the room. */
    return (room - moved) / rest == room / rest ? offset + moved : offset;
}

/* A stretch between two USED blocks. */
typedef struct gap {
    caching_segment *segment;
    size_t begin, end;
    bool is_tail; /* reaches the end of the segment: everything beyond is new */
} gap;

/* The gap around a HOLLOW block; false when an earlier HOLLOW block of the same gap stands for it. */
static bool gap_of(const memory_block *hollow, gap *out_gap) {
    caching_segment *segment = caching_segment_of(hollow);
    const memory_block *block = hollow;
    while (block->neighbours.previous != NULL && block->neighbours.previous->kind != CACHING_USED) {
        block = block->neighbours.previous;
        if (block->kind == CACHING_HOLLOW) return false;
    }
    out_gap->segment = segment;
    out_gap->begin = caching_offset(segment, block);
    block = hollow;
    while (block->neighbours.next != NULL && block->neighbours.next->kind != CACHING_USED)
        block = block->neighbours.next;
    out_gap->end = caching_offset(segment, block) + block->capacity;
    out_gap->is_tail = block->neighbours.next == NULL;
    return true;
}

typedef struct choice {
    size_t score;    /* newly used granules, and one more for asking the driver */
    size_t calls;    /* driver calls */
    size_t gap_size; /* of the gap, SIZE_MAX for the tail */
    caching_spot spot;
} choice;

static bool choice_is_better(const choice *a, const choice *b) {
    if (b->spot.segment == NULL || a->score != b->score) return b->spot.segment == NULL || a->score < b->score;
    if (a->calls != b->calls) return a->calls < b->calls;
    if (a->gap_size != b->gap_size) return a->gap_size < b->gap_size;
    return a->spot.offset < b->spot.offset;
}

static void consider(const gap *in, size_t offset, size_t size, choice *best) {
    if (offset < in->begin || offset > in->end || in->end - offset < size) return;
    caching_cost cost;
    if (!caching_cost_of(in->segment, offset, size, best->spot.segment == NULL ? SIZE_MAX : best->score, &cost)) return;
    choice found = {
        .score = cost.occupied + (cost.maps != 0),
        .calls = cost.maps,
        .gap_size = in->is_tail ? SIZE_MAX : in->end - in->begin,
        .spot = {in->segment, offset},
    };
    if (choice_is_better(&found, best)) *best = found;
}

/* Tries the spots of a gap that can be best: at its beginning and end, with the rest in a granule in use or with whole granules
 * alone, and where HOLLOW blocks begin and end. */
static void consider_gap(const gap *in, const memory_block *hollow, size_t size, choice *best) {
    const caching *owner = in->segment->heap->owner;
    const size_t granule = owner->granule;
    size_t whole = round_down(size, granule), rest = size - whole;
    size_t first = round_up(in->begin, granule);
    if (first - in->begin >= rest) consider(in, first - rest, size, best);
    consider(in, in->begin, size, best);
    consider(in, first, size, best);
    if (!in->is_tail && in->end - in->begin > size) {
        size_t last = round_down(in->end, granule);
        if (in->end - last >= rest && last >= whole) consider(in, last - whole, size, best);
        if (last >= round_up(size, granule)) consider(in, last - round_up(size, granule), size, best);
        consider(in, in->end - size, size, best);
    }
    for (const memory_block *block = hollow; block != NULL && block->kind != CACHING_USED;
         block = block->neighbours.next) {
        if (block->kind != CACHING_HOLLOW) continue;
        size_t begin = caching_offset(in->segment, block);
        consider(in, begin, size, best);
        /* With the FREE block before it used up to its end. */
        size_t before = round_up(size, granule);
        const memory_block *previous = block->neighbours.previous;
        if (previous != NULL && previous->kind == CACHING_FREE) {
            caching_parts parts = caching_parts_of(owner, previous);
            size_t start = begin - (parts.whole << owner->granule_shift);
            if (parts.whole << owner->granule_shift < before) consider(in, start, size, best);
        }
        size_t end = begin + block->capacity;
        if (end >= before && !in->is_tail) consider(in, end - before, size, best);
    }
}

/* The spots that can be best in a stretch of a gap, granules [first, end), with no place in it that is in the way. */
static void consider_stretch(const gap *in, size_t first, size_t end, size_t size, choice *best) {
    const size_t granule = in->segment->heap->owner->granule;
    const size_t shift = in->segment->heap->owner->granule_shift;
    size_t from = first << shift, to = end << shift;
    gap stretch = {in->segment, from < in->begin ? in->begin : from, to >= in->end ? in->end : to, false};
    stretch.is_tail = in->is_tail && to >= in->end;
    if (stretch.end <= stretch.begin || stretch.end - stretch.begin < size) return;
    size_t rest = size & (granule - 1), middle = size - rest;
    size_t low = round_up(stretch.begin, granule), high = round_down(stretch.end, granule);
    consider(&stretch, low, size, best);
    if (low - stretch.begin >= rest) consider(&stretch, low - rest, size, best);
    consider(&stretch, stretch.begin, size, best);
    if (stretch.is_tail) return;
    if (high >= middle) consider(&stretch, high - middle, size, best);
    consider(&stretch, stretch.end - size, size, best);
}

/* Cuts a gap into stretches without a place that sleeps and cannot wake, and, unless places may be mapped, without one where nothing
 * is mapped. One granule cannot be at two places of a block, so a stretch ends before the second of them. */
static void consider_stretches(const gap *in, size_t size, bool may_map, choice *best) {
    caching_segment *segment = in->segment;
    caching *owner = segment->heap->owner;
    uint32_t mark = ++owner->mark;
    size_t first = caching_granule_floor(owner, in->begin), start = first;
    size_t end = caching_granule_floor(owner, in->end + owner->granule - 1);
    size_t known = end < segment->mapped_count ? end : segment->mapped_count;
    for (size_t i = first; i < known; i++) {
        caching_physical *physical = segment->places[i].physical;
        if (physical == NULL && may_map) continue;
        if (!caching_may_use(&segment->places[i])) {
            consider_stretch(in, start, i, size, best);
            mark = ++owner->mark;
            start = i + 1;
            continue;
        }
        if (physical->mark == mark && physical->seen >= start) {
            consider_stretch(in, start, i, size, best);
            mark = ++owner->mark;
            start = physical->seen + 1;
            for (size_t k = start; k < i; k++) {
                if (segment->places[k].physical == NULL) continue;
                segment->places[k].physical->mark = mark;
                segment->places[k].physical->seen = (uint32_t)k;
            }
        }
        physical->mark = mark;
        physical->seen = (uint32_t)i;
    }
    consider_stretch(in, start, may_map ? end : known, size, best);
}

bool caching_search_sleeping(caching_heap *heap, size_t size, caching_spot *out_spot) {
    choice best = {0};
    for (memory_block *hollow = heap->hollows; hollow != NULL; hollow = hollow->idle.lists[CACHING_LINK_WHOLE].next) {
        gap in;
        if (gap_of(hollow, &in) && in.end - in.begin >= size) consider_stretches(&in, size, false, &best);
    }
    if (best.spot.segment == NULL || best.calls != 0) return false;
    *out_spot = best.spot;
    return true;
}

bool caching_search_gaps(caching_heap *heap, size_t size, caching_spot *out_spot) {
    choice best = {0};
    for (memory_block *hollow = heap->hollows; hollow != NULL; hollow = hollow->idle.lists[CACHING_LINK_WHOLE].next) {
        gap in;
        if (!gap_of(hollow, &in) || in.end - in.begin < size) continue;
        consider_gap(&in, hollow, size, &best);
        consider_stretches(&in, size, true, &best);
    }
    if (best.spot.segment == NULL) return false;
    *out_spot = best.spot;
    return true;
}

size_t caching_largest_free(const caching *owner) {
    size_t largest = 0;
    for (const caching_heap *heap = owner->heaps; heap != NULL; heap = heap->next) {
        for (const caching_segment *segment = heap->segments; segment != NULL; segment = segment->next) {
            for (const memory_block *block = segment->first_block; block != NULL; block = block->neighbours.next) {
                if (block->kind == CACHING_FREE && block->capacity > largest) largest = block->capacity;
            }
        }
    }
    return largest;
}
