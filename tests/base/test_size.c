/* Sizes as people write and read them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <tarn/size.h>

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)
#define TIB (GIB * 1024)
#define PIB (TIB * 1024)
#define EIB (PIB * 1024)

static void check_parse(const char *text, uint64_t expected) {
    uint64_t bytes = 12345;
    if (tarn_size_parse(text, &bytes) != TARN_OK) fail_msg("%s: %s", text, tarn_last_error());
    if (bytes != expected) fail_msg("%s: %llu", text, (unsigned long long)bytes);
}

static void check_refused(const char *text) {
    uint64_t bytes = 12345;
    if (tarn_size_parse(text, &bytes) != TARN_INVALID_ARGUMENT)
        fail_msg("%s was read as %llu", text, (unsigned long long)bytes);
    assert_int_equal(bytes, 12345);
    assert_true(strlen(tarn_last_error()) > 0);
}

static void all_units_are_read_in_any_case_and_length(void **state) {
    (void)state;
    check_parse("0", 0);
    check_parse("1048576", MIB);
    check_parse("512B", 512);
    check_parse("512b", 512);
    check_parse("1K", KIB);
    check_parse("1kb", KIB);
    check_parse("1KiB", KIB);
    check_parse("512M", 512 * MIB);
    check_parse("512mIb", 512 * MIB);
    check_parse("8GiB", 8 * GIB);
    check_parse("3T", 3 * TIB);
    check_parse("5pb", 5 * PIB);
    check_parse("15EiB", 15 * EIB);
    check_parse("007k", 7 * KIB);
}

static void fractions_are_exact_and_rounded_down(void **state) {
    (void)state;
    check_parse("1.5g", GIB + GIB / 2);
    check_parse("0.5k", 512);
    check_parse("0.25M", 256 * KIB);
    check_parse("1.0G", GIB);
    check_parse("0.001K", 1);
    check_parse("0.0009K", 0);
    check_parse("0.3G", UINT64_C(322122547));
    check_parse("15.5E", 15 * EIB + EIB / 2);
    check_parse("0.000000000000000000000000000000000000000001E", 0);
    check_parse("1.99999999999999999999999999999999999999999999K", 2047);
}

static void the_largest_sizes_are_read_and_larger_ones_refused(void **state) {
    (void)state;
    check_parse("18446744073709551615", UINT64_MAX);
    check_parse("17179869183G", 17179869183 * GIB);
    check_refused("18446744073709551616");
    check_refused("99999999999999999999999999999999999999999");
    check_refused("16E");
    check_refused("16.0E");
    check_refused("17179869184G");
    check_refused("18446744073709551615K");
    check_parse("15.99999999999999999999E", UINT64_MAX);
}

static void garbage_is_refused(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",    " ",   "B",     "G",      "GiB", "-1",   "+1",  "- 1",  "1 G",  "1.2 GiB", " 1",    "1 ",    "1.",
        ".5G", ".",   "1..5G", "1.5.5G", "1.5", "1.5B", "1.0", "1,5G", "1e9",  "0x10",    "8GiBB", "8GB1",  "8GG",
        "8iB", "8Bi", "8BB",   "8X",     "8Z",  "ten",  "inf", "nan",  "1G\n", "\t1",     "1\xc2", "1Kib ", "8 B",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) check_refused(texts[i]);
}

static void a_long_text_is_quoted_in_part(void **state) {
    (void)state;
    char text[5000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    check_refused(text);
    assert_true(strlen(tarn_last_error()) < 200);
}

static void missing_arguments_are_refused(void **state) {
    (void)state;
    uint64_t bytes = 3;
    assert_int_equal(tarn_size_parse(NULL, &bytes), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_size_parse("1", NULL), TARN_INVALID_ARGUMENT);
    assert_int_equal(bytes, 3);
}

static void check_format(uint64_t bytes, const char *expected) {
    char text[TARN_SIZE_TEXT];
    assert_ptr_equal(tarn_size_format(bytes, text), text);
    assert_string_equal(text, expected);
}

static void sizes_are_printed_in_the_largest_unit_that_fits(void **state) {
    (void)state;
    check_format(0, "0 B");
    check_format(1, "1 B");
    check_format(1023, "1023 B");
    check_format(KIB, "1 KiB");
    check_format(KIB + 1, "1.0 KiB");
    check_format(1536, "1.5 KiB");
    check_format(8 * GIB, "8 GiB");
    check_format(GIB * 6 + GIB * 2 / 5, "6.4 GiB");
    check_format(MIB * 512, "512 MiB");
    check_format(99 * KIB + 900, "99.9 KiB");
    check_format(TIB * 2, "2 TiB");
    check_format(PIB * 3 + PIB / 10, "3.1 PiB");
    check_format(EIB, "1 EiB");
    check_format(UINT64_MAX, "16.0 EiB");
}

static void rounding_never_needs_a_fifth_character(void **state) {
    (void)state;
    check_format(100 * KIB - 1, "100 KiB");
    check_format(1000 * KIB - 1, "1000 KiB");
    check_format(MIB - 1, "1.0 MiB");
    check_format(GIB - 1, "1.0 GiB");
    check_format(EIB - 1, "1.0 EiB");
    for (int shift = 0; shift < 64; shift++) {
        for (int offset = -2; offset <= 2; offset++) {
            char text[TARN_SIZE_TEXT];
            tarn_size_format((UINT64_C(1) << shift) + (uint64_t)(int64_t)offset, text);
            assert_true(strcspn(text, " ") <= 4);
        }
    }
}

static void whole_sizes_come_back_as_they_went(void **state) {
    (void)state;
    for (int shift = 0; shift < 64; shift++) {
        char text[TARN_SIZE_TEXT];
        tarn_size_format(UINT64_C(1) << shift, text);
        char *blank = strchr(text, ' ');
        memmove(blank, blank + 1, strlen(blank));
        check_parse(text, UINT64_C(1) << shift);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_units_are_read_in_any_case_and_length),
        cmocka_unit_test(fractions_are_exact_and_rounded_down),
        cmocka_unit_test(the_largest_sizes_are_read_and_larger_ones_refused),
        cmocka_unit_test(garbage_is_refused),
        cmocka_unit_test(a_long_text_is_quoted_in_part),
        cmocka_unit_test(missing_arguments_are_refused),
        cmocka_unit_test(sizes_are_printed_in_the_largest_unit_that_fits),
        cmocka_unit_test(rounding_never_needs_a_fifth_character),
        cmocka_unit_test(whole_sizes_come_back_as_they_went),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
