/* Fuzzed divergence from a plan: a learnt round is changed at random, in sizes, order, requests too many and too few, streams and late
 * frees. Each new buffer is compared with all live ones, so that no two ever share memory, and what lies in it is read at its free.
 *
 * TARN_PLANNED_SEEDS=N tries N programs, TARN_PLANNED_FIRST=S begins with that one. */
#include <string.h>

#include "intervals.h"
#include "stand.h"

enum { MOST = 512 };

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

/* Adds what the allocator tells of its plans to `inout_sum`. */
static void diverge(const char *spec, const char *device, uint64_t seed, bool is_marked,
                    tarn_planned_stats *inout_sum) {
    run self = {.state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1};
    learnt_program program;
    stand_open(&self.stand, spec, device);
    self.is_stored = strcmp(device, "cpu") == 0;
    stand_stream(&self.stand, 0);
    stand_stream(&self.stand, 1);
    write_program(&self, &program);
    tarn_planned_stats stats = {.struct_size = sizeof stats};
    for (int k = 0; k < 24; k++) {
        play(&self, &program, k < 6 ? 0 : k < 18 ? (uint64_t)1 << (k % 6 + 2) : 0);
        if (is_marked) {
            tarn_status status = tarn_planned_step(self.stand.allocator);
            if (status != TARN_OUT_OF_MEMORY) EXPECT_OK(status);
        }
        EXPECT_OK(tarn_allocator_check(self.stand.allocator));
        if (k % 9 == 8) EXPECT_OK(tarn_allocator_empty_cache(self.stand.allocator));
        EXPECT_OK(tarn_planned_stats_get(self.stand.allocator, &stats));
    }
    assert_true(stats.planned > 0);
    inout_sum->planned += stats.planned;
    inout_sum->deviations += stats.deviations;
    inout_sum->missing += stats.missing;
    inout_sum->plans += stats.plans;
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
    tarn_planned_stats sum = {.planned = 0};
    for (uint64_t seed = 0; seed < seeds; seed++)
        diverge(specs[seed % 3], devices[seed / 3 % 4], seed + test_number("TARN_PLANNED_FIRST", 0), seed % 5 != 4,
                &sum);
    print_message("%llu requests from plans, %llu deviations, %llu missing, %llu plans\n",
                  (unsigned long long)sum.planned, (unsigned long long)sum.deviations, (unsigned long long)sum.missing,
                  (unsigned long long)sum.plans);
    assert_true(sum.deviations > 0 && sum.missing > 0);
}

int main(void) {
    static const struct CMUnitTest tests[] = {cmocka_unit_test(divergence_never_makes_two_live_buffers_overlap)};
    return cmocka_run_group_tests_name("memory planned divergence", tests, NULL, NULL);
}
