/* Memory between processes. A handle is plain bytes that go through any pipe: for memory of the kind `shared`, Tarn's export and the number
 * of the descriptor in this process, which the other one fetches; for memory of cuMemAlloc, the driver's own handle. What was shared
 * keeps its descriptor until it is freed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <tarn/interprocess.h>

#include "base/memory.h"
#include "torch/state.h"

typedef enum handle_kind { BY_DESCRIPTOR = 1, BY_DRIVER } handle_kind;

typedef struct driver_handle {
    char bytes[64];
} driver_handle;

/* As it travels. */
typedef struct handle {
    char magic[8];
    int32_t kind, process;
    tarn_exported_buffer exported; /* BY_DESCRIPTOR; the descriptor is the other process's */
    driver_handle of_driver;       /* BY_DRIVER, of the whole allocation */
} handle;
_Static_assert(sizeof(handle) <= TARN_TORCH_HANDLE_SIZE, "a handle fits");

static const char magic[8] = "tarn.t1";

/* Memory of this process that others may open. */
typedef struct shared_memory {
    handle given;
    uint64_t offset; /* of the pointer in what the handle opens */
} shared_memory;

/* Memory of another process. The driver opens an allocation once, whoever asks how often. */
typedef struct opened_memory {
    handle given;
    char bytes[sizeof(handle)]; /* the same, as it came */
    tarn_buffer *buffer;        /* NULL: the driver's */
    void *pointer;
    unsigned users;
    struct opened_memory *next;
} opened_memory;

static pthread_mutex_t share_lock = PTHREAD_MUTEX_INITIALIZER; /* protects what follows */
static pointer_table shares;                                   /* shared_memory by pointer */
static opened_memory *opens;
static atomic_size_t share_count; /* of `shares`. Relaxed: who frees a pointer has shared it before */

void torch_share_hold(bool is_held) {
    if (is_held) pthread_mutex_lock(&share_lock);
    else pthread_mutex_unlock(&share_lock);
}

/* Giving. */

static tarn_status share_by_driver(const torch_device *device, const void *pointer, shared_memory *made) {
    int (*get_range)(uintptr_t * base, size_t * size, uintptr_t pointer) = NULL;
    int (*get_handle)(driver_handle * handle, uintptr_t pointer) = NULL;
    uintptr_t base = 0;
    size_t size;
    if (tarn_device_type_of(device->device) == TARN_DEVICE_CUDA &&
        torch_driver_find("cuMemGetAddressRange_v2", &get_range) &&
        torch_driver_find("cuIpcGetMemHandle", &get_handle) && get_range(&base, &size, (uintptr_t)pointer) == 0 &&
        get_handle(&made->given.of_driver, base) == 0) {
        made->given.kind = BY_DRIVER;
        made->offset = (uintptr_t)pointer - base;
        return TARN_OK;
    }
    return torch_fail(
        TARN_NOT_SUPPORTED,
        "device %d: another process can be given memory of the kind 'shared' and of cuMemAlloc, and %p is of "
        "neither: take a stack such as \"caching:kind=shared\" (TARN_TORCH_ALLOCATOR, tarn.torch.install)",
        device->number, pointer);
}

static tarn_status make_handle(const torch_device *device, const tarn_buffer *buffer, const void *pointer,
                               shared_memory *made) {
    handle *given = &made->given;
    memcpy(given->magic, magic, sizeof magic);
    given->process = (int32_t)getpid();
    given->exported.struct_size = sizeof given->exported;
    given->exported.descriptor = -1;
    tarn_status status = torch_answer(tarn_buffer_export(buffer, &given->exported));
    if (status == TARN_OK) given->kind = BY_DESCRIPTOR;
    return status == TARN_NOT_SUPPORTED ? share_by_driver(device, pointer, made) : status;
}

/* Must be called with `share_lock` held. */
static tarn_status share(const torch_device *device, const tarn_buffer *buffer, const void *pointer,
                         shared_memory **out) {
    shared_memory *made = pointer_table_find(&shares, pointer);
    if (made != NULL) {
        *out = made;
        return TARN_OK;
    }
    made = base_allocate(1, sizeof *made);
    if (made == NULL) return torch_fail(TARN_OUT_OF_MEMORY, "no host memory for a handle");
    tarn_status status = make_handle(device, buffer, pointer, made);
    if (status == TARN_OK && !pointer_table_insert(&shares, pointer, made)) {
        tarn_exported_buffer_close(&made->given.exported);
        status = torch_fail(TARN_OUT_OF_MEMORY, "no host memory for a handle");
    }
    if (status != TARN_OK) {
        base_free(made);
        return status;
    }
    atomic_fetch_add_explicit(&share_count, 1, memory_order_relaxed);
    *out = made;
    return TARN_OK;
}

tarn_status tarn_torch_share(const void *pointer, void *out_handle, size_t *out_size, uint64_t *out_offset) {
    const tarn_buffer *buffer = torch_pointers_find(pointer);
    const torch_device *device = buffer != NULL ? torch_device_of(buffer) : NULL;
    if (device == NULL)
        return torch_fail(TARN_INVALID_ARGUMENT, "%p is no live address of the plug-in's, and is not shared", pointer);
    shared_memory *made = NULL;
    pthread_mutex_lock(&share_lock);
    tarn_status status = share(device, buffer, pointer, &made);
    if (made != NULL) {
        memcpy(out_handle, &made->given, sizeof made->given);
        *out_size = sizeof made->given;
        *out_offset = made->offset;
    }
    pthread_mutex_unlock(&share_lock);
    return status;
}

