/* Memories of the device: made, changed and given back.
 *
 * Giving back is one function that goes on where it last failed: unmap, release the granules, release the range. So it
 * also unwinds a memory that was only half made, and what the driver refuses to take stays among the remains until the
 * next attempt. */
#include "memory/predictive_memory.h"

#include <stdio.h>

#include "base/checked.h"
#include "base/memory.h"
#include "base/status.h"
#include "memory/predictive_cache.h"
#include "memory/stats.h"

/* Virtual memory is for what fills granules: below that, rounding would cost more than moving. */
#define LEAST_GRANULES 2

/* The bookkeeping. */

/* Must be called with the lock held. */
static void change_reserved(predictive *self, size_t from, size_t to) {
    memory_figure_change(&self->reserved, from, to);
    memory_figure_set(&self->cached, self->reserved.current - self->tally.in_use.current);
}

/* Says what a virtual memory has now; what a buffer has of it is in use. */
static void note_granules(predictive *self, predictive_memory *memory, size_t mapped, size_t owned) {
    pthread_mutex_lock(&self->lock);
    size_t capacity = mapped * self->granule, owned_before = memory->owned;
    if (memory->handle != NULL) {
        memory_figure_change(&self->tally.in_use, memory->capacity, capacity);
        memory->handle->block->capacity = capacity;
    }
    memory->mapped = mapped;
    memory->owned = owned;
    memory->capacity = capacity;
    change_reserved(self, owned_before * self->granule, owned * self->granule);
    pthread_mutex_unlock(&self->lock);
}

static void enter(predictive *self, predictive_memory *memory, void *address, size_t size) {
    pthread_mutex_lock(&self->lock);
    memory->range.start = (uintptr_t)address;
    memory->range.size = size;
    memory->is_in_all = true;
    base_range_insert(&self->all, &memory->range);
    pthread_mutex_unlock(&self->lock);
}

/* Taken out before its addresses are given back, for another thread may get them at once. */
static void leave(predictive *self, predictive_memory *memory) {
    pthread_mutex_lock(&self->lock);
    base_range_remove(&self->all, memory->range.start);
    memory->is_in_all = false;
    pthread_mutex_unlock(&self->lock);
}

static void *address_of(const predictive_memory *memory) {
    return (void *)memory->range.start; /* NOLINT(performance-no-int-to-ptr) */
}

static void destroy(predictive_memory *memory) {
    direct_uses_free(memory->uses);
    base_free(memory->granules);
    base_free(memory);
}

/* Giving back. */

static tarn_status wait_for_uses(predictive *self, predictive_memory *memory) {
    tarn_status status;
    if (!memory->has_unknown_use) {
        status = direct_streams_wait(&self->streams, memory->uses);
    } else {
        status = tarn_device_synchronize(self->base.device);
        if (status == TARN_DEVICE_LOST || status == TARN_UNAVAILABLE) status = TARN_OK;
    }
    if (status != TARN_OK) return status;
    direct_uses_free(memory->uses);
    memory->uses = NULL;
    memory->has_unknown_use = false;
    return TARN_OK;
}

static tarn_status give_range_back(predictive *self, predictive_memory *memory) {
    tarn_device *device = self->base.device;
    if (memory->mapped > 0) {
        tarn_status status = hal_virtual_unmap(device, address_of(memory), memory->mapped);
        if (status != TARN_OK) return status;
        note_granules(self, memory, 0, memory->owned);
    }
    if (memory->owned > 0) {
        tarn_status status = hal_granules_release(device, memory->owned, memory->granules);
        if (status != TARN_OK) return status;
        note_granules(self, memory, 0, 0);
    }
    return hal_virtual_release(device, address_of(memory), memory->range.size);
}

