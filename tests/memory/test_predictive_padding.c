/* Padding: what the strategies answer, what sites learn, strategies that programs bring along, and options that are refused.
 * Numbers in comments are those of the project's list of faults. */
#include <stdio.h>
#include <string.h>

#include "memory/predictive_sites.h"
#include "stand.h"

static tarn_shape shape_of(int64_t length) { return (tarn_shape){.rank = 1, .dims = {length}}; }

static tarn_shape_bounds lengths(int64_t expected, int64_t most) {
    return (tarn_shape_bounds){.minimum = shape_of(0), .maximum = shape_of(most), .expected = shape_of(expected)};
}

static tarn_buffer *take_shaped(test_stand *stand, int64_t expected, const char *tag) {
    tarn_shape_bounds bounds = lengths(expected, 1000000);
    tarn_allocate_options options = {.struct_size = sizeof options, .tag = tag};
    tarn_buffer *buffer = NULL;
    EXPECT_OK(tarn_predictive_allocate(stand->allocator, &bounds, TARN_ELEMENT_F64, &options, &buffer));
    return buffer;
}

/* All in elements of 8 bytes, and in multiples of what the device rounds to. */
static void use(tarn_buffer *buffer, int64_t length) {
    tarn_shape shape = shape_of(length);
    EXPECT_OK(tarn_predictive_resize(buffer, &shape, NULL));
}
static size_t length_of(tarn_buffer *buffer) { return tarn_buffer_capacity(buffer) / 8; }

static void open_stand(test_stand *stand, const char *spec) { stand_open(stand, spec, "sim:8GiB,granule=0"); }

static void fixed_multiplies_by_its_factor(void **state) {
    (void)state;
    test_stand stand;
    open_stand(&stand, "predictive:factor=2");
    tarn_buffer *buffer = take_shaped(&stand, 640, NULL);
    assert_int_equal(length_of(buffer), 1280);
    use(buffer, 1600);
    assert_int_equal(length_of(buffer), 3200);
    for (int i = 0; i < 100; i++) use(buffer, 64);
    assert_int_equal(length_of(buffer), 3200);
    give(&stand, buffer, NULL);
    stand_close(&stand);
}

static void adaptive_grows_by_half_and_shrinks_when_use_is_consistently_low(void **state) {
    (void)state;
    test_stand stand;
    open_stand(&stand, "predictive:strategy=adaptive,factor=1");
    tarn_buffer *buffer = take_shaped(&stand, 6400, NULL);
    assert_int_equal(length_of(buffer), 6400);
    use(buffer, 6464);
    assert_int_equal(length_of(buffer), 9600);
    use(buffer, 32000);
    assert_int_equal(length_of(buffer), 32000);
    /* One use of at least half keeps it, wherever it stands among the last sixteen. */
    for (int i = 0; i < 100; i++) use(buffer, i % 16 == 0 ? 16000 : 640);
    assert_int_equal(length_of(buffer), 32000);
    for (int i = 0; i < 12; i++) use(buffer, i % 2 == 0 ? 640 : 1280);
    assert_int_equal(length_of(buffer), 32000);
    for (int i = 0; i < 8; i++) use(buffer, 640);
    assert_int_equal(length_of(buffer), 1280);
    give(&stand, buffer, NULL);
    stand_close(&stand);
}

static void adaptive_starts_with_what_its_site_has_needed_lately(void **state) {
    (void)state;
    test_stand stand;
    open_stand(&stand, "predictive:strategy=adaptive,factor=1");
    tarn_buffer *buffer = take_shaped(&stand, 640, "attention");
    use(buffer, 6400);
    use(buffer, 64);
    give(&stand, buffer, NULL);
    buffer = take_shaped(&stand, 640, "attention");
    assert_int_equal(length_of(buffer), 6400);
    tarn_buffer *other = take_shaped(&stand, 640, "loss");
    assert_int_equal(length_of(other), 640);
    /* Told instead of used. */
    tarn_shape actual = shape_of(12800);
    EXPECT_OK(tarn_predictive_update_expectations(other, &actual));
    assert_int_equal(length_of(other), 640);
    tarn_predictive_info info = {.struct_size = sizeof info};
    EXPECT_OK(tarn_predictive_info_get(other, &info));
    assert_true(tarn_shape_equals(&info.bounds.expected, &actual));
    assert_int_equal(info.effective_size, 640 * 8);
    give(&stand, other, NULL);
    other = take_shaped(&stand, 640, "loss");
    assert_int_equal(length_of(other), 12800);
    give(&stand, other, NULL);
    give(&stand, buffer, NULL);
    stand_close(&stand);
}

