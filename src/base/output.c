/* The output of output.h: a buffer, a temporary file, a rename. */
#include "base/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/status.h"

enum { buffer_size = 64 * 1024 };
static const char temporary_ending[] = ".XXXXXX";

static tarn_status failed(const base_output *output, int error) {
    return base_fail(TARN_IO_ERROR, "%s cannot be written: %s", output->path, strerror(error));
}

static tarn_status no_memory(const base_output *output) {
    return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to write it", output->path);
}

/* The file's permissions as a new file would have them, or the older file's. */
static mode_t permissions(const struct stat *older) {
    if (older != NULL) return older->st_mode & 0777;
    mode_t mask = umask(0);
    umask(mask);
    return 0666 & ~mask;
}

static tarn_status open_temporary(base_output *output, const struct stat *older) {
    size_t length = strlen(output->target);
    output->temporary = base_allocate(length + sizeof temporary_ending, 1);
    if (output->temporary == NULL) return no_memory(output);
    memcpy(output->temporary, output->target, length);
    memcpy(output->temporary + length, temporary_ending, sizeof temporary_ending);
    output->file = mkostemp(output->temporary, O_CLOEXEC);
    if (output->file < 0) {
        int error = errno;
        base_free(output->temporary);
        output->temporary = NULL;
        return failed(output, error);
    }
    if (fchmod(output->file, permissions(older)) != 0) output->error = errno;
    return TARN_OK;
}

/* A pipe or a device takes what it is given; there is nothing to rename. */
static tarn_status open_directly(base_output *output) {
    /* Not blocking at first, so that a pipe that nobody reads is an error and not a wait. */
    output->file = open(output->target, O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (output->file < 0) return failed(output, errno);
    int flags = fcntl(output->file, F_GETFL);
    if (flags < 0 || fcntl(output->file, F_SETFL, flags & ~O_NONBLOCK) != 0) return failed(output, errno);
    return TARN_OK;
}

static tarn_status open_target(base_output *output) {
    struct stat about;
    bool exists = stat(output->path, &about) == 0;
    if (!exists && errno != ENOENT) return failed(output, errno);
    if (exists && S_ISDIR(about.st_mode)) return base_fail(TARN_IO_ERROR, "%s is a directory", output->path);
    /* Renaming over a link would replace the link; what it leads to is meant. */
    char *resolved = exists ? realpath(output->path, NULL) : NULL;
    output->target = base_duplicate(resolved != NULL ? resolved : output->path);
    free(resolved);
    if (output->target == NULL) return no_memory(output);
    output->buffer = base_allocate(buffer_size, 1);
    if (output->buffer == NULL) return no_memory(output);
    return exists && !S_ISREG(about.st_mode) ? open_directly(output) : open_temporary(output, exists ? &about : NULL);
}

tarn_status base_output_open(base_output *output, const char *path) {
    *output = (base_output){.path = path, .file = -1};
    tarn_status status = open_target(output);
    if (status != TARN_OK) base_output_discard(output);
    return status;
}

static void flush(base_output *output) {
    size_t done = 0;
    while (done < output->used && output->error == 0) {
        ssize_t count = write(output->file, output->buffer + done, output->used - done);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) output->error = count < 0 ? errno : ENOSPC;
        else done += (size_t)count;
    }
    output->used = 0;
}

void base_output_bytes(base_output *output, const void *bytes, size_t length) {
    const uint8_t *from = bytes;
    while (length > 0 && output->error == 0) {
        size_t room = buffer_size - output->used;
        size_t part = length < room ? length : room;
        memcpy(output->buffer + output->used, from, part);
        output->used += part;
        from += part;
        length -= part;
        if (output->used == buffer_size) flush(output);
    }
}

void base_output_string(base_output *output, const char *text) { base_output_bytes(output, text, strlen(text)); }

void base_output_cell(base_output *output, const char *text) {
    if (strpbrk(text, ",\"\r\n") == NULL) {
        base_output_string(output, text);
        return;
    }
    base_output_string(output, "\"");
    for (const char *quote; (quote = strchr(text, '"')) != NULL; text = quote + 1) {
        base_output_bytes(output, text, (size_t)(quote - text));
        base_output_string(output, "\"\"");
    }
    base_output_string(output, text);
    base_output_string(output, "\"");
}

void base_output_format(base_output *output, const char *format, ...) {
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length > 0) base_output_bytes(output, text, (size_t)length < sizeof text ? (size_t)length : sizeof text - 1);
}

tarn_status base_output_close(base_output *output) {
    flush(output);
    /* Before the rename, so that a crash of the machine leaves the older file or the whole new one. */
    if (output->temporary != NULL && output->error == 0 && fsync(output->file) != 0) output->error = errno;
    if (close(output->file) != 0 && output->error == 0) output->error = errno;
    output->file = -1;
    if (output->temporary != NULL && output->error == 0 && rename(output->temporary, output->target) != 0)
        output->error = errno;
    tarn_status status = output->error == 0 ? TARN_OK : failed(output, output->error);
    if (status == TARN_OK) {
        base_free(output->temporary);
        output->temporary = NULL;
    }
    base_output_discard(output);
    return status;
}

void base_output_discard(base_output *output) {
    if (output->file >= 0) close(output->file);
    if (output->temporary != NULL) {
        unlink(output->temporary);
        base_free(output->temporary);
    }
    base_free(output->target);
    base_free(output->buffer);
    *output = (base_output){.file = -1};
}
