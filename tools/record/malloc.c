/* malloc and its relatives, as the program sees them.
 *
 * Each calls the next library's function of the same name and records what came of it: an allocation after the call, a
 * free before it, so that an address is never recorded as handed out twice. What is smaller than the setting costs one comparison.
 * A realloc is a free and an allocation. Blocks of zero bytes are not recorded.
 *
 * The first calls come before the recorder has started, some from inside dlsym while it looks for the next functions: those
 * are served from a small arena that is never freed. */
#include "record.h"

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#define EXPORTED __attribute__((visibility("default")))
#define ARENA_SIZE 65536u

static void find_functions(void);

static void *first_malloc(size_t size) { return find_functions(), record_next.malloc(size); }
static void *first_calloc(size_t count, size_t size) { return find_functions(), record_next.calloc(count, size); }
static void *first_realloc(void *memory, size_t size) { return find_functions(), record_next.realloc(memory, size); }
static void first_free(void *memory) { find_functions(), record_next.free(memory); }
static int first_posix_memalign(void **out_memory, size_t alignment, size_t size) {
    return find_functions(), record_next.posix_memalign(out_memory, alignment, size);
}
static void *first_aligned_alloc(size_t alignment, size_t size) {
    return find_functions(), record_next.aligned_alloc(alignment, size);
}
static void *first_memalign(size_t alignment, size_t size) {
    return find_functions(), record_next.memalign(alignment, size);
}
static void *first_valloc(size_t size) { return find_functions(), record_next.valloc(size); }
static void *first_pvalloc(size_t size) { return find_functions(), record_next.pvalloc(size); }
static void *first_mmap(void *address, size_t length, int protection, int flags, int file, off_t offset) {
    return find_functions(), record_next.mmap(address, length, protection, flags, file, offset);
}
static int first_munmap(void *address, size_t length) { return find_functions(), record_next.munmap(address, length); }

record_functions record_next = {
    .malloc = first_malloc,
    .calloc = first_calloc,
    .realloc = first_realloc,
    .free = first_free,
    .posix_memalign = first_posix_memalign,
    .aligned_alloc = first_aligned_alloc,
    .memalign = first_memalign,
    .valloc = first_valloc,
    .pvalloc = first_pvalloc,
    .mmap = first_mmap,
    .munmap = first_munmap,
};

static _Alignas(64) unsigned char arena[ARENA_SIZE];
static size_t arena_used;

/* Each block is preceded by its size. */
static void *arena_allocate(size_t size) {
    if (size > ARENA_SIZE) return NULL;
    size_t needed = (size + 15) / 16 * 16 + 16;
    if (needed > ARENA_SIZE - arena_used) return NULL;
    unsigned char *block = arena + arena_used + 16;
    memcpy(block - 16, &size, sizeof size);
    arena_used += needed;
    return block;
}

static bool is_in_arena(const void *memory) { return (uintptr_t)memory - (uintptr_t)arena < ARENA_SIZE; }

static void *arena_calloc(size_t count, size_t size) {
    size_t total;
    return __builtin_mul_overflow(count, size, &total) ? NULL : arena_allocate(total);
}

static void *arena_realloc(void *memory, size_t size) {
    void *larger = arena_allocate(size);
    size_t old_size = 0;
    if (memory && larger) {
        memcpy(&old_size, (unsigned char *)memory - 16, sizeof old_size);
        memcpy(larger, memory, old_size < size ? old_size : size);
    }
    return larger;
}

static void arena_free(void *memory) { (void)memory; }

/* dlsym gives functions as pointers to objects; a function of the same size is behind them. */
static void find(void *out_function, const char *name) {
    void *symbol = dlsym(RTLD_NEXT, name);
    if (symbol) memcpy(out_function, &symbol, sizeof symbol);
}

/* Runs in the program's first call, long before it has a second thread. */
static void find_functions(void) {
    record_functions found = record_next;
    record_next.malloc = arena_allocate;
    record_next.calloc = arena_calloc;
    record_next.realloc = arena_realloc;
    record_next.free = arena_free;
    find(&found.malloc, "malloc");
    find(&found.calloc, "calloc");
    find(&found.realloc, "realloc");
    find(&found.free, "free");
    find(&found.posix_memalign, "posix_memalign");
    find(&found.aligned_alloc, "aligned_alloc");
    find(&found.memalign, "memalign");
    find(&found.valloc, "valloc");
    find(&found.pvalloc, "pvalloc");
    find(&found.malloc_usable_size, "malloc_usable_size");
    find(&found.mmap, "mmap");
    find(&found.munmap, "munmap");
    find(&found.mremap, "mremap");
    record_next = found;
}

