/* Reports say what the statistics say, in three forms; that of OpenMetrics is checked line by line against the rules of its
 * specification, for every spec on every device. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "stand.h"

/* The report; the caller frees it. */
static char *report_of(const tarn_report_subject *subjects, size_t count, tarn_report_format format) {
    size_t length = 0, again = 0;
    EXPECT_OK(tarn_report_write(subjects, count, format, NULL, 0, &length));
    char *text = malloc(length + 1), small[16];
    assert_non_null(text);
    EXPECT_OK(tarn_report_write(subjects, count, format, text, length + 1, &again));
    assert_int_equal(again, length);
    assert_int_equal(strlen(text), length);
    /* Cut where the room ends. */
    EXPECT_OK(tarn_report_write(subjects, count, format, small, sizeof small, &again));
    assert_int_equal(again, length);
    assert_int_equal(strlen(small), length < sizeof small ? length : sizeof small - 1);
    assert_int_equal(strncmp(small, text, strlen(small)), 0);
    return text;
}

/* One line of a sample taken apart. */
typedef struct sample {
    char name[96], labels[1024], bound[32];
    uint64_t value;
} sample;

static sample parse_sample(const char *line) {
    sample parsed = {0};
    const char *open = strchr(line, '{'), *close;
    assert_non_null(open);
    assert_in_range(open - line, 1, sizeof parsed.name - 1);
    memcpy(parsed.name, line, (size_t)(open - line));
    bool quoted = false;
    for (close = open + 1; quoted || *close != '}'; close++) {
        assert_int_not_equal(*close, '\0');
        if (quoted && *close == '\\') {
            close++;
            assert_non_null(strchr("\\\"n", *close));
        } else if (*close == '"') {
            quoted = !quoted;
        }
    }
    size_t length = (size_t)(close - open - 1);
    assert_in_range(length, 1, sizeof parsed.labels - 1);
    memcpy(parsed.labels, open + 1, length);
    char *bound = strstr(parsed.labels, ",le=\"");
    if (bound != NULL) {
        snprintf(parsed.bound, sizeof parsed.bound, "%.*s", (int)strcspn(bound + 5, "\""), bound + 5);
        *bound = '\0';
    }
    assert_int_equal(close[1], ' ');
    char *end;
    parsed.value = strtoull(close + 2, &end, 10);
    assert_int_equal(*end, '\0');
    return parsed;
}

static bool ends_with(const char *text, const char *ending) {
    size_t length = strlen(text), part = strlen(ending);
    return length >= part && strcmp(text + length - part, ending) == 0;
}

/* The metric that is being read. */
typedef struct family {
    char name[64], type[16], unit[16];
    bool has_help;
    size_t samples;
} family;

static void expect_sample(family *metric, const sample *read) {
    size_t length = strlen(metric->name);
    assert_int_equal(strncmp(read->name, metric->name, length), 0);
    const char *suffix = read->name + length;
    assert_true(metric->has_help);
    if (strcmp(metric->type, "gauge") == 0) {
        assert_string_equal(suffix, "");
    } else if (strcmp(metric->type, "counter") == 0) {
        assert_string_equal(suffix, "_total");
    } else {
        assert_string_equal(metric->type, "histogram");
    }
    metric->samples++;
}

/* Follows the rules: each metric once, its lines together, TYPE before samples, the unit at the name's end, counters with
 * _total, cumulative buckets up to +Inf that agree with _count, the end at the end. */
