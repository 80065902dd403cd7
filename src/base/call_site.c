/* Capturing and naming call sites. The dynamic linker says which file holds an address; which function it is, static ones
 * too, the file's symbol table says. */
#include "base/call_site.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/stat.h>

#include "base/elf_image.h"

/* Of Tarn's own, between the unwinding and the caller. */
#define INNER_FRAMES 16

unsigned base_call_capture(const void *caller, unsigned depth, const void *out_frames[BASE_CALL_FRAMES]) {
    if (caller == NULL || depth == 0) return 0;
    out_frames[0] = caller;
    if (depth == 1) return 1;
    if (depth > BASE_CALL_FRAMES) depth = BASE_CALL_FRAMES;
    void *frames[BASE_CALL_FRAMES + INNER_FRAMES];
    int found = backtrace(frames, (int)depth + INNER_FRAMES), first = 0;
    while (first < found && frames[first] != caller) first++;
    unsigned count = 1;
    for (int i = first + 1; i < found && count < depth; i++) out_frames[count++] = frames[i];
    return count;
}

/* The path that the file can be opened by: the program itself is named as it was called. */
static const char *path_of(const Dl_info *info) {
    static const char own[] = "/proc/self/exe";
    Dl_info main_info;
    extern const char __executable_start __attribute__((weak));
    bool is_program = &__executable_start != NULL && dladdr(&__executable_start, &main_info) != 0 &&
                      main_info.dli_fbase == info->dli_fbase;
    return is_program ? own : info->dli_fname;
}

/* Maps the file, read only; no bytes where that cannot be. */
static base_elf_image open_image(const char *path) {
    base_elf_image image = {0};
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return image;
    struct stat status;
    if (fstat(file, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0) {
        void *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
        if (bytes != MAP_FAILED) image = (base_elf_image){bytes, (size_t)status.st_size};
    }
    close(file);
    return image;
}

static void close_image(const base_elf_image *image) {
    if (image->bytes != NULL)
        munmap((void *)(uintptr_t)image->bytes, image->size); /* NOLINT(performance-no-int-to-ptr) */
}

/* Writes one frame's name, and returns the length that the whole has. */
static int describe(const void *frame, char *out_text, size_t room) {
    /* The call itself lies before the address; the next byte may be another function's. */
    uintptr_t address = (uintptr_t)frame - 1;
    Dl_info info;
    if (dladdr((const void *)address, &info) == 0 || info.dli_fname == NULL) { /* NOLINT(performance-no-int-to-ptr) */
        return snprintf(out_text, room, "%p", frame);
    }
    const char *slash = strrchr(info.dli_fname, '/');
    const char *file = slash != NULL ? slash + 1 : info.dli_fname;
    base_elf_image image = open_image(path_of(&info));
    uint64_t in_file = address - (base_elf_is_relative(&image) ? (uintptr_t)info.dli_fbase : 0);
    uint64_t past = 0;
    const char *function = base_elf_function(&image, in_file, &past);
    int length = function != NULL
                     ? snprintf(out_text, room, "%.160s+0x%llx (%.64s)", function, (unsigned long long)past + 1, file)
                     : snprintf(out_text, room, "%.64s+0x%llx", file, (unsigned long long)in_file + 1);
    close_image(&image);
    return length;
}

char *base_call_describe(const void *const *frames, unsigned count, char *out_text, size_t capacity) {
    size_t length = 0;
    if (count == 0) snprintf(out_text, capacity, "an unknown place");
    for (unsigned i = 0; i < count && length < capacity; i++) {
        char frame[BASE_CALL_TEXT];
        describe(frames[i], frame, sizeof frame);
        int added = snprintf(out_text + length, capacity - length, "%s%s", i > 0 ? " < " : "", frame);
        if (added > 0) length += (size_t)added;
    }
    return out_text;
}
