/* Captured work as graphs of the driver's own: what they do, what changing them does, and what is left when they cannot be made. */
#include "gpu.h"

#include <string.h>

#include "backends/cuda/cuda_internal.h"

#define SIZE 4096

static tarn_device *device;
static tarn_stream *stream;
static unsigned char *memory, *other;
static unsigned char bytes[SIZE];

static void begin(void) {
    device = gpu_open();
    assert_ok(tarn_stream_create(device, &stream));
    memory = gpu_allocate(device, TARN_MEMORY_DEVICE, SIZE);
    other = gpu_allocate(device, TARN_MEMORY_DEVICE, SIZE);
}

static void end(void) {
    assert_ok(tarn_stream_release(stream));
    gpu_free(device, TARN_MEMORY_DEVICE, memory, SIZE);
    gpu_free(device, TARN_MEMORY_DEVICE, other, SIZE);
    gpu_close(device);
}

static void read_all(const unsigned char *source) {
    assert_ok(tarn_stream_synchronize(stream));
    gpu_read(device, bytes, source, SIZE);
}

static void expect_bytes(const void *pattern, size_t size) {
    for (size_t i = 0; i < SIZE; i++) assert_int_equal(bytes[i], ((const unsigned char *)pattern)[i % size]);
}

static char letters[16];
static void add_a(void *context) { strcat(context, "a"); }
static void add_b(void *context) { strcat(context, "b"); }

/* Fills `memory` with the pattern, copies it to `other`, and writes a letter. */
static tarn_graph_instance *capture_three(const void *pattern, size_t size) {
    tarn_graph *graph = NULL;
    tarn_graph_instance *instance = NULL;
    assert_ok(tarn_stream_begin_capture(stream, TARN_CAPTURE_GLOBAL));
    assert_ok(tarn_stream_fill(stream, memory, pattern, size, SIZE));
    assert_ok(tarn_stream_copy(stream, other, memory, SIZE));
    assert_ok(tarn_stream_enqueue(stream, add_a, letters));
    assert_ok(tarn_stream_end_capture(stream, &graph));
    assert_ok(tarn_graph_instantiate(graph, &instance));
    assert_ok(tarn_graph_release(graph));
    letters[0] = '\0';
    return instance;
}

