/* The verifier: whether offsets are a plan.
 *
 * It goes through time with the set of byte ranges that are in use, ordered by where they begin. As long as no two of them overlap, a new
 * one overlaps any if it overlaps the one before or the one behind it in this order. The order of all ranges is known beforehand, so
 * the set is a bit for each, with a bit for each 64 of those above it, and so on.
 *
 * It has nothing in common with the solvers, not even the sorting, so that no mistake can be made on both sides. */
#include "plan/check.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "plan/problem.h"

#define WORD_BITS 64
#define MAXIMUM_LEVELS 7 /* 64^7 is more than can be counted */
#define NONE SIZE_MAX

/* Bytes [bottom, top) that a buffer needs during [lower, upper). */
typedef struct part {
    int64_t lower, upper;
    uint64_t bottom, top;
    size_t buffer;
    uint32_t region;
} part;

/* A part's end or begin. Which it is comes first, in one number with the part's: what ends makes room for what begins. */
typedef struct event {
    int64_t time;
    uint64_t part;
} event;

#define IS_BEGIN ((uint64_t)1 << 63)

/* A set of the numbers below a limit. */
typedef struct number_set {
    uint64_t *words; /* of all levels, the lowest first */
    uint64_t *levels[MAXIMUM_LEVELS];
    size_t sizes[MAXIMUM_LEVELS]; /* in words */
    unsigned level_count;
} number_set;

static bool begin_set(number_set *set, size_t limit) {
    size_t total = 0, words = limit;
    set->level_count = 0;
    do {
        words = (words + WORD_BITS - 1) / WORD_BITS;
        if (words == 0) words = 1;
        set->sizes[set->level_count++] = words;
        total += words;
    } while (words > 1);
    set->words = base_allocate(total, sizeof *set->words);
    if (set->words == NULL) return false;
    uint64_t *next = set->words;
    for (unsigned level = 0; level < set->level_count; level++) {
        set->levels[level] = next;
        next += set->sizes[level];
    }
    return true;
}

static void add_number(number_set *set, size_t number) {
    for (unsigned level = 0; level < set->level_count; level++, number /= WORD_BITS)
        set->levels[level][number / WORD_BITS] |= (uint64_t)1 << (number % WORD_BITS);
}

static void remove_number(number_set *set, size_t number) {
    for (unsigned level = 0; level < set->level_count; level++, number /= WORD_BITS) {
        uint64_t *word = &set->levels[level][number / WORD_BITS];
        *word &= ~((uint64_t)1 << (number % WORD_BITS));
        if (*word != 0) return;
    }
}

/* Goes down from a word of a level to the lowest, or the highest, number below it. */
static size_t descend(const number_set *set, unsigned level, size_t number, bool to_highest) {
    while (level-- > 0) {
        uint64_t word = set->levels[level][number];
        unsigned bit = to_highest ? WORD_BITS - 1 - (unsigned)__builtin_clzll(word) : (unsigned)__builtin_ctzll(word);
        number = number * WORD_BITS + bit;
    }
    return number;
}

static size_t number_above(const number_set *set, size_t number) {
    for (unsigned level = 0; level < set->level_count; level++, number /= WORD_BITS) {
        unsigned bit = number % WORD_BITS;
        uint64_t above = bit == WORD_BITS - 1 ? 0 : set->levels[level][number / WORD_BITS] & (~(uint64_t)1 << bit);
        if (above != 0) {
            return descend(set, level, number / WORD_BITS * WORD_BITS + (unsigned)__builtin_ctzll(above), false);
        }
    }
    return NONE;
}

static size_t number_below(const number_set *set, size_t number) {
    for (unsigned level = 0; level < set->level_count; level++, number /= WORD_BITS) {
        unsigned bit = number % WORD_BITS;
        uint64_t below = set->levels[level][number / WORD_BITS] & (((uint64_t)1 << bit) - 1);
        if (below != 0) {
            size_t highest = WORD_BITS - 1 - (unsigned)__builtin_clzll(below);
            return descend(set, level, number / WORD_BITS * WORD_BITS + highest, true);
        }
    }
    return NONE;
}

