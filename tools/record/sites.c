/* Names of call sites: "PyArray_NewLikeArray+0x4f (_multiarray_umath.so)".
 *
 * The dynamic linker knows all names, but asking it takes a lock that a thread may hold while it waits for the recorder. So the
 * names come from the files themselves: /proc/self/maps says which file an address lies in, and the file's symbol table,
 * mapped and read with every offset checked, says which function. Each site is looked up once, when its first event is
 * written. Only the thread that writes runs here. */
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define SITES_AT_FIRST 1024u

void *record_map(size_t size) {
    void *memory = record_next.mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static const char *hexadecimal(const char *text, uint64_t *out_value) {
    uint64_t value = 0;
    for (;; text++) {
        char c = *text;
        if (c >= '0' && c <= '9') value = value * 16 + (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f') value = value * 16 + (uint64_t)(c - 'a' + 10);
        else break;
    }
    *out_value = value;
    return text;
}

/* One line of maps: "start-end rwxp offset device inode   path". Keeps what can be executed and has a path. */
static void read_map_line(char *line) {
    record_recorder *recorder = record_state;
    uint64_t start, end, offset;
    const char *rest = hexadecimal(line, &start);
    if (*rest != '-') return;
    rest = hexadecimal(rest + 1, &end);
    if (strlen(rest) < 6 || rest[3] != 'x') return;
    hexadecimal(rest + 6, &offset);
    const char *path = strchr(rest, '/');
    if (!path || recorder->module_count == RECORD_MODULES) return;
    for (size_t i = 0; i < recorder->module_count; i++) {
        record_module *known = &recorder->modules[i];
        if (known->start == start && known->end == end) return;
    }
    record_module *module = &recorder->modules[recorder->module_count++];
    *module = (record_module){.start = start, .end = end, .offset = offset};
    size_t length = strnlen(path, sizeof module->path - 1);
    memcpy(module->path, path, length);
}

/* Adds the modules that came since the last time. A line longer than the buffer is left out. */
static void read_maps(void) {
    char text[8192];
    size_t used = 0;
    int file = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    for (;;) {
        long got = syscall(SYS_read, file, text + used, sizeof text - used);
        if (got <= 0) break;
        used += (size_t)got;
        char *line = text, *end;
        while ((end = memchr(line, '\n', used - (size_t)(line - text))) != NULL) {
            *end = '\0';
            read_map_line(line);
            line = end + 1;
        }
        used -= (size_t)(line - text);
        memmove(text, line, used);
        if (used == sizeof text) used = 0;
    }
    syscall(SYS_close, file);
}

static record_module *find_module(uintptr_t address) {
    record_recorder *recorder = record_state;
    for (int again = 0; again < 2; again++) {
        for (size_t i = 0; i < recorder->module_count; i++) {
            record_module *module = &recorder->modules[i];
            if (address >= module->start && address < module->end) return module;
        }
        if (again == 0) read_maps();
    }
    return NULL;
}

static void load_image(record_module *module) {
    module->image_tried = true;
    int file = (int)syscall(SYS_openat, AT_FDCWD, module->path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    struct stat status;
    if (fstat(file, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0) {
        void *image = record_next.mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
        if (image != MAP_FAILED) {
            module->image = (base_elf_image){image, (size_t)status.st_size};
        }
    }
    syscall(SYS_close, file);
}

/* The function at an address of a module. */
static const char *find_function(record_module *module, uintptr_t address, uint64_t *out_past) {
    if (!module->image_tried) load_image(module);
    uint64_t in_file;
    if (!base_elf_address(&module->image, address - module->start + module->offset, &in_file)) return NULL;
    return base_elf_function(&module->image, in_file, out_past);
}

/* Writes one frame's name and returns its length. `address` is where the call returns to. */
static size_t name_frame(uintptr_t address, char *out_text, size_t room) {
    /* The call itself lies before that; the next byte may be another function's. */
    record_module *module = find_module(address - 1);
    int length;
    if (module) {
        const char *slash = strrchr(module->path, '/');
        const char *file = slash ? slash + 1 : module->path;
        uint64_t past = 0;
        const char *function = find_function(module, address - 1, &past);
        if (function) {
            length = snprintf(out_text, room, "%.160s+0x%llx (%.64s)", function, (unsigned long long)past + 1, file);
        } else {
            length = snprintf(out_text, room, "%.64s+0x%llx", file,
                              (unsigned long long)(address - module->start + module->offset));
        }
    } else {
        length = snprintf(out_text, room, "0x%llx", (unsigned long long)address);
    }
    if (length < 0) return 0;
    return (size_t)length < room ? (size_t)length : room - 1;
}

static uint32_t define_site(uintptr_t site) {
    char text[RECORD_SITE_TEXT * 4];
    if (record_setting.frames == 1) return record_output_string(text, name_frame(site, text, sizeof text));
    const record_stack *stack = (const record_stack *)site;
    size_t length = 0;
    for (unsigned i = 0; i < stack->count; i++) {
        if (length + RECORD_SITE_TEXT > sizeof text) break;
        if (i != 0) {
            memcpy(text + length, " < ", 3);
            length += 3;
        }
        length += name_frame(stack->frames[i], text + length, sizeof text - length);
    }
    return record_output_string(text, length);
}

static record_site *place_of(record_site *sites, size_t room, uintptr_t site) {
    size_t place = (size_t)(((uint64_t)site * 0x9e3779b97f4a7c15u) >> 32) & (room - 1);
    while (sites[place].site != 0 && sites[place].site != site) place = (place + 1) & (room - 1);
    return &sites[place];
}

static bool grow(record_recorder *recorder) {
    size_t room = recorder->site_room ? recorder->site_room * 2 : SITES_AT_FIRST;
    record_site *sites = record_map(room * sizeof *sites);
    if (!sites) return false;
    for (size_t i = 0; i < recorder->site_room; i++) {
        if (recorder->sites[i].site != 0) *place_of(sites, room, recorder->sites[i].site) = recorder->sites[i];
    }
    if (recorder->sites) record_next.munmap(recorder->sites, recorder->site_room * sizeof *sites);
    recorder->sites = sites;
    recorder->site_room = room;
    return true;
}

uint32_t record_site_string(uintptr_t site) {
    record_recorder *recorder = record_state;
    if (recorder->site_count + 1 > recorder->site_room / 4 * 3 && !grow(recorder)) return TRACE_NO_STRING;
    record_site *place = place_of(recorder->sites, recorder->site_room, site);
    if (place->site == 0) {
        uint32_t string = define_site(site);
        if (string == TRACE_NO_STRING) return string;
        *place = (record_site){.site = site, .string = string};
        recorder->site_count++;
    }
    return place->string;
}
