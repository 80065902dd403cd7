/* What a capture says to calls: which are forbidden, and what becomes of work on a stream that captures. */
#ifndef FAKECUDA_CAPTURE_H
#define FAKECUDA_CAPTURE_H

/* Whether a call that may be unsafe is forbidden to this thread now; then the captures that forbid it are invalidated. */
CUresult capture_forbids(const char *name);
/* Whether work may be given to the stream as it is. */
CUresult capture_check_stream(fake_stream *stream);
/* Whether somebody may wait for the stream, or for an event. */
CUresult capture_check_wait(fake_stream *stream);
CUresult capture_check_event(fake_event *event);
/* Takes over the operation as a node of the graph. */
CUresult capture_operation(fake_stream *stream, fake_operation *operation);
CUresult capture_record(fake_stream *stream, fake_event *event, unsigned flags);
CUresult capture_wait(fake_stream *stream, fake_event *event, unsigned flags);
CUresult capture_allocate(fake_stream *stream, CUdeviceptr *pointer, size_t size, fake_pool *pool);
CUresult capture_free(fake_stream *stream, fake_range *range);
/* The stream ends. */
void capture_leave(fake_stream *stream);
/* A free of a graph's memory has run. */
void graph_memory_end(fake_range *memory);
/* Whether a stream of the context captures; then those captures are invalidated. */
bool capture_of_context(const fake_context *context);
void captures_reset(void);

#endif
