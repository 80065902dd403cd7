/* A reader of Python pickles that hold data and nothing else.
 *
 * A pickle is a program for a stack machine; most of its instructions build data, some call any function by name.
 * This reader knows the first kind only, of protocols 2 to 5, and refuses the rest, so that nothing in a file can
 * run. There is no recursion, and every declared length is checked against what the file still has.
 *
 * Texts point into the file. Containers are chains of chunks in an arena, one for each batch that the pickle
 * appends, so that nothing is copied when they grow. An object that the pickle names twice is one object here too:
 * its `note` lets a caller keep what it made of it the first time. */
#ifndef TRACE_PICKLE_H
#define TRACE_PICKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "trace_internal.h"

typedef enum pickle_type {
    PICKLE_NONE,
    PICKLE_BOOLEAN,
    PICKLE_INTEGER,  /* fits int64_t */
    PICKLE_UNSIGNED, /* above INT64_MAX, fits uint64_t */
    PICKLE_HUGE,     /* an integer of more than 64 bits: its value is not kept */
    PICKLE_FLOAT,
    PICKLE_TEXT,  /* str, UTF-8 */
    PICKLE_BYTES, /* bytes and bytearray */
    PICKLE_LIST,  /* this and the following have an object */
    PICKLE_TUPLE,
    PICKLE_DICT, /* items alternate: key, value */
    PICKLE_SET   /* set and frozenset */
} pickle_type;

typedef struct pickle_object pickle_object;

/* 16 bytes: a snapshot has millions of these. */
typedef struct pickle_value {
    uint8_t type;
    uint32_t length; /* of text and bytes */
    union {
        bool boolean;
        int64_t integer;
        uint64_t unsigned_integer;
        double real;
        const char *text;
        pickle_object *object;
    } is;
} pickle_value;

typedef struct pickle_chunk {
    struct pickle_chunk *next;
    size_t count;
    pickle_value items[];
} pickle_chunk;

struct pickle_object {
    pickle_chunk *first, *last;
    size_t count;   /* of all chunks' items; two for each entry of a dict */
    uint32_t note;  /* for the caller; PICKLE_NO_NOTE at first */
    uint32_t depth; /* of the containers in it: 0 when there are none */
};

#define PICKLE_NO_NOTE UINT32_MAX

typedef struct pickle pickle;

/* Reads the pickle at the start of the input. Caller owns it; it needs the input's data. CORRUPT_DATA with the
 * byte; OUT_OF_MEMORY. */
tarn_status pickle_read(const trace_input *input, pickle **out_pickle);
void pickle_release(pickle *loaded);
/* What the pickle stands for. */
pickle_value pickle_top(const pickle *loaded);

/* Walks over a container's items. */
typedef struct pickle_cursor {
    const pickle_chunk *chunk;
    size_t index;
} pickle_cursor;
static inline pickle_cursor pickle_begin(pickle_value container) {
    return (pickle_cursor){.chunk = container.is.object->first, .index = 0};
}
static inline bool pickle_next(pickle_cursor *cursor, pickle_value *out_item) {
    while (cursor->chunk != NULL && cursor->index == cursor->chunk->count)
        *cursor = (pickle_cursor){.chunk = cursor->chunk->next, .index = 0};
    if (cursor->chunk == NULL) return false;
    *out_item = cursor->chunk->items[cursor->index++];
    return true;
}
/* A dict's next entry. */
static inline bool pickle_next_entry(pickle_cursor *cursor, pickle_value *out_key, pickle_value *out_value) {
    return pickle_next(cursor, out_key) && pickle_next(cursor, out_value);
}

/* Here, so that a name's length is known where it is compared: readers ask this some ten times for each field. */
static inline bool pickle_is_text(pickle_value value, const char *text) {
    size_t length = strlen(text);
    return value.type == PICKLE_TEXT && value.length == length && memcmp(value.is.text, text, length) == 0;
}
/* The last entry of a dict with this key, as in Python. */
bool pickle_find(pickle_value dict, const char *key, pickle_value *out_value);
/* "a list", "a text" …, for sentences. */
const char *pickle_type_name(pickle_value value);

#endif
