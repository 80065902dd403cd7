/* The stand of the conformance tests, and the runner that multiplies tests by specs and devices. */
#include "stand.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake.h"
#include "fake_cuda.h"

typedef struct test_combination {
    const conformance_test *test;
    const test_spec *spec;
    const test_device *device;
    const char *reason; /* why it is not run, or NULL */
} test_combination;

void expect_status(tarn_status got, tarn_status wanted, const char *call, const char *file, int line) {
    if (got == wanted) return;
    print_error("%s answered %s, not %s: \"%s\"\n", call, tarn_status_name(got), tarn_status_name(wanted),
                tarn_last_error());
    _fail(file, line);
}

void expect_sentence(const char *part, const char *file, int line) {
    if (strstr(tarn_last_error(), part) != NULL) return;
    print_error("the sentence \"%s\" lacks \"%s\"\n", tarn_last_error(), part);
    _fail(file, line);
}

/* What the running test holds, so that a test that fails does not take the others' memory along. */
static test_stand *standing;
static tarn_buffer *taken[1024];
static size_t taken_count;

/* The spec with FILE replaced by a file of this stand's own. */
static void write_spec(test_stand *stand, const char *spec, char *out_text, size_t capacity) {
    const char *place = strstr(spec, "FILE");
    if (place == NULL) {
        snprintf(out_text, capacity, "%s", spec);
        return;
    }
    const char *folder = getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp";
    snprintf(stand->file, sizeof stand->file, "%s/tarn-test-XXXXXX", folder);
    int descriptor = mkstemp(stand->file);
    assert_true(descriptor >= 0);
    close(descriptor);
    snprintf(out_text, capacity, "%.*s%s%s", (int)(place - spec), spec, stand->file, place + strlen("FILE"));
}

void stand_open(test_stand *stand, const char *spec, const char *device_name) {
    memset(stand, 0, sizeof *stand);
    standing = stand;
    taken_count = 0;
    stand->spec = spec;
    stand->device_name = device_name;
    if (strncmp(device_name, "fake:", 5) == 0) fake_install();
    EXPECT_OK(tarn_device_open(device_name, &stand->device));
    stand->properties.struct_size = sizeof stand->properties;
    EXPECT_OK(tarn_device_properties_get(stand->device, &stand->properties));
    stand->memory_before = counters_of(stand->device).memory_in_use;
    char text[512];
    write_spec(stand, spec, text, sizeof text);
    EXPECT_OK(tarn_allocator_create(stand->device, text, &stand->allocator));
}

void stand_close(test_stand *stand) {
    standing = NULL;
    for (int n = 0; n < STAND_STREAMS; n++) stand_let_go(stand, n);
    for (int n = 0; n < STAND_STREAMS; n++)
        if (stand->streams[n] != NULL) EXPECT_OK(tarn_stream_release(stand->streams[n]));
    if (stand->allocator != NULL) {
        EXPECT_OK(tarn_allocator_check(stand->allocator));
        EXPECT_OK(tarn_allocator_release(stand->allocator));
    }
    uint64_t left = counters_of(stand->device).memory_in_use;
    EXPECT_OK(tarn_device_release(stand->device));
    if (stand->file[0] != '\0') unlink(stand->file);
    const char *first;
    if (fake_violations(&first) != 0)
        fail_msg("%s on %s broke a rule of the driver: %s", stand->spec, stand->device_name, first);
    const fake_cuda *cuda = fake_cuda_find();
    if (cuda != NULL && cuda->violations(&first) != 0) {
        cuda->forget_violations();
        fail_msg("%s on %s used the driver wrongly: %s", stand->spec, stand->device_name, first);
    }
    if (left != stand->memory_before)
        fail_msg("%s on %s kept %llu bytes of the device", stand->spec, stand->device_name,
                 (unsigned long long)(left - stand->memory_before));
}

tarn_stream *stand_stream(test_stand *stand, int n) {
    if (stand->streams[n] == NULL) EXPECT_OK(tarn_stream_create(stand->device, &stand->streams[n]));
    return stand->streams[n];
}

/* Where one thread runs the host functions of all streams, one that waits at a gate keeps it. The next gate comes behind those before it
 * then, and is not reached while they are closed. */
