/* Memories between two uses.
 *
 * They lie in bins by capacity, four to each power of two, the last one freed first. A search looks at a bounded number of them. A memory
 * that only the asking stream has used may be had at once, for the work on a stream is in order; another one only after the
 * work of the other streams is known to be over, which is asked without waiting. Whoever looks at a memory takes it out, so
 * that nobody else does meanwhile, and no lock is held while the driver is asked. */
#include "memory/predictive_cache.h"

#include "hal/device.h"

/* How many memories of a bin a search asks about, and how many it passes over. */
#define MOST_LOOKS 16
#define MOST_SKIPS 32

static unsigned bin_of(size_t bytes) {
    if (bytes < 4) return (unsigned)bytes;
    unsigned magnitude = 63u - (unsigned)__builtin_clzll((unsigned long long)bytes);
    return 4 * magnitude + (unsigned)(bytes >> (magnitude - 2) & 3);
}

/* Must be called with the lock held. */
static void unlink_memory(predictive *self, predictive_memory *memory) {
    if (memory->previous != NULL) memory->previous->next = memory->next;
    else self->bins[bin_of(memory->capacity)] = memory->next;
    if (memory->next != NULL) memory->next->previous = memory->previous;
    memory->next = memory->previous = NULL;
    memory->is_cached = false;
}

/* Must be called with the lock held. */
static void link_memory(predictive *self, predictive_memory *memory) {
    predictive_memory **bin = &self->bins[bin_of(memory->capacity)];
    memory->previous = NULL;
    memory->next = *bin;
    if (*bin != NULL) (*bin)->previous = memory;
    *bin = memory;
    memory->is_cached = true;
}

void predictive_put(predictive *self, predictive_memory *memory) {
    pthread_mutex_lock(&self->lock);
    link_memory(self, memory);
    pthread_mutex_unlock(&self->lock);
}

predictive_memory *predictive_cache_take_all(predictive *self) {
    pthread_mutex_lock(&self->lock);
    predictive_memory *list = self->remains;
    self->remains = NULL;
    for (size_t i = 0; i < PREDICTIVE_BINS; i++) {
        while (self->bins[i] != NULL) {
            predictive_memory *memory = self->bins[i];
            unlink_memory(self, memory);
            memory->next = list;
            list = memory;
        }
    }
    pthread_mutex_unlock(&self->lock);
    return list;
}

size_t predictive_largest_cached(const predictive *self) {
    size_t largest = 0;
    for (size_t i = PREDICTIVE_BINS; i-- > 0 && largest == 0;) {
        for (const predictive_memory *memory = self->bins[i]; memory != NULL; memory = memory->next)
            if (memory->capacity > largest) largest = memory->capacity;
    }
    return largest;
}

/* What is looked for: from `least` to `most` bytes, or with room for what is needed. */
typedef struct cache_search {
    const predictive_want *want;
    size_t least, most;
    bool grows; /* the range counts, not the capacity */
} cache_search;

static bool suits(const cache_search *search, const predictive_memory *memory) {
    if ((memory->range.start & (search->want->alignment - 1)) != 0) return false;
    if (search->grows) return memory->is_virtual && memory->range.size >= search->want->needed;
    return memory->capacity >= search->least && memory->capacity <= search->most;
}

/* Whether the stream may use it now. */
static bool is_ready(predictive *self, predictive_memory *memory, uint32_t stream) {
    return !memory->has_unknown_use && direct_streams_are_idle(&self->streams, memory->uses, stream);
}

/* Looks through one bin; the memory that suits and is ready is taken out. */
static predictive_memory *search_bin(predictive *self, const cache_search *search, unsigned bin) {
    uint32_t stream = hal_stream_number(search->want->stream);
    unsigned skipped = 0;
    for (unsigned looks = 0; looks < MOST_LOOKS; looks++) {
        pthread_mutex_lock(&self->lock);
        predictive_memory *memory = self->bins[bin];
        for (unsigned place = 0; memory != NULL && (place < skipped || !suits(search, memory)); place++) {
            if (place >= skipped) skipped++;
            memory = memory->next;
            if (skipped > MOST_SKIPS) memory = NULL;
        }
        if (memory != NULL) unlink_memory(self, memory);
        pthread_mutex_unlock(&self->lock);
        if (memory == NULL) return NULL;
        if (is_ready(self, memory, stream)) return memory;
        predictive_put(self, memory);
        skipped++; /* it is the first now */
    }
    return NULL;
}

static predictive_memory *search_bins(predictive *self, const cache_search *search, unsigned first, unsigned last,
                                      int step) {
    predictive_memory *memory = NULL;
    for (unsigned bin = first; memory == NULL; bin = (unsigned)((int)bin + step)) {
        memory = search_bin(self, search, bin);
        if (bin == last) break;
    }
    return memory;
}

predictive_memory *predictive_cache_take(predictive *self, const predictive_want *want) {
    cache_search search = {.want = want, .least = want->wanted, .most = want->most};
    predictive_memory *memory = search_bins(self, &search, bin_of(search.least), bin_of(search.most), 1);
    if (memory == NULL && want->takes_less && want->needed < want->wanted) {
        search.most = search.least - 1;
        search.least = want->needed;
        memory = search_bins(self, &search, bin_of(search.most), bin_of(search.least), -1);
    }
    if (memory == NULL && self->granule != 0 && want->needed > self->granule) {
        search.grows = true;
        memory = search_bins(self, &search, bin_of(want->needed), bin_of(want->needed / 4), -1);
    }
    if (memory == NULL) return NULL;
    /* Its other streams are done; from now on it is this one's. */
    if (direct_streams_use(&self->streams, want->stream, &memory->uses) != TARN_OK) {
        predictive_put(self, memory);
        return NULL;
    }
    direct_streams_keep_only(&self->streams, hal_stream_number(want->stream), &memory->uses);
    direct_streams_ask_anew(&self->streams, memory->uses);
    return memory;
}
