/* Every driver call and every request for host memory of one scripted piece of work fails, one after the other, once and for
 * good; of a short script also every pair of driver calls, every driver call with every request for host memory, and pairs of such
 * requests. Each time the answers are sane, the structure is whole, the same work succeeds once the cause is gone, and nothing is
 * left behind. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "fake.h"
#include "stand.h"

#define BUFFERS 8

static const char *const swept_specs[] = {"direct",
                                          "cuda_async",
                                          "caching",
                                          "caching:expandable=off",
                                          "caching:thread_cache=0",
                                          "pytorch",
                                          "pytorch:expandable_segments=True",
                                          "pytorch:keep=on",
                                          "limit:4GiB | caching",
                                          "graph",
                                          "limit:4GiB | graph",
                                          "record:FILE | fail: | caching",
                                          "track:frames=2 | limit:4GiB | caching",
                                          "guard:quarantine=1MiB | caching",
                                          "track | guard:quarantine=0 | fallback:\"guard | direct\" | direct",
                                          "fallback:\"track | direct\" | track | caching",
                                          "predictive",
                                          "predictive:strategy=adaptive",
                                          "predictive:strategy=adaptive,in_place=off,max=170MiB",
                                          "pool",
                                          "pool | caching",
                                          "pool | cuda_async",
                                          "planned",
                                          "planned | direct",
                                          "arena",
                                          "limit:4GiB | arena | caching"};
static const char *const swept_devices[] = {"fake:176MiB", "fake:176MiB,aliasing", "fake:176MiB,flat"};
#define SPECS (sizeof swept_specs / sizeof swept_specs[0])
#define DEVICES (sizeof swept_devices / sizeof swept_devices[0])
/* The same with room for what stays: a plan's memory beside what deviates from it, what is kept for captured graphs. */
static const char *const roomy_devices[DEVICES] = {"fake:512MiB", "fake:512MiB,aliasing", "fake:512MiB,flat"};

/* What the script may be answered besides OK. */
typedef struct script {
    test_stand *stand;
    tarn_status fault; /* OK: nothing may fail */
    tarn_buffer *buffers[BUFFERS];
    tarn_stream *held;        /* a stream that stands still; NULL for none */
    bool is_used_by[BUFFERS]; /* by that stream */
    unsigned failures;
} script;

static void judge(script *self, tarn_status status, const char *step) {
    if (status == TARN_OK) return;
    self->failures++;
    if (self->fault == TARN_OK || (status != self->fault && status != TARN_OUT_OF_MEMORY))
        fail_msg("%s was answered %s: %s", step, tarn_status_name(status), tarn_last_error());
    if (strlen(tarn_last_error()) == 0) fail_msg("%s failed without a sentence", step);
}

static void obtain(script *self, int n, size_t size, tarn_stream *stream) {
    tarn_allocate_options options = {.struct_size = sizeof options, .stream = stream, .tag = "sweep"};
    tarn_buffer *untouched = self->buffers[n];
    tarn_status status = tarn_allocator_allocate_with(self->stand->allocator, size, &options, &self->buffers[n]);
    judge(self, status, "allocate");
    if (status == TARN_OK) assert_true(tarn_buffer_is_valid(self->buffers[n]));
    else assert_ptr_equal(self->buffers[n], untouched);
    self->is_used_by[n] = self->held != NULL && stream == self->held;
}

/* A free ends the buffer's life whatever the driver answers. */
static void part(script *self, int n, tarn_stream *stream) {
    if (self->buffers[n] == NULL) return;
    if (self->is_used_by[n] || (self->held != NULL && stream == self->held))
        fake_use_while_held(tarn_buffer_data(self->buffers[n]), tarn_buffer_capacity(self->buffers[n]));
    judge(self, tarn_allocator_free(self->stand->allocator, self->buffers[n], stream), "free");
    assert_false(tarn_buffer_is_valid(self->buffers[n]));
    self->buffers[n] = NULL;
}

static void share(script *self, int n, tarn_stream *stream) {
    if (self->buffers[n] == NULL) return;
    tarn_status status = tarn_buffer_record_stream(self->buffers[n], stream);
    judge(self, status, "record_stream");
    if (status == TARN_OK && self->held != NULL && stream == self->held) self->is_used_by[n] = true;
}

/* Another size for a buffer whose allocator can do that: growth and shrinking in place, and moves. After a failure the buffer is as
 * it was. */
