/* guard: six kinds of misuse, each committed in a child process on every allocator and device, each answered with the exact
 * status and a sentence that names where the buffer was asked for and where it was freed. Numbers in comments are those of
 * the project's list of faults. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake.h"
#include "remote.h"
#include "stand.h"

#define NOT_INLINED __attribute__((noinline, noclone))
/* Keeps a call from being the last thing its function does, so that the function stays on the stack. */
#define STAY() __asm__ volatile("")

/* What AddressSanitizer would stop at the write already, it leaves to the guard in functions without it. */
#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
/* Likewise valgrind. */
#define LEAVE_TO_THE_GUARD() VALGRIND_DISABLE_ERROR_REPORTING
#define LOOK_AGAIN() VALGRIND_ENABLE_ERROR_REPORTING
#endif
#endif
#ifndef LEAVE_TO_THE_GUARD
#define LEAVE_TO_THE_GUARD() (void)0
#define LOOK_AGAIN() (void)0
#endif
#define UNCHECKED NOT_INLINED __attribute__((no_sanitize("address")))

static const char *const specs[] = {
    "guard | direct",
    "guard | caching",
    "guard | caching:expandable=off",
    "guard | caching:settle=0",
    "guard:frames=4 | limit:1GiB | caching",
    "limit:1GiB | guard | limit:1GiB | direct",
    "track | guard:canary=1 | track | caching",
    "fail: | guard | fail: | caching",
    "guard | fallback:direct | caching",
    "fallback:direct | guard | caching",
    "fallback:\"guard | direct\" | fail:every=1 | caching",
    "guard:canary=300 | guard | caching",
    "guard | pytorch",
    "guard | pytorch:expandable_segments=True",
    "guard | graph",
    "guard | predictive",
    "guard | pool",
    "guard | pool | caching",
    "guard | arena",
    "guard | graph_switch | caching",
    "graph_switch | guard | caching",
};
#define SPECS (sizeof specs / sizeof specs[0])

/* "remote" has memory that the host cannot read. */
static const char *const storing_devices[] = {"cpu", "remote"};
static const char *const other_devices[] = {"sim:1GiB", "fake:1GiB", "fake:1GiB,flat"};

typedef struct scene {
    const char *spec, *device_name;
    tarn_device *device;
    tarn_allocator *allocator;
    const char *what; /* has gone wrong */
} scene;

/* A child's assertion: the first that fails is told and ends it. */
static void need(const scene *self, bool is_so, const char *what) {
    if (is_so) return;
    fprintf(stderr, "%s on %s: %s; the last sentence is: %s\n", self->spec, self->device_name, what, tarn_last_error());
    _exit(1);
}

static void need_status(const scene *self, tarn_status got, tarn_status wanted, const char *what) {
    char text[128];
    snprintf(text, sizeof text, "%s answered %s, not %s", what, tarn_status_name(got), tarn_status_name(wanted));
    need(self, got == wanted, text);
}

static void need_sentence(const scene *self, const char *part) {
    char text[160];
    snprintf(text, sizeof text, "no \"%s\" in the sentence", part);
    need(self, strstr(tarn_last_error(), part) != NULL, text);
    snprintf(text, sizeof text, "no \"%s\" in the log", part);
    need(self, strstr(log_heard(), part) != NULL, text);
}

static void need_text(const scene *self, const char *part) {
    char text[160];
    snprintf(text, sizeof text, "no \"%s\" in the log", part);
    need(self, strstr(log_heard(), part) != NULL, text);
}

NOT_INLINED static tarn_buffer *ask_here(const scene *self, size_t size) {
    tarn_allocate_options options = {.struct_size = sizeof options, .tag = "guarded"};
    tarn_buffer *buffer = NULL;
    need_status(self, tarn_allocator_allocate_with(self->allocator, size, &options, &buffer), TARN_OK, "allocate");
    STAY();
    return buffer;
}

NOT_INLINED static tarn_status free_here(const scene *self, tarn_buffer *buffer) {
    tarn_status status = tarn_allocator_free(self->allocator, buffer, NULL);
    STAY();
    return status;
}

NOT_INLINED static tarn_status free_there(tarn_allocator *allocator, tarn_buffer *buffer) {
    tarn_status status =
        allocator != NULL ? tarn_allocator_free(allocator, buffer, NULL) : tarn_buffer_free(buffer, NULL);
    STAY();
    return status;
}

