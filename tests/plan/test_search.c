/* The search: what it finds is as low as the best of all plans, what it calls impossible is, and it ends when it is told to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tarn/plan.h>

#include "base/memory.h"
#include "buffers.h"
#include "plan/search.h"

#define MOST 400
/* No test waits that long: the search ends by itself long before. */
#define LONG_SECONDS 60.0

/* What only takes longer is done less often where everything is slow. */
static unsigned rounds_of(unsigned rounds) { return getenv("TARN_TEST_SLOWNESS") != NULL ? rounds / 4 : rounds; }

static tarn_plan_result solve(const tarn_plan_buffer *buffers, size_t count, unsigned threads, uint64_t *offsets) {
    tarn_plan_result result = {.struct_size = sizeof result};
    tarn_plan_options options = {.struct_size = sizeof options, .timeout_seconds = LONG_SECONDS, .threads = threads};
    assert_int_equal(tarn_plan_solve(buffers, count, &options, offsets, &result), TARN_OK);
    assert_int_equal(tarn_plan_check(buffers, count, NULL, 0, offsets), TARN_OK);
    return result;
}

static bool live_together(const tarn_plan_buffer *a, const tarn_plan_buffer *b) {
    int64_t lower = a->lower > b->lower ? a->lower : b->lower, upper = a->upper < b->upper ? a->upper : b->upper;
    if (lower >= upper) return false;
    /* The only gap that a buffer has here lies at one end of a third buffer's life or within its own. */
    for (int64_t time = lower; time < upper; time++) {
        bool a_rests = a->gap_count != 0 && time >= a->gaps->lower && time < a->gaps->upper;
        bool b_rests = b->gap_count != 0 && time >= b->gaps->lower && time < b->gaps->upper;
        if (!a_rests && !b_rests) return true;
    }
    return false;
}

static bool is_free(const tarn_plan_buffer *buffers, size_t count, const uint64_t *offsets, unsigned placed, size_t i,
                    uint64_t offset) {
    for (size_t j = 0; j < count; j++) {
        if ((placed & (1u << j)) && live_together(&buffers[i], &buffers[j]) && offsets[j] < offset + buffers[i].size &&
            offset < offsets[j] + buffers[j].size) {
            return false;
        }
    }
    return true;
}

/* The lowest height of all plans that are lower than `best`, or that: with what is fixed placed first, there is an order in which
 * each buffer of a best plan is at the lowest place that those before it leave. */
static uint64_t best_of_all(const tarn_plan_buffer *buffers, size_t count, uint64_t *offsets, unsigned placed,
                            uint64_t height, uint64_t best) {
    if (placed == (1u << count) - 1) return height < best ? height : best;
    for (size_t i = 0; i < count; i++) {
        if (placed & (1u << i)) continue;
        uint64_t step = buffers[i].alignment > 1 ? buffers[i].alignment : 1, offset = 0;
        while (!is_free(buffers, count, offsets, placed, i, offset)) offset += step;
        offsets[i] = offset;
        uint64_t top = offset + buffers[i].size > height ? offset + buffers[i].size : height;
        if (top < best) best = best_of_all(buffers, count, offsets, placed | 1u << i, top, best);
    }
    return best;
}

static uint64_t best_with_fixed(const tarn_plan_buffer *buffers, size_t count) {
    uint64_t offsets[8], height = 0;
    unsigned placed = 0;
    for (size_t i = 0; i < count; i++) {
        if (buffers[i].fixed_offset == TARN_PLAN_ANYWHERE) continue;
        offsets[i] = buffers[i].fixed_offset;
        placed |= 1u << i;
        if (offsets[i] + buffers[i].size > height) height = offsets[i] + buffers[i].size;
    }
    return best_of_all(buffers, count, offsets, placed, height, UINT64_MAX);
}

/* A problem in which as many bytes live at each moment: what ends makes room for others of another size, wherever it is. So
 * the most bytes alive are often fewer than a plan needs, which is rare in random problems. */
