/* The graph switch: every member of its specification, where buffers come from and go back to, and the mode that is restored
 * whatever happens. Numbers in comments are those of the project's list of faults. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "gate.h"
#include "stand.h"

/* A switch on `caching`, and a pool beside it. */
typedef struct ground {
    test_stand stand;
    tarn_allocator *pool;
} ground;

static void ground_open(ground *self, const char *spec) {
    stand_open(&self->stand, spec, "cpu");
    EXPECT_OK(tarn_allocator_create(self->stand.device, "graph:sequential=on", &self->pool));
}

static void ground_close(ground *self) {
    EXPECT_OK(tarn_allocator_release(self->pool));
    stand_close(&self->stand);
}

static bool is_of_pool(const ground *self, const tarn_buffer *buffer) {
    return tarn_buffer_allocator(buffer) == self->pool;
}

static void the_mode_says_where_buffers_come_from(void **state) {
    (void)state;
    ground self;
    ground_open(&self, "graph_switch | caching");
    tarn_allocator *allocator = self.stand.allocator, *got = (tarn_allocator *)&self;
    assert_int_equal(tarn_graph_switch_is_graph_mode(allocator), 0);
    EXPECT_OK(tarn_graph_switch_pool(allocator, &got));
    assert_null(got);
    /* Enabling with no pool. */
    EXPECT(TARN_INVALID_STATE, tarn_graph_switch_set_graph_mode(allocator, 1));
    EXPECT_SENTENCE("graph pool");
    EXPECT(TARN_INVALID_STATE, tarn_graph_switch_enable_graph_mode(allocator));
    EXPECT(TARN_INVALID_STATE, tarn_graph_switch_configure_for_graph(allocator, NULL));
    EXPECT_OK(tarn_graph_switch_disable_graph_mode(allocator));
    EXPECT_OK(tarn_graph_switch_set_pool(allocator, NULL));
    EXPECT_OK(tarn_graph_switch_reset_pool(allocator));

    EXPECT_OK(tarn_graph_switch_set_pool(allocator, self.pool));
    EXPECT_OK(tarn_graph_switch_pool(allocator, &got));
    assert_ptr_equal(got, self.pool);
    EXPECT_OK(tarn_allocator_release(got));
    assert_int_equal(tarn_graph_switch_is_graph_mode(allocator), 0);
    tarn_buffer *plain = take(&self.stand, 1000, NULL);
    assert_false(is_of_pool(&self, plain));
    EXPECT_OK(tarn_graph_switch_enable_graph_mode(allocator));
    assert_int_equal(tarn_graph_switch_is_graph_mode(allocator), 1);
    tarn_buffer *pooled = take(&self.stand, 1000, NULL), *found = NULL;
    assert_true(is_of_pool(&self, pooled));
    EXPECT(TARN_INVALID_STATE, tarn_graph_switch_set_pool(allocator, NULL));
    EXPECT_OK(tarn_allocator_find(allocator, tarn_buffer_data(pooled), &found));
    assert_ptr_equal(found, pooled);
    EXPECT_OK(tarn_allocator_find(allocator, tarn_buffer_data(plain), &found));
    assert_ptr_equal(found, plain);
    /* A free goes to the block's owner whatever the mode is now. */
    give(&self.stand, plain, NULL);
    EXPECT_OK(tarn_graph_switch_set_graph_mode(allocator, 0));
    assert_int_equal(stats_of(self.pool).blocks.current, 1);
    give(&self.stand, pooled, NULL);
    assert_int_equal(stats_of(self.pool).blocks.current, 0);
    assert_int_equal(stats_of(allocator).blocks.current, 0);
    EXPECT_OK(tarn_graph_switch_set_pool(allocator, NULL));
    ground_close(&self);
}

