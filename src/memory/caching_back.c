/* Putting memory behind addresses; see caching_back.h.
 *
 * What is about to be mapped is entered before the driver is asked: the range becomes one USED block, and each granule that comes there
 * from elsewhere is at home there at once, so that the place where it was sleeps and cannot wake. So everything that is true of a heap at rest
 * is true of it while the driver works with the lock open; only the mapping itself is still to come. When the driver refuses, what
 * was entered is taken back. */
#include "memory/caching_back.h"

#include "base/memory.h"
#include "base/status.h"
#include "memory/caching_ahead.h"
#include "memory/caching_growth.h"
#include "memory/caching_heap.h"
#include "memory/caching_index.h"
#include "memory/caching_physical.h"

/* Donors looked at in one search for granules to take. */
enum { DONORS_TRIED = 64 };

/* A granule on its way to a place. */
typedef struct move {
    caching_physical *physical;
    caching_place *from; /* its home before; NULL for memory that had none */
    void *from_address;
    size_t to;          /* the number of its place in the segment */
    bool is_created;    /* there is memory: always, but for new granules */
    bool is_at_from;    /* still mapped there */
    bool is_mapped;     /* to its new place */
    bool is_given_back; /* to the device */
} move;

/* The moves that make a range FREE, in the order of their places. They are collected from the last one on, so that the first ones are
 * those for which new granules have to be made. */
typedef struct backing {
    caching *owner;
    caching_segment *segment;
    size_t first, last; /* granules of the range */
    move *moves;
    tarn_backend_granule *handles; /* of the moves */
    size_t count, missing;
    memory_block *booked;
    memory_block *spares; /* laid aside for taking all of it back */
} backing;

/* Takes what an earlier failure left without a place. */
static void take_homeless(backing *of) {
    while (of->owner->homeless != NULL && of->missing != 0) {
        of->moves[--of->missing] = (move){.physical = of->owner->homeless, .is_created = true};
        of->owner->homeless = of->owner->homeless->next_unused;
    }
}

/* Takes granules off the end of a FREE block's whole part. */
static tarn_status take_from(memory_block *block, backing *of) {
    caching *owner = of->owner;
    caching_segment *segment = caching_segment_of(block);
    caching_parts parts = caching_parts_of(owner, block);
    size_t end = caching_granule_floor(owner, caching_offset(segment, block) + parts.left +
                                                  (parts.whole << owner->granule_shift));
    size_t take = of->missing < parts.whole ? of->missing : parts.whole;
    tarn_status status = caching_spares_reserve(owner, 4);
    if (status != TARN_OK) return status;
    caching_make_hollow(owner, segment, end - take, take);
    for (size_t i = end - take; i < end; i++) {
        /* Its home stays known, so that it can go back. */
        of->moves[--of->missing] = (move){
            .physical = segment->places[i].physical,
            .from = &segment->places[i],
            .from_address = caching_place_address(owner, segment, i),
            .is_created = true,
            .is_at_from = true,
        };
    }
    return TARN_OK;
}

/* Whether the whole part of a FREE block may go elsewhere: to the same heap at once where places can sleep, else when idle. */
static bool may_give(const caching *owner, const memory_block *block, const caching_heap *taker) {
    caching_segment *segment = caching_segment_of(block);
    if (segment->is_plain) return false;
    if (segment->heap == taker && owner->has_aliasing) return true;
    return caching_heap_is_idle(segment->heap, caching_whole_freed_at(owner, block));
}

/* Takes free granules from a heap, the longest runs first. */
static tarn_status take_from_heap(caching_heap *heap, backing *of) {
    caching *owner = heap->owner;
    unsigned tried = 0;
    for (unsigned bin = caching_index_last(&heap->wholes); bin < CACHING_INDEX_BINS && bin != 0; bin--) {
        memory_block *next;
        for (memory_block *block = heap->wholes.bins[bin]; block != NULL; block = next) {
            if (of->missing == 0 || ++tried > DONORS_TRIED) return TARN_OK;
            next = block->idle.lists[CACHING_LINK_WHOLE].next;
            if (!may_give(owner, block, of->segment->heap)) continue;
            tarn_status status = take_from(block, of);
            if (status != TARN_OK) return status;
        }
    }
    return TARN_OK;
}