UNCHECKED static void write_near(unsigned char *byte) {
    LEAVE_TO_THE_GUARD();
    *(volatile unsigned char *)byte = 0x41;
    LOOK_AGAIN();
}

/* Writes one byte of the device's memory. */
static void scribble(const scene *self, void *address) {
    if (strcmp(self->device_name, "cpu") == 0) {
        write_near(address);
        return;
    }
    tarn_stream *stream = NULL;
    need_status(self, tarn_stream_create(self->device, &stream), TARN_OK, "stream_create");
    need_status(self, tarn_stream_fill(stream, address, "A", 1, 1), TARN_OK, "stream_fill");
    need_status(self, tarn_stream_synchronize(stream), TARN_OK, "stream_synchronize");
    tarn_stream_release(stream);
}

static void open_scene(scene *self) {
    if (strncmp(self->device_name, "fake", 4) == 0) fake_install();
    if (strcmp(self->device_name, "remote") == 0) remote_install();
    need_status(self, tarn_device_open(self->device_name, &self->device), TARN_OK, "device_open");
    need_status(self, tarn_allocator_create(self->device, self->spec, &self->allocator), TARN_OK, "allocator_create");
    log_listen();
}

/* The end of a scene whose findings have all been answered: nothing is wrong any more and nothing is left. */
static void close_scene(scene *self) {
    tarn_device_counters counters = {.struct_size = sizeof counters};
    need_status(self, tarn_allocator_check(self->allocator), TARN_OK, "check");
    need_status(self, tarn_allocator_release(self->allocator), TARN_OK, "release");
    tarn_device_counters_get(self->device, &counters);
    need(self, counters.memory_in_use == 0, "memory is left");
    need_status(self, tarn_device_release(self->device), TARN_OK, "device_release");
}

static void need_clean_answer(scene *self, tarn_buffer *buffer) {
    need(self, !tarn_buffer_is_valid(buffer), "the buffer is still valid");
    tarn_buffer *next = ask_here(self, 100);
    need_status(self, free_here(self, next), TARN_OK, "the next free");
}

/* The misuses. */

static void an_overflow_of_one_byte(scene *self) {
    static const size_t sizes[] = {1, 100, 4096, 3 * MIB};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        tarn_buffer *buffer = ask_here(self, sizes[i]);
        scribble(self, (char *)tarn_buffer_data(buffer) + sizes[i]);
        need_status(self, free_here(self, buffer), TARN_CORRUPT_DATA, "free");
        need_sentence(self, "overflow: 1 byte after the buffer of ");
        need_sentence(self, "tag \"guarded\"");
        need_sentence(self, "holds 0x41; asked for at ask_here+0x");
        need_sentence(self, "; freed at free_here+0x");
        need_clean_answer(self, buffer);
    }
}

static void an_underflow_of_one_byte(scene *self) {
    tarn_buffer *buffer = ask_here(self, 1000);
    scribble(self, (char *)tarn_buffer_data(buffer) - 1);
    need_status(self, free_here(self, buffer), TARN_CORRUPT_DATA, "free");
    need_sentence(self, "underflow: 1 byte before the buffer of 1000 bytes");
    need_sentence(self, "byte -1 holds 0x41; asked for at ask_here+0x");
    need_sentence(self, "; freed at free_here+0x");
    need_clean_answer(self, buffer);
}

static void a_use_after_free(scene *self) {
    tarn_buffer *buffer = ask_here(self, 5000);
    char *data = tarn_buffer_data(buffer);
    need_status(self, free_here(self, buffer), TARN_OK, "free");
    scribble(self, data + 4321);
    need_status(self, tarn_allocator_check(self->allocator), TARN_CORRUPT_DATA, "check");
    need_sentence(self, "use after free: 1 byte of the buffer of 5000 bytes");
    need_sentence(self, "byte 4321 holds 0x41; asked for at ask_here+0x");
    need_sentence(self, "; freed at free_here+0x");
    need_clean_answer(self, buffer);
    /* It is found when the buffer leaves quarantine, too. */
    buffer = ask_here(self, 5000);
    data = tarn_buffer_data(buffer);
    need_status(self, free_here(self, buffer), TARN_OK, "free");
    scribble(self, data);
    need_status(self, tarn_allocator_empty_cache(self->allocator), TARN_CORRUPT_DATA, "empty_cache");
    need_sentence(self, "byte 0 holds 0x41");
}