static void the_figures_are_those_of_the_mode(void **state) {
    (void)state;
    ground self;
    char text[512], wanted[128], json[2048];
    ground_open(&self, "graph_switch | direct");
    tarn_buffer *plain = take(&self.stand, MIB, NULL);
    EXPECT_OK(tarn_graph_switch_configure_for_graph(self.stand.allocator, self.pool));
    tarn_buffer *first = take(&self.stand, MIB, NULL), *second = take(&self.stand, MIB, NULL);
    tarn_memory_stats stats = stats_of(self.stand.allocator);
    assert_int_equal(stats.is_graph_mode, 1);
    assert_int_equal(stats.blocks.current, 2);
    tarn_memory_stats_to_string(&stats, text, sizeof text);
    snprintf(wanted, sizeof wanted, "Memory: %.2f MB, Blocks: 2, GraphMode: True",
             (double)(stats.in_use_bytes.current + stats.cached_bytes.current) / (1024 * 1024));
    assert_memory_equal(text, wanted, strlen(wanted));
    EXPECT_OK(tarn_allocator_reset_peaks(self.stand.allocator));
    assert_int_equal(stats_of(self.pool).blocks.peak, 2);
    tarn_memory_stats_to_json(&stats, json, sizeof json);
    assert_non_null(strstr(json, "\"is_graph_mode\":true"));
    EXPECT_OK(tarn_graph_switch_disable_graph_mode(self.stand.allocator));
    stats = stats_of(self.stand.allocator);
    assert_int_equal(stats.blocks.current, 1);
    tarn_memory_stats_to_string(&stats, text, sizeof text);
    assert_memory_equal(text, "Memory: 1.00 MB, Blocks: 1, GraphMode: False", 44);
    give(&self.stand, plain, NULL);
    give(&self.stand, first, NULL);
    EXPECT_OK(tarn_allocator_reset_peaks(self.stand.allocator));
    assert_int_equal(stats_of(self.pool).blocks.peak, 1);
    give(&self.stand, second, NULL);
    /* Emptying the switch's cache empties its pools' too. */
    EXPECT_OK(tarn_allocator_empty_cache(self.stand.allocator));
    assert_int_equal(tarn_allocator_allocated_size(self.pool), 0);
    ground_close(&self);
}

/* What the actions below see and do. */
typedef struct act {
    ground *self;
    tarn_buffer *buffer;
    int mode;
    tarn_status answer;
} act;

static tarn_status take_inside(void *context) {
    act *self = context;
    self->mode = tarn_graph_switch_is_graph_mode(self->self->stand.allocator);
    EXPECT_OK(tarn_allocator_allocate(self->self->stand.allocator, 100, NULL, &self->buffer));
    return self->answer;
}

static tarn_status switch_off_inside(void *context) {
    act *self = context;
    EXPECT_OK(tarn_graph_switch_disable_graph_mode(self->self->stand.allocator));
    return TARN_OK;
}

static tarn_status switch_on_inside(void *context) {
    act *self = context;
    act inner = {.self = self->self};
    tarn_allocator *allocator = self->self->stand.allocator;
    EXPECT_OK(tarn_graph_switch_disable_graph_mode(allocator));
    EXPECT_OK(tarn_graph_switch_with_graph_mode(allocator, take_inside, &inner));
    assert_int_equal(inner.mode, 1);
    /* What was before the inner one, not before the outer one. */
    assert_int_equal(tarn_graph_switch_is_graph_mode(allocator), 0);
    EXPECT_OK(tarn_allocator_free(allocator, inner.buffer, NULL));
    return TARN_OK;
}

static tarn_status take_the_pool_away(void *context) {
    act *self = context;
    EXPECT_OK(tarn_graph_switch_disable_graph_mode(self->self->stand.allocator));
    EXPECT_OK(tarn_graph_switch_set_pool(self->self->stand.allocator, NULL));
    return TARN_OK;
}

static void the_previous_mode_is_restored_whatever_happens(void **state) {
    (void)state;
    ground self;
    ground_open(&self, "graph_switch | caching");
    tarn_allocator *allocator = self.stand.allocator;
    act acting = {.self = &self};
    EXPECT(TARN_INVALID_STATE, tarn_graph_switch_with_graph_mode(allocator, take_inside, &acting));
    assert_null(acting.buffer);
    EXPECT_OK(tarn_graph_switch_set_pool(allocator, self.pool));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_graph_switch_with_graph_mode(allocator, NULL, NULL));
    for (int was_on = 0; was_on < 2; was_on++) {
        EXPECT_OK(tarn_graph_switch_set_graph_mode(allocator, was_on));
        static const tarn_status answers[] = {TARN_OK, TARN_IO_ERROR};
        for (int i = 0; i < 2; i++) {
            acting.answer = answers[i];
            assert_int_equal(tarn_graph_switch_with_graph_mode(allocator, take_inside, &acting), answers[i]);
            assert_int_equal(acting.mode, 1);
            assert_true(is_of_pool(&self, acting.buffer));
            assert_int_equal(tarn_graph_switch_is_graph_mode(allocator), was_on);
            give(&self.stand, acting.buffer, NULL);
        }
        EXPECT_OK(tarn_graph_switch_with_graph_mode(allocator, switch_off_inside, &acting));
        assert_int_equal(tarn_graph_switch_is_graph_mode(allocator), was_on);
        EXPECT_OK(tarn_graph_switch_with_graph_mode(allocator, switch_on_inside, &acting));
        assert_int_equal(tarn_graph_switch_is_graph_mode(allocator), was_on);
    }
    /* It was on; with no pool it cannot be on again. */
    EXPECT(TARN_INVALID_STATE, tarn_graph_switch_with_graph_mode(allocator, take_the_pool_away, &acting));
    assert_int_equal(tarn_graph_switch_is_graph_mode(allocator), 0);
    ground_close(&self);
}

