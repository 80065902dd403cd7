/* Filling notches.
 *
 * The skyline is the upper end of what has been placed, slot by slot. Its lowest stretch is a notch between two walls. What goes into it has to
 * live between the walls, and the slot of the notch in which most bytes still wait decides: of the buffers that live in it, the one that fills most of the
 * notch is placed there, so that narrow rests are left for short lives, of which there are many. If there is none, all that
 * waits for that slot lives beyond a wall; the notch is lost up to its lower wall. Where the load is highest, hardly anything is lost so.
 *
 * What fills most is a matter of weights: lives of equal length are not equal if one fills slots where more is at stake. Other
 * weights, other plans. */
#include "plan/notches.h"

#include <inttypes.h>

#include "base/memory.h"
#include "base/status.h"

#define NO_STRETCH UINT32_MAX
#define STEPS_BETWEEN_LOOKS 1024

/* The first slot from `slot` on that has no floor yet; `next` leads there, by shorter ways each time. */
static uint32_t find_bare(uint32_t *next, uint32_t slot) {
    while (next[slot] != slot) {
        next[slot] = next[next[slot]];
        slot = next[slot];
    }
    return slot;
}

/* Writes the floor, the highest end of a fixed buffer in each slot: from the highest buffer down, each slot gets the first that comes.
 * False without host memory. */
static bool measure_floor(plan_notches *skyline, plan_keyed *keyed, plan_keyed *scratch) {
    const plan_section *section = skyline->section;
    uint32_t *next = base_allocate((size_t)section->slot_count + 1, sizeof *next), count = 0;
    if (next == NULL) return false;
    for (uint32_t slot = 0; slot <= section->slot_count; slot++) next[slot] = slot;
    for (uint32_t i = 0; i < section->count; i++) {
        if (section->fixed[i] == TARN_PLAN_ANYWHERE) continue;
        keyed[count++] = (plan_keyed){UINT64_MAX - (section->fixed[i] + section->size[i]), i};
    }
    plan_sort(keyed, scratch, count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t buffer = keyed[i].item, slot = find_bare(next, section->lower[buffer]);
        for (; slot < section->upper[buffer]; slot = find_bare(next, slot)) {
            skyline->floor[slot] = UINT64_MAX - keyed[i].key;
            next[slot] = slot + 1;
        }
    }
    base_free(next);
    return true;
}

/* Writes the load of the buffers that are not fixed, and counts the stretches of the floor. */
static void measure_load(plan_notches *skyline) {
    const plan_section *section = skyline->section;
    uint64_t *load = skyline->load;
    for (uint32_t i = 0; i < section->count; i++) {
        if (section->fixed[i] != TARN_PLAN_ANYWHERE) continue;
        load[section->lower[i]] += section->size[i];
        if (section->upper[i] < section->slot_count) load[section->upper[i]] -= section->size[i];
    }
    skyline->floor_count = 1;
    for (uint32_t slot = 1; slot < section->slot_count; slot++) {
        load[slot] += load[slot - 1];
        skyline->floor_count += skyline->floor[slot] != skyline->floor[slot - 1];
    }
}

tarn_status plan_notches_begin(plan_notches *skyline, const plan_section *section, plan_keyed *keyed,
                               plan_keyed *scratch) {
    *skyline = (plan_notches){.section = section};
    skyline->floor = base_allocate(section->slot_count, sizeof *skyline->floor);
    skyline->load = base_allocate(section->slot_count, sizeof *skyline->load);
    if (skyline->floor == NULL || skyline->load == NULL) goto fail;
    if (section->has_fixed && !measure_floor(skyline, keyed, scratch)) goto fail;
    measure_load(skyline);
    /* A buffer adds two stretches at most and puts three in the heap; and each time that a notch is lost, a stretch goes and one is
     * put in the heap. */
    size_t stretches = skyline->floor_count + 2 * (size_t)section->count;
    skyline->stretches = base_allocate(stretches, sizeof *skyline->stretches);
    skyline->heap = base_allocate(2 * stretches + section->count, sizeof *skyline->heap);
    if (skyline->stretches == NULL || skyline->heap == NULL) goto fail;
    if (!plan_tide_begin(&skyline->rest, section->slot_count)) goto fail;
    if (plan_candidates_begin(&skyline->candidates, section, keyed, scratch)) return TARN_OK;
fail:
    plan_notches_end(skyline);
    return base_fail(TARN_OUT_OF_MEMORY, "planning %" PRIu32 " buffers: no host memory for their skyline",
                     section->count);
}