static void vary(script *self, int n, int64_t size, tarn_stream *stream) {
    tarn_buffer *buffer = self->buffers[n];
    if (buffer == NULL || strncmp(self->stand->spec, "predictive", 10) != 0) return;
    const void *data = tarn_buffer_data(buffer);
    size_t before = tarn_buffer_size(buffer), capacity = tarn_buffer_capacity(buffer);
    tarn_shape shape = {.rank = 1, .dims = {size}};
    tarn_status status = tarn_predictive_resize(buffer, &shape, stream);
    judge(self, status, "resize");
    assert_true(tarn_buffer_is_valid(buffer));
    assert_int_equal(tarn_buffer_size(buffer), status == TARN_OK ? (size_t)size : before);
    if (status == TARN_OK) return;
    assert_ptr_equal(tarn_buffer_data(buffer), data);
    assert_int_equal(tarn_buffer_capacity(buffer), capacity);
}

/* Splits, merges, moves between streams, memory in use by a stream that stands still, and giving back. */
static void play(script *self) {
    test_stand *stand = self->stand;
    tarn_stream *one = stand->streams[0], *two = stand->streams[1];
    obtain(self, 0, 700, NULL);
    obtain(self, 1, 3 * MIB, one);
    obtain(self, 2, 40 * MIB, NULL);
    obtain(self, 3, 5000, two);
    share(self, 1, two);
    share(self, 0, one);
    part(self, 2, NULL);
    obtain(self, 2, 9 * MIB, NULL);
    obtain(self, 4, 9 * MIB, NULL);
    obtain(self, 5, 9 * MIB, NULL);
    part(self, 4, NULL);
    obtain(self, 6, 60 * MIB, NULL);
    part(self, 2, NULL);
    part(self, 5, one);
    obtain(self, 7, 25 * MIB, NULL);
    vary(self, 7, 31 * MIB, NULL);
    vary(self, 7, 45 * MIB, two);
    for (int i = 0; i < 20; i++) vary(self, 7, 5 * MIB, NULL);
    vary(self, 3, 20000, one);
    vary(self, 3, 9 * MIB, NULL);
    vary(self, 3, 0, two);
    part(self, 1, one);
    part(self, 0, NULL);
    obtain(self, 1, 3 * MIB, two);
    judge(self, tarn_allocator_empty_cache(stand->allocator), "empty_cache");
    part(self, 6, two);
    part(self, 7, NULL);
    obtain(self, 0, 110 * MIB, NULL); /* as good as everything: what is cached must go */
    part(self, 0, NULL);
    for (int n = 0; n < BUFFERS; n++) part(self, n, n % 2 == 0 ? one : NULL);
    judge(self, tarn_allocator_empty_cache(stand->allocator), "empty_cache");
}

static void play_with_a_held_stream(script *self) {
    test_stand *stand = self->stand;
    tarn_stream *one = stand->streams[0], *two = stand->streams[1];
    obtain(self, 0, 3 * MIB, one);
    obtain(self, 1, 30 * MIB, one);
    obtain(self, 2, 900, NULL);
    share(self, 2, one);
    share(self, 2, two);
    part(self, 0, one);
    part(self, 1, one);
    part(self, 2, NULL);
    obtain(self, 0, 3 * MIB, two);
    vary(self, 0, 12 * MIB, two);
    vary(self, 0, 30 * MIB, one);
    for (int i = 0; i < 20; i++) vary(self, 0, 3 * MIB, two);
    obtain(self, 1, 33 * MIB, one);
    obtain(self, 2, 900, NULL);
    for (int n = 0; n < BUFFERS; n++) part(self, n, NULL);
    judge(self, tarn_allocator_empty_cache(stand->allocator), "empty_cache");
}

/* It learns what is played, and is to be told when that ends. */
static bool learns(const char *spec) { return strncmp(spec, "planned", 7) == 0; }

/* For an allocator that learns: plans what was played, and says that it is to be played again. */
static bool plans(script *self) {
    if (!learns(self->stand->spec)) return false;
    judge(self, tarn_planned_step(self->stand->allocator), "planned_step");
    return true;
}

static unsigned run_script(test_stand *stand, tarn_status fault) {
    script self = {.stand = stand, .fault = fault};
    play(&self);
    if (plans(&self)) play(&self);
    return self.failures;
}

/* The same in few calls, for pairs of faults: growing, reuse by another stream, an event, and giving back. */
static unsigned run_short_script(test_stand *stand, tarn_status fault) {
    script self = {.stand = stand, .fault = fault};
    tarn_stream *one = stand->streams[0], *two = stand->streams[1];
    obtain(&self, 0, 3 * MIB, NULL);
    obtain(&self, 1, 5 * MIB, NULL);
    share(&self, 0, one);
    part(&self, 1, NULL);
    part(&self, 0, NULL);
    obtain(&self, 2, 7 * MIB, one);
    part(&self, 2, two);
    judge(&self, tarn_allocator_empty_cache(stand->allocator), "empty_cache");
    return self.failures;
}

