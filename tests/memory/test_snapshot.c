/* A snapshot says what the allocator's own each_block says, for every spec on every device: through Tarn's reader, and through
 * Python's pickle module where there is one (snapshot_state.py). Numbers in comments are those of the project's list of
 * faults. */
#include <dirent.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "stand.h"

enum { PATH_ROOM = 192, STATE_ROOM = 256 };

static char folder[64];

static const char *path_of(const char *name, char out_path[PATH_ROOM]) {
    if (folder[0] == '\0') {
        const char *temporary = getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp";
        snprintf(folder, sizeof folder, "%.40s/tarn-snapshot-XXXXXX", temporary);
        assert_non_null(mkdtemp(folder));
    }
    snprintf(out_path, PATH_ROOM, "%s/%s", folder, name);
    return out_path;
}

static size_t visit_folder(int deletes) {
    size_t count = 0;
    DIR *directory = folder[0] != '\0' ? opendir(folder) : NULL;
    if (directory == NULL) return 0;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] == '.') continue;
        count++;
        char path[PATH_ROOM + NAME_MAX];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (deletes) remove(path);
    }
    closedir(directory);
    return count;
}

/* The state as each_block shows it, in address order. */
typedef struct state_block {
    tarn_block_info info;
    char tag[32];
} state_block;

typedef struct state {
    state_block blocks[STATE_ROOM];
    size_t count;
} state;

static int see(void *context, const tarn_block_info *block) {
    state *seen = context;
    if (block->state == TARN_BLOCK_UNMAPPED) return 0;
    if (seen->count == STATE_ROOM) return 1;
    state_block *added = &seen->blocks[seen->count++];
    added->info = *block;
    snprintf(added->tag, sizeof added->tag, "%s", block->tag != NULL ? block->tag : "");
    return 0;
}

static int compare(const void *left, const void *right) {
    const state_block *a = left, *b = right;
    return (a->info.address > b->info.address) - (a->info.address < b->info.address);
}

static void look(tarn_allocator *allocator, state *out_state) {
    out_state->count = 0;
    EXPECT_OK(tarn_allocator_each_block(allocator, see, out_state));
    assert_true(out_state->count < STATE_ROOM);
    qsort(out_state->blocks, out_state->count, sizeof out_state->blocks[0], compare);
}

static tarn_trace *read_snapshot(const char *path, tarn_trace_info *out_info) {
    tarn_trace *trace = NULL;
    EXPECT_OK(tarn_trace_read(path, &trace));
    *out_info = (tarn_trace_info){.struct_size = sizeof *out_info};
    EXPECT_OK(tarn_trace_info_get(trace, out_info));
    assert_int_equal(out_info->format, TARN_TRACE_PYTORCH_SNAPSHOT);
    return trace;
}

static void expect_same_state(const tarn_trace *trace, const tarn_trace_info *info, const state *wanted) {
    const tarn_trace_block *blocks = tarn_trace_blocks(trace);
    assert_int_equal(info->block_count, wanted->count);
    uint64_t end = 0, segment = 0;
    for (size_t i = 0; i < wanted->count; i++) {
        const tarn_block_info *block = &wanted->blocks[i].info;
        assert_int_equal(blocks[i].address, block->address);
        assert_int_equal(blocks[i].size, block->size);
        assert_int_equal(blocks[i].state, block->state);
        assert_int_equal(blocks[i].stream == 0, block->stream == 0);
        assert_string_equal(tarn_trace_string(trace, blocks[i].tag), wanted->blocks[i].tag);
        if (block->state == TARN_BLOCK_IN_USE) assert_int_equal(blocks[i].requested, block->requested);
        /* The blocks of a segment lie one after the other, from its address on. */
        assert_int_equal(blocks[i].address, blocks[i].segment == segment && i > 0 ? end : blocks[i].segment);
        segment = blocks[i].segment;
        end = blocks[i].address + blocks[i].size;
    }
}

/* For snapshot_state.py: what each pickle of the folder should say, a line a block. */
static void write_expectation(const char *pickle, const state *wanted) {
    char path[PATH_ROOM + 16];
    snprintf(path, sizeof path, "%s.expected", pickle);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    static const char *const states[] = {"active_allocated", "inactive", "active_pending_free"};
    for (size_t i = 0; i < wanted->count; i++) {
        const tarn_block_info *block = &wanted->blocks[i].info;
        fprintf(file, "%llu %llu %llu %s %llu %s\n", (unsigned long long)block->address,
                (unsigned long long)block->size,
                (unsigned long long)(block->state == TARN_BLOCK_IN_USE ? block->requested : 0), states[block->state],
                (unsigned long long)block->stream, wanted->blocks[i].tag);
    }
    assert_int_equal(fclose(file), 0);
}

