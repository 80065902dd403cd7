/* Structures that begin with their size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/structure.h"

typedef struct figures {
    size_t struct_size;
    int first, second;
} figures;

static const figures full = {.struct_size = sizeof full, .first = 1, .second = 2};

static void a_structure_is_filled_as_far_as_the_caller_knows_it(void **state) {
    (void)state;
    figures caller = {.struct_size = offsetof(figures, second), .second = 77};
    assert_int_equal(base_fill_structure(&caller, &full, sizeof full, "figures"), TARN_OK);
    assert_int_equal(caller.first, 1);
    assert_int_equal(caller.second, 77);
    assert_int_equal(caller.struct_size, offsetof(figures, second));
}

/* Fault 11. */
static void a_size_that_no_version_had_is_refused(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, sizeof(size_t), sizeof full + 1, SIZE_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        figures caller = {.struct_size = sizes[i], .first = 77};
        assert_int_equal(base_fill_structure(&caller, &full, sizeof full, "figures"), TARN_INVALID_ARGUMENT);
        assert_int_equal(caller.first, 77);
        assert_non_null(strstr(tarn_last_error(), "struct_size of figures"));
    }
}

static void options_are_read_as_far_as_the_caller_knows_them(void **state) {
    (void)state;
    figures caller = {.struct_size = offsetof(figures, second), .first = 5, .second = 77}, read;
    assert_int_equal(base_read_structure("figures", &caller, &read, sizeof read), TARN_OK);
    assert_int_equal(read.first, 5);
    assert_int_equal(read.second, 0);
    assert_int_equal(base_read_structure("figures", NULL, &read, sizeof read), TARN_OK);
    assert_int_equal(read.struct_size, sizeof read);
    assert_int_equal(read.first + read.second, 0);
}

/* Fault 11: a newer caller's members are fine as long as they ask for nothing. */
static void options_that_ask_for_the_unknown_are_refused(void **state) {
    (void)state;
    struct newer {
        figures known;
        long unknown;
    } newer = {.known = {.struct_size = sizeof newer, .first = 5}};
    figures read;
    assert_int_equal(base_read_structure("figures", &newer, &read, sizeof read), TARN_OK);
    assert_int_equal(read.first, 5);
    newer.unknown = 1;
    assert_int_equal(base_read_structure("figures", &newer, &read, sizeof read), TARN_INVALID_ARGUMENT);
    newer.known.struct_size = 0;
    assert_int_equal(base_read_structure("figures", &newer, &read, sizeof read), TARN_INVALID_ARGUMENT);
    newer.known.struct_size = SIZE_MAX;
    assert_int_equal(base_read_structure("figures", &newer, &read, sizeof read), TARN_INVALID_ARGUMENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_structure_is_filled_as_far_as_the_caller_knows_it),
        cmocka_unit_test(a_size_that_no_version_had_is_refused),
        cmocka_unit_test(options_are_read_as_far_as_the_caller_knows_them),
        cmocka_unit_test(options_that_ask_for_the_unknown_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