static void a_graph_does_what_was_captured_at_each_launch(void **state) {
    (void)state;
    begin();
    const unsigned char pattern[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    for (size_t size = 1; size <= 8; size *= 2) {
        tarn_graph_instance *instance = capture_three(pattern, size);
        for (int launch = 1; launch <= 2; launch++) {
            assert_ok(tarn_stream_fill(stream, other, "", 1, SIZE));
            assert_ok(tarn_graph_instance_launch(instance, stream));
            read_all(other);
            expect_bytes(pattern, size);
            assert_int_equal(strlen(letters), launch);
        }
        assert_ok(tarn_graph_instance_release(instance));
    }
    end();
}

static void work_that_was_forked_and_joined_keeps_its_order(void **state) {
    (void)state;
    begin();
    tarn_stream *second;
    tarn_event *fork = NULL, *join = NULL;
    tarn_graph *graph = NULL;
    tarn_graph_instance *instance = NULL;
    assert_ok(tarn_stream_create(device, &second));
    assert_ok(tarn_stream_begin_capture(stream, TARN_CAPTURE_GLOBAL));
    assert_ok(tarn_stream_fill(stream, memory, "1", 1, SIZE));
    assert_ok(tarn_stream_record(stream, &fork));
    assert_ok(tarn_stream_wait(second, fork));
    assert_ok(tarn_stream_copy(second, other, memory, SIZE / 2));
    assert_ok(tarn_stream_copy(stream, other + SIZE / 2, memory, SIZE / 2));
    assert_ok(tarn_stream_record(second, &join));
    assert_ok(tarn_stream_wait(stream, join));
    assert_ok(tarn_stream_fill(stream, memory, "2", 1, SIZE));
    assert_ok(tarn_stream_end_capture(stream, &graph));
    assert_ok(tarn_graph_instantiate(graph, &instance));
    for (int launch = 0; launch < 3; launch++) {
        assert_ok(tarn_graph_instance_launch(instance, stream));
        read_all(other);
        expect_bytes("1", 1);
        read_all(memory);
        expect_bytes("2", 1);
    }
    assert_ok(tarn_graph_instance_release(instance));
    assert_ok(tarn_graph_release(graph));
    assert_ok(tarn_event_release(fork));
    assert_ok(tarn_event_release(join));
    assert_ok(tarn_stream_release(second));
    end();
}

/* In place where the driver does that, else by making the graph anew: nobody can tell. */
static void a_changed_node_does_something_else_from_the_next_launch_on(void **state) {
    (void)state;
    begin();
    const unsigned char pattern[8] = {8, 7, 6, 5, 4, 3, 2, 1}, equal[8] = {1, 2, 3, 4, 1, 2, 3, 4};
    tarn_graph_instance *instance = capture_three("x", 1);
    const struct {
        const void *pattern;
        size_t size;
    } fills[] = {{pattern, 8}, {"ab", 2}, {equal, 8}, {pattern, 8}, {equal, 4}, {"z", 1}};
    for (size_t i = 0; i < sizeof fills / sizeof fills[0]; i++) {
        assert_ok(tarn_graph_instance_set_fill(instance, 0, memory, fills[i].pattern, fills[i].size, SIZE));
        assert_ok(tarn_graph_instance_launch(instance, stream));
        read_all(other);
        expect_bytes(fills[i].pattern, fills[i].size);
    }
    /* Nothing, and something again. */
    assert_ok(tarn_graph_instance_set_copy(instance, 1, other, memory, 0));
    assert_ok(tarn_graph_instance_set_fill(instance, 0, memory, "y", 1, SIZE));
    assert_ok(tarn_graph_instance_launch(instance, stream));
    read_all(other);
    expect_bytes("z", 1);
    assert_ok(tarn_graph_instance_set_copy(instance, 1, other, memory, SIZE));
    letters[0] = '\0';
    assert_ok(tarn_graph_instance_set_host_function(instance, 2, add_b, letters));
    assert_ok(tarn_graph_instance_launch(instance, stream));
    read_all(other);
    expect_bytes("y", 1);
    assert_string_equal(letters, "b");
    assert_ok(tarn_graph_instance_release(instance));
    end();
}

/* The driver takes no rows of more bytes than its largest pitch, 2 GiB on today's devices: here one that a test can copy. */
static void a_copy_of_more_bytes_than_a_row_has_is_several(void **state) {
    (void)state;
    begin();
    const unsigned char numbers[256] = "0123456789 abcdefghijklmnopqrstuvwxyz";
    tarn_backend_device *handle = device->handle;
    const int pitch = handle->maximum_pitch;
    const size_t sizes[] = {SIZE, 1002, 1001, 1000}, nodes[] = {2, 1, 2, 1};
    const fake_cuda *fake = fake_cuda_find();
    tarn_graph_instance *instance = capture_three("x", 1);
    handle->maximum_pitch = 1000;
    for (size_t i = 0; i < SIZE; i++) bytes[i] = (unsigned char)(numbers[i % 37] + i / 37);
    gpu_write(device, memory, bytes, SIZE);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned char expected[SIZE];
        memset(expected, 0xee, SIZE);
        memcpy(expected, bytes, sizes[i]);
        assert_ok(tarn_stream_fill(stream, other, "\xee", 1, SIZE));
        assert_ok(tarn_graph_instance_set_fill(instance, 0, memory, "", 1, 0));
        unsigned long long before = fake != NULL ? fake->calls("cuGraphAddMemcpyNode") : 0;
        assert_ok(tarn_graph_instance_set_copy(instance, 1, other, memory, sizes[i]));
        if (fake != NULL) assert_int_equal(fake->calls("cuGraphAddMemcpyNode") - before, nodes[i]);
        assert_ok(tarn_graph_instance_launch(instance, stream));
        unsigned char found[SIZE];
        assert_ok(tarn_stream_synchronize(stream));
        gpu_read(device, found, other, SIZE);
        assert_memory_equal(found, expected, SIZE);
    }
    handle->maximum_pitch = pitch;
    assert_ok(tarn_graph_instance_release(instance));
    end();
}

