/* Random shapes against a simple model: buffers are allocated for bounds, resized on any stream, shared with others and freed,
 * while streams stand still and driver calls fail. The model knows what each buffer holds, which memory work still uses, and every
 * figure.
 *
 * TARN_MODEL_OPERATIONS=N runs N in all, TARN_MODEL_SEED=S repeats a run. */
#include <stdio.h>
#include <string.h>

#include "fake.h"
#include "footprint.h"
#include "stand.h"

#define LIVE 16
#define PENDING 128
#define STREAMS 3
#define LOG 64
#define MOST_ROWS (24 * (int64_t)KIB) /* of 1 KiB */

/* How large a buffer was when, and which streams stood still then. */
typedef struct past {
    size_t size;
    unsigned held, epochs[STREAMS];
} past;

typedef struct live_buffer {
    tarn_buffer *buffer;
    void *address;
    size_t size, capacity;
    unsigned streams; /* that use it, as bits; the default one aside */
    int stream;       /* that it was allocated for; -1: the default one */
    unsigned char mark;
    footprint memory;
    past log[LOG];
    size_t logged;
} live_buffer;

/* Memory that streams which stand still may use. */
typedef struct pending_use {
    footprint memory;
    unsigned streams, epochs[STREAMS];
} pending_use;

typedef struct shapes_model {
    test_stand stand;
    bool is_fake, is_stored;
    live_buffer live[LIVE];
    size_t live_count;
    pending_use pending[PENDING];
    size_t pending_count;
    intervals occupied;
    bool is_held[STREAMS];
    unsigned epochs[STREAMS];
    unsigned long forced_waits;
    tarn_status armed;
    uint64_t requested, in_use, moves, resizes, allocations, uses, allocated, wasted, refusals;
    uint64_t state;
} shapes_model;

static shapes_model model;

