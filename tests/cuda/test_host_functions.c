/* Host functions on cuda, whose driver must not be called from one (fault 41): whatever a function asks of the devices is refused before the
 * driver hears of it, nothing is lost, and what needs no driver works. */
#include "gpu.h"

#include <string.h>

#define SIZE 4096

static tarn_device *device, *other;
static tarn_stream *stream, *second;
static tarn_event *event;
static void *memory;
static tarn_graph *graph;
static tarn_graph_instance *instance;
static const fake_cuda *fake;

static void nothing(void *context) { (void)context; }

static void begin(void) {
    device = gpu_open();
    fake = gpu_fake();
    other = NULL;
    event = NULL;
    assert_ok(tarn_device_open("cuda:1", &other));
    assert_ok(tarn_stream_create(device, &stream));
    assert_ok(tarn_stream_create(device, &second));
    memory = gpu_allocate(device, TARN_MEMORY_DEVICE, SIZE);
    assert_ok(tarn_stream_record(second, &event));
    assert_ok(tarn_stream_begin_capture(stream, TARN_CAPTURE_RELAXED));
    assert_ok(tarn_stream_fill(stream, memory, "a", 1, SIZE));
    assert_ok(tarn_stream_end_capture(stream, &graph));
    assert_ok(tarn_graph_instantiate(graph, &instance));
}

static void end(void) {
    assert_ok(tarn_stream_synchronize(stream));
    assert_ok(tarn_graph_instance_release(instance));
    assert_ok(tarn_graph_release(graph));
    assert_ok(tarn_event_release(event));
    assert_ok(tarn_stream_release(stream));
    assert_ok(tarn_stream_release(second));
    gpu_free(device, TARN_MEMORY_DEVICE, memory, SIZE);
    assert_ok(tarn_device_release(other));
    gpu_close(device);
}

/* What a function was answered; asserts belong to the test's own thread. */
#define MOST 64
static struct {
    const char *call;
    tarn_status status;
} answers[MOST];
static size_t answered;
static unsigned long long calls_inside;

static void note(const char *call, tarn_status status) {
    answers[answered].call = call;
    answers[answered++].status = status;
}
#define ASK(call) note(#call, call)

static void ask_everything(void *context) {
    const tarn_box box = {.struct_size = sizeof box, .width = 8, .height = 2, .depth = 1, .source_row_pitch = 16};
    tarn_device_properties properties = {.struct_size = sizeof properties};
    tarn_backend_info info = {.struct_size = sizeof info};
    tarn_device *opened = NULL;
    tarn_stream *made = NULL;
    tarn_event *recorded = NULL;
    tarn_graph_instance *another = NULL;
    tarn_backend_granule granule;
    void *address = NULL;
    int answer = 0;
    int64_t elapsed;
    (void)context;
    answered = 0;
    unsigned long long before = fake->calls(NULL);
    ASK(tarn_device_open("cuda:2", &opened));
    ASK(tarn_device_properties_get(device, &properties));
    ASK(tarn_device_properties_get(other, &properties));
    ASK(tarn_device_synchronize(device));
    ASK(tarn_device_synchronize(other));
    ASK(tarn_device_can_access(device, other, &answer));
    ASK(tarn_device_enable_peer(device, other));
    ASK(tarn_backend_find("cuda", &info));
    ASK(tarn_stream_create(device, &made));
    ASK(tarn_stream_adopt(device, NULL, &made));
    ASK(tarn_stream_enqueue(second, nothing, NULL));
    ASK(tarn_stream_record(second, &recorded));
    ASK(tarn_stream_record(second, &event));
    ASK(tarn_stream_wait(second, event));
    ASK(tarn_stream_synchronize(stream));
    ASK(tarn_stream_synchronize(second));
    ASK(tarn_stream_synchronize(tarn_device_default_stream(other)));
    ASK(tarn_stream_copy(second, memory, (char *)memory + SIZE / 2, SIZE / 2));
    ASK(tarn_stream_copy_box(second, memory, (char *)memory + SIZE / 2, &box));
    ASK(tarn_stream_fill(second, memory, "a", 1, SIZE));
    ASK(tarn_copy(NULL, other, memory, device, memory, SIZE));
    ASK(tarn_event_create(device, &recorded));
    ASK(tarn_event_is_complete(event, &answer));
    ASK(tarn_event_synchronize(event));
    ASK(tarn_event_elapsed(event, event, &elapsed));
    ASK(tarn_graph_instantiate(graph, &another));
    ASK(tarn_graph_instance_launch(instance, second));
    ASK(tarn_graph_instance_set_fill(instance, 0, memory, "b", 1, SIZE));
    ASK(tarn_stream_begin_capture(second, TARN_CAPTURE_RELAXED));
    ASK(hal_memory_allocate(device, TARN_MEMORY_DEVICE, SIZE, 0, &address));
    ASK(hal_memory_free(device, TARN_MEMORY_DEVICE, memory, SIZE));
    ASK(hal_virtual_reserve(device, 64 * MIB, &address));
    ASK(hal_granules_create(other, 1, &granule));
    calls_inside = fake->calls(NULL) - before;
}

