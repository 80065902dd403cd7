/* Padding on lengths as they occur: the paragraphs of real texts, which the repository ships. The same run as that of
 * `tarn bench shapes`, without its clock: a buffer for each text, resized to each paragraph. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stand.h"

#define MOST_TEXTS 32
#define MOST_LENGTHS 512

typedef struct text {
    int lengths[MOST_LENGTHS];
    int count;
} text;

static text texts[MOST_TEXTS];
static int text_count;
static int64_t mean;

/* A line is a name and numbers. */
static void read_line(char *line) {
    text *read = &texts[text_count++];
    char *rest = NULL;
    assert_non_null(strtok_r(line, " \n", &rest));
    for (char *word = strtok_r(NULL, " \n", &rest); word != NULL; word = strtok_r(NULL, " \n", &rest)) {
        assert_true(read->count < MOST_LENGTHS);
        read->lengths[read->count++] = (int)strtol(word, NULL, 10);
        assert_true(read->lengths[read->count - 1] > 0);
    }
}

static int read_texts(void **state) {
    (void)state;
    const char *source = getenv("TARN_SOURCE_DIR");
    char path[4096], line[8192];
    snprintf(path, sizeof path, "%s/traces/licence-paragraphs.txt", source != NULL ? source : ".");
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        print_error("%s: %s\n", path, strerror(errno));
        return -1;
    }
    while (fgets(line, sizeof line, file) != NULL && text_count < MOST_TEXTS)
        if (line[0] != '#') read_line(line);
    fclose(file);
    int64_t sum = 0, count = 0;
    for (int i = 0; i < text_count; i++) {
        for (int k = 0; k < texts[i].count; k++) sum += texts[i].lengths[k];
        count += texts[i].count;
    }
    if (count == 0) return -1;
    mean = sum / count;
    return 0;
}

static tarn_shape shape_of(int64_t length) { return (tarn_shape){.rank = 3, .dims = {8, length, 4096}}; }

static tarn_predictive_stats run(const char *spec, const char *device) {
    test_stand stand;
    stand_open(&stand, spec, device);
    const tarn_shape_bounds bounds = {.minimum = shape_of(0), .maximum = shape_of(512), .expected = shape_of(mean)};
    for (int i = 0; i < text_count; i++) {
        tarn_buffer *buffer = NULL;
        EXPECT_OK(tarn_predictive_allocate(stand.allocator, &bounds, TARN_ELEMENT_F32, NULL, &buffer));
        for (int k = 0; k < texts[i].count; k++) {
            tarn_shape shape = shape_of(texts[i].lengths[k]);
            EXPECT_OK(tarn_predictive_resize(buffer, &shape, NULL));
        }
        give(&stand, buffer, NULL);
    }
    tarn_predictive_stats done = {.struct_size = sizeof done};
    EXPECT_OK(tarn_predictive_stats_get(stand.allocator, &done));
    stand_close(&stand);
    char report[1024];
    tarn_predictive_stats_to_report(&done, report, sizeof report);
    print_message("%s on %s\n%s", spec, device, report);
    return done;
}

static void adaptive_and_quantile_waste_less_than_fixed_at_no_more_moves(void **state) {
    (void)state;
    tarn_predictive_stats fixed = run("predictive", "sim:8GiB,granule=0");
    const char *const others[] = {"predictive:strategy=adaptive", "predictive:strategy=quantile"};
    assert_true(text_count > 10);
    assert_true(fixed.moves > 0);
    for (size_t i = 0; i < 2; i++) {
        tarn_predictive_stats other = run(others[i], "sim:8GiB,granule=0");
        assert_int_equal(other.uses, fixed.uses);
        assert_true(other.wasted_bytes < fixed.wasted_bytes);
        assert_true(other.moves <= fixed.moves);
        /* The same again, to the byte. */
        tarn_predictive_stats again = run(others[i], "sim:8GiB,granule=0");
        assert_memory_equal(&again, &other, sizeof other);
    }
}

static void in_place_nothing_is_ever_copied(void **state) {
    (void)state;
    tarn_predictive_stats done = run("predictive:strategy=adaptive", "sim:8GiB");
    assert_int_equal(done.moves, 0);
    assert_int_equal(done.moved_bytes, 0);
    assert_true(done.in_place_growths > 0);
    assert_true(done.in_place_shrinks > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adaptive_and_quantile_waste_less_than_fixed_at_no_more_moves),
        cmocka_unit_test(in_place_nothing_is_ever_copied),
    };
    return cmocka_run_group_tests_name("memory predictive lengths", tests, read_texts, NULL);
}
