/* Compiled kernels on disk, one file each.
 *
 * A file begins with a line that repeats its key and says how many bytes follow and what their sum is. Whatever is not as it was written
 * is compiled and written again. Files are written beside and moved into place, so that processes do not disturb each other. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/cuda/operations/image.h"
#include "base/config.h"
#include "base/memory.h"
#include "base/output.h"

#define HEADER_CAPACITY 128
#define PATH_CAPACITY 4096
/* Bytes: larger files are not ours. */
#define LARGEST ((size_t)256 << 20)

/* Fowler, Noll and Vo's hash of 64 bits, twice with different beginnings: enough to tell sources of one program apart. */
static uint64_t hash(uint64_t begin, const void *bytes, size_t size) {
    const unsigned char *at = bytes;
    for (size_t i = 0; i < size; i++) begin = (begin ^ at[i]) * UINT64_C(0x100000001b3);
    return begin;
}

static void add_text(uint64_t sums[2], const char *text) {
    for (int i = 0; i < 2; i++) sums[i] = hash(sums[i], text, strlen(text) + 1);
}

void cuda_cache_key(const tarn_backend_device *device, const char *text, const char *architecture, char *out_key) {
    uint64_t sums[2] = {UINT64_C(0xcbf29ce484222325), UINT64_C(0x84222325cbf29ce4)};
    char versions[64];
    snprintf(versions, sizeof versions, "%d %d %d.%d", cuda_compiler_version(), cuda_driver_version, device->major,
             device->minor);
    add_text(sums, versions);
    add_text(sums, architecture);
    for (size_t i = 0; i < cuda_source_count; i++) add_text(sums, cuda_sources[i].text);
    add_text(sums, text);
    snprintf(out_key, CUDA_CACHE_KEY, "%016" PRIx64 "%016" PRIx64, sums[0], sums[1]);
}

/* The path of a file in the cache; false where the environment names no folder. */
static bool find_path(const char *name, char *out_path) {
    const char *own = base_config_text("TARN_CACHE_PATH"), *general = base_config_text("XDG_CACHE_HOME");
    const char *home = base_config_text("HOME");
    int length;
    if (own != NULL) length = snprintf(out_path, PATH_CAPACITY, "%s/%s", own, name);
    else if (general != NULL) length = snprintf(out_path, PATH_CAPACITY, "%s/tarn/%s", general, name);
    else if (home != NULL) length = snprintf(out_path, PATH_CAPACITY, "%s/.cache/tarn/%s", home, name);
    else return false;
    return length < PATH_CAPACITY;
}

/* Makes the folders on the way to a file, readable by the user alone. */
static bool make_folders(char *path) {
    for (char *at = strchr(path + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        int result = mkdir(path, S_IRWXU);
        int reason = errno;
        *at = '/';
        if (result != 0 && reason != EEXIST) {
            errno = reason;
            return false;
        }
    }
    return true;
}

static int write_header(char *header, const char *key, const cuda_binary *binary) {
    return snprintf(header, HEADER_CAPACITY, "tarn kernel 1 %s %zu %016" PRIx64 "\n", key, binary->size,
                    hash(0, binary->bytes, binary->size));
}

/* Reads all that is asked for. */
static bool read_whole(int file, char *bytes, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t got = read(file, bytes + done, size - done);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        done += (size_t)got;
    }
    return true;
}

/* Takes a file apart, which is not trusted. */
static bool parse(const char *key, char *bytes, size_t size, cuda_binary *out_binary) {
    char wanted[HEADER_CAPACITY];
    const char *end = memchr(bytes, '\n', size);
    if (end == NULL) return false;
    size_t header = (size_t)(end - bytes) + 1;
    cuda_binary binary = {bytes + header, size - header};
    if (write_header(wanted, key, &binary) != (int)header || memcmp(wanted, bytes, header) != 0) return false;
    memmove(bytes, bytes + header, binary.size);
    bytes[binary.size] = '\0';
    *out_binary = (cuda_binary){bytes, binary.size};
    return true;
}

bool cuda_cache_read(const char *key, cuda_binary *out_binary) {
    char path[PATH_CAPACITY];
    if (!find_path(key, path)) return false;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return false;
    struct stat facts;
    char *bytes = NULL;
    if (fstat(file, &facts) == 0 && facts.st_size > 0 && (size_t)facts.st_size <= LARGEST)
        bytes = base_allocate((size_t)facts.st_size + 1, 1);
    bool is_whole = bytes != NULL && read_whole(file, bytes, (size_t)facts.st_size) &&
                    parse(key, bytes, (size_t)facts.st_size, out_binary);
    close(file);
    if (!is_whole) base_free(bytes);
    return is_whole;
}

void cuda_cache_write(const char *key, const cuda_binary *binary) {
    char path[PATH_CAPACITY], header[HEADER_CAPACITY];
    if (!find_path(key, path)) return;
    base_output output;
    if (!make_folders(path)) {
        base_config_complain("TARN_CACHE_PATH", path, strerror(errno));
        return;
    }
    tarn_status status = base_output_open(&output, path);
    if (status == TARN_OK) {
        int length = write_header(header, key, binary);
        base_output_bytes(&output, header, (size_t)length);
        base_output_bytes(&output, binary->bytes, binary->size);
        status = base_output_close(&output);
    }
    if (status != TARN_OK) base_config_complain("TARN_CACHE_PATH", path, tarn_last_error());
}
