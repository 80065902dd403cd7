/* The planned allocator: rounds that repeat are served from their plan, and whatever else a program does, no two live buffers share memory.
 * Fuzzed divergence: a learnt round is changed at random, in sizes, order, requests too many and too few, streams and late frees. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "fake.h"
#include "intervals.h"
#include "stand.h"

enum { MOST = 512 };

static tarn_planned_stats planned_stats_of(tarn_allocator *allocator) {
    tarn_planned_stats stats = {.struct_size = sizeof stats};
    EXPECT_OK(tarn_planned_stats_get(allocator, &stats));
    return stats;
}

static uint64_t driver_calls_of(test_stand *stand) {
    tarn_device_counters counters = counters_of(stand->device);
    return counters.driver_allocs + counters.driver_frees + counters.driver_maps + counters.driver_unmaps;
}

static void step(test_stand *stand) { EXPECT_OK(tarn_planned_step(stand->allocator)); }

/* A layered program: what each layer makes is used by the next one. Returns where the last layer's buffer lay. */
static void *run_layers(test_stand *stand, size_t scale) {
    tarn_buffer *last = NULL;
    void *address = NULL;
    for (size_t i = 0; i < 8; i++) {
        tarn_buffer *scratch = take(stand, (i + 1) * scale, NULL), *made = take(stand, (8 - i) * scale, NULL);
        give(stand, last, NULL);
        give(stand, scratch, NULL);
        address = tarn_buffer_data(made);
        last = made;
    }
    give(stand, last, NULL);
    return address;
}

static void a_round_that_repeats_is_served_from_its_plan_without_driver_calls(void **state) {
    (void)state;
    static const char *const devices[] = {"sim:8GiB", "sim:8GiB,granule=0", "cpu", "fake:8GiB,flat"};
    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++) {
        test_stand stand;
        stand_open(&stand, "planned", devices[i]);
        (void)run_layers(&stand, 1 * MIB);
        step(&stand);
        tarn_planned_stats learnt = planned_stats_of(stand.allocator);
        assert_int_equal(learnt.plans, 1);
        assert_int_equal(learnt.plan_requests, 16);
        assert_int_equal(learnt.plan_places, 16);
        assert_int_equal(learnt.is_learning, 0);
        assert_true(learnt.plan_bytes >= learnt.plan_lower_bound);
        uint64_t calls = driver_calls_of(&stand);
        void *address = run_layers(&stand, 1 * MIB);
        for (int k = 0; k < 10; k++) {
            step(&stand);
            assert_ptr_equal(run_layers(&stand, 1 * MIB), address);
        }
        assert_int_equal(driver_calls_of(&stand), calls);
        tarn_planned_stats stats = planned_stats_of(stand.allocator);
        assert_int_equal(stats.planned, 11 * 16);
        assert_int_equal(stats.deviations, 0);
        assert_int_equal(stats.missing, 0);
        assert_int_equal(stats.rounds, 11);
        stand_close(&stand);
    }
}

static void learning_leaves_no_memory_beside_the_plan(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "planned", "sim:8GiB");
    (void)run_layers(&stand, 10 * MIB);
    step(&stand);
    tarn_planned_stats stats = planned_stats_of(stand.allocator);
    assert_in_range(tarn_allocator_allocated_size(stand.allocator), stats.plan_bytes, stats.plan_bytes + 2 * MIB);
    stand_close(&stand);
}

static void the_period_is_found_without_marks(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "planned", "sim:8GiB");
    tarn_buffer *weights = take(&stand, 5 * MIB, NULL);
    for (int k = 0; k < 200; k++) (void)run_layers(&stand, 3 * MIB);
    tarn_planned_stats stats = planned_stats_of(stand.allocator);
    assert_true(stats.plans >= 1);
    assert_true(stats.planned > 100 * 16);
    assert_true(stats.deviations < 16);
    uint64_t calls = driver_calls_of(&stand), deviations = stats.deviations;
    for (int k = 0; k < 20; k++) (void)run_layers(&stand, 3 * MIB);
    assert_int_equal(driver_calls_of(&stand), calls);
    assert_int_equal(planned_stats_of(stand.allocator).deviations, deviations);
    give(&stand, weights, NULL);
    stand_close(&stand);
}