/* Gives a memory that is nobody's back and destroys it. After a failure as much of it is left as the driver did not take. */
static tarn_status give_back(predictive *self, predictive_memory *memory) {
    tarn_status status = wait_for_uses(self, memory);
    if (status != TARN_OK) return status;
    leave(self, memory);
    if (memory->is_virtual) {
        status = give_range_back(self, memory);
    } else {
        status = hal_memory_free(self->base.device, self->kind, address_of(memory), memory->capacity);
        if (status == TARN_OK) {
            pthread_mutex_lock(&self->lock);
            change_reserved(self, memory->capacity, 0);
            pthread_mutex_unlock(&self->lock);
        }
    }
    if (status != TARN_OK) {
        enter(self, memory, address_of(memory), memory->range.size);
        return status;
    }
    destroy(memory);
    return TARN_OK;
}

/* The same; what is left is kept for the next attempt. */
static tarn_status give_back_or_keep(predictive *self, predictive_memory *memory) {
    tarn_status status = give_back(self, memory);
    if (status == TARN_OK) return TARN_OK;
    pthread_mutex_lock(&self->lock);
    memory->next = self->remains;
    self->remains = memory;
    pthread_mutex_unlock(&self->lock);
    return status;
}

tarn_status predictive_give_back_cached(predictive *self, size_t *inout_bytes) {
    tarn_status first = TARN_OK;
    predictive_memory *memory = predictive_cache_take_all(self);
    while (memory != NULL) {
        predictive_memory *next = memory->next;
        size_t bytes = memory->is_virtual ? memory->owned * self->granule : memory->capacity;
        tarn_status status = give_back_or_keep(self, memory);
        if (status == TARN_OK) *inout_bytes += bytes;
        else if (first == TARN_OK) first = status;
        memory = next;
    }
    return first;
}

void predictive_abandon(predictive *self) {
    predictive_memory *memory = predictive_cache_take_all(self);
    while (memory != NULL) {
        predictive_memory *next = memory->next;
        if (memory->is_in_all) leave(self, memory);
        destroy(memory);
        memory = next;
    }
}

/* Growing and shrinking in place. */

static size_t granules_for(const predictive *self, size_t bytes) {
    return bytes / self->granule + (bytes % self->granule != 0);
}

/* Creates what is missing and maps it. After a failure the memory has what it had, or spare granules beside it. */
static tarn_status map_up_to(predictive *self, predictive_memory *memory, size_t count) {
    tarn_device *device = self->base.device;
    if (count > memory->owned) {
        tarn_backend_granule *granules = base_reallocate(memory->granules, count, sizeof *granules);
        if (granules == NULL) {
            return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to number %zu granules", tarn_device_name(device),
                             count);
        }
        memory->granules = granules;
        tarn_status status = hal_granules_create(device, count - memory->owned, granules + memory->owned);
        if (status != TARN_OK) return status;
        note_granules(self, memory, memory->mapped, count);
    }
    tarn_status status = hal_virtual_map(device, (char *)address_of(memory) + memory->mapped * self->granule,
                                         count - memory->mapped, memory->granules + memory->mapped);
    if (status == TARN_OK) note_granules(self, memory, count, memory->owned);
    return status;
}

static void release_spare(predictive *self, predictive_memory *memory) {
    if (memory->owned == memory->mapped) return;
    tarn_status status =
        hal_granules_release(self->base.device, memory->owned - memory->mapped, memory->granules + memory->mapped);
    if (status == TARN_OK) note_granules(self, memory, memory->mapped, memory->mapped);
}

tarn_status predictive_shrink(predictive *self, predictive_memory *memory, size_t bytes) {
    size_t keep = granules_for(self, bytes);
    if (keep >= memory->mapped) return TARN_OK;
    tarn_status status =
        hal_virtual_unmap(self->base.device, (char *)address_of(memory) + keep * self->granule, memory->mapped - keep);
    if (status != TARN_OK) return status;
    note_granules(self, memory, keep, memory->owned);
    /* What the driver does not take now is used when the memory grows again, or goes with it. */
    release_spare(self, memory);
    return TARN_OK;
}

/* Making. */

