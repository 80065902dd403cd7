/* A reader of Python pickles that hold data and nothing else.
 *
 * A pickle is a program for a stack machine; most of its instructions build data, some call any function by name.
 * This reader knows the first kind only, of protocols 2 to 5, and refuses the rest, so that nothing in a file can
 * run. There is no recursion, and every declared length is checked against what the file still has.
 *
 * Nothing that is read is kept: whenever a container gets items, the caller is shown them, and says in a few bytes
 * what has become of the container. So the memory for reading is that of the values that are on the stack, and of
 * the memo, where a pickle remembers what it may name again: six bytes for at least eight of the file. */
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
    PICKLE_LIST,  /* this and the following are containers */
    PICKLE_TUPLE,
    PICKLE_DICT, /* items alternate: key, value */
    PICKLE_SET   /* set and frozenset */
} pickle_type;

typedef struct pickle_value {
    uint8_t type;
    uint8_t kind;    /* of a container: what the caller has made of it, below 16; 0 at first */
    bool is_shared;  /* a container from the memo: it cannot be filled */
    uint32_t length; /* of text and bytes; of a container, its items, at most UINT32_MAX */
    uint32_t memo;   /* of a container: its number in the memo + 1; 0: none */
    union {
        bool boolean;
        int64_t integer;
        uint64_t unsigned_integer; /* also of a container, for the caller */
        double real;
        const char *text; /* in the file */
        struct {
            uint32_t first, count;
        } range; /* of a container, for the caller; from the memo only `first` comes back */
    } is;
} pickle_value;

/* The caller's part. */
typedef struct pickle_sink {
    void *context;
    /* `count` items are about to be put into the container, which has `container->length` already; a dict's alternate
     * between key and value. May change the container's kind and `is`. */
    tarn_status (*fill)(void *context, pickle_value *container, const pickle_value *items, size_t count);
} pickle_sink;

/* Runs the pickle at the start of the input, and tells what it stands for. CORRUPT_DATA with the byte; OUT_OF_MEMORY;
 * what the sink fails with. */
tarn_status pickle_run(const trace_input *input, const pickle_sink *sink, pickle_value *out_top);

/* Here, so that a name's length is known where it is compared: readers ask this some ten times for each field. */
static inline bool pickle_is_text(pickle_value value, const char *text) {
    size_t length = strlen(text);
    return value.type == PICKLE_TEXT && value.length == length && memcmp(value.is.text, text, length) == 0;
}
/* "a list", "a text" …, for sentences. */
const char *pickle_type_name(pickle_value value);

#endif
