/* mmap, munmap and mremap, as the program sees them.
 *
 * Recorded are anonymous mappings of some size that can be read or written: memory that a program takes from the kernel itself.
 * What malloc maps for its own use never comes by here, because libc calls itself directly. Address space that is only
 * reserved (PROT_NONE) is not memory; the parts that are mapped over it later are. A program may unmap any
 * part of what it mapped: the block is then freed, and what is left of it is recorded as one or two new ones. */
#include "record.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include <sys/mman.h>

#define EXPORTED __attribute__((visibility("default")))

static uintptr_t end_of(uintptr_t start, size_t length) {
    uintptr_t end = (start + length + RECORD_PAGE - 1) & ~(uintptr_t)(RECORD_PAGE - 1);
    return end < start ? UINTPTR_MAX : end;
}

/* The first mapping that ends after `address`. Must be called with mapping_lock held. */
static size_t first_after(const record_recorder *recorder, size_t count, uintptr_t address) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (recorder->mappings[middle].end > address) high = middle;
        else low = middle + 1;
    }
    return low;
}

/* Puts `added` mappings in the place of `removed` ones at `place`. Must be called with mapping_lock held. */
static bool replace(record_recorder *recorder, size_t place, size_t removed, const record_mapping *mappings,
                    size_t added) {
    size_t count = atomic_load_explicit(&recorder->mapping_count, memory_order_relaxed);
    if (count - removed + added > RECORD_MAPPINGS) return false;
    memmove(&recorder->mappings[place + added], &recorder->mappings[place + removed],
            (count - place - removed) * sizeof *mappings);
    if (added != 0) memcpy(&recorder->mappings[place], mappings, added * sizeof *mappings);
    atomic_store_explicit(&recorder->mapping_count, count - removed + added, memory_order_relaxed);
    return true;
}

static void remember(uintptr_t start, size_t length, uintptr_t site) {
    if (length < record_setting.mapping_minimum || !record_is_on()) return;
    record_recorder *recorder = record_state;
    uintptr_t stack = record_stack_of(site);
    const record_mapping mapping = {start, end_of(start, length)};
    record_lock_take(&recorder->mapping_lock);
    size_t count = atomic_load_explicit(&recorder->mapping_count, memory_order_relaxed);
    if (replace(recorder, first_after(recorder, count, start), 0, &mapping, 1)) record_emit(start, length, 0, stack);
    record_lock_drop(&recorder->mapping_lock);
}

/* Frees what is recorded of a range that is about to go; what the range leaves of a block is recorded anew. True when there was
 * something. */
static bool forget(uintptr_t start, size_t length, uintptr_t site) {
    record_recorder *recorder = record_state;
    if (record_setting.mapping_minimum == SIZE_MAX || !record_is_on()) return false;
    if (atomic_load_explicit(&recorder->mapping_count, memory_order_relaxed) == 0) return false;
    uintptr_t end = end_of(start, length);
    record_lock_take(&recorder->mapping_lock);
    size_t count = atomic_load_explicit(&recorder->mapping_count, memory_order_relaxed);
    size_t first = first_after(recorder, count, start), last = first;
    record_mapping left[2];
    size_t left_count = 0;
    for (; last < count && recorder->mappings[last].start < end; last++) {
        record_mapping mapping = recorder->mappings[last];
        record_emit(mapping.start, 0, 0, 0);
        if (mapping.start < start) left[left_count++] = (record_mapping){mapping.start, start};
        if (mapping.end > end) left[left_count++] = (record_mapping){end, mapping.end};
    }
    bool found = last != first;
    if (found) {
        if (!replace(recorder, first, last - first, left, left_count)) left_count = 0;
        for (size_t i = 0; i < left_count; i++) {
            record_emit(left[i].start, left[i].end - left[i].start, 0, record_stack_of(site));
        }
    }
    record_lock_drop(&recorder->mapping_lock);
    return found;
}

static void *map(void *address, size_t length, int protection, int flags, int file, off_t offset, uintptr_t site) {
    /* A fixed mapping takes away what lay there. */
    bool replaces = (flags & MAP_FIXED) != 0 && (flags & MAP_FIXED_NOREPLACE) != MAP_FIXED_NOREPLACE;
    if (replaces) forget((uintptr_t)address, length, site);
    void *memory = record_next.mmap(address, length, protection, flags, file, offset);
    bool is_memory = (flags & MAP_ANONYMOUS) != 0 && (protection & (PROT_READ | PROT_WRITE)) != 0;
    if (memory != MAP_FAILED && is_memory) remember((uintptr_t)memory, length, site);
    return memory;
}

EXPORTED void *mmap(void *address, size_t length, int protection, int flags, int file, off_t offset) {
    return map(address, length, protection, flags, file, offset, RECORD_SITE());
}

EXPORTED void *mmap64(void *address, size_t length, int protection, int flags, int file, off64_t offset) {
    return map(address, length, protection, flags, file, offset, RECORD_SITE());
}

EXPORTED int munmap(void *address, size_t length) {
    bool is_valid = (uintptr_t)address % RECORD_PAGE == 0 && length != 0;
    bool found = is_valid && forget((uintptr_t)address, length, RECORD_SITE());
    int result = record_next.munmap(address, length);
    if (result != 0 && found) remember((uintptr_t)address, length, RECORD_SITE());
    return result;
}

EXPORTED void *mremap(void *old_address, size_t old_length, size_t new_length, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    void *wanted = (flags & MREMAP_FIXED) != 0 ? va_arg(arguments, void *) : NULL;
    va_end(arguments);
    record_find_functions();
    if (wanted) forget((uintptr_t)wanted, new_length, RECORD_SITE());
    /* An old length of 0 makes a second view of shared memory and leaves the first. */
    bool found = old_length != 0 && forget((uintptr_t)old_address, old_length, RECORD_SITE());
    void *memory = record_next.mremap(old_address, old_length, new_length, flags, wanted);
    if (found && memory != MAP_FAILED) remember((uintptr_t)memory, new_length, RECORD_SITE());
    else if (found) remember((uintptr_t)old_address, old_length, RECORD_SITE());
    return memory;
}
