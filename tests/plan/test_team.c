/* Teams: what their threads find is shared, and the failure of one is told by the thread that asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/status.h"
#include "plan/team.h"

#define BUFFERS 3

static uint64_t sizes[BUFFERS] = {4, 4, 8};
static const plan_section section = {.count = BUFFERS, .size = sizes};

typedef struct job {
    plan_team team;
    _Atomic unsigned present;
} job;

/* Thread n finds a plan that is n bytes lower than the first one. */
static tarn_status find(void *context, unsigned number) {
    job *shared = context;
    uint64_t offsets[BUFFERS] = {0, 4, 20 - number}, lowest[BUFFERS];
    uint64_t height = plan_team_keep(&shared->team, offsets);
    assert_int_equal(height, 28 - number);
    assert_true(plan_team_copy(&shared->team, lowest) <= height);
    assert_int_equal(lowest[1], 4);
    return TARN_OK;
}

static void a_team_keeps_the_lowest_plan_of_all(void **state) {
    (void)state;
    uint64_t offsets[BUFFERS] = {0, 4, 21};
    job shared;
    plan_team_begin(&shared.team, &section, offsets, 29);
    assert_int_equal(plan_team_work(&shared.team, 4, find, &shared), TARN_OK);
    assert_int_equal(plan_team_end(&shared.team), offsets[2] + 8);
    assert_true(offsets[2] >= 17 && offsets[2] <= 20);
}

static tarn_status fail_elsewhere(void *context, unsigned number) {
    job *shared = context;
    atomic_fetch_add(&shared->present, 1);
    if (number == 0) return TARN_OK;
    return base_fail(TARN_OUT_OF_MEMORY, "thread %u has no memory", number);
}

static void a_failure_of_another_thread_is_told_with_its_sentence(void **state) {
    (void)state;
    uint64_t offsets[BUFFERS] = {0, 4, 8};
    job shared = {.present = 0};
    plan_team_begin(&shared.team, &section, offsets, 16);
    base_fail(TARN_INTERNAL, "an older sentence");
    tarn_status status = plan_team_work(&shared.team, 2, fail_elsewhere, &shared);
    assert_int_equal(plan_team_end(&shared.team), 16);
    if (atomic_load(&shared.present) < 2) skip();
    assert_int_equal(status, TARN_OUT_OF_MEMORY);
    assert_string_equal(tarn_last_error(), "thread 1 has no memory");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_team_keeps_the_lowest_plan_of_all),
        cmocka_unit_test(a_failure_of_another_thread_is_told_with_its_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