/* Two that overlap: the first to begin is the first to end. */
typedef struct overlap {
    tarn_allocator *allocator;
    test_gate entered, leaves;
    pthread_t thread;
} overlap;

static tarn_status stay_inside(void *context) {
    overlap *self = context;
    gate_open(&self->entered);
    gate_pass(&self->leaves);
    return TARN_OK;
}

static void *begin_first(void *context) {
    overlap *self = context;
    EXPECT_OK(tarn_graph_switch_with_graph_mode(self->allocator, stay_inside, self));
    return NULL;
}

static tarn_status see_the_first_end(void *context) {
    overlap *self = context;
    gate_open(&self->leaves);
    pthread_join(self->thread, NULL);
    assert_int_equal(tarn_graph_switch_is_graph_mode(self->allocator), 1);
    return TARN_OK;
}

static void the_last_of_two_restores_what_was_before_the_first(void **state) {
    (void)state;
    ground self;
    ground_open(&self, "graph_switch | caching");
    overlap both = {.allocator = self.stand.allocator};
    EXPECT_OK(tarn_graph_switch_set_pool(both.allocator, self.pool));
    assert_int_equal(pthread_create(&both.thread, NULL, begin_first, &both), 0);
    gate_pass(&both.entered);
    EXPECT_OK(tarn_graph_switch_with_graph_mode(both.allocator, see_the_first_end, &both));
    assert_int_equal(tarn_graph_switch_is_graph_mode(both.allocator), 0);
    ground_close(&self);
}

static void a_pool_is_kept_until_its_last_buffer_is_freed(void **state) {
    (void)state;
    ground self;
    ground_open(&self, "graph_switch | caching");
    tarn_allocator *allocator = self.stand.allocator, *second = NULL;
    EXPECT_OK(tarn_allocator_create(self.stand.device, "graph", &second));
    EXPECT_OK(tarn_graph_switch_configure_for_graph(allocator, second));
    tarn_buffer *old = take(&self.stand, 100, NULL);
    memset(tarn_buffer_data(old), 1, 100);
    EXPECT_OK(tarn_graph_switch_set_pool(allocator, self.pool));
    EXPECT_OK(tarn_allocator_release(second));
    tarn_buffer *new = take(&self.stand, 100, NULL);
    assert_true(is_of_pool(&self, new) && !is_of_pool(&self, old));
    assert_int_equal(*(unsigned char *)tarn_buffer_data(old), 1);
    EXPECT_OK(tarn_allocator_check(allocator));
    give(&self.stand, old, NULL);
    give(&self.stand, new, NULL);
    ground_close(&self);
}

/* 17, 12 */
static void what_is_no_graph_pool_of_the_device_is_refused(void **state) {
    (void)state;
    ground self;
    ground_open(&self, "graph_switch | caching");
    tarn_allocator *allocator = self.stand.allocator, *other = NULL;
    tarn_device *sim = NULL;
    EXPECT(TARN_INVALID_ARGUMENT, tarn_graph_switch_set_pool(allocator, allocator));
    EXPECT_OK(tarn_allocator_create(self.stand.device, "limit:1GiB | graph", &other));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_graph_switch_set_pool(allocator, other));
    EXPECT_SENTENCE("on its own");
    EXPECT_OK(tarn_allocator_release(other));
    EXPECT_OK(tarn_device_open("sim:1GiB", &sim));
    EXPECT_OK(tarn_allocator_create(sim, "graph", &other));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_graph_switch_configure_for_graph(allocator, other));
    assert_int_equal(tarn_graph_switch_is_graph_mode(allocator), 0);
    EXPECT(TARN_INVALID_ARGUMENT, tarn_graph_switch_set_pool(other, self.pool));
    EXPECT_SENTENCE("no graph_switch");
    EXPECT(TARN_INVALID_ARGUMENT, tarn_graph_switch_set_pool(NULL, self.pool));
    assert_int_equal(tarn_graph_switch_is_graph_mode(NULL), 0);
    EXPECT_OK(tarn_allocator_release(other));
    EXPECT_OK(tarn_device_release(sim));
    EXPECT_OK(tarn_graph_switch_create(self.stand.device, "graph", &other));
    tarn_buffer *buffer = NULL;
    EXPECT_OK(tarn_allocator_allocate(other, 64, NULL, &buffer));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_graph_switch_set_pool(other, tarn_buffer_allocator(buffer)));
    EXPECT_SENTENCE("stands on");
    EXPECT_OK(tarn_buffer_free(buffer, NULL));
    EXPECT_OK(tarn_allocator_release(other));
    EXPECT_OK(tarn_graph_switch_create(self.stand.device, NULL, &other));
    assert_string_equal(tarn_allocator_spec(other), "graph_switch | caching");
    EXPECT_OK(tarn_allocator_release(other));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_graph_switch_create(NULL, NULL, &other));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_graph_switch_create(self.stand.device, "nothing", &other));
    EXPECT_OK(tarn_graph_switch_set_pool(allocator, self.pool));
    EXPECT_OK(tarn_allocator_shut_down(self.pool));
    EXPECT_OK(tarn_graph_switch_enable_graph_mode(allocator));
    EXPECT(TARN_SHUT_DOWN, tarn_allocator_allocate(allocator, 64, NULL, &buffer));
    ground_close(&self);
}

