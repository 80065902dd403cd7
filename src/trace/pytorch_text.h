/* Texts made of a snapshot's parts: call sites, marks, settings. They are put together from pieces, which lie in a table of
 * strings of their own. */
#ifndef TRACE_PYTORCH_TEXT_H
#define TRACE_PYTORCH_TEXT_H

#include "pytorch_fields.h"
#include "trace_internal.h"

/* Where the layout has no place for what Tarn's own snapshots say. The frame of an allocation without a call site that
 * stands for its tag has this file name; readers that know tags pass it over. */
#define PYTORCH_TAG_FILE "tag"
/* Longer texts are cut. */
enum { PYTORCH_TEXT_LIMIT = 8192 };
/* In the top dict: bytes that the allocator held at most. */
#define PYTORCH_PEAK_FIELD "peak_reserved_bytes"

/* The piece "name (file.py:line)" for a frame. */
tarn_status pytorch_frame(trace_builder *pieces, const pytorch_fields *frame, uint32_t *out_piece);
/* The builder's string "name (file.py:line) < …" for frames, whose `is.range.first` are their pieces. */
tarn_status pytorch_site(const trace_builder *pieces, const pickle_value *frames, size_t count, trace_builder *builder,
                         uint32_t *out_site);
/* "first second"; either may be NULL. */
tarn_status pytorch_joined(trace_builder *builder, const pickle_value *first, const pickle_value *second,
                           uint32_t *out_string);

/* The two forms of a dict of settings, "name=value, name=value" and, for one that is a value itself, "name:value,name:value".
 * Dicts among the values have the kind `settings`, and their inner piece as `is.range.first`. */
tarn_status pytorch_settings(trace_builder *pieces, const pickle_value *items, size_t count, uint8_t settings,
                             uint32_t *out_inner, uint32_t *out_outer);

#endif
