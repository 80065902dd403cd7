/* Tables: see table.h. */
#include "table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "tool.h"

void table_add(tool_table *table, const char *format, ...) {
    if (table->count == table->room) {
        size_t room = table->room > 0 ? 2 * table->room : 64;
        char **cells = realloc(table->cells, room * sizeof *cells);
        if (cells == NULL) {
            table->is_short = true;
            return;
        }
        table->cells = cells;
        table->room = room;
    }
    va_list arguments;
    va_start(arguments, format);
    char *cell = NULL;
    if (vasprintf(&cell, format, arguments) < 0) cell = NULL;
    va_end(arguments);
    if (cell == NULL) table->is_short = true;
    table->cells[table->count++] = cell;
}

static const char *cell_text(const tool_table *table, size_t index) {
    return index < table->count && table->cells[index] != NULL ? table->cells[index] : "";
}

/* Characters, not bytes: the continuation bytes of UTF-8 take no room. */
static size_t text_width(const char *text) {
    size_t width = 0;
    for (; *text != '\0'; text++) width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static size_t column_width(const tool_table *table, size_t column) {
    size_t width = 0;
    for (size_t i = column; i < table->count; i += table->columns) {
        size_t cell = text_width(cell_text(table, i));
        if (cell > width) width = cell;
    }
    return width;
}

static void print_spaces(size_t count) {
    while (count-- > 0) putchar(' ');
}

void table_free(tool_table *table) {
    for (size_t i = 0; i < table->count; i++) free(table->cells[i]);
    free(table->cells);
    *table = (tool_table){.columns = table->columns, .left = table->left};
}

void table_print(tool_table *table) {
    size_t rows = table->count / table->columns;
    for (size_t row = 0; row < rows; row++) {
        for (size_t column = 0; column < table->columns; column++) {
            const char *text = cell_text(table, row * table->columns + column);
            size_t padding = column_width(table, column) - text_width(text);
            bool is_left = column == 0 || (table->left >> column & 1u) != 0;
            print_spaces(2);
            if (!is_left) print_spaces(padding);
            tool_print_text(text);
            if (is_left && column + 1 < table->columns) print_spaces(padding);
        }
        putchar('\n');
    }
    if (table->is_short) tool_say("tarn", "the table is incomplete: no host memory left");
    table_free(table);
}