static tarn_status make_virtual(predictive *self, size_t capacity, size_t reach, predictive_memory *memory) {
    void *address;
    size_t size = round_up(reach, self->granule);
    tarn_status status = hal_virtual_reserve(self->base.device, size, &address);
    if (status != TARN_OK) {
        destroy(memory);
        return status;
    }
    memory->is_virtual = true;
    enter(self, memory, address, size);
    status = map_up_to(self, memory, granules_for(self, capacity));
    if (status == TARN_OK) return TARN_OK;
    /* Nobody has used it: there is nothing to wait for. */
    direct_uses_free(memory->uses);
    memory->uses = NULL;
    char sentence[512];
    snprintf(sentence, sizeof sentence, "%s", tarn_last_error());
    (void)give_back_or_keep(self, memory);
    return base_fail(status, "%s", sentence);
}

static tarn_status make_plain(predictive *self, size_t capacity, size_t alignment, predictive_memory *memory) {
    void *address;
    tarn_status status = hal_memory_allocate(self->base.device, self->kind, capacity, alignment, &address);
    if (status != TARN_OK) {
        destroy(memory);
        return status;
    }
    memory->capacity = capacity;
    enter(self, memory, address, capacity);
    pthread_mutex_lock(&self->lock);
    change_reserved(self, 0, capacity);
    pthread_mutex_unlock(&self->lock);
    return TARN_OK;
}

static bool is_virtual_better(const predictive *self, size_t capacity, const predictive_want *want) {
    if (self->granule == 0 || want->alignment > self->granule) return false;
    return capacity / self->granule >= LEAST_GRANULES && want->reach > capacity;
}

/* What a memory for `bytes` will have. False when that cannot be. */
static bool round_capacity(const predictive *self, const predictive_want *want, size_t bytes, size_t *out_capacity) {
    size_t unit = hal_device_properties(self->base.device)->alignment;
    if (is_virtual_better(self, bytes, want)) unit = self->granule;
    return checked_round_up(bytes, unit, out_capacity) && *out_capacity <= PTRDIFF_MAX;
}

static tarn_status make(predictive *self, const predictive_want *want, size_t bytes, size_t capacity,
                        predictive_memory **out_memory) {
    predictive_memory *memory = base_allocate(1, sizeof *memory);
    tarn_status status = TARN_OK;
    if (memory == NULL) status = base_fail(TARN_OUT_OF_MEMORY, "predictive: no host memory to describe a buffer");
    else status = direct_streams_use(&self->streams, want->stream, &memory->uses);
    if (status != TARN_OK) {
        base_free(memory);
        return status;
    }
    status = is_virtual_better(self, bytes, want)
                 ? make_virtual(self, capacity, want->reach > capacity ? want->reach : capacity, memory)
                 : make_plain(self, capacity, want->alignment, memory);
    if (status == TARN_OK) *out_memory = memory;
    return status;
}

/* The limit. */

bool predictive_promise(predictive *self, size_t bytes, size_t credit) {
    pthread_mutex_lock(&self->lock);
    size_t used = self->promised > credit ? self->promised - credit : 0;
    bool is_promised = used <= self->most && bytes <= self->most - used;
    if (is_promised) self->promised += bytes;
    pthread_mutex_unlock(&self->lock);
    return is_promised;
}

void predictive_unpromise(predictive *self, size_t bytes) {
    pthread_mutex_lock(&self->lock);
    self->promised -= bytes;
    pthread_mutex_unlock(&self->lock);
}

/* Taking. */

/* One attempt to have a virtual memory grow to `bytes`. */
static tarn_status grow_once(predictive *self, predictive_memory *memory, size_t bytes) {
    size_t count = granules_for(self, bytes), more = (count - memory->mapped) * self->granule;
    if (!predictive_promise(self, more, 0)) {
        return base_fail(TARN_LIMIT_EXCEEDED, "%zu bytes more are beyond the limit", more);
    }
    tarn_status status = map_up_to(self, memory, count);
    if (status == TARN_OK) return TARN_OK;
    predictive_unpromise(self, more);
    char sentence[512];
    snprintf(sentence, sizeof sentence, "%s", tarn_last_error());
    release_spare(self, memory);
    return base_fail(status, "%s", sentence);
}

static size_t wanted_of(const predictive_memory *memory, const predictive_want *want) {
    return want->wanted < memory->range.size ? want->wanted : memory->range.size;
}