/* 44: a driver that has no memory for a graph. */
static void a_graph_that_cannot_be_made_leaves_everything_as_it_was(void **state) {
    (void)state;
    const fake_cuda *fake = gpu_fake();
    begin();
    const char *const faults[] = {
        "cuGraphCreate:1:CUDA_ERROR_OUT_OF_MEMORY", "cuGraphAddMemsetNode:1:CUDA_ERROR_OUT_OF_MEMORY",
        "cuGraphAddMemcpyNode:1:CUDA_ERROR_OUT_OF_MEMORY", "cuGraphAddHostNode:1:CUDA_ERROR_OUT_OF_MEMORY",
        "cuGraphInstantiateWithFlags:1:CUDA_ERROR_OUT_OF_MEMORY"};
    tarn_graph *graph = NULL;
    assert_ok(tarn_stream_begin_capture(stream, TARN_CAPTURE_GLOBAL));
    assert_ok(tarn_stream_fill(stream, memory, "m", 1, SIZE));
    assert_ok(tarn_stream_copy(stream, other, memory, SIZE));
    assert_ok(tarn_stream_enqueue(stream, add_a, letters));
    assert_ok(tarn_stream_end_capture(stream, &graph));
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        tarn_graph_instance *instance = NULL;
        assert_int_equal(fake->fault(faults[i]), 0);
        assert_fails(tarn_graph_instantiate(graph, &instance), TARN_OUT_OF_MEMORY);
        assert_null(instance);
        assert_sentence("CUDA_ERROR_OUT_OF_MEMORY");
        assert_int_equal(fake->faults_done(), 1);
        assert_int_equal(fake->fault(NULL), 0);
        assert_ok(tarn_graph_instantiate(graph, &instance));
        assert_ok(tarn_graph_instance_launch(instance, stream));
        /* A change that cannot be made changes nothing. */
        assert_int_equal(
            fake->fault(
                "cuGraphExecMemsetNodeSetParams:1:CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE,cuGraphInstantiateWithFlags:1:CUDA_ERROR_OUT_OF_MEMORY"),
            0);
        assert_fails(tarn_graph_instance_set_fill(instance, 0, memory, "n", 1, SIZE), TARN_OUT_OF_MEMORY);
        assert_int_equal(fake->fault(NULL), 0);
        assert_ok(tarn_graph_instance_launch(instance, stream));
        read_all(other);
        expect_bytes("m", 1);
        assert_ok(tarn_graph_instance_release(instance));
    }
    assert_ok(tarn_graph_release(graph));
    end();
}

/* 44: a driver that has no memory for what is asked in a capture, which goes on. */
static void out_of_memory_in_a_capture_is_told_and_the_capture_goes_on(void **state) {
    (void)state;
    const fake_cuda *fake = gpu_fake();
    begin();
    tarn_allocator *allocator = NULL;
    tarn_buffer *first = NULL, *second = NULL;
    tarn_graph *graph = NULL;
    tarn_graph_instance *instance = NULL;
    const uint64_t before = counters_of(device).memory_in_use;
    assert_ok(tarn_allocator_create(device, "graph", &allocator));
    assert_ok(tarn_stream_begin_capture(stream, TARN_CAPTURE_GLOBAL));
    assert_int_equal(fake->fault("cuMemCreate:1:CUDA_ERROR_OUT_OF_MEMORY:for-good,"
                                 "cuMemAlloc_v2:1:CUDA_ERROR_OUT_OF_MEMORY:for-good"),
                     0);
    assert_fails(tarn_allocator_allocate(allocator, SIZE, stream, &first), TARN_OUT_OF_MEMORY);
    assert_sentence("CUDA_ERROR_OUT_OF_MEMORY (2)");
    assert_null(first);
    assert_true(fake->faults_done() > 0);
    assert_int_equal(fake->fault(NULL), 0);
    assert_int_equal(counters_of(device).memory_in_use, before);
    assert_int_equal(tarn_allocator_allocated_size(allocator), 0);
    /* There is memory again. */
    assert_ok(tarn_allocator_allocate(allocator, SIZE, stream, &second));
    assert_ok(tarn_stream_fill(stream, tarn_buffer_data(second), "s", 1, SIZE));
    assert_ok(tarn_stream_copy(stream, other, tarn_buffer_data(second), SIZE));
    assert_ok(tarn_stream_end_capture(stream, &graph));
    assert_ok(tarn_graph_instantiate(graph, &instance));
    assert_ok(tarn_graph_release(graph));
    assert_ok(tarn_graph_instance_launch(instance, stream));
    read_all(other);
    expect_bytes("s", 1);
    assert_ok(tarn_graph_instance_release(instance));
    assert_ok(tarn_allocator_free(allocator, second, stream));
    assert_ok(tarn_allocator_release(allocator));
    assert_int_equal(counters_of(device).memory_in_use, before);
    end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_graph_does_what_was_captured_at_each_launch),
        cmocka_unit_test(work_that_was_forked_and_joined_keeps_its_order),
        cmocka_unit_test(a_changed_node_does_something_else_from_the_next_launch_on),
        cmocka_unit_test(a_copy_of_more_bytes_than_a_row_has_is_several),
        cmocka_unit_test(a_graph_that_cannot_be_made_leaves_everything_as_it_was),
        cmocka_unit_test(out_of_memory_in_a_capture_is_told_and_the_capture_goes_on),
    };
    return cmocka_run_group_tests_name("CUDA graphs", tests, NULL, NULL);
}
