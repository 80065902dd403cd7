/* Allocating, freeing, and the life of an allocator.
 *
 * Both calls are the strategy's short way where it has one; everything that can be wrong with a call is looked at in the long
 * way, in which a call ends that the short way does not serve.
 *
 * An allocator outlives its last reference as long as buffers of it are live. `live` counts what keeps it: whoever
 * brings it to zero destroys the allocator, be it the release or the last free. A strategy with short ways counts its
 * buffers itself until it is retired. So that a free is counted by exactly one of the two, a release first waits for
 * the frees that are on their way, and those that come meanwhile wait for the release. Without short ways, one thread
 * counts apart until the release: an atomic addition would make each allocation wait for all that the program has
 * written before. */
#include <tarn/allocator.h>

#include <sched.h>
#include <string.h>

#include "base/checked.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/structure.h"
#include "memory/stack.h"

#define IS_LIKELY(condition) __builtin_expect(!!(condition), 1)

/* What the references count in `live`: so much that buffers counted elsewhere can be freed from it meanwhile. */
#define REFERENCES (SIZE_MAX / 2)

void memory_allocator_begin(tarn_allocator *allocator, const memory_strategy *strategy, tarn_device *device,
                            tarn_allocator *upstream) {
    /* Most adaptors want to know where calls come from, which the short ways do not pass on. */
    bool has_short_ways =
        !strategy->is_adaptor || (strategy->allocate_quickly != NULL && upstream->strategy->take_quickly);
    bool is_quick = has_short_ways && strategy->allocate_quickly != NULL;
    allocator->strategy = strategy;
    allocator->allocate_first = is_quick ? strategy->allocate_quickly : memory_allocate_long;
    allocator->free_first = strategy->free_quickly != NULL ? strategy->free_quickly : memory_free_long;
    allocator->device = tarn_device_retain(device);
    allocator->upstream = upstream;
    atomic_init(&allocator->references, 1);
    atomic_init(&allocator->live, REFERENCES);
    bias_begin(&allocator->own_bias);
    atomic_init(&allocator->detours, has_short_ways ? 0u : 1u);
}

void memory_allocator_end(tarn_allocator *allocator) {
    memory_reclaimers_end(allocator);
    tarn_status status = tarn_allocator_release(allocator->upstream);
    if (status == TARN_OK) status = tarn_device_release(allocator->device);
    if (status != TARN_OK) base_log(TARN_LOG_WARNING, "an allocator ended, and %s", tarn_last_error());
    base_free(allocator->spec);
    base_free(allocator);
}

tarn_status memory_allocate(tarn_allocator *allocator, const memory_request *request, memory_block **out_block) {
    return allocator->strategy->allocate(allocator, request, out_block);
}

tarn_status memory_free(tarn_allocator *allocator, memory_block *block, tarn_stream *stream) {
    return allocator->strategy->free(allocator, block, stream);
}

/* Drops what counts so much of what keeps the allocator. */
static void drop(tarn_allocator *allocator, size_t count) {
    /* Release and acquire: what other threads did with the allocator comes before its end. */
    if (atomic_fetch_sub_explicit(&allocator->live, count, memory_order_acq_rel) == count) {
        allocator->strategy->destroy(allocator);
    }
}

/* Counts a live buffer the long way: the first thread that comes is the one that counts apart. */
static __attribute__((noinline)) void keep_shared(tarn_allocator *allocator) {
    uint64_t nobody = BIAS_NO_OWNER;
    atomic_fetch_add_explicit(&allocator->live, 1, memory_order_relaxed);
    if (atomic_load_explicit(&allocator->own_bias.owner, memory_order_relaxed) == nobody) {
        atomic_compare_exchange_strong_explicit(&allocator->own_bias.owner, &nobody, bias_name_thread(),
                                                memory_order_relaxed, memory_order_relaxed);
    }
}

void memory_keep(tarn_allocator *allocator) {
    if (IS_LIKELY(bias_enter(&allocator->own_bias))) {
        allocator->own_live++;
        bias_leave(&allocator->own_bias);
    } else {
        keep_shared(allocator);
    }
}

/* The buffer counts no more. It is what keeps the allocator until then. */
static inline void let_go(tarn_allocator *allocator) {
    if (IS_LIKELY(bias_enter(&allocator->own_bias))) {
        allocator->own_live--;
        bias_leave(&allocator->own_bias);
    } else {
        drop(allocator, 1);
    }
}

/* Allocating. */

