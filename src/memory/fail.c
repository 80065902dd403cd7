/* fail:[at=N][,every=K][,count=M][,status=NAME] fails allocations on schedule, without asking the element below.
 *
 * Allocations are numbered from 1. `at` alone fails the N-th, or with `count` M of them from the N-th on. `every` fails each K-th,
 * or with `at` the N-th and each K-th after it; `count` ends that after M failures. Without arguments nothing fails. */
#include <string.h>

#include "base/checked.h"
#include "base/memory.h"
#include "base/status.h"
#include "memory/adaptors.h"

typedef struct fail {
    tarn_allocator base;
    /* Fixed. 0: not given. */
    uint64_t at, every, count;
    tarn_status status;

    atomic_uint_fast64_t requests; /* so far; relaxed, as `failures` */
    atomic_uint_fast64_t failures;
} fail;

static fail *fail_of(tarn_allocator *allocator) { return (fail *)(void *)allocator; }

static bool is_on_schedule(const fail *self, uint64_t request) {
    if (self->every == 0) return self->at != 0 && request >= self->at;
    if (self->at == 0) return request % self->every == 0;
    return request >= self->at && (request - self->at) % self->every == 0;
}

/* Counts a failure unless all have happened. */
static bool take_failure(fail *self) {
    uint64_t most = self->count != 0 ? self->count : self->every == 0 ? 1 : UINT64_MAX;
    uint_fast64_t failures = atomic_load_explicit(&self->failures, memory_order_relaxed);
    do {
        if (failures >= most) return false;
    } while (!atomic_compare_exchange_weak_explicit(&self->failures, &failures, failures + 1, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

static tarn_status fail_allocate(tarn_allocator *allocator, const memory_request *request, memory_block **out_block) {
    fail *self = fail_of(allocator);
    uint64_t number = atomic_fetch_add_explicit(&self->requests, 1, memory_order_relaxed) + 1;
    if (!is_on_schedule(self, number) || !take_failure(self)) {
        return memory_allocate(allocator->upstream, request, out_block);
    }
    return base_fail(self->status, "%s on %s: allocation %llu, of %zu bytes, fails on schedule", allocator->spec,
                     tarn_device_name(allocator->device), (unsigned long long)number, request->size);
}

static tarn_status fail_free(tarn_allocator *allocator, memory_block *block, tarn_stream *stream) {
    return memory_free(allocator->upstream, block, stream);
}

static tarn_status fail_stats(tarn_allocator *allocator, tarn_memory_stats *out_stats) {
    tarn_status status = memory_stats_below(allocator, out_stats);
    uint64_t failures = atomic_load_explicit(&fail_of(allocator)->failures, memory_order_relaxed);
    out_stats->failed_allocations = saturating_add(out_stats->failed_allocations, failures);
    return status;
}

/* A count that is there must be above zero, which stands for its absence. */
static tarn_status read_count(memory_arguments *arguments, const char *key, uint64_t *inout_value) {
    uint64_t value = UINT64_MAX;
    tarn_status status = memory_argument_number(arguments, key, &value);
    if (status != TARN_OK || value == UINT64_MAX) return status;
    if (value == 0) return memory_argument_refuse(arguments, key, "a number from 1 on");
    *inout_value = value;
    return TARN_OK;
}

static tarn_status read_status(memory_arguments *arguments, tarn_status *inout_value) {
    const char *name = NULL;
    tarn_status status = memory_argument_text(arguments, "status", &name);
    if (status != TARN_OK || name == NULL) return status;
    for (int value = TARN_OK + 1; value <= TARN_INTERNAL; value++) {
        if (strcmp(tarn_status_name((tarn_status)value), name) != 0) continue;
        *inout_value = (tarn_status)value;
        return TARN_OK;
    }
    return memory_argument_refuse(arguments, "status", "the name of a failure such as OUT_OF_MEMORY");
}

static tarn_status fail_create(tarn_device *device, memory_arguments *arguments, tarn_allocator *upstream,
                               tarn_allocator **out_allocator) {
    fail read = {.status = TARN_OUT_OF_MEMORY};
    tarn_status status = read_count(arguments, "at", &read.at);
    if (status == TARN_OK) status = read_count(arguments, "every", &read.every);
    if (status == TARN_OK) status = read_count(arguments, "count", &read.count);
    if (status == TARN_OK) status = read_status(arguments, &read.status);
    if (status == TARN_OK) status = memory_arguments_check(arguments);
    if (status != TARN_OK) return status;
    fail *self = base_allocate(1, sizeof *self);
    if (self == NULL) return base_fail(TARN_OUT_OF_MEMORY, "fail: no host memory for an allocator");
    self->at = read.at;
    self->every = read.every;
    self->count = read.count;
    self->status = read.status;
    memory_allocator_begin(&self->base, &fail_adaptor, device, upstream);
    *out_allocator = &self->base;
    return TARN_OK;
}

const memory_strategy fail_adaptor = {
    .name = "fail",
    .is_adaptor = true,
    .has_places = true,
    .create = fail_create,
    .destroy = memory_allocator_end,
    .allocate = fail_allocate,
    .free = fail_free,
    .stats = fail_stats,
};
