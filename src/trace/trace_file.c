/* The files of trace_file.h. */
#include "trace_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/status.h"

static tarn_status failed(const char *path, const char *what) {
    return base_fail(errno == ENOENT || errno == ENOTDIR ? TARN_NOT_FOUND : TARN_IO_ERROR, "%s: %s: %s", path, what,
                     strerror(errno));
}

/* Reads up to `size` bytes from where the file stands; fewer only at its end. */
static tarn_status read_bytes(const trace_file *file, uint8_t *bytes, size_t size, size_t *out_read) {
    size_t done = 0;
    while (done < size) {
        ssize_t count = read(file->file, bytes + done, size - done);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return failed(file->path, "cannot be read");
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

static tarn_status look_at(trace_file *file) {
    struct stat about;
    if (fstat(file->file, &about) != 0) return failed(file->path, "cannot be looked at");
    tarn_status status = check_kind(file->path, &about);
    if (status != TARN_OK) return status;
    file->size = (size_t)about.st_size;
    size_t size = file->size < trace_beginning_size ? file->size : trace_beginning_size;
    return read_bytes(file, file->beginning, size, &file->beginning_size);
}

tarn_status trace_file_open(trace_file *file, const char *path) {
    *file = (trace_file){.path = path};
    /* Not blocking, so that a pipe without a writer is told and not waited for. */
    file->file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file->file < 0) return failed(path, "cannot be opened");
    tarn_status status = look_at(file);
    if (status != TARN_OK) trace_file_close(file);
    return status;
}

void trace_file_close(trace_file *file) {
    close(file->file);
    file->file = -1;
}

bool trace_file_is_whole(const trace_file *file) { return file->size <= trace_beginning_size; }

tarn_status trace_file_load(trace_file *file, uint8_t **out_data, size_t *out_size) {
    size_t known = file->beginning_size, rest = 0;
    uint8_t *data = base_allocate(file->size, 1);
    if (data == NULL)
        return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory for a file of %zu bytes", file->path, file->size);
    if (known > 0) memcpy(data, file->beginning, known);
    tarn_status status = TARN_OK;
    if (file->size > known) status = read_bytes(file, data + known, file->size - known, &rest);
    if (status != TARN_OK) {
        base_free(data);
        return status;
    }
    *out_data = data;
    *out_size = known + rest;
    return TARN_OK;
}

size_t trace_first_line(const uint8_t *data, size_t size) {
    size_t length = size < trace_beginning_size ? size : trace_beginning_size;
    const uint8_t *newline = memchr(data, '\n', length);
    return newline != NULL ? (size_t)(newline - data) : length;
}

bool trace_line_has_cell(const char *line, size_t length, const char *word) {
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
