/* Making dense arrays of what the caller gave: sorted, cut into sections, with slots for times.
 *
 * A slot begins with the first buffer that begins after another has ended. So no buffer ends within a slot except at its end, all that
 * live in it live together at the last moment at which one begins, and two share a slot if and only if they share a moment. */
#include "plan/problem.h"

#include <inttypes.h>

#include "base/checked.h"
#include "base/memory.h"
#include "base/status.h"
#include "plan/sort.h"

/* What a buffer needs for a while, with the caller's times. */
typedef struct span {
    int64_t lower, upper;
    uint64_t bottom, top;
} span;

/* What building needs, and nobody after it. */
typedef struct workshop {
    plan_keyed *order;                   /* the buffers that need a place, by region and then by when they begin */
    plan_keyed *begins, *ends, *scratch; /* when the pieces of a section begin and end */
    span *spans;                         /* of a buffer */
    uint32_t most_gaps;                  /* of a buffer that needs a place */
} workshop;

uint64_t plan_common_divisor(uint64_t a, uint64_t b) {
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* The spans of a buffer, at most 1 more than twice its gaps; only counted where `out_spans` is NULL. */
static uint32_t list_spans(const tarn_plan_buffer *buffer, span *out_spans) {
    uint32_t count = 0;
    int64_t since = buffer->lower;
    for (uint32_t i = 0; i <= buffer->gap_count; i++) {
        const tarn_plan_gap *gap = i < buffer->gap_count ? &buffer->gaps[i] : NULL;
        int64_t until = gap != NULL ? gap->lower : buffer->upper;
        if (since < until) {
            if (out_spans != NULL) out_spans[count] = (span){since, until, 0, buffer->size};
            count++;
        }
        if (gap == NULL) break;
        if (gap->window_lower < gap->window_upper) {
            if (out_spans != NULL)
                out_spans[count] = (span){gap->lower, gap->upper, gap->window_lower, gap->window_upper};
            count++;
        }
        since = gap->upper;
    }
    return buffer->size != 0 ? count : 0;
}

/* When a buffer needs something first and last; it has spans. */
static int64_t first_need(const tarn_plan_buffer *buffer) {
    int64_t lower = buffer->lower;
    for (uint32_t i = 0; i < buffer->gap_count && buffer->gaps[i].lower == lower; i++) {
        if (buffer->gaps[i].window_lower < buffer->gaps[i].window_upper) break;
        lower = buffer->gaps[i].upper;
    }
    return lower;
}

static int64_t last_need(const tarn_plan_buffer *buffer) {
    int64_t upper = buffer->upper;
    for (uint32_t i = buffer->gap_count; i > 0 && buffer->gaps[i - 1].upper == upper; i--) {
        if (buffer->gaps[i - 1].window_lower < buffer->gaps[i - 1].window_upper) break;
        upper = buffer->gaps[i - 1].lower;
    }
    return upper;
}

static uint32_t region_of(const plan_problem *problem, uint32_t number) {
    uint32_t low = 0, high = problem->region_count - 1;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (problem->regions[middle].number < number) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* Lists the regions in ascending order. */
static bool list_regions(plan_problem *problem, workshop *shop, const tarn_plan_buffer *buffers, size_t count) {
    uint32_t changes = 0;
    for (size_t i = 0; i < count; i++) {
        if (i != 0 && buffers[i].region == buffers[i - 1].region) continue;
        shop->order[changes++] = (plan_keyed){buffers[i].region, 0};
    }
    plan_sort(shop->order, shop->scratch, changes);
    problem->regions = base_allocate(changes, sizeof *problem->regions);
    if (problem->regions == NULL) return false;
    for (uint32_t i = 0; i < changes; i++) {
        if (i != 0 && shop->order[i].key == shop->order[i - 1].key) continue;
        problem->regions[problem->region_count++] = (plan_region){.number = (uint32_t)shop->order[i].key};
    }
    return true;
}

/* Works out each region's unit. */
static void find_units(plan_problem *problem, const tarn_plan_buffer *buffers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        plan_region *region = &problem->regions[region_of(problem, buffers[i].region)];
        uint64_t alignment = buffers[i].alignment > 1 && buffers[i].gap_count == 0 ? buffers[i].alignment : 1;
        if (buffers[i].size != 0) region->unit = plan_common_divisor(alignment, region->unit);
    }
    for (uint32_t i = 0; i < problem->region_count; i++)
        if (problem->regions[i].unit == 0) problem->regions[i].unit = 1;
}

/* How high the buffers of a region come to lie at the most: behind the highest fixed one, all others in a row. */
typedef struct extent {
    uint64_t sum, highest_fixed;
} extent;

static bool add_up(const tarn_plan_buffer *buffer, uint64_t unit, extent *so_far) {
    uint64_t limit = INT64_MAX, room = buffer->alignment > unit ? buffer->alignment : unit;
    if (buffer->size > limit || room > limit - buffer->size) return false;
    uint64_t needed = buffer->size + room - 1;
    if (buffer->fixed_offset == TARN_PLAN_ANYWHERE) {
        if (needed > limit - so_far->sum) return false;
        so_far->sum += needed;
        return true;
    }
    if (needed > limit - buffer->fixed_offset) return false;
    if (buffer->fixed_offset + needed > so_far->highest_fixed) so_far->highest_fixed = buffer->fixed_offset + needed;
    return true;
}

/* Sees to it that no sum that is made of sizes and offsets can overflow. */
static tarn_status check_extents(const plan_problem *problem, const tarn_plan_buffer *buffers, size_t count) {
    extent *extents = base_allocate(problem->region_count, sizeof *extents);
    if (extents == NULL) return base_fail(TARN_OUT_OF_MEMORY, "planning %zu buffers: no host memory", count);
    bool fits = true;
    for (size_t i = 0; i < count && fits; i++) {
        uint32_t region = region_of(problem, buffers[i].region);
        fits = buffers[i].size == 0 || add_up(&buffers[i], problem->regions[region].unit, &extents[region]);
    }
    uint64_t total = 0;
    for (uint32_t i = 0; i < problem->region_count && fits; i++) {
        total = saturating_add(total, saturating_add(extents[i].sum, extents[i].highest_fixed));
        fits = total <= INT64_MAX;
    }
    base_free(extents);
    if (fits) return TARN_OK;
    return base_fail(TARN_LIMIT_EXCEEDED, "the sizes of the %zu buffers of a plan, with their alignments, reach 2^63",
                     count);
}

/* Puts the buffers that need a place in order by region and time, and counts their pieces. The others are in nobody's way. */
static size_t order_buffers(plan_problem *problem, workshop *shop, const tarn_plan_buffer *buffers, size_t count) {
    size_t piece_count = 0;
    for (size_t i = 0; i < count; i++) {
        const tarn_plan_buffer *buffer = &buffers[i];
        uint32_t spans = list_spans(buffer, NULL);
        piece_count += spans;
        if (spans != 0) {
            if (buffer->gap_count > shop->most_gaps) shop->most_gaps = buffer->gap_count;
            shop->order[problem->count++] = (plan_keyed){plan_key_of_time(first_need(buffer)), (uint32_t)i};
        } else if (buffer->size != 0) {
            plan_region *region = &problem->regions[region_of(problem, buffer->region)];
            uint64_t offset = buffer->fixed_offset == TARN_PLAN_ANYWHERE ? 0 : buffer->fixed_offset;
            if (offset + buffer->size > region->resting_height) region->resting_height = offset + buffer->size;
        }
    }
    plan_sort(shop->order, shop->scratch, problem->count);
    if (problem->region_count > 1) {
        for (uint32_t i = 0; i < problem->count; i++) shop->order[i].key = buffers[shop->order[i].item].region;
        plan_sort(shop->order, shop->scratch, problem->count);
    }
    return piece_count;
}

/* Cuts where nothing that began before is needed any more. Only counts the sections where there is no room for them yet. */
static void cut_sections(plan_problem *problem, const workshop *shop, const tarn_plan_buffer *buffers) {
    problem->section_count = 0;
    int64_t latest = 0;
    for (uint32_t i = 0; i < problem->count; i++) {
        const tarn_plan_buffer *buffer = &buffers[shop->order[i].item];
        bool is_other_region = i == 0 || buffer->region != buffers[shop->order[i - 1].item].region;
        if (is_other_region || first_need(buffer) >= latest) {
            if (problem->sections != NULL) {
                plan_section *section = &problem->sections[problem->section_count];
                section->region = region_of(problem, buffer->region);
                section->source = problem->source + i;
                plan_region *region = &problem->regions[section->region];
                if (region->section_count++ == 0) region->first_section = problem->section_count;
            }
            problem->section_count++;
            latest = last_need(buffer);
        } else if (last_need(buffer) > latest) {
            latest = last_need(buffer);
        }
        if (problem->sections != NULL) problem->sections[problem->section_count - 1].count++;
    }
}

/* Writes the pieces of a buffer, and when they begin and end: the section's pieces begin with number `first`. Where no buffer has
 * gaps, its only piece is the buffer. */
static void fill_pieces(plan_problem *problem, workshop *shop, const tarn_plan_buffer *buffer, uint64_t unit,
                        uint32_t first, uint32_t *piece_count) {
    uint32_t spans = list_spans(buffer, shop->spans);
    for (uint32_t j = 0; j < spans; j++) {
        const span *needed = &shop->spans[j];
        uint32_t piece = (*piece_count)++;
        shop->begins[piece - first] = (plan_keyed){plan_key_of_time(needed->lower), piece};
        shop->ends[piece - first] = (plan_keyed){plan_key_of_time(needed->upper), piece};
        if (problem->pieces == NULL) continue;
        problem->pieces[piece].bottom = needed->bottom;
        problem->pieces[piece].top = (needed->top + unit - 1) / unit * unit;
    }
}

/* Writes the buffers of a section, and their pieces. */
static void fill_buffers(plan_problem *problem, workshop *shop, plan_section *section, const tarn_plan_buffer *buffers,
                         uint32_t *piece_count) {
    uint32_t begin = (uint32_t)(section->source - problem->source), first_piece = *piece_count;
    uint64_t unit = problem->regions[section->region].unit;
    bool has_gaps = false;
    for (uint32_t i = begin; i < begin + section->count; i++) {
        const tarn_plan_buffer *buffer = &buffers[shop->order[i].item];
        problem->source[i] = shop->order[i].item;
        problem->size[i] = (buffer->size + unit - 1) / unit * unit;
        problem->alignment[i] = buffer->alignment > 1 ? buffer->alignment : 1;
        problem->fixed[i] = buffer->fixed_offset;
        if (problem->pieces != NULL) problem->first_piece[i] = *piece_count;
        fill_pieces(problem, shop, buffer, unit, first_piece, piece_count);
        has_gaps = has_gaps || buffer->gap_count != 0;
        section->has_alignment = section->has_alignment || problem->alignment[i] > unit;
        section->has_fixed = section->has_fixed || problem->fixed[i] != TARN_PLAN_ANYWHERE;
    }
    if (problem->pieces != NULL) problem->first_piece[begin + section->count] = *piece_count;
    section->lower = problem->lower + begin;
    section->upper = problem->upper + begin;
    section->size = problem->size + begin;
    section->alignment = problem->alignment + begin;
    section->fixed = problem->fixed + begin;
    section->first_piece = has_gaps ? problem->first_piece + begin : NULL;
    section->pieces = problem->pieces;
    section->unit = unit;
}

/* The lower and upper slots of all pieces. */
static uint32_t *lower_of(plan_problem *problem, uint32_t piece) {
    return problem->pieces != NULL ? &problem->pieces[piece].lower : &problem->lower[piece];
}

static uint32_t *upper_of(plan_problem *problem, uint32_t piece) {
    return problem->pieces != NULL ? &problem->pieces[piece].upper : &problem->upper[piece];
}

/* Numbers the slots of a section, which has `count` pieces. */
static void number_slots(plan_problem *problem, workshop *shop, plan_section *section, uint32_t count) {
    plan_sort(shop->begins, shop->scratch, count);
    plan_sort(shop->ends, shop->scratch, count);
    uint32_t slots = 0, ended = 0;
    bool is_slot_over = true;
    for (uint32_t begun = 0; begun < count; begun++) {
        for (; shop->ends[ended].key <= shop->begins[begun].key; ended++) {
            *upper_of(problem, shop->ends[ended].item) = slots;
            is_slot_over = true;
        }
        slots += is_slot_over;
        is_slot_over = false;
        *lower_of(problem, shop->begins[begun].item) = slots - 1;
    }
    for (; ended < count; ended++) *upper_of(problem, shop->ends[ended].item) = slots;
    section->slot_count = slots;
    uint32_t first = (uint32_t)(section->source - problem->source);
    for (uint32_t i = first; i < first + section->count && problem->pieces != NULL; i++) {
        problem->lower[i] = problem->pieces[problem->first_piece[i]].lower;
        problem->upper[i] = problem->pieces[problem->first_piece[i + 1] - 1].upper;
    }
}

/* `capacity` is that of the workshop's scratch. Pieces are for problems that have gaps. */
static bool open_workshop(workshop *shop, plan_problem *problem, size_t capacity, size_t piece_count) {
    size_t count = problem->count;
    bool has_gaps = shop->most_gaps != 0;
    shop->begins = base_allocate(piece_count, sizeof *shop->begins);
    shop->ends = base_allocate(piece_count, sizeof *shop->ends);
    shop->spans = base_allocate(2 * (size_t)shop->most_gaps + 1, sizeof *shop->spans);
    if (piece_count > capacity) {
        base_free(shop->scratch);
        shop->scratch = base_allocate(piece_count, sizeof *shop->scratch);
    }
    problem->sections = base_allocate(problem->section_count, sizeof *problem->sections);
    problem->source = base_allocate(count, sizeof *problem->source);
    problem->lower = base_allocate(count, sizeof *problem->lower);
    problem->upper = base_allocate(count, sizeof *problem->upper);
    if (has_gaps) problem->first_piece = base_allocate(count + 1, sizeof *problem->first_piece);
    problem->size = base_allocate(count, sizeof *problem->size);
    problem->alignment = base_allocate(count, sizeof *problem->alignment);
    problem->fixed = base_allocate(count, sizeof *problem->fixed);
    if (has_gaps) problem->pieces = base_allocate(piece_count, sizeof *problem->pieces);
    return shop->begins != NULL && shop->ends != NULL && shop->spans != NULL && shop->scratch != NULL &&
           problem->sections != NULL && problem->source != NULL && problem->lower != NULL && problem->upper != NULL &&
           problem->size != NULL && problem->alignment != NULL && problem->fixed != NULL &&
           (!has_gaps || (problem->first_piece != NULL && problem->pieces != NULL));
}

static void close_workshop(workshop *shop) {
    base_free(shop->order);
    base_free(shop->begins);
    base_free(shop->ends);
    base_free(shop->scratch);
    base_free(shop->spans);
    *shop = (workshop){0};
}

tarn_status plan_problem_begin(plan_problem *problem, const tarn_plan_buffer *buffers, size_t count) {
    workshop shop = {0};
    *problem = (plan_problem){0};
    tarn_status status = base_fail(TARN_OUT_OF_MEMORY, "planning %zu buffers: no host memory for them", count);
    shop.order = base_allocate(count, sizeof *shop.order);
    shop.scratch = base_allocate(count, sizeof *shop.scratch);
    if (shop.order == NULL || shop.scratch == NULL || !list_regions(problem, &shop, buffers, count)) goto fail;
    find_units(problem, buffers, count);
    status = check_extents(problem, buffers, count);
    if (status != TARN_OK) goto fail;
    size_t piece_count = order_buffers(problem, &shop, buffers, count);
    status = TARN_LIMIT_EXCEEDED;
    if (piece_count >= UINT32_MAX) {
        base_fail(status, "a plan of %zu buffers has %zu times between gaps; 2^32 are possible", count, piece_count);
        goto fail;
    }
    cut_sections(problem, &shop, buffers);
    status = TARN_OUT_OF_MEMORY;
    if (!open_workshop(&shop, problem, count, piece_count)) {
        base_fail(status, "planning %zu buffers: no host memory for their lifetimes", count);
        goto fail;
    }
    cut_sections(problem, &shop, buffers);
    uint32_t filled = 0;
    for (uint32_t i = 0; i < problem->section_count; i++) {
        uint32_t begin = filled;
        fill_buffers(problem, &shop, &problem->sections[i], buffers, &filled);
        number_slots(problem, &shop, &problem->sections[i], filled - begin);
    }
    close_workshop(&shop);
    status = plan_problem_bound(problem, buffers);
    if (status == TARN_OK) return TARN_OK;
fail:
    close_workshop(&shop);
    plan_problem_end(problem);
    return status;
}

void plan_problem_end(plan_problem *problem) {
    base_free(problem->regions);
    base_free(problem->sections);
    base_free(problem->source);
    base_free(problem->lower);
    base_free(problem->upper);
    base_free(problem->first_piece);
    base_free(problem->size);
    base_free(problem->alignment);
    base_free(problem->fixed);
    base_free(problem->pieces);
    *problem = (plan_problem){0};
}
