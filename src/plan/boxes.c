/* Boxes.
 *
 * Two boxes that live at the same time make one when they are stacked; two of one size, of which one begins where the other ends, make
 * one side by side. Neither wastes anything. A rectangle that was cut into buffers, again and again from side to side, is put together
 * again so. What fits by chance, where sizes and times are coarse, may be wrong, so that a plan of boxes is one plan of several.
 *
 * That two sizes agree is seldom chance, so boxes are put side by side first. Those of one life may have nothing to do with each
 * other: a stack of them is a guess at first, and is made when there is something of its size beside it; only when nothing else is left,
 * guesses are made without.
 *
 * Boxes are found by what they have in common with their partner, through tables of lists: by the time they live, by where they begin
 * and their size, by where they end and their size. A box that has become part of another leaves the lists when somebody comes by. */
#include "plan/boxes.h"

#include "base/memory.h"

/* Of the boxes that might be the neighbour, or live at the same time, so many are looked at. */
#define MOST_NEIGHBOURS 16
#define MOST_MATES 6
/* As many boxes as buffers are guesses, at the most. With the buffers and what is made of them, there are three for each buffer. */
#define BOXES_OF_BUFFER 3

typedef enum box_key {
    KEY_LIFE = 0, /* lower, upper */
    KEY_BEGIN,    /* lower, size */
    KEY_END,      /* upper, size */
    KEY_COUNT
} box_key;

typedef struct box_maker {
    plan_boxes *made;
    uint32_t mask;              /* of the tables */
    uint32_t *first[KEY_COUNT]; /* of each list, one more than its number; 0: none */
    uint32_t *next[KEY_COUNT];
    uint32_t *waiting; /* boxes to be looked at, the last first */
    uint32_t waiting_count;
    uint32_t guesses; /* that may still be made */
} box_maker;

static uint32_t place_of(const box_maker *maker, uint64_t a, uint64_t b) {
    uint64_t mixed = (a * 0x9e3779b97f4a7c15u ^ b) * 0xbf58476d1ce4e5b9u;
    return (uint32_t)(mixed >> 32) & maker->mask;
}

static uint32_t place_of_box(const box_maker *maker, box_key key, const plan_box *box) {
    if (key == KEY_LIFE) return place_of(maker, box->lower, box->upper);
    return place_of(maker, key == KEY_BEGIN ? box->lower : box->upper, box->size);
}

static bool has_key(const plan_box *box, box_key key, uint64_t a, uint64_t b) {
    if (key == KEY_LIFE) return box->lower == a && box->upper == b;
    return (key == KEY_BEGIN ? box->lower : box->upper) == a && box->size == b;
}

static void list(box_maker *maker, box_key key, uint32_t number) {
    uint32_t place = place_of_box(maker, key, &maker->made->boxes[number]);
    maker->next[key][number] = maker->first[key][place];
    maker->first[key][place] = number + 1;
}

/* A box that is no guess is in all lists, and is looked at soon. */
static void enter(box_maker *maker, uint32_t number) {
    for (box_key key = 0; key < KEY_COUNT; key++) list(maker, key, number);
    maker->waiting[maker->waiting_count++] = number;
}

/* Whether a box may become part of another: a guess, as long as its parts may. */
static bool is_free(const plan_box *boxes, uint32_t number) {
    const plan_box *box = &boxes[number];
    while (box->is_guess) {
        if (boxes[box->parts[1]].is_inside) return false;
        box = &boxes[box->parts[0]];
    }
    return !box->is_inside;
}

/* Writes boxes with the key to `out_found`, at most `most`; returns how many. */
static uint32_t find(box_maker *maker, box_key key, uint64_t a, uint64_t b, uint32_t most, uint32_t *out_found) {
    uint32_t *link = &maker->first[key][place_of(maker, a, b)], count = 0;
    while (*link != 0 && count < most) {
        uint32_t number = *link - 1;
        if (!is_free(maker->made->boxes, number)) {
            *link = maker->next[key][number];
            continue;
        }
        if (has_key(&maker->made->boxes[number], key, a, b)) out_found[count++] = number;
        link = &maker->next[key][number];
    }
    return count;
}

/* Makes what has been a guess. */
static void settle(plan_box *boxes, uint32_t number) {
    boxes[number].is_inside = true;
    while (boxes[number].is_guess) {
        boxes[number].is_guess = false;
        boxes[boxes[number].parts[1]].is_inside = true;
        number = boxes[number].parts[0];
        boxes[number].is_inside = true;
    }
}

/* Makes one box of two, and looks at it next. */
static void join(box_maker *maker, uint32_t first, uint32_t second, bool is_stack) {
    plan_box *boxes = maker->made->boxes, *a = &boxes[first], *b = &boxes[second];
    uint32_t number = maker->made->count++;
    settle(boxes, first);
    settle(boxes, second);
    boxes[number] = (plan_box){.lower = a->lower,
                               .upper = b->upper,
                               .size = is_stack ? a->size + b->size : a->size,
                               .parts = {first, second},
                               .is_stack = is_stack};
    enter(maker, number);
}

