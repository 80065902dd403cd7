/* The ground.
 *
 * To find a place for a buffer, those that live when it does are gathered from the buckets of its slots and sorted. Where a gap between them is
 * large enough, that is the place. Otherwise a good one begins where another buffer ends, or ends where one begins; what is in the way there
 * is all that begins before its end, without all that ends before its begin: the difference of two sums, so that all places are
 * looked at in one walk over both lists. */
#include "plan/ground.h"

#include "base/memory.h"
#include "plan/weights.h"

/* Buckets in the time that a buffer lives on average. */
#define BUCKETS_OF_LIFE 4
/* Places whose prices differ by less than one part in so many are as good as each other. */
#define NEARLY 64

static void size_buckets(plan_ground *ground) {
    const plan_section *section = ground->section;
    uint64_t lives = 0, buffers = section->count > 0 ? section->count : 1;
    for (uint32_t i = 0; i < section->count; i++) lives += section->upper[i] - section->lower[i];
    uint64_t slots = lives / buffers / BUCKETS_OF_LIFE;
    ground->slots_of_bucket = slots > 0 ? (uint32_t)slots : 1;
    ground->bucket_count = (section->slot_count - 1) / ground->slots_of_bucket + 1;
}

static uint32_t first_bucket(const plan_ground *ground, uint32_t buffer) {
    return ground->section->lower[buffer] / ground->slots_of_bucket;
}

static uint32_t last_bucket(const plan_ground *ground, uint32_t buffer) {
    return (ground->section->upper[buffer] - 1) / ground->slots_of_bucket;
}

/* Lays out the buckets, each with room for all buffers that live in it. */
static bool lay_out(plan_ground *ground) {
    const plan_section *section = ground->section;
    ground->first = base_allocate((size_t)ground->bucket_count + 1, sizeof *ground->first);
    ground->present = base_allocate(ground->bucket_count, sizeof *ground->present);
    if (ground->first == NULL || ground->present == NULL) return false;
    for (uint32_t i = 0; i < section->count; i++)
        for (uint32_t j = first_bucket(ground, i); j <= last_bucket(ground, i); j++) ground->first[j + 1]++;
    for (uint32_t j = 0; j < ground->bucket_count; j++) ground->first[j + 1] += ground->first[j];
    ground->members = base_allocate(ground->first[ground->bucket_count], sizeof *ground->members);
    return ground->members != NULL;
}

bool plan_ground_begin(plan_ground *ground, const plan_section *section) {
    *ground = (plan_ground){.section = section};
    ground->offset = base_allocate(section->count, sizeof *ground->offset);
    ground->price = base_allocate(section->count, sizeof *ground->price);
    ground->begins = base_allocate(section->count, sizeof *ground->begins);
    ground->ends = base_allocate(section->count, sizeof *ground->ends);
    ground->scratch = base_allocate(section->count, sizeof *ground->scratch);
    size_buckets(ground);
    if (ground->offset == NULL || ground->price == NULL || ground->begins == NULL || ground->ends == NULL ||
        ground->scratch == NULL || !lay_out(ground)) {
        plan_ground_end(ground);
        return false;
    }
    plan_ground_clear(ground);
    return true;
}

void plan_ground_end(plan_ground *ground) {
    base_free(ground->offset);
    base_free(ground->price);
    base_free(ground->first);
    base_free(ground->present);
    base_free(ground->members);
    base_free(ground->begins);
    base_free(ground->ends);
    base_free(ground->scratch);
    *ground = (plan_ground){0};
}

void plan_ground_clear(plan_ground *ground) {
    for (uint32_t i = 0; i < ground->section->count; i++) ground->offset[i] = PLAN_GROUND_NOWHERE;
    for (uint32_t j = 0; j < ground->bucket_count; j++) ground->present[j] = 0;
}

void plan_ground_put(plan_ground *ground, uint32_t buffer, uint64_t offset) {
    ground->offset[buffer] = offset;
    for (uint32_t j = first_bucket(ground, buffer); j <= last_bucket(ground, buffer); j++)
        ground->members[ground->first[j] + ground->present[j]++] = buffer;
}

void plan_ground_take(plan_ground *ground, uint32_t buffer) {
    ground->offset[buffer] = PLAN_GROUND_NOWHERE;
    for (uint32_t j = first_bucket(ground, buffer); j <= last_bucket(ground, buffer); j++) {
        uint32_t *members = ground->members + ground->first[j], i = 0;
        while (members[i] != buffer) i++;
        members[i] = members[--ground->present[j]];
    }
}

