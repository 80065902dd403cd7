/* Squeezing.
 *
 * A lower height is chosen, and the buffers that lie above it are taken out. Each of them is a task: it is put where what is in its way is
 * cheapest, that is taken out in turn and put somewhere else, and so on until everything has a place. A buffer costs as much as its
 * area, so that what is driven out becomes small, and more each time that it was put down by force, so that the same ones do not drive each other out for
 * ever (ejection chains, guided by prices: Nagata and Bräysy 2009 for vehicle routes). A task that takes too long is undone, and tried again later
 * with the prices as they have become. Tasks are local: what happens at another time is not touched, so it matters little how large the
 * section is. */
#include "plan/squeeze.h"

#include <inttypes.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "plan/ground.h"
#include "plan/team.h"
#include "plan/weights.h"

/* The least price, and that of a buffer of average area. */
#define LEAST_PRICE 64
#define AVERAGE_PRICE 1024
#define HIGHEST_PRICE ((uint64_t)1 << 40)
/* What a price rises by. */
#define RISE 4096
/* Steps of a task in the first pass over all tasks, twice as many in each later one, and passes. */
#define FIRST_STEPS 64
#define MOST_PASSES 4
/* More buffers than this are not without a place at one time. */
#define MOST_HOMELESS 2000
/* The height is lowered by one part in so many of what it is above what is enough: by more after each success, and by less after each
 * failure, until from the last the first is taken again, with the first prices. */
#define FIRST_PART 8
#define LEAST_PART 2
#define LAST_PART 256
/* So many threads begin with different parts, each with a smaller one than the one before. */
#define DIFFERENT_PARTS 3
#define PART_OF_NEXT 4
#define STEPS_PER_WATCH 8
/* As many looks as all else of a step takes. */
#define LOOKS_OF_STEP 64
#define FIRST_CHANGES 1024

/* What the threads share. */
typedef struct plan_squeeze_job {
    plan_team team;
    const plan_squeeze_options *options;
    double average_area;
} plan_squeeze_job;

/* A buffer that was put down, or taken from where it was. */
typedef struct squeeze_change {
    uint32_t buffer;
    uint64_t was;
} squeeze_change;

/* What one thread works with. */
typedef struct squeezer {
    plan_squeeze_job *job;
    plan_ground ground;
    uint64_t random, looks;
    uint64_t limit;              /* the height that is sought */
    uint64_t *plan, plan_height; /* the lowest that this thread knows */
    uint32_t *tasks, task_count;
    uint32_t homeless[MOST_HOMELESS], homeless_count;
    squeeze_change *changes; /* of a task */
    size_t change_count, change_capacity;
} squeezer;

bool plan_squeeze_suits(const plan_section *section) {
    return !section->has_alignment && !section->has_fixed && section->first_piece == NULL;
}

static double area_of(const plan_section *section, uint32_t buffer) {
    return (double)section->size[buffer] * (section->upper[buffer] - section->lower[buffer]);
}

static void set_prices(squeezer *mine) {
    const plan_section *section = mine->job->team.section;
    for (uint32_t i = 0; i < section->count; i++) {
        double price = LEAST_PRICE + AVERAGE_PRICE * (area_of(section, i) / mine->job->average_area);
        mine->ground.price[i] = price < HIGHEST_PRICE ? (uint64_t)price : HIGHEST_PRICE;
    }
}

static tarn_status squeezer_begin(squeezer *mine, plan_squeeze_job *job, unsigned number) {
    uint32_t count = job->team.section->count;
    *mine = (squeezer){.job = job, .random = job->options->seed ^ (uint64_t)number << 32};
    mine->change_capacity = FIRST_CHANGES;
    mine->plan = base_allocate(count, sizeof *mine->plan);
    mine->tasks = base_allocate(count, sizeof *mine->tasks);
    mine->changes = base_allocate(mine->change_capacity, sizeof *mine->changes);
    if (mine->plan != NULL && mine->tasks != NULL && mine->changes != NULL &&
        plan_ground_begin(&mine->ground, job->team.section)) {
        return TARN_OK;
    }
    return base_fail(TARN_OUT_OF_MEMORY, "improving a plan of %" PRIu32 " buffers: no host memory", count);
}

