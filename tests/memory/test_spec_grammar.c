/* The text that names a stack: what is understood, what is refused, and that a refusal tells the column. The numbers in
 * comments are those of the project's list of faults. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stand.h"

static int open_device(void **state) { return tarn_device_open("sim:8GiB", (tarn_device **)state) == TARN_OK ? 0 : -1; }

static int close_device(void **state) { return tarn_device_release(*state) == TARN_OK ? 0 : -1; }

static void expect_understood(tarn_device *device, const char *spec) {
    tarn_allocator *allocator = NULL;
    tarn_buffer *buffer = NULL;
    tarn_status status = tarn_allocator_create(device, spec, &allocator);
    if (status != TARN_OK) fail_msg("\"%s\" was refused: %s", spec, tarn_last_error());
    EXPECT_OK(tarn_allocator_allocate(allocator, 100, NULL, &buffer));
    EXPECT_OK(tarn_allocator_free(allocator, buffer, NULL));
    EXPECT_OK(tarn_allocator_release(allocator));
}

/* `column` 0: any. */
static void expect_refused(tarn_device *device, const char *spec, int column) {
    tarn_allocator *allocator = (tarn_allocator *)device;
    uint64_t before = counters_of(device).memory_in_use;
    tarn_status status = tarn_allocator_create(device, spec, &allocator);
    if (status != TARN_INVALID_ARGUMENT)
        fail_msg("\"%.80s\" was answered %s, not refused", spec, tarn_status_name(status));
    assert_ptr_equal(allocator, device);
    assert_int_equal(counters_of(device).memory_in_use, before);
    char text[32];
    if (column > 0) snprintf(text, sizeof text, "column %d", column);
    else snprintf(text, sizeof text, "column");
    EXPECT_SENTENCE(text);
    if (column > 0) {
        /* Not the beginning of a longer number. */
        const char *after = strstr(tarn_last_error(), text) + strlen(text);
        if (*after >= '0' && *after <= '9') fail_msg("\"%s\": %s", spec, tarn_last_error());
    }
}

static void every_documented_form_is_understood(void **state) {
    static const char *const specs[] = {
        "direct",
        "caching",
        "direct:kind=device",
        "caching:expandable=on",
        "caching:expandable=off",
        "caching:gc=0.9",
        "caching:kind=device",
        "caching:thread_cache=1MiB",
        "caching:thread_cache=0",
        "caching:reserve=64MiB",
        "caching:ahead=64MiB",
        "caching:ahead=0",
        "caching:expandable=off,gc=0.5,thread_cache=64KiB",
        "limit:8GiB|caching",
        "limit:1048576 | direct",
        "limit:1.5g|limit:1GiB|caching",
        "pytorch",
        "pytorch:expandable_segments=True,max_split_size_mb=256",
        "limit:1GiB | pytorch:roundup_power2_divisions=[256:1,512:2,1024:4,>:8],garbage_collection_threshold=0.8",
        "pytorch:roundup_power2_divisions = [ 256:1 , >:8 ] , max_split_size_mb=64",
        "fail:at=1000|caching",
        "fail:every=7,at=100,count=1,status=OUT_OF_MEMORY|direct",
        "fail:|caching",
        "fail|caching",
        "record:/dev/null|caching",
        "track|caching",
        "guard|caching",
        "guard:quarantine=1MiB,canary=16,pages=off,frames=3|direct",
        "track:frames=16|direct",
        "fallback:direct|caching",
        "fallback:direct:kind=device|caching",
        "fallback:\"limit:1GiB | caching:gc=0.5\"|caching",
    };
    for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++) expect_understood(*state, specs[i]);
}

static void spaces_do_not_matter_between_words(void **state) {
    expect_understood(*state, "   caching   ");
    expect_understood(*state, "limit : 1GiB |  caching : expandable = on ,  gc = 0.9 ");
    expect_understood(*state, "\tlimit:1GiB\t|\tcaching\t");
    tarn_allocator *spaced = NULL, *plain = NULL;
    EXPECT_OK(tarn_allocator_create(*state, "  limit : 1GiB|caching ", &spaced));
    EXPECT_OK(tarn_allocator_create(*state, "limit:1GiB | caching", &plain));
    assert_string_equal(tarn_allocator_spec(spaced), tarn_allocator_spec(plain));
    EXPECT_OK(tarn_allocator_release(spaced));
    EXPECT_OK(tarn_allocator_release(plain));
}

