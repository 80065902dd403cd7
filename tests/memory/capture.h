/* What the tests of graph pools share: a stand on each device, and a capture from its beginning to its end. */
#ifndef TESTS_MEMORY_CAPTURE_H
#define TESTS_MEMORY_CAPTURE_H

#include "stand.h"

/* Runs the body on a fresh stand with two streams for each device that captures are tested on. */
void on_each_device(const char *spec, void (*body)(test_stand *stand));

/* A capture of the stand's first stream with its pool; the instance of what was captured; its release, after which it is seen
 * taken down. */
void capture_begin(test_stand *stand);
tarn_graph_instance *capture_end(test_stand *stand);
void capture_finish(test_stand *stand, tarn_graph_instance *instance);

/* Enqueues that the buffer is filled. */
void capture_fill(tarn_stream *stream, tarn_buffer *buffer, unsigned char byte);

tarn_graph_pool_info graph_info_of(tarn_allocator *pool);

#endif
