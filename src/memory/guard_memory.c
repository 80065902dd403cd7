/* What guard does to memory: canaries, poison, closed pages; by pointer where the host reaches the memory, else by copies and
 * fills on a stream of the guard's own. Memory is touched only while no stream works on it, and canaries belong to nobody
 * else.
 *
 * Built with AddressSanitizer, and when run under valgrind, these are told which bytes nobody may touch, so that they
 * stop the program at the very access. */
#include "memory/guard.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "hal/memory.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif
#ifdef HAS_ASAN
#include <sanitizer/asan_interface.h>
#endif
#if defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#define HAS_VALGRIND 1
#endif
#endif

#define STAGING ((size_t)64 << 10)

static void allow(const void *memory, size_t size) {
    (void)memory;
    (void)size;
#ifdef HAS_ASAN
    __asan_unpoison_memory_region(memory, size);
#endif
#ifdef HAS_VALGRIND
    (void)VALGRIND_MAKE_MEM_DEFINED(memory, size);
#endif
}

static void forbid(const void *memory, size_t size) {
    (void)memory;
    (void)size;
#ifdef HAS_ASAN
    __asan_poison_memory_region(memory, size);
#endif
#ifdef HAS_VALGRIND
    (void)VALGRIND_MAKE_MEM_NOACCESS(memory, size);
#endif
}

/* The caller's bytes come and go as pieces of a pool. */
static void tell_handed_out(guard *self, const guard_entry *entry) {
    (void)self;
    (void)entry;
#ifdef HAS_VALGRIND
    VALGRIND_MEMPOOL_ALLOC(self, entry->block->address, entry->block->capacity);
#endif
}

static void tell_freed(guard *self, const guard_entry *entry) {
    (void)self;
    (void)entry;
#ifdef HAS_VALGRIND
    VALGRIND_MEMPOOL_FREE(self, entry->block->address);
#endif
}

static size_t page_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }

tarn_status guard_memory_begin(guard *self) {
    tarn_device *device = self->base.device;
    const tarn_device_properties *properties = hal_device_properties(device);
    if ((properties->features & TARN_FEATURE_NO_BACKING) != 0) self->access = GUARD_BY_NOTHING;
    else if ((properties->features & TARN_FEATURE_HOST_ACCESS) != 0) self->access = GUARD_BY_POINTER;
    else self->access = GUARD_BY_COPIES;
    if (self->has_pages && (self->access != GUARD_BY_POINTER || tarn_device_type_of(device) != TARN_DEVICE_CPU)) {
        return base_fail(TARN_NOT_SUPPORTED, "guard: the pages of %s cannot be closed", tarn_device_name(device));
    }
    if (self->access == GUARD_BY_COPIES) {
        void *staging;
        tarn_status status = tarn_stream_create(device, &self->stream);
        if (status == TARN_OK) {
            tarn_memory_kind kind = TARN_MEMORY_PINNED;
            if ((properties->memory_kinds & TARN_MEMORY_KIND_BIT(kind)) == 0) kind = TARN_MEMORY_HOST;
            self->staging_kind = kind;
            status = hal_memory_allocate(device, kind, STAGING, 0, &staging);
        }
        if (status != TARN_OK) {
            tarn_stream_release(self->stream);
            return status;
        }
        self->staging = staging;
    }
    if (self->access == GUARD_BY_NOTHING) {
        base_log(TARN_LOG_INFO, "guard on %s: nothing is stored there, so that handles are checked and bytes are not",
                 tarn_device_name(device));
    }
    pthread_mutex_init(&self->copying, NULL);
#ifdef HAS_VALGRIND
    VALGRIND_CREATE_MEMPOOL(self, 0, 0);
#endif
    return TARN_OK;
}

void guard_memory_end(guard *self) {
#ifdef HAS_VALGRIND
    VALGRIND_DESTROY_MEMPOOL(self);
#endif
    pthread_mutex_destroy(&self->copying);
    if (self->access != GUARD_BY_COPIES) return;
    tarn_device *device = self->base.device;
    tarn_status status = hal_memory_free(device, self->staging_kind, self->staging, STAGING);
    /* Nobody comes after the guard who could try again. */
    if (status != TARN_OK) status = hal_memory_free(device, self->staging_kind, self->staging, STAGING);
    if (status != TARN_OK) base_log(TARN_LOG_WARNING, "a guard ended, and %s", tarn_last_error());
    status = tarn_stream_release(self->stream);
    if (status != TARN_OK) base_log(TARN_LOG_WARNING, "a guard ended, and %s", tarn_last_error());
}

/* Where things lie. */