static size_t full_problem(tarn_plan_buffer *buffers, size_t most, uint32_t height) {
    size_t count = 0;
    uint32_t room = height;
    for (int64_t time = 0;; time++) {
        while (room > 0 && count < most) {
            uint32_t size = 1 + random_below(room < 6 ? room : 6);
            buffers[count++] = buffer(time, INT64_MAX, size);
            room -= size;
        }
        if (count == most) {
            for (size_t i = 0; i < count; i++)
                if (buffers[i].upper == INT64_MAX) buffers[i].upper = time + 1;
            return count;
        }
        for (size_t i = 0; i < count; i++) {
            if (buffers[i].upper != INT64_MAX || random_below(3) != 0) continue;
            buffers[i].upper = time + 1;
            room += (uint32_t)buffers[i].size;
        }
    }
}

/* What one search finds and proves, the other has to: a fixed buffer below all others asks for the one that is for any section. */
static void two_ways_to_search_agree_and_prove_the_same(void **state) {
    (void)state;
    unsigned above_load = 0;
    for (unsigned round = 0; round < rounds_of(2000); round++) {
        tarn_plan_buffer buffers[25];
        size_t count = full_problem(buffers, 16 + random_below(9), 4 + random_below(4));
        uint64_t offsets[25], load;
        tarn_plan_result result = solve(buffers, count, 1, offsets);
        assert_int_equal(tarn_plan_lower_bound(buffers, count, 0, &load), TARN_OK);
        assert_true(result.is_optimal);
        assert_int_equal(result.lower_bound, result.height);
        if (result.height == load) continue;
        above_load++;
        buffers[count] = buffer(0, INT16_MAX, 1);
        buffers[count].fixed_offset = 0;
        tarn_plan_result other = solve(buffers, count + 1, 1, offsets);
        assert_true(other.is_optimal);
        assert_int_equal(other.height, result.height + 1);
    }
    print_message("%u of %u problems have no plan as low as the most bytes alive at once\n", above_load,
                  rounds_of(2000));
    assert_true(above_load >= rounds_of(2000) / 400);
}

static void small_problems_are_solved_as_low_as_the_best_of_all_plans(void **state) {
    (void)state;
    for (unsigned round = 0; round < rounds_of(400); round++) {
        tarn_plan_buffer buffers[7];
        size_t count = 4 + random_below(4);
        for (size_t i = 0; i < count; i++) {
            int64_t lower = random_below(8);
            buffers[i] = buffer(lower, lower + 1 + random_below(6), 1 + random_below(round % 3 == 0 ? 4 : 30));
        }
        uint64_t offsets[7];
        tarn_plan_result result = solve(buffers, count, 1, offsets);
        assert_true(result.is_optimal);
        assert_int_equal(result.height, best_with_fixed(buffers, count));
    }
}

static void alignments_fixed_offsets_and_gaps_are_searched_to_the_proof(void **state) {
    (void)state;
    unsigned optimal = 0;
    for (unsigned round = 0; round < rounds_of(600); round++) {
        tarn_plan_buffer buffers[6];
        tarn_plan_gap gaps[6];
        size_t count = 2 + random_below(5);
        uint64_t coarsest = 1;
        for (size_t i = 0; i < count; i++) {
            int64_t lower = random_below(8), length = 3 + random_below(6);
            buffers[i] = buffer(lower, lower + length, 1 + random_below(12));
            if (round % 2 == 0) buffers[i].alignment = 1 + random_below(5);
            if (buffers[i].alignment > coarsest) coarsest = buffers[i].alignment;
            if (round % 3 == 0) {
                gaps[i] = (tarn_plan_gap){.lower = lower + 1, .upper = lower + 2 + random_below((uint32_t)length - 2)};
                buffers[i].gaps = &gaps[i];
                buffers[i].gap_count = 1;
            }
        }
        if (round % 4 < 2) {
            buffers[0].fixed_offset = random_below(10) * (buffers[0].alignment > 1 ? buffers[0].alignment : 1);
        }
        uint64_t offsets[6];
        tarn_plan_result result = solve(buffers, count, 1, offsets);
        uint64_t best = best_with_fixed(buffers, count);
        assert_true(result.lower_bound <= best);
        /* Sizes are rounded to what divides all alignments: a plan may be higher by what the topmost buffer is rounded. */
        assert_in_range(result.height, best, best + coarsest - 1);
        if (result.is_optimal) assert_int_equal(result.height, best);
        optimal += result.is_optimal != 0;
    }
    print_message("%u of %u plans are proved\n", optimal, rounds_of(600));
    assert_true(optimal >= rounds_of(600) * 5 / 6);
}

