/* Call sites: captured as addresses, named from the symbol tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/call_site.h"
#include "base/elf_image.h"

#define NOT_INLINED __attribute__((noinline, noclone))
#define STAY() __asm__ volatile("")

static const void *frames[BASE_CALL_FRAMES];
static unsigned count;

NOT_INLINED static void innermost(unsigned depth) {
    count = base_call_capture(__builtin_return_address(0), depth, frames);
    STAY();
}

NOT_INLINED static void caller(unsigned depth) {
    innermost(depth);
    STAY();
}

NOT_INLINED static void callers_caller(unsigned depth) {
    caller(depth);
    STAY();
}

static void one_frame_is_the_caller_and_has_its_name(void **state) {
    (void)state;
    char text[1024];
    callers_caller(1);
    assert_int_equal(count, 1);
    base_call_describe(frames, count, text, sizeof text);
    assert_int_equal(strncmp(text, "caller+0x", 9), 0);
    assert_non_null(strstr(text, "(test_base_call_site)"));
}

static void more_frames_are_its_callers_in_order(void **state) {
    (void)state;
    char text[4096];
    callers_caller(3);
    assert_int_equal(count, 3);
    base_call_describe(frames, count, text, sizeof text);
    assert_int_equal(strncmp(text, "caller+0x", 9), 0);
    assert_non_null(strstr(text, " < callers_caller+0x"));
    assert_non_null(strstr(text, " < more_frames_are_its_callers_in_order+0x"));
    callers_caller(1000);
    assert_true(count > 3 && count <= BASE_CALL_FRAMES);
}

static void an_unknown_caller_has_no_frames(void **state) {
    (void)state;
    char text[64], cut[8];
    assert_int_equal(base_call_capture(NULL, 4, frames), 0);
    assert_int_equal(base_call_capture(text, 0, frames), 0);
    assert_string_equal(base_call_describe(frames, 0, text, sizeof text), "an unknown place");
    base_call_describe(frames, 0, cut, sizeof cut);
    assert_string_equal(cut, "an unkn");
}

static void an_address_outside_all_files_is_shown_as_it_is(void **state) {
    (void)state;
    char text[64];
    void *nowhere = malloc(16);
    const void *frame = nowhere;
    base_call_describe(&frame, 1, text, sizeof text);
    assert_int_equal(strncmp(text, "0x", 2), 0);
    free(nowhere);
}

static void functions_of_shared_objects_are_named(void **state) {
    (void)state;
    char text[256];
    const void *frame = (const char *)(uintptr_t)&qsort + 1;
    base_call_describe(&frame, 1, text, sizeof text);
    assert_non_null(strstr(text, "qsort"));
    assert_non_null(strstr(text, ".so"));
}

/* Places in two files, in functions and behind them, more than there is room for names that are kept. */
enum { PLACES = 400 };

static const void *place_number(int i) {
    const char *function = i % 2 == 0 ? (const char *)(uintptr_t)&qsort : (const char *)(uintptr_t)&callers_caller;
    return function + 1 + i / 2 % 8 + i / 16;
}

static char told[PLACES][BASE_CALL_TEXT];

static void *tell_all_again(void *context) {
    int *wrong = context;
    for (int i = 0; i < 2 * PLACES; i++) {
        char text[BASE_CALL_TEXT];
        const void *frame = place_number(i % PLACES);
        base_call_describe(&frame, 1, text, sizeof text);
        *wrong += strcmp(text, told[i % PLACES]) != 0;
    }
    return NULL;
}

static void a_name_is_the_same_whoever_asks_again(void **state) {
    (void)state;
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    int wrong[THREADS] = {0};
    for (int i = 0; i < PLACES; i++) {
        const void *frame = place_number(i);
        base_call_describe(&frame, 1, told[i], sizeof told[i]);
        char past[32];
        snprintf(past, sizeof past, "+0x%x ", 1 + i / 2 % 8 + i / 16);
        if (i < 8) assert_non_null(strstr(told[i], past));
    }
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, tell_all_again, &wrong[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(wrong[i], 0);
    }
}

/* The tables of a file are not trusted. */
static void a_broken_file_has_no_names(void **state) {
    (void)state;
    unsigned char bytes[256] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
    uint64_t past;
    for (size_t size = 0; size <= sizeof bytes; size += 8) {
        base_elf_image image = {bytes, size};
        assert_null(base_elf_function(&image, 0x1000, &past));
        assert_false(base_elf_address(&image, 0, &past));
    }
    memset(bytes + 16, 0xff, sizeof bytes - 16);
    base_elf_image image = {bytes, sizeof bytes};
    assert_null(base_elf_function(&image, 0x1000, &past));
    assert_false(base_elf_address(&image, 0, &past));
    assert_null(base_elf_function(&(base_elf_image){0}, 0, &past));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_frame_is_the_caller_and_has_its_name),
        cmocka_unit_test(more_frames_are_its_callers_in_order),
        cmocka_unit_test(an_unknown_caller_has_no_frames),
        cmocka_unit_test(an_address_outside_all_files_is_shown_as_it_is),
        cmocka_unit_test(functions_of_shared_objects_are_named),
        cmocka_unit_test(a_name_is_the_same_whoever_asks_again),
        cmocka_unit_test(a_broken_file_has_no_names),
    };
    return cmocka_run_group_tests_name("base call sites", tests, NULL, NULL);
}