/* By region, then by where they begin. */
static int compare_bottoms(const void *left, const void *right) {
    const part *a = left, *b = right;
    if (a->region != b->region) return a->region < b->region ? -1 : 1;
    if (a->bottom != b->bottom) return a->bottom < b->bottom ? -1 : 1;
    return a->buffer < b->buffer ? -1 : a->buffer > b->buffer;
}

static int compare_events(const void *left, const void *right) {
    const event *a = left, *b = right;
    if (a->time != b->time) return a->time < b->time ? -1 : 1;
    return a->part < b->part ? -1 : a->part > b->part;
}

/* Writes a buffer's parts, at most 1 more than twice its gaps, to `out_parts` (or only counts them where it is NULL). */
static size_t list_parts(const tarn_plan_buffer *buffer, size_t index, uint64_t offset, part *out_parts) {
    size_t count = 0;
    if (buffer->size == 0) return 0;
    part whole = {.bottom = offset, .top = offset + buffer->size, .buffer = index, .region = buffer->region};
    int64_t since = buffer->lower;
    for (uint32_t i = 0; i <= buffer->gap_count; i++) {
        const tarn_plan_gap *gap = i < buffer->gap_count ? &buffer->gaps[i] : NULL;
        int64_t until = gap != NULL ? gap->lower : buffer->upper;
        if (since < until) {
            if (out_parts != NULL) {
                out_parts[count] = whole;
                out_parts[count].lower = since;
                out_parts[count].upper = until;
            }
            count++;
        }
        if (gap == NULL) break;
        if (gap->window_lower < gap->window_upper) {
            if (out_parts != NULL) {
                out_parts[count] = (part){.lower = gap->lower,
                                          .upper = gap->upper,
                                          .bottom = offset + gap->window_lower,
                                          .top = offset + gap->window_upper,
                                          .buffer = index,
                                          .region = buffer->region};
            }
            count++;
        }
        since = gap->upper;
    }
    return count;
}

static tarn_status refuse_overlap(const part *a, const part *b, const part *begins) {
    const part *first = a->buffer < b->buffer ? a : b, *second = first == a ? b : a;
    return base_fail(TARN_INVALID_ARGUMENT,
                     "buffers %zu and %zu overlap at time %" PRId64 ": one has the bytes [%" PRIu64 ", %" PRIu64
                     "), the other [%" PRIu64 ", %" PRIu64 ")",
                     first->buffer, second->buffer, begins->lower, first->bottom, first->top, second->bottom,
                     second->top);
}

/* `parts` are in order of where they begin. */
static tarn_status sweep(const part *parts, const event *events, size_t event_count, number_set *in_use) {
    for (size_t i = 0; i < event_count; i++) {
        size_t number = events[i].part & ~IS_BEGIN;
        if ((events[i].part & IS_BEGIN) == 0) {
            remove_number(in_use, number);
            continue;
        }
        const part *begins = &parts[number];
        size_t below = number_below(in_use, number), above = number_above(in_use, number);
        if (below != NONE && parts[below].top > begins->bottom) return refuse_overlap(begins, &parts[below], begins);
        if (above != NONE && parts[above].bottom < begins->top) return refuse_overlap(begins, &parts[above], begins);
        add_number(in_use, number);
    }
    return TARN_OK;
}