/* The search of one section ends at the height that another needs, or at a capacity, and no plan of its own has such a height. */
static void proofs_at_heights_that_no_plan_has_claim_no_more_than_they_show(void **state) {
    (void)state;
    tarn_plan_buffer buffers[] = {buffer(1, 2, 8), buffer(2, 6, 8), buffer(5, 9, 8)};
    buffers[0].fixed_offset = 10;
    buffers[1].fixed_offset = 4;
    uint64_t offsets[3];
    tarn_plan_result result = solve(buffers, 3, 1, offsets);
    assert_int_equal(result.height, 20);
    assert_int_equal(result.lower_bound, 20);
    assert_int_equal(result.is_optimal, 1);

    uint64_t capacity = 19;
    tarn_plan_options options = {.struct_size = sizeof options,
                                 .capacities = &capacity,
                                 .region_count = 1,
                                 .timeout_seconds = LONG_SECONDS,
                                 .threads = 1};
    assert_int_equal(tarn_plan_solve(buffers + 1, 2, &options, offsets, &result), TARN_OK);
    assert_int_equal(result.height, 20);
    assert_int_equal(result.lower_bound, 20);
    assert_int_equal(result.is_infeasible, 1);
}

static void windows_are_searched_and_never_called_impossible_wrongly(void **state) {
    (void)state;
    /* B fits over the piece of A in one half of its life, and under it in the other. */
    tarn_plan_gap gaps[] = {{.lower = 0, .upper = 5, .window_lower = 0, .window_upper = 10},
                            {.lower = 5, .upper = 10, .window_lower = 90, .window_upper = 100}};
    tarn_plan_buffer buffers[] = {buffer(0, 10, 100), buffer(0, 10, 80)};
    buffers[0].gaps = gaps;
    buffers[0].gap_count = 2;
    uint64_t offsets[2], capacity = 100;
    tarn_plan_options options = {
        .struct_size = sizeof options, .capacities = &capacity, .region_count = 1, .timeout_seconds = LONG_SECONDS};
    tarn_plan_result result = {.struct_size = sizeof result};
    assert_int_equal(tarn_plan_solve(buffers, 2, &options, offsets, &result), TARN_OK);
    assert_int_equal(tarn_plan_check(buffers, 2, NULL, 0, offsets), TARN_OK);
    assert_false(result.is_infeasible);
    assert_true(result.lower_bound <= 100);
}

