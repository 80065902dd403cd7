/* Copies of boxes by the driver: which of its commands they become, where it has none, and in graphs. That bytes arrive is tests/hal/test_box.c's,
 * which runs here too. And fills of eight bytes, which are boxes of the driver's as well. */
#include "gpu.h"

#include <stdio.h>
#include <string.h>

#define SIZE ((size_t)65536)
#define GIB ((size_t)1 << 30)

static tarn_device *device;
static tarn_stream *stream;
static const fake_cuda *fake;
static char *one, *two;
static char bytes[SIZE];

static void begin(void) {
    device = gpu_open();
    fake = gpu_fake();
    assert_ok(tarn_stream_create(device, &stream));
    one = gpu_allocate(device, TARN_MEMORY_DEVICE, SIZE);
    two = gpu_allocate(device, TARN_MEMORY_DEVICE, SIZE);
    for (size_t i = 0; i < SIZE; i++) bytes[i] = (char)(i * 3 + i / 256);
    gpu_write(device, two, bytes, SIZE);
    assert_ok(tarn_stream_fill(stream, one, "", 1, SIZE));
    assert_ok(tarn_stream_synchronize(stream));
}

static void end(void) {
    assert_ok(tarn_stream_release(stream));
    gpu_free(device, TARN_MEMORY_DEVICE, one, SIZE);
    gpu_free(device, TARN_MEMORY_DEVICE, two, SIZE);
    gpu_close(device);
}

/* Regular for the driver; and with slices that are no whole number of row pitches. */
static const tarn_box regular = {.struct_size = sizeof regular,
                                 .width = 20,
                                 .height = 5,
                                 .depth = 3,
                                 .destination_row_pitch = 32,
                                 .destination_slice_pitch = 192,
                                 .source_row_pitch = 24,
                                 .source_slice_pitch = 120};
static const tarn_box irregular = {.struct_size = sizeof irregular,
                                   .width = 20,
                                   .height = 5,
                                   .depth = 3,
                                   .destination_row_pitch = 32,
                                   .destination_slice_pitch = 201,
                                   .source_row_pitch = 24,
                                   .source_slice_pitch = 120};

/* `one` has the box of `two` and nothing else; then it is cleared. */
static void expect_box(const tarn_box *box) {
    static char expected[SIZE], found[SIZE];
    memset(expected, 0, SIZE);
    for (size_t z = 0; z < box->depth; z++)
        for (size_t y = 0; y < box->height; y++)
            memcpy(expected + z * box->destination_slice_pitch + y * box->destination_row_pitch,
                   bytes + z * box->source_slice_pitch + y * box->source_row_pitch, box->width);
    assert_ok(tarn_stream_synchronize(stream));
    gpu_read(device, found, one, SIZE);
    assert_memory_equal(found, expected, SIZE);
    assert_ok(tarn_stream_fill(stream, one, "", 1, SIZE));
    assert_ok(tarn_stream_synchronize(stream));
}

static void a_box_is_one_command_or_one_for_each_slice(void **state) {
    (void)state;
    begin();
    unsigned long long before = fake->calls("cuMemcpy3DAsync_v2");
    assert_ok(tarn_stream_copy_box(stream, one, two, &regular));
    assert_int_equal(fake->calls("cuMemcpy3DAsync_v2") - before, 1);
    expect_box(&regular);
    assert_ok(tarn_stream_copy_box(stream, one, two, &irregular));
    assert_int_equal(fake->calls("cuMemcpy3DAsync_v2") - before, 4);
    expect_box(&irregular);
    end();
}