static unsigned run_held_script(test_stand *stand, tarn_status fault) {
    script self = {.stand = stand, .fault = fault, .held = stand->streams[0]};
    play_with_a_held_stream(&self);
    if (plans(&self)) play_with_a_held_stream(&self);
    return self.failures;
}

static void open_swept(test_stand *stand, size_t place) {
    const char *spec = swept_specs[place % SPECS];
    bool is_roomy = learns(spec) || strstr(spec, "keep=on") != NULL;
    stand_open(stand, spec, is_roomy ? roomy_devices[place / SPECS] : swept_devices[place / SPECS]);
    stand_stream(stand, 0);
    stand_stream(stand, 1);
}

/* After a fault: whole, and good for the same work again. */
static void expect_recovery(test_stand *stand) {
    EXPECT_OK(tarn_allocator_check(stand->allocator));
    /* Its addresses are fixed: what a fault left behind would be cut into pieces that cannot be moved together. */
    if (strstr(stand->spec, "graph") != NULL) EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
    run_script(stand, TARN_OK);
    EXPECT_OK(tarn_allocator_check(stand->allocator));
    assert_int_equal(stats_of(stand->allocator).blocks.current, 0);
    assert_int_equal(tarn_allocator_allocated_size(stand->allocator), 0);
    assert_int_equal(counters_of(stand->device).memory_in_use, stand->memory_before);
}

static bool ends_in(const char *spec, const char *name) {
    size_t length = strlen(spec), last = strlen(name);
    return length >= last && strcmp(spec + length - last, name) == 0;
}

/* Such a stack gives back what one stream is done with, also while another stands still that does not use it. */
static bool gives_back_piecemeal(size_t place) {
    const char *spec = swept_specs[place % SPECS];
    bool is_on_caching = strstr(spec, "caching") != NULL || strcmp(spec, "planned") == 0;
    return is_on_caching || ends_in(spec, "direct") || ends_in(spec, "pool") || ends_in(spec, "arena");
}

/* Where everything is slow, each call fails in one of the first three ways, or in two, and each request in one of two. One thread has no
 * races: where nothing else is seen, one fault in eight is enough to meet the locks on the ways back. */
static unsigned long race_stride(void) { return test_sees_only_races() ? 8 : 1; }
static unsigned long driver_stride(void) { return test_slowness() >= 10 ? 3 * race_stride() : 1; }
static unsigned long host_stride(void) { return test_slowness() >= 10 ? 2 * race_stride() : 1; }

static void sweep_driver(size_t place, bool holds, unsigned long *inout_calls) {
    unsigned long calls = 1;
    for (int way = 0; way < 4; way++) {
        tarn_status fault = way % 2 == 0 ? TARN_INTERNAL : TARN_OUT_OF_MEMORY;
        bool for_good = way / 2 != 0;
        for (unsigned long k = 1 + (unsigned long)way % driver_stride(); k <= calls; k += driver_stride()) {
            test_stand stand;
            open_swept(&stand, place);
            if (holds) stand_hold(&stand, 0);
            fake_fail(FAKE_ALL, k, for_good, fault);
            if (holds) run_held_script(&stand, fault);
            else run_script(&stand, fault);
            if (k == 1 && way == 0) {
                /* How many there are is known from a run without faults. */
                fake_fail(FAKE_ALL, 0, 0, fault);
                stand_let_go(&stand, 0);
                run_script(&stand, TARN_OK);
            }
            unsigned long reached = fake_calls();
            if (reached > calls) calls = reached;
            fake_fail(0, 0, 0, TARN_OK);
            if (!gives_back_piecemeal(place)) assert_int_equal(fake_taken_while_held(), 0);
            stand_let_go(&stand, 0);
            expect_recovery(&stand);
            stand_close(&stand);
            fake_reset();
            if (reached < k) break;
            if (way == 0) ++*inout_calls;
        }
    }
}

/* Where a heap cannot move its segments, pieces that a pool or an arena holds keep them; then the script asks for more than what
 * is left in one part, with or without faults. */
static bool is_too_tight(size_t place) {
    const char *spec = swept_specs[place % SPECS];
    bool takes_pieces = strstr(spec, "pool |") != NULL || strstr(spec, "arena |") != NULL;
    return takes_pieces && strstr(swept_devices[place / SPECS], "flat") != NULL;
}

