/* Rows of comma-separated text, as the readers of RMM's logs and of Tarn's own tables see them.
 *
 * A row is at most 64 KiB, whatever the file holds, and a NUL in it is an error: both would otherwise be ways to
 * make a reader eat memory or to hide a part of a line. Quotes work as in RFC 4180. */
#ifndef TRACE_TABLE_H
#define TRACE_TABLE_H

#include "trace_internal.h"

enum { trace_table_cell_limit = 32, trace_table_row_limit = 65536 };

/* Which file is read, where, and the row read last. */
typedef struct trace_table {
    const trace_input *input;
    size_t at;               /* the next byte */
    unsigned long long line; /* where the row begins, from 1 */
    unsigned long long next_line;
    char *text; /* the row's cells, each ended by a NUL */
    const char *cells[trace_table_cell_limit];
    size_t lengths[trace_table_cell_limit];
    size_t cell_count;
} trace_table;

/* Starts at the beginning of the input. OUT_OF_MEMORY. */
tarn_status trace_table_open(trace_table *table, const trace_input *input);
void trace_table_close(trace_table *table);
/* Reads the next row that is not empty; `out_more` is false at the end of the file. CORRUPT_DATA with the line. */
tarn_status trace_table_next(trace_table *table, bool *out_more);
/* Fails with CORRUPT_DATA and the row's line before the sentence. */
tarn_status trace_table_fail(const trace_table *table, const char *format, ...) TARN_PRINTF(2, 3);

/* Finds the named columns in the row just read, the header; -1 for an optional one that is missing. The first
 * `required` must be there. */
tarn_status trace_table_columns(const trace_table *table, const char *const *names, size_t count, size_t required,
                                int *out_columns);
/* The cell of a column, "" where the column or the cell is missing. */
const char *trace_table_cell(const trace_table *table, int column);

/* A number of 64 bits in base 10 or 16 (then with or without 0x; "(nil)" is 0 too). False: it is none. */
bool trace_parse_number(const char *text, int base, uint64_t *out_number);
/* The same for a cell; CORRUPT_DATA names the column. An optional column that is missing gives 0. */
tarn_status trace_table_number(const trace_table *table, int column, const char *name, int base, uint64_t *out_number);

#endif
