/* What the planner stands on, each compared with the slowest way to do the same: sorting, the tide, the candidates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "plan/candidates.h"
#include "plan/sort.h"
#include "plan/tide.h"
#include "plan/weights.h"

static uint64_t state_of_random = 1;

static uint32_t below(uint32_t limit) { return (uint32_t)(plan_random(&state_of_random) % limit); }

static void sorting_keeps_the_order_of_equal_keys(void **state) {
    (void)state;
    for (size_t count = 0; count < 3000; count = count * 2 + 1) {
        plan_keyed *keyed = calloc(count + 1, sizeof *keyed), *scratch = calloc(count + 1, sizeof *scratch);
        for (uint32_t i = 0; i < count; i++) {
            uint64_t high = below(3);
            keyed[i] = (plan_keyed){high << 60 | below(50), i};
        }
        plan_sort(keyed, scratch, count);
        for (size_t i = 1; i < count; i++) {
            assert_true(keyed[i - 1].key <= keyed[i].key);
            if (keyed[i - 1].key == keyed[i].key) assert_true(keyed[i - 1].item < keyed[i].item);
        }
        free(keyed);
        free(scratch);
    }
    assert_true(plan_key_of_time(INT64_MIN) < plan_key_of_time(-1));
    assert_true(plan_key_of_time(-1) < plan_key_of_time(0));
    assert_true(plan_key_of_time(0) < plan_key_of_time(INT64_MAX));
}

static void the_tide_finds_the_first_of_the_highest_slots(void **state) {
    (void)state;
    for (uint32_t slots = 1; slots < 70; slots++) {
        plan_tide tide;
        uint64_t numbers[70];
        assert_true(plan_tide_begin(&tide, slots));
        for (uint32_t i = 0; i < slots; i++) numbers[i] = 1000 + below(10);
        plan_tide_set(&tide, numbers);
        for (unsigned round = 0; round < 100; round++) {
            uint32_t lower = below(slots), upper = lower + 1 + below(slots - lower), amount = below(8);
            for (uint32_t i = lower; i < upper; i++) numbers[i] -= amount;
            plan_tide_lower(&tide, lower, upper, amount);
            lower = below(slots);
            upper = lower + 1 + below(slots - lower);
            uint32_t highest = lower;
            for (uint32_t i = lower; i < upper; i++)
                if (numbers[i] > numbers[highest]) highest = i;
            uint64_t number;
            assert_int_equal(plan_tide_highest(&tide, lower, upper, &number), highest);
            assert_int_equal(number, numbers[highest]);
        }
        plan_tide_end(&tide);
    }
}

enum { MANY = 500, SLOTS = 60 };

static uint64_t weight_of(const plan_section *section, const plan_candidates *candidates, uint32_t buffer,
                          const uint64_t *weights, bool by_size) {
    uint64_t weight = weights[section->upper[buffer]] - weights[section->lower[buffer]];
    return by_size ? weight * candidates->largeness[candidates->place_of[buffer]] : weight;
}

/* What the heaviest candidate weighs, or 0. */
static uint64_t heaviest(const plan_section *section, const plan_candidates *candidates, const bool *is_taken,
                         uint32_t lower, uint32_t upper, uint32_t slot, const uint64_t *weights, bool by_size) {
    uint64_t most = 0;
    for (uint32_t i = 0; i < section->count; i++) {
        if (is_taken[i] || section->lower[i] < lower || section->upper[i] > upper || section->lower[i] > slot ||
            section->upper[i] <= slot) {
            continue;
        }
        uint64_t weight = weight_of(section, candidates, i, weights, by_size);
        if (weight > most) most = weight;
    }
    return most;
}

static void the_heaviest_candidate_is_found_until_none_is_left(void **state) {
    (void)state;
    for (uint32_t count = 1; count <= MANY; count = count * 2 + 3) {
        uint32_t lowers[MANY], uppers[MANY];
        uint64_t sizes[MANY], fixed[MANY], weights[SLOTS + 1] = {0}, lengths[SLOTS + 1] = {0};
        bool is_taken[MANY] = {false};
        plan_keyed keyed[MANY], scratch[MANY];
        for (uint32_t i = 0; i < count; i++) {
            lowers[i] = below(SLOTS - 1);
            uppers[i] = lowers[i] + 1 + below(SLOTS - lowers[i]);
            sizes[i] = 1 + below(100);
            fixed[i] = below(20) == 0 ? 0 : TARN_PLAN_ANYWHERE;
            is_taken[i] = fixed[i] == 0;
        }
        for (uint32_t i = 0; i < SLOTS; i++) {
            weights[i + 1] = weights[i] + 1 + below(50);
            lengths[i + 1] = i + 1;
        }
        plan_section section = {
            .count = count, .slot_count = SLOTS, .lower = lowers, .upper = uppers, .size = sizes, .fixed = fixed};
        plan_candidates candidates;
        assert_true(plan_candidates_begin(&candidates, &section, keyed, scratch));
        plan_candidates_reset(&candidates);
        for (uint32_t i = 0; i < count; i++) {
            if (is_taken[i]) continue;
            uint32_t largeness = candidates.largeness[candidates.place_of[i]];
            assert_in_range(largeness, 1, PLAN_LARGEST);
            for (uint32_t j = 0; j < i; j++)
                if (!is_taken[j] && sizes[j] == sizes[i])
                    assert_int_equal(candidates.largeness[candidates.place_of[j]], largeness);
        }
        for (unsigned round = 0; round < 4 * MANY; round++) {
            uint32_t lower = below(SLOTS), upper = lower + 1 + below(SLOTS - lower),
                     slot = lower + below(upper - lower);
            const uint64_t *chosen = round % 2 == 0 ? weights : lengths;
            bool by_size = round % 5 < 2;
            uint32_t found =
                plan_candidates_find(&candidates, lower, upper, slot, round % 2 == 0 ? weights : NULL, by_size);
            uint64_t most = heaviest(&section, &candidates, is_taken, lower, upper, slot, chosen, by_size);
            if (found == PLAN_NOBODY) {
                assert_int_equal(most, 0);
                continue;
            }
            assert_false(is_taken[found]);
            assert_int_equal(weight_of(&section, &candidates, found, chosen, by_size), most);
            if (round % 3 != 0) continue;
            plan_candidates_take(&candidates, found);
            is_taken[found] = true;
        }
        plan_candidates_end(&candidates);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sorting_keeps_the_order_of_equal_keys),
        cmocka_unit_test(the_tide_finds_the_first_of_the_highest_slots),
        cmocka_unit_test(the_heaviest_candidate_is_found_until_none_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