/* Where everything is slow, each spec is swept on one of the three devices. */
static bool is_left_out(size_t place) {
    return is_too_tight(place) || (test_slowness() > 1 && (place % SPECS + place / SPECS) % 3 != 0);
}

static void every_driver_call_fails(void **state) {
    (void)state;
    for (size_t place = 0; place < SPECS * DEVICES; place++) {
        if (is_left_out(place)) continue;
        unsigned long calls = 0;
        sweep_driver(place, false, &calls);
        sweep_driver(place, true, &calls);
        print_message("%s on %s: %lu driver calls a way, one in %lu of all\n", swept_specs[place % SPECS],
                      swept_devices[place / SPECS], calls, driver_stride());
        assert_true(calls > 0);
    }
}

/* The whole life of an allocator, from its creation, under a shortage of host memory. */
static void sweep_host(size_t place, bool for_good, unsigned long *out_requests) {
    unsigned long requests = 1 + for_good % host_stride();
    *out_requests = 0;
    for (unsigned long k = requests; k <= requests; k += host_stride()) {
        test_stand stand;
        open_swept(&stand, place);
        const char *spec = tarn_allocator_spec(stand.allocator);
        tarn_allocator *second = NULL, *first = stand.allocator;
        base_memory_fail_at(k, for_good);
        tarn_status status = tarn_allocator_create(stand.device, spec, &second);
        if (status != TARN_OK) {
            assert_int_equal(status, TARN_OUT_OF_MEMORY);
            assert_null(second);
        } else {
            stand.allocator = second;
            run_script(&stand, TARN_OUT_OF_MEMORY);
        }
        run_script(&stand, TARN_OUT_OF_MEMORY);
        unsigned long reached = base_memory_requests();
        base_memory_fail_at(0, 0);
        if (second != NULL) {
            expect_recovery(&stand);
            EXPECT_OK(tarn_allocator_release(second));
            stand.allocator = first;
        }
        expect_recovery(&stand);
        stand_close(&stand);
        fake_reset();
        if (reached < k) break;
        ++*out_requests;
        requests = k + host_stride();
    }
}

static void every_request_for_host_memory_fails(void **state) {
    (void)state;
    for (size_t place = 0; place < SPECS * DEVICES; place++) {
        if (is_left_out(place)) continue;
        unsigned long once, for_good;
        sweep_host(place, false, &once);
        sweep_host(place, true, &for_good);
        print_message("%s on %s: %lu host allocations, %lu for good, one in %lu of all\n", swept_specs[place % SPECS],
                      swept_devices[place / SPECS], once, for_good, host_stride());
        assert_true(once > 0);
    }
}

/* Which driver calls and which requests for host memory fail; 0: none. */
typedef struct faults {
    unsigned long calls[2], requests[2];
} faults;

/* Runs the short script with these faults, and tells how many calls and requests there were. */
static void run_with_faults(size_t place, faults at, unsigned long *out_calls, unsigned long *out_requests) {
    test_stand stand;
    bool is_odd = (at.calls[0] + at.calls[1] + at.requests[0] + at.requests[1]) % 2 != 0;
    tarn_status fault = is_odd ? TARN_OUT_OF_MEMORY : TARN_INTERNAL;
    open_swept(&stand, place);
    fake_fail(FAKE_ALL, at.calls[0], 0, fault);
    fake_fail_too(at.calls[1]);
    base_memory_fail_at(at.requests[0], 0);
    base_memory_fail_too(at.requests[1]);
    run_short_script(&stand, fault);
    *out_calls = fake_calls();
    *out_requests = base_memory_requests();
    fake_fail(0, 0, 0, TARN_OK);
    base_memory_fail_at(0, 0);
    expect_recovery(&stand);
    stand_close(&stand);
    fake_reset();
}

/* So many pairs of requests are tried for each allocator on each device; where there are more, a sample of them. */
enum { HOST_PAIRS = 60 };

static unsigned long try_host_pairs(size_t place, unsigned long all_requests, unsigned long *out_all) {
    unsigned long left = all_requests * (all_requests - 1) / 2, wanted = left < HOST_PAIRS ? left : HOST_PAIRS;
    unsigned long calls, requests, tried = 0;
    uint64_t random = test_number("TARN_MODEL_SEED", 1) + place;
    *out_all = left;
    for (unsigned long first = 1; first < all_requests; first++) {
        for (unsigned long second = first + 1; second <= all_requests; second++, left--) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            if ((random >> 33) % left >= wanted - tried) continue;
            run_with_faults(place, (faults){.requests = {first, second}}, &calls, &requests);
            tried++;
        }
    }
    return tried;
}