/* 15 */
static void a_double_free(scene *self) {
    tarn_buffer *buffer = ask_here(self, 700);
    need_status(self, free_here(self, buffer), TARN_OK, "free");
    need_status(self, free_there(self->allocator, buffer), TARN_INVALID_ARGUMENT, "the second free");
    need_sentence(self, "double free of the buffer of 700 bytes");
    need_sentence(self, "tag \"guarded\": asked for at ask_here+0x");
    need_sentence(self, "; freed at free_here+0x");
    need_sentence(self, ", and again at free_there+0x");
    need_status(self, free_there(NULL, buffer), TARN_INVALID_ARGUMENT, "the third free");
    need_sentence(self, "double free of the buffer of 700 bytes");
    /* 16: also when others have had the memory since. */
    for (int i = 0; i < 40; i++) need_status(self, free_here(self, ask_here(self, 600)), TARN_OK, "another's free");
    need_status(self, free_there(NULL, buffer), TARN_INVALID_ARGUMENT, "a late free");
    need_sentence(self, "double free of the buffer of 700 bytes");
}

/* 13, 14 */
static void a_free_of_a_foreign_pointer(scene *self) {
    tarn_buffer *buffer = ask_here(self, 700);
    char *data = tarn_buffer_data(buffer);
    static int foreign;
    need_status(self, free_there(self->allocator, (tarn_buffer *)(void *)&foreign), TARN_INVALID_ARGUMENT, "free");
    need_sentence(self, "free of a foreign pointer at free_there+0x");
    need_status(self, free_there(NULL, (tarn_buffer *)(void *)&foreign), TARN_INVALID_ARGUMENT, "free");
    need_sentence(self, "free of a foreign pointer at free_there+0x");
    /* The data of a live buffer is no buffer, but it is known whose it is. */
    need_status(self, free_there(self->allocator, (tarn_buffer *)(void *)(data + 3)), TARN_INVALID_ARGUMENT, "free");
    need_sentence(self, "is no buffer but byte 3 of the buffer of 700 bytes");
    need_sentence(self, "tag \"guarded\", asked for at ask_here+0x");
    need(self, tarn_buffer_is_valid(buffer), "the buffer is gone");
    need_status(self, free_here(self, buffer), TARN_OK, "the right free");
}

/* 17 */
static void a_free_through_the_wrong_allocator(scene *self) {
    static const char *const others[] = {"guard | direct", "direct", "caching"};
    tarn_buffer *buffer = ask_here(self, 700);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        tarn_allocator *other = NULL;
        need_status(self, tarn_allocator_create(self->device, others[i], &other), TARN_OK, "create");
        need_status(self, free_there(other, buffer), TARN_INVALID_ARGUMENT, "free");
        need_sentence(self, "free through the wrong allocator at ");
        if (i == 0) need_sentence(self, "free through the wrong allocator at free_there+0x");
        need_sentence(self, "the buffer is one of ");
        need_sentence(self, "the buffer of 700 bytes at ");
        need_sentence(self, "tag \"guarded\", asked for at ask_here+0x");
        need(self, tarn_buffer_is_valid(buffer), "the buffer is gone");
        need_status(self, tarn_allocator_release(other), TARN_OK, "release");
    }
    need_status(self, free_here(self, buffer), TARN_OK, "the right free");
}

typedef void (*misuse)(scene *);
static const misuse of_bytes[] = {an_overflow_of_one_byte, an_underflow_of_one_byte, a_use_after_free};
static const misuse of_handles[] = {a_double_free, a_free_of_a_foreign_pointer, a_free_through_the_wrong_allocator};

/* Runs in a child; returns how it ended, as waitpid tells. */
static int run_in_child(misuse run, const char *spec, const char *device) {
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        /* cmocka would take the signals for its own. */
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        scene self = {.spec = spec, .device_name = device};
        open_scene(&self);
        run(&self);
        close_scene(&self);
        _exit(0);
    }
    int ending;
    assert_int_equal(waitpid(child, &ending, 0), child);
    return ending;
}