void plan_notches_end(plan_notches *skyline) {
    base_free(skyline->floor);
    base_free(skyline->load);
    base_free(skyline->stretches);
    base_free(skyline->heap);
    plan_tide_end(&skyline->rest);
    plan_candidates_end(&skyline->candidates);
    *skyline = (plan_notches){0};
}

/* Heap order: the lowest first, of equal ones the earliest, so that nothing depends on how the heap came about. */
static bool goes_before(const plan_notches *skyline, plan_waiting a, plan_waiting b) {
    if (a.height != b.height) return a.height < b.height;
    return skyline->stretches[a.stretch].lower < skyline->stretches[b.stretch].lower;
}

static void push(plan_notches *skyline, uint32_t stretch) {
    plan_waiting mine = {skyline->stretches[stretch].height, stretch};
    uint32_t place = skyline->heap_count++;
    for (; place > 0 && goes_before(skyline, mine, skyline->heap[(place - 1) / 2]); place = (place - 1) / 2)
        skyline->heap[place] = skyline->heap[(place - 1) / 2];
    skyline->heap[place] = mine;
}

static plan_waiting pop(plan_notches *skyline) {
    plan_waiting first = skyline->heap[0], last = skyline->heap[--skyline->heap_count];
    size_t place = 0, child;
    while ((child = 2 * place + 1) < skyline->heap_count) {
        if (child + 1 < skyline->heap_count && goes_before(skyline, skyline->heap[child + 1], skyline->heap[child]))
            child++;
        if (!goes_before(skyline, skyline->heap[child], last)) break;
        skyline->heap[place] = skyline->heap[child];
        place = child;
    }
    skyline->heap[place] = last;
    return first;
}

static uint32_t add_stretch(plan_notches *skyline, plan_stretch stretch) {
    uint32_t number = skyline->gone;
    if (number != NO_STRETCH) skyline->gone = skyline->stretches[number].next;
    else number = skyline->stretch_count++;
    skyline->stretches[number] = stretch;
    if (stretch.previous != NO_STRETCH) skyline->stretches[stretch.previous].next = number;
    if (stretch.next != NO_STRETCH) skyline->stretches[stretch.next].previous = number;
    return number;
}

static void remove_stretch(plan_notches *skyline, uint32_t number) {
    plan_stretch *gone = &skyline->stretches[number];
    if (gone->previous != NO_STRETCH) skyline->stretches[gone->previous].next = gone->next;
    if (gone->next != NO_STRETCH) skyline->stretches[gone->next].previous = gone->previous;
    gone->upper = gone->lower;
    gone->next = skyline->gone;
    skyline->gone = number;
}

static uint64_t height_of(const plan_notches *skyline, uint32_t stretch) {
    return stretch == NO_STRETCH ? UINT64_MAX : skyline->stretches[stretch].height;
}

/* Makes one of a stretch and its neighbours of the same height, and puts it in the heap. */
static void settle(plan_notches *skyline, uint32_t number) {
    plan_stretch *stretch = &skyline->stretches[number];
    if (height_of(skyline, stretch->previous) == stretch->height) {
        stretch->lower = skyline->stretches[stretch->previous].lower;
        remove_stretch(skyline, stretch->previous);
    }
    if (height_of(skyline, stretch->next) == stretch->height) {
        stretch->upper = skyline->stretches[stretch->next].upper;
        remove_stretch(skyline, stretch->next);
    }
    push(skyline, number);
}

/* The notch cannot be used: its floor rises to its lower wall. */
static void lose(plan_notches *skyline, uint32_t number) {
    plan_stretch *notch = &skyline->stretches[number];
    uint64_t left = height_of(skyline, notch->previous), right = height_of(skyline, notch->next);
    notch->height = left < right ? left : right;
    settle(skyline, number);
}