static void every_pair_of_faults_is_survived(void **state) {
    (void)state;
    for (size_t place = 0; place < SPECS * DEVICES; place++) {
        if (test_slowness() > 1 && strcmp(swept_specs[place % SPECS], "caching") != 0) continue;
        unsigned long all_calls, all_requests, calls, requests, pairs = 0, mixed = 0, host_pairs;
        run_with_faults(place, (faults){.calls = {0}}, &all_calls, &all_requests);
        assert_in_range(all_calls, 1, 49);
        /* What a first fault leads to may take more calls than there are without one, or fewer. */
        for (unsigned long first = 1; first <= all_calls; first += race_stride()) {
            for (unsigned long second = first + 1; second == first + 1 || calls + 1 >= second; second++) {
                run_with_faults(place, (faults){.calls = {first, second}}, &calls, &requests);
                pairs += calls >= second;
            }
        }
        for (unsigned long request = 1; request <= all_requests; request += race_stride()) {
            for (unsigned long call = 1; call == 1 || calls + 1 >= call; call++) {
                run_with_faults(place, (faults){.calls = {call}, .requests = {request}}, &calls, &requests);
                mixed += calls >= call && requests >= request;
            }
        }
        unsigned long tried = try_host_pairs(place, all_requests, &host_pairs);
        print_message(
            "%s on %s: %lu pairs of driver calls, %lu of a driver call and a host allocation, %lu of %lu pairs "
            "of host allocations\n",
            swept_specs[place % SPECS], swept_devices[place / SPECS], pairs, mixed, tried, host_pairs);
        assert_true(pairs > 0 && mixed > 0 && tried > 0);
    }
}

/* The device is lost at its k-th call, for all k: nothing hangs, everything can be destroyed, and a new device works. */
static void the_device_is_lost_at_every_call(void **state) {
    (void)state;
    static const char *const kinds[] = {"", ",granule=0", ",aliasing=on"};
    tarn_log_set(NULL, NULL, TARN_LOG_OFF);
    for (size_t place = 0; place < SPECS * 3; place++) {
        if (strstr(swept_specs[place % SPECS], "FILE") != NULL) continue;
        if (test_slowness() >= 10 && (place % SPECS + place / SPECS) % 3 != 0) continue;
        bool is_lost = true;
        unsigned long calls = 0;
        for (unsigned long k = 1; is_lost; k++) {
            char name[96];
            snprintf(name, sizeof name, "sim:%s%s,fail_at=%lu,fail_status=DEVICE_LOST",
                     learns(swept_specs[place % SPECS]) ? "512MiB" : "176MiB", kinds[place / SPECS], k);
            test_stand stand = {.spec = swept_specs[place % SPECS], .device_name = name};
            EXPECT_OK(tarn_device_open(name, &stand.device));
            tarn_status made = tarn_allocator_create(stand.device, stand.spec, &stand.allocator);
            if (made != TARN_OK) {
                assert_int_equal(made, TARN_DEVICE_LOST);
                tarn_device_release(stand.device);
                calls++;
                continue;
            }
            made = tarn_stream_create(stand.device, &stand.streams[0]);
            if (made == TARN_OK) made = tarn_stream_create(stand.device, &stand.streams[1]);
            if (made == TARN_OK) run_script(&stand, TARN_DEVICE_LOST);
            else assert_int_equal(made, TARN_DEVICE_LOST);
            tarn_buffer *last = NULL;
            is_lost = tarn_allocator_allocate(stand.allocator, 110 * MIB, NULL, &last) == TARN_DEVICE_LOST;
            EXPECT_OK(tarn_allocator_free(stand.allocator, last, NULL));
            EXPECT_OK(tarn_allocator_check(stand.allocator));
            EXPECT_OK(tarn_allocator_release(stand.allocator));
            tarn_stream_release(stand.streams[0]);
            tarn_stream_release(stand.streams[1]);
            tarn_device_release(stand.device);
            calls += is_lost;
        }
        print_message("%s on sim%s: lost at each of %lu calls\n", swept_specs[place % SPECS], kinds[place / SPECS],
                      calls);
        assert_true(calls > 5);
    }
    tarn_log_set(NULL, NULL, TARN_LOG_WARNING);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_driver_call_fails),
        cmocka_unit_test(every_request_for_host_memory_fails),
        cmocka_unit_test(every_pair_of_faults_is_survived),
        cmocka_unit_test(the_device_is_lost_at_every_call),
    };
    return cmocka_run_group_tests_name("memory fault sweep", tests, NULL, NULL);
}
