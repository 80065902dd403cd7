/* Files as the readers of this room open them: regular files alone, whose beginning is looked at before the rest is read.
 *
 * A file is copied, not mapped, so that one which shrinks meanwhile is an error and not a signal. */
#ifndef TRACE_FILE_H
#define TRACE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tarn/status.h>

/* Enough for the header line of any table. */
enum { trace_beginning_size = 4096 };

typedef struct trace_file {
    const char *path;
    int file;
    size_t size; /* as the system gave it when the file was opened */
    uint8_t beginning[trace_beginning_size];
    size_t beginning_size;
} trace_file;

/* Opens the file and reads its beginning. NOT_FOUND; IO_ERROR, also for what is no regular file. */
tarn_status trace_file_open(trace_file *file, const char *path);
void trace_file_close(trace_file *file);
/* Whether the beginning is all there is. */
bool trace_file_is_whole(const trace_file *file);
/* The whole file, once; the caller frees it with base_free. OUT_OF_MEMORY, IO_ERROR. */
tarn_status trace_file_load(trace_file *file, uint8_t **out_data, size_t *out_size);

/* The length of the first line of a file that begins with these bytes; no more than trace_beginning_size. */
size_t trace_first_line(const uint8_t *data, size_t size);
/* Whether a cell of the comma-separated line is this word, in any case and with or without quotes and spaces. */
bool trace_line_has_cell(const char *line, size_t length, const char *word);

#endif