void record_find_functions(void) {
    if (!record_next.mremap) find_functions();
}

static __attribute__((noinline)) void remember(void *memory, size_t size, size_t alignment, uintptr_t site) {
    if (!memory || !record_is_on()) return;
    uintptr_t address = (uintptr_t)memory;
    if (record_setting.minimum > 1 && !record_pointers_add(address)) return;
    record_emit(address, size, alignment ? (unsigned)__builtin_ctzl(alignment) : 0, record_stack_of(site));
}

/* True when the block was recorded. The caller must not have freed it yet. */
static bool forget(void *memory) {
    if (!memory || record_setting.minimum == SIZE_MAX || !record_is_on()) return false;
    uintptr_t address = (uintptr_t)memory;
    if (record_setting.minimum > 1 && !record_pointers_remove(address)) return false;
    record_emit(address, 0, 0, 0);
    return true;
}

EXPORTED void *malloc(size_t size) {
    void *memory = record_next.malloc(size);
    if (size >= record_setting.minimum) remember(memory, size, 0, RECORD_SITE());
    return memory;
}

EXPORTED void *calloc(size_t count, size_t size) {
    void *memory = record_next.calloc(count, size);
    /* Where there is memory, the product did not overflow. */
    if (memory && count * size >= record_setting.minimum) remember(memory, count * size, 0, RECORD_SITE());
    return memory;
}

EXPORTED void free(void *memory) {
    if (is_in_arena(memory)) return;
    forget(memory);
    record_next.free(memory);
}

static void *resize(void *memory, size_t size, uintptr_t site) {
    if (is_in_arena(memory)) {
        size_t old_size;
        memcpy(&old_size, (unsigned char *)memory - 16, sizeof old_size);
        void *moved = record_next.malloc(size);
        if (moved) memcpy(moved, memory, old_size < size ? old_size : size);
        return moved;
    }
    bool was_recorded = forget(memory);
    void *resized = record_next.realloc(memory, size);
    if (resized && size >= record_setting.minimum) {
        remember(resized, size, 0, site);
    } else if (!resized && size != 0 && was_recorded) {
        /* The old block lives on. Its size as asked for is not known any more; what it has room for is. */
        int saved = errno;
        remember(memory, record_next.malloc_usable_size(memory), 0, site);
        errno = saved;
    }
    return resized;
}

EXPORTED void *realloc(void *memory, size_t size) { return resize(memory, size, RECORD_SITE()); }

EXPORTED void *reallocarray(void *memory, size_t count, size_t size) {
    size_t total;
    if (__builtin_mul_overflow(count, size, &total)) {
        errno = ENOMEM;
        return NULL;
    }
    return resize(memory, total, RECORD_SITE());
}

EXPORTED int posix_memalign(void **out_memory, size_t alignment, size_t size) {
    int result = record_next.posix_memalign(out_memory, alignment, size);
    if (result == 0 && size >= record_setting.minimum) remember(*out_memory, size, alignment, RECORD_SITE());
    return result;
}

EXPORTED void *aligned_alloc(size_t alignment, size_t size) {
    void *memory = record_next.aligned_alloc(alignment, size);
    if (size >= record_setting.minimum) remember(memory, size, alignment, RECORD_SITE());
    return memory;
}

EXPORTED void *memalign(size_t alignment, size_t size) {
    void *memory = record_next.memalign(alignment, size);
    if (size >= record_setting.minimum) remember(memory, size, alignment, RECORD_SITE());
    return memory;
}

EXPORTED void *valloc(size_t size) {
    void *memory = record_next.valloc(size);
    if (size >= record_setting.minimum) remember(memory, size, RECORD_PAGE, RECORD_SITE());
    return memory;
}

EXPORTED void *pvalloc(size_t size) {
    void *memory = record_next.pvalloc(size);
    if (size >= record_setting.minimum) remember(memory, size, RECORD_PAGE, RECORD_SITE());
    return memory;
}