/* Lists what is near a buffer, each once: in the first bucket that both live in. */
static void gather(plan_ground *ground, uint32_t buffer) {
    const plan_section *section = ground->section;
    uint32_t lower = section->lower[buffer], upper = section->upper[buffer], count = 0;
    for (uint32_t j = first_bucket(ground, buffer); j <= last_bucket(ground, buffer); j++) {
        uint32_t since = j == first_bucket(ground, buffer) ? 0 : j * ground->slots_of_bucket;
        const uint32_t *members = ground->members + ground->first[j];
        for (uint32_t i = 0; i < ground->present[j]; i++) {
            uint32_t other = members[i];
            if (section->lower[other] < since || section->lower[other] >= upper || section->upper[other] <= lower) {
                continue;
            }
            ground->begins[count++] = (plan_keyed){ground->offset[other], other};
        }
    }
    ground->near_count = count;
    plan_sort(ground->begins, ground->scratch, count);
}

/* The narrowest gap that has room; PLAN_GROUND_NOWHERE where there is none. */
static uint64_t seek_gap(const plan_ground *ground, uint64_t size, uint64_t limit) {
    uint64_t floor = 0, found = PLAN_GROUND_NOWHERE, narrowest = UINT64_MAX;
    for (uint32_t i = 0; i <= ground->near_count; i++) {
        uint64_t ceiling = i < ground->near_count ? ground->begins[i].key : limit;
        if (ceiling > floor && ceiling - floor >= size && ceiling - floor < narrowest) {
            narrowest = ceiling - floor;
            found = floor;
        }
        if (i == ground->near_count) break;
        uint64_t end = ground->begins[i].key + ground->section->size[ground->begins[i].item];
        if (end > floor) floor = end;
    }
    return found;
}

/* The cheapest place so far. */
typedef struct bargain {
    uint64_t offset, price, asked; /* the last with what chance adds */
} bargain;

static void consider(bargain *best, uint64_t offset, uint64_t price, uint64_t *random) {
    uint64_t asked = price + price / NEARLY * (plan_random(random) % 4) / 4;
    if (asked < best->asked) *best = (bargain){offset, price, asked};
}

/* Places that begin on the ground or where something ends. */
static void walk_up(const plan_ground *ground, uint64_t size, uint64_t limit, uint64_t *random, bargain *best) {
    uint64_t before_end = 0, before_begin = 0;
    uint32_t begun = 0;
    for (uint32_t ended = 0; ended <= ground->near_count; ended++) {
        uint64_t offset = ended > 0 ? ground->ends[ended - 1].key : 0;
        if (ended > 0) before_begin += ground->price[ground->ends[ended - 1].item];
        if (offset + size > limit) return;
        if (ended > 0 && ended < ground->near_count && ground->ends[ended].key == offset) continue;
        for (; begun < ground->near_count && ground->begins[begun].key < offset + size; begun++)
            before_end += ground->price[ground->begins[begun].item];
        consider(best, offset, before_end - before_begin, random);
    }
}

/* Places that end at the limit or where something begins. */
static void walk_down(const plan_ground *ground, uint64_t size, uint64_t limit, uint64_t *random, bargain *best) {
    uint64_t before_end = 0, before_begin = 0;
    uint32_t ended = 0;
    for (uint32_t begun = 0; begun <= ground->near_count; begun++) {
        uint64_t end = begun < ground->near_count ? ground->begins[begun].key : limit;
        if (end > limit) end = limit;
        if (begun > 0) before_end += ground->price[ground->begins[begun - 1].item];
        if (end < size || (begun > 0 && ground->begins[begun - 1].key == end)) continue;
        for (; ended < ground->near_count && ground->ends[ended].key <= end - size; ended++)
            before_begin += ground->price[ground->ends[ended].item];
        consider(best, end - size, before_end - before_begin, random);
    }
}

uint64_t plan_ground_seek(plan_ground *ground, uint32_t buffer, uint64_t limit, uint64_t *random, uint64_t *out_price) {
    uint64_t size = ground->section->size[buffer];
    gather(ground, buffer);
    uint64_t gap = seek_gap(ground, size, limit);
    *out_price = 0;
    if (gap != PLAN_GROUND_NOWHERE) return gap;
    for (uint32_t i = 0; i < ground->near_count; i++) {
        uint32_t other = ground->begins[i].item;
        ground->ends[i] = (plan_keyed){ground->begins[i].key + ground->section->size[other], other};
    }
    plan_sort(ground->ends, ground->scratch, ground->near_count);
    bargain best = {.asked = UINT64_MAX};
    walk_up(ground, size, limit, random, &best);
    walk_down(ground, size, limit, random, &best);
    *out_price = best.price;
    return best.offset;
}
