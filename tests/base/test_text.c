/* Text written piece by piece: cut where the room ends, while the whole length is counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"

static void pieces_stand_one_behind_the_other(void **state) {
    (void)state;
    char room[16];
    base_text text;
    base_text_begin(&text, room, sizeof room);
    assert_string_equal(room, "");
    base_text_put(&text, "%d", 12);
    base_text_put(&text, ", %s", "abc");
    assert_string_equal(room, "12, abc");
    assert_int_equal(text.length, 7);
}

static void what_has_no_room_is_counted(void **state) {
    (void)state;
    char room[5];
    base_text text;
    base_text_begin(&text, room, sizeof room);
    for (int i = 0; i < 3; i++) base_text_put(&text, "%s", "abc");
    assert_string_equal(room, "abca");
    assert_int_equal(text.length, 9);
    base_text_begin(&text, NULL, sizeof room);
    base_text_put(&text, "%s", "abc");
    assert_int_equal(text.length, 3);
    room[0] = 'x';
    base_text_begin(&text, room, 0);
    base_text_put(&text, "%s", "abc");
    assert_int_equal(text.length, 3);
    assert_int_equal(room[0], 'x');
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_stand_one_behind_the_other),
        cmocka_unit_test(what_has_no_room_is_counted),
    };
    return cmocka_run_group_tests_name("base text", tests, NULL, NULL);
}