void torch_close_share(const void *pointer) {
    if (atomic_load_explicit(&share_count, memory_order_relaxed) == 0) return;
    pthread_mutex_lock(&share_lock);
    shared_memory *made = pointer_table_remove(&shares, pointer);
    if (made != NULL) {
        atomic_fetch_sub_explicit(&share_count, 1, memory_order_relaxed);
        /* A child of a fork has the descriptor too, and closes its own. */
        tarn_exported_buffer_close(&made->given.exported);
        base_free(made);
    }
    pthread_mutex_unlock(&share_lock);
}

/* Taking. */

/* A descriptor of another process's, opened here too; -1 with the system's reason. Systems without the call for it, and valgrind, have the file
 * behind the descriptor under /proc, which does for what is a file. */
static int fetch_descriptor(int process, int descriptor) {
    int fetched = -1, other = (int)syscall(SYS_pidfd_open, process, 0);
    if (other >= 0) {
        fetched = (int)syscall(SYS_pidfd_getfd, other, descriptor, 0);
        int reason = errno;
        close(other);
        errno = reason;
    }
    if (fetched >= 0 || errno != ENOSYS) return fetched;
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", process, descriptor);
    return open(path, O_RDWR | O_CLOEXEC);
}

static tarn_status open_by_descriptor(const torch_device *device, opened_memory *made) {
    tarn_exported_buffer exported = made->given.exported;
    exported.descriptor = fetch_descriptor(made->given.process, exported.descriptor);
    if (exported.descriptor < 0)
        return torch_fail(
            TARN_NOT_FOUND,
            "process %d does not give its memory: %s (it has ended, or kernel.yama.ptrace_scope forbids it)",
            (int)made->given.process, strerror(errno));
    tarn_status status = torch_answer(tarn_buffer_import(device->device, &exported, NULL, &made->buffer));
    tarn_exported_buffer_close(&exported);
    if (status == TARN_OK) made->pointer = tarn_buffer_data(made->buffer);
    return status;
}

static tarn_status open_by_driver(const torch_device *device, opened_memory *made) {
    int (*open_handle)(void **base, driver_handle handle, unsigned flags) = NULL;
    const unsigned with_peers = 1;
    int error = -1;
    if (tarn_device_type_of(device->device) == TARN_DEVICE_CUDA &&
        torch_driver_find("cuIpcOpenMemHandle_v2", &open_handle))
        error = open_handle(&made->pointer, made->given.of_driver, with_peers);
    if (error == 0) return TARN_OK;
    return torch_fail(TARN_INVALID_ARGUMENT, "device %d: the driver does not open memory of process %d: error %d",
                      device->number, (int)made->given.process, error);
}

/* Must be called with `share_lock` held. */
static tarn_status open_memory(const torch_device *device, const handle *given, const void *bytes,
                               opened_memory **out_memory) {
    opened_memory *made = opens;
    while (made != NULL && memcmp(made->bytes, bytes, sizeof made->bytes) != 0) made = made->next;
    if (made == NULL) {
        made = base_allocate(1, sizeof *made);
        if (made == NULL) return torch_fail(TARN_OUT_OF_MEMORY, "no host memory to open a handle");
        made->given = *given;
        memcpy(made->bytes, bytes, sizeof made->bytes);
        tarn_status status = given->kind == BY_DRIVER ? open_by_driver(device, made) : open_by_descriptor(device, made);
        if (status != TARN_OK) {
            base_free(made);
            return status;
        }
        made->next = opens;
        opens = made;
    }
    made->users++;
    *out_memory = made;
    return TARN_OK;
}

tarn_status tarn_torch_open_shared(int number, const void *bytes, size_t size, void **out_pointer) {
    handle given;
    torch_device *device;
    if (size != sizeof given || memcmp(bytes, magic, sizeof magic) != 0)
        return torch_fail(TARN_INVALID_ARGUMENT, "%zu bytes are no handle of memory that Tarn has shared", size);
    memcpy(&given, bytes, sizeof given);
    if (given.kind != BY_DESCRIPTOR && given.kind != BY_DRIVER)
        return torch_fail(TARN_INVALID_ARGUMENT, "a handle of Tarn's was changed on its way");
    tarn_status status = torch_device_open(number, &device);
    if (status != TARN_OK) return status;
    opened_memory *memory = NULL;
    pthread_mutex_lock(&share_lock);
    status = open_memory(device, &given, bytes, &memory);
    if (memory != NULL) *out_pointer = memory->pointer;
    pthread_mutex_unlock(&share_lock);
    return status;
}

static void close_memory(opened_memory *memory) {
    int (*close_handle)(void *base) = NULL;
    if (memory->buffer != NULL) {
        if (tarn_buffer_free(memory->buffer, NULL) != TARN_OK)
            torch_complain("closing memory of another process: %s", tarn_last_error());
    } else if (!torch_driver_find("cuIpcCloseMemHandle", &close_handle) || close_handle(memory->pointer) != 0) {
        torch_complain("the driver does not close memory of process %d", (int)memory->given.process);
    }
    base_free(memory);
}

void tarn_torch_close_shared(void *pointer) {
    opened_memory *over = NULL;
    pthread_mutex_lock(&share_lock);
    opened_memory **link = &opens;
    while (*link != NULL && (*link)->pointer != pointer) link = &(*link)->next;
    if (*link != NULL && --(*link)->users == 0) {
        over = *link;
        *link = over->next;
    }
    pthread_mutex_unlock(&share_lock);
    if (over != NULL) close_memory(over);
}