static void reset_takes_the_pools_buffers_back_and_no_others(void **state) {
    (void)state;
    ground self;
    ground_open(&self, "limit:1GiB | graph_switch | limit:1GiB | caching");
    tarn_buffer *plain = take(&self.stand, 5000, NULL);
    EXPECT_OK(tarn_graph_switch_configure_for_graph(self.stand.allocator, self.pool));
    tarn_buffer *pooled = take(&self.stand, 5000, NULL);
    EXPECT_OK(tarn_graph_switch_reset_pool(self.stand.allocator));
    assert_false(tarn_buffer_is_valid(pooled));
    assert_true(tarn_buffer_is_valid(plain));
    EXPECT_OK(tarn_graph_switch_disable_graph_mode(self.stand.allocator));
    give(&self.stand, plain, NULL);
    /* The outer limit has both back, the inner one what was its own. */
    give(&self.stand, take(&self.stand, 1000 * MIB, NULL), NULL);
    ground_close(&self);
}

static void a_release_reports_the_buffers_of_both(void **state) {
    (void)state;
    ground self;
    ground_open(&self, "graph_switch | caching");
    tarn_buffer *foreign = NULL;
    EXPECT_OK(tarn_allocator_allocate(self.pool, 64, NULL, &foreign));
    tarn_buffer *plain = take(&self.stand, 64, NULL);
    EXPECT_OK(tarn_graph_switch_configure_for_graph(self.stand.allocator, self.pool));
    tarn_buffer *pooled = take(&self.stand, 64, NULL);
    log_listen();
    EXPECT_OK(tarn_allocator_release(self.stand.allocator));
    self.stand.allocator = NULL;
    assert_non_null(strstr(log_heard(), "2 live buffers"));
    log_silence();
    EXPECT_OK(tarn_buffer_free(plain, NULL));
    EXPECT_OK(tarn_buffer_free(pooled, NULL));
    EXPECT_OK(tarn_allocator_free(self.pool, foreign, NULL));
    ground_close(&self);
}

/* A training loop: the static input outside, each step one launch. */
static void a_training_loop_captures_through_the_switch(void **state) {
    (void)state;
    ground self;
    ground_open(&self, "graph_switch | caching");
    tarn_allocator *allocator = self.stand.allocator;
    tarn_stream *stream = stand_stream(&self.stand, 0);
    tarn_graph *graph = NULL;
    tarn_graph_instance *instance = NULL;
    EXPECT_OK(tarn_graph_switch_configure_for_graph(allocator, self.pool));
    tarn_buffer *input = take(&self.stand, 4096, NULL);
    EXPECT_OK(tarn_stream_begin_capture(stream, TARN_CAPTURE_GLOBAL));
    tarn_buffer *hidden = take(&self.stand, 4096, stream), *output = take(&self.stand, 4096, stream);
    EXPECT_OK(tarn_stream_copy(stream, tarn_buffer_data(hidden), tarn_buffer_data(input), 4096));
    EXPECT_OK(tarn_stream_copy(stream, tarn_buffer_data(output), tarn_buffer_data(hidden), 4096));
    give(&self.stand, hidden, stream);
    EXPECT_OK(tarn_stream_end_capture(stream, &graph));
    EXPECT_OK(tarn_graph_instantiate(graph, &instance));
    EXPECT_OK(tarn_graph_switch_disable_graph_mode(allocator));
    for (unsigned char step = 1; step < 50; step++) {
        tarn_buffer *batch = take(&self.stand, 4096, stream);
        memset(tarn_buffer_data(batch), step, 4096);
        EXPECT_OK(tarn_stream_copy(stream, tarn_buffer_data(input), tarn_buffer_data(batch), 4096));
        EXPECT_OK(tarn_graph_instance_launch(instance, stream));
        give(&self.stand, batch, stream);
        EXPECT_OK(tarn_stream_synchronize(stream));
        assert_int_equal(((unsigned char *)tarn_buffer_data(output))[4095], step);
    }
    EXPECT(TARN_INVALID_STATE, tarn_allocator_free(allocator, output, stream));
    EXPECT_OK(tarn_graph_instance_release(instance));
    EXPECT_OK(tarn_graph_release(graph));
    give(&self.stand, output, NULL);
    give(&self.stand, input, NULL);
    ground_close(&self);
}