static void a_list_may_have_commas_with_quotation_marks_and_without(void **state) {
    tarn_allocator *bare = NULL, *quoted = NULL;
    EXPECT_OK(
        tarn_allocator_create(*state, "pytorch:roundup_power2_divisions=[256:1,>:4],max_split_size_mb=64", &bare));
    EXPECT_OK(tarn_allocator_create(*state, "pytorch:roundup_power2_divisions=\"[256:1,>:4]\",max_split_size_mb=64",
                                    &quoted));
    assert_string_equal(tarn_allocator_spec(bare), tarn_allocator_spec(quoted));
    EXPECT_OK(tarn_allocator_release(bare));
    EXPECT_OK(tarn_allocator_release(quoted));
    expect_refused(*state, "pytorch:roundup_power2_divisions=[256:1,>:4", 9);
    expect_refused(*state, "pytorch:roundup_power2_divisions=[256:1]],max_split_size_mb=64", 9);
}

static void unknown_names_are_refused_with_their_column(void **state) {
    expect_refused(*state, "cachin", 1);
    expect_refused(*state, "cachingx", 1);
    expect_refused(*state, "CACHING", 1);
    expect_refused(*state, "limit:1GiB | cashing", 14);
    expect_refused(*state, "  nothing", 3);
    expect_refused(*state, "caching:wings=on", 9);
    expect_refused(*state, "caching:expandable=on,wings=on", 23);
    expect_refused(*state, "direct:gc=0.5", 8);
}

static void the_order_of_elements_is_kept(void **state) {
    expect_refused(*state, "", 0);
    expect_refused(*state, "   ", 0);
    expect_refused(*state, "limit:1GiB", 0);
    expect_refused(*state, "limit:1GiB|", 0);
    expect_refused(*state, "|caching", 1);
    expect_refused(*state, "caching|direct", 0);
    expect_refused(*state, "caching|limit:1GiB", 0);
    expect_refused(*state, "limit:1GiB||caching", 12);
    expect_refused(*state, "caching|", 0);
    expect_refused(*state, ":caching", 1);
    expect_refused(*state, "caching caching", 9);
}

static void bad_values_are_refused_with_their_column(void **state) {
    expect_refused(*state, "limit|caching", 0);
    expect_refused(*state, "track:frames=0|caching", 7);
    expect_refused(*state, "guard:canary=0|caching", 7);
    expect_refused(*state, "guard:canary=2MiB|caching", 7);
    expect_refused(*state, "guard:frames=17|caching", 7);
    expect_refused(*state, "guard:pages=maybe|caching", 7);
    expect_refused(*state, "guard:100|caching", 7);
    expect_refused(*state, "track:frames=17|caching", 7);
    expect_refused(*state, "track:8|caching", 7);
    expect_refused(*state, "fallback|caching", 1);
    expect_refused(*state, "limit:|caching", 0);
    expect_refused(*state, "limit:much|caching", 7);
    expect_refused(*state, "limit:-1|caching", 7);
    expect_refused(*state, "limit:99999999999999999999999|caching", 7);
    expect_refused(*state, "limit:1GiB,2GiB|caching", 0);
    expect_refused(*state, "caching:expandable=maybe", 9);
    expect_refused(*state, "caching:gc=2", 9);
    expect_refused(*state, "caching:gc=-0.5", 9);
    expect_refused(*state, "caching:gc=nan", 9);
    expect_refused(*state, "caching:gc=1e999", 9); /* 54 */
    expect_refused(*state, "caching:gc=", 9);
    expect_refused(*state, "caching:kind=plastic", 9);
    expect_refused(*state, "caching:thread_cache=lots", 9);
    expect_refused(*state, "caching:expandable", 9);
    expect_refused(*state, "caching:=on", 9);
    expect_refused(*state, "fail:at=x|caching", 6);
    expect_refused(*state, "fail:status=SAD|caching", 6);
    expect_refused(*state, "fail:at=99999999999999999999999|caching", 6);
    expect_refused(*state, "direct:3", 8);
}

static void an_argument_given_twice_is_refused(void **state) {
    expect_refused(*state, "caching:gc=0.5,gc=0.6", 16);
    expect_refused(*state, "fail:at=1,at=2|direct", 11);
}