/* Where a child costs most, each spec is tried on a third of the devices, or on one of them. */
static bool is_left_out(size_t spec, size_t device) { return test_slowness() >= 20 && (spec + device) % 3 != 0; }

static void expect_all(const misuse *runs, size_t run_count, const char *const *devices, size_t device_count) {
    size_t failed = 0, all = 0;
    for (size_t d = 0; d < device_count; d++) {
        for (size_t s = 0; s < SPECS; s++) {
            if (is_left_out(s, d)) continue;
            for (size_t r = 0; r < run_count; r++, all++)
                if (run_in_child(runs[r], specs[s], devices[d]) != 0) failed++;
        }
    }
    print_message("%zu of %zu\n", all - failed, all);
    assert_int_equal(failed, 0);
}

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

static void overflow_underflow_and_use_after_free_are_found(void **state) {
    (void)state;
    expect_all(of_bytes, COUNT(of_bytes), storing_devices, COUNT(storing_devices));
}

static void double_foreign_and_wrong_frees_are_found(void **state) {
    (void)state;
    expect_all(of_handles, COUNT(of_handles), storing_devices, COUNT(storing_devices));
    expect_all(of_handles, COUNT(of_handles), other_devices, COUNT(other_devices));
}

/* A release answers for what it finds, in live buffers too, and takes place all the same. */
static void overwrite_and_release(scene *self) {
    tarn_buffer *buffer = ask_here(self, 100);
    scribble(self, (char *)tarn_buffer_data(buffer) + 100);
    need_status(self, tarn_allocator_release(self->allocator), TARN_CORRUPT_DATA, "release");
    need_sentence(self, "overflow: 1 byte after the buffer of 100 bytes");
    need_sentence(self, "asked for at ask_here+0x");
    need_sentence(self, "not freed yet");
    need_status(self, tarn_buffer_free(buffer, NULL), TARN_OK, "the last free");
    need_status(self, tarn_allocator_create(self->device, self->spec, &self->allocator), TARN_OK, "create");
}

static void a_release_answers_for_what_it_finds(void **state) {
    (void)state;
    for (size_t d = 0; d < COUNT(storing_devices); d++) {
        for (size_t s = 0; s < SPECS; s++) {
            if (is_left_out(s, d)) continue;
            assert_int_equal(run_in_child(overwrite_and_release, specs[s], storing_devices[d]), 0);
        }
    }
}

/* What is found while something else is done is in the log, and the next check answers for it. */
static void write_late_and_go_on(scene *self) {
    tarn_buffer *buffer = ask_here(self, 100);
    char *data = tarn_buffer_data(buffer);
    need_status(self, free_here(self, buffer), TARN_OK, "free");
    scribble(self, data + 7);
    tarn_buffer *large = NULL;
    need_status(self, tarn_allocator_allocate(self->allocator, 63 * MIB, NULL, &large), TARN_LIMIT_EXCEEDED,
                "allocate");
    need_text(self, "use after free: 1 byte of the buffer of 100 bytes");
    need_status(self, tarn_allocator_check(self->allocator), TARN_CORRUPT_DATA, "check");
    need_sentence(self, "byte 7 holds 0x41");
}

static void what_is_found_on_the_way_is_answered_by_the_next_check(void **state) {
    (void)state;
    assert_int_equal(run_in_child(write_late_and_go_on, "guard | limit:32MiB | direct", "cpu"), 0);
}

/* Pages: the access itself ends the program. */

static void overrun_a_page(scene *self) {
    tarn_buffer *buffer = ask_here(self, 64 * KIB);
    write_near((unsigned char *)tarn_buffer_data(buffer) + 64 * KIB);
}

static void underrun_a_page(scene *self) {
    tarn_buffer *buffer = ask_here(self, 64 * KIB);
    write_near((unsigned char *)tarn_buffer_data(buffer) - 1);
}

static void touch_a_freed_page(scene *self) {
    tarn_buffer *buffer = ask_here(self, 64 * KIB);
    unsigned char *data = tarn_buffer_data(buffer);
    need_status(self, free_here(self, buffer), TARN_OK, "free");
    write_near(data + 5000);
}