/* Undoes what was collected. */
static void let_go(backing *of) {
    for (size_t i = of->count; i > of->missing; i--) {
        caching_physical *physical = of->moves[i - 1].physical;
        const caching_place *place = of->moves[i - 1].from;
        if (place != NULL) {
            caching_make_free(of->owner, place->segment, caching_place_index(place), 1);
        } else {
            physical->next_unused = of->owner->homeless;
            of->owner->homeless = physical;
        }
    }
    for (size_t i = 0; i < of->missing; i++) {
        if (of->moves[i].physical != NULL) caching_physical_destroy(of->owner, of->moves[i].physical);
    }
}

/* The structures of the granules that have to be made. */
static tarn_status describe_missing(backing *of) {
    for (size_t i = 0; i < of->missing; i++) {
        of->moves[i].physical = caching_physical_create(of->owner);
        if (of->moves[i].physical == NULL)
            return base_fail(TARN_OUT_OF_MEMORY, "no host memory for %zu granules", of->missing);
    }
    return TARN_OK;
}

static tarn_status collect(backing *of) {
    caching *owner = of->owner;
    caching_heap *heap = of->segment->heap;
    take_homeless(of);
    tarn_status status = take_from_heap(heap, of);
    for (caching_heap *other = owner->heaps; other != NULL && status == TARN_OK; other = other->next) {
        if (other != heap && of->missing != 0) status = take_from_heap(other, of);
    }
    return status == TARN_OK ? describe_missing(of) : status;
}

/* Taking it back leaves at most two more pieces for each run of places and for each old home, and one more for a moment. */
static size_t spares_to_take_back(const backing *of) {
    size_t runs = 0;
    for (size_t i = 0; i < of->count; i++) {
        runs += i == 0 || of->moves[i].to != of->moves[i - 1].to + 1;
        runs += of->moves[i].from != NULL;
    }
    return 2 * runs + 2;
}

/* Gives each move its place. */
static void number_moves(backing *of) {
    size_t number = 0;
    for (size_t i = of->first; i <= of->last; i++) {
        if (!caching_is_home(&of->segment->places[i])) of->moves[number++].to = i;
    }
}

/* Enters all that is about to be mapped. [begin, end) is the range. */
static tarn_status book(backing *of, size_t begin, size_t end) {
    caching *owner = of->owner;
    number_moves(of);
    size_t spares = spares_to_take_back(of);
    tarn_status status = caching_spares_reserve(owner, spares + 2);
    if (status != TARN_OK) return status;
    of->spares = caching_spares_lay_aside(owner, spares);
    /* Whole granules where nothing is at home. */
    size_t low = of->first << owner->granule_shift, high = (of->last + 1) << owner->granule_shift;
    if (!caching_is_home(&of->segment->places[of->first])) begin = low;
    if (!caching_is_home(&of->segment->places[of->last])) end = high;
    for (size_t i = 0; i < of->count; i++) {
        move *one = &of->moves[i];
        caching_place_attach(of->segment, one->to, one->physical);
        one->physical->home = &of->segment->places[one->to];
        of->handles[i] = one->physical->handle;
    }
    of->booked = caching_book(owner, of->segment, begin, end);
    return TARN_OK;
}

/* Where a granule cannot be at two places, it leaves the old one first: those that were taken together, together. Without the lock. */
static tarn_status unmap_old(backing *of) {
    if (of->owner->has_aliasing) return TARN_OK;
    for (size_t i = of->count; i > of->missing;) {
        const move *lowest = &of->moves[i - 1];
        size_t run = 1;
        if (lowest->from == NULL) {
            i--;
            continue;
        }
        while (i - run > of->missing && of->moves[i - run - 1].from == lowest->from + run) run++;
        tarn_status status = hal_virtual_unmap(of->owner->base.device, lowest->from_address, run);
        if (status != TARN_OK) return status;
        for (; run != 0; run--) of->moves[--i].is_at_from = false;
    }
    return TARN_OK;
}