static void queue_behind_gates(test_stand *stand, tarn_stream *stream) {
    if ((stand->properties.features & TARN_FEATURE_HOST_FUNCTIONS_APART) == 0) return;
    for (int n = 0; n < STAND_STREAMS; n++) {
        tarn_event *event = NULL;
        if (!stand->is_held[n]) continue;
        EXPECT_OK(tarn_stream_record(stand->streams[n], &event));
        EXPECT_OK(tarn_stream_wait(stream, event));
        EXPECT_OK(tarn_event_release(event));
    }
}

void stand_hold(test_stand *stand, int n) {
    tarn_stream *stream = stand_stream(stand, n);
    if (stand->is_held[n]) return;
    queue_behind_gates(stand, stream);
    stand->gates[n] = (test_gate){.is_open = false};
    stand->is_held[n] = true;
    if (strncmp(stand->device_name, "fake:", 5) == 0)
        EXPECT_OK(tarn_stream_enqueue(stream, fake_hold, &stand->gates[n]));
    else EXPECT_OK(tarn_stream_enqueue(stream, gate_pass, &stand->gates[n]));
}

void stand_let_go(test_stand *stand, int n) {
    if (!stand->is_held[n]) return;
    gate_open(&stand->gates[n]);
    if (strncmp(stand->device_name, "fake:", 5) == 0) fake_proceed();
    EXPECT_OK(tarn_stream_synchronize(stand->streams[n]));
    stand->is_held[n] = false;
}

size_t stand_large(const test_stand *stand, size_t size) {
    return (stand->abilities & DEVICE_STORES) != 0 && test_slowness() >= 20 ? size / 16 : size;
}

tarn_buffer *take(test_stand *stand, size_t size, tarn_stream *stream) {
    tarn_buffer *buffer = NULL;
    EXPECT_OK(tarn_allocator_allocate(stand->allocator, size, stream, &buffer));
    assert_non_null(buffer);
    taken[taken_count++ % (sizeof taken / sizeof taken[0])] = buffer;
    return buffer;
}

tarn_buffer *take_aligned(test_stand *stand, size_t size, size_t alignment) {
    tarn_allocate_options options = {.struct_size = sizeof options, .alignment = alignment};
    tarn_buffer *buffer = NULL;
    EXPECT_OK(tarn_allocator_allocate_with(stand->allocator, size, &options, &buffer));
    assert_non_null(buffer);
    taken[taken_count++ % (sizeof taken / sizeof taken[0])] = buffer;
    return buffer;
}

void give(test_stand *stand, tarn_buffer *buffer, tarn_stream *stream) {
    EXPECT_OK(tarn_allocator_free(stand->allocator, buffer, stream));
}

tarn_memory_stats stats_of(tarn_allocator *allocator) {
    tarn_memory_stats stats = {.struct_size = sizeof stats};
    EXPECT_OK(tarn_allocator_stats(allocator, &stats));
    return stats;
}

tarn_device_counters counters_of(tarn_device *device) {
    tarn_device_counters counters = {.struct_size = sizeof counters};
    EXPECT_OK(tarn_device_counters_get(device, &counters));
    return counters;
}

int buffers_overlap(const tarn_buffer *a, const tarn_buffer *b) {
    uintptr_t first = (uintptr_t)tarn_buffer_data(a), second = (uintptr_t)tarn_buffer_data(b);
    return first < second + tarn_buffer_capacity(b) && second < first + tarn_buffer_capacity(a);
}

/* Log. Messages may come from any thread, and from several at once, but none while the test reads. */
static pthread_mutex_t hearing = PTHREAD_MUTEX_INITIALIZER;
static char heard[16384];
static size_t heard_length;

static void hear(void *context, tarn_log_level level, const char *sentence) {
    (void)context;
    (void)level;
    size_t length = strlen(sentence);
    pthread_mutex_lock(&hearing);
    if (heard_length + length + 2 <= sizeof heard) {
        memcpy(heard + heard_length, sentence, length);
        heard_length += length;
        heard[heard_length++] = '\n';
        heard[heard_length] = '\0';
    }
    pthread_mutex_unlock(&hearing);
}

void log_listen(void) {
    heard_length = 0;
    heard[0] = '\0';
    tarn_log_set(hear, NULL, TARN_LOG_WARNING);
}

const char *log_heard(void) { return heard; }

void log_silence(void) { tarn_log_set(NULL, NULL, TARN_LOG_WARNING); }

/* Runner. */
static void run_combination(void **state) {
    const test_combination *combination = *state;
    if (combination->reason != NULL) {
        print_message("%s: not supported: %s\n", combination->test->name, combination->reason);
        skip();
    }
    static test_stand stand;
    stand_open(&stand, combination->spec->text, combination->device->name);
    stand.abilities = test_abilities(combination->spec, combination->device);
    combination->test->run(&stand);
    stand_close(&stand);
}

