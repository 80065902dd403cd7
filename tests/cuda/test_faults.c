/* Every call of the driver fails, one after the other, once: in opening, memory, streams, events, graphs and closing. Each time the
 * answers are sane, the driver is used rightly, what was made is given back or its loss is logged, and the same work
 * succeeds afterwards. And devices that are lost, and children of forks. */
#include "gpu.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIZE 65536

/* One run of the script, which goes on as far as it can. */
typedef struct run {
    tarn_device *device;
    tarn_stream *stream, *second;
    unsigned failures;
    tarn_status wanted; /* what a failure may be, beside OK; OK: nothing may fail */
} run;

static tarn_status judge(run *self, tarn_status status, const char *call) {
    if (status == TARN_OK) return status;
    self->failures++;
    if (status != self->wanted || tarn_last_error()[0] == '\0')
        fail_msg("%s answered %s: \"%s\"", call, tarn_status_name(status), tarn_last_error());
    return status;
}
#define TRY(call) judge(self, call, #call)

/* What fails is tried once more: after a fault that passes, it works. */
#define GIVE_BACK(call)                                                                \
    do {                                                                               \
        if (TRY(call) != TARN_OK && self->wanted != TARN_DEVICE_LOST) assert_ok(call); \
    } while (0)

/* Three slices, which are three copies of the driver's. */
static const tarn_box box = {.struct_size = sizeof box,
                             .width = 10,
                             .height = 4,
                             .depth = 3,
                             .destination_row_pitch = 12,
                             .destination_slice_pitch = 50};

static void use_memory(run *self) {
    const tarn_memory_kind kinds[] = {TARN_MEMORY_DEVICE, TARN_MEMORY_PINNED, TARN_MEMORY_MANAGED};
    void *places[3] = {NULL}, *aligned = NULL;
    for (size_t k = 0; k < 3; k++) TRY(hal_memory_allocate(self->device, kinds[k], SIZE, 0, &places[k]));
    TRY(hal_memory_allocate(self->device, TARN_MEMORY_DEVICE, SIZE, 2 * MIB, &aligned));
    if (places[0] != NULL && places[1] != NULL) {
        TRY(tarn_stream_fill(self->stream, places[0], "abcdefgh", 8, SIZE));
        TRY(tarn_stream_fill(self->stream, places[0], "ab", 2, SIZE));
        TRY(tarn_stream_fill(self->stream, places[0], "abcd", 4, SIZE));
        TRY(tarn_stream_fill(self->stream, places[0], "a", 1, SIZE));
        TRY(tarn_stream_copy(self->stream, places[1], places[0], SIZE));
        TRY(tarn_stream_copy_box(self->stream, places[1], places[0], &box));
        /* What was enqueued has run before its memory goes. */
        if (TRY(tarn_stream_synchronize(self->stream)) == TARN_OK && self->failures == 0)
            assert_int_equal(*(char *)places[1], 'a');
        else if (self->wanted != TARN_DEVICE_LOST) assert_ok(tarn_stream_synchronize(self->stream));
    }
    for (size_t k = 0; k < 3; k++)
        if (places[k] != NULL) GIVE_BACK(hal_memory_free(self->device, kinds[k], places[k], SIZE));
    if (aligned != NULL) GIVE_BACK(hal_memory_free(self->device, TARN_MEMORY_DEVICE, aligned, SIZE));
}

static void use_virtual_memory(run *self, size_t granule) {
    tarn_backend_granule granules[3];
    void *range = NULL;
    if (TRY(hal_virtual_reserve(self->device, 4 * granule, &range)) != TARN_OK) return;
    if (TRY(hal_granules_create(self->device, 3, granules)) == TARN_OK) {
        if (TRY(hal_virtual_map(self->device, range, 3, granules)) == TARN_OK)
            GIVE_BACK(hal_virtual_unmap(self->device, range, 3));
        GIVE_BACK(hal_granules_release(self->device, 3, granules));
    }
    GIVE_BACK(hal_virtual_release(self->device, range, 4 * granule));
}

static void count_up(void *context) { ++*(int *)context; }

static void use_events(run *self) {
    tarn_event *begin = NULL, *end = NULL, *untimed = NULL;
    const tarn_event_options options = {.struct_size = sizeof options, .is_untimed = 1};
    int is_complete = 0;
    int64_t elapsed = 0;
    TRY(tarn_stream_record(self->stream, &begin));
    if (begin != NULL) TRY(tarn_stream_wait(self->second, begin));
    TRY(tarn_stream_record(self->second, &end));
    if (TRY(tarn_event_create_with(self->device, &options, &untimed)) == TARN_OK)
        TRY(tarn_stream_record(self->second, &untimed));
    if (begin != NULL && end != NULL) {
        TRY(tarn_event_is_complete(end, &is_complete));
        bool are_done = TRY(tarn_event_synchronize(begin)) == TARN_OK;
        are_done = TRY(tarn_event_synchronize(end)) == TARN_OK && are_done;
        if (are_done) TRY(tarn_event_elapsed(begin, end, &elapsed));
    }
    assert_ok(tarn_event_release(begin));
    assert_ok(tarn_event_release(end));
    assert_ok(tarn_event_release(untimed));
}

