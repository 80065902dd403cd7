/* Host functions: the pointers of malloc's kind that C libraries take, on an allocator of Tarn's.
 *
 * A table on the host says which buffer begins at a pointer, so that a pointer that was never handed out is recognised without
 * being followed, and nothing is written into the memory itself. Functions without a context are made eight times by one macro,
 * each with a slot of its own. */
#include <tarn/host_functions.h>

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include <tarn/size.h>

#include "base/checked.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/structure.h"
#include "memory/biased_lock.h"
#include "memory/fork.h"
#include "memory/pointer_table.h"
#include "memory/stack.h"

typedef struct host_functions {
    tarn_host_functions functions; /* the first member: it is cast back */
    tarn_allocator *allocator;     /* one reference */
    biased_lock lock;
    pointer_table table; /* the buffers by their addresses; protected by lock */
} host_functions;

static void *fail(int error) {
    errno = error;
    return NULL;
}

/* A function of a slot whose host functions were released. */
static void *refuse_slot(void) {
    (void)base_fail(TARN_INVALID_STATE, "the host functions that this function belonged to were released");
    base_log(TARN_LOG_ERROR, "%s", tarn_last_error());
    return fail(EINVAL);
}

/* malloc promises as much as any type of the language needs. */
#define LEAST_ALIGNMENT _Alignof(max_align_t)

static void *allocate_aligned(void *context, size_t alignment, size_t size) {
    host_functions *self = context;
    tarn_allocate_options options = {.struct_size = sizeof options,
                                     .alignment = alignment > LEAST_ALIGNMENT ? alignment : LEAST_ALIGNMENT};
    tarn_buffer *buffer;
    if (self == NULL) return refuse_slot();
    if (!is_power_of_two(alignment)) {
        (void)base_fail(TARN_INVALID_ARGUMENT, "an alignment of %zu bytes is not a power of two", alignment);
        return fail(EINVAL);
    }
    tarn_status status = tarn_allocator_allocate_with(self->allocator, size != 0 ? size : 1, &options, &buffer);
    if (status != TARN_OK) return fail(status == TARN_INVALID_ARGUMENT && size <= PTRDIFF_MAX ? EINVAL : ENOMEM);
    void *memory = tarn_buffer_data(buffer);
    biased_way way = biased_lock_enter(&self->lock);
    bool is_added = pointer_table_insert(&self->table, memory, buffer);
    biased_lock_leave(&self->lock, way);
    if (is_added) return memory;
    (void)tarn_buffer_free(buffer, NULL);
    (void)base_fail(TARN_OUT_OF_MEMORY, "no host memory to remember a pointer");
    return fail(ENOMEM);
}

static void *allocate(void *context, size_t size) { return allocate_aligned(context, LEAST_ALIGNMENT, size); }

static void *allocate_items(void *context, unsigned count, unsigned size) {
    return allocate(context, (size_t)count * size);
}

static void *allocate_zeroed(void *context, size_t count, size_t size) {
    size_t bytes;
    if (!checked_multiply(count, size, &bytes)) {
        (void)base_fail(TARN_INVALID_ARGUMENT, "%zu items of %zu bytes do not fit the address space", count, size);
        return fail(ENOMEM);
    }
    void *memory = allocate(context, bytes);
    if (memory != NULL) memset(memory, 0, bytes);
    return memory;
}

static tarn_buffer *find(host_functions *self, const void *memory) {
    if (self == NULL) return NULL;
    biased_way way = biased_lock_enter(&self->lock);
    tarn_buffer *buffer = pointer_table_find(&self->table, memory);
    biased_lock_leave(&self->lock, way);
    return buffer;
}

static size_t usable_size(void *context, const void *memory) { return tarn_buffer_capacity(find(context, memory)); }

/* There is no status to say it by. */
static void refuse_pointer(const host_functions *self, const char *what, const void *memory) {
    (void)base_fail(TARN_INVALID_ARGUMENT, "%s: %p, which is to be %s, is none of its pointers",
                    tarn_allocator_spec(self->allocator), memory, what);
    base_log(TARN_LOG_ERROR, "%s", tarn_last_error());
}

static void free_memory(void *context, void *memory) {
    host_functions *self = context;
    if (memory == NULL) return;
    if (self == NULL) {
        (void)refuse_slot();
        return;
    }
    biased_way way = biased_lock_enter(&self->lock);
    tarn_buffer *buffer = pointer_table_remove(&self->table, memory);
    biased_lock_leave(&self->lock, way);
    if (buffer == NULL) refuse_pointer(self, "freed", memory);
    else if (tarn_buffer_free(buffer, NULL) != TARN_OK) base_log(TARN_LOG_ERROR, "%s", tarn_last_error());
}

static void *reallocate(void *context, void *memory, size_t size) {
    host_functions *self = context;
    if (memory == NULL) return allocate(self, size);
    if (self == NULL) return refuse_slot();
    tarn_buffer *buffer = find(self, memory);
    size_t capacity = tarn_buffer_capacity(buffer);
    if (capacity == 0) {
        refuse_pointer(self, "reallocated", memory);
        return fail(EINVAL);
    }
    if (size == 0) {
        free_memory(self, memory);
        return NULL;
    }
    /* What is much too large moves, so that the rest can be used for something else. */
    if (size <= capacity && size >= capacity / 2) return memory;
    void *moved = allocate(self, size);
    if (moved == NULL) return NULL;
    memcpy(moved, memory, size < capacity ? size : capacity);
    free_memory(self, memory);
    return moved;
}