static void quantile_learns_the_sizes_of_its_site(void **state) {
    (void)state;
    test_stand stand;
    open_stand(&stand, "predictive:strategy=quantile,quantile=0.9,factor=1");
    tarn_buffer *buffer = take_shaped(&stand, 64, "tokens");
    assert_int_equal(length_of(buffer), 64);
    for (int64_t i = 1; i <= 100; i++) {
        tarn_shape actual = shape_of(64 * i);
        EXPECT_OK(tarn_predictive_update_expectations(buffer, &actual));
    }
    /* From here to the median of what is known to be as large. */
    use(buffer, 64 * 95);
    size_t grown = length_of(buffer);
    assert_true(grown >= 64 * 96 && grown <= 64 * 98);
    /* Beyond what is known, by half. */
    use(buffer, 64 * 101);
    assert_true(length_of(buffer) >= grown + grown / 2 - 64 && length_of(buffer) <= grown + grown / 2 + 64);
    give(&stand, buffer, NULL);
    EXPECT_OK(tarn_allocator_empty_cache(stand.allocator));
    buffer = take_shaped(&stand, 64, "tokens");
    assert_true(length_of(buffer) >= 64 * 90 && length_of(buffer) <= 64 * 93);
    give(&stand, buffer, NULL);
    stand_close(&stand);
}

/* Bytes without bounds may be of any size: what one asked for must not blow another one up. */
static void plain_bytes_are_never_padded_to_more_than_twice_their_size(void **state) {
    (void)state;
    static const char *const specs[] = {"predictive:strategy=adaptive", "predictive:strategy=quantile"};
    for (size_t i = 0; i < 2; i++) {
        test_stand stand;
        stand_open(&stand, specs[i], "sim:8GiB");
        for (int round = 0; round < 3; round++) {
            for (size_t size = 1024; size <= 256 * MIB; size = size * 3 / 2) {
                tarn_buffer *buffer = take(&stand, size, NULL);
                assert_true(tarn_buffer_capacity(buffer) <= 2 * size + 2 * MIB);
                if (size < MIB) assert_true(tarn_buffer_capacity(buffer) <= 5 * size / 2 + 512);
                give(&stand, buffer, NULL);
            }
        }
        stand_close(&stand);
    }
}

/* The sketch of sizes. */

static void few_sizes_are_known_exactly(void **state) {
    (void)state;
    static tarn_padding_site site;
    memset(&site, 0, sizeof site);
    assert_int_equal(tarn_padding_site_quantile(&site, 0.5), 0);
    assert_int_equal(tarn_padding_site_uses(NULL), 0);
    for (size_t i = 0; i < PREDICTIVE_SIZES; i++) predictive_site_record(&site, 1000 + (i * 37) % PREDICTIVE_SIZES);
    assert_int_equal(tarn_padding_site_uses(&site), PREDICTIVE_SIZES);
    for (size_t i = 1; i <= PREDICTIVE_SIZES; i++) {
        assert_int_equal(tarn_padding_site_quantile(&site, (double)i / PREDICTIVE_SIZES), 999 + i);
        assert_true(tarn_padding_site_fraction_below(&site, 999 + i) == (double)(i - 1) / PREDICTIVE_SIZES);
    }
    assert_int_equal(tarn_padding_site_quantile(&site, 0), 1000);
    assert_int_equal(tarn_padding_site_quantile(&site, 1), 999 + PREDICTIVE_SIZES);
}

static void many_sizes_are_known_within_a_little_and_never_too_low(void **state) {
    (void)state;
    static tarn_padding_site site;
    memset(&site, 0, sizeof site);
    enum { COUNT = 20000 };
    uint64_t random = 88172645463325252u;
    for (int i = 0; i < COUNT; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        predictive_site_record(&site, 1 + (size_t)(random % 1000000));
    }
    for (int i = 1; i < 100; i++) {
        size_t wanted = 10000 * (size_t)i, known = tarn_padding_site_quantile(&site, i / 100.0);
        assert_true(known + 20000 >= wanted && known <= wanted + wanted / 8 + 20000);
    }
    for (size_t i = 1; i < site.size_count; i++) assert_true(site.sizes[i - 1].largest < site.sizes[i].largest);
    assert_true(site.size_count <= PREDICTIVE_SIZES);
}