static void what_is_freed_in_the_next_round_has_a_place_too(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "planned", "sim:8GiB");
    tarn_buffer *weights = take(&stand, 5 * MIB, NULL), *gradient = NULL;
    for (int k = 0; k < 6; k++) {
        tarn_buffer *early = take(&stand, 7 * MIB, NULL);
        give(&stand, gradient, NULL);
        tarn_buffer *late = take(&stand, 9 * MIB, NULL);
        gradient = take(&stand, 8 * MIB, NULL);
        give(&stand, early, NULL);
        give(&stand, late, NULL);
        step(&stand);
    }
    tarn_planned_stats stats = planned_stats_of(stand.allocator);
    assert_int_equal(stats.plan_requests, 3);
    assert_int_equal(stats.plan_places, 3);
    /* What outlives the round lies where nothing else is then: the early one may use what the late one has. */
    assert_int_equal(stats.plan_bytes, 24 * MIB);
    assert_int_equal(stats.deviations, 0);
    assert_int_equal(stats.planned, 3 * 3);
    give(&stand, gradient, NULL);
    give(&stand, weights, NULL);
    stand_close(&stand);
}

static void what_stays_is_left_to_the_element_below(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "planned", "sim:8GiB");
    tarn_buffer *kept[8];
    for (int k = 0; k < 8; k++) {
        kept[k] = take(&stand, 1 * MIB, NULL);
        (void)run_layers(&stand, 1 * MIB);
        step(&stand);
    }
    tarn_planned_stats stats = planned_stats_of(stand.allocator);
    assert_int_equal(stats.plan_requests, 17);
    assert_int_equal(stats.plan_places, 16);
    assert_int_equal(stats.deviations, 0);
    assert_true(stats.kept > 0);
    for (int k = 0; k < 8; k++) give(&stand, kept[k], NULL);
    stand_close(&stand);
}

static void what_deviates_is_served_from_below_and_counted(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "planned", "sim:8GiB");
    (void)run_layers(&stand, 1 * MIB);
    step(&stand);
    tarn_buffer *extra = take(&stand, 77 * MIB, NULL), *usual = take(&stand, 1 * MIB, NULL);
    tarn_planned_stats stats = planned_stats_of(stand.allocator);
    assert_int_equal(stats.deviations, 1);
    assert_int_equal(stats.planned, 1);
    give(&stand, extra, NULL);
    give(&stand, usual, NULL);
    step(&stand);
    stats = planned_stats_of(stand.allocator);
    assert_int_equal(stats.missing, 15);
    assert_int_equal(stats.is_learning, 1);
    stand_close(&stand);
}

static void it_plans_again_when_the_program_has_changed(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "planned", "sim:8GiB");
    (void)run_layers(&stand, 1 * MIB);
    step(&stand);
    for (int k = 0; k < 4; k++) {
        (void)run_layers(&stand, 5 * MIB);
        step(&stand);
    }
    tarn_planned_stats stats = planned_stats_of(stand.allocator);
    assert_int_equal(stats.plans, 2);
    assert_int_equal(stats.is_learning, 0);
    uint64_t deviations = stats.deviations;
    (void)run_layers(&stand, 5 * MIB);
    assert_int_equal(planned_stats_of(stand.allocator).deviations, deviations);
    /* The old plan's memory is gone. */
    assert_in_range(tarn_allocator_allocated_size(stand.allocator), stats.plan_bytes, stats.plan_bytes + 2 * MIB);
    stand_close(&stand);
}

static void a_place_that_is_still_in_use_is_not_handed_out(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "planned", "sim:8GiB");
    for (int k = 0; k < 2; k++) {
        tarn_buffer *first = take(&stand, 4 * MIB, NULL);
        give(&stand, first, NULL);
        give(&stand, take(&stand, 6 * MIB, NULL), NULL);
        step(&stand);
    }
    tarn_buffer *late = take(&stand, 4 * MIB, NULL), *next = take(&stand, 6 * MIB, NULL);
    assert_false(buffers_overlap(late, next));
    EXPECT_OK(tarn_allocator_check(stand.allocator));
    tarn_planned_stats stats = planned_stats_of(stand.allocator);
    assert_int_equal(stats.deviations, 1);
    give(&stand, late, NULL);
    give(&stand, next, NULL);
    step(&stand);
    give(&stand, take(&stand, 4 * MIB, NULL), NULL);
    assert_int_equal(planned_stats_of(stand.allocator).deviations, 1);
    stand_close(&stand);
}