static tarn_buffer *take_tagged(test_stand *stand, size_t size, tarn_stream *stream, const char *tag) {
    tarn_allocate_options options = {.struct_size = sizeof options, .stream = stream, .tag = tag};
    tarn_buffer *buffer = NULL;
    EXPECT_OK(tarn_allocator_allocate_with(stand->allocator, size, &options, &buffer));
    return buffer;
}

static void a_snapshot_reads_back_as_the_state(test_stand *stand) {
    static unsigned number;
    static state seen;
    char name[32], path[PATH_ROOM];
    snprintf(name, sizeof name, "state-%u.pickle", number++);
    path_of(name, path);
    tarn_stream *other = stand_stream(stand, 0);
    tarn_buffer *buffers[] = {
        take_tagged(stand, 3000, NULL, "weights"),     take_tagged(stand, 5 * MIB + 1, NULL, "activations \xc3\xa9"),
        take_tagged(stand, 9 * MIB, other, "weights"), take_tagged(stand, 700, other, NULL),
        take_tagged(stand, 30 * MIB, NULL, NULL),      take_tagged(stand, 64 * KIB, NULL, ""),
    };
    give(stand, buffers[1], NULL);
    if ((stand->abilities & DEVICE_GATES) != 0 && (stand->abilities & SPEC_CACHES) != 0) {
        /* Freed, and waiting for a stream that stands still. */
        stand_hold(stand, 1);
        EXPECT_OK(tarn_buffer_record_stream(buffers[5], stand_stream(stand, 1)));
        give(stand, buffers[5], NULL);
    }
    look(stand->allocator, &seen);
    EXPECT_OK(tarn_allocator_snapshot(stand->allocator, path));
    tarn_trace_info info;
    tarn_trace *trace = read_snapshot(path, &info);
    expect_same_state(trace, &info, &seen);
    assert_int_equal(info.initial_count == 0, strstr(stand->spec, "record") != NULL);
    assert_non_null(strstr(info.settings, tarn_allocator_spec(stand->allocator)));
    assert_non_null(strstr(info.settings, tarn_device_name(stand->device)));
    tarn_trace_release(trace);
    write_expectation(path, &seen);
    stand_let_go(stand, 1);
    for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++)
        if (tarn_buffer_is_valid(buffers[i])) give(stand, buffers[i], NULL);
}

static void an_unused_allocator_has_an_empty_snapshot(test_stand *stand) {
    char path[PATH_ROOM];
    EXPECT_OK(tarn_allocator_snapshot(stand->allocator, path_of("empty.pickle", path)));
    tarn_trace_info info;
    tarn_trace *trace = read_snapshot(path, &info);
    assert_int_equal(info.event_count, 0);
    assert_int_equal(info.peak_live, 0);
    tarn_trace_release(trace);
}

/* 58: a directory, a pipe that nobody reads, and a device that is full are told. 59: a disk that fills up leaves the older
 * file as it was, and nothing beside it. */
static void what_cannot_be_written_leaves_the_older_file(test_stand *stand) {
    if ((stand->abilities & SPEC_NEEDS_FILE) != 0) return; /* its recorder's file would be limited too */
    char path[PATH_ROOM], pipe[PATH_ROOM];
    tarn_buffer *buffer = take(stand, 4000, NULL);
    EXPECT(TARN_IO_ERROR, tarn_allocator_snapshot(stand->allocator, "/"));
    EXPECT_SENTENCE("/ is a directory");
    EXPECT(TARN_IO_ERROR, tarn_allocator_snapshot(stand->allocator, "/nowhere/at/all.pickle"));
    EXPECT_SENTENCE("No such file");
    assert_int_equal(mkfifo(path_of("pipe", pipe), 0600), 0);
    EXPECT(TARN_IO_ERROR, tarn_allocator_snapshot(stand->allocator, pipe));
    remove(pipe);
    EXPECT(TARN_IO_ERROR, tarn_allocator_snapshot(stand->allocator, "/dev/full"));
    EXPECT_SENTENCE("No space left");

    FILE *file = fopen(path_of("older.pickle", path), "w");
    assert_non_null(file);
    fputs("older", file);
    fclose(file);
    size_t files = visit_folder(0);
    struct rlimit before, limit;
    getrlimit(RLIMIT_FSIZE, &before);
    limit = before;
    limit.rlim_cur = 100;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    tarn_status status = tarn_allocator_snapshot(stand->allocator, path);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(status, TARN_IO_ERROR);
    char text[8] = "";
    file = fopen(path, "r");
    assert_non_null(fgets(text, sizeof text, file));
    fclose(file);
    assert_string_equal(text, "older");
    assert_int_equal(visit_folder(0), files);
    EXPECT_OK(tarn_allocator_snapshot(stand->allocator, path));
    assert_int_equal(visit_folder(0), files);
    remove(path);
    give(stand, buffer, NULL);
}

