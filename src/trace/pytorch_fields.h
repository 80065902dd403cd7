/* The fields of the dicts in a PyTorch snapshot, found by name wherever they stand. */
#ifndef TRACE_PYTORCH_FIELDS_H
#define TRACE_PYTORCH_FIELDS_H

#include "pickle.h"

typedef enum pytorch_field {
    FIELD_ACTION,
    FIELD_ADDR,
    FIELD_ADDRESS,
    FIELD_ALLOCATOR_SETTINGS,
    FIELD_BLOCKS,
    FIELD_COMPILE_CONTEXT,
    FIELD_DEVICE,
    FIELD_DEVICE_TRACES,
    FIELD_EXTERNAL_ANNOTATIONS,
    FIELD_FILENAME,
    FIELD_FRAMES,
    FIELD_HISTORY,
    FIELD_LINE,
    FIELD_NAME,
    FIELD_PEAK_RESERVED, /* in what Tarn writes */
    FIELD_REAL_SIZE,
    FIELD_REQUESTED_SIZE,
    FIELD_SEGMENTS,
    FIELD_SIZE,
    FIELD_STAGE,
    FIELD_STATE,
    FIELD_STREAM,
    FIELD_TIME_US,
    FIELD_TOTAL_SIZE,
    FIELD_USER_METADATA,
    FIELD_COUNT
} pytorch_field;

/* A dict's known fields; NULL where it has none of that name. */
typedef struct pytorch_fields {
    const pickle_value *of[FIELD_COUNT];
} pytorch_fields;

/* Names that were seen before, by their place in the file: a pickler writes each once and then refers to it. All zero at
 * first; for one file. */
enum { pytorch_names = 64 };
typedef struct pytorch_name_cache {
    struct {
        const char *text;
        uint32_t length;
        uint8_t field;
    } names[pytorch_names];
} pytorch_name_cache;

/* Of a name that stands twice the last value counts, as in Python. */
void pytorch_find_fields(pytorch_name_cache *cache, const pickle_value *items, size_t count,
                         pytorch_fields *out_fields);

#endif