/* OK: the size and the alignment are such as the allocator serves. */
static tarn_status check_size(const tarn_allocator *allocator, size_t size, size_t alignment) {
    if (size == 0 || size > PTRDIFF_MAX) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s on %s: %zu bytes asked; a buffer has from 1 to %td bytes",
                         allocator->spec, memory_device_name(allocator), size, PTRDIFF_MAX);
    }
    size_t most = hal_device_properties(allocator->device)->maximum_alignment;
    if (alignment != 0 && (!is_power_of_two(alignment) || alignment > most)) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s on %s: an alignment of %zu bytes is not a power of two up to %zu",
                         allocator->spec, memory_device_name(allocator), alignment, most);
    }
    return TARN_OK;
}

static tarn_status check_open(const tarn_allocator *allocator) {
    const memory_callback *callback = memory_callback_running(allocator);
    if (callback != NULL) {
        return base_fail(TARN_INVALID_STATE, "%s on %s: a callback of the allocator cannot allocate from it",
                         allocator->spec, memory_device_name(allocator));
    }
    if (atomic_load_explicit(&allocator->is_shut_down, memory_order_relaxed)) {
        return base_fail(TARN_SHUT_DOWN, "%s on %s is shut down", allocator->spec, memory_device_name(allocator));
    }
    return TARN_OK;
}

/* Serves what the caller has read of the options: in `asked`, size, alignment, stream, tag, site and shape as they were
 * given; the rest is filled in here. */
static inline tarn_status serve(tarn_allocator *allocator, memory_request *asked, tarn_buffer **out_buffer) {
    memory_block *block;
    tarn_status status = check_size(allocator, asked->size, asked->alignment);
    if (status != TARN_OK) return status;
    asked->stream = hal_stream_or_default(allocator->device, asked->stream);
    if (asked->stream == NULL) return TARN_INVALID_ARGUMENT;
    status = check_open(allocator);
    if (status != TARN_OK) return status;
    size_t least = hal_device_properties(allocator->device)->alignment;
    if (asked->alignment < least) asked->alignment = least;
    asked->outer = allocator;
    status = memory_allocate(allocator, asked, &block);
    if (status != TARN_OK) return status;
    if (allocator->strategy->retire == NULL) memory_keep(allocator);
    *out_buffer = block_begin_life(block);
    return TARN_OK;
}

static tarn_status refuse_nothing(void) {
    return base_fail(TARN_INVALID_ARGUMENT, "the allocator or the place for the buffer is NULL");
}

/* OK: every element of the stack knows what to do with an address. */
static tarn_status check_places(const tarn_allocator *allocator) {
    const tarn_allocator *element = allocator;
    while (element->strategy->has_places && element->upstream != NULL) element = element->upstream;
    if (element->strategy->has_places) return TARN_OK;
    return base_fail(TARN_NOT_SUPPORTED, "%s on %s: '%s' puts no buffer at an address that is asked for",
                     allocator->spec, memory_device_name(allocator), element->strategy->name);
}

tarn_status memory_allocate_shaped(tarn_allocator *allocator, size_t size, const memory_shape *shape,
                                   const tarn_allocate_options *options, const void *site, tarn_buffer **out_buffer) {
    if (allocator == NULL || out_buffer == NULL) return refuse_nothing();
    tarn_allocate_options read;
    tarn_status status = base_read_structure(allocator->spec, options, &read, sizeof read);
    if (status == TARN_OK && read.address != NULL) status = check_places(allocator);
    if (status != TARN_OK) return status;
    memory_request request = {.size = size,
                              .alignment = read.alignment,
                              .stream = read.stream,
                              .tag = read.tag,
                              .site = site,
                              .shape = shape,
                              .address = (uintptr_t)read.address};
    return serve(allocator, &request, out_buffer);
}

/* Without options: copying what was written a moment ago in smaller pieces would wait until all that the program wrote
 * before has reached its cache. */
static __attribute__((noinline)) tarn_status allocate_on_stream(tarn_allocator *allocator, size_t size,
                                                                tarn_stream *stream, const void *site,
                                                                tarn_buffer **out_buffer) {
    if (allocator == NULL || out_buffer == NULL) return refuse_nothing();
    memory_request request = {.size = size, .stream = stream, .site = site};
    return serve(allocator, &request, out_buffer);
}

