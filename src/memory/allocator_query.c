/* Asking a stack of allocators: each question goes to the highest element that answers it. */
#include <tarn/allocator.h>

#include <stdio.h>
#include <string.h>

#include <tarn/size.h>

#include "base/checked.h"
#include "base/log.h"
#include "base/status.h"
#include "base/structure.h"
#include "memory/stack.h"

/* The highest element that has `function` in its table, or NULL. */
#define ELEMENT_WITH(allocator, function) element_with((allocator), (size_t)offsetof(memory_strategy, function))

static tarn_allocator *element_with(tarn_allocator *allocator, size_t offset) {
    while (allocator != NULL) {
        void (*function)(void);
        memcpy(&function, (const char *)allocator->strategy + offset, sizeof function);
        if (function != NULL) break;
        allocator = allocator->upstream;
    }
    return allocator;
}

/* What can be wrong with each question. */
static tarn_status check_question(const tarn_allocator *allocator, const char *what) {
    if (allocator == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the allocator to %s is NULL", what);
    return memory_check_callback(allocator, what);
}

tarn_status memory_find_from(tarn_allocator *allocator, const void *pointer, memory_block **out_block) {
    tarn_allocator *element = ELEMENT_WITH(allocator, find);
    if (element != NULL) return element->strategy->find(element, pointer, out_block);
    return base_fail(TARN_NOT_SUPPORTED, "%s on %s cannot find buffers", allocator->spec,
                     memory_device_name(allocator));
}

tarn_status memory_containing_from(tarn_allocator *allocator, const void *pointer, memory_block **out_block) {
    tarn_allocator *element = ELEMENT_WITH(allocator, containing);
    if (element != NULL) return element->strategy->containing(element, pointer, out_block);
    return base_fail(TARN_NOT_SUPPORTED, "%s on %s cannot find what an address lies in: it has no track",
                     allocator->spec, memory_device_name(allocator));
}

tarn_status memory_each_block_from(tarn_allocator *allocator, int (*visit)(void *, const tarn_block_info *),
                                   void *context) {
    tarn_allocator *element = ELEMENT_WITH(allocator, each_block);
    if (element != NULL) return element->strategy->each_block(element, visit, context);
    return base_fail(TARN_NOT_SUPPORTED, "%s on %s cannot show its blocks", allocator->spec,
                     memory_device_name(allocator));
}

tarn_status memory_conclude_from(tarn_allocator *allocator) {
    tarn_status first = TARN_OK;
    for (tarn_allocator *element = allocator; element != NULL; element = element->upstream) {
        tarn_status status = element->strategy->conclude != NULL ? element->strategy->conclude(element) : TARN_OK;
        if (first == TARN_OK) first = status;
    }
    return first;
}

tarn_memory_kind memory_kind_of(tarn_allocator *allocator) {
    tarn_allocator *element = ELEMENT_WITH(allocator, kind);
    return element != NULL ? element->strategy->kind(element) : TARN_MEMORY_DEVICE;
}

tarn_status memory_check_host_access(tarn_allocator *allocator, const char *what) {
    tarn_memory_kind kind = memory_kind_of(allocator);
    bool is_stored = !hal_device_has_feature(allocator->device, TARN_FEATURE_NO_BACKING);
    bool is_device_memory = kind == TARN_MEMORY_DEVICE || kind == TARN_MEMORY_SHARED;
    bool is_reached = !is_device_memory || hal_device_has_feature(allocator->device, TARN_FEATURE_HOST_ACCESS);
    if (is_stored && is_reached) return TARN_OK;
    return base_fail(TARN_NOT_SUPPORTED, "%s on %s: the host cannot read its memory, which %s needs", allocator->spec,
                     memory_device_name(allocator), what);
}

tarn_status memory_strategy_of(tarn_allocator *allocator, const memory_strategy *wanted, const char *what,
                               tarn_allocator **out_element) {
    tarn_status status = check_question(allocator, what);
    if (status != TARN_OK) return status;
    tarn_allocator *element = allocator;
    while (element->strategy->is_adaptor) element = element->upstream;
    if (element->strategy != wanted) {
        return base_fail(TARN_NOT_SUPPORTED, "%s on %s: only \"%s\" can %s, not \"%s\"", allocator->spec,
                         memory_device_name(allocator), wanted->name, what, element->strategy->name);
    }
    *out_element = element;
    return TARN_OK;
}

tarn_status tarn_allocator_find(tarn_allocator *allocator, const void *pointer, tarn_buffer **out_buffer) {
    tarn_status status = check_question(allocator, "find a buffer");
    if (status != TARN_OK) return status;
    if (pointer == NULL || out_buffer == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s on %s: the pointer or the place for its buffer is NULL",
                         allocator->spec, memory_device_name(allocator));
    }
    memory_block *block;
    status = memory_find_from(allocator, pointer, &block);
    if (status != TARN_OK) return status;
    const tarn_allocator *outer = allocator;
    while (outer != NULL && outer != block->live.outer) outer = outer->upstream;
    if (outer == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s on %s: the buffer at %p is another stack's", allocator->spec,
                         memory_device_name(allocator), pointer);
    }
    *out_buffer = block_handle(block);
    return TARN_OK;
}

