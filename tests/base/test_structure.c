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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_structure_is_filled_as_far_as_the_caller_knows_it),
        cmocka_unit_test(a_size_that_no_version_had_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
