/* Memory and events of other processes. A handle says which descriptor of which process holds the bytes; the other process opens
 * it by way of /proc, as long as the first one lives. */
#include "state.h"

#include "share.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

typedef struct fake_state {
    _Atomic unsigned long long recorded, done;
} fake_state;

struct shared_event {
    int file;
    fake_state *state;
    unsigned references;
};

/* What stands in the 64 bytes of a handle. */
typedef struct fake_ticket {
    char magic[8];
    int process;
    int file;
    unsigned long long offset; /* of the memory in the file */
    unsigned long long begin;  /* of the allocation in the memory */
    unsigned long long size;   /* of the allocation */
} fake_ticket;
static const char memory_magic[8] = "fakemem", event_magic[8] = "fakeevt";
_Static_assert(sizeof(fake_ticket) <= sizeof(CUipcMemHandle), "a ticket fits into a handle");

static int open_ticket(const fake_ticket *ticket) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", ticket->process, ticket->file);
    return open(path, O_RDWR | O_CLOEXEC);
}

static shared_event *shared_event_over(int file) {
    void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (page == MAP_FAILED) {
        close(file);
        return NULL;
    }
    shared_event *made = obtain(sizeof *made);
    *made = (shared_event){file, page, 1};
    return made;
}

shared_event *shared_event_make(void) {
    int file = memfd_create("fakecuda-event", MFD_CLOEXEC);
    if (file < 0) return NULL;
    if (ftruncate(file, PAGE) == 0) return shared_event_over(file);
    close(file);
    return NULL;
}

shared_event *shared_event_hold(shared_event *shared) {
    if (shared != NULL) shared->references++;
    return shared;
}

void shared_event_drop(shared_event *shared) {
    if (shared == NULL || --shared->references > 0) return;
    munmap(shared->state, PAGE);
    close(shared->file);
    free(shared);
}

unsigned long long shared_event_next(shared_event *shared) { return atomic_fetch_add(&shared->state->recorded, 1) + 1; }
unsigned long long shared_event_last(const shared_event *shared) { return atomic_load(&shared->state->recorded); }

bool shared_event_is_done(const shared_event *shared, unsigned long long number) {
    return atomic_load(&shared->state->done) >= number;
}

void shared_event_signal(shared_event *shared, unsigned long long number) {
    unsigned long long done = atomic_load(&shared->state->done);
    while (done < number && !atomic_compare_exchange_weak(&shared->state->done, &done, number)) {}
}

void shared_event_await(shared_event *shared, unsigned long long number) {
    shared_event_hold(shared);
    while (!shared_event_is_done(shared, number) && !the_driver.is_exiting) {
        pthread_mutex_unlock(&the_driver.lock);
        const struct timespec pause = {0, 200000};
        nanosleep(&pause, NULL);
        pthread_mutex_lock(&the_driver.lock);
    }
    shared_event_drop(shared);
}

static void write_ticket(void *out, const char *kind, const fake_range *range, int file) {
    fake_ticket ticket = {.process = getpid(), .file = file};
    memcpy(ticket.magic, kind, sizeof ticket.magic);
    if (range != NULL) {
        ticket.offset = range->memory->offset;
        ticket.begin = range->memory_offset;
        ticket.size = range->size;
    }
    memset(out, 0, sizeof(CUipcMemHandle));
    memcpy(out, &ticket, sizeof ticket);
}

static CUresult read_ticket(fake_ticket *ticket, const void *in, const char *kind) {
    memcpy(ticket, in, sizeof *ticket);
    if (memcmp(ticket->magic, kind, sizeof ticket->magic) != 0) return CUDA_ERROR_INVALID_HANDLE;
    /* A process does not open what it has itself. */
    return ticket->process == getpid() ? CUDA_ERROR_INVALID_CONTEXT : CUDA_SUCCESS;
}

