/* A capture of a stand, in steps; see capture.h. */
#include "capture.h"

static const char *const devices[] = {"cpu", "sim:1GiB", "sim:1GiB,lag=1ms", "fake:1GiB,flat"};
#define DEVICES (sizeof devices / sizeof devices[0])

void on_each_device(const char *spec, void (*body)(test_stand *stand)) {
    for (size_t i = 0; i < DEVICES; i++) {
        test_stand stand;
        stand_open(&stand, spec, devices[i]);
        stand_stream(&stand, 0);
        stand_stream(&stand, 1);
        body(&stand);
        stand_close(&stand);
    }
}

void capture_begin(test_stand *stand) {
    EXPECT_OK(tarn_graph_pool_begin_capture(stand->allocator, stand->streams[0], TARN_CAPTURE_GLOBAL));
}

tarn_graph_instance *capture_end(test_stand *stand) {
    tarn_graph *graph = NULL;
    tarn_graph_instance *instance = NULL;
    EXPECT_OK(tarn_stream_end_capture(stand->streams[0], &graph));
    EXPECT_OK(tarn_graph_instantiate(graph, &instance));
    EXPECT_OK(tarn_graph_release(graph));
    return instance;
}

void capture_finish(test_stand *stand, tarn_graph_instance *instance) {
    EXPECT_OK(tarn_graph_instance_release(instance));
    EXPECT_OK(tarn_device_synchronize(stand->device));
}

tarn_graph_pool_info graph_info_of(tarn_allocator *pool) {
    tarn_graph_pool_info info = {.struct_size = sizeof info};
    EXPECT_OK(tarn_graph_pool_info_get(pool, &info));
    return info;
}

void capture_fill(tarn_stream *stream, tarn_buffer *buffer, unsigned char byte) {
    EXPECT_OK(tarn_stream_fill(stream, tarn_buffer_data(buffer), &byte, 1, tarn_buffer_size(buffer)));
}