/* Cuts a rectangle of `height` by `length` into at most `most` pieces: a plan without waste, whose offsets are then forgotten. */
static size_t cut_rectangle(tarn_plan_buffer *buffers, size_t most, uint32_t length, uint32_t height) {
    typedef struct piece {
        uint32_t left, right, bottom, top;
    } piece;
    static piece pieces[MOST];
    size_t count = 1;
    pieces[0] = (piece){0, length, 0, height};
    for (size_t tries = 0; count + 4 < most && tries < 20 * most; tries++) {
        size_t i = random_below((uint32_t)count);
        piece p = pieces[i];
        uint32_t wide = p.right - p.left, high = p.top - p.bottom;
        if (random_below(3) == 0 && wide >= 3 && high >= 3) {
            /* Five pieces that no straight cut separates, around a middle one. */
            uint32_t x1 = p.left + 1 + random_below(wide - 2), x2 = x1 + 1 + random_below(p.right - x1 - 1);
            uint32_t y1 = p.bottom + 1 + random_below(high - 2), y2 = y1 + 1 + random_below(p.top - y1 - 1);
            pieces[i] = (piece){p.left, x2, p.bottom, y1};
            pieces[count++] = (piece){x2, p.right, p.bottom, y2};
            pieces[count++] = (piece){x1, p.right, y2, p.top};
            pieces[count++] = (piece){p.left, x1, y1, p.top};
            pieces[count++] = (piece){x1, x2, y1, y2};
        } else if (random_below(2) == 0 && wide >= 2) {
            uint32_t x = p.left + 1 + random_below(wide - 1);
            pieces[i].right = x;
            pieces[count++] = (piece){x, p.right, p.bottom, p.top};
        } else if (high >= 2) {
            uint32_t y = p.bottom + 1 + random_below(high - 1);
            pieces[i].top = y;
            pieces[count++] = (piece){p.left, p.right, y, p.top};
        }
    }
    for (size_t i = 0; i < count; i++)
        buffers[i] = buffer(pieces[i].left, pieces[i].right, pieces[i].top - pieces[i].bottom);
    return count;
}

static void rectangles_without_waste_are_put_together_again(void **state) {
    (void)state;
    for (unsigned threads = 1; threads <= 2; threads++) {
        for (unsigned round = 0; round < 10; round++) {
            static tarn_plan_buffer buffers[MOST];
            static uint64_t offsets[MOST];
            size_t count = cut_rectangle(buffers, 60, 1000, 1000);
            tarn_plan_result result = solve(buffers, count, threads, offsets);
            assert_int_equal(result.height, 1000);
            assert_true(result.is_optimal);
        }
    }
}

static void one_thread_always_finds_the_same_plan(void **state) {
    (void)state;
    static tarn_plan_buffer buffers[MOST];
    static uint64_t offsets[2][MOST];
    size_t count = cut_rectangle(buffers, 60, 300, 300);
    for (int i = 0; i < 2; i++) solve(buffers, count, 1, offsets[i]);
    assert_memory_equal(offsets[0], offsets[1], count * sizeof offsets[0][0]);
}

static void a_search_ends_with_the_first_plan_that_fits_when_that_is_asked(void **state) {
    (void)state;
    static tarn_plan_buffer buffers[MOST];
    static uint64_t offsets[MOST];
    size_t count = cut_rectangle(buffers, 100, 1000, 1000);
    uint64_t capacity = 1100;
    tarn_plan_options options = {.struct_size = sizeof options,
                                 .capacities = &capacity,
                                 .region_count = 1,
                                 .timeout_seconds = LONG_SECONDS,
                                 .stops_at_capacity = 1};
    tarn_plan_result result = {.struct_size = sizeof result};
    assert_int_equal(tarn_plan_solve(buffers, count, &options, offsets, &result), TARN_OK);
    assert_true(result.is_feasible);
    assert_in_range(result.height, 1000, 1100);
}

static int end_at_the_third_call(void *context, const tarn_plan_progress *progress) {
    int *calls = context;
    assert_true(progress->height >= progress->lower_bound);
    return ++*calls >= 3;
}

/* A problem that is far too hard to be settled: a big rectangle, cut into many, with one byte too little of room. */
static size_t hard_problem(tarn_plan_buffer *buffers) {
    size_t count = cut_rectangle(buffers, MOST - 1, 100000, 100000);
    buffers[count] = buffer(0, 50000, 1);
    buffers[count + 1] = buffer(50000, 100000, 1);
    return count + 1;
}