/* The fake's limit is that of drivers, 2^31 - 1 bytes. */
static void rows_further_apart_than_the_driver_s_limit_go_one_by_one(void **state) {
    (void)state;
    begin();
    const tarn_box far = {.struct_size = sizeof far,
                          .width = 64,
                          .height = 2,
                          .depth = 1,
                          .destination_row_pitch = 100,
                          .source_row_pitch = 2 * GIB};
    tarn_box far_destination = far;
    char *wide = gpu_allocate(device, TARN_MEMORY_DEVICE, 2 * GIB + 100);
    gpu_write(device, wide, bytes, 100);
    gpu_write(device, wide + 2 * GIB, bytes + 100, 100);
    unsigned long long before = fake->calls("cuMemcpy3DAsync_v2");
    assert_ok(tarn_stream_copy_box(stream, one, wide, &far));
    assert_int_equal(fake->calls("cuMemcpy3DAsync_v2"), before);
    char found[200];
    assert_ok(tarn_stream_synchronize(stream));
    gpu_read(device, found, one, sizeof found);
    assert_memory_equal(found, bytes, 64);
    assert_memory_equal(found + 100, bytes + 100, 64);
    far_destination.destination_row_pitch = 2 * GIB;
    far_destination.source_row_pitch = 100;
    assert_ok(tarn_stream_copy_box(stream, wide, two + 1000, &far_destination));
    assert_ok(tarn_stream_synchronize(stream));
    gpu_read(device, found, wide + 2 * GIB, 64);
    assert_memory_equal(found, bytes + 1100, 64);
    gpu_free(device, TARN_MEMORY_DEVICE, wide, 2 * GIB + 100);
    end();
}

static void pitches_that_the_driver_refuses_go_row_by_row(void **state) {
    (void)state;
    begin();
    unsigned long long boxes = fake->calls("cuMemcpy3DAsync_v2"), rows = fake->calls("cuMemcpyAsync");
    assert_int_equal(fake->fault("cuMemcpy3DAsync_v2:1:CUDA_ERROR_INVALID_VALUE"), 0);
    assert_ok(tarn_stream_copy_box(stream, one, two, &irregular));
    assert_int_equal(fake->faults_done(), 1);
    assert_int_equal(fake->calls("cuMemcpy3DAsync_v2") - boxes, 1);
    assert_int_equal(fake->calls("cuMemcpyAsync") - rows, 15);
    expect_box(&irregular);
    /* Other failures are failures, and so is a refusal after something was enqueued. */
    assert_int_equal(fake->fault("cuMemcpy3DAsync_v2:1:CUDA_ERROR_OUT_OF_MEMORY"), 0);
    rows = fake->calls("cuMemcpyAsync");
    assert_fails(tarn_stream_copy_box(stream, one, two, &irregular), TARN_OUT_OF_MEMORY);
    assert_int_equal(fake->calls("cuMemcpyAsync"), rows);
    expect_box(&(tarn_box){.width = 0});
    assert_int_equal(fake->fault("cuMemcpy3DAsync_v2:2:CUDA_ERROR_INVALID_VALUE"), 0);
    assert_fails(tarn_stream_copy_box(stream, one, two, &irregular), TARN_INVALID_ARGUMENT);
    assert_int_equal(fake->fault(NULL), 0);
    assert_ok(tarn_stream_copy_box(stream, one, two, &irregular));
    expect_box(&irregular);
    end();
}

static tarn_graph_instance *capture(const tarn_box *box, tarn_status expected) {
    tarn_graph *graph = NULL;
    tarn_graph_instance *instance = NULL;
    assert_ok(tarn_stream_begin_capture(stream, TARN_CAPTURE_GLOBAL));
    assert_ok(tarn_stream_copy_box(stream, one, two, box));
    assert_ok(tarn_stream_end_capture(stream, &graph));
    assert_int_equal(tarn_graph_node_count(graph), 1);
    assert_fails(tarn_graph_instantiate(graph, &instance), expected);
    assert_ok(tarn_graph_release(graph));
    return instance;
}

static void boxes_are_nodes_of_the_driver_s_graphs(void **state) {
    (void)state;
    begin();
    static const struct {
        const tarn_box *box;
        const char *fault;
        unsigned nodes;
    } cases[] = {
        {&regular, NULL, 1},
        {&irregular, NULL, 3},
        {&regular, "cuGraphAddMemcpyNode:1:CUDA_ERROR_INVALID_VALUE", 16},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(fake->fault(cases[i].fault), 0);
        unsigned long long before = fake->calls("cuGraphAddMemcpyNode");
        tarn_graph_instance *instance = capture(cases[i].box, TARN_OK);
        assert_int_equal(fake->calls("cuGraphAddMemcpyNode") - before, cases[i].nodes);
        for (int launch = 0; launch < 2; launch++) {
            assert_ok(tarn_graph_instance_launch(instance, stream));
            expect_box(cases[i].box);
        }
        /* Another one in its place: the driver changes no box in place, so the graph is made anew. */
        const tarn_box *other = cases[i].box == &regular ? &irregular : &regular;
        assert_ok(tarn_graph_instance_set_copy_box(instance, 0, one, two, other));
        assert_ok(tarn_graph_instance_launch(instance, stream));
        expect_box(other);
        assert_ok(tarn_graph_instance_release(instance));
    }
    /* Each node that is refused, of the slices and, after a refusal, of the rows. */
    for (int n = 1; n <= 16; n++) {
        char fault[128];
        snprintf(fault, sizeof fault, "cuGraphAddMemcpyNode:%d:CUDA_ERROR_OUT_OF_MEMORY%s", n,
                 n > 3 ? ",cuGraphAddMemcpyNode:1:CUDA_ERROR_INVALID_VALUE" : "");
        assert_int_equal(fake->fault(fault), 0);
        assert_null(capture(&irregular, TARN_OUT_OF_MEMORY));
    }
    assert_int_equal(fake->fault(NULL), 0);
    end();
}

