/* What the tests of captures and graphs share: the device `cpu` with two streams, and a capture's way to its launch. */
#ifndef GRAPHS_H
#define GRAPHS_H

#include "check.h"
#include "on_cpu.h"

/* From open_streams to close_streams, which set a group of tests up and take it down, with the device. */
extern tarn_stream *main_stream, *side_stream;
int open_streams(void **state);
int close_streams(void **state);

/* The graph of a capture that ends here; an instance of a graph; both in one, the graph released already. */
tarn_graph *end_of(tarn_stream *captured);
tarn_graph_instance *instance_of(tarn_graph *graph);
tarn_graph_instance *end_and_instantiate(tarn_stream *captured);
void launch_and_wait(tarn_graph_instance *instance, tarn_stream *on);

#endif
