/* See graphs.h. */
#include "graphs.h"

tarn_stream *main_stream, *side_stream;

int open_streams(void **state) {
    if (open_cpu(state) != 0) return -1;
    return tarn_stream_create(cpu, &main_stream) == TARN_OK && tarn_stream_create(cpu, &side_stream) == TARN_OK ? 0
                                                                                                                : -1;
}

int close_streams(void **state) {
    tarn_stream_release(main_stream);
    tarn_stream_release(side_stream);
    return close_cpu(state);
}

tarn_graph *end_of(tarn_stream *captured) {
    tarn_graph *graph = NULL;
    assert_ok(tarn_stream_end_capture(captured, &graph));
    return graph;
}

tarn_graph_instance *instance_of(tarn_graph *graph) {
    tarn_graph_instance *instance = NULL;
    assert_ok(tarn_graph_instantiate(graph, &instance));
    return instance;
}

tarn_graph_instance *end_and_instantiate(tarn_stream *captured) {
    tarn_graph *graph = end_of(captured);
    tarn_graph_instance *instance = instance_of(graph);
    assert_ok(tarn_graph_release(graph));
    return instance;
}

void launch_and_wait(tarn_graph_instance *instance, tarn_stream *on) {
    assert_ok(tarn_graph_instance_launch(instance, on));
    if (on == NULL) on = tarn_device_default_stream(cpu);
    assert_ok(tarn_stream_synchronize(on));
}
