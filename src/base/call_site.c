/* Capturing and naming call sites. The dynamic linker says which file holds an address; which function it is, static ones
 * too, the file's symbol table says. That table is read from end to end, so the names that were found last are kept: who misuses memory
 * in a loop is reported from the same places again and again. */
#include "base/call_site.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
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

/* A name that was found, and what it was found for: an address in a file that is loaded there and has not changed. */
typedef struct named_frame {
    const void *frame, *base;
    dev_t device;
    ino_t file;
    off_t size;
    struct timespec modified;
    char text[BASE_CALL_TEXT];
} named_frame;

#define NAMED_BITS 7

/* Each address has one place, where the last of those that share it stays. Protected by the lock, which nobody waits for: without it a name is
 * looked for as if it were new, in the child of a fork that came while it was held, too. */
static named_frame named[1 << NAMED_BITS];
static pthread_mutex_t named_lock = PTHREAD_MUTEX_INITIALIZER;

static named_frame *place_of(const void *frame) {
    return &named[((uint64_t)(uintptr_t)frame * 0x9e3779b97f4a7c15u) >> (64 - NAMED_BITS)];
}

static bool is_same(const named_frame *one, const named_frame *other) {
    return one->frame == other->frame && one->base == other->base && one->device == other->device &&
           one->file == other->file && one->size == other->size && one->modified.tv_sec == other->modified.tv_sec &&
           one->modified.tv_nsec == other->modified.tv_nsec;
}

/* Gives what is known of the frame its text, if there is one. */
static bool recall(named_frame *inout_wanted) {
    if (pthread_mutex_trylock(&named_lock) != 0) return false;
    const named_frame *place = place_of(inout_wanted->frame);
    bool is_known = is_same(place, inout_wanted);
    if (is_known) memcpy(inout_wanted->text, place->text, sizeof place->text);
    pthread_mutex_unlock(&named_lock);
    return is_known;
}

static void keep(const named_frame *found) {
    if (pthread_mutex_trylock(&named_lock) != 0) return;
    *place_of(found->frame) = *found;
    pthread_mutex_unlock(&named_lock);
}

/* Finds one frame's name in the symbol tables of its file. */
static void look_up(uintptr_t address, const Dl_info *info, char out_text[BASE_CALL_TEXT]) {
    const char *slash = strrchr(info->dli_fname, '/');
    const char *file = slash != NULL ? slash + 1 : info->dli_fname;
    base_elf_image image = open_image(path_of(info));
    uint64_t in_file = address - (base_elf_is_relative(&image) ? (uintptr_t)info->dli_fbase : 0);
    uint64_t past = 0;
    const char *function = base_elf_function(&image, in_file, &past);
    if (function != NULL)
        snprintf(out_text, BASE_CALL_TEXT, "%.160s+0x%llx (%.64s)", function, (unsigned long long)past + 1, file);
    else snprintf(out_text, BASE_CALL_TEXT, "%.64s+0x%llx", file, (unsigned long long)in_file + 1);
    close_image(&image);
}

/* Writes one frame's name. */
static void describe(const void *frame, char out_text[BASE_CALL_TEXT]) {
    /* The call itself lies before the address; the next byte may be another function's. */
    uintptr_t address = (uintptr_t)frame - 1;
    Dl_info info;
    if (dladdr((const void *)address, &info) == 0 || info.dli_fname == NULL) { /* NOLINT(performance-no-int-to-ptr) */
        snprintf(out_text, BASE_CALL_TEXT, "%p", frame);
        return;
    }
    struct stat status;
    if (stat(path_of(&info), &status) != 0) {
        look_up(address, &info, out_text);
        return;
    }
    named_frame found = {.frame = frame,
                         .base = info.dli_fbase,
                         .device = status.st_dev,
                         .file = status.st_ino,
                         .size = status.st_size,
                         .modified = status.st_mtim};
    if (!recall(&found)) {
        look_up(address, &info, found.text);
        keep(&found);
    }
    memcpy(out_text, found.text, sizeof found.text);
}

char *base_call_describe(const void *const *frames, unsigned count, char *out_text, size_t capacity) {
    size_t length = 0;
    if (count == 0) snprintf(out_text, capacity, "an unknown place");
    for (unsigned i = 0; i < count && length < capacity; i++) {
        char frame[BASE_CALL_TEXT];
        describe(frames[i], frame);
        int added = snprintf(out_text + length, capacity - length, "%s%s", i > 0 ? " < " : "", frame);
        if (added > 0) length += (size_t)added;
    }
    return out_text;
}
