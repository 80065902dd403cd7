/* Squeezing and boxes: what each does by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "bench/problems.h"
#include "buffers.h"
#include "plan/boxes.h"
#include "plan/ground.h"
#include "plan/squeeze.h"

enum { FEW = 24, SLOTS = 12, LIMIT = 60 };

/* What putting a buffer at an offset costs. */
static uint64_t price_at(const plan_ground *ground, uint32_t buffer, uint64_t offset) {
    const plan_section *section = ground->section;
    uint64_t price = 0;
    for (uint32_t i = 0; i < section->count; i++) {
        if (ground->offset[i] == PLAN_GROUND_NOWHERE || section->lower[i] >= section->upper[buffer] ||
            section->lower[buffer] >= section->upper[i] || ground->offset[i] >= offset + section->size[buffer] ||
            offset >= ground->offset[i] + section->size[i]) {
            continue;
        }
        price += ground->price[i];
    }
    return price;
}

static void the_ground_finds_the_cheapest_place(void **state) {
    (void)state;
    uint32_t lowers[FEW], uppers[FEW];
    uint64_t sizes[FEW], random = 1;
    plan_section section = {
        .count = FEW, .slot_count = SLOTS, .lower = lowers, .upper = uppers, .size = sizes, .unit = 1};
    unsigned gaps = 0;
    for (unsigned round = 0; round < 300; round++) {
        for (uint32_t i = 0; i < FEW; i++) {
            lowers[i] = random_below(SLOTS - 1);
            uppers[i] = lowers[i] + 1 + random_below(SLOTS - lowers[i]);
            sizes[i] = 1 + random_below(LIMIT / 4);
        }
        plan_ground ground;
        assert_true(plan_ground_begin(&ground, &section));
        for (uint32_t i = 0; i < FEW; i++) {
            ground.price[i] = 1000 + random_below(1000);
            uint64_t price, least = UINT64_MAX, offset = plan_ground_seek(&ground, i, LIMIT, &random, &price);
            assert_true(offset + sizes[i] <= LIMIT);
            assert_int_equal(price_at(&ground, i, offset), price);
            for (uint64_t other = 0; other + sizes[i] <= LIMIT; other++)
                if (price_at(&ground, i, other) < least) least = price_at(&ground, i, other);
            assert_true(price <= least + least / 50);
            gaps += price == 0;
            plan_ground_put(&ground, i, random_below(2) == 0 ? offset : random_below(LIMIT - (uint32_t)sizes[i]));
            if (random_below(4) == 0) plan_ground_take(&ground, i);
        }
        plan_ground_clear(&ground);
        for (uint32_t i = 0; i < FEW; i++) assert_int_equal(price_at(&ground, i, 0), 0);
        plan_ground_end(&ground);
    }
    assert_in_range(gaps, 100, 300 * FEW - 100);
}

/* The lives of a section's buffers as a problem. */
static tarn_plan_buffer *problem_of(const plan_section *section) {
    tarn_plan_buffer *buffers = calloc(section->count, sizeof *buffers);
    for (uint32_t i = 0; i < section->count; i++)
        buffers[i] = buffer(section->lower[i], section->upper[i], section->size[i]);
    return buffers;
}

/* Boxes one on the other are a plan of them, and have to be one of what is in them. Returns how many boxes there are. */
static uint32_t unpack_a_tower(const plan_section *section) {
    plan_boxes boxes;
    assert_true(plan_boxes_begin(&boxes, section));
    uint32_t count = boxes.outer.count;
    assert_in_range(count, 1, section->count);
    uint64_t *tower = calloc(count, sizeof *tower), *offsets = calloc(section->count, sizeof *offsets), height = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0) assert_true(boxes.outer.lower[i - 1] <= boxes.outer.lower[i]);
        tower[i] = height;
        height += boxes.outer.size[i];
    }
    plan_boxes_unpack(&boxes, tower, offsets);
    tarn_plan_buffer *buffers = problem_of(section);
    assert_int_equal(tarn_plan_check(buffers, section->count, &height, 1, offsets), TARN_OK);
    free(buffers);
    free(offsets);
    free(tower);
    plan_boxes_end(&boxes);
    return count;
}

static void boxes_are_unpacked_without_overlap(void **state) {
    (void)state;
    enum { COUNT = 400 };
    uint32_t lowers[COUNT], uppers[COUNT];
    uint64_t sizes[COUNT];
    plan_section section = {
        .count = COUNT, .slot_count = 40, .lower = lowers, .upper = uppers, .size = sizes, .unit = 1};
    for (unsigned round = 0; round < 20; round++) {
        for (uint32_t i = 0; i < COUNT; i++) {
            lowers[i] = i / 10;
            uppers[i] = lowers[i] + 1 + random_below(40 - lowers[i]);
            sizes[i] = 1 + random_below(1 + 5 * round);
        }
        assert_true(unpack_a_tower(&section) < COUNT);
    }
}

/* A problem of one section. */
static plan_problem make_problem(const tarn_plan_buffer *buffers, size_t count) {
    plan_problem problem;
    assert_int_equal(plan_problem_begin(&problem, buffers, count), TARN_OK);
    assert_int_equal(problem.section_count, 1);
    return problem;
}

