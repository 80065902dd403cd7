/* Tables for people: cells are gathered first and printed in columns as wide as their widest cell. */
#ifndef TABLE_H
#define TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include <tarn/export.h>

/* All zero, with `columns` set, is an empty table. The first column is set left, the others right, unless `left` says
 * otherwise (one bit for each column). */
typedef struct tool_table {
    size_t columns;
    unsigned left;
    char **cells;
    size_t count, room;
    bool is_short; /* a cell was lost for want of memory */
} tool_table;

/* Adds the next cell, row by row. */
void table_add(tool_table *table, const char *format, ...) TARN_PRINTF(2, 3);
/* Prints it to stdout, each column two spaces after the last, and frees it. Column widths are found anew for each row: tables
 * are short. */
void table_print(tool_table *table);
/* Drops the cells unprinted. */
void table_free(tool_table *table);

#endif