/* Without the lock. */
static tarn_status create_missing(backing *of) {
    if (of->missing == 0) return TARN_OK;
    tarn_status status = hal_granules_create(of->owner->base.device, of->missing, of->handles);
    if (status != TARN_OK) return status;
    for (size_t i = 0; i < of->missing; i++) of->moves[i].is_created = true;
    return TARN_OK;
}

/* Without the lock. */
static tarn_status map_all(backing *of) {
    caching *owner = of->owner;
    for (size_t i = 0; i < of->count;) {
        size_t run = 1;
        while (i + run < of->count && of->moves[i + run].to == of->moves[i].to + run) run++;
        void *address = caching_place_address(owner, of->segment, of->moves[i].to);
        tarn_status status = hal_virtual_map(owner->base.device, address, run, &of->handles[i]);
        if (status != TARN_OK) return status;
        for (; run != 0; run--) of->moves[i++].is_mapped = true;
    }
    return TARN_OK;
}

/* After a failure: what is mapped nowhere. Without the lock. */
static void give_back(backing *of) {
    for (size_t i = of->count; i > 0; i--) {
        move *one = &of->moves[i - 1];
        if (!one->is_created || one->is_at_from || one->is_mapped) continue;
        one->is_given_back = hal_granules_release(of->owner->base.device, 1, &of->handles[i - 1]) == TARN_OK;
    }
}

static tarn_status ask_driver(backing *of) {
    tarn_status status = unmap_old(of);
    if (status == TARN_OK) status = create_missing(of);
    if (status == TARN_OK) status = map_all(of);
    if (status != TARN_OK) give_back(of);
    return status;
}

/* What the driver has made and kept. */
static void count_created(backing *of) {
    caching *owner = of->owner;
    size_t created = 0, given_back = 0;
    for (size_t i = 0; i < of->count; i++) {
        if (i < of->missing && of->moves[i].is_created) {
            of->moves[i].physical->handle = of->handles[i];
            created++;
        }
        if (of->moves[i].is_given_back) given_back++;
    }
    if (created != 0) memory_figure_add(&owner->reserved, created << owner->granule_shift);
    if (given_back != 0) memory_figure_subtract(&owner->reserved, given_back << owner->granule_shift);
}

/* A granule that came to its place. */
static void arrive(backing *of, const move *one) {
    caching_place *place = &of->segment->places[one->to];
    caching_place_note_free(place);
    if (one->to >= of->segment->mapped_count) of->segment->mapped_count = one->to + 1;
    if (one->from != NULL && !one->is_at_from) caching_place_detach(one->from);
}

/* A granule that did not. The range is FREE again. */
static void turn_back(backing *of, const move *one) {
    caching *owner = of->owner;
    caching_physical *physical = one->physical;
    caching_make_hollow(owner, of->segment, one->to, 1);
    caching_place_detach(&of->segment->places[one->to]);
    physical->home = NULL;
    if (one->is_at_from) {
        physical->home = one->from;
        caching_make_free(owner, one->from->segment, caching_place_index(one->from), 1);
        return;
    }
    if (one->from != NULL) caching_place_detach(one->from);
    if (one->is_created && !one->is_given_back) {
        physical->next_unused = owner->homeless;
        owner->homeless = physical;
    } else {
        caching_physical_destroy(owner, physical);
    }
}

/* Enters what the driver did. */
static void settle(backing *of) {
    caching_spares_put_back(of->owner, of->spares);
    count_created(of);
    for (size_t i = 0; i < of->count; i++)
        if (of->moves[i].is_mapped) arrive(of, &of->moves[i]);
    caching_unbook(of->owner, of->booked);
    for (size_t i = of->count; i > 0; i--)
        if (!of->moves[i - 1].is_mapped) turn_back(of, &of->moves[i - 1]);
}