static void squeezer_end(squeezer *mine) {
    plan_ground_end(&mine->ground);
    base_free(mine->plan);
    base_free(mine->tasks);
    base_free(mine->changes);
}

/* Whether there is no use in going on: for the goal, or for any. */
static bool is_over(const squeezer *mine) {
    const plan_squeeze_options *options = mine->job->options;
    return mine->looks >= options->looks || atomic_load(&mine->job->team.height) <= mine->limit ||
           plan_watch_is_over(options->watch);
}

static bool note(squeezer *mine, uint32_t buffer) {
    if (mine->change_count == mine->change_capacity) {
        squeeze_change *grown = base_reallocate(mine->changes, 2 * mine->change_capacity, sizeof *grown);
        if (grown == NULL) return false;
        mine->changes = grown;
        mine->change_capacity *= 2;
    }
    mine->changes[mine->change_count++] = (squeeze_change){buffer, mine->ground.offset[buffer]};
    return true;
}

static void undo_task(squeezer *mine) {
    while (mine->change_count > 0) {
        squeeze_change last = mine->changes[--mine->change_count];
        if (mine->ground.offset[last.buffer] != PLAN_GROUND_NOWHERE) plan_ground_take(&mine->ground, last.buffer);
        if (last.was != PLAN_GROUND_NOWHERE) plan_ground_put(&mine->ground, last.buffer, last.was);
    }
}

/* Takes out what is near and in the way. False when too many would be without a place, or there is no memory. */
static bool drive_out(squeezer *mine, uint64_t bottom, uint64_t top) {
    plan_ground *ground = &mine->ground;
    const uint64_t *size = ground->section->size;
    for (uint32_t i = 0; i < ground->near_count && ground->begins[i].key < top; i++) {
        uint32_t other = ground->begins[i].item;
        if (ground->begins[i].key + size[other] <= bottom) continue;
        if (mine->homeless_count == MOST_HOMELESS || !note(mine, other)) return false;
        plan_ground_take(ground, other);
        mine->homeless[mine->homeless_count++] = other;
    }
    return true;
}

/* The largest of those without a place. */
static uint32_t next_homeless(squeezer *mine) {
    const plan_section *section = mine->job->team.section;
    uint32_t chosen = 0;
    for (uint32_t i = 1; i < mine->homeless_count; i++)
        if (area_of(section, mine->homeless[i]) > area_of(section, mine->homeless[chosen])) chosen = i;
    uint32_t buffer = mine->homeless[chosen];
    mine->homeless[chosen] = mine->homeless[--mine->homeless_count];
    return buffer;
}

static void raise_price(uint64_t *price) {
    if (*price < HIGHEST_PRICE) *price += RISE;
}

/* Finds a place for a buffer and all that it drives out; otherwise everything is as before. */
static bool do_task(squeezer *mine, uint32_t buffer, uint64_t most_steps) {
    plan_ground *ground = &mine->ground;
    mine->change_count = 0;
    mine->homeless[0] = buffer;
    mine->homeless_count = 1;
    for (uint64_t step = 1; mine->homeless_count > 0; step++) {
        if (step > most_steps || (step % STEPS_PER_WATCH == 0 && is_over(mine))) break;
        uint32_t moving = next_homeless(mine);
        uint64_t price, offset = plan_ground_seek(ground, moving, mine->limit, &mine->random, &price);
        mine->looks += LOOKS_OF_STEP + ground->near_count;
        if (price > 0) raise_price(&ground->price[moving]);
        bool is_done = note(mine, moving);
        if (is_done) plan_ground_put(ground, moving, offset);
        if (is_done && price > 0) is_done = drive_out(mine, offset, offset + ground->section->size[moving]);
        if (is_done) continue;
        mine->homeless[0] = moving;
        mine->homeless_count = 1;
        break;
    }
    if (mine->homeless_count == 0) return true;
    undo_task(mine);
    return false;
}

