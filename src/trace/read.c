/* Reads a trace of any format: looks at the file's first bytes, and hands it to the reader for them. Only the beginning is
 * read until the format is known. */
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "format.h"
#include "trace_file.h"
#include "trace_internal.h"

typedef tarn_status (*trace_reader)(const trace_input *input, tarn_trace **out_trace);

static const struct {
    const char *begin;
    size_t length;
    const char *what;
} known_strangers[] = {
    {"\x1f\x8b", 2, "gzip data: decompress it first"},
    {"PK\x03\x04", 4, "a zip archive: a trace in it has to be taken out first"},
    {"\x28\xb5\x2f\xfd", 4, "zstd data: decompress it first"},
    {"\xfd"
     "7zXZ",
     5, "xz data: decompress it first"},
    {"{", 1, "JSON, which is only written"},
    {"[", 1, "JSON, which is only written"},
};

/* The reader for a table with this header, or NULL. One missing column still leaves it recognisable. */
static trace_reader table_reader(const char *line, size_t length) {
    static const char *const rmm_columns[] = {"thread", "time", "action", "pointer", "size", "stream"};
    static const char *const own_columns[] = {"time_ns", "action", "id", "size", "address", "device", "stream"};
    size_t rmm = 0, own = 0;
    for (size_t i = 0; i < sizeof rmm_columns / sizeof rmm_columns[0]; i++)
        rmm += trace_line_has_cell(line, length, rmm_columns[i]);
    for (size_t i = 0; i < sizeof own_columns / sizeof own_columns[0]; i++)
        own += trace_line_has_cell(line, length, own_columns[i]);
    if (rmm < 3 && own < 3) return NULL;
    return own > rmm ? trace_read_csv : trace_read_rmm;
}

static tarn_status unknown_format(const trace_input *input) {
    for (size_t i = 0; i < sizeof known_strangers / sizeof known_strangers[0]; i++)
        if (input->size >= known_strangers[i].length &&
            memcmp(input->data, known_strangers[i].begin, known_strangers[i].length) == 0)
            return base_fail(TARN_NOT_SUPPORTED, "%s is %s", input->path, known_strangers[i].what);
    char bytes[32] = "";
    for (size_t i = 0; i < input->size && i < 8; i++) {
        static const char digits[] = "0123456789abcdef";
        bytes[3 * i] = digits[input->data[i] >> 4];
        bytes[3 * i + 1] = digits[input->data[i] & 15];
        bytes[3 * i + 2] = ' ';
    }
    return base_fail(
        TARN_NOT_SUPPORTED,
        "%s is no known trace (it begins with bytes %s); PyTorch snapshots, RMM logs, Tarn's traces and their CSV can be read",
        input->path, bytes);
}

/* Tells the format by the first bytes, of which there may be fewer than the whole file. */
static tarn_status recognise(const trace_input *input, trace_reader *out_reader) {
    const uint8_t *data = input->data;
    size_t size = input->size;
    if (size == 0) return base_fail(TARN_CORRUPT_DATA, "%s is empty", input->path);
    size_t magic = size < TRACE_MAGIC_SIZE ? size : TRACE_MAGIC_SIZE;
    if (size >= 5 && memcmp(data, TRACE_MAGIC, magic) == 0) {
        *out_reader = trace_read_tarn;
        return TARN_OK;
    }
    if (size >= 2 && data[0] == 0x80 && data[1] < 16) {
        *out_reader = trace_read_pytorch; /* and says which protocols it reads */
        return TARN_OK;
    }
    *out_reader = table_reader((const char *)data, trace_first_line(data, size));
    return *out_reader == NULL ? unknown_format(input) : TARN_OK;
}

void trace_input_drop(const trace_input *input) {
    if (input->owner == NULL) return;
    base_free(*input->owner);
    *input->owner = NULL;
}

tarn_status trace_read_memory(const void *data, size_t size, const char *path, tarn_trace **out_trace) {
    trace_input input = {.path = path, .data = data, .size = size};
    trace_reader reader;
    tarn_status status = recognise(&input, &reader);
    return status == TARN_OK ? reader(&input, out_trace) : status;
}

static tarn_status read_open(trace_file *file, tarn_trace **out_trace) {
    trace_input input = {.path = file->path, .data = file->beginning, .size = file->beginning_size};
    trace_reader reader;
    tarn_status status = recognise(&input, &reader);
    if (status != TARN_OK) return status;
    if (trace_file_is_whole(file)) return reader(&input, out_trace);

    uint8_t *data = NULL;
    status = trace_file_load(file, &data, &input.size);
    if (status != TARN_OK) return status;
    input.data = data;
    input.owner = &data;
    status = reader(&input, out_trace);
    base_free(data);
    return status;
}

tarn_status tarn_trace_read(const char *path, tarn_trace **out_trace) {
    if (path == NULL || path[0] == '\0')
        return base_fail(TARN_INVALID_ARGUMENT, "a trace cannot be read from an empty path");
    if (out_trace == NULL) return base_fail(TARN_INVALID_ARGUMENT, "%s: no place for the trace (NULL)", path);
    trace_file file;
    tarn_status status = trace_file_open(&file, path);
    if (status != TARN_OK) return status;
    status = read_open(&file, out_trace);
    trace_file_close(&file);
    return status;
}