static void each_request_for_host_memory_may_fail(test_stand *stand) {
    char path[PATH_ROOM];
    path_of("sweep.pickle", path);
    tarn_buffer *tagged = take_tagged(stand, 3000, stand_stream(stand, 0), "weights"), *plain = take(stand, MIB, NULL);
    if ((stand->abilities & SPEC_CACHES) != 0) {
        tarn_buffer *waiting = take(stand, MIB, NULL);
        stand_hold(stand, 1);
        EXPECT_OK(tarn_buffer_record_stream(waiting, stand_stream(stand, 1)));
        give(stand, waiting, NULL);
    }
    size_t files = visit_folder(0);
    for (unsigned long k = 1;; k++) {
        base_memory_fail_at(k, 0);
        tarn_status status = tarn_allocator_snapshot(stand->allocator, path);
        unsigned long requests = base_memory_requests();
        base_memory_fail_at(0, 0);
        if (status == TARN_OK) remove(path);
        assert_int_equal(visit_folder(0), files);
        if (requests < k) {
            assert_int_equal(status, TARN_OK);
            assert_in_range(k, 5, 1000);
            break;
        }
        /* Cutting a vector to size may fail unnoticed. */
        if (status != TARN_OK) assert_int_equal(status, TARN_OUT_OF_MEMORY);
    }
    stand_let_go(stand, 1);
    give(stand, tagged, NULL);
    give(stand, plain, NULL);
}

typedef struct inside {
    tarn_allocator *allocator;
    tarn_status status;
} inside;

static int take_snapshot_inside(void *context, const tarn_block_info *block) {
    (void)block;
    inside *self = context;
    self->status = tarn_allocator_snapshot(self->allocator, "/dev/null");
    return 1;
}

static void wrong_arguments_are_refused(test_stand *stand) {
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_snapshot(NULL, "/dev/null"));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_snapshot(stand->allocator, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_snapshot(stand->allocator, ""));
    tarn_buffer *buffer = take(stand, 100, NULL);
    inside self = {.allocator = stand->allocator};
    EXPECT_OK(tarn_allocator_each_block(stand->allocator, take_snapshot_inside, &self));
    assert_int_equal(self.status, TARN_INVALID_STATE);
    EXPECT_OK(tarn_allocator_snapshot(stand->allocator, "/dev/null"));
    give(stand, buffer, NULL);
}

/* The calls that `record` saw are the history, with the tags and the streams that they had. */
static void a_recorder_gives_the_history(void **unused) {
    (void)unused;
    test_stand stand;
    stand_open(&stand, "limit:1GiB | record:FILE | caching", "sim:8GiB");
    char path[PATH_ROOM];
    tarn_stream *stream = stand_stream(&stand, 0);
    tarn_buffer *kept = take_tagged(&stand, 3 * MIB, stream, "weights"), *gone = take(&stand, 10 * MIB, NULL);
    uint64_t kept_at = (uint64_t)(uintptr_t)tarn_buffer_data(kept);
    give(&stand, gone, NULL);
    for (int round = 0; round < 2; round++) {
        EXPECT_OK(tarn_allocator_snapshot(stand.allocator, path_of("history.pickle", path)));
        tarn_trace_info info;
        tarn_trace *trace = read_snapshot(path, &info);
        const tarn_trace_event *events = tarn_trace_events(trace);
        assert_int_equal(info.initial_count, 0);
        assert_int_equal(info.event_count, 3);
        assert_int_equal(info.peak_live, 13 * MIB);
        assert_true(info.has_recorded_peak);
        assert_int_equal(info.recorded_peak_reserved, stats_of(stand.allocator).reserved_bytes.peak);
        assert_int_equal(events[0].action, TARN_TRACE_ALLOCATE);
        assert_int_equal(events[0].address, kept_at);
        assert_int_equal(events[0].size, 3 * MIB);
        assert_int_equal(events[0].stream, 1);
        assert_string_equal(tarn_trace_string(trace, events[0].tag), "weights");
        assert_int_equal(events[0].site, TARN_TRACE_NO_STRING);
        assert_int_equal(events[2].action, TARN_TRACE_FREE);
        assert_int_equal(events[2].id, events[1].id);
        tarn_trace_release(trace);
    }
    give(&stand, kept, NULL);
    stand_close(&stand);
    remove(path);
}

