/* Text written piece by piece: cut where the room ends, while the whole length is counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

static void characters_of_utf8_are_told_from_other_bytes(void **state) {
    (void)state;
    static const char *const characters[] = {
        "a", "\x7f", "\xc3\xa9", "\xe2\x82\xac", "\xed\x9f\xbf", "\xf0\x9f\x98\x80"};
    for (size_t i = 0; i < sizeof characters / sizeof characters[0]; i++)
        assert_int_equal(base_utf8_length(characters[i]), strlen(characters[i]));
    /* A lone continuation, one cut off, the long forms of shorter ones, a surrogate, what lies beyond Unicode. */
    static const char *const others[] = {
        "\x80", "\xc3", "\xe2\x82", "\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
        "\xff"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) assert_int_equal(base_utf8_length(others[i]), 0);
}

static void control_characters_do_not_reach_a_terminal(void **state) {
    (void)state;
    assert_int_equal(base_control_length("\x1b[31m"), 1);
    assert_int_equal(base_control_length("\x7f"), 1);
    assert_int_equal(base_control_length("\xc2\x9b"
                                         "31m"),
                     2);
    assert_int_equal(base_control_length(" "), 0);
    assert_int_equal(base_control_length("\xc2\xa0"), 0);
    assert_int_equal(base_control_length("\xc2"), 0);
    char text[] = "a\x1b[31m\n\xc2\x9b"
                  "2J\xc3\xa9\x7f\xff";
    base_text_disarm(text);
    assert_string_equal(text, "a?[31m??2J\xc3\xa9?\xff");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_stand_one_behind_the_other),
        cmocka_unit_test(what_has_no_room_is_counted),
        cmocka_unit_test(characters_of_utf8_are_told_from_other_bytes),
        cmocka_unit_test(control_characters_do_not_reach_a_terminal),
    };
    return cmocka_run_group_tests_name("base text", tests, NULL, NULL);
}