static void expect_openmetrics(const char *text, size_t subjects, size_t *out_metrics) {
    char *copy = strdup(text), *rest = copy;
    char seen[64][64];
    size_t seen_count = 0;
    family metric = {0};
    uint64_t cumulative = 0;
    double bound = -1;
    assert_true(ends_with(text, "\n# EOF\n"));
    for (char *line; (line = strsep(&rest, "\n")) != NULL && strcmp(line, "# EOF") != 0;) {
        if (strncmp(line, "# TYPE ", 7) == 0) {
            if (seen_count > 0) assert_int_equal(metric.samples % subjects, 0);
            metric = (family){0};
            assert_int_equal(sscanf(line, "# TYPE %63s %15s", metric.name, metric.type), 2);
            for (size_t i = 0; i < seen_count; i++) assert_string_not_equal(seen[i], metric.name);
            strcpy(seen[seen_count++], metric.name);
            assert_false(ends_with(metric.name, "_total"));
            continue;
        }
        if (strncmp(line, "# UNIT ", 7) == 0) {
            char name[64], ending[20];
            assert_int_equal(sscanf(line, "# UNIT %63s %15s", name, metric.unit), 2);
            assert_string_equal(name, metric.name);
            snprintf(ending, sizeof ending, "_%s", metric.unit);
            assert_true(ends_with(name, ending));
            continue;
        }
        if (strncmp(line, "# HELP ", 7) == 0) {
            assert_int_equal(strncmp(line + 7, metric.name, strlen(metric.name)), 0);
            metric.has_help = true;
            continue;
        }
        sample read = parse_sample(line);
        expect_sample(&metric, &read);
        if (!ends_with(metric.name, "request_size_bytes")) continue;
        if (ends_with(read.name, "_bucket")) {
            bool is_last = strcmp(read.bound, "+Inf") == 0;
            double upper = is_last ? 1e300 : strtod(read.bound, NULL);
            assert_true(upper > bound);
            assert_true(read.value >= cumulative);
            cumulative = read.value;
            bound = upper;
        } else if (ends_with(read.name, "_count")) {
            assert_true(bound == 1e300);
            assert_int_equal(read.value, cumulative);
        } else {
            assert_true(ends_with(read.name, "_sum"));
            cumulative = 0;
            bound = -1;
        }
    }
    assert_string_equal(rest, "");
    free(copy);
    *out_metrics = seen_count;
}

/* The value of the one sample whose line begins so. */
static uint64_t value_of(const char *text, const char *beginning) {
    const char *line = strstr(text, beginning);
    if (line == NULL) {
        print_error("the report lacks %s\n", beginning);
        assert_non_null(line);
        return 0;
    }
    const char *end = strchr(line + 1, '\n');
    assert_non_null(end);
    while (end[-1] != ' ') end--;
    return strtoull(end, NULL, 10);
}

static void a_report_says_what_the_statistics_say(test_stand *stand) {
    tarn_buffer *small = take(stand, 100, NULL), *large = take(stand, 3 * MIB, NULL), *gone = take(stand, 5000, NULL);
    give(stand, gone, NULL);
    tarn_memory_stats stats = stats_of(stand->allocator);
    tarn_report_subject subject = {.allocator = stand->allocator};

    char *text = report_of(&subject, 1, TARN_REPORT_OPENMETRICS);
    size_t metrics;
    expect_openmetrics(text, 1, &metrics);
    tarn_planned_stats planned = {.struct_size = sizeof planned};
    bool is_planned = tarn_planned_stats_get(stand->allocator, &planned) == TARN_OK;
    assert_int_equal(metrics, is_planned ? 33 : 21);
    if (is_planned) assert_int_equal(value_of(text, "\ntarn_memory_plan_is_learning{"), 1);
    assert_int_equal(value_of(text, "\ntarn_memory_requested_bytes{"), stats.requested_bytes.current);
    assert_int_equal(value_of(text, "\ntarn_memory_requested_peak_bytes{"), stats.requested_bytes.peak);
    assert_int_equal(value_of(text, "\ntarn_memory_requested_added_bytes_total{"), stats.requested_bytes.total);
    assert_int_equal(value_of(text, "\ntarn_memory_reserved_bytes{"), stats.reserved_bytes.current);
    assert_int_equal(value_of(text, "\ntarn_memory_blocks{"), 2);
    assert_int_equal(value_of(text, "\ntarn_memory_blocks_peak{"), 3);
    assert_int_equal(value_of(text, "\ntarn_memory_frees_total{"), 1);
    assert_int_equal(value_of(text, "\ntarn_memory_request_size_bytes_count{"), 3);
    assert_int_equal(value_of(text, "\ntarn_memory_request_size_bytes_sum{"), 100 + 3 * MIB + 5000);
    assert_int_equal(value_of(text, "le=\"127.0\"}"), 1);
    assert_int_equal(value_of(text, "le=\"8191.0\"}"), 2);
    assert_int_equal(value_of(text, "le=\"4194303.0\"}"), 3);
    free(text);

    char wanted[8192];
    size_t length = (size_t)snprintf(wanted, sizeof wanted, "%s on %s: ", tarn_allocator_spec(stand->allocator),
                                     tarn_device_name(stand->device));
    length += tarn_memory_stats_to_string(&stats, wanted + length, sizeof wanted - length);
    snprintf(wanted + length, sizeof wanted - length, "\n");
    text = report_of(&subject, 1, TARN_REPORT_TEXT);
    assert_int_equal(strncmp(text, wanted, strlen(wanted)), 0);
    const char *second = text + strlen(wanted);
    assert_int_equal(strncmp(second, "  planned: 0 requests from their places", strlen(second) > 0 ? 38 : 0), 0);
    assert_int_equal(strlen(second) > 0, is_planned);
    free(text);

    text = report_of(&subject, 1, TARN_REPORT_JSON);
    tarn_memory_stats_to_json(&stats, wanted, sizeof wanted);
    assert_non_null(strstr(text, wanted));
    assert_int_equal(strncmp(text, "{\"allocators\":[{\"name\":null,\"allocator\":\"", 40), 0);
    assert_true(ends_with(text, "}]}"));
    assert_int_equal(strstr(text, "},\"planned\":{\"rounds\":0,") != NULL, is_planned);
    free(text);
    give(stand, small, NULL);
    give(stand, large, NULL);
}