static bool lives(box_maker *maker, uint32_t lower, uint32_t upper) {
    uint32_t found;
    return find(maker, KEY_LIFE, lower, upper, 1, &found) != 0;
}

/* Puts a box beside one that begins where it ends. Where several might, only if `may_choose`: then best one with which it could
 * be stacked on a third. */
static bool put_before(box_maker *maker, uint32_t number, bool may_choose) {
    const plan_box *boxes = maker->made->boxes, *box = &boxes[number];
    uint32_t after[MOST_NEIGHBOURS], before[2];
    uint32_t count = find(maker, KEY_BEGIN, box->upper, box->size, MOST_NEIGHBOURS, after), chosen = 0;
    if (count == 0) return false;
    if (!may_choose && (count > 1 || find(maker, KEY_END, box->upper, box->size, 2, before) > 1)) return false;
    while (chosen < count && !lives(maker, box->lower, boxes[after[chosen]].upper)) chosen++;
    join(maker, number, after[chosen < count ? chosen : 0], false);
    return true;
}

static bool put_behind(box_maker *maker, uint32_t number, bool may_choose) {
    const plan_box *box = &maker->made->boxes[number];
    uint32_t before;
    return find(maker, KEY_END, box->lower, box->size, 1, &before) != 0 && put_before(maker, before, may_choose);
}

/* Guesses that two boxes of one life lie on each other; it is made at once where something of its size is beside it. The guess's number,
 * or PLAN_BOX_NONE where it was made, or when no more can be kept. */
static uint32_t guess(box_maker *maker, uint32_t first, uint32_t second) {
    plan_box *boxes = maker->made->boxes;
    if (maker->guesses == 0) return PLAN_BOX_NONE;
    maker->guesses--;
    uint32_t number = maker->made->count++;
    boxes[number] = (plan_box){.lower = boxes[first].lower,
                               .upper = boxes[first].upper,
                               .size = boxes[first].size + boxes[second].size,
                               .parts = {first, second},
                               .is_stack = true,
                               .is_guess = true};
    list(maker, KEY_BEGIN, number);
    list(maker, KEY_END, number);
    return put_before(maker, number, true) || put_behind(maker, number, true) ? PLAN_BOX_NONE : number;
}

/* Guesses that a box lies on each one of the same life, and on all of them. */
static void guess_stacks(box_maker *maker, uint32_t number) {
    const plan_box *box = &maker->made->boxes[number];
    uint32_t mates[MOST_MATES], all = number;
    uint32_t count = find(maker, KEY_LIFE, box->lower, box->upper, MOST_MATES, mates);
    for (uint32_t i = 0; i < count; i++) {
        if (mates[i] == number) continue;
        uint32_t pair = guess(maker, number, mates[i]);
        if (pair == PLAN_BOX_NONE) return;
        all = all == number ? pair : guess(maker, all, mates[i]);
        if (all == PLAN_BOX_NONE) return;
    }
}

static void join_waiting(box_maker *maker) {
    while (maker->waiting_count > 0) {
        uint32_t number = maker->waiting[--maker->waiting_count];
        if (maker->made->boxes[number].is_inside) continue;
        if (put_before(maker, number, false) || put_behind(maker, number, false)) continue;
        guess_stacks(maker, number);
    }
}

/* Stacks two of a life. */
static bool stack_any(box_maker *maker, uint32_t number) {
    const plan_box *box = &maker->made->boxes[number];
    uint32_t mates[2];
    if (find(maker, KEY_LIFE, box->lower, box->upper, 2, mates) < 2) return false;
    join(maker, mates[0], mates[1], true);
    return true;
}

static bool is_outer(const plan_box *box) { return !box->is_inside && !box->is_guess; }

static void join_all(box_maker *maker, uint32_t buffers) {
    const plan_boxes *made = maker->made;
    for (uint32_t i = buffers; i-- > 0;) enter(maker, i);
    join_waiting(maker);
    /* What is left has no partner, or several. */
    for (uint32_t i = 0; i < made->count; i++)
        if (is_outer(&made->boxes[i]) && put_before(maker, i, true)) join_waiting(maker);
    for (uint32_t i = 0; i < made->count; i++)
        if (is_outer(&made->boxes[i]) && stack_any(maker, i)) join_waiting(maker);
}