static void use_what_is_open(scene *self) {
    static const size_t sizes[] = {1, 63, 4095, 4096, 4097, 5 * MIB};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        tarn_buffer *buffer = ask_here(self, sizes[i]);
        unsigned char *data = tarn_buffer_data(buffer);
        memset(data, 1, sizes[i]);
        /* Between the last byte and the page there may be some that only canaries watch. */
        if (sizes[i] % 64 != 0) write_near(data + sizes[i]);
        need_status(self, free_here(self, buffer), sizes[i] % 64 != 0 ? TARN_CORRUPT_DATA : TARN_OK, "free");
    }
    tarn_allocate_options options = {.struct_size = sizeof options, .alignment = 64 * KIB};
    tarn_buffer *aligned = NULL;
    need_status(self, tarn_allocator_allocate_with(self->allocator, 100, &options, &aligned), TARN_OK, "allocate");
    need(self, (uintptr_t)tarn_buffer_data(aligned) % (64 * KIB) == 0, "the buffer is not aligned");
    need_status(self, free_here(self, aligned), TARN_OK, "free");
}

static bool ended_by_the_access(int ending) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    /* The sanitizer catches the signal and ends the program with a report of its own. */
    return ending != 0;
#else
    return WIFSIGNALED(ending) && WTERMSIG(ending) == SIGSEGV;
#endif
}

static void closed_pages_stop_the_program_at_the_access(void **state) {
    (void)state;
    static const char *const closed[] = {"guard:pages=on | direct", "guard:pages=on | caching",
                                         "track | guard:pages=on,quarantine=1MiB | limit:1GiB | caching"};
    for (size_t s = 0; s < COUNT(closed); s++) {
        assert_true(ended_by_the_access(run_in_child(overrun_a_page, closed[s], "cpu")));
        assert_true(ended_by_the_access(run_in_child(underrun_a_page, closed[s], "cpu")));
        assert_true(ended_by_the_access(run_in_child(touch_a_freed_page, closed[s], "cpu")));
        assert_int_equal(run_in_child(use_what_is_open, closed[s], "cpu"), 0);
    }
}

static void pages_are_refused_where_they_cannot_be_closed(void **state) {
    (void)state;
    tarn_device *device = NULL;
    tarn_allocator *allocator = NULL;
    EXPECT_OK(tarn_device_open("sim:1GiB", &device));
    EXPECT(TARN_NOT_SUPPORTED, tarn_allocator_create(device, "guard:pages=on | direct", &allocator));
    EXPECT_SENTENCE("sim:1GiB");
    EXPECT_OK(tarn_device_release(device));
}

#ifdef __SANITIZE_ADDRESS__
static void write_checked(scene *self) {
    tarn_buffer *buffer = ask_here(self, 100);
    ((volatile char *)tarn_buffer_data(buffer))[100] = 1;
}

static void address_sanitizer_stops_at_the_write(void **state) {
    (void)state;
    assert_int_not_equal(run_in_child(write_checked, "guard | caching", "cpu"), 0);
}
#endif

static void write_from_a_stream(void *context) { write_near(context); }

/* Freeing does not wait for streams: what they still use is looked at when they are done. */
static void a_buffer_that_a_stream_uses_is_judged_when_the_stream_is_done(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "guard | caching", "cpu");
    stand_hold(&stand, 0);
    tarn_stream *stream = stand_stream(&stand, 0);
    tarn_buffer *buffer = take(&stand, 1000, stream);
    char *data = tarn_buffer_data(buffer);
    /* Past the end, once the stream goes on. */
    EXPECT_OK(tarn_stream_enqueue(stream, write_from_a_stream, data + 1000));
    give(&stand, buffer, stream);
    EXPECT_OK(tarn_allocator_check(stand.allocator));
    stand_let_go(&stand, 0);
    log_listen();
    EXPECT(TARN_CORRUPT_DATA, tarn_allocator_check(stand.allocator));
    log_silence();
    EXPECT_SENTENCE("overflow: 1 byte after the buffer of 1000 bytes");
    stand_close(&stand);
}

