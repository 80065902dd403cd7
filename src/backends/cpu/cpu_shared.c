/* Memory of the cpu device that other processes can be given: one file in memory (memfd) for each allocation, mapped by everybody.
 *
 * The file is sealed so that nobody can cut it short under a mapping, which would end a process that reads it with a signal; an
 * import asks for that seal. When its owner gives it back, it is sealed against new mappings that write: the kernel itself keeps the
 * note that it is over, for whoever still holds a descriptor. Pages are small, see README.md. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/cpu/cpu_internal.h"
#include "base/checked.h"
#include "base/memory.h"

#define SIZE_SEALS (F_SEAL_SHRINK | F_SEAL_GROW)

/* Linux 5.1; older headers lack it, and older kernels refuse it. */
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

/* An allocation of this process. */
typedef struct shared_file {
    base_range range; /* the first member: a range is cast back to its file */
    int descriptor;
} shared_file;

/* A sealed file of that size, or -1 with errno. */
static int create_file(size_t size) {
    int descriptor = memfd_create("tarn", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (descriptor < 0) return -1;
    if (ftruncate(descriptor, (off_t)size) == 0 && fcntl(descriptor, F_ADD_SEALS, SIZE_SEALS) == 0) return descriptor;
    int error = errno;
    close(descriptor);
    errno = error;
    return -1;
}

/* NULL, with errno. */
static void *map_file(int descriptor, size_t size, size_t alignment) {
    void *place = cpu_reserve_aligned(size, alignment);
    if (place == NULL) return NULL;
    void *address = mmap(place, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, descriptor, 0);
    if (address != MAP_FAILED) return address;
    int error = errno;
    munmap(place, size);
    errno = error;
    return NULL;
}

static void remember(tarn_backend_device *device, shared_file *file) {
    pthread_mutex_lock(&device->virtual_lock);
    base_range_insert(&device->shared, &file->range);
    pthread_mutex_unlock(&device->virtual_lock);
}

tarn_status cpu_shared_allocate(tarn_backend_device *device, size_t pages, size_t alignment, void **out_address) {
    shared_file *file = base_allocate(1, sizeof *file);
    if (file == NULL) return cpu_fail(TARN_OUT_OF_MEMORY, "no host memory to describe shared memory");
    file->descriptor = create_file(pages);
    void *address = file->descriptor >= 0 ? map_file(file->descriptor, pages, alignment) : NULL;
    if (address == NULL) {
        int error = errno;
        tarn_status status = cpu_fail_memory(file->descriptor >= 0 ? "mmap" : "memfd_create", pages, error);
        if (file->descriptor >= 0) close(file->descriptor);
        base_free(file);
        return status;
    }
    file->range = (base_range){.start = (uintptr_t)address, .size = pages};
    remember(device, file);
    *out_address = address;
    return TARN_OK;
}

tarn_status cpu_shared_free(tarn_backend_device *device, void *address, size_t pages) {
    pthread_mutex_lock(&device->virtual_lock);
    shared_file *file = (shared_file *)(void *)base_range_remove(&device->shared, (uintptr_t)address);
    pthread_mutex_unlock(&device->virtual_lock);
    if (munmap(address, pages) != 0) {
        tarn_status status = cpu_fail_memory("munmap", pages, errno);
        remember(device, file);
        return status;
    }
    /* An old kernel refuses: then nobody is told that the owner is done. */
    (void)fcntl(file->descriptor, F_ADD_SEALS, F_SEAL_FUTURE_WRITE);
    close(file->descriptor);
    base_free(file);
    return TARN_OK;
}

void cpu_shared_end(tarn_backend_device *device) {
    while (device->shared != NULL) {
        shared_file *file = (shared_file *)(void *)base_range_remove(&device->shared, device->shared->start);
        munmap((void *)file->range.start, file->range.size); /* NOLINT(performance-no-int-to-ptr) */
        close(file->descriptor);
        base_free(file);
    }
}

static tarn_status memory_export(tarn_backend_device *device, void *address, size_t size, int *out_descriptor) {
    (void)size;
    pthread_mutex_lock(&device->virtual_lock);
    const shared_file *file = (const shared_file *)(const void *)base_range_find(device->shared, (uintptr_t)address);
    int descriptor = fcntl(file->descriptor, F_DUPFD_CLOEXEC, 0);
    int error = errno;
    pthread_mutex_unlock(&device->virtual_lock);
    if (descriptor < 0) return cpu_fail(TARN_OUT_OF_MEMORY, "no descriptor for shared memory: %s", strerror(error));
    *out_descriptor = descriptor;
    return TARN_OK;
}

/* OK for the file of an allocation of `pages` bytes. */
static tarn_status check_file(int descriptor, size_t pages) {
    struct stat file;
    int seals = fcntl(descriptor, F_GET_SEALS);
    if (seals < 0 || fstat(descriptor, &file) != 0) {
        return cpu_fail(TARN_INVALID_ARGUMENT, "descriptor %d is not one of shared memory: %s", descriptor,
                        strerror(errno));
    }
    if ((seals & SIZE_SEALS) != SIZE_SEALS) {
        return cpu_fail(TARN_INVALID_ARGUMENT, "descriptor %d is of memory whose size another process could change",
                        descriptor);
    }
    if (file.st_size < 0 || (uintmax_t)file.st_size != pages) {
        return cpu_fail(TARN_INVALID_ARGUMENT, "descriptor %d is of %jd bytes of memory, and %zu are expected",
                        descriptor, (intmax_t)file.st_size, pages);
    }
    if ((seals & F_SEAL_FUTURE_WRITE) == 0) return TARN_OK;
    return cpu_fail(TARN_INVALID_STATE, "the memory of descriptor %d was freed by the process that exported it",
                    descriptor);
}

static tarn_status memory_import(tarn_backend_device *device, int descriptor, size_t size, size_t alignment,
                                 void **out_address) {
    size_t pages;
    if (!checked_round_up(size, device->page_size, &pages)) {
        return cpu_fail(TARN_INVALID_ARGUMENT, "%zu bytes are no size of shared memory", size);
    }
    tarn_status status = check_file(descriptor, pages);
    if (status != TARN_OK) return status;
    void *address = map_file(descriptor, pages, alignment > device->page_size ? alignment : device->page_size);
    if (address == NULL) return cpu_fail_memory("mmap", pages, errno);
    *out_address = address;
    return TARN_OK;
}

static tarn_status memory_close(tarn_backend_device *device, void *address, size_t size) {
    size_t pages = round_up(size, device->page_size);
    return munmap(address, pages) == 0 ? TARN_OK : cpu_fail_memory("munmap", pages, errno);
}

const tarn_backend_interprocess cpu_interprocess = {
    .struct_size = sizeof(tarn_backend_interprocess),
    .memory_export = memory_export,
    .memory_import = memory_import,
    .memory_close = memory_close,
};