static void boxes_go_between_devices_by_the_driver(void **state) {
    (void)state;
    begin();
    tarn_device *other = NULL;
    assert_ok(tarn_device_open("cuda:1", &other));
    char *theirs = gpu_allocate(other, TARN_MEMORY_DEVICE, SIZE);
    gpu_write(other, theirs, bytes, SIZE);
    unsigned long long boxes = fake->calls("cuMemcpy3DPeerAsync"), rows = fake->calls("cuMemcpyPeerAsync");
    assert_ok(tarn_copy_box(stream, device, one, other, theirs, &regular));
    assert_int_equal(fake->calls("cuMemcpy3DPeerAsync") - boxes, 1);
    expect_box(&regular);
    assert_ok(tarn_copy_box(stream, device, one, other, theirs, &irregular));
    assert_int_equal(fake->calls("cuMemcpy3DPeerAsync") - boxes, 4);
    expect_box(&irregular);
    assert_int_equal(fake->fault("cuMemcpy3DPeerAsync:1:CUDA_ERROR_INVALID_VALUE"), 0);
    assert_ok(tarn_copy_box(stream, device, one, other, theirs, &regular));
    assert_int_equal(fake->calls("cuMemcpyPeerAsync") - rows, 15);
    expect_box(&regular);
    assert_int_equal(fake->fault(NULL), 0);
    gpu_free(other, TARN_MEMORY_DEVICE, theirs, SIZE);
    assert_ok(tarn_device_release(other));
    end();
}

/* Two columns of four bytes each, of a million rows, more than a grid of blocks has in its second dimension. */
static void patterns_with_unequal_halves_fill_any_size(void **state) {
    (void)state;
    begin();
    const size_t size = 8 * MIB;
    const unsigned char pattern[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    unsigned char found[24], *memory = gpu_allocate(device, TARN_MEMORY_DEVICE, size + 16);
    assert_ok(tarn_stream_fill(stream, memory, "", 1, size + 16));
    assert_ok(tarn_stream_fill(stream, memory + 8, pattern, 8, size));
    assert_ok(tarn_stream_synchronize(stream));
    const size_t places[] = {8, size / 2, size - 8};
    for (size_t i = 0; i < 3; i++) {
        gpu_read(device, found, memory + places[i], sizeof found);
        assert_memory_equal(found, pattern, 8);
        assert_memory_equal(found + 8, pattern, 8);
    }
    gpu_read(device, found, memory, 8);
    for (int i = 0; i < 8; i++) assert_int_equal(found[i], 0);
    gpu_read(device, found, memory + size + 8, 8);
    for (int i = 0; i < 8; i++) assert_int_equal(found[i], 0);
    gpu_free(device, TARN_MEMORY_DEVICE, memory, size + 16);
    end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_box_is_one_command_or_one_for_each_slice),
        cmocka_unit_test(rows_further_apart_than_the_driver_s_limit_go_one_by_one),
        cmocka_unit_test(pitches_that_the_driver_refuses_go_row_by_row),
        cmocka_unit_test(boxes_are_nodes_of_the_driver_s_graphs),
        cmocka_unit_test(boxes_go_between_devices_by_the_driver),
        cmocka_unit_test(patterns_with_unequal_halves_fill_any_size),
    };
    return cmocka_run_group_tests_name("boxes on the CUDA backend", tests, NULL, NULL);
}