/* Fault of the list: reuse before the work of another stream is over. */
static void a_place_that_another_stream_uses_waits_for_its_work(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "planned", "fake:8GiB");
    stand_stream(&stand, 0);
    for (int k = 0; k < 3; k++) {
        tarn_buffer *shared = take(&stand, 4 * MIB, NULL);
        bool is_last = k == 2;
        if (is_last) stand_hold(&stand, 0);
        uintptr_t before = (uintptr_t)tarn_buffer_data(shared);
        EXPECT_OK(tarn_buffer_record_stream(shared, stand.streams[0]));
        give(&stand, shared, NULL);
        tarn_buffer *next = take(&stand, 4 * MIB, NULL);
        if (is_last) {
            assert_true((uintptr_t)tarn_buffer_data(next) != before);
            EXPECT_OK(tarn_allocator_check(stand.allocator));
        }
        give(&stand, next, NULL);
        if (!is_last) step(&stand);
    }
    assert_int_equal(planned_stats_of(stand.allocator).deviations, 1);
    stand_let_go(&stand, 0);
    step(&stand);
    assert_int_equal(planned_stats_of(stand.allocator).is_learning, 1);
    stand_close(&stand);
}

static void each_stream_has_places_of_its_own(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "planned", "sim:8GiB");
    tarn_stream *other = stand_stream(&stand, 0);
    for (int k = 0; k < 3; k++) {
        tarn_buffer *here = take(&stand, 4 * MIB, NULL);
        uintptr_t address = (uintptr_t)tarn_buffer_data(here);
        give(&stand, here, NULL);
        tarn_buffer *there = take(&stand, 4 * MIB, other);
        if (k > 0) assert_true((uintptr_t)tarn_buffer_data(there) != address);
        give(&stand, there, NULL);
        step(&stand);
    }
    assert_int_equal(planned_stats_of(stand.allocator).plan_bytes, 8 * MIB);
    assert_int_equal(planned_stats_of(stand.allocator).planned, 4);
    stand_close(&stand);
}

static void emptying_the_cache_gives_the_plan_s_memory_back_until_the_next_round(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "planned", "sim:8GiB");
    (void)run_layers(&stand, 1 * MIB);
    step(&stand);
    assert_true(tarn_allocator_allocated_size(stand.allocator) > 0);
    EXPECT_OK(tarn_allocator_empty_cache(stand.allocator));
    assert_int_equal(tarn_allocator_allocated_size(stand.allocator), 0);
    assert_int_equal(counters_of(stand.device).memory_in_use, stand.memory_before);
    (void)run_layers(&stand, 1 * MIB);
    step(&stand);
    uint64_t planned = planned_stats_of(stand.allocator).planned;
    (void)run_layers(&stand, 1 * MIB);
    assert_int_equal(planned_stats_of(stand.allocator).planned, planned + 16);
    stand_close(&stand);
}

static void the_plan_s_memory_goes_before_a_request_fails(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "planned", "sim:256MiB");
    (void)run_layers(&stand, 10 * MIB);
    step(&stand);
    give(&stand, take(&stand, 250 * MIB, NULL), NULL);
    tarn_buffer *buffer;
    EXPECT(TARN_OUT_OF_MEMORY, tarn_allocator_allocate(stand.allocator, 300 * MIB, NULL, &buffer));
    assert_int_equal(stats_of(stand.allocator).failed_allocations, 1);
    stand_close(&stand);
}