/* Puts a buffer that ends at `top` into a notch, of which there remains what is before and behind it. */
static void raise_over(plan_notches *skyline, uint32_t number, uint32_t lower, uint32_t upper, uint64_t top) {
    plan_stretch notch = skyline->stretches[number];
    if (upper < notch.upper) {
        plan_stretch behind = {upper, notch.upper, number, notch.next, notch.height};
        push(skyline, add_stretch(skyline, behind));
    }
    if (notch.lower < lower) {
        plan_stretch before = {notch.lower, lower, notch.previous, number, notch.height};
        push(skyline, add_stretch(skyline, before));
    }
    skyline->stretches[number].lower = lower;
    skyline->stretches[number].upper = upper;
    skyline->stretches[number].height = top;
    settle(skyline, number);
}

/* The skyline before anything is placed: the floor. */
static void lay_floor(plan_notches *skyline, uint64_t *offsets, uint64_t *out_height) {
    const plan_section *section = skyline->section;
    skyline->stretch_count = skyline->heap_count = 0;
    skyline->gone = NO_STRETCH;
    *out_height = 0;
    for (uint32_t slot = 0; slot < section->slot_count; slot++) {
        uint64_t height = skyline->floor[slot];
        if (height > *out_height) *out_height = height;
        if (slot > 0 && height == skyline->floor[slot - 1]) {
            skyline->stretches[skyline->stretch_count - 1].upper = slot + 1;
            continue;
        }
        uint32_t previous = slot == 0 ? NO_STRETCH : skyline->stretch_count - 1;
        add_stretch(skyline, (plan_stretch){slot, slot + 1, previous, NO_STRETCH, height});
    }
    for (uint32_t i = 0; i < skyline->stretch_count; i++) push(skyline, i);
    for (uint32_t i = 0; i < section->count && section->has_fixed; i++)
        if (section->fixed[i] != TARN_PLAN_ANYWHERE) offsets[i] = section->fixed[i];
    plan_tide_set(&skyline->rest, skyline->load);
    plan_candidates_reset(&skyline->candidates);
}

bool plan_notches_fill(plan_notches *skyline, const uint64_t *weights, bool by_size, uint64_t limit, plan_watch *watch,
                       uint64_t *offsets, uint64_t *out_height) {
    const plan_section *section = skyline->section;
    uint64_t height, rest;
    lay_floor(skyline, offsets, &height);
    for (uint32_t step = 1; skyline->heap_count != 0; step++) {
        if (watch != NULL && step % STEPS_BETWEEN_LOOKS == 0 && plan_watch_is_over(watch)) return false;
        plan_waiting lowest = pop(skyline);
        plan_stretch notch = skyline->stretches[lowest.stretch];
        if (notch.lower == notch.upper || notch.height != lowest.height) continue;
        uint32_t slot = plan_tide_highest(&skyline->rest, notch.lower, notch.upper, &rest);
        if (rest > limit || notch.height > limit - rest) return false;
        uint32_t buffer = PLAN_NOBODY;
        if (rest != 0)
            buffer = plan_candidates_find(&skyline->candidates, notch.lower, notch.upper, slot, weights, by_size);
        if (buffer == PLAN_NOBODY) {
            if (notch.previous != NO_STRETCH || notch.next != NO_STRETCH) lose(skyline, lowest.stretch);
            continue;
        }
        uint64_t alignment = section->alignment[buffer];
        uint64_t offset = (notch.height + alignment - 1) / alignment * alignment;
        uint64_t top = offset + section->size[buffer];
        if (top > height) height = top;
        if (height > limit) return false;
        offsets[buffer] = offset;
        plan_candidates_take(&skyline->candidates, buffer);
        plan_tide_lower(&skyline->rest, section->lower[buffer], section->upper[buffer], section->size[buffer]);
        raise_over(skyline, lowest.stretch, section->lower[buffer], section->upper[buffer], top);
    }
    *out_height = height;
    return true;
}