static void use_graph(run *self) {
    tarn_graph *graph = NULL;
    tarn_graph_instance *instance = NULL;
    void *memory = NULL;
    int count = 0;
    if (TRY(hal_memory_allocate(self->device, TARN_MEMORY_DEVICE, SIZE, 0, &memory)) != TARN_OK) return;
    if (TRY(tarn_stream_begin_capture(self->stream, TARN_CAPTURE_GLOBAL)) == TARN_OK) {
        TRY(tarn_stream_fill(self->stream, memory, "ab", 1, SIZE));
        TRY(tarn_stream_copy(self->stream, (char *)memory + SIZE / 2, memory, SIZE / 2));
        TRY(tarn_stream_copy_box(self->stream, memory, (char *)memory + SIZE / 2, &box));
        TRY(tarn_stream_enqueue(self->stream, count_up, &count));
        TRY(tarn_stream_end_capture(self->stream, &graph));
    }
    if (graph != NULL && TRY(tarn_graph_instantiate(graph, &instance)) == TARN_OK) {
        TRY(tarn_graph_instance_launch(instance, self->stream));
        TRY(tarn_graph_instance_set_fill(instance, 0, memory, "abcdefgh", 8, SIZE));
        TRY(tarn_graph_instance_set_copy(instance, 1, memory, (char *)memory + SIZE / 2, SIZE / 2));
        TRY(tarn_graph_instance_launch(instance, self->second));
    }
    for (int stream = 0; stream < 2; stream++) {
        tarn_stream *it = stream == 0 ? self->stream : self->second;
        if (TRY(tarn_stream_synchronize(it)) != TARN_OK && self->wanted != TARN_DEVICE_LOST)
            assert_ok(tarn_stream_synchronize(it));
    }
    tarn_graph_instance_release(instance);
    tarn_graph_release(graph);
    GIVE_BACK(hal_memory_free(self->device, TARN_MEMORY_DEVICE, memory, SIZE));
}

/* Another device, which this one is let into, and copies between the two. */
static void use_peer(run *self) {
    tarn_device *other = NULL;
    void *ours = NULL, *theirs = NULL;
    if (TRY(tarn_device_open("cuda:1", &other)) != TARN_OK) return;
    TRY(hal_memory_allocate(self->device, TARN_MEMORY_DEVICE, SIZE, 0, &ours));
    TRY(hal_memory_allocate(other, TARN_MEMORY_SHARED, SIZE, 0, &theirs));
    bool is_enabled = TRY(tarn_device_enable_peer(self->device, other)) == TARN_OK;
    if (ours != NULL && theirs != NULL) {
        TRY(tarn_copy(self->stream, self->device, ours, other, theirs, SIZE));
        TRY(tarn_copy_box(self->stream, self->device, ours, other, theirs, &box));
        if (is_enabled) TRY(tarn_stream_copy(self->stream, ours, theirs, SIZE));
        if (TRY(tarn_stream_synchronize(self->stream)) != TARN_OK) assert_ok(tarn_stream_synchronize(self->stream));
    }
    if (is_enabled) TRY(tarn_device_disable_peer(self->device, other));
    if (ours != NULL) GIVE_BACK(hal_memory_free(self->device, TARN_MEMORY_DEVICE, ours, SIZE));
    if (theirs != NULL) GIVE_BACK(hal_memory_free(other, TARN_MEMORY_SHARED, theirs, SIZE));
    assert_int_equal(counters_of(other).memory_in_use, 0);
    TRY(tarn_device_release(other));
}