/* The range of another process's memory, new or opened again. */
static CUresult open_memory(CUdeviceptr *pointer, const void *handle) {
    fake_ticket ticket;
    CUresult result = read_ticket(&ticket, handle, memory_magic);
    if (result != CUDA_SUCCESS) return result;
    int file = open_ticket(&ticket);
    if (file < 0) return CUDA_ERROR_MAP_FAILED;
    fake_physical *memory = lseek(file, (off_t)ticket.offset, SEEK_SET) >= 0 ? physical_import(file) : NULL;
    close(file);
    if (memory == NULL) return CUDA_ERROR_INVALID_HANDLE;
    char *base;
    size_t base_size;
    char *start = addresses_take(memory->size, PAGE, &base, &base_size);
    if (start == NULL) {
        physical_drop(memory);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    fake_context *owner = context_current();
    fake_range *made = range_make(RANGE_IMPORTED, owner->on, (CUdeviceptr)(uintptr_t)start + ticket.begin, ticket.size);
    made->memory_offset = ticket.begin;
    made->owner = owner;
    made->memory = memory;
    made->base = base;
    made->base_size = base_size;
    made->readers = made->writers = ~0u;
    *pointer = made->start;
    if (range_map(made)) return CUDA_SUCCESS;
    range_end(made);
    return CUDA_ERROR_MAP_FAILED;
}

static CUresult give_memory(void *handle, CUdeviceptr pointer, range_kind kind) {
    const fake_range *range = range_find(pointer);
    if (handle == NULL || range == NULL || range->kind != kind || range->is_freed) return CUDA_ERROR_INVALID_VALUE;
    int file = physical_export(range->memory); /* leaves the record that an importer reads */
    if (file < 0) return CUDA_ERROR_OPERATING_SYSTEM;
    close(file);
    write_ticket(handle, memory_magic, range, range->memory->file);
    return CUDA_SUCCESS;
}

CUresult cuIpcGetMemHandle(CUipcMemHandle *handle, CUdeviceptr pointer) {
    ENTER(cuIpcGetMemHandle);
    LEAVE(give_memory(handle, pointer, RANGE_DEVICE));
}

CUresult cuIpcOpenMemHandle_v2(CUdeviceptr *pointer, CUipcMemHandle handle, unsigned int flags) {
    ENTER(cuIpcOpenMemHandle_v2);
    if (pointer == NULL || flags != CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS) LEAVE(CUDA_ERROR_INVALID_VALUE);
    LEAVE(open_memory(pointer, handle.reserved));
}

CUresult cuIpcCloseMemHandle(CUdeviceptr pointer) {
    ENTER(cuIpcCloseMemHandle);
    fake_range *range = range_find(pointer);
    if (range == NULL || range->kind != RANGE_IMPORTED)
        LEAVE(VIOLATION(CUDA_ERROR_INVALID_VALUE, "0x%llx was not opened from another process", pointer));
    tasks_wait_all(range->owner);
    range_end(range);
    LEAVE(CUDA_SUCCESS);
}

CUresult cuIpcGetEventHandle(CUipcEventHandle *handle, CUevent event_handle) {
    ENTER(cuIpcGetEventHandle);
    const fake_event *event = handle_object(HANDLE_EVENT, event_handle);
    if (event == NULL) LEAVE(CUDA_ERROR_INVALID_HANDLE);
    if (handle == NULL || event->shared == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    write_ticket(handle, event_magic, NULL, event->shared->file);
    LEAVE(CUDA_SUCCESS);
}

CUresult cuIpcOpenEventHandle(CUevent *out, CUipcEventHandle handle) {
    ENTER(cuIpcOpenEventHandle);
    if (out == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    fake_ticket ticket;
    CUresult result = read_ticket(&ticket, handle.reserved, event_magic);
    if (result != CUDA_SUCCESS) LEAVE(result);
    int file = open_ticket(&ticket);
    shared_event *shared = file >= 0 ? shared_event_over(file) : NULL;
    if (shared == NULL) LEAVE(CUDA_ERROR_MAP_FAILED);
    fake_event *made = obtain(sizeof *made);
    made->in = context_current();
    made->flags = CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS;
    made->references = 1;
    made->shared = shared;
    made->handle = *out = handle_make(HANDLE_EVENT, made);
    LEAVE(CUDA_SUCCESS);
}

CUresult cuMemPoolExportPointer(CUmemPoolPtrExportData *data, CUdeviceptr pointer) {
    ENTER(cuMemPoolExportPointer);
    LEAVE(give_memory(data, pointer, RANGE_POOLED));
}

CUresult cuMemPoolImportPointer(CUdeviceptr *pointer, CUmemoryPool pool_handle, CUmemPoolPtrExportData *data) {
    ENTER(cuMemPoolImportPointer);
    const fake_pool *pool = handle_object(HANDLE_POOL, pool_handle);
    if (pointer == NULL || data == NULL || pool == NULL || !pool->is_imported) LEAVE(CUDA_ERROR_INVALID_VALUE);
    if (context_current() == NULL) LEAVE(CUDA_ERROR_INVALID_CONTEXT);
    LEAVE(open_memory(pointer, data));
}