static void what_was_long_ago_matters_less(void **state) {
    (void)state;
    static tarn_padding_site site;
    memset(&site, 0, sizeof site);
    for (int i = 0; i < 60000; i++) predictive_site_record(&site, 1000);
    predictive_site_record(&site, 77);
    for (int i = 0; i < 60000; i++) predictive_site_record(&site, 10);
    assert_int_equal(tarn_padding_site_quantile(&site, 0.5), 10);
    assert_int_equal(tarn_padding_site_recent_largest(&site), 10);
    assert_true(tarn_padding_site_uses(&site) < 65536);
}

static void sites_beyond_the_bound_share_one(void **state) {
    (void)state;
    static char names[1200][16];
    test_stand stand;
    open_stand(&stand, "predictive:strategy=adaptive");
    for (int i = 0; i < 1200; i++) {
        snprintf(names[i], sizeof names[i], "site %d", i);
        give(&stand, take_shaped(&stand, 64, names[i]), NULL);
    }
    tarn_predictive_stats stats = {.struct_size = sizeof stats};
    EXPECT_OK(tarn_predictive_stats_get(stand.allocator, &stats));
    assert_int_equal(stats.sites, 1024);
    stand_close(&stand);
}

/* Strategies of the program's own. */

typedef struct own_strategy {
    tarn_allocator *allocator;
    size_t answer;
    int shrinks;
    tarn_padding_request last;
    tarn_status called_back, resized;
    tarn_buffer *buffer;
} own_strategy;

static size_t own_size(void *context, const tarn_padding_request *request) {
    own_strategy *self = context;
    self->last = *request;
    if (self->allocator != NULL) {
        tarn_buffer *buffer = NULL;
        tarn_shape shape = shape_of(1);
        self->called_back = tarn_allocator_allocate(self->allocator, 64, NULL, &buffer);
        if (self->buffer != NULL) self->resized = tarn_predictive_resize(self->buffer, &shape, NULL);
    }
    return self->answer;
}

static int own_should_resize(void *context, const tarn_padding_request *request) {
    const own_strategy *self = context;
    return self->shrinks && request->needed < request->capacity;
}

static void a_program_may_bring_its_own_strategy(void **state) {
    (void)state;
    test_stand stand;
    open_stand(&stand, "direct");
    EXPECT_OK(tarn_allocator_release(stand.allocator));
    own_strategy own = {.answer = 64000};
    tarn_padding_strategy strategy = {.struct_size = sizeof strategy,
                                      .name = "own",
                                      .context = &own,
                                      .required_size = own_size,
                                      .should_resize = own_should_resize};
    tarn_predictive_options options = {.struct_size = sizeof options, .strategy = &strategy};
    EXPECT_OK(tarn_predictive_create(stand.device, &options, &stand.allocator));
    assert_non_null(strstr(tarn_allocator_spec(stand.allocator), "strategy=own"));
    tarn_buffer *buffer = take_shaped(&stand, 100, "t");
    assert_int_equal(own.last.needed, 800);
    assert_int_equal(own.last.capacity, 0);
    assert_int_equal(own.last.maximum, 8000000);
    assert_int_equal(tarn_padding_site_uses(own.last.site), 0);
    assert_int_equal(length_of(buffer), 8000);
    /* Answers that make no sense are cut to what does. */
    own.answer = SIZE_MAX;
    use(buffer, 8001);
    assert_int_equal(own.last.capacity, 64000);
    assert_int_equal(own.last.recent_count, 2);
    assert_int_equal(length_of(buffer), 1000000);
    own.answer = 0;
    own.shrinks = 1;
    use(buffer, 640);
    assert_int_equal(length_of(buffer), 640);
    assert_int_equal(tarn_padding_site_uses(own.last.site), 2);
    /* 41: calling back is refused, not waited for. */
    own.allocator = stand.allocator;
    own.buffer = buffer;
    use(buffer, 1280);
    assert_int_equal(own.called_back, TARN_INVALID_STATE);
    assert_int_equal(own.resized, TARN_INVALID_STATE);
    give(&stand, buffer, NULL);
    stand_close(&stand);
}