/* What another process would do with a buffer, and what another library would do with a stream. */
static void use_what_others_have(run *self) {
    tarn_allocator *allocator = NULL;
    tarn_buffer *buffer = NULL, *imported = NULL;
    tarn_stream *adopted = NULL;
    tarn_exported_buffer exported = {.struct_size = sizeof exported, .descriptor = -1};
    if (TRY(tarn_stream_adopt(self->device, NULL, &adopted)) == TARN_OK) TRY(tarn_stream_release(adopted));
    assert_ok(tarn_allocator_create(self->device, "direct:kind=shared", &allocator));
    if (TRY(tarn_allocator_allocate(allocator, SIZE, NULL, &buffer)) == TARN_OK) {
        if (TRY(tarn_buffer_export(buffer, &exported)) == TARN_OK) {
            /* Drivers have several answers to a descriptor that is not theirs, and this may be one of them. */
            tarn_status status = tarn_buffer_import(self->device, &exported, NULL, &imported);
            if (status == TARN_OK) TRY(tarn_buffer_free(imported, NULL));
            else if (status != TARN_INVALID_ARGUMENT || self->wanted == TARN_OK) judge(self, status, "import");
            tarn_exported_buffer_close(&exported);
        }
        TRY(tarn_allocator_free(allocator, buffer, NULL));
    }
    TRY(tarn_allocator_empty_cache(allocator));
    TRY(tarn_allocator_release(allocator));
}

static unsigned play(tarn_status wanted) {
    run it = {.wanted = wanted};
    run *self = &it;
    if (TRY(tarn_device_open("cuda:0", &it.device)) != TARN_OK) return it.failures;
    tarn_device_properties properties = {.struct_size = sizeof properties};
    TRY(tarn_device_properties_get(it.device, &properties));
    if (TRY(tarn_stream_create(it.device, &it.stream)) == TARN_OK) {
        if (TRY(tarn_stream_create(it.device, &it.second)) == TARN_OK) {
            use_memory(self);
            if (properties.granule != 0) use_virtual_memory(self, properties.granule);
            use_events(self);
            use_graph(self);
            use_peer(self);
            use_what_others_have(self);
            TRY(tarn_device_synchronize(it.device));
            TRY(tarn_stream_release(it.second));
        }
        TRY(tarn_stream_release(it.stream));
    }
    assert_int_equal(counters_of(it.device).memory_in_use, 0);
    TRY(tarn_device_release(it.device));
    return it.failures;
}

/* Losses that the log has told of. */
static unsigned losses;

static void count_losses(void *context, tarn_log_level level, const char *sentence) {
    (void)context;
    (void)level;
    if (strstr(sentence, "is lost") != NULL) losses++;
}

/* One call of the script fails, unless it has fewer. What the driver has afterwards that it did not have before has been logged. */
static bool play_with_fault(const fake_cuda *fake, const char *schedule, tarn_status wanted, unsigned *inout_noticed) {
    unsigned long long before = fake->live_objects(NULL);
    losses = 0;
    assert_int_equal(fake->fault(schedule), 0);
    *inout_noticed += play(wanted) > 0;
    unsigned long long reached = fake->faults_done();
    assert_int_equal(fake->fault(NULL), 0);
    const char *sentence = NULL;
    /* What the driver did not take back ends with its context. */
    if (losses > 0 && fake->violations(&sentence) == 1 && strstr(sentence, "a context ends with") != NULL)
        fake->forget_violations();
    if (fake->violations(&sentence) != 0) fail_msg("after %s the driver was used wrongly: %s", schedule, sentence);
    if (fake->live_objects(&sentence) > before + losses) fail_msg("after %s the driver has %s", schedule, sentence);
    return reached > 0;
}

/* Fails each call of the script in turn; `moment`: before or after its effect. */
static void sweep(const char *error, const char *moment, tarn_status wanted) {
    const fake_cuda *fake = gpu_fake();
    tarn_log_set(count_losses, NULL, TARN_LOG_WARNING);
    unsigned calls = 0, tried = 0, noticed = 0;
    for (bool was_reached = true; was_reached; calls += gpu_stride(), tried += was_reached) {
        char schedule[96];
        snprintf(schedule, sizeof schedule, "any:%u:%s:once:%s", calls + 1, error, moment);
        was_reached = play_with_fault(fake, schedule, wanted, &noticed);
        assert_int_equal(play(TARN_OK), 0);
    }
    assert_true(calls > 50);
    if (gpu_stride() == 1) calls = tried;
    tarn_log_set(NULL, NULL, TARN_LOG_WARNING);
    print_message("%s, %s the effect: %u of %u calls of the driver failed, %u were noticed by the caller\n", error,
                  moment, tried, calls, noticed);
}

static void each_call_may_find_no_memory(void **state) {
    (void)state;
    sweep("CUDA_ERROR_OUT_OF_MEMORY", "before", TARN_OUT_OF_MEMORY);
}

static void each_call_may_fail_without_a_reason(void **state) {
    (void)state;
    sweep("CUDA_ERROR_UNKNOWN", "before", TARN_INTERNAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_call_may_find_no_memory),
        cmocka_unit_test(each_call_may_fail_without_a_reason),
    };
    return cmocka_run_group_tests_name("faults of the CUDA driver", tests, NULL, NULL);
}