bool guard_layout(const guard *self, const memory_request *request, size_t *out_size, size_t *out_offset,
                  size_t *out_alignment) {
    size_t alignment = request->alignment, front, room, total;
    if (self->access == GUARD_BY_NOTHING) {
        *out_size = request->size;
        *out_offset = 0;
        *out_alignment = alignment;
        return true;
    }
    if (self->has_pages) {
        size_t unit = alignment > page_size() ? alignment : page_size();
        if (!checked_round_up(request->size, unit, &room) || !checked_add(room, unit + page_size(), &total))
            return false;
        /* The caller's bytes end where the page begins that is closed, as near as their alignment allows. */
        *out_offset = unit + room - round_up(request->size, alignment);
        *out_alignment = unit;
    } else {
        if (!checked_round_up(self->canary, alignment, &front) || !checked_add(front, request->size, &room) ||
            !checked_add(room, self->canary, &total)) {
            return false;
        }
        *out_offset = front;
        *out_alignment = alignment;
    }
    *out_size = total;
    return total <= PTRDIFF_MAX;
}

size_t guard_overhead(const guard *self) {
    memory_request request = {.size = 1, .alignment = hal_device_properties(self->base.device)->alignment};
    size_t size = 0, offset, alignment;
    if (!guard_layout(self, &request, &size, &offset, &alignment)) return SIZE_MAX;
    return size - (self->has_pages ? 0 : 1);
}

static unsigned char *bytes_of(const guard_entry *entry) { return entry->block->address; }

/* With pages: what is open while the buffer lives. */
static unsigned char *open_begin(const guard_entry *entry) {
    return (unsigned char *)round_down((uintptr_t)bytes_of(entry), page_size()); /* NOLINT(performance-no-int-to-ptr) */
}
static unsigned char *open_end(const guard_entry *entry) {
    uintptr_t end = (uintptr_t)bytes_of(entry) + entry->block->capacity;
    return (unsigned char *)round_up(end, page_size()); /* NOLINT(performance-no-int-to-ptr) */
}

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* Filling and looking. */

/* Waits for what the guard itself has enqueued. Where that fails twice, nobody knows whether it has run: until a later wait says so, what goes
 * back to the element below is told to be in use by the guard's stream. */
static tarn_status settle(guard *self) {
    tarn_status status = tarn_stream_synchronize(self->stream);
    if (status == TARN_INVALID_STATE || status == TARN_DEVICE_LOST) return status;
    bool has_run = status == TARN_OK || tarn_stream_synchronize(self->stream) == TARN_OK;
    atomic_store_explicit(&self->is_behind, !has_run, memory_order_relaxed);
    return status;
}

void guard_memory_leave(guard *self, memory_block *inner) {
    if (!atomic_load_explicit(&self->is_behind, memory_order_relaxed)) return;
    const memory_strategy *strategy = inner->owner->strategy;
    if (strategy->record_stream != NULL) (void)strategy->record_stream(inner->owner, inner, self->stream);
}

static tarn_status fill(guard *self, unsigned char *memory, unsigned char byte, size_t size) {
    if (size == 0 || self->access == GUARD_BY_NOTHING) return TARN_OK;
    if (self->access == GUARD_BY_POINTER) {
        memset(memory, byte, size);
        return TARN_OK;
    }
    tarn_status status = tarn_stream_fill(self->stream, memory, &byte, 1, size);
    return status == TARN_OK ? settle(self) : status;
}

/* Adds what differs to the damage, whose count is 0 at first. `offset` is that of the first byte. */
static void compare(const unsigned char *memory, unsigned char byte, size_t size, ptrdiff_t offset,
                    guard_damage *inout_damage) {
    for (size_t i = 0; i < size; i++) {
        if (memory[i] == byte) continue;
        if (inout_damage->count++ > 0) continue;
        inout_damage->offset = offset + (ptrdiff_t)i;
        inout_damage->found = memory[i];
    }
}

/* What cannot be read, because the device does not answer, counts as unharmed. */
static void look(guard *self, const unsigned char *memory, unsigned char byte, size_t size, ptrdiff_t offset,
                 guard_damage *inout_damage) {
    if (self->access == GUARD_BY_POINTER) compare(memory, byte, size, offset, inout_damage);
    if (self->access != GUARD_BY_COPIES) return;
    pthread_mutex_lock(&self->copying);
    for (size_t done = 0, part; done < size; done += part) {
        part = smaller(size - done, STAGING);
        tarn_status status = tarn_stream_copy(self->stream, self->staging, memory + done, part);
        if (status == TARN_OK) status = settle(self);
        if (status != TARN_OK) break;
        compare(self->staging, byte, part, offset + (ptrdiff_t)done, inout_damage);
    }
    pthread_mutex_unlock(&self->copying);
}