static void what_would_call_the_driver_is_refused_before_it(void **state) {
    (void)state;
    begin();
    /* It runs when this thread waits, and so calls nothing: all calls are counted together. */
    fake->hold(1);
    assert_ok(tarn_stream_enqueue(stream, ask_everything, NULL));
    assert_ok(tarn_stream_synchronize(stream));
    fake->hold(0);
    assert_true(answered > 20);
    for (size_t i = 0; i < answered; i++) {
        if (answers[i].status != TARN_INVALID_STATE)
            fail_msg("%s was answered %s", answers[i].call, tarn_status_name(answers[i].status));
    }
    assert_int_equal(calls_inside, 0);
    /* The same in work that a graph launches. */
    tarn_graph *captured = NULL;
    tarn_graph_instance *launched = NULL;
    assert_ok(tarn_stream_begin_capture(stream, TARN_CAPTURE_RELAXED));
    assert_ok(tarn_stream_enqueue(stream, ask_everything, NULL));
    assert_ok(tarn_stream_end_capture(stream, &captured));
    assert_ok(tarn_graph_instantiate(captured, &launched));
    answered = 0;
    assert_ok(tarn_graph_instance_launch(launched, stream));
    assert_ok(tarn_stream_synchronize(stream));
    assert_true(answered > 20);
    for (size_t i = 0; i < answered; i++) assert_int_equal(answers[i].status, TARN_INVALID_STATE);
    assert_ok(tarn_graph_instance_release(launched));
    assert_ok(tarn_graph_release(captured));
    end();
}

static void release_everything(void *context) {
    (void)context;
    answered = 0;
    note("the stream", tarn_stream_release(second));
    note("the device", tarn_device_release(other));
    note("the graph", tarn_graph_release(graph));
    note("its instance", tarn_graph_instance_release(instance));
    note("the event", tarn_event_release(event));
}

/* What only the driver could take down stays, or is put off. */
static void last_references_are_busy_or_put_off(void **state) {
    (void)state;
    begin();
    assert_ok(tarn_stream_enqueue(stream, release_everything, NULL));
    assert_ok(tarn_stream_synchronize(stream));
    const tarn_status expected[] = {TARN_BUSY, TARN_BUSY, TARN_OK, TARN_OK, TARN_OK};
    for (size_t i = 0; i < answered; i++)
        if (answers[i].status != expected[i])
            fail_msg("%s was answered %s", answers[i].call, tarn_status_name(answers[i].status));
    graph = NULL;
    instance = NULL;
    event = NULL;
    end();
}

/* A buffer that both streams use is freed in a host function, and memory is asked for there. */
static tarn_allocator *allocator;
static tarn_buffer *buffers[3];

static void allocate_and_free(void *context) {
    (void)context;
    answered = 0;
    note("free", tarn_buffer_free(buffers[0], NULL));
    note("free behind another stream", tarn_buffer_free(buffers[1], second));
    note("allocate", tarn_allocator_allocate(allocator, SIZE, NULL, &buffers[2]));
    note("allocate more than is cached", tarn_allocator_allocate(allocator, 64 * MIB, NULL, &buffers[2]));
    note("empty_cache", tarn_allocator_empty_cache(allocator));
    note("release", tarn_allocator_release(allocator));
}

static void allocators_lose_nothing_in_host_functions(void **state) {
    (void)state;
    static const char *const specs[] = {"direct", "caching", "caching:settle=0", "pytorch",
                                        "pool",   "graph",   "planned",          "cuda_async"};
    for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++) {
        begin();
        assert_ok(tarn_allocator_create(device, specs[i], &allocator));
        for (int k = 0; k < 2; k++) {
            assert_ok(tarn_allocator_allocate(allocator, SIZE, NULL, &buffers[k]));
            /* The driver's pool allocates on the stream, so that another one waits until it has. */
            assert_ok(tarn_stream_record(tarn_device_default_stream(device), &event));
            assert_ok(tarn_stream_wait(second, event));
            assert_ok(tarn_buffer_record_stream(buffers[k], second));
            assert_ok(tarn_stream_fill(second, tarn_buffer_data(buffers[k]), "", 1, SIZE));
        }
        buffers[2] = NULL;
        assert_ok(tarn_stream_enqueue(stream, allocate_and_free, NULL));
        assert_ok(tarn_stream_synchronize(stream));
        assert_int_equal(answers[--answered].status, TARN_BUSY);
        for (size_t k = 0; k < answered; k++) {
            if (answers[k].status != TARN_OK && answers[k].status != TARN_INVALID_STATE)
                fail_msg("%s of %s was answered %s", answers[k].call, specs[i], tarn_status_name(answers[k].status));
        }
        /* Frees succeed, or the buffer is still its owner's. */
        for (int k = 0; k < 2; k++)
            if (answers[k].status != TARN_OK) assert_ok(tarn_buffer_free(buffers[k], NULL));
        if (buffers[2] != NULL) assert_ok(tarn_buffer_free(buffers[2], NULL));
        assert_ok(tarn_device_synchronize(device));
        assert_ok(tarn_allocator_empty_cache(allocator));
        assert_ok(tarn_allocator_release(allocator));
        end();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_would_call_the_driver_is_refused_before_it),
        cmocka_unit_test(last_references_are_busy_or_put_off),
        cmocka_unit_test(allocators_lose_nothing_in_host_functions),
    };
    return cmocka_run_group_tests_name("host functions on the CUDA backend", tests, NULL, NULL);
}
