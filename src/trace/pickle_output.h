/* The writing half of pickles: data of protocol 2, in the few instructions that every reader of snapshots knows.
 *
 * PyTorch's viewer reads pickles with a machine of its own, in which a number of more than eight bytes is of another
 * type, and a long list appended at once overflows its stack. So numbers are as short as Python writes them, and lists
 * go in batches of 1,000, as Python's do. */
#ifndef TRACE_PICKLE_OUTPUT_H
#define TRACE_PICKLE_OUTPUT_H

#include "base/output.h"

void pickle_put_begin(base_output *output);
void pickle_put_end(base_output *output);

void pickle_put_number(base_output *output, uint64_t value);
void pickle_put_boolean(base_output *output, bool value);
/* `length` bytes, at most 4 GiB. */
void pickle_put_text(base_output *output, const char *text, size_t length);
void pickle_put_name(base_output *output, const char *name);
/* The two values put last as a pair. */
void pickle_put_pair(base_output *output);

/* Between the two, keys and values are put by turns. */
void pickle_put_dict(base_output *output);
void pickle_end_dict(base_output *output);
/* A dict's entry: its key and its value. */
void pickle_put_number_field(base_output *output, const char *name, uint64_t value);
void pickle_put_text_field(base_output *output, const char *name, const char *value);

/* A list that is being written. */
typedef struct pickle_list {
    size_t count; /* of values in the batch */
} pickle_list;
void pickle_put_list(base_output *output, pickle_list *list);
/* Called before each value. */
void pickle_put_next(base_output *output, pickle_list *list);
void pickle_end_list(base_output *output, pickle_list *list);

#endif