static uint64_t next(void) {
    uint64_t z = model.state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static tarn_stream *stream_of(int stream) { return stream < 0 ? NULL : model.stand.streams[stream]; }

/* Time may have passed while the allocator waited for the device: then no stream stands any more. */
static void notice_waits(void) {
    if (!model.is_fake || fake_forced_waits() == model.forced_waits) return;
    model.forced_waits = fake_forced_waits();
    for (int s = 0; s < STREAMS; s++) {
        stand_let_go(&model.stand, s);
        model.is_held[s] = false;
    }
}

/* Which of the streams have stood still since those epochs. */
static unsigned still_held(unsigned streams, const unsigned *epochs) {
    unsigned held = 0;
    for (int s = 0; s < STREAMS; s++)
        if ((streams >> s & 1) != 0 && model.is_held[s] && model.epochs[s] == epochs[s]) held |= 1u << s;
    return held;
}

static unsigned held_now(void) {
    unsigned held = 0;
    for (int s = 0; s < STREAMS; s++) held |= model.is_held[s] ? 1u << s : 0;
    return held;
}

static void note_pending(const footprint *memory, unsigned streams) {
    pending_use item = {.memory = *memory, .streams = streams & held_now()};
    memcpy(item.epochs, model.epochs, sizeof item.epochs);
    if (item.streams == 0) return;
    assert_true(model.pending_count < PENDING);
    model.pending[model.pending_count++] = item;
}

/* What was handed out for use on `stream` must not be memory that another one still uses. */
static void check_stream_order(const footprint *memory, int stream) {
    for (size_t i = 0; i < model.pending_count;) {
        pending_use *item = &model.pending[i];
        unsigned streams = still_held(item->streams, item->epochs);
        if (streams == 0) {
            *item = model.pending[--model.pending_count];
            continue;
        }
        if (stream >= 0) streams &= ~(1u << stream);
        if (streams != 0 && footprint_overlaps(&item->memory, memory))
            fail_msg("memory that a stream still uses (%#x) was handed out on stream %d", streams, stream);
        i++;
    }
}

/* Marks the contents, or checks as many bytes of them. */
static void visit_marks(const live_buffer *item, size_t size, bool writes) {
    unsigned char *bytes = item->address;
    for (size_t at = 0; at < size; at += at / 4 + 509) {
        unsigned char wanted = (unsigned char)(item->mark + at / 256);
        if (writes) bytes[at] = wanted;
        else if (bytes[at] != wanted) fail_msg("byte %zu of %zu changed", at, size);
    }
}

static void log_size(live_buffer *item) {
    past *entry = &item->log[item->logged++ % LOG];
    entry->size = item->size;
    entry->held = held_now();
    memcpy(entry->epochs, model.epochs, sizeof entry->epochs);
}

/* What lies behind the new capacity must not be used by work from when the buffer was larger. */
static void check_shrink(const live_buffer *item) {
    for (size_t i = 0; i < LOG && i < item->logged; i++) {
        const past *entry = &item->log[i];
        if (entry->size <= item->capacity) continue;
        if (still_held(item->streams & entry->held, entry->epochs) != 0)
            fail_msg("a tail that a stream still uses was unmapped");
    }
}

/* Looks at the place and the size that a buffer has now. */
static void take_note(live_buffer *item) {
    item->address = tarn_buffer_data(item->buffer);
    item->capacity = tarn_buffer_capacity(item->buffer);
    assert_true(item->capacity >= item->size);
    assert_int_equal((uintptr_t)item->address % model.stand.properties.alignment, 0);
    if (!footprint_look(&item->memory, (uintptr_t)item->address, item->capacity, model.is_fake))
        fail_msg("a buffer has no memory behind it");
    if (!footprint_add(&item->memory, &model.occupied)) fail_msg("two live buffers overlap");
    model.in_use += item->capacity;
    model.requested += item->size;
}

static void note_use(live_buffer *item) {
    log_size(item);
    model.uses++;
    model.allocated += item->capacity;
    model.wasted += item->capacity - item->size;
}

static bool is_allowed(tarn_status status) {
    if (status == TARN_OK) return true;
    model.refusals++;
    if (status == TARN_OUT_OF_MEMORY || status == TARN_LIMIT_EXCEEDED) return true;
    if (model.armed != TARN_OK && status == model.armed) return true;
    fail_msg("answered %s: %s", tarn_status_name(status), tarn_last_error());
    return false;
}

static tarn_shape rows(int64_t count) { return (tarn_shape){.rank = 2, .dims = {count, 1024}}; }

static int64_t random_rows(void) {
    int64_t magnitude = (int64_t)1 << next() % 14;
    return 1 + magnitude + (int64_t)(next() % (uint64_t)magnitude);
}

static void allocate(void) {
    static const char *const tags[] = {NULL, "one", "two"};
    if (model.live_count == LIVE) return;
    live_buffer *item = &model.live[model.live_count];
    *item = (live_buffer){.stream = (int)(next() % (STREAMS + 1)) - 1, .mark = (unsigned char)next()};
    int64_t expected = random_rows();
    tarn_shape_bounds bounds = {.minimum = rows(0), .maximum = rows(MOST_ROWS), .expected = rows(expected)};
    tarn_allocate_options options = {
        .struct_size = sizeof options, .stream = stream_of(item->stream), .tag = tags[next() % 3]};
    tarn_status status =
        tarn_predictive_allocate(model.stand.allocator, &bounds, TARN_ELEMENT_U8, &options, &item->buffer);
    notice_waits();
    if (!is_allowed(status) || status != TARN_OK) return;
    item->size = (size_t)expected * KIB;
    item->streams = item->stream >= 0 ? 1u << item->stream : 0;
    take_note(item);
    check_stream_order(&item->memory, item->stream);
    if (model.is_stored) visit_marks(item, item->size, true);
    note_use(item);
    model.live_count++;
    model.allocations++;
}

static void resize(void) {
    if (model.live_count == 0) return;
    live_buffer *item = &model.live[next() % model.live_count], before = *item;
    /* Shapes are often near to the last one, and low for a while. */
    int64_t count = next() % 3 == 0 ? random_rows() : (int64_t)(item->size / KIB / 2 + next() % 64);
    if (next() % 50 == 0) count = 0;
    if (count > MOST_ROWS) count = MOST_ROWS;
    int stream = next() % 3 != 0 ? item->stream : (int)(next() % (STREAMS + 1)) - 1;
    if (model.is_stored) visit_marks(item, item->size, false);
    tarn_shape shape = rows(count);
    tarn_status status = tarn_predictive_resize(item->buffer, &shape, stream_of(stream));
    if (stream < 0) stream = item->stream; /* NULL stands for that */
    notice_waits();
    footprint_remove(&before.memory, &model.occupied);
    model.in_use -= before.capacity;
    model.requested -= before.size;
    if (stream >= 0) item->streams |= 1u << stream;
    if (is_allowed(status) && status == TARN_OK) item->size = (size_t)count * KIB;
    take_note(item);
    if (status != TARN_OK) {
        assert_ptr_equal(item->address, before.address);
        assert_int_equal(item->capacity, before.capacity);
        return;
    }
    model.resizes++;
    if (item->address != before.address) {
        model.moves++;
        note_pending(&before.memory, item->streams);
        check_stream_order(&item->memory, stream);
        if (model.is_stored) EXPECT_OK(tarn_device_synchronize(model.stand.device));
    } else if (item->capacity < before.capacity) {
        check_shrink(item);
    }
    size_t kept = before.size < item->size ? before.size : item->size;
    if (model.is_stored) {
        visit_marks(item, kept, false);
        visit_marks(item, item->size, true);
    }
    note_use(item);
}

static void free_one(void) {
    if (model.live_count == 0) return;
    size_t place = next() % model.live_count;
    live_buffer gone = model.live[place];
    int stream = next() % 4 != 0 ? -1 : (int)(next() % STREAMS);
    if (stream >= 0) gone.streams |= 1u << stream;
    if (model.is_stored) visit_marks(&gone, gone.size, false);
    note_pending(&gone.memory, gone.streams);
    EXPECT_OK(tarn_buffer_free(gone.buffer, stream_of(stream)));
    notice_waits();
    tarn_shape shape = rows(1);
    EXPECT(TARN_INVALID_ARGUMENT, tarn_predictive_resize(gone.buffer, &shape, NULL));
    footprint_remove(&gone.memory, &model.occupied);
    model.in_use -= gone.capacity;
    model.requested -= gone.size;
    model.live[place] = model.live[--model.live_count];
}

static void share_with_a_stream(void) {
    if (model.live_count == 0) return;
    live_buffer *item = &model.live[next() % model.live_count];
    int stream = (int)(next() % STREAMS);
    EXPECT_OK(tarn_buffer_record_stream(item->buffer, stream_of(stream)));
    item->streams |= 1u << stream;
    log_size(item);
}

static void hold_or_let_go(void) {
    int s = (int)(next() % STREAMS);
    if (!model.is_fake) return;
    if (model.is_held[s]) stand_let_go(&model.stand, s);
    else stand_hold(&model.stand, s);
    model.is_held[s] = !model.is_held[s];
    model.epochs[s]++;
    model.forced_waits = fake_forced_waits();
    /* Work on what lives may be enqueued behind the gate from now on. */
    for (size_t i = 0; i < model.live_count; i++) log_size(&model.live[i]);
}

static void arm_or_disarm(void) {
    if (!model.is_fake) return;
    uint64_t number = next();
    model.armed = number % 4 == 0 ? TARN_OK : number % 2 == 0 ? TARN_OUT_OF_MEMORY : TARN_INTERNAL;
    fake_fail(model.armed == TARN_OK ? 0 : FAKE_GIVING_MEMORY | FAKE_TAKING_MEMORY | FAKE_EVENTS, 1 + number / 8 % 12,
              number / 128 % 4 == 0, model.armed);
}

static void compare(void) {
    tarn_memory_stats stats = stats_of(model.stand.allocator);
    tarn_predictive_stats done = {.struct_size = sizeof done};
    EXPECT_OK(tarn_predictive_stats_get(model.stand.allocator, &done));
    EXPECT_OK(tarn_allocator_check(model.stand.allocator));
    assert_int_equal(stats.requested_bytes.current, model.requested);
    assert_int_equal(stats.in_use_bytes.current, model.in_use);
    assert_int_equal(stats.blocks.current, model.live_count);
    assert_int_equal(stats.allocations, model.allocations);
    assert_int_equal(stats.reserved_bytes.current, stats.in_use_bytes.current + stats.cached_bytes.current);
    assert_int_equal(done.resizes, model.resizes);
    assert_int_equal(done.moves, model.moves);
    assert_int_equal(done.uses, model.uses);
    assert_int_equal(done.allocated_bytes, model.allocated);
    assert_int_equal(done.wasted_bytes, model.wasted);
}

static void operate(void) {
    uint64_t number = next() % 1000;
    if (number < 120) allocate();
    else if (number < 800) resize();
    else if (number < 900) free_one();
    else if (number < 930) share_with_a_stream();
    else if (number < 960) hold_or_let_go();
    else if (number < 975) arm_or_disarm();
    else if (number < 995) compare();
    else if (!is_allowed(tarn_allocator_empty_cache(model.stand.allocator))) return;
    notice_waits();
}

typedef struct ground {
    const char *spec, *device;
} ground;

static const ground grounds[] = {
    {"predictive", "fake:128MiB"},
    {"predictive:strategy=adaptive", "fake:128MiB"},
    {"predictive:strategy=quantile", "fake:128MiB,flat"},
    {"predictive:strategy=adaptive,max=96MiB", "fake:8GiB,flat"},
    {"predictive:strategy=adaptive,in_place=off", "cpu"},
    {"predictive:strategy=quantile", "cpu"},
    {"predictive:strategy=adaptive", "sim:128MiB,lag=1ms"},
};
#define GROUNDS (sizeof grounds / sizeof grounds[0])

static void run_ground(void **state) {
    const ground *here = *state;
    size_t operations = test_number("TARN_MODEL_OPERATIONS", 70000 / test_slowness()) / GROUNDS;
    uint64_t seed = test_number("TARN_MODEL_SEED", 1);
    memset(&model, 0, sizeof model);
    fake_reset();
    stand_open(&model.stand, here->spec, here->device);
    model.is_fake = strncmp(here->device, "fake:", 5) == 0;
    model.is_stored = (model.stand.properties.features & TARN_FEATURE_HOST_ACCESS) != 0;
    for (int s = 0; s < STREAMS; s++) stand_stream(&model.stand, s);
    for (size_t i = 0; i < operations; i++) {
        model.state = seed * 0x2545f4914f6cdd1du + i * 0xd1342543de82ef95u;
        operate();
    }
    if (model.is_fake) fake_fail(0, 0, 0, TARN_OK);
    model.armed = TARN_OK;
    compare();
    while (model.live_count > 0) free_one();
    for (int s = 0; s < STREAMS; s++) stand_let_go(&model.stand, s);
    compare();
    EXPECT_OK(tarn_allocator_empty_cache(model.stand.allocator));
    assert_int_equal(tarn_allocator_allocated_size(model.stand.allocator), 0);
    print_message("%zu operations: %llu resizes, %llu moves, %llu refusals\n", operations,
                  (unsigned long long)model.resizes, (unsigned long long)model.moves,
                  (unsigned long long)model.refusals);
    intervals_end(&model.occupied);
    stand_close(&model.stand);
}

int main(void) {
    static struct CMUnitTest tests[GROUNDS];
    static char names[GROUNDS][128];
    for (size_t i = 0; i < GROUNDS; i++) {
        snprintf(names[i], sizeof names[i], "resized_buffers_agree_with_the_model [%s on %s]", grounds[i].spec,
                 grounds[i].device);
        tests[i] = (struct CMUnitTest){names[i], run_ground, NULL, NULL, (void *)(uintptr_t)&grounds[i]};
    }
    return _cmocka_run_group_tests("memory predictive model", tests, GROUNDS, NULL, NULL);
}
