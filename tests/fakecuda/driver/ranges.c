/* Addresses: every range that the driver has given out, sorted, and how the driver itself reaches the bytes behind them. Device
 * memory cannot be reached at its own addresses but by a kernel that runs; a program that tries is stopped by the hardware. Freed
 * addresses stay out of reach for a while, so that a late use is found instead of hitting what came after. */
#include "state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static fake_range **ranges;
static size_t count;

enum { REMEMBERED = 64 };
static struct {
    char *base;
    size_t size;
} freed[REMEMBERED];
static size_t next_freed;

/* The first range that ends behind the address. */
static size_t position_of(CUdeviceptr address) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ranges[middle]->start + ranges[middle]->size > address) high = middle;
        else low = middle + 1;
    }
    return low;
}

fake_range *range_find(CUdeviceptr address) {
    size_t at = position_of(address);
    return at < count && ranges[at]->start <= address ? ranges[at] : NULL;
}

fake_range *range_make(range_kind kind, fake_device *on, CUdeviceptr start, size_t size) {
    fake_range *made = obtain(sizeof *made);
    *made = (fake_range){
        .kind = kind, .on = on, .start = start, .size = size, .id = ++the_driver.next_id, .is_ready = true};
    size_t at = position_of(start);
    ranges = grow(ranges, count, sizeof(fake_range *));
    memmove(ranges + at + 1, ranges + at, (count - at) * sizeof(fake_range *));
    ranges[at] = made;
    count++;
    return made;
}

fake_range **range_list(size_t *out_count) {
    *out_count = count;
    return ranges;
}