static void commas_stand_between_arguments_only(void **state) {
    expect_refused(*state, "caching:,", 0);
    expect_refused(*state, "caching:gc=0.5,", 0);
    expect_refused(*state, "caching:,gc=0.5", 0);
}

static void a_memory_kind_that_the_device_lacks_is_not_supported(void **state) {
    tarn_allocator *allocator = NULL;
    tarn_device_properties properties = {.struct_size = sizeof properties};
    EXPECT_OK(tarn_device_properties_get(*state, &properties));
    static const char *const names[] = {"device", "pinned", "managed", "host", "shared"};
    for (int kind = 0; kind < TARN_MEMORY_KIND_COUNT; kind++) {
        char spec[64];
        snprintf(spec, sizeof spec, "direct:kind=%s", names[kind]);
        tarn_status wanted = (properties.memory_kinds & (1u << kind)) != 0 ? TARN_OK : TARN_NOT_SUPPORTED;
        EXPECT(wanted, tarn_allocator_create(*state, spec, &allocator));
        if (wanted == TARN_OK) EXPECT_OK(tarn_allocator_release(allocator));
    }
}

static void a_file_that_cannot_be_created_is_an_io_error(void **state) {
    tarn_allocator *allocator = NULL;
    EXPECT(TARN_IO_ERROR, tarn_allocator_create(*state, "record:/no-such-folder/trace.tarn|caching", &allocator));
    EXPECT_SENTENCE("/no-such-folder/trace.tarn");
    EXPECT(TARN_IO_ERROR, tarn_allocator_create(*state, "record:/|caching", &allocator));
    assert_null(allocator);
}

static void very_long_text_is_judged_like_any_other(void **state) {
    enum { LENGTH = 60000 };
    static char text[LENGTH + 1];
    memset(text, 'c', LENGTH);
    expect_refused(*state, text, 1);
    memset(text, ' ', LENGTH);
    expect_refused(*state, text, 0);
    memcpy(text + LENGTH - 7, "caching", 7);
    expect_understood(*state, text);
    memset(text, ',', LENGTH);
    memcpy(text, "caching:", 8);
    expect_refused(*state, text, 0);
    memset(text, '|', LENGTH);
    expect_refused(*state, text, 1);
    memset(text, ':', LENGTH);
    expect_refused(*state, text, 0);
}

static void text_without_end_is_refused_unread(void **state) {
    enum { LENGTH = 64 << 20 };
    char *text = malloc(LENGTH + 1);
    assert_non_null(text);
    memset(text, ' ', LENGTH);
    text[LENGTH] = '\0';
    tarn_allocator *allocator = NULL;
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_create(*state, text, &allocator));
    assert_null(allocator);
    free(text);
}

static void a_very_deep_stack_works_or_is_refused(void **state) {
    enum { DEPTH = 1000 };
    static char text[DEPTH * 12 + 16];
    for (int i = 0; i < DEPTH; i++) memcpy(text + i * 12, "limit:1GiB |", 12);
    memcpy(text + DEPTH * 12, "caching", 8);
    tarn_allocator *allocator = NULL;
    tarn_status status = tarn_allocator_create(*state, text, &allocator);
    if (status == TARN_OK) EXPECT_OK(tarn_allocator_release(allocator));
    else assert_int_equal(status, TARN_INVALID_ARGUMENT);
}

static void any_bytes_are_judged_without_harm(void **state) {
    unsigned long seed = test_number("TARN_MODEL_SEED", 1);
    static const char *const words[] = {"caching",
                                        "direct",
                                        "limit",
                                        "fail",
                                        ":",
                                        "|",
                                        ",",
                                        "=",
                                        "1GiB",
                                        "gc",
                                        "at",
                                        "on",
                                        "off",
                                        " ",
                                        "\x80\xff",
                                        "0.5",
                                        "99999999999999999999",
                                        "expandable",
                                        "kind",
                                        "\n"};
    for (int i = 0; i < 20000; i++) {
        char text[256] = "";
        do {
            seed = seed * 6364136223846793005ul + 1442695040888963407ul;
            strcat(text, words[(seed >> 33) % (sizeof words / sizeof words[0])]);
        } while (strlen(text) < sizeof text - 32 && (seed >> 40) % 10 != 0);
        tarn_allocator *allocator = NULL;
        if (tarn_allocator_create(*state, text, &allocator) == TARN_OK) EXPECT_OK(tarn_allocator_release(allocator));
        else assert_null(allocator);
    }
}