/* The whole structure, whatever the caller's version has of it. */
static tarn_status read_stats(tarn_allocator *allocator, tarn_memory_stats *out_stats) {
    *out_stats = (tarn_memory_stats){.struct_size = sizeof *out_stats};
    tarn_allocator *element = ELEMENT_WITH(allocator, stats);
    return element != NULL ? element->strategy->stats(element, out_stats) : TARN_OK;
}

tarn_status memory_stats_below(tarn_allocator *allocator, tarn_memory_stats *out_stats) {
    tarn_allocator *element = ELEMENT_WITH(allocator->upstream, stats);
    return element != NULL ? element->strategy->stats(element, out_stats) : TARN_OK;
}

tarn_status tarn_allocator_stats(tarn_allocator *allocator, tarn_memory_stats *out_stats) {
    tarn_status status = check_question(allocator, "read its statistics");
    if (status != TARN_OK) return status;
    if (out_stats == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the place for the statistics is NULL");
    tarn_memory_stats stats;
    status = read_stats(allocator, &stats);
    if (status != TARN_OK) return status;
    return base_fill_structure(out_stats, &stats, sizeof stats, "tarn_memory_stats");
}

size_t tarn_allocator_cache_size(tarn_allocator *allocator) {
    tarn_memory_stats stats;
    if (check_question(allocator, "read its cache size") != TARN_OK) return 0;
    return read_stats(allocator, &stats) == TARN_OK ? (size_t)stats.cached_bytes.current : 0;
}

size_t tarn_allocator_allocated_size(tarn_allocator *allocator) {
    tarn_memory_stats stats;
    if (check_question(allocator, "read its allocated size") != TARN_OK) return 0;
    if (read_stats(allocator, &stats) != TARN_OK) return 0;
    return (size_t)saturating_add(stats.in_use_bytes.current, stats.cached_bytes.current);
}

static tarn_status empty_cache(tarn_allocator *allocator) {
    tarn_allocator *element = ELEMENT_WITH(allocator, empty_cache);
    return element != NULL ? element->strategy->empty_cache(element) : TARN_OK;
}

tarn_status memory_empty_cache_below(tarn_allocator *allocator) { return empty_cache(allocator->upstream); }

tarn_status tarn_allocator_empty_cache(tarn_allocator *allocator) {
    tarn_status status = check_question(allocator, "empty its cache");
    return status == TARN_OK ? empty_cache(allocator) : status;
}

tarn_device *tarn_allocator_device(const tarn_allocator *allocator) {
    return allocator != NULL ? allocator->device : NULL;
}

const char *tarn_allocator_spec(const tarn_allocator *allocator) { return allocator != NULL ? allocator->spec : ""; }

static tarn_status reset_peaks(tarn_allocator *allocator) {
    tarn_allocator *element = ELEMENT_WITH(allocator, reset_peaks);
    return element != NULL ? element->strategy->reset_peaks(element) : TARN_OK;
}

tarn_status memory_reset_peaks_below(tarn_allocator *allocator) { return reset_peaks(allocator->upstream); }

tarn_status tarn_allocator_reset_peaks(tarn_allocator *allocator) {
    tarn_status status = check_question(allocator, "reset its peaks");
    return status == TARN_OK ? reset_peaks(allocator) : status;
}

tarn_status tarn_allocator_set_limit(tarn_allocator *allocator, size_t bytes) {
    tarn_status status = check_question(allocator, "set its limit");
    if (status != TARN_OK) return status;
    tarn_allocator *element = ELEMENT_WITH(allocator, set_limit);
    if (element == NULL) {
        return base_fail(TARN_NOT_SUPPORTED, "%s on %s has no limit", allocator->spec, memory_device_name(allocator));
    }
    return element->strategy->set_limit(element, bytes);
}

tarn_status tarn_allocator_each_block(tarn_allocator *allocator,
                                      int (*visit)(void *context, const tarn_block_info *block), void *context) {
    tarn_status status = check_question(allocator, "visit its blocks");
    if (status != TARN_OK) return status;
    if (visit == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the function to call for each block is NULL");
    memory_callback callback;
    memory_callback_begin(&callback, allocator, true);
    status = memory_each_block_from(allocator, visit, context);
    memory_callback_end(&callback);
    return status;
}

tarn_status tarn_allocator_check(tarn_allocator *allocator) {
    tarn_status status = check_question(allocator, "check its structure");
    for (tarn_allocator *element = allocator; status == TARN_OK && element != NULL; element = element->upstream) {
        if (element->strategy->check != NULL) status = element->strategy->check(element);
    }
    return status;
}

/* The report of what still lives at the release. */

#define REPORTED_TAGS 16

typedef struct live_tag {
    const char *tag; /* "" for none */
    uint64_t buffers, bytes;
} live_tag;

typedef struct live_report {
    uint64_t buffers, bytes;
    live_tag tags[REPORTED_TAGS];
    size_t tag_count;
    uint64_t further_buffers; /* with tags that found no place */
} live_report;

static int add_to_report(void *context, const tarn_block_info *block) {
    live_report *report = context;
    if (block->state != TARN_BLOCK_IN_USE) return 0;
    const char *tag = block->tag != NULL ? block->tag : "";
    report->buffers++;
    report->bytes = saturating_add(report->bytes, block->requested);
    size_t i = 0;
    while (i < report->tag_count && strcmp(report->tags[i].tag, tag) != 0) i++;
    if (i == REPORTED_TAGS) {
        report->further_buffers++;
        return 0;
    }
    if (i == report->tag_count) report->tags[report->tag_count++] = (live_tag){.tag = tag};
    report->tags[i].buffers++;
    report->tags[i].bytes = saturating_add(report->tags[i].bytes, block->requested);
    return 0;
}

/* Writes "weights: 2 (1.5 MiB), no tag: 1 (64 B), others: 3". */
static void write_tags(const live_report *report, char *out_text, size_t capacity) {
    size_t length = 0;
    char size[TARN_SIZE_TEXT];
    out_text[0] = '\0';
    for (size_t i = 0; i < report->tag_count && length < capacity; i++) {
        const live_tag *tag = &report->tags[i];
        length += (size_t)snprintf(out_text + length, capacity - length, "%s%.64s: %llu (%s)", i > 0 ? ", " : "",
                                   tag->tag[0] != '\0' ? tag->tag : "no tag", (unsigned long long)tag->buffers,
                                   tarn_size_format(tag->bytes, size));
    }
    if (report->further_buffers > 0 && length < capacity) {
        snprintf(out_text + length, capacity - length, ", others: %llu", (unsigned long long)report->further_buffers);
    }
}

void memory_report_live(tarn_allocator *allocator) {
    tarn_allocator *element = ELEMENT_WITH(allocator, each_block);
    if (element == NULL) return;
    live_report report = {0};
    if (element->strategy->each_block(element, add_to_report, &report) != TARN_OK || report.buffers == 0) return;
    char tags[1024], size[TARN_SIZE_TEXT];
    write_tags(&report, tags, sizeof tags);
    base_log(TARN_LOG_WARNING, "%s on %s is released with %llu live buffers of %s: %s", allocator->spec,
             memory_device_name(allocator), (unsigned long long)report.buffers, tarn_size_format(report.bytes, size),
             tags);
}