/* A failed test leaves buffers, streams and references behind, the fake driver with faults, and its log callback. */
static int settle(void **state) {
    (void)state;
    fake_reset();
    log_silence();
    if (standing == NULL) return 0;
    size_t count = taken_count < sizeof taken / sizeof taken[0] ? taken_count : sizeof taken / sizeof taken[0];
    for (int n = 0; n < STAND_STREAMS; n++)
        if (standing->is_held[n]) gate_open(&standing->gates[n]);
    fake_proceed();
    for (size_t i = 0; i < count; i++) tarn_buffer_free(taken[i], NULL);
    for (int n = 0; n < STAND_STREAMS; n++) tarn_stream_release(standing->streams[n]);
    tarn_allocator_release(standing->allocator);
    tarn_device_release(standing->device);
    if (standing->file[0] != '\0') unlink(standing->file);
    standing = NULL;
    return 0;
}

static bool is_wanted(const char *name) {
    const char *only = getenv("TARN_TEST_ONLY");
    return only == NULL || *only == '\0' || strstr(name, only) != NULL;
}

/* Where everything takes very long, each test still meets each spec and each device, but not each pair of them. */
static bool is_spared(size_t test, size_t spec, size_t device) {
    size_t share = test_slowness() >= 20 ? 6 : test_slowness() >= 5 ? 3 : 1;
    return (test + spec + device) % share != 0;
}

/* Making a GPU's context takes a fifth of a second, and each test opens the device anew: where TARN_TEST_KEEPS_CONTEXT is set, the process keeps
 * the contexts of its GPUs to its end, as a program does that uses the CUDA runtime too. */
static void keep_contexts(void) {
    int (*find)(int *, int) = NULL, (*retain)(void **, int) = NULL;
    if (getenv("TARN_TEST_KEEPS_CONTEXT") == NULL) return;
    for (size_t i = 0; i < test_device_count; i++) {
        tarn_device *device = NULL;
        void *context = NULL;
        int number = 0;
        if (sscanf(test_devices[i].name, "cuda:%d", &number) != 1) continue;
        /* What it opens stays loaded. */
        if (tarn_device_open(test_devices[i].name, &device) != TARN_OK) continue;
        void *symbols[] = {fake_cuda_symbol("cuDeviceGet"), fake_cuda_symbol("cuDevicePrimaryCtxRetain")};
        memcpy(&find, &symbols[0], sizeof find);
        memcpy(&retain, &symbols[1], sizeof retain);
        if (find == NULL || retain == NULL || find(&number, number) != 0 || retain(&context, number) != 0)
            print_message("the context of %s is not kept\n", test_devices[i].name);
        EXPECT_OK(tarn_device_release(device));
    }
}

int conformance_run(const char *group, const conformance_test *tests, size_t count) {
    size_t capacity = count * test_spec_count * test_device_count, used = 0;
    struct CMUnitTest *units = calloc(capacity, sizeof *units);
    test_combination *combinations = calloc(capacity, sizeof *combinations);
    if (units == NULL || combinations == NULL) {
        free(units);
        free(combinations);
        return 1;
    }
    for (size_t t = 0; t < count; t++) {
        for (size_t d = 0; d < test_device_count; d++) {
            for (size_t s = 0; s < test_spec_count; s++) {
                const test_spec *spec = &test_specs[s];
                const test_device *device = &test_devices[d];
                if (!test_is_requested(device) || !test_is_possible(spec, device)) continue;
                if ((tests[t].needs & ~test_abilities(spec, device)) != 0) continue;
                char name[256];
                snprintf(name, sizeof name, "%s [%s on %s]", tests[t].name, spec->text, device->name);
                if (!is_wanted(name) || is_spared(t, s, d)) continue;
                combinations[used] = (test_combination){&tests[t], spec, device,
                                                        test_not_supported(tests[t].name, spec->text, device->name)};
                units[used] = (struct CMUnitTest){strdup(name), run_combination, NULL, settle, &combinations[used]};
                used++;
            }
        }
    }
    keep_contexts();
    int failed = _cmocka_run_group_tests(group, units, used, NULL, NULL);
    for (size_t i = 0; i < used; i++) free((void *)(uintptr_t)units[i].name);
    free(units);
    free(combinations);
    return failed;
}
