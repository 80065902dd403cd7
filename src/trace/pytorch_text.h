/* Texts made of a snapshot's parts: call sites, marks, settings. */
#ifndef TRACE_PYTORCH_TEXT_H
#define TRACE_PYTORCH_TEXT_H

#include "pickle.h"
#include "trace_internal.h"

/* Where the layout has no place for what Tarn's own snapshots say. The frame of an allocation without a call site that
 * stands for its tag has this file name; readers that know tags pass it over. */
#define PYTORCH_TAG_FILE "tag"
/* In the top dict: bytes that the allocator held at most. */
#define PYTORCH_PEAK_FIELD "peak_reserved_bytes"

/* The string for a list of frames, "name (file.py:line) < …"; untouched where there are none. The list keeps its
 * string's number, since events of one place share the list. */
tarn_status pytorch_site(const trace_input *input, trace_builder *builder, pickle_value frames, uint32_t *out_site);
/* "first second"; either may be anything. */
tarn_status pytorch_joined(trace_builder *builder, pickle_value first, pickle_value second, uint32_t *out_string);
/* The allocator's settings, "name=value, name=value". */
tarn_status pytorch_settings(trace_builder *builder, pickle_value settings);

#endif
