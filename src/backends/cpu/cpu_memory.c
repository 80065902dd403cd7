/* Plain memory of the cpu device: one mapping for each allocation, of huge pages from 2 MiB on. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <tarn/size.h>

#include "backends/cpu/cpu_internal.h"
#include "base/checked.h"

tarn_status cpu_charge(tarn_backend_device *device, size_t bytes) {
    uint64_t used = atomic_load_explicit(&device->used, memory_order_relaxed);
    do {
        if (bytes > device->capacity || used > device->capacity - bytes) {
            char asked[TARN_SIZE_TEXT], capacity[TARN_SIZE_TEXT], in_use[TARN_SIZE_TEXT];
            return cpu_fail(TARN_OUT_OF_MEMORY, "%s asked, capacity %s, %s in use", tarn_size_format(bytes, asked),
                            tarn_size_format(device->capacity, capacity), tarn_size_format(used, in_use));
        }
    } while (!atomic_compare_exchange_weak_explicit(&device->used, &used, used + bytes, memory_order_relaxed,
                                                    memory_order_relaxed));
    return TARN_OK;
}

void cpu_discharge(tarn_backend_device *device, size_t bytes) {
    atomic_fetch_sub_explicit(&device->used, bytes, memory_order_relaxed);
}

static unsigned long count_mappings(void) {
    unsigned long count = 0;
    FILE *stream = fopen("/proc/self/maps", "re");
    if (stream == NULL) return 0;
    for (int character = getc(stream); character != EOF; character = getc(stream)) count += character == '\n';
    fclose(stream);
    return count;
}

static unsigned long largest_mapping_count(void) {
    unsigned long count = 0;
    FILE *stream = fopen("/proc/sys/vm/max_map_count", "re");
    if (stream == NULL) return 0;
    if (fscanf(stream, "%lu", &count) != 1) count = 0;
    fclose(stream);
    return count;
}

tarn_status cpu_fail_memory(const char *call, size_t size, int error) {
    char text[TARN_SIZE_TEXT];
    tarn_size_format(size, text);
    if (error != ENOMEM) return cpu_fail(TARN_OUT_OF_MEMORY, "%s of %s failed: %s", call, text, strerror(error));
    return cpu_fail(TARN_OUT_OF_MEMORY,
                    "%s of %s failed: %s; this process has %lu mappings, and vm.max_map_count is %lu", call, text,
                    strerror(error), count_mappings(), largest_mapping_count());
}

void *cpu_reserve_aligned(size_t size, size_t alignment) {
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    size_t room;
    char *address = mmap(NULL, size, PROT_NONE, flags, -1, 0);
    if (address == MAP_FAILED) return NULL;
    if (((uintptr_t)address & (alignment - 1)) == 0) return address;
    munmap(address, size);

    /* More than is needed, and the ends cut off. */
    if (!checked_add(size, alignment, &room)) {
        errno = ENOMEM;
        return NULL;
    }
    address = mmap(NULL, room, PROT_NONE, flags, -1, 0);
    if (address == MAP_FAILED) return NULL;
    size_t before = round_up((uintptr_t)address, alignment) - (uintptr_t)address;
    if (before > 0) munmap(address, before);
    if (room - before > size) munmap(address + before + size, room - before - size);
    return address + before;
}

/* Writable memory of whole pages. NULL, with errno. */
static void *map_pages(size_t size, size_t alignment) {
    void *address = cpu_reserve_aligned(size, alignment);
    if (address == NULL) return NULL;
    if (size >= CPU_GRANULE) madvise(address, size, MADV_HUGEPAGE); /* a hint: without it there are small pages */
    if (mprotect(address, size, PROT_READ | PROT_WRITE) == 0) return address;
    int error = errno;
    munmap(address, size);
    errno = error;
    return NULL;
}

static tarn_status allocate_private(size_t pages, size_t alignment, void **out_address) {
    *out_address = map_pages(pages, alignment);
    return *out_address != NULL ? TARN_OK : cpu_fail_memory("mmap", pages, errno);
}

tarn_status cpu_memory_allocate(tarn_backend_device *device, tarn_memory_kind kind, size_t size, size_t alignment,
                                void **out_address) {
    size_t pages;
    if (!checked_round_up(size, device->page_size, &pages)) {
        return cpu_fail(TARN_OUT_OF_MEMORY, "%zu bytes do not fit into the address space", size);
    }
    tarn_status status = cpu_charge(device, pages);
    if (status != TARN_OK) return status;
    size_t least = size >= CPU_GRANULE ? CPU_GRANULE : device->page_size;
    if (alignment < least) alignment = least;
    void *address;
    /* All kinds are the host's memory. */
    status = kind == TARN_MEMORY_SHARED ? cpu_shared_allocate(device, pages, alignment, &address)
                                        : allocate_private(pages, alignment, &address);
    if (status == TARN_OK) *out_address = address;
    else cpu_discharge(device, pages);
    return status;
}

static tarn_status free_private(void *address, size_t pages) {
    return munmap(address, pages) == 0 ? TARN_OK : cpu_fail_memory("munmap", pages, errno);
}

tarn_status cpu_memory_free(tarn_backend_device *device, tarn_memory_kind kind, void *address, size_t size) {
    size_t pages = round_up(size, device->page_size);
    tarn_status status =
        kind == TARN_MEMORY_SHARED ? cpu_shared_free(device, address, pages) : free_private(address, pages);
    if (status == TARN_OK) cpu_discharge(device, pages);
    return status;
}