/* Who gets here has no adaptor above, so that nobody asks for the site. */
__attribute__((noinline)) tarn_status memory_allocate_long(tarn_allocator *allocator, size_t size, tarn_stream *stream,
                                                           tarn_buffer **out_buffer) {
    return allocate_on_stream(allocator, size, stream, NULL, out_buffer);
}

/* Whether the short ways may be taken. Relaxed: whoever shuts down while others call gets one order or the other. */
static inline bool may_be_quick(const tarn_allocator *allocator) {
    return allocator != NULL && atomic_load_explicit(&allocator->detours, memory_order_relaxed) == 0;
}

tarn_status tarn_allocator_allocate(tarn_allocator *allocator, size_t size, tarn_stream *stream,
                                    tarn_buffer **out_buffer) {
    if (IS_LIKELY(may_be_quick(allocator) && out_buffer != NULL)) {
        return allocator->allocate_first(allocator, size, stream, out_buffer);
    }
    return allocate_on_stream(allocator, size, stream, MEMORY_CALL_SITE(), out_buffer);
}

tarn_status tarn_allocator_allocate_with(tarn_allocator *allocator, size_t size, const tarn_allocate_options *options,
                                         tarn_buffer **out_buffer) {
    return memory_allocate_shaped(allocator, size, NULL, options, MEMORY_CALL_SITE(), out_buffer);
}

/* Freeing. */

/* Enters a free into the count of those on their way; says whether the buffer is counted in `live`. */
static bool visit_begin(tarn_allocator *outer) {
    if (outer->strategy->retire == NULL) return true;
    for (;;) {
        /* Sequentially consistent, as in retire below: of the two, at least one sees the other. */
        atomic_fetch_add(&outer->visitors, 1);
        if (!atomic_load(&outer->is_retiring)) break;
        atomic_fetch_sub(&outer->visitors, 1);
        while (atomic_load(&outer->is_retiring)) sched_yield();
    }
    return atomic_load(&outer->is_released);
}

static void visit_end(tarn_allocator *outer, bool is_counted) {
    /* The buffer keeps the allocator until it is dropped, or until the count of visitors lets a release go on. */
    if (outer->strategy->retire != NULL) atomic_fetch_sub(&outer->visitors, 1);
    if (is_counted) let_go(outer);
}

void memory_take_back(memory_block *block, bool was_live) {
    tarn_allocator *outer = block->live.outer;
    bool is_buffer = was_live && !block->is_inner, is_counted = is_buffer && visit_begin(outer);
    /* The owner is below: the way down to it does not end before. */
    for (tarn_allocator *element = outer, *below; element != block->owner; element = below) {
        const memory_strategy *strategy = element->strategy;
        below = strategy->below != NULL ? strategy->below(element, block) : element->upstream;
        if (strategy->forget != NULL) strategy->forget(element, block);
    }
    if (is_buffer) visit_end(outer, is_counted);
}

/* `outer` and `owner` are the block's. */
static tarn_status check_free(const tarn_allocator *allocator, const memory_block *block, tarn_allocator *outer,
                              tarn_allocator *owner, tarn_stream *stream) {
    if (allocator != NULL && outer != allocator) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s on %s: the buffer is one of %s on %s", allocator->spec,
                         memory_device_name(allocator), outer->spec, memory_device_name(outer));
    }
    if (stream != NULL && stream->device != outer->device) {
        hal_stream_refuse(outer->device, stream);
        return TARN_INVALID_ARGUMENT;
    }
    tarn_status status = memory_check_callback(outer, "free");
    if (status != TARN_OK || owner->strategy->check_free == NULL) return status;
    return owner->strategy->check_free(owner, block, stream);
}

_Atomic(memory_refusal) memory_explain_refusal;

/* A free is refused with `status`; whoever knows more of the buffer may say it. */
static tarn_status explain(tarn_status status, tarn_allocator *allocator, const tarn_buffer *buffer,
                           const memory_block *block, const void *site) {
    memory_refusal function = atomic_load_explicit(&memory_explain_refusal, memory_order_relaxed);
    return function != NULL ? function(status, allocator, buffer, block, site) : status;
}

