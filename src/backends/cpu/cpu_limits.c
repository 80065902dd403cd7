/* How much memory this process may use: the machine's, or less where a control group says so.
 *
 * Both versions of control groups are read. A group is limited by its ancestors too, so the smallest limit on the way to
 * the root counts. Files that are not there say nothing. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backends/cpu/cpu_internal.h"

#define GROUP_ROOT "/sys/fs/cgroup"
#define LONGEST_PATH 4096

/* What a control group leaves. */
typedef struct group_limits {
    uint64_t limit, free; /* bytes; UINT64_MAX: no limit */
} group_limits;

typedef struct group_version {
    const char *root, *limit_file, *usage_file;
} group_version;

static const group_version version_1 = {GROUP_ROOT "/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"};
static const group_version version_2 = {GROUP_ROOT, "memory.max", "memory.current"};

/* UINT64_MAX when there is no such file or it says "max". */
static uint64_t read_number(const char *folder, const char *file) {
    char path[LONGEST_PATH + 64];
    uint64_t number = UINT64_MAX;
    int length = snprintf(path, sizeof path, "%s/%s", folder, file);
    if (length < 0 || (size_t)length >= sizeof path) return number;
    FILE *stream = fopen(path, "re");
    if (stream == NULL) return number;
    if (fscanf(stream, "%" SCNu64, &number) != 1) number = UINT64_MAX;
    fclose(stream);
    return number;
}

static void apply_group(const group_version *version, const char *group, group_limits *limits) {
    char folder[LONGEST_PATH];
    int length = snprintf(folder, sizeof folder, "%s%s", version->root, group);
    if (length < 0 || (size_t)length >= sizeof folder) return;
    for (;;) {
        uint64_t limit = read_number(folder, version->limit_file);
        uint64_t usage = read_number(folder, version->usage_file);
        if (limit < limits->limit) limits->limit = limit;
        if (limit != UINT64_MAX && usage != UINT64_MAX) {
            uint64_t rest = limit > usage ? limit - usage : 0;
            if (rest < limits->free) limits->free = rest;
        }
        char *slash = strrchr(folder, '/');
        if (slash == NULL || strlen(folder) <= strlen(version->root)) return;
        *slash = '\0';
    }
}

/* Lines are "0::/path" (version 2) and "4:memory:/path" (version 1). */
static group_limits read_groups(void) {
    group_limits limits = {UINT64_MAX, UINT64_MAX};
    FILE *stream = fopen("/proc/self/cgroup", "re");
    if (stream == NULL) return limits;
    char line[LONGEST_PATH];
    while (fgets(line, sizeof line, stream) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (group == NULL) continue;
        *group++ = '\0';
        if (strcmp(controllers, ":") == 0) apply_group(&version_2, group, &limits);
        else if (strcmp(controllers, ":memory") == 0) apply_group(&version_1, group, &limits);
    }
    fclose(stream);
    return limits;
}

static uint64_t bytes_of(int pages_name) {
    long pages = sysconf(pages_name);
    long page_size = sysconf(_SC_PAGESIZE);
    return pages > 0 && page_size > 0 ? (uint64_t)pages * (uint64_t)page_size : 0;
}

uint64_t cpu_limits_total(void) {
    uint64_t total = bytes_of(_SC_PHYS_PAGES);
    group_limits limits = read_groups();
    return limits.limit < total ? limits.limit : total;
}

/* MemAvailable counts what the kernel would give up; free pages alone are the answer where it does not say. */
static uint64_t machine_free(void) {
    char line[128];
    uint64_t kibibytes;
    FILE *stream = fopen("/proc/meminfo", "re");
    if (stream == NULL) return bytes_of(_SC_AVPHYS_PAGES);
    uint64_t bytes = bytes_of(_SC_AVPHYS_PAGES);
    while (fgets(line, sizeof line, stream) != NULL) {
        if (sscanf(line, "MemAvailable: %" SCNu64 " kB", &kibibytes) != 1) continue;
        bytes = kibibytes * 1024;
        break;
    }
    fclose(stream);
    return bytes;
}

uint64_t cpu_limits_free(void) {
    uint64_t bytes = machine_free();
    group_limits limits = read_groups();
    return limits.free < bytes ? limits.free : bytes;
}