/* 60; the complaint is made once in the life of the process, so that one test has both. */
static void the_environment_names_the_default_stack(void **state) {
    tarn_allocator *allocator = NULL;
    unsetenv("TARN_ALLOCATOR");
    EXPECT_OK(tarn_allocator_create(*state, NULL, &allocator));
    assert_string_equal(tarn_allocator_spec(allocator), "caching");
    EXPECT_OK(tarn_allocator_release(allocator));
    setenv("TARN_ALLOCATOR", "limit:1GiB | direct", 1);
    EXPECT_OK(tarn_allocator_create(*state, NULL, &allocator));
    EXPECT_OK(tarn_allocator_set_limit(allocator, MIB));
    EXPECT_OK(tarn_allocator_release(allocator));
    setenv("TARN_ALLOCATOR", "garbage:::", 1);
    for (int i = 0; i < 2; i++) {
        log_listen();
        EXPECT_OK(tarn_allocator_create(*state, NULL, &allocator));
        log_silence();
        assert_string_equal(tarn_allocator_spec(allocator), "caching");
        if (i == 0) assert_non_null(strstr(log_heard(), "TARN_ALLOCATOR"));
        else assert_string_equal(log_heard(), "");
        EXPECT_OK(tarn_allocator_release(allocator));
    }
    unsetenv("TARN_ALLOCATOR");
}

static void failures_come_on_schedule(void **state) {
    static const struct {
        const char *spec;
        const char *fails; /* one letter a request: x fails */
        tarn_status status;
    } cases[] = {
        {"fail:at=3|direct", "..x.......", TARN_OUT_OF_MEMORY},
        {"fail:every=3|direct", "..x..x..x.", TARN_OUT_OF_MEMORY},
        {"fail:every=2,count=2|direct", ".x.x......", TARN_OUT_OF_MEMORY},
        {"fail:at=2,count=3|direct", ".xxx......", TARN_OUT_OF_MEMORY},
        {"fail:at=1,status=LIMIT_EXCEEDED|caching", "x.........", TARN_LIMIT_EXCEEDED},
        {"fail:|caching", "..........", TARN_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tarn_allocator *allocator = NULL;
        EXPECT_OK(tarn_allocator_create(*state, cases[i].spec, &allocator));
        for (const char *step = cases[i].fails; *step != '\0'; step++) {
            tarn_buffer *buffer = NULL;
            tarn_status status = tarn_allocator_allocate(allocator, 64, NULL, &buffer);
            tarn_status wanted = *step == 'x' ? cases[i].status : TARN_OK;
            if (status != wanted)
                fail_msg("%s: request %d was answered %s", cases[i].spec, (int)(step - cases[i].fails) + 1,
                         tarn_status_name(status));
            EXPECT_OK(tarn_allocator_free(allocator, buffer, NULL));
        }
        EXPECT_OK(tarn_allocator_release(allocator));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_documented_form_is_understood),
        cmocka_unit_test(spaces_do_not_matter_between_words),
        cmocka_unit_test(a_list_may_have_commas_with_quotation_marks_and_without),
        cmocka_unit_test(unknown_names_are_refused_with_their_column),
        cmocka_unit_test(the_order_of_elements_is_kept),
        cmocka_unit_test(bad_values_are_refused_with_their_column),
        cmocka_unit_test(an_argument_given_twice_is_refused),
        cmocka_unit_test(commas_stand_between_arguments_only),
        cmocka_unit_test(a_memory_kind_that_the_device_lacks_is_not_supported),
        cmocka_unit_test(a_file_that_cannot_be_created_is_an_io_error),
        cmocka_unit_test(very_long_text_is_judged_like_any_other),
        cmocka_unit_test(text_without_end_is_refused_unread),
        cmocka_unit_test(a_very_deep_stack_works_or_is_refused),
        cmocka_unit_test(any_bytes_are_judged_without_harm),
        cmocka_unit_test(the_environment_names_the_default_stack),
        cmocka_unit_test(failures_come_on_schedule),
    };
    return cmocka_run_group_tests_name("memory spec grammar", tests, open_device, close_device);
}