char *addresses_take(size_t size, size_t alignment, char **base, size_t *base_size) {
    if (alignment < PAGE) alignment = PAGE;
    size_t whole = (size + PAGE - 1) / PAGE * PAGE + alignment + PAGE;
    if (whole < size) return NULL;
    char *taken = mmap(NULL, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (taken == MAP_FAILED) return NULL;
    *base = taken;
    *base_size = whole;
    return (char *)(((uintptr_t)taken + PAGE + alignment - 1) / alignment * alignment);
}

/* Puts nothing behind addresses that had something. */
static void clear(char *start, size_t size) {
    if (mmap(start, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != MAP_FAILED)
        return;
    perror("fakecuda: mmap");
    abort();
}

void addresses_give(char *base, size_t base_size) {
    clear(base, base_size);
    if (freed[next_freed].base != NULL) munmap(freed[next_freed].base, freed[next_freed].size);
    freed[next_freed].base = base;
    freed[next_freed].size = base_size;
    next_freed = (next_freed + 1) % REMEMBERED;
}

bool range_was_freed(CUdeviceptr address) {
    for (size_t i = 0; i < REMEMBERED; i++)
        if (freed[i].base != NULL && address - (CUdeviceptr)(uintptr_t)freed[i].base < freed[i].size) return true;
    return false;
}

static char *pages_of(const fake_range *range, size_t *size) {
    uintptr_t start = (uintptr_t)range->start / PAGE * PAGE;
    *size = ((uintptr_t)range->start + range->size - start + PAGE - 1) / PAGE * PAGE;
    return (char *)start;
}

bool range_map(fake_range *range) {
    size_t size;
    char *start = pages_of(range, &size);
    unsigned long long offset = (range->memory->offset + range->memory_offset) / PAGE * PAGE;
    return mmap(start, size, PROT_NONE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, range->memory->file, (off_t)offset) !=
           MAP_FAILED;
}

bool range_open(fake_range *range) {
    size_t size;
    char *start = pages_of(range, &size);
    physical_alias(range->memory); /* its poison is laid before anybody reads */
    return range->open++ > 0 || mprotect(start, size, PROT_READ | PROT_WRITE) == 0;
}

void range_close(fake_range *range) {
    size_t size;
    char *start = pages_of(range, &size);
    if (--range->open == 0) mprotect(start, size, PROT_NONE);
}

/* Whether the bytes around an allocation inside its pages are as they were laid. */
static bool is_edge_whole(const fake_range *range) {
    const fake_physical *memory = range->memory;
    if (memory == NULL || !memory->is_touched || range->kind == RANGE_MAPPING || range->kind == RANGE_IMPORTED)
        return true;
    for (size_t i = 0; i < range->memory_offset; i++)
        if ((unsigned char)memory->alias[i] != 0xff) return false;
    for (size_t i = range->memory_offset + range->size; i < memory->size; i++)
        if ((unsigned char)memory->alias[i] != 0xff) return false;
    return true;
}

void range_end(fake_range *ended) {
    if (!is_edge_whole(ended))
        violation("bytes beside the %zu bytes at 0x%llx were written", ended->size, ended->start);
    size_t at = position_of(ended->start);
    count--;
    memmove(ranges + at, ranges + at + 1, (count - at) * sizeof(fake_range *));
    if (ended->kind == RANGE_MAPPING) {
        size_t size;
        char *start = pages_of(ended, &size);
        clear(start, size);
    }
    if (ended->base != NULL) addresses_give(ended->base, ended->base_size);
    if (ended->memory != NULL) physical_drop(ended->memory);
    free(ended);
}

void ranges_reset(void) {
    while (count > 0) {
        if (ranges[count - 1]->memory != NULL)
            ranges[count - 1]->memory->is_touched = false; /* nobody asks for its edges now */
        range_end(ranges[count - 1]);
    }
    free(ranges);
    ranges = NULL;
    for (size_t i = 0; i < REMEMBERED; i++) {
        if (freed[i].base != NULL) munmap(freed[i].base, freed[i].size);
        freed[i].base = NULL;
    }
}

static bool is_host(const fake_range *range) {
    return range->kind == RANGE_HOST || range->kind == RANGE_REGISTERED || range->kind == RANGE_MANAGED ||
           range->kind == RANGE_GLOBAL;
}

char *range_reach(const fake_context *context, CUdeviceptr address, size_t *size, bool writes, fake_physical **held) {
    const fake_range *range = range_find(address);
    *held = NULL;
    if (range == NULL) {
        if (!reservation_covers(address, 1) && !range_was_freed(address)) return (char *)(uintptr_t)address;
        violation("work uses 0x%llx, where no memory is (any more)", address);
        return NULL;
    }
    size_t left = (size_t)(range->start + range->size - address);
    if (*size > left) *size = left;
    if (is_host(range)) return (char *)(uintptr_t)address;
    if (!range->is_ready) {
        violation("work uses 0x%llx before its allocation has run", address);
        return NULL;
    }
    unsigned who = writes ? range->writers : range->readers;
    unsigned bits = 1u << context->on->ordinal | 1u << range->on->ordinal;
    if (range->kind != RANGE_DEVICE && (who & bits) == 0) {
        violation("device %d has no access to 0x%llx for %s", context->on->ordinal, address,
                  writes ? "writing" : "reading");
        return NULL;
    }
    physical_hold(range->memory);
    *held = range->memory;
    return physical_alias(range->memory) + range->memory_offset + (address - range->start);
}

CUresult range_check(CUdeviceptr address, size_t size, bool must_be_device) {
    if (address + size < address) return CUDA_ERROR_INVALID_VALUE;
    const fake_range *first = range_find(address);
    if (first == NULL) {
        if (!must_be_device && !reservation_covers(address, 1) && !range_was_freed(address)) return CUDA_SUCCESS;
        return VIOLATION(CUDA_ERROR_INVALID_VALUE, "0x%llx is no memory of a device", address);
    }
    for (const fake_range *range = first; size > 0; range = range_find(address)) {
        if (range == NULL || (range != first && range->kind != RANGE_MAPPING))
            return VIOLATION(CUDA_ERROR_INVALID_VALUE, "the bytes before 0x%llx are the last of their allocation",
                             address);
        if (range->is_freed) return VIOLATION(CUDA_ERROR_INVALID_VALUE, "0x%llx is freed", address);
        size_t left = (size_t)(range->start + range->size - address);
        address += left < size ? left : size;
        size -= left < size ? left : size;
    }
    return CUDA_SUCCESS;
}

bool range_is_pinned(CUdeviceptr address) { return range_find(address) != NULL; }
