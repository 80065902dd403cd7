/* The table of trace_table.h: one pass over the bytes of a row, unquoting cells into a buffer as it goes. A row without a quote, as nearly all
 * are, is copied whole and cut at its commas. */
#include "trace_table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "base/status.h"

tarn_status trace_table_open(trace_table *table, const trace_input *input) {
    *table = (trace_table){.input = input, .line = 1, .next_line = 1};
    /* Each cell adds a NUL where the row has a comma, the last one more. */
    table->text = base_allocate(trace_table_row_limit + 1, 1);
    if (table->text == NULL) return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory for its rows", input->path);
    if (input->size >= 3 && memcmp(input->data, "\xef\xbb\xbf", 3) == 0) table->at = 3;
    return TARN_OK;
}

void trace_table_close(trace_table *table) {
    base_free(table->text);
    table->text = NULL;
}

tarn_status trace_table_fail(const trace_table *table, const char *format, ...) {
    char what[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    return base_fail(TARN_CORRUPT_DATA, "%s: line %llu: %s", table->input->path, table->line, what);
}

/* One row, of at least one byte. */
static tarn_status read_row(trace_table *table) {
    const uint8_t *data = table->input->data;
    size_t begin = table->at, end = table->input->size, used = 0;
    bool quoted = false;
    table->line = table->next_line;
    table->cell_count = 0;
    const char *cell = table->text;
    for (;; table->at++) {
        bool at_end = table->at == end;
        uint8_t byte = at_end ? (uint8_t)'\n' : data[table->at];
        if (table->at - begin >= trace_table_row_limit)
            return trace_table_fail(table, "longer than %d bytes", trace_table_row_limit);
        if (byte == '\0') return trace_table_fail(table, "a NUL byte (byte %zu of the file)", table->at);
        if (at_end && quoted) return trace_table_fail(table, "a quoted cell does not end");
        if (byte == '\n' && !at_end) table->next_line++;
        if (quoted) {
            if (byte != '"') table->text[used++] = (char)byte;
            else if (table->at + 1 < end && data[table->at + 1] == '"') table->text[used++] = (char)data[++table->at];
            else quoted = false;
        } else if (byte == '"' && cell == table->text + used) {
            quoted = true;
        } else if (byte == ',' || byte == '\n') {
            if (byte == '\n' && table->text + used > cell && table->text[used - 1] == '\r') used--;
            if (table->cell_count == trace_table_cell_limit)
                return trace_table_fail(table, "more than %d cells", trace_table_cell_limit);
            table->cells[table->cell_count] = cell;
            table->lengths[table->cell_count++] = (size_t)(table->text + used - cell);
            table->text[used++] = '\0';
            cell = table->text + used;
            if (byte == '\n') break;
        } else {
            table->text[used++] = (char)byte;
        }
    }
    if (table->at < end) table->at++;
    return TARN_OK;
}

/* Reads a row that has nothing but plain cells in it; false, with nothing changed but the cells, for any other. */
static bool read_plain_row(trace_table *table) {
    const char *row = (const char *)table->input->data + table->at;
    size_t rest = table->input->size - table->at;
    const char *newline = memchr(row, '\n', rest < trace_table_row_limit ? rest : trace_table_row_limit);
    if (newline == NULL && rest >= trace_table_row_limit) return false;
    size_t length = newline != NULL ? (size_t)(newline - row) : rest, taken = length + (newline != NULL);
    if (memchr(row, '"', length) != NULL || memchr(row, '\0', length) != NULL) return false;
    if (length > 0 && row[length - 1] == '\r') length--;
    memcpy(table->text, row, length);
    table->text[length] = '\0';
    table->cell_count = 0;
    char *cell = table->text, *end = table->text + length;
    for (bool is_last = false; !is_last;) {
        char *comma = memchr(cell, ',', (size_t)(end - cell));
        is_last = comma == NULL;
        if (is_last) comma = end;
        if (table->cell_count == trace_table_cell_limit) return false;
        *comma = '\0';
        table->cells[table->cell_count] = cell;
        table->lengths[table->cell_count++] = (size_t)(comma - cell);
        cell = comma + 1;
    }
    table->line = table->next_line;
    table->next_line += newline != NULL;
    table->at += taken;
    return true;
}

tarn_status trace_table_next(trace_table *table, bool *out_more) {
    while (table->at < table->input->size) {
        tarn_status status = read_plain_row(table) ? TARN_OK : read_row(table);
        if (status != TARN_OK) return status;
        if (table->cell_count > 1 || table->lengths[0] > 0) {
            *out_more = true;
            return TARN_OK;
        }
    }
    *out_more = false;
    return TARN_OK;
}

tarn_status trace_table_columns(const trace_table *table, const char *const *names, size_t count, size_t required,
                                int *out_columns) {
    for (size_t i = 0; i < count; i++) {
        out_columns[i] = -1;
        for (size_t k = 0; k < table->cell_count && out_columns[i] < 0; k++) {
            const char *cell = table->cells[k];
            cell += strspn(cell, " ");
            if (strcasecmp(cell, names[i]) == 0) out_columns[i] = (int)k;
        }
        if (i < required && out_columns[i] < 0)
            return trace_table_fail(table, "the column \"%s\" is missing", names[i]);
    }
    return TARN_OK;
}

const char *trace_table_cell(const trace_table *table, int column) {
    return column >= 0 && (size_t)column < table->cell_count ? table->cells[column] : "";
}

bool trace_parse_number(const char *text, int base, uint64_t *out_number) {
    text += strspn(text, " ");
    if (base == 16 && strcmp(text, "(nil)") == 0) {
        *out_number = 0;
        return true;
    }
    /* strtoull takes signs, which addresses and sizes do not have. */
    if (!((*text >= '0' && *text <= '9') ||
          (base == 16 && ((*text >= 'a' && *text <= 'f') || (*text >= 'A' && *text <= 'F')))))
        return false;
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, base);
    if (errno != 0 || end[strspn(end, " ")] != '\0') return false;
    *out_number = number;
    return true;
}

tarn_status trace_table_number(const trace_table *table, int column, const char *name, int base, uint64_t *out_number) {
    if (column < 0) {
        *out_number = 0;
        return TARN_OK;
    }
    if ((size_t)column >= table->cell_count)
        return trace_table_fail(table, "the cell of column \"%s\" is missing", name);
    if (!trace_parse_number(table->cells[column], base, out_number))
        return trace_table_fail(table, "\"%.40s\" in column \"%s\" is no number of 64 bits", table->cells[column],
                                name);
    return TARN_OK;
}