static void a_report_tells_of_plans(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "limit:1GiB | planned", "sim:8GiB");
    tarn_allocator *second = NULL;
    EXPECT_OK(tarn_allocator_create(stand.device, "caching", &second));
    for (int round = 0; round < 3; round++) {
        give(&stand, take(&stand, 3 * MIB, NULL), NULL);
        if (round > 0) give(&stand, take(&stand, 100, NULL), NULL);
        EXPECT_OK(tarn_planned_step(stand.allocator));
    }
    tarn_planned_stats stats = {.struct_size = sizeof stats};
    EXPECT_OK(tarn_planned_stats_get(stand.allocator, &stats));
    assert_true(stats.planned > 0 && stats.deviations > 0 && stats.plan_bytes >= 3 * MIB);
    /* Beside one that does not plan, of which nothing is told there. */
    tarn_report_subject subjects[] = {{stand.allocator, NULL}, {second, NULL}};
    size_t metrics;
    char *text = report_of(subjects, 2, TARN_REPORT_OPENMETRICS), wanted[512];
    assert_int_equal(value_of(text, "\ntarn_memory_planned_rounds_total{"), stats.rounds);
    assert_int_equal(value_of(text, "\ntarn_memory_planned_requests_total{"), stats.planned);
    assert_int_equal(value_of(text, "\ntarn_memory_planned_deviations_total{"), stats.deviations);
    assert_int_equal(value_of(text, "\ntarn_memory_plan_bytes{"), stats.plan_bytes);
    assert_null(strstr(text, "tarn_memory_plan_bytes{allocator=\"caching\""));
    free(text);
    text = report_of(subjects, 1, TARN_REPORT_OPENMETRICS);
    expect_openmetrics(text, 1, &metrics);
    assert_int_equal(metrics, 33);
    free(text);
    text = report_of(subjects, 2, TARN_REPORT_JSON);
    snprintf(wanted, sizeof wanted,
             "\"planned\":{\"rounds\":%" PRIu64 ",\"planned\":%" PRIu64 ",\"kept\":%" PRIu64 ",\"deviations\":%" PRIu64
             ",",
             stats.rounds, stats.planned, stats.kept, stats.deviations);
    assert_non_null(strstr(text, wanted));
    free(text);
    EXPECT_OK(tarn_allocator_release(second));
    stand_close(&stand);
}