/* A pool or an arena below takes all buffers back at once: live ones, and those in quarantine. */
static void take_all_back(scene *self) {
    tarn_buffer *live = ask_here(self, 5000), *overrun = ask_here(self, 300), *freed = ask_here(self, 700);
    need_status(self, free_here(self, freed), TARN_OK, "free");
    scribble(self, (char *)tarn_buffer_data(overrun) + 300);
    bool is_pool = strstr(self->spec, "pool") != NULL;
    tarn_status status = is_pool ? tarn_pool_clear(self->allocator) : tarn_arena_reset(self->allocator);
    need_status(self, status, TARN_OK, "taking all back");
    need_text(self, "overflow: 1 byte after the buffer of 300 bytes");
    need(self, !tarn_buffer_is_valid(live) && !tarn_buffer_is_valid(overrun), "a buffer is valid");
    need_status(self, tarn_allocator_check(self->allocator), TARN_CORRUPT_DATA, "check");
    need_sentence(self, "asked for at ask_here+0x");
    tarn_memory_stats stats = {.struct_size = sizeof stats};
    need_status(self, tarn_allocator_stats(self->allocator, &stats), TARN_OK, "stats");
    need(self, stats.blocks.current == 0 && stats.requested_bytes.current == 0, "buffers are counted");
    need(self, tarn_track_report(self->allocator, NULL, 0) == 0, "buffers are tracked");
    need_status(self, free_there(self->allocator, live), TARN_INVALID_ARGUMENT, "a free after that");
    need_sentence(self, "double free of the buffer of 5000 bytes");
    for (int i = 0; i < 20; i++) need_clean_answer(self, live);
}

static void what_a_pool_or_an_arena_takes_back_is_looked_at_and_forgotten(void **state) {
    (void)state;
    static const char *const cleared[] = {
        "guard | pool",
        "guard:quarantine=0 | pool",
        "track | guard | track | pool",
        "limit:1GiB | guard | limit:1GiB | pool | caching",
        "track | guard | arena",
        "limit:1GiB | guard:pages=on | arena",
        "guard | guard | pool",
        "guard | pool | guard | caching",
    };
    for (size_t s = 0; s < COUNT(cleared); s++) assert_int_equal(run_in_child(take_all_back, cleared[s], "cpu"), 0);
    assert_int_equal(run_in_child(take_all_back, "track | guard | pool", "remote"), 0);
    assert_int_equal(run_in_child(take_all_back, "track | guard | arena", "remote"), 0);
}

static void what_is_known_of_a_buffer_is_found_by_address(void **state) {
    (void)state;
    static const char *const tracked[] = {"guard | track | caching", "track | guard | caching"};
    for (size_t i = 0; i < COUNT(tracked); i++) {
        test_stand stand;
        stand_open(&stand, tracked[i], "cpu");
        tarn_buffer *buffer = take(&stand, 1000, NULL);
        char *data = tarn_buffer_data(buffer);
        tarn_track_place place = {.struct_size = sizeof place};
        EXPECT_OK(tarn_track_find(stand.allocator, data + 999, &place));
        assert_ptr_equal(place.buffer, buffer);
        assert_int_equal(place.offset, 999);
        tarn_buffer *found = NULL;
        EXPECT_OK(tarn_allocator_find(stand.allocator, data, &found));
        assert_ptr_equal(found, buffer);
        EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_find(stand.allocator, data - 64, &found));
        give(&stand, buffer, NULL);
        stand_close(&stand);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overflow_underflow_and_use_after_free_are_found),
        cmocka_unit_test(double_foreign_and_wrong_frees_are_found),
        cmocka_unit_test(a_release_answers_for_what_it_finds),
        cmocka_unit_test(what_is_found_on_the_way_is_answered_by_the_next_check),
        cmocka_unit_test(what_a_pool_or_an_arena_takes_back_is_looked_at_and_forgotten),
        cmocka_unit_test(closed_pages_stop_the_program_at_the_access),
        cmocka_unit_test(pages_are_refused_where_they_cannot_be_closed),
#ifdef __SANITIZE_ADDRESS__
        cmocka_unit_test(address_sanitizer_stops_at_the_write),
#endif
        cmocka_unit_test(a_buffer_that_a_stream_uses_is_judged_when_the_stream_is_done),
        cmocka_unit_test(what_is_known_of_a_buffer_is_found_by_address),
    };
    return cmocka_run_group_tests_name("memory guard", tests, NULL, NULL);
}