/* `parts` are in order by region, and of where they begin. */
static tarn_status sweep_regions(const part *parts, size_t count, number_set *in_use) {
    tarn_status status = TARN_OK;
    for (size_t begin = 0, end; begin < count && status == TARN_OK; begin = end) {
        for (end = begin; end < count && parts[end].region == parts[begin].region;) end++;
        event *events = base_allocate(end - begin, 2 * sizeof *events);
        if (events == NULL) return base_fail(TARN_OUT_OF_MEMORY, "checking a plan of %zu parts: no host memory", count);
        for (size_t i = begin; i < end; i++) {
            events[2 * (i - begin)] = (event){.time = parts[i].lower, .part = i | IS_BEGIN};
            events[2 * (i - begin) + 1] = (event){.time = parts[i].upper, .part = i};
        }
        qsort(events, 2 * (end - begin), sizeof *events, compare_events);
        status = sweep(parts, events, 2 * (end - begin), in_use);
        base_free(events);
    }
    return status;
}

tarn_status plan_check_apart(const tarn_plan_buffer *buffers, const uint32_t *indices, const uint64_t *offsets,
                             size_t count) {
    size_t part_count = 0;
    for (size_t i = 0; i < count; i++) {
        size_t index = indices != NULL ? indices[i] : i;
        part_count += list_parts(&buffers[index], index, offsets[i], NULL);
    }
    part *parts = base_allocate(part_count, sizeof *parts);
    number_set in_use = {0};
    tarn_status status;
    if (parts == NULL || !begin_set(&in_use, part_count)) {
        status = base_fail(TARN_OUT_OF_MEMORY, "checking a plan of %zu buffers: no host memory", count);
    } else {
        size_t listed = 0;
        for (size_t i = 0; i < count; i++) {
            size_t index = indices != NULL ? indices[i] : i;
            listed += list_parts(&buffers[index], index, offsets[i], &parts[listed]);
        }
        qsort(parts, part_count, sizeof *parts, compare_bottoms);
        status = sweep_regions(parts, part_count, &in_use);
    }
    base_free(in_use.words);
    base_free(parts);
    return status;
}

static tarn_status check_buffer(const tarn_plan_buffer *buffer, size_t index, uint64_t offset, uint64_t capacity) {
    if (buffer->fixed_offset != TARN_PLAN_ANYWHERE && offset != buffer->fixed_offset) {
        return base_fail(TARN_INVALID_ARGUMENT, "buffer %zu is at %" PRIu64 ", not at its fixed offset %" PRIu64, index,
                         offset, buffer->fixed_offset);
    }
    if (buffer->alignment > 1 && offset % buffer->alignment != 0) {
        return base_fail(TARN_INVALID_ARGUMENT,
                         "buffer %zu is at %" PRIu64 ", which is no multiple of its alignment %" PRIu64, index, offset,
                         buffer->alignment);
    }
    if (buffer->size == 0) return TARN_OK;
    if (buffer->size > INT64_MAX || offset > INT64_MAX - buffer->size) {
        return base_fail(TARN_INVALID_ARGUMENT, "buffer %zu of %" PRIu64 " bytes at %" PRIu64 " ends at 2^63 or beyond",
                         index, buffer->size, offset);
    }
    if (offset + buffer->size > capacity) {
        return base_fail(TARN_INVALID_ARGUMENT,
                         "buffer %zu ends at %" PRIu64 ", beyond the %" PRIu64 " bytes of region %" PRIu32, index,
                         offset + buffer->size, capacity, buffer->region);
    }
    return TARN_OK;
}

tarn_status tarn_plan_check(const tarn_plan_buffer *buffers, size_t count, const uint64_t *capacities,
                            uint32_t region_count, const uint64_t *offsets) {
    tarn_status status = plan_problem_validate(buffers, count);
    if (status != TARN_OK) return status;
    if (offsets == NULL && count != 0) return base_fail(TARN_INVALID_ARGUMENT, "the offsets of a plan are NULL");
    for (size_t i = 0; i < count; i++) {
        uint32_t region = buffers[i].region;
        uint64_t capacity = capacities != NULL && region < region_count ? capacities[region] : UINT64_MAX;
        status = check_buffer(&buffers[i], i, offsets[i], capacity);
        if (status != TARN_OK) return status;
    }
    return plan_check_apart(buffers, NULL, offsets, count);
}