static void without_memory_for_a_plan_the_step_says_so_and_requests_go_on(void **state) {
    (void)state;
    test_stand stand;
    tarn_allocator *second = NULL;
    tarn_buffer *foreign = NULL;
    stand_open(&stand, "planned", "sim:256MiB");
    (void)run_layers(&stand, 5 * MIB);
    EXPECT_OK(tarn_allocator_empty_cache(stand.allocator));
    EXPECT_OK(tarn_allocator_create(stand.device, "direct", &second));
    EXPECT_OK(tarn_allocator_allocate(second, 200 * MIB, NULL, &foreign));
    EXPECT(TARN_OUT_OF_MEMORY, tarn_planned_step(stand.allocator));
    assert_int_equal(planned_stats_of(stand.allocator).failed_plans, 1);
    give(&stand, take(&stand, 5 * MIB, NULL), NULL);
    EXPECT(TARN_OUT_OF_MEMORY, tarn_planned_step(stand.allocator));
    EXPECT_OK(tarn_allocator_free(second, foreign, NULL));
    (void)run_layers(&stand, 5 * MIB);
    step(&stand);
    uint64_t planned = planned_stats_of(stand.allocator).planned;
    (void)run_layers(&stand, 5 * MIB);
    assert_int_equal(planned_stats_of(stand.allocator).planned, planned + 16);
    EXPECT_OK(tarn_allocator_release(second));
    stand_close(&stand);
}

static void only_a_planned_allocator_has_rounds(void **state) {
    (void)state;
    test_stand stand;
    tarn_planned_stats stats = {.struct_size = sizeof stats};
    stand_open(&stand, "limit:1GiB | caching", "sim:8GiB");
    EXPECT(TARN_NOT_SUPPORTED, tarn_planned_step(stand.allocator));
    EXPECT_SENTENCE("only \"planned\" can end a round");
    EXPECT(TARN_NOT_SUPPORTED, tarn_planned_stats_get(stand.allocator, &stats));
    stand_close(&stand);
    EXPECT(TARN_INVALID_ARGUMENT, tarn_planned_step(NULL));
    stand_open(&stand, "limit:1GiB | track | planned", "sim:8GiB");
    step(&stand);
    EXPECT(TARN_INVALID_ARGUMENT, tarn_planned_stats_get(stand.allocator, NULL));
    stats.struct_size = 1;
    EXPECT(TARN_INVALID_ARGUMENT, tarn_planned_stats_get(stand.allocator, &stats));
    stand_close(&stand);
}

static void buffers_of_a_plan_outlive_their_allocator(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "planned", "cpu");
    tarn_allocator *second = NULL;
    EXPECT_OK(tarn_allocator_create(stand.device, "planned", &second));
    for (int k = 0; k < 2; k++) {
        tarn_buffer *buffer = NULL;
        EXPECT_OK(tarn_allocator_allocate(second, 4 * MIB, NULL, &buffer));
        if (k == 1) {
            tarn_buffer *found = NULL;
            assert_int_equal(planned_stats_of(second).planned, 1);
            EXPECT_OK(tarn_allocator_find(second, tarn_buffer_data(buffer), &found));
            assert_ptr_equal(found, buffer);
            log_listen();
            EXPECT_OK(tarn_allocator_release(second));
            assert_non_null(strstr(log_heard(), "1 live buffers of 4 MiB"));
            log_silence();
            assert_true(tarn_buffer_is_valid(buffer));
            memset(tarn_buffer_data(buffer), 1, 4 * MIB);
        }
        EXPECT_OK(tarn_buffer_free(buffer, NULL));
        EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_free(buffer, NULL));
        if (k == 0) EXPECT_OK(tarn_planned_step(second));
    }
    stand_close(&stand);
}

/* What each_block shows: all addresses of the plan once, and none of its memory a second time. */
typedef struct shown {
    intervals seen;
    uint64_t live, cached;
} shown;

static int note_block(void *context, const tarn_block_info *block) {
    shown *all = context;
    assert_true(intervals_add(&all->seen, block->address, block->size));
    if (block->state == TARN_BLOCK_IN_USE) all->live++;
    else all->cached += block->size;
    return 0;
}

static void each_block_shows_the_plan_s_memory_once(void **state) {
    (void)state;
    test_stand stand;
    shown all = {.live = 0};
    stand_open(&stand, "planned", "sim:8GiB");
    (void)run_layers(&stand, 1 * MIB);
    step(&stand);
    tarn_buffer *first = take(&stand, 1 * MIB, NULL), *second = take(&stand, 8 * MIB, NULL),
                *other = take(&stand, 90 * MIB, NULL), *found = NULL;
    EXPECT_OK(tarn_allocator_each_block(stand.allocator, note_block, &all));
    assert_int_equal(all.live, 3);
    EXPECT_OK(tarn_allocator_find(stand.allocator, tarn_buffer_data(other), &found));
    assert_ptr_equal(found, other);
    void *place = tarn_buffer_data(first);
    give(&stand, first, NULL);
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_find(stand.allocator, place, &found));
    give(&stand, second, NULL);
    give(&stand, other, NULL);
    intervals_end(&all.seen);
    stand_close(&stand);
}

