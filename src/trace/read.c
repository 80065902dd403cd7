/* Opens a trace of any format: takes the file into memory, looks at its first bytes, and hands it to the reader
 * for them.
 *
 * The file is copied, not mapped, so that a file which shrinks meanwhile is an error and not a signal. Only the
 * beginning is read until the format is known. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/status.h"
#include "format.h"
#include "trace_internal.h"

typedef tarn_status (*trace_reader)(const trace_input *input, tarn_trace **out_trace);

/* Enough for the header line of any table. */
enum { probe_size = 4096 };

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

/* Whether a cell of the comma-separated line is this word, in any case and with or without quotes and spaces. */
static bool has_cell(const char *line, size_t length, const char *word) {
    const char *end = line + length;
    while (line <= end) {
        const char *comma = memchr(line, ',', (size_t)(end - line));
        const char *stop = comma == NULL ? end : comma;
        const char *first = line, *last = stop;
        while (first < last && (*first == ' ' || *first == '"')) first++;
        while (last > first && (last[-1] == ' ' || last[-1] == '"' || last[-1] == '\r')) last--;
        if ((size_t)(last - first) == strlen(word) && strncasecmp(first, word, strlen(word)) == 0) return true;
        line = stop + 1;
    }
    return false;
}

/* The reader for a table with this header, or NULL. One missing column still leaves it recognisable. */
static trace_reader table_reader(const char *line, size_t length) {
    static const char *const rmm_columns[] = {"thread", "time", "action", "pointer", "size", "stream"};
    static const char *const own_columns[] = {"time_ns", "action", "id", "size", "address", "device", "stream"};
    size_t rmm = 0, own = 0;
    for (size_t i = 0; i < sizeof rmm_columns / sizeof rmm_columns[0]; i++)
        rmm += has_cell(line, length, rmm_columns[i]);
    for (size_t i = 0; i < sizeof own_columns / sizeof own_columns[0]; i++)
        own += has_cell(line, length, own_columns[i]);
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
    const uint8_t *newline = memchr(data, '\n', size < probe_size ? size : probe_size);
    size_t line = newline != NULL ? (size_t)(newline - data) : size < probe_size ? size : probe_size;
    *out_reader = table_reader((const char *)data, line);
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

static tarn_status failed(const char *path, const char *what) {
    return base_fail(errno == ENOENT || errno == ENOTDIR ? TARN_NOT_FOUND : TARN_IO_ERROR, "%s: %s: %s", path, what,
                     strerror(errno));
}

/* Reads up to `size` bytes from where the file stands; fewer only at its end. */
static tarn_status read_bytes(int file, const char *path, uint8_t *bytes, size_t size, size_t *out_read) {
    size_t done = 0;
    while (done < size) {
        ssize_t count = read(file, bytes + done, size - done);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return failed(path, "cannot be read");
        if (count == 0) break;
        done += (size_t)count;
    }
    *out_read = done;
    return TARN_OK;
}

static tarn_status check_kind(const char *path, const struct stat *about) {
    if (S_ISREG(about->st_mode)) return TARN_OK;
    const char *what = S_ISDIR(about->st_mode)    ? "a directory"
                       : S_ISFIFO(about->st_mode) ? "a pipe"
                                                  : "no regular file";
    return base_fail(TARN_IO_ERROR, "%s is %s; a trace is a regular file", path, what);
}

static tarn_status read_file(int file, const char *path, tarn_trace **out_trace) {
    struct stat about;
    if (fstat(file, &about) != 0) return failed(path, "cannot be looked at");
    tarn_status status = check_kind(path, &about);
    if (status != TARN_OK) return status;

    uint8_t beginning[probe_size];
    size_t size = (size_t)about.st_size, read_size;
    status = read_bytes(file, path, beginning, size < probe_size ? size : probe_size, &read_size);
    if (status != TARN_OK) return status;
    trace_input input = {.path = path, .data = beginning, .size = read_size};
    trace_reader reader;
    status = recognise(&input, &reader);
    if (status != TARN_OK || size <= probe_size) return status == TARN_OK ? reader(&input, out_trace) : status;

    uint8_t *data = base_allocate(size, 1);
    if (data == NULL) return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory for a file of %zu bytes", path, size);
    memcpy(data, beginning, read_size);
    size_t rest;
    status = read_bytes(file, path, data + read_size, size - read_size, &rest);
    if (status == TARN_OK) {
        input = (trace_input){.path = path, .data = data, .size = read_size + rest, .owner = &data};
        status = reader(&input, out_trace);
    }
    base_free(data);
    return status;
}

tarn_status tarn_trace_read(const char *path, tarn_trace **out_trace) {
    if (path == NULL || path[0] == '\0')
        return base_fail(TARN_INVALID_ARGUMENT, "a trace cannot be read from an empty path");
    if (out_trace == NULL) return base_fail(TARN_INVALID_ARGUMENT, "%s: no place for the trace (NULL)", path);
    /* Not blocking, so that a pipe without a writer is told and not waited for. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0) return failed(path, "cannot be opened");
    tarn_status status = read_file(file, path, out_trace);
    close(file);
    return status;
}