/* Two halves, each cut in its own way, and one buffer below both. */
static void a_rectangle_that_was_cut_becomes_one_box(void **state) {
    (void)state;
    const tarn_plan_buffer buffers[] = {buffer(0, 100, 7),   buffer(0, 50, 1001),  buffer(0, 20, 333),
                                        buffer(20, 50, 333), buffer(0, 50, 66),    buffer(50, 71, 900),
                                        buffer(71, 100, 40), buffer(71, 100, 860), buffer(50, 100, 500)};
    enum { COUNT = sizeof buffers / sizeof buffers[0] };
    plan_problem problem = make_problem(buffers, COUNT);
    assert_int_equal(unpack_a_tower(&problem.sections[0]), 1);
    plan_problem_end(&problem);
}

enum { TILES = 1600 };

/* A tiling without one buffer in 16. */
static tarn_plan_buffer *make_tiles(size_t *out_count) {
    tarn_plan_buffer *buffers = bench_problem_make(BENCH_PROBLEM_TILING, TILES, 3);
    *out_count = 0;
    for (size_t i = 0; i < TILES; i++)
        if (i % 16 != 5) buffers[(*out_count)++] = buffers[i];
    buffers[(*out_count)++] = buffer(0, buffers[0].upper + 20 * TILES, 1);
    return buffers;
}

/* One buffer above the other. */
static uint64_t tower_of(const plan_section *section, uint64_t *offsets) {
    uint64_t height = 0;
    for (uint32_t i = 0; i < section->count; i++) {
        offsets[i] = height;
        height += section->size[i];
    }
    return height;
}

static void check(const plan_section *section, const uint64_t *offsets, uint64_t height) {
    tarn_plan_buffer *buffers = problem_of(section);
    assert_int_equal(tarn_plan_check(buffers, section->count, &height, 1, offsets), TARN_OK);
    free(buffers);
}

static void squeezing_makes_the_worst_plan_a_good_one(void **state) {
    (void)state;
    size_t count;
    tarn_plan_buffer *buffers = make_tiles(&count);
    plan_problem problem = make_problem(buffers, count);
    const plan_section *section = &problem.sections[0];
    tarn_plan_options wanted = {.struct_size = sizeof wanted, .timeout_seconds = 1000};
    uint64_t *offsets = calloc(count, 2 * sizeof *offsets), heights[3];
    plan_watch watch;
    plan_watch_begin(&watch, &wanted);
    assert_true(plan_squeeze_suits(section));
    plan_squeeze_options options = {
        .enough = section->lower_bound, .looks = 600000, .seed = 5, .threads = 1, .watch = &watch};
    for (size_t i = 0; i < 2; i++) {
        heights[i] = tower_of(section, offsets + i * count);
        assert_int_equal(plan_squeeze(section, &options, offsets + i * count, &heights[i]), TARN_OK);
    }
    print_message("%.4f of the lower bound\n", (double)heights[0] / (double)section->lower_bound);
    assert_true((double)heights[0] < 1.5 * (double)section->lower_bound);
    check(section, offsets, heights[0]);
    /* One thread always finds the same. */
    assert_int_equal(heights[0], heights[1]);
    assert_memory_equal(offsets, offsets + count, count * sizeof *offsets);
    options.threads = 3;
    options.looks /= 4;
    heights[2] = heights[1];
    assert_int_equal(plan_squeeze(section, &options, offsets + count, &heights[2]), TARN_OK);
    assert_true(heights[2] <= heights[1]);
    check(section, offsets + count, heights[2]);
    /* What is low enough stays as it is, and nothing is done when the time is over. */
    options.enough = heights[0];
    assert_int_equal(plan_squeeze(section, &options, offsets, &heights[0]), TARN_OK);
    assert_int_equal(heights[0], heights[1]);
    options.enough = section->lower_bound;
    plan_watch_stop(&watch);
    assert_int_equal(plan_squeeze(section, &options, offsets, &heights[0]), TARN_OK);
    assert_int_equal(heights[0], heights[1]);
    plan_watch_end(&watch);
    free(offsets);
    plan_problem_end(&problem);
    free(buffers);
}

static void squeezing_survives_each_failure_of_host_memory(void **state) {
    (void)state;
    size_t count;
    tarn_plan_buffer *buffers = make_tiles(&count);
    plan_problem problem = make_problem(buffers, count);
    const plan_section *section = &problem.sections[0];
    tarn_plan_options wanted = {.struct_size = sizeof wanted, .timeout_seconds = 1000};
    uint64_t *offsets = calloc(count, sizeof *offsets);
    plan_watch watch;
    plan_watch_begin(&watch, &wanted);
    plan_squeeze_options options = {.enough = section->lower_bound, .looks = 5000, .threads = 2, .watch = &watch};
    unsigned long failed = 0;
    for (unsigned long k = 1;; k++) {
        uint64_t height = tower_of(section, offsets);
        base_memory_fail_at(k, 0);
        tarn_status status = plan_squeeze(section, &options, offsets, &height);
        unsigned long requests = base_memory_requests();
        base_memory_fail_at(0, 0);
        check(section, offsets, height);
        if (requests < k) break;
        if (status != TARN_OK) assert_int_equal(status, TARN_OUT_OF_MEMORY);
        failed += status != TARN_OK;
    }
    assert_true(failed >= 10);
    plan_watch_end(&watch);
    free(offsets);
    plan_problem_end(&problem);
    free(buffers);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ground_finds_the_cheapest_place),
        cmocka_unit_test(boxes_are_unpacked_without_overlap),
        cmocka_unit_test(a_rectangle_that_was_cut_becomes_one_box),
        cmocka_unit_test(squeezing_makes_the_worst_plan_a_good_one),
        cmocka_unit_test(squeezing_survives_each_failure_of_host_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