static void progress_ends_a_search(void **state) {
    (void)state;
    static tarn_plan_buffer buffers[MOST];
    static uint64_t offsets[MOST];
    size_t count = hard_problem(buffers);
    int calls = 0;
    tarn_plan_options options = {.struct_size = sizeof options,
                                 .timeout_seconds = 1e6,
                                 .threads = 2,
                                 .progress = end_at_the_third_call,
                                 .context = &calls};
    tarn_plan_result result = {.struct_size = sizeof result};
    assert_int_equal(tarn_plan_solve(buffers, count, &options, offsets, &result), TARN_OK);
    assert_true(result.is_cancelled || result.is_optimal);
    assert_int_equal(tarn_plan_check(buffers, count, NULL, 0, offsets), TARN_OK);
}

static void a_search_survives_each_failure_of_host_memory(void **state) {
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        static tarn_plan_buffer buffers[40];
        size_t count = cut_rectangle(buffers, 40, 100, 100);
        for (size_t i = 0; i < count && kind == 1; i++) buffers[i].alignment = 1 + random_below(3);
        unsigned long k = 1;
        for (;; k++) {
            uint64_t offsets[40] = {77};
            tarn_plan_options options = {.struct_size = sizeof options, .timeout_seconds = 0.02, .threads = 1};
            base_memory_fail_at(k, 0);
            tarn_status status = tarn_plan_solve(buffers, count, &options, offsets, NULL);
            unsigned long requests = base_memory_requests();
            base_memory_fail_at(0, 0);
            if (status == TARN_OK) {
                assert_true(requests < k);
                break;
            }
            assert_int_equal(status, TARN_OUT_OF_MEMORY);
            assert_int_equal(offsets[0], 77);
        }
        print_message("%lu requests failed, each cleanly\n", k - 1);
        assert_in_range(k, 40, 10000);
    }
}

static size_t read_problem(const char *name, tarn_plan_buffer *buffers, size_t most) {
    const char *folder = getenv("TARN_SHARED_DATA");
    char path[4096], line[256];
    if (folder == NULL) return 0;
    snprintf(path, sizeof path, "%s/minimalloc/%s.1048576.csv", folder, name);
    FILE *stream = fopen(path, "r");
    if (stream == NULL) return 0;
    size_t count = 0;
    while (count < most && fgets(line, sizeof line, stream) != NULL) {
        long long id, lower, upper, size;
        if (sscanf(line, "%lld,%lld,%lld,%lld", &id, &lower, &upper, &size) != 4) continue;
        buffers[count++] = buffer(lower, upper, (uint64_t)size);
    }
    fclose(stream);
    return count;
}

static void published_problems_reach_the_lower_bound(void **state) {
    (void)state;
    const char *names[] = {"A", "B", "C", "E", "F", "G", "H"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        static tarn_plan_buffer buffers[MOST];
        static uint64_t offsets[MOST];
        size_t count = read_problem(names[i], buffers, MOST);
        if (count == 0) {
            print_message("skipped: no problems in TARN_SHARED_DATA\n");
            skip();
        }
        tarn_plan_result result = solve(buffers, count, 1, offsets);
        assert_true(result.is_optimal);
        print_message("%s: %llu in %.3f s\n", names[i], (unsigned long long)result.height, result.seconds);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_problems_are_solved_as_low_as_the_best_of_all_plans),
        cmocka_unit_test(two_ways_to_search_agree_and_prove_the_same),
        cmocka_unit_test(alignments_fixed_offsets_and_gaps_are_searched_to_the_proof),
        cmocka_unit_test(proofs_at_heights_that_no_plan_has_claim_no_more_than_they_show),
        cmocka_unit_test(windows_are_searched_and_never_called_impossible_wrongly),
        cmocka_unit_test(rectangles_without_waste_are_put_together_again),
        cmocka_unit_test(one_thread_always_finds_the_same_plan),
        cmocka_unit_test(a_search_ends_with_the_first_plan_that_fits_when_that_is_asked),
        cmocka_unit_test(progress_ends_a_search),
        cmocka_unit_test(a_search_survives_each_failure_of_host_memory),
        cmocka_unit_test(published_problems_reach_the_lower_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