/* What track knows of callers are the frames. */
static void a_tracked_block_has_its_call_site(void **unused) {
    (void)unused;
    test_stand stand;
    stand_open(&stand, "track:frames=3 | caching", "cpu");
    char path[PATH_ROOM];
    tarn_buffer *buffers[3];
    for (int i = 0; i < 3; i++) buffers[i] = take(&stand, 5000, NULL);
    EXPECT_OK(tarn_allocator_snapshot(stand.allocator, path_of("tracked.pickle", path)));
    tarn_trace_info info;
    tarn_trace *trace = read_snapshot(path, &info);
    const tarn_trace_event *events = tarn_trace_events(trace);
    assert_int_equal(info.initial_count, 3);
    tarn_track_place place = {.struct_size = sizeof place};
    EXPECT_OK(tarn_track_find(stand.allocator, tarn_buffer_data(buffers[0]), &place));
    char site[4096];
    tarn_track_site_to_string(&place.site, site, sizeof site);
    for (int i = 0; i < 3; i++) {
        const char *told = tarn_trace_string(trace, events[i].site);
        if (told[0] == '\0' || strstr(site, told) == NULL) fail_msg("\"%s\" is not at the end of \"%s\"", told, site);
        assert_non_null(strstr(told, "take+0x"));
    }
    tarn_trace_release(trace);
    for (int i = 0; i < 3; i++) give(&stand, buffers[i], NULL);
    stand_close(&stand);
    remove(path);
}

/* A block that waits for a stream has been freed, and its free is not completed. */
static void a_free_that_waits_is_not_completed(void **unused) {
    (void)unused;
    test_stand stand;
    stand_open(&stand, "record:FILE | caching", "fake:8GiB");
    char path[PATH_ROOM];
    for (int waits = 0; waits < 2; waits++) {
        tarn_buffer *buffer = take(&stand, 5 * MIB, NULL);
        if (waits) stand_hold(&stand, 0);
        EXPECT_OK(tarn_buffer_record_stream(buffer, stand_stream(&stand, 0)));
        give(&stand, buffer, NULL);
        EXPECT_OK(tarn_allocator_snapshot(stand.allocator, path_of("waits.pickle", path)));
        static char text[1 << 16];
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        size_t size = fread(text, 1, sizeof text, file);
        fclose(file);
        size_t requested = 0, completed = 0;
        for (size_t i = 0; i + 14 < size; i++) {
            requested += memcmp(text + i, "free_requested", 14) == 0;
            completed += memcmp(text + i, "free_completed", 14) == 0;
        }
        assert_int_equal(requested, waits + 1);
        assert_int_equal(completed, 1);
        tarn_trace_info info;
        tarn_trace_release(read_snapshot(path, &info));
    }
    stand_close(&stand);
    remove(path);
}

/* A recording whose file is full has ended: the state is told without it. */
static void an_ended_recording_leaves_the_state(void **unused) {
    (void)unused;
    char path[PATH_ROOM];
    for (int kind = 0; kind < 2; kind++) {
        test_stand stand;
        stand_open(&stand, kind == 0 ? "record:/dev/full | caching" : "record:/dev/null | caching", "sim:8GiB");
        tarn_buffer *buffer = take(&stand, 5000, NULL);
        log_listen();
        tarn_status status = tarn_allocator_snapshot(stand.allocator, path_of("ended.pickle", path));
        /* The recorder learns from this call that its file is full. */
        assert_int_equal(status, kind == 0 ? TARN_IO_ERROR : TARN_OK);
        if (kind == 0) assert_non_null(strstr(log_heard(), "the recording ends here"));
        log_silence();
        EXPECT_OK(tarn_allocator_snapshot(stand.allocator, path));
        tarn_trace_info info;
        tarn_trace *trace = read_snapshot(path, &info);
        assert_int_equal(info.initial_count, 1);
        assert_int_equal(info.event_count, 1);
        tarn_trace_release(trace);
        give(&stand, buffer, NULL);
        stand_close(&stand);
        remove(path);
    }
}