static void hide_range(caching *owner, caching_segment *segment, size_t offset, size_t size, bool hide) {
    for (memory_block *block = caching_block_at(segment, offset);
         block != NULL && caching_offset(segment, block) < offset + size; block = block->neighbours.next) {
        if (block->kind != CACHING_FREE) continue;
        caching_hide(owner, block);
        if (!hide) caching_show(owner, block);
    }
}

/* Has the driver do what is booked. */
static tarn_status carry_out(backing *of) {
    caching_growth_open(of->owner);
    tarn_status status = ask_driver(of);
    caching_growth_close(of->owner);
    settle(of);
    return status;
}

/* Collects, books, and has the driver do what is left. The moves have no memory of their own yet. */
static tarn_status move_granules(backing *of, size_t offset, size_t size) {
    caching *owner = of->owner;
    /* What is FREE in the range must not be taken for it. */
    hide_range(owner, of->segment, offset, size, true);
    tarn_status status = collect(of);
    if (status == TARN_OK) status = book(of, offset, offset + size);
    if (status != TARN_OK) {
        let_go(of);
        hide_range(owner, of->segment, offset, size, false);
        return status;
    }
    status = carry_out(of);
    if (status == TARN_OK && of->missing != 0) caching_ahead_follow(of->segment->heap);
    return status;
}

/* Wakes what sleeps in the range and can. Returns how many granules are missing then. */
static size_t wake_range(caching *owner, caching_segment *segment, size_t first, size_t last) {
    uint32_t mark = ++owner->mark;
    for (size_t i = first; i <= last; i++) {
        caching_place *place = &segment->places[i];
        if (caching_is_home(place)) place->physical->mark = mark;
    }
    size_t missing = 0;
    for (size_t i = first; i <= last; i++) {
        caching_place *place = &segment->places[i];
        if (caching_is_home(place)) continue;
        if (place->physical != NULL && place->physical->mark != mark && caching_may_wake(place)) {
            place->physical->mark = mark;
            caching_wake(owner, place);
        } else {
            missing++;
        }
    }
    return missing;
}

tarn_status caching_back(caching_segment *segment, size_t offset, size_t size) {
    caching *owner = segment->heap->owner;
    backing of = {
        .owner = owner,
        .segment = segment,
        .first = caching_granule_floor(owner, offset),
        .last = caching_granule_floor(owner, offset + size - 1),
    };
    tarn_status status = caching_spares_reserve(owner, 8 + 2 * (of.last - of.first + 1));
    if (status != TARN_OK) return status;
    of.count = of.missing = wake_range(owner, segment, of.first, of.last);
    if (of.count == 0) return TARN_OK;
    of.moves = base_allocate(of.count, sizeof *of.moves);
    of.handles = base_allocate(of.count, sizeof *of.handles);
    if (of.moves == NULL || of.handles == NULL) {
        status = base_fail(TARN_OUT_OF_MEMORY, "no host memory for %zu granules", of.count);
    } else {
        status = move_granules(&of, offset, size);
    }
    base_free(of.handles);
    base_free(of.moves);
    caching_spares_trim(owner);
    return status;
}

tarn_status caching_back_new(caching_segment *segment, size_t index) {
    caching *owner = segment->heap->owner;
    size_t begin = index << owner->granule_shift;
    move only = {0};
    tarn_backend_granule handle = 0;
    backing of = {
        .owner = owner,
        .segment = segment,
        .first = index,
        .last = index,
        .moves = &only,
        .handles = &handle,
        .count = 1,
        .missing = 1,
    };
    tarn_status status = describe_missing(&of);
    if (status == TARN_OK) status = book(&of, begin, begin + owner->granule);
    if (status == TARN_OK) {
        status = carry_out(&of);
    } else {
        let_go(&of);
    }
    /* No stream has used it: it is idle. */
    if (status == TARN_OK) segment->places[index].freed_at = 0;
    caching_spares_trim(owner);
    return status;
}