/* Divergence. */

typedef struct program_event {
    int id; /* of the buffer: allocated when it is not live, else freed */
    size_t size;
    int stream; /* of the stand, or -1 */
} program_event;

typedef struct learnt_program {
    program_event events[MOST];
    int count;
} learnt_program;

typedef struct run {
    test_stand stand;
    tarn_buffer *live[MOST];
    uint64_t start[MOST], length[MOST];
    intervals occupied;
    uint64_t state, requests;
    bool is_stored;
} run;

static uint64_t draw(run *self, uint64_t below) {
    self->state ^= self->state << 13;
    self->state ^= self->state >> 7;
    self->state ^= self->state << 17;
    return self->state % below;
}

static size_t draw_size(run *self) { return (size_t)1 << (8 + draw(self, 14)) | draw(self, 3) * 256; }

static void write_program(run *self, learnt_program *out_program) {
    bool is_live[MOST] = {false};
    int ids = 60, open = 0;
    out_program->count = 0;
    while (out_program->count < 300) {
        int id = (int)draw(self, (uint64_t)ids);
        if (open > 30 && !is_live[id]) continue;
        program_event *next = &out_program->events[out_program->count++];
        *next = (program_event){.id = id, .size = draw_size(self), .stream = draw(self, 4) == 0 ? 0 : -1};
        is_live[id] = !is_live[id];
        open += is_live[id] ? 1 : -1;
    }
    /* Most end with the round; a few live on into the next. */
    for (int id = 0; id < ids; id++)
        if (is_live[id] && id % 16 != 0)
            out_program->events[out_program->count++] = (program_event){.id = id, .stream = -1};
}

static void obtain(run *self, int id, size_t size, int stream) {
    tarn_stream *on = stream >= 0 ? self->stand.streams[stream] : NULL;
    tarn_status status = tarn_allocator_allocate(self->stand.allocator, size, on, &self->live[id]);
    if (status == TARN_OUT_OF_MEMORY) return;
    EXPECT_OK(status);
    self->requests++;
    self->start[id] = (uint64_t)(uintptr_t)tarn_buffer_data(self->live[id]);
    self->length[id] = tarn_buffer_capacity(self->live[id]);
    assert_true(self->length[id] >= size);
    if (!intervals_add(&self->occupied, self->start[id], self->length[id]))
        fail_msg("request %llu: %zu bytes overlap a live buffer", (unsigned long long)self->requests, size);
    if (self->is_stored) memset(tarn_buffer_data(self->live[id]), id, size < 64 ? size : 64);
}

static void part(run *self, int id, int stream) {
    if (self->live[id] == NULL) return;
    if (self->is_stored) assert_int_equal(*(unsigned char *)tarn_buffer_data(self->live[id]), (unsigned char)id);
    assert_true(intervals_remove(&self->occupied, self->start[id], self->length[id]));
    EXPECT_OK(
        tarn_allocator_free(self->stand.allocator, self->live[id], stream >= 0 ? self->stand.streams[stream] : NULL));
    self->live[id] = NULL;
}

static void do_event(run *self, const program_event *event) {
    if (self->live[event->id] != NULL) part(self, event->id, -1);
    else if (event->size != 0) obtain(self, event->id, event->size, event->stream);
}

/* Plays a round with one event in `odds` changed. */
static void play(run *self, const learnt_program *program, uint64_t odds) {
    for (int i = 0; i < program->count; i++) {
        program_event now = program->events[i];
        uint64_t kind = odds != 0 && draw(self, odds) == 0 ? draw(self, 7) : 7;
        if (kind == 0) now.size = draw_size(self);
        if (kind == 1) continue;
        if (kind == 2)
            do_event(self, &(program_event){.id = 256 + (int)draw(self, 200), .size = draw_size(self), .stream = -1});
        if (kind == 3 && i + 1 < program->count) do_event(self, &program->events[i + 1]);
        if (kind == 4) now.stream = now.stream < 0 ? 0 : -1;
        if (kind == 5 && self->live[now.id] != NULL) {
            EXPECT_OK(tarn_buffer_record_stream(self->live[now.id], self->stand.streams[1]));
            part(self, now.id, 0);
            continue;
        }
        if (kind == 6) {
            i += (int)draw(self, 80);
            continue;
        }
        do_event(self, &now);
    }
}

