/* How much memory a device has whose memory is the machine's: what the machine has, or less where a control group says so.
 *
 * Drivers for processors answer with numbers of their own making (PoCL with about half of the memory), so the system is asked. A control group
 * is limited by its ancestors too; the smallest limit on the way to the root counts. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backends/opencl/opencl_internal.h"

#define GROUP_ROOT "/sys/fs/cgroup"

typedef struct group_files {
    const char *controller; /* as /proc/self/cgroup has it between its colons */
    const char *root, *limit, *usage;
} group_files;

static const group_files versions[] = {
    {"", GROUP_ROOT, "memory.max", "memory.current"},
    {"memory", GROUP_ROOT "/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"},
};

typedef struct group_limits {
    uint64_t limit, free; /* bytes; UINT64_MAX: no limit */
} group_limits;

/* UINT64_MAX when there is no such file or it says "max". */
static uint64_t read_number(const char *folder, const char *file) {
    char path[4400];
    uint64_t number = UINT64_MAX;
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *stream = fopen(path, "re");
    if (stream == NULL) return number;
    if (fscanf(stream, "%" SCNu64, &number) != 1) number = UINT64_MAX;
    fclose(stream);
    return number;
}

static void apply_group(const group_files *files, const char *group, group_limits *limits) {
    char folder[4200];
    snprintf(folder, sizeof folder, "%s%s", files->root, group);
    for (char *slash = folder; slash != NULL && strlen(folder) >= strlen(files->root);) {
        uint64_t limit = read_number(folder, files->limit);
        uint64_t usage = read_number(folder, files->usage);
        if (limit < limits->limit) limits->limit = limit;
        if (limit != UINT64_MAX && usage != UINT64_MAX) {
            uint64_t rest = limit > usage ? limit - usage : 0;
            if (rest < limits->free) limits->free = rest;
        }
        slash = strrchr(folder, '/');
        if (slash != NULL) *slash = '\0';
    }
}

static group_limits read_groups(void) {
    group_limits limits = {UINT64_MAX, UINT64_MAX};
    FILE *stream = fopen("/proc/self/cgroup", "re");
    if (stream == NULL) return limits;
    char line[4096];
    while (fgets(line, sizeof line, stream) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *controller = strchr(line, ':');
        char *group = controller != NULL ? strchr(controller + 1, ':') : NULL;
        if (group == NULL) continue;
        *group++ = '\0';
        for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
            if (strcmp(controller + 1, versions[i].controller) == 0) apply_group(&versions[i], group, &limits);
        }
    }
    fclose(stream);
    return limits;
}

static uint64_t bytes_of(int pages_name) {
    long pages = sysconf(pages_name);
    long page_size = sysconf(_SC_PAGESIZE);
    return pages > 0 && page_size > 0 ? (uint64_t)pages * (uint64_t)page_size : 0;
}

/* MemAvailable counts what the kernel would give up. */
static uint64_t machine_free(void) {
    uint64_t kibibytes;
    bool is_known = false;
    FILE *stream = fopen("/proc/meminfo", "re");
    if (stream == NULL) return bytes_of(_SC_AVPHYS_PAGES);
    char line[256];
    while (!is_known && fgets(line, sizeof line, stream) != NULL) {
        is_known = sscanf(line, "MemAvailable: %" SCNu64 " kB", &kibibytes) == 1;
    }
    fclose(stream);
    return is_known ? kibibytes * 1024 : bytes_of(_SC_AVPHYS_PAGES);
}

uint64_t opencl_limits_total(void) {
    uint64_t total = bytes_of(_SC_PHYS_PAGES);
    group_limits limits = read_groups();
    return limits.limit < total ? limits.limit : total;
}

uint64_t opencl_limits_free(void) {
    uint64_t free_bytes = machine_free();
    group_limits limits = read_groups();
    return limits.free < free_bytes ? limits.free : free_bytes;
}