/* The dictionary of settings is read back as the text that it was. */
static void a_spec_with_commas_keeps_its_text(void **unused) {
    (void)unused;
    char path[PATH_ROOM], copy[PATH_ROOM];
    test_stand stand;
    stand_open(&stand, "fail:at=1000,every=3 | caching:expandable=off,settle=0", "sim:8GiB,lag=1ms");
    EXPECT_OK(tarn_allocator_snapshot(stand.allocator, path_of("settings.pickle", path)));
    tarn_trace_info info, again;
    tarn_trace *trace = read_snapshot(path, &info);
    char wanted[256];
    snprintf(wanted, sizeof wanted, "allocator=%s, device=%s", tarn_allocator_spec(stand.allocator),
             tarn_device_name(stand.device));
    assert_string_equal(info.settings, wanted);
    EXPECT_OK(tarn_trace_write(trace, path_of("copy.pickle", copy), TARN_TRACE_PYTORCH_SNAPSHOT));
    tarn_trace *second = read_snapshot(copy, &again);
    assert_string_equal(again.settings, wanted);
    tarn_trace_release(second);
    tarn_trace_release(trace);
    stand_close(&stand);
    remove(path);
    remove(copy);
}

typedef struct worker {
    test_stand *stand;
    unsigned rounds;
    tarn_status status;
} worker;

static void *churn(void *context) {
    worker *self = context;
    for (unsigned i = 0; i < self->rounds && self->status == TARN_OK; i++) {
        tarn_buffer *buffer = NULL;
        self->status = tarn_allocator_allocate(self->stand->allocator, 1000 + i * 4096, NULL, &buffer);
        if (self->status == TARN_OK) self->status = tarn_allocator_free(self->stand->allocator, buffer, NULL);
    }
    return NULL;
}

static void snapshots_are_taken_while_threads_allocate(void **unused) {
    (void)unused;
    static const char *const specs[] = {"caching", "record:FILE | caching", "direct"};
    for (size_t s = 0; s < sizeof specs / sizeof specs[0]; s++) {
        enum { THREADS = 4 };
        test_stand stand;
        char path[PATH_ROOM];
        pthread_t threads[THREADS];
        worker workers[THREADS];
        stand_open(&stand, specs[s], "sim:8GiB");
        path_of("busy.pickle", path);
        tarn_log_set(NULL, NULL, TARN_LOG_OFF); /* the history may go on after the state */
        for (int i = 0; i < THREADS; i++) {
            workers[i] = (worker){.stand = &stand, .rounds = 300};
            assert_int_equal(pthread_create(&threads[i], NULL, churn, &workers[i]), 0);
        }
        for (int round = 0; round < 10; round++) {
            EXPECT_OK(tarn_allocator_snapshot(stand.allocator, path));
            tarn_trace_info info;
            tarn_trace_release(read_snapshot(path, &info));
        }
        for (int i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
            assert_int_equal(workers[i].status, TARN_OK);
        }
        tarn_log_set(NULL, NULL, TARN_LOG_WARNING);
        stand_close(&stand);
        remove(path);
    }
}

/* All snapshots that the conformance tests left in the folder, read by Python. */
static void python_reads_every_snapshot(void **unused) {
    (void)unused;
    const char *source = getenv("TARN_SOURCE_DIR");
    if (source == NULL || system("python3 -c 'import pickle, pickletools' >/dev/null 2>&1") != 0) {
        print_message("not checked: there is no python3, or TARN_SOURCE_DIR is not set\n");
        skip();
    }
    char command[1024];
    snprintf(command, sizeof command, "python3 '%s/tests/memory/snapshot_state.py' '%s'", source, folder);
    assert_int_equal(system(command), 0);
}

int main(void) {
    static const conformance_test tests[] = {
        CONFORMANCE_TEST(a_snapshot_reads_back_as_the_state, 0),
        CONFORMANCE_TEST(an_unused_allocator_has_an_empty_snapshot, 0),
        CONFORMANCE_TEST(what_cannot_be_written_leaves_the_older_file, 0),
        CONFORMANCE_TEST(each_request_for_host_memory_may_fail, DEVICE_IS_FAKE),
        CONFORMANCE_TEST(wrong_arguments_are_refused, DEVICE_STORES),
    };
    const struct CMUnitTest others[] = {
        cmocka_unit_test(a_recorder_gives_the_history),
        cmocka_unit_test(a_tracked_block_has_its_call_site),
        cmocka_unit_test(a_free_that_waits_is_not_completed),
        cmocka_unit_test(an_ended_recording_leaves_the_state),
        cmocka_unit_test(a_spec_with_commas_keeps_its_text),
        cmocka_unit_test(snapshots_are_taken_while_threads_allocate),
        cmocka_unit_test(python_reads_every_snapshot),
    };
    int failed = conformance_run("memory snapshot", tests, sizeof tests / sizeof tests[0]);
    failed += cmocka_run_group_tests_name("memory snapshot, beyond", others, NULL, NULL);
    visit_folder(1);
    if (folder[0] != '\0') rmdir(folder);
    return failed;
}
