/* Output: a file that is there whole or not at all.
 *
 * What is written goes to a temporary file beside the one that is meant, and takes its place at the end. Errors
 * are kept: a writer writes on and asks once, when it closes. */
#ifndef BASE_OUTPUT_H
#define BASE_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <tarn/status.h>

typedef struct base_output {
    const char *path;
    char *target;    /* what the path leads to: links are followed */
    char *temporary; /* NULL: the target is a device or a pipe, and written directly */
    int file;
    int error; /* errno of the first failure, 0 for none */
    uint8_t *buffer;
    size_t used;
} base_output;

/* IO_ERROR: the path is a directory, or a file cannot be created there; OUT_OF_MEMORY. */
tarn_status base_output_open(base_output *output, const char *path);
/* Makes the file what was written, or, where something failed before, leaves the older file as it was: IO_ERROR. */
tarn_status base_output_close(base_output *output);
/* Gives up: the older file stays. */
void base_output_discard(base_output *output);

void base_output_bytes(base_output *output, const void *bytes, size_t length);
void base_output_string(base_output *output, const char *text);
/* A cell of a table, in quotes where it needs them. */
void base_output_cell(base_output *output, const char *text);
/* At most 255 bytes. */
void base_output_format(base_output *output, const char *format, ...) TARN_PRINTF(2, 3);

#endif