tarn_status memory_free_handle(tarn_allocator *allocator, tarn_buffer *buffer, tarn_stream *stream, const void *site) {
    memory_block *block = block_of(buffer);
    /* Claimed before it is read: a block that another thread frees, or takes back, meanwhile may be anybody's. */
    if (block == NULL || !block_claim(block, buffer)) {
        tarn_status refusal = base_fail(TARN_INVALID_ARGUMENT,
                                        "%p is no live buffer: it was freed before, or never was one", (void *)buffer);
        return explain(refusal, allocator, buffer, NULL, site);
    }
    tarn_allocator *outer = block->live.outer;
    tarn_status status = check_free(allocator, block, outer, block->owner, stream);
    if (status != TARN_OK) {
        block_begin_life_of(block, buffer);
        return explain(status, allocator, buffer, block, site);
    }
    block->site = site;
    bool is_counted = visit_begin(outer);
    status = memory_free(outer, block, stream);
    visit_end(outer, is_counted);
    return status;
}

static __attribute__((noinline)) tarn_status free_from(tarn_allocator *allocator, tarn_buffer *buffer,
                                                       tarn_stream *stream, const void *site) {
    if (allocator == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the allocator to free a buffer of is NULL");
    if (buffer == NULL) return TARN_OK;
    return memory_free_handle(allocator, buffer, stream, site);
}

/* As a tail call, this returns to where the public function was called. */
__attribute__((noinline)) tarn_status memory_free_long(tarn_allocator *allocator, tarn_buffer *buffer,
                                                       tarn_stream *stream) {
    return free_from(allocator, buffer, stream, MEMORY_CALL_SITE());
}

tarn_status tarn_allocator_free(tarn_allocator *allocator, tarn_buffer *buffer, tarn_stream *stream) {
    if (IS_LIKELY(may_be_quick(allocator))) return allocator->free_first(allocator, buffer, stream);
    return free_from(allocator, buffer, stream, MEMORY_CALL_SITE());
}

/* The end. */

tarn_allocator *tarn_allocator_retain(tarn_allocator *allocator) {
    if (allocator != NULL) atomic_fetch_add_explicit(&allocator->references, 1, memory_order_relaxed);
    return allocator;
}

tarn_status tarn_allocator_shut_down(tarn_allocator *allocator) {
    if (allocator == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the allocator to shut down is NULL");
    if (atomic_exchange_explicit(&allocator->is_shut_down, true, memory_order_relaxed)) return TARN_OK;
    atomic_fetch_add_explicit(&allocator->detours, 1, memory_order_relaxed);
    if (allocator->strategy->shut_down != NULL) allocator->strategy->shut_down(allocator);
    return TARN_OK;
}

/* Ends the short ways of the strategy and takes over its count of live buffers. */
static void retire(tarn_allocator *allocator) {
    atomic_store(&allocator->is_retiring, true);
    /* In the child of a fork, a thread that was on its way may be missing; its count then never goes down. */
    while (atomic_load(&allocator->visitors) != 0 && hal_device_check(allocator->device) != TARN_UNAVAILABLE) {
        sched_yield();
    }
    size_t live = allocator->strategy->retire(allocator);
    atomic_fetch_add_explicit(&allocator->live, live, memory_order_relaxed);
    atomic_store(&allocator->is_released, true);
    atomic_store(&allocator->is_retiring, false);
}

/* Takes over the count of the thread that counts apart. */
static void unite_counts(tarn_allocator *allocator) {
    bias_take_away(&allocator->own_bias, BIAS_ENDED);
    atomic_fetch_add_explicit(&allocator->live, allocator->own_live, memory_order_relaxed);
    atomic_store(&allocator->is_released, true);
}

tarn_status tarn_allocator_release(tarn_allocator *allocator) {
    if (allocator == NULL) return TARN_OK;
    if (memory_callback_running(allocator) != NULL) {
        return base_fail(TARN_BUSY, "%s on %s: a callback of the allocator cannot release it", allocator->spec,
                         memory_device_name(allocator));
    }
    bool is_last = atomic_load_explicit(&allocator->references, memory_order_relaxed) == 1;
    if (is_last && hal_device_check(allocator->device) == TARN_INVALID_STATE) {
        return base_fail(TARN_BUSY, "%s on %s: work that must not call the driver cannot release it", allocator->spec,
                         memory_device_name(allocator));
    }
    /* Release and acquire: what other threads did with the allocator comes before its end. */
    if (atomic_fetch_sub_explicit(&allocator->references, 1, memory_order_acq_rel) > 1) return TARN_OK;
    tarn_allocator_shut_down(allocator);
    tarn_status status = memory_conclude_from(allocator);
    memory_report_live(allocator);
    if (allocator->strategy->retire != NULL) retire(allocator);
    else unite_counts(allocator);
    drop(allocator, REFERENCES);
    return status;
}
