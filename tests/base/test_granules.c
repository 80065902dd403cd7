/* Granules and the slots that they are mapped into: what is refused changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/granules.h"
#include "base/memory.h"

static char sentence[256];

static TARN_PRINTF(2, 3) tarn_status refuse(tarn_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    return status;
}

static void expect_refused(tarn_status status, const char *part) {
    assert_int_equal(status, TARN_INVALID_ARGUMENT);
    if (strstr(sentence, part) == NULL) fail_msg("\"%s\" lacks \"%s\"", sentence, part);
}

static void numbers_are_used_again_after_their_release(void **state) {
    (void)state;
    base_granules granules = {.fail = refuse};
    uint64_t numbers[3], again[2];
    assert_int_equal(base_granules_create(&granules, 3, numbers), TARN_OK);
    for (uint64_t i = 0; i < 3; i++) assert_int_equal(numbers[i], i + 1);
    base_granule_of(&granules, numbers[1])->place = sentence;
    assert_int_equal(base_granules_release(&granules, 2, numbers), TARN_OK);
    assert_int_equal(base_granules_create(&granules, 2, again), TARN_OK);
    assert_int_equal(again[0] + again[1], 3);
    assert_null(base_granule_of(&granules, 2)->place);
    base_granules_end(&granules);
}

static void what_is_refused_changes_nothing(void **state) {
    (void)state;
    base_granules granules = {.fail = refuse};
    uint64_t numbers[4];
    uint32_t slots[4] = {0}, expected[4];
    assert_int_equal(base_granules_create(&granules, 4, numbers), TARN_OK);
    assert_int_equal(base_granules_map(&granules, slots + 1, 2, numbers), TARN_OK);
    memcpy(expected, slots, sizeof slots);
    const uint64_t twice[] = {numbers[2], numbers[2]}, dead[] = {numbers[2], 77}, none[] = {numbers[2], 0};
    const uint64_t mapped[] = {numbers[2], numbers[0]};
    expect_refused(base_granules_map(&granules, slots, 2, &numbers[2]), "granule 1 of the range is mapped already");
    expect_refused(base_granules_map(&granules, slots + 3, 1, numbers), "granule 1 is mapped elsewhere");
    uint32_t others[2] = {0};
    expect_refused(base_granules_map(&granules, others, 2, twice), "granule 3 is mapped elsewhere");
    expect_refused(base_granules_map(&granules, others, 2, dead), "there is no granule 77");
    expect_refused(base_granules_map(&granules, others, 2, none), "there is no granule 0");
    expect_refused(base_granules_unmap(&granules, slots, 2), "granule 0 of the range is not mapped");
    expect_refused(base_granules_check_empty(&granules, slots, 4), "granule 1 of the range is still mapped");
    expect_refused(base_granules_release(&granules, 2, mapped), "granule 1 is still mapped");
    expect_refused(base_granules_release(&granules, 2, twice), "there is no granule 3");
    assert_memory_equal(slots, expected, sizeof slots);
    assert_int_equal(others[0] + others[1], 0);
    /* All of it is still possible. */
    assert_int_equal(base_granules_map(&granules, others, 2, &numbers[2]), TARN_OK);
    assert_int_equal(base_granules_unmap(&granules, others, 2), TARN_OK);
    assert_int_equal(base_granules_unmap(&granules, slots + 1, 2), TARN_OK);
    assert_int_equal(base_granules_check_empty(&granules, slots, 4), TARN_OK);
    assert_int_equal(base_granules_release(&granules, 4, numbers), TARN_OK);
    base_granules_end(&granules);
}

static void an_alias_lives_until_its_last_place_is_gone(void **state) {
    (void)state;
    base_granules granules = {.fail = refuse, .may_alias = true};
    uint64_t number;
    uint32_t slots[2] = {0};
    assert_int_equal(base_granules_create(&granules, 1, &number), TARN_OK);
    const uint64_t twice[] = {number, number};
    assert_int_equal(base_granules_map(&granules, slots, 2, twice), TARN_OK);
    assert_int_equal(base_granules_unmap(&granules, slots, 1), TARN_OK);
    expect_refused(base_granules_release(&granules, 1, &number), "still mapped");
    assert_int_equal(base_granules_unmap(&granules, slots + 1, 1), TARN_OK);
    assert_int_equal(base_granules_release(&granules, 1, &number), TARN_OK);
    base_granules_end(&granules);
}

static void a_lack_of_host_memory_gives_no_granule(void **state) {
    (void)state;
    base_granules granules = {.fail = refuse};
    uint64_t numbers[100] = {77};
    for (unsigned long k = 1; k <= 2; k++) {
        base_memory_fail_at(k, 0);
        assert_int_equal(base_granules_create(&granules, 100, numbers), TARN_OUT_OF_MEMORY);
        base_memory_fail_at(0, 0);
        assert_int_equal(numbers[0], 77);
    }
    assert_int_equal(base_granules_create(&granules, 100, numbers), TARN_OK);
    base_granules_end(&granules);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_used_again_after_their_release),
        cmocka_unit_test(what_is_refused_changes_nothing),
        cmocka_unit_test(an_alias_lives_until_its_last_place_is_gone),
        cmocka_unit_test(a_lack_of_host_memory_gives_no_granule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