static bool make(plan_boxes *boxes, const plan_section *section) {
    size_t most = BOXES_OF_BUFFER * (size_t)section->count;
    box_maker maker = {.made = boxes, .mask = 1, .guesses = section->count};
    while (maker.mask < section->count) maker.mask *= 2;
    maker.waiting = base_allocate(2 * (size_t)section->count, sizeof *maker.waiting);
    bool has_memory = maker.waiting != NULL;
    for (box_key key = 0; key < KEY_COUNT && has_memory; key++) {
        maker.first[key] = base_allocate(maker.mask, sizeof *maker.first[key]);
        maker.next[key] = base_allocate(most, sizeof *maker.next[key]);
        has_memory = maker.first[key] != NULL && maker.next[key] != NULL;
    }
    maker.mask--;
    if (has_memory) join_all(&maker, section->count);
    base_free(maker.waiting);
    for (box_key key = 0; key < KEY_COUNT; key++) {
        base_free(maker.first[key]);
        base_free(maker.next[key]);
    }
    return has_memory;
}

/* Lists the boxes that are part of no other by where they begin, as the buffers of a section of their own. */
static bool list_outer(plan_boxes *boxes, const plan_section *section) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < boxes->count; i++) count += is_outer(&boxes->boxes[i]);
    boxes->box_of = base_allocate(count, sizeof *boxes->box_of);
    boxes->lower = base_allocate(count, sizeof *boxes->lower);
    boxes->upper = base_allocate(count, sizeof *boxes->upper);
    boxes->size = base_allocate(count, sizeof *boxes->size);
    boxes->alignment = base_allocate(count, sizeof *boxes->alignment);
    boxes->fixed = base_allocate(count, sizeof *boxes->fixed);
    plan_keyed *keyed = base_allocate(2 * (size_t)count, sizeof *keyed);
    if (boxes->box_of == NULL || boxes->lower == NULL || boxes->upper == NULL || boxes->size == NULL ||
        boxes->alignment == NULL || boxes->fixed == NULL || keyed == NULL) {
        base_free(keyed);
        return false;
    }
    uint32_t listed = 0;
    for (uint32_t i = 0; i < boxes->count; i++)
        if (is_outer(&boxes->boxes[i])) keyed[listed++] = (plan_keyed){boxes->boxes[i].lower, i};
    plan_sort(keyed, keyed + count, count);
    for (uint32_t i = 0; i < count; i++) {
        const plan_box *box = &boxes->boxes[keyed[i].item];
        boxes->box_of[i] = keyed[i].item;
        boxes->lower[i] = box->lower;
        boxes->upper[i] = box->upper;
        boxes->size[i] = box->size;
        boxes->alignment[i] = section->unit;
        boxes->fixed[i] = TARN_PLAN_ANYWHERE;
    }
    base_free(keyed);
    boxes->outer = *section;
    boxes->outer.count = count;
    boxes->outer.source = boxes->box_of;
    boxes->outer.lower = boxes->lower;
    boxes->outer.upper = boxes->upper;
    boxes->outer.size = boxes->size;
    boxes->outer.alignment = boxes->alignment;
    boxes->outer.fixed = boxes->fixed;
    return true;
}

bool plan_boxes_begin(plan_boxes *boxes, const plan_section *section) {
    *boxes = (plan_boxes){.count = section->count};
    boxes->boxes = base_allocate(BOXES_OF_BUFFER * (size_t)section->count, sizeof *boxes->boxes);
    if (boxes->boxes == NULL) return false;
    for (uint32_t i = 0; i < section->count; i++) {
        boxes->boxes[i] = (plan_box){.lower = section->lower[i],
                                     .upper = section->upper[i],
                                     .size = section->size[i],
                                     .parts = {PLAN_BOX_NONE, PLAN_BOX_NONE}};
    }
    if (make(boxes, section) && list_outer(boxes, section)) return true;
    plan_boxes_end(boxes);
    return false;
}

void plan_boxes_end(plan_boxes *boxes) {
    base_free(boxes->boxes);
    base_free(boxes->box_of);
    base_free(boxes->lower);
    base_free(boxes->upper);
    base_free(boxes->size);
    base_free(boxes->alignment);
    base_free(boxes->fixed);
    *boxes = (plan_boxes){0};
}

void plan_boxes_unpack(plan_boxes *boxes, const uint64_t *outer_offsets, uint64_t *out_offsets) {
    for (uint32_t i = 0; i < boxes->outer.count; i++) boxes->boxes[boxes->box_of[i]].offset = outer_offsets[i];
    /* A box comes after its parts. */
    for (uint32_t i = boxes->count; i-- > 0;) {
        const plan_box *box = &boxes->boxes[i];
        if (box->is_guess) continue;
        if (box->parts[0] == PLAN_BOX_NONE) {
            out_offsets[i] = box->offset;
            continue;
        }
        plan_box *first = &boxes->boxes[box->parts[0]], *second = &boxes->boxes[box->parts[1]];
        first->offset = box->offset;
        second->offset = box->offset + (box->is_stack ? first->size : 0);
    }
}