/* 11 */
static void options_out_of_their_range_are_refused(void **state) {
    (void)state;
    test_stand stand;
    open_stand(&stand, "direct");
    tarn_padding_strategy nameless = {.struct_size = sizeof nameless, .required_size = own_size},
                          empty = {.struct_size = sizeof empty, .name = "own"},
                          unsized = {.name = "own", .required_size = own_size};
    const tarn_predictive_options wrong[] = {{.struct_size = 0},
                                             {.struct_size = 1 << 20},
                                             {.struct_size = sizeof wrong[0], .padding = (tarn_padding_kind)3},
                                             {.struct_size = sizeof wrong[0], .padding = (tarn_padding_kind)-1},
                                             {.struct_size = sizeof wrong[0], .factor = 0.9},
                                             {.struct_size = sizeof wrong[0], .factor = -1},
                                             {.struct_size = sizeof wrong[0], .growth = 1e9},
                                             {.struct_size = sizeof wrong[0], .shrink = 1.1},
                                             {.struct_size = sizeof wrong[0], .quantile = -0.5},
                                             {.struct_size = sizeof wrong[0], .quantile = __builtin_nan("")},
                                             {.struct_size = sizeof wrong[0], .kind = (tarn_memory_kind)9},
                                             {.struct_size = sizeof wrong[0], .strategy = &nameless},
                                             {.struct_size = sizeof wrong[0], .strategy = &empty},
                                             {.struct_size = sizeof wrong[0], .strategy = &unsized}};
    tarn_allocator *allocator = (tarn_allocator *)&stand;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        EXPECT(TARN_INVALID_ARGUMENT, tarn_predictive_create(stand.device, &wrong[i], &allocator));
        assert_ptr_equal(allocator, &stand);
    }
    tarn_predictive_options managed = {.struct_size = sizeof managed, .kind = TARN_MEMORY_MANAGED};
    EXPECT(TARN_NOT_SUPPORTED, tarn_predictive_create(stand.device, &managed, &allocator));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_predictive_create(NULL, NULL, &allocator));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_predictive_create(stand.device, NULL, NULL));
    static const char *const specs[] = {"predictive:strategy=other", "predictive:factor=0.5", "predictive:growth=x",
                                        "predictive:shrink=2",       "predictive:depth=3",    "predictive:kind=managed",
                                        "predictive:in_place=maybe", "predictive:max=much",   "predictive | caching"};
    for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++) {
        assert_int_not_equal(tarn_allocator_create(stand.device, specs[i], &allocator), TARN_OK);
        assert_ptr_equal(allocator, &stand);
    }
    stand_close(&stand);
}

static void options_and_text_create_the_same(void **state) {
    (void)state;
    test_stand stand;
    open_stand(&stand, "direct");
    tarn_predictive_options options = {.struct_size = sizeof options,
                                       .padding = TARN_PADDING_QUANTILE,
                                       .factor = 1.25,
                                       .growth = 2,
                                       .max_capacity = 4096,
                                       .kind = TARN_MEMORY_PINNED,
                                       .always_moves = 1};
    tarn_allocator *made = NULL, *again = NULL;
    EXPECT_OK(tarn_predictive_create(stand.device, &options, &made));
    assert_string_equal(tarn_allocator_spec(made), "predictive:strategy=quantile,factor=1.25,growth=2,shrink=0.5,"
                                                   "quantile=0.9,max=4096,kind=pinned,in_place=off");
    EXPECT_OK(tarn_allocator_create(stand.device, tarn_allocator_spec(made), &again));
    assert_string_equal(tarn_allocator_spec(made), tarn_allocator_spec(again));
    EXPECT_OK(tarn_allocator_release(made));
    EXPECT_OK(tarn_allocator_release(again));
    EXPECT_OK(tarn_predictive_create(stand.device, NULL, &made));
    EXPECT_OK(tarn_allocator_release(made));
    stand_close(&stand);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fixed_multiplies_by_its_factor),
        cmocka_unit_test(adaptive_grows_by_half_and_shrinks_when_use_is_consistently_low),
        cmocka_unit_test(adaptive_starts_with_what_its_site_has_needed_lately),
        cmocka_unit_test(quantile_learns_the_sizes_of_its_site),
        cmocka_unit_test(plain_bytes_are_never_padded_to_more_than_twice_their_size),
        cmocka_unit_test(few_sizes_are_known_exactly),
        cmocka_unit_test(many_sizes_are_known_within_a_little_and_never_too_low),
        cmocka_unit_test(what_was_long_ago_matters_less),
        cmocka_unit_test(sites_beyond_the_bound_share_one),
        cmocka_unit_test(a_program_may_bring_its_own_strategy),
        cmocka_unit_test(options_out_of_their_range_are_refused),
        cmocka_unit_test(options_and_text_create_the_same),
    };
    return cmocka_run_group_tests_name("memory predictive padding", tests, NULL, NULL);
}