/* Threads that allocate while others turn the mode on and off. */
typedef struct crowd {
    ground *self;
    atomic_uint wrong, next;
} crowd;

static tarn_status do_little(void *context) {
    crowd *all = context;
    if (!tarn_graph_switch_is_graph_mode(all->self->stand.allocator)) atomic_fetch_add(&all->wrong, 1);
    return TARN_OK;
}

static void *be_one_of_many(void *context) {
    crowd *all = context;
    tarn_allocator *allocator = all->self->stand.allocator;
    unsigned number = atomic_fetch_add(&all->next, 1);
    for (unsigned i = 0; i < 2000 / test_slowness(); i++) {
        tarn_buffer *buffer = NULL;
        tarn_status status = tarn_allocator_allocate(allocator, 64 + i % 4000, NULL, &buffer);
        if (number % 4 == 0 && tarn_graph_switch_with_graph_mode(allocator, do_little, all) != TARN_OK) {
            atomic_fetch_add(&all->wrong, 1);
        }
        if (status == TARN_OK) memset(tarn_buffer_data(buffer), (int)i, 64);
        if (status != TARN_OK || tarn_allocator_free(allocator, buffer, NULL) != TARN_OK)
            atomic_fetch_add(&all->wrong, 1);
    }
    return NULL;
}

static void threads_allocate_while_the_mode_changes(void **state) {
    (void)state;
    enum { THREADS = 16 };
    ground self;
    pthread_t threads[THREADS];
    ground_open(&self, "graph_switch | caching");
    crowd all = {.self = &self};
    EXPECT_OK(tarn_graph_switch_set_pool(self.stand.allocator, self.pool));
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, be_one_of_many, &all), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&all.wrong), 0);
    assert_int_equal(tarn_graph_switch_is_graph_mode(self.stand.allocator), 0);
    assert_int_equal(stats_of(self.pool).blocks.current, 0);
    ground_close(&self);
}

static void want_of_host_memory_changes_nothing(void **state) {
    (void)state;
    ground self;
    ground_open(&self, "graph_switch | caching");
    tarn_allocator *other = NULL;
    base_memory_fail_at(1, 1);
    EXPECT(TARN_OUT_OF_MEMORY, tarn_graph_switch_configure_for_graph(self.stand.allocator, self.pool));
    base_memory_fail_at(0, 0);
    assert_int_equal(tarn_graph_switch_is_graph_mode(self.stand.allocator), 0);
    unsigned long refused = 0;
    for (unsigned long k = 1;; k++) {
        base_memory_fail_at(k, 0);
        tarn_status status = tarn_graph_switch_create(self.stand.device, "direct", &other);
        base_memory_fail_at(0, 0);
        if (status == TARN_OK) break;
        assert_int_equal(status, TARN_OUT_OF_MEMORY);
        refused++;
    }
    assert_true(refused > 5);
    EXPECT_OK(tarn_allocator_release(other));
    ground_close(&self);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_mode_says_where_buffers_come_from),
        cmocka_unit_test(the_figures_are_those_of_the_mode),
        cmocka_unit_test(the_previous_mode_is_restored_whatever_happens),
        cmocka_unit_test(the_last_of_two_restores_what_was_before_the_first),
        cmocka_unit_test(a_pool_is_kept_until_its_last_buffer_is_freed),
        cmocka_unit_test(what_is_no_graph_pool_of_the_device_is_refused),
        cmocka_unit_test(reset_takes_the_pools_buffers_back_and_no_others),
        cmocka_unit_test(a_release_reports_the_buffers_of_both),
        cmocka_unit_test(a_training_loop_captures_through_the_switch),
        cmocka_unit_test(threads_allocate_while_the_mode_changes),
        cmocka_unit_test(want_of_host_memory_changes_nothing),
    };
    return cmocka_run_group_tests_name("memory graph switch", tests, NULL, NULL);
}
