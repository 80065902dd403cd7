/* The clocks: neither goes back (fault 64), and the quick one tells the time of the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

/* What the quick clock may be off by, with much to spare. */
static const uint64_t tolerance_ns = 50000;

static void expect_agreement(base_quick_clock *clock, unsigned readings) {
    uint64_t last = 0;
    for (unsigned i = 0; i < readings; i++) {
        uint64_t before = base_clock_ns(), quick = base_quick_clock_ns(clock), after = base_clock_ns();
        assert_true(before <= after);
        assert_true(quick >= last);
        assert_true(quick + tolerance_ns >= before);
        assert_true(quick <= after + tolerance_ns);
        last = quick;
    }
}

/* For as long as it takes to read the clock itself some times anew. */
static void the_quick_clock_goes_with_the_clock(void **state) {
    (void)state;
    base_quick_clock clock;
    base_quick_clock_begin(&clock);
    uint64_t begin = base_clock_ns();
    while (base_clock_ns() - begin < 20000000) expect_agreement(&clock, 100);
}

static void without_a_counter_the_clock_itself_answers(void **state) {
    (void)state;
    base_quick_clock clock = {0};
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t before = base_clock_ns(), quick = base_quick_clock_ns(&clock), after = base_clock_ns();
        assert_true(before <= quick && quick <= after);
    }
}

/* As after a machine has slept, or moved to another host, whose counter stands elsewhere. */
static void a_counter_that_jumps_is_not_believed(void **state) {
    (void)state;
    base_quick_clock clock;
    base_quick_clock_begin(&clock);
    const uint64_t jumps[] = {1u << 31, UINT64_C(1) << 40, UINT64_C(1) << 63, -(UINT64_C(1) << 31),
                              -(UINT64_C(1) << 40)};
    for (unsigned i = 0; i < sizeof jumps / sizeof jumps[0]; i++) {
        uint64_t begin = base_clock_ns();
        while (base_clock_ns() - begin < 3000000) expect_agreement(&clock, 10);
        clock.counted += jumps[i];
        expect_agreement(&clock, 100);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_quick_clock_goes_with_the_clock),
        cmocka_unit_test(without_a_counter_the_clock_itself_answers),
        cmocka_unit_test(a_counter_that_jumps_is_not_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