static void diverge(const char *spec, const char *device, uint64_t seed, bool is_marked) {
    run self = {.state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1};
    learnt_program program;
    stand_open(&self.stand, spec, device);
    self.is_stored = (self.stand.abilities & DEVICE_STORES) != 0;
    stand_stream(&self.stand, 0);
    stand_stream(&self.stand, 1);
    write_program(&self, &program);
    uint64_t planned = 0;
    for (int k = 0; k < 24; k++) {
        play(&self, &program, k < 6 ? 0 : k < 18 ? (uint64_t)1 << (k % 6 + 2) : 0);
        if (is_marked) {
            tarn_status status = tarn_planned_step(self.stand.allocator);
            if (status != TARN_OUT_OF_MEMORY) EXPECT_OK(status);
        }
        EXPECT_OK(tarn_allocator_check(self.stand.allocator));
        if (k % 9 == 8) EXPECT_OK(tarn_allocator_empty_cache(self.stand.allocator));
        planned = planned_stats_of(self.stand.allocator).planned;
    }
    assert_true(planned > 0);
    for (int id = 0; id < MOST; id++) part(&self, id, -1);
    intervals_end(&self.occupied);
    assert_int_equal(stats_of(self.stand.allocator).blocks.current, 0);
    EXPECT_OK(tarn_allocator_empty_cache(self.stand.allocator));
    assert_int_equal(tarn_allocator_allocated_size(self.stand.allocator), 0);
    stand_close(&self.stand);
}

static void divergence_never_makes_two_live_buffers_overlap(void **state) {
    (void)state;
    static const char *const specs[] = {"planned:timeout=0", "planned:timeout=0 | direct",
                                        "planned:timeout=0 | caching:settle=0,expandable=off"};
    static const char *const devices[] = {"cpu", "sim:1GiB", "sim:1GiB,granule=0,lag=1ms", "fake:1GiB,aliasing"};
    uint64_t seeds = test_number("TARN_PLANNED_SEEDS", 48 / test_slowness() + 12);
    for (uint64_t seed = 0; seed < seeds; seed++)
        diverge(specs[seed % 3], devices[seed / 3 % 4], seed + test_number("TARN_PLANNED_FIRST", 0), seed % 5 != 4);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_round_that_repeats_is_served_from_its_plan_without_driver_calls),
        cmocka_unit_test(learning_leaves_no_memory_beside_the_plan),
        cmocka_unit_test(the_period_is_found_without_marks),
        cmocka_unit_test(what_is_freed_in_the_next_round_has_a_place_too),
        cmocka_unit_test(what_stays_is_left_to_the_element_below),
        cmocka_unit_test(what_deviates_is_served_from_below_and_counted),
        cmocka_unit_test(it_plans_again_when_the_program_has_changed),
        cmocka_unit_test(a_place_that_is_still_in_use_is_not_handed_out),
        cmocka_unit_test(a_place_that_another_stream_uses_waits_for_its_work),
        cmocka_unit_test(each_stream_has_places_of_its_own),
        cmocka_unit_test(emptying_the_cache_gives_the_plan_s_memory_back_until_the_next_round),
        cmocka_unit_test(the_plan_s_memory_goes_before_a_request_fails),
        cmocka_unit_test(without_memory_for_a_plan_the_step_says_so_and_requests_go_on),
        cmocka_unit_test(only_a_planned_allocator_has_rounds),
        cmocka_unit_test(buffers_of_a_plan_outlive_their_allocator),
        cmocka_unit_test(each_block_shows_the_plan_s_memory_once),
        cmocka_unit_test(divergence_never_makes_two_live_buffers_overlap),
    };
    return cmocka_run_group_tests_name("memory planned", tests, NULL, NULL);
}