/* Slots for libraries without a context. */

static pthread_mutex_t slots_lock = PTHREAD_MUTEX_INITIALIZER;
/* Written with the lock held. Released when a slot is bound, and acquired by the functions, which take no lock. */
static _Atomic(host_functions *) slots[TARN_HOST_SLOTS];

#define SLOT(n)                                                                                                    \
    static void *allocate_##n(size_t size) { return allocate(slots[n], size); }                                    \
    static void *allocate_zeroed_##n(size_t count, size_t size) { return allocate_zeroed(slots[n], count, size); } \
    static void *reallocate_##n(void *memory, size_t size) { return reallocate(slots[n], memory, size); }          \
    static void free_##n(void *memory) { free_memory(slots[n], memory); }                                          \
    static size_t usable_size_##n(const void *memory) { return usable_size(slots[n], memory); }
SLOT(0)
SLOT(1)
SLOT(2)
SLOT(3)
SLOT(4)
SLOT(5)
SLOT(6)
SLOT(7)
#define SLOT_FUNCTIONS(n) \
    { sizeof(tarn_plain_functions), allocate_##n, allocate_zeroed_##n, reallocate_##n, free_##n, usable_size_##n }
static const tarn_plain_functions slot_functions[TARN_HOST_SLOTS] = {
    SLOT_FUNCTIONS(0), SLOT_FUNCTIONS(1), SLOT_FUNCTIONS(2), SLOT_FUNCTIONS(3),
    SLOT_FUNCTIONS(4), SLOT_FUNCTIONS(5), SLOT_FUNCTIONS(6), SLOT_FUNCTIONS(7),
};

tarn_status tarn_host_functions_bind(tarn_host_functions *functions, tarn_plain_functions *out_plain) {
    if (functions == NULL || out_plain == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "the host functions, or the place for the plain ones, are NULL");
    }
    host_functions *self = functions->context;
    int free_slot = TARN_HOST_SLOTS, slot = TARN_HOST_SLOTS;
    tarn_status status = TARN_OK;
    pthread_mutex_lock(&slots_lock);
    for (int i = TARN_HOST_SLOTS; i-- > 0;) {
        if (slots[i] == self) slot = i;
        if (slots[i] == NULL) free_slot = i;
    }
    if (slot == TARN_HOST_SLOTS) slot = free_slot;
    if (slot == TARN_HOST_SLOTS) {
        status = base_fail(TARN_BUSY, "all %d slots for functions without a context are taken", TARN_HOST_SLOTS);
    } else {
        status =
            base_fill_structure(out_plain, &slot_functions[slot], sizeof slot_functions[slot], "tarn_plain_functions");
        if (status == TARN_OK) slots[slot] = self;
    }
    pthread_mutex_unlock(&slots_lock);
    return status;
}

/* The structure itself. */

/* Watched from the first structure on. Without host memory for that, a fork is as unsafe as everywhere else. */
static void watch_slots(void) { (void)memory_fork_watch(&slots_lock, false); }

tarn_status tarn_host_functions_create(tarn_allocator *allocator, tarn_host_functions **out_functions) {
    if (allocator == NULL || out_functions == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "the allocator, or the place for its host functions, is NULL");
    }
    tarn_status status = memory_check_host_access(allocator, "a host function");
    if (status != TARN_OK) return status;
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_slots);
    host_functions *self = base_allocate(1, sizeof *self);
    if (self == NULL || !biased_lock_begin(&self->lock)) {
        base_free(self);
        return base_fail(TARN_OUT_OF_MEMORY, "no host memory for host functions");
    }
    self->allocator = tarn_allocator_retain(allocator);
    self->functions = (tarn_host_functions){
        .struct_size = sizeof self->functions,
        .context = self,
        .allocate = allocate,
        .allocate_zeroed = allocate_zeroed,
        .reallocate = reallocate,
        .free = free_memory,
        .allocate_aligned = allocate_aligned,
        .allocate_items = allocate_items,
        .usable_size = usable_size,
    };
    *out_functions = &self->functions;
    return TARN_OK;
}

static void report_left(const host_functions *self) {
    size_t bytes = 0;
    char size[TARN_SIZE_TEXT];
    for (size_t i = 0; i < self->table.capacity; i++)
        if (self->table.entries[i].key != 0) bytes += tarn_buffer_size(self->table.entries[i].value);
    if (self->table.count == 0) return;
    base_log(TARN_LOG_WARNING, "host functions on %s are released with %zu pointers to %s allocated",
             tarn_allocator_spec(self->allocator), self->table.count, tarn_size_format(bytes, size));
}

tarn_status tarn_host_functions_release(tarn_host_functions *functions) {
    if (functions == NULL) return TARN_OK;
    host_functions *self = functions->context;
    pthread_mutex_lock(&slots_lock);
    for (int i = 0; i < TARN_HOST_SLOTS; i++)
        if (slots[i] == self) slots[i] = NULL;
    pthread_mutex_unlock(&slots_lock);
    report_left(self);
    pointer_table_end(&self->table);
    biased_lock_end(&self->lock);
    tarn_status status = tarn_allocator_release(self->allocator);
    base_free(self);
    return status;
}