/* Goes through all tasks until none is left, or the passes are over; false when there is no use in going on. */
static bool pass_over_tasks(squeezer *mine) {
    for (unsigned pass = 0; pass < MOST_PASSES && mine->task_count > 0; pass++) {
        uint32_t kept = 0;
        for (uint32_t i = 0; i < mine->task_count; i++) {
            if (is_over(mine)) return false;
            if (!do_task(mine, mine->tasks[i], (uint64_t)FIRST_STEPS << pass)) mine->tasks[kept++] = mine->tasks[i];
        }
        mine->task_count = kept;
    }
    return true;
}

/* Does all tasks. For those that resist, the limit rises half of the way to the height there was, as often as it takes. */
static bool do_tasks(squeezer *mine) {
    uint64_t unit = mine->job->team.section->unit;
    while (pass_over_tasks(mine)) {
        if (mine->task_count == 0) return true;
        uint64_t rise = (mine->plan_height - mine->limit) / 2 / unit * unit;
        if (rise == 0) return false;
        mine->limit += rise;
    }
    return false;
}

/* Takes out what lies above the limit and gives it other places. */
static bool lower(squeezer *mine) {
    const plan_section *section = mine->job->team.section;
    plan_keyed *order = mine->ground.ends;
    mine->task_count = 0;
    for (uint32_t i = 0; i < section->count; i++) {
        if (mine->ground.offset[i] + section->size[i] <= mine->limit) continue;
        plan_ground_take(&mine->ground, i);
        /* The largest first, as long as there is most room. */
        order[mine->task_count++] = (plan_keyed){UINT64_MAX - (uint64_t)area_of(section, i), i};
    }
    plan_sort(order, mine->ground.scratch, mine->task_count);
    for (uint32_t i = 0; i < mine->task_count; i++) mine->tasks[i] = order[i].item;
    return do_tasks(mine);
}

/* Lays the ground as the lowest plan of all has it. */
static void restore(squeezer *mine) {
    mine->plan_height = plan_team_copy(&mine->job->team, mine->plan);
    plan_ground_clear(&mine->ground);
    for (uint32_t i = 0; i < mine->job->team.section->count; i++) plan_ground_put(&mine->ground, i, mine->plan[i]);
}

/* A height below the present one, a multiple of the unit. */
static uint64_t choose_limit(const squeezer *mine, uint64_t part) {
    uint64_t enough = mine->job->options->enough, unit = mine->job->team.section->unit;
    uint64_t less = (mine->plan_height - enough + part - 1) / part;
    uint64_t limit = (mine->plan_height - less) / unit * unit;
    return limit > enough ? limit : enough / unit * unit;
}

static void squeeze(squeezer *mine, unsigned number) {
    const plan_squeeze_options *options = mine->job->options;
    uint64_t part = FIRST_PART;
    for (unsigned i = 0; i < number % DIFFERENT_PARTS; i++) part *= PART_OF_NEXT;
    const uint64_t first_part = part;
    set_prices(mine);
    restore(mine);
    while (mine->plan_height > options->enough && mine->looks < options->looks && !plan_watch_is_over(options->watch)) {
        mine->limit = choose_limit(mine, part);
        if (lower(mine)) {
            mine->plan_height = plan_team_keep(&mine->job->team, mine->ground.offset);
            if (part > LEAST_PART) part /= 2;
            continue;
        }
        part *= 2;
        restore(mine);
        if (part <= LAST_PART) continue;
        part = first_part;
        set_prices(mine);
    }
}

static tarn_status work(void *context, unsigned number) {
    squeezer mine;
    tarn_status status = squeezer_begin(&mine, context, number);
    if (status == TARN_OK) squeeze(&mine, number);
    squeezer_end(&mine);
    return status;
}

tarn_status plan_squeeze(const plan_section *section, const plan_squeeze_options *options, uint64_t *offsets,
                         uint64_t *height) {
    plan_squeeze_job job = {.options = options};
    if (*height <= options->enough || plan_watch_is_over(options->watch)) return TARN_OK;
    for (uint32_t i = 0; i < section->count; i++) job.average_area += area_of(section, i) / section->count;
    plan_team_begin(&job.team, section, offsets, *height);
    tarn_status status = plan_team_work(&job.team, options->threads, work, &job);
    *height = plan_team_end(&job.team);
    return status;
}