/* From the cache; a memory that is too small but has room grows. */
static predictive_memory *take_cached(predictive *self, const predictive_want *want) {
    predictive_memory *memory = predictive_cache_take(self, want);
    if (memory == NULL) return NULL;
    size_t capacity = memory->capacity;
    if (predictive_promise(self, capacity, want->credit)) {
        if (capacity >= want->needed) return memory;
        if (grow_once(self, memory, wanted_of(memory, want)) == TARN_OK) return memory;
        predictive_unpromise(self, capacity);
    }
    predictive_put(self, memory);
    return NULL;
}

/* One attempt at `bytes`, padded or not. */
static tarn_status attempt(predictive *self, const predictive_want *want, size_t bytes,
                           predictive_memory **out_memory) {
    size_t capacity;
    if (!round_capacity(self, want, bytes, &capacity)) {
        return base_fail(TARN_INVALID_ARGUMENT, "%zu bytes cannot be rounded up to what the device gives", bytes);
    }
    if (!predictive_promise(self, capacity, want->credit)) {
        return base_fail(TARN_LIMIT_EXCEEDED, "%zu bytes are beyond the limit", bytes);
    }
    tarn_status status = make(self, want, bytes, capacity, out_memory);
    if (status != TARN_OK) predictive_unpromise(self, capacity);
    return status;
}

static bool is_shortage(tarn_status status) { return status == TARN_OUT_OF_MEMORY || status == TARN_LIMIT_EXCEEDED; }

static void count_retry(predictive *self, tarn_status shortage) {
    pthread_mutex_lock(&self->lock);
    self->tally.retries += shortage == TARN_OUT_OF_MEMORY;
    pthread_mutex_unlock(&self->lock);
}

/* Whether something was found that may make the next attempt succeed. When not, the sentence of the shortage is kept. */
static bool make_room(predictive *self, tarn_status shortage, const predictive_want *want) {
    size_t given = 0;
    char sentence[512];
    snprintf(sentence, sizeof sentence, "%s", tarn_last_error());
    pthread_mutex_lock(&self->lock);
    bool is_possible = want->needed <= self->most;
    pthread_mutex_unlock(&self->lock);
    if (is_possible && shortage == TARN_OUT_OF_MEMORY) (void)predictive_give_back_cached(self, &given);
    if (is_possible && given == 0) given = memory_reclaim(want->outer, want->needed);
    if (given == 0) {
        (void)base_fail(shortage, "%s", sentence);
        return false;
    }
    count_retry(self, shortage);
    return true;
}

/* How large a memory from the cache may be. What the device adds by rounding does not count. */
static size_t most_of(const predictive *self, const predictive_want *want) {
    size_t more = want->wanted / 4 + hal_device_properties(self->base.device)->alignment;
    size_t most = want->wanted <= SIZE_MAX - more ? want->wanted + more : SIZE_MAX;
    size_t capacity;
    if (round_capacity(self, want, want->wanted, &capacity) && capacity > most) most = capacity;
    return want->most != 0 && want->most < most ? want->most : most;
}

tarn_status predictive_take(predictive *self, const predictive_want *want, bool is_modest,
                            predictive_memory **out_memory) {
    predictive_want first = *want, second = *want;
    first.most = second.most = most_of(self, want);
    second.takes_less = true;
    for (;;) {
        *out_memory = take_cached(self, &first);
        if (*out_memory != NULL) return TARN_OK;
        tarn_status status = attempt(self, want, want->wanted, out_memory);
        if (!is_shortage(status) || is_modest) return status;
        if (want->wanted > want->needed) {
            count_retry(self, status);
            *out_memory = take_cached(self, &second);
            if (*out_memory != NULL) return TARN_OK;
            status = attempt(self, want, want->needed, out_memory);
        }
        if (!is_shortage(status) || !make_room(self, status, want)) return status;
    }
}

tarn_status predictive_grow(predictive *self, predictive_memory *memory, const predictive_want *want) {
    for (;;) {
        size_t wanted = wanted_of(memory, want);
        tarn_status status = grow_once(self, memory, wanted);
        if (is_shortage(status) && wanted > want->needed) status = grow_once(self, memory, want->needed);
        if (!is_shortage(status) || !make_room(self, status, want)) return status;
    }
}