static void several_allocators_share_a_report(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "caching", "sim:8GiB");
    tarn_allocator *second = NULL;
    EXPECT_OK(tarn_allocator_create(stand.device, "caching", &second));
    tarn_report_subject subjects[] = {{stand.allocator, NULL}, {second, "a \"b\"\\\n\t\xc3\xa9\xff"}};
    char *text = report_of(subjects, 2, TARN_REPORT_OPENMETRICS);
    size_t metrics;
    expect_openmetrics(text, 2, &metrics);
    assert_non_null(strstr(text, "tarn_memory_blocks{allocator=\"caching\",device=\"sim:8GiB\"} 0\n"
                                 "tarn_memory_blocks{allocator=\"caching\",device=\"sim:8GiB\","
                                 "name=\"a \\\"b\\\"\\\\\\n\t\xc3\xa9\xef\xbf\xbd\"} 0\n"));
    free(text);
    text = report_of(subjects, 2, TARN_REPORT_JSON);
    assert_non_null(strstr(text, "{\"name\":\"a \\\"b\\\"\\\\\\n\\u0009\xc3\xa9\\ufffd\",\"allocator\":\"caching\""));
    free(text);
    text = report_of(subjects, 2, TARN_REPORT_TEXT);
    assert_non_null(strstr(text, "\xff: caching on sim:8GiB: Memory: 0.00 MB"));
    free(text);
    /* An empty name is no label, and OpenMetrics cannot have two series of the same labels. */
    char room[8] = "before";
    size_t length = 77;
    subjects[1].name = "";
    EXPECT(TARN_INVALID_ARGUMENT, tarn_report_write(subjects, 2, TARN_REPORT_OPENMETRICS, room, sizeof room, &length));
    EXPECT_SENTENCE("subjects 0 and 1 are both caching on sim:8GiB");
    assert_int_equal(length, 77);
    assert_string_equal(room, "before");
    EXPECT_OK(tarn_report_write(subjects, 2, TARN_REPORT_TEXT, room, sizeof room, NULL));
    EXPECT_OK(tarn_allocator_release(second));
    stand_close(&stand);
}

static void wrong_arguments_and_shortage_leave_everything(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "caching", "cpu");
    char room[8] = "before";
    size_t length = 77;
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_report(NULL, TARN_REPORT_TEXT, room, sizeof room, &length));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_report(stand.allocator, TARN_REPORT_TEXT, NULL, 10, &length));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_report(stand.allocator, (tarn_report_format)9, room, 8, &length));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_report_write(NULL, 1, TARN_REPORT_TEXT, room, sizeof room, &length));
    base_memory_fail_at(1, 0);
    tarn_status status = tarn_allocator_report(stand.allocator, TARN_REPORT_JSON, room, sizeof room, &length);
    base_memory_fail_at(0, 0);
    assert_int_equal(status, TARN_OUT_OF_MEMORY);
    assert_string_equal(room, "before");
    assert_int_equal(length, 77);
    EXPECT_OK(tarn_report_write(NULL, 0, TARN_REPORT_OPENMETRICS, room, sizeof room, &length));
    assert_int_equal(strncmp(room, "# TYPE ", 7), 0);
    char whole[64];
    EXPECT_OK(tarn_report_write(NULL, 0, TARN_REPORT_JSON, whole, sizeof whole, &length));
    assert_string_equal(whole, "{\"allocators\":[]}");
    stand_close(&stand);
}

int main(void) {
    static const conformance_test tests[] = {CONFORMANCE_TEST(a_report_says_what_the_statistics_say, 0)};
    const struct CMUnitTest others[] = {
        cmocka_unit_test(a_report_tells_of_plans),
        cmocka_unit_test(several_allocators_share_a_report),
        cmocka_unit_test(wrong_arguments_and_shortage_leave_everything),
    };
    int failed = conformance_run("memory report", tests, sizeof tests / sizeof tests[0]);
    return failed + cmocka_run_group_tests_name("memory report, beyond", others, NULL, NULL);
}