static void open_pages(const guard *self, const guard_entry *entry) {
    unsigned char *begin = open_begin(entry) - page_size();
    if (mprotect(begin, (size_t)(open_end(entry) - begin) + page_size(), PROT_READ | PROT_WRITE) == 0) return;
    base_log(TARN_LOG_ERROR, "%s: pages that guard closed cannot be opened", self->base.spec);
}

/* The life of an entry. */

tarn_status guard_memory_arm(guard *self, guard_entry *entry) {
    unsigned char *bytes = bytes_of(entry), *inner = entry->inner->address;
    size_t size = entry->block->capacity;
    entry->front = entry->back = self->access != GUARD_BY_NOTHING ? self->canary : 0;
    if (self->has_pages) {
        entry->front = smaller(self->canary, (size_t)(bytes - open_begin(entry)));
        entry->back = smaller(self->canary, (size_t)(open_end(entry) - bytes) - size);
    }
    tarn_status status = fill(self, bytes - entry->front, GUARD_CANARY, entry->front);
    if (status == TARN_OK) status = fill(self, bytes + size, GUARD_CANARY, entry->back);
    if (status != TARN_OK) return status;
    if (self->has_pages) {
        if (mprotect(open_begin(entry) - page_size(), page_size(), PROT_NONE) != 0 ||
            mprotect(open_end(entry), page_size(), PROT_NONE) != 0) {
            open_pages(self, entry);
            return base_fail(TARN_OUT_OF_MEMORY,
                             "%s: the kernel has no more mappings to close the pages of a guard with",
                             tarn_device_name(self->base.device));
        }
    }
    if (self->access == GUARD_BY_POINTER) {
        if (!self->has_pages) forbid(inner, entry->inner->capacity);
        else forbid(open_begin(entry), (size_t)(open_end(entry) - open_begin(entry)));
        tell_handed_out(self, entry);
        allow(bytes, size);
    }
    return TARN_OK;
}

bool guard_memory_is_overrun(guard *self, guard_entry *entry, guard_damage *out_damage) {
    unsigned char *bytes = bytes_of(entry);
    size_t size = entry->block->capacity;
    bool is_near = self->access == GUARD_BY_POINTER;
    if (hal_device_check(self->base.device) != TARN_OK) return false;
    *out_damage = (guard_damage){0};
    if (is_near) {
        allow(bytes - entry->front, entry->front);
        allow(bytes + size, entry->back);
    }
    look(self, bytes - entry->front, GUARD_CANARY, entry->front, -(ptrdiff_t)entry->front, out_damage);
    if (out_damage->count == 0) look(self, bytes + size, GUARD_CANARY, entry->back, (ptrdiff_t)size, out_damage);
    if (out_damage->count > 0) {
        (void)fill(self, bytes - entry->front, GUARD_CANARY, entry->front);
        (void)fill(self, bytes + size, GUARD_CANARY, entry->back);
    }
    if (is_near) {
        forbid(bytes - entry->front, entry->front);
        forbid(bytes + size, entry->back);
    }
    return out_damage->count > 0;
}

void guard_memory_poison(guard *self, guard_entry *entry) {
    if (hal_device_check(self->base.device) != TARN_OK) return;
    entry->is_poisoned = true;
    if (self->access == GUARD_BY_POINTER) tell_freed(self, entry);
    if (self->has_pages) {
        unsigned char *begin = open_begin(entry);
        entry->is_closed = mprotect(begin, (size_t)(open_end(entry) - begin), PROT_NONE) == 0;
        if (entry->is_closed) return;
    }
    if (self->access == GUARD_BY_POINTER) allow(bytes_of(entry), entry->block->capacity);
    if (fill(self, bytes_of(entry), GUARD_POISON, entry->block->capacity) != TARN_OK) entry->is_poisoned = false;
    if (self->access == GUARD_BY_POINTER) forbid(bytes_of(entry), entry->block->capacity);
}

bool guard_memory_is_written(guard *self, guard_entry *entry, guard_damage *out_damage) {
    *out_damage = (guard_damage){0};
    if (!entry->is_poisoned || entry->is_closed || hal_device_check(self->base.device) != TARN_OK) return false;
    unsigned char *bytes = bytes_of(entry);
    size_t size = entry->block->capacity;
    if (self->access == GUARD_BY_POINTER) allow(bytes, size);
    look(self, bytes, GUARD_POISON, size, 0, out_damage);
    if (out_damage->count > 0) (void)fill(self, bytes, GUARD_POISON, size);
    if (self->access == GUARD_BY_POINTER) forbid(bytes, size);
    return out_damage->count > 0;
}

void guard_memory_release(guard *self, guard_entry *entry) {
    if (self->access != GUARD_BY_POINTER) return;
    if (self->has_pages) open_pages(self, entry);
    if (!entry->is_poisoned) tell_freed(self, entry);
    allow(entry->inner->address, entry->inner->capacity);
}
