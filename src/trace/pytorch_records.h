/* From the containers of a snapshot's pickle to records, for pytorch.c. */
#ifndef TRACE_PYTORCH_RECORDS_H
#define TRACE_PYTORCH_RECORDS_H

#include "pickle.h"
#include "pytorch_fields.h"
#include "pytorch_history.h"

/* What a dict is, and what a list is a list of. `is.range` of a dict begins with the record's number (of a frame, its piece of
 * text); of a list it is the range of its records (of a list of frames, the string for the call site). */
typedef enum pytorch_kind {
    KIND_NONE, /* nothing known, or not yet */
    KIND_FRAME,
    KIND_TAG_FRAME, /* of a dict: a frame that stands for a tag */
    KIND_ENTRY,
    KIND_TRACE, /* of a list: lists of entries, one for each device */
    KIND_BLOCK,
    KIND_SEGMENT,
    KIND_ANNOTATION,
    KIND_REQUEST,  /* an item of an old block's history; `is` is the requested size */
    KIND_SETTINGS, /* a dict of anything else; the range is two pieces of text */
    KIND_SNAPSHOT
} pytorch_kind;

typedef struct pytorch_segment {
    uint64_t size;
    uint32_t first_block, block_count;
    uint16_t device;
} pytorch_segment;

/* The fields of the outermost dict. */
typedef struct pytorch_parts {
    pickle_value segments, traces, annotations, settings, peak;
} pytorch_parts;

typedef struct pytorch_counts {
    uint64_t entries, blocks, segments, annotations;
} pytorch_counts;

typedef struct pytorch_reader {
    const char *path;
    bool keeps; /* the second pass */
    trace_builder *builder;
    trace_builder pieces; /* its strings are the parts of longer texts */
    size_t most_text;     /* bytes that all of these may come to */
    trace_history *history;
    pytorch_segment *segments;
    history_entry *annotations;
    pytorch_counts count;
    pytorch_name_cache names;
    uint32_t snapshots;  /* dicts that look like a whole snapshot */
    pytorch_parts parts; /* of the last of them */
    char complaint[256]; /* why the first record that is none is none; "" */
} pytorch_reader;

/* The sink's function; its context is the reader. OUT_OF_MEMORY. */
tarn_status pytorch_fill(void *context, pickle_value *container, const pickle_value *items, size_t count);

#endif
