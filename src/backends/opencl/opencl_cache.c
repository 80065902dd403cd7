/* One file for each binary, named by the hash of what it was made of, which stands before it. */
#include "backends/opencl/opencl_cache.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LONGEST_PATH 4096
#define MAGIC "tarn opencl kernel 1\n"

char *opencl_cache_folder(void) {
    const char *base = secure_getenv("XDG_CACHE_HOME"), *below = "";
    if (base == NULL || base[0] != '/') {
        base = secure_getenv("HOME");
        below = "/.cache";
    }
    if (base == NULL || base[0] != '/') return NULL;
    opencl_text path = {.bytes = NULL};
    opencl_text_print(&path, "%s%s/tarn/opencl", base, below);
    if (path.length + 64 > LONGEST_PATH) opencl_text_end(&path);
    return path.bytes;
}

static void write_path(const opencl_cache_entry *entry, const char *suffix, char *out_path) {
    snprintf(out_path, LONGEST_PATH, "%s/%016llx%s", entry->folder, (unsigned long long)entry->hash, suffix);
}

/* Whether the next bytes of the file are these. */
static bool has_bytes(FILE *stream, const char *bytes, size_t size) {
    char part[1024];
    while (size > 0) {
        size_t count = size < sizeof part ? size : sizeof part;
        if (fread(part, 1, count, stream) != count || memcmp(part, bytes, count) != 0) return false;
        bytes += count;
        size -= count;
    }
    return true;
}

bool opencl_cache_read(const opencl_cache_entry *entry, opencl_text *out_binary) {
    char path[LONGEST_PATH], part[4096];
    uint64_t sizes[3];
    write_path(entry, ".bin", path);
    FILE *stream = fopen(path, "re");
    if (stream == NULL) return false;
    bool is_right = has_bytes(stream, MAGIC, strlen(MAGIC)) && fread(sizes, sizeof sizes, 1, stream) == 1 &&
                    sizes[0] == entry->identity->length && sizes[1] == entry->source->length &&
                    has_bytes(stream, entry->identity->bytes, entry->identity->length) &&
                    has_bytes(stream, entry->source->bytes, entry->source->length);
    for (size_t count; is_right && (count = fread(part, 1, sizeof part, stream)) > 0;)
        opencl_text_bytes(out_binary, part, count);
    fclose(stream);
    return is_right && !out_binary->has_failed && out_binary->length == sizes[2] && sizes[2] > 0;
}

/* Makes the folder and those above it. */
static bool make_folder(const char *folder) {
    char path[LONGEST_PATH];
    snprintf(path, sizeof path, "%s", folder);
    for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash != NULL) *slash = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST) return false;
        if (slash == NULL) return true;
        *slash = '/';
    }
}

bool opencl_cache_write(const opencl_cache_entry *entry, const void *binary, size_t size) {
    char path[LONGEST_PATH], temporary[LONGEST_PATH];
    if (!make_folder(entry->folder)) return false;
    write_path(entry, ".bin", path);
    write_path(entry, ".XXXXXX", temporary);
    int file = mkstemp(temporary);
    FILE *stream = file >= 0 ? fdopen(file, "w") : NULL;
    if (stream == NULL) {
        if (file >= 0) {
            close(file);
            unlink(temporary);
        }
        return false;
    }
    const uint64_t sizes[3] = {entry->identity->length, entry->source->length, size};
    bool is_written = fwrite(MAGIC, strlen(MAGIC), 1, stream) == 1 && fwrite(sizes, sizeof sizes, 1, stream) == 1 &&
                      fwrite(entry->identity->bytes, entry->identity->length, 1, stream) == 1 &&
                      fwrite(entry->source->bytes, entry->source->length, 1, stream) == 1 &&
                      fwrite(binary, size, 1, stream) == 1;
    is_written = fclose(stream) == 0 && is_written;
    if (is_written && rename(temporary, path) == 0) return true;
    unlink(temporary);
    return false;
}
