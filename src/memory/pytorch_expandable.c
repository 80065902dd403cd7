/* Expandable segments; see pytorch_expandable.h. */
#include "memory/pytorch_expandable.h"

#include "base/checked.h"
#include "base/memory.h"
#include "base/status.h"
#include "hal/memory.h"

static size_t granules_of_page(const pytorch_segment *segment) {
    return segment->page_size / segment->pool->stream->owner->granule;
}

static void *address_of_page(const pytorch_segment *segment, size_t page) {
    return (void *)(segment->address + page * segment->page_size); /* NOLINT(performance-no-int-to-ptr) */
}

/* An UNMAPPED block over room for the device's memory and an eighth more, so that pages can be had behind others that could
 * not be unmapped yet. */
static tarn_status reserve(pytorch_pool *pool, memory_block **out_block) {
    pytorch *owner = pool->stream->owner;
    tarn_device *device = owner->base.device;
    size_t page = pool->is_small ? PYTORCH_SMALL_SEGMENT : owner->settings.large_segment_size;
    uint64_t total = hal_device_properties(device)->memory_total;
    size_t size;
    page = round_up(page, owner->granule);
    if (total > SIZE_MAX / 2) return base_fail(TARN_OUT_OF_MEMORY, "the device's memory exceeds the address space");
    size = (size_t)((total + total / 8 + page - 1) / page) * page;
    pytorch_segment *segment;
    memory_block *block;
    tarn_status status = pytorch_segment_create(pool, size, &segment, &block);
    if (status != TARN_OK) return status;
    segment->page_size = page;
    segment->pages = base_allocate(size / page, sizeof *segment->pages);
    segment->granules = base_allocate(size / owner->granule, sizeof *segment->granules);
    void *address;
    if (segment->pages == NULL || segment->granules == NULL) {
        status = base_fail(TARN_OUT_OF_MEMORY, "no host memory for the %zu pages of a segment", size / page);
    } else {
        status = hal_virtual_reserve(device, size, &address);
    }
    if (status != TARN_OK) {
        pytorch_segment_discard(segment, block);
        return status;
    }
    pytorch_segment_begin(segment, block, address, PYTORCH_UNMAPPED);
    pytorch_show(block);
    *out_block = block;
    return TARN_OK;
}

/* Notes what is behind a page; strays are counted. */
static void set_page(pytorch_segment *segment, size_t page, pytorch_page state) {
    bool was_stray = segment->pages[page] >= PYTORCH_PAGE_STUCK, is_stray = state >= PYTORCH_PAGE_STUCK;
    segment->strays = segment->strays + is_stray - was_stray;
    segment->pages[page] = (uint8_t)state;
}

/* Of a page that is not mapped. */
static tarn_status release_page(pytorch_segment *segment, size_t page) {
    pytorch *owner = segment->pool->stream->owner;
    size_t count = granules_of_page(segment);
    tarn_status status = hal_granules_release(owner->base.device, count, segment->granules + page * count);
    set_page(segment, page, status == TARN_OK ? PYTORCH_PAGE_NONE : PYTORCH_PAGE_STRAY);
    if (status == TARN_OK) pytorch_count_unreserved(owner, segment->page_size);
    return status;
}

/* Of a page that is mapped and in no block. */
static tarn_status unmap_page(pytorch_segment *segment, size_t page) {
    pytorch *owner = segment->pool->stream->owner;
    tarn_status status =
        hal_virtual_unmap(owner->base.device, address_of_page(segment, page), granules_of_page(segment));
    if (status == TARN_OK) return release_page(segment, page);
    set_page(segment, page, PYTORCH_PAGE_STUCK);
    return status;
}

static tarn_status map_page(pytorch_segment *segment, size_t page) {
    pytorch *owner = segment->pool->stream->owner;
    size_t count = granules_of_page(segment);
    tarn_backend_granule *granules = segment->granules + page * count;
    tarn_status status = TARN_OK;
    if (segment->pages[page] == PYTORCH_PAGE_NONE) {
        status = hal_granules_create(owner->base.device, count, granules);
        if (status != TARN_OK) return status;
        pytorch_count_reserved(owner, segment->page_size);
    }
    if (segment->pages[page] != PYTORCH_PAGE_STUCK)
        status = hal_virtual_map(owner->base.device, address_of_page(segment, page), count, granules);
    if (status == TARN_OK) set_page(segment, page, PYTORCH_PAGE_MAPPED);
    else (void)release_page(segment, page);
    return status;
}

/* Maps pages of one segment, all or none. */
static tarn_status map_pages(pytorch_segment *segment, size_t first, size_t end) {
    for (size_t page = first; page < end; page++) {
        tarn_status status = map_page(segment, page);
        if (status == TARN_OK) continue;
        while (page-- > first) (void)unmap_page(segment, page);
        return status;
    }
    return TARN_OK;
}

/* Maps the pages that `size` bytes at the beginning of an UNMAPPED block touch, and joins them with free neighbours; the
 * result is not shown. On failure nothing has changed. */
static tarn_status map(memory_block *block, size_t size, memory_block **out_block) {
    pytorch_segment *segment = pytorch_segment_of(block);
    size_t first = ((uintptr_t)block->address - segment->address) / segment->page_size;
    size_t count = (size + segment->page_size - 1) / segment->page_size;
    size_t bytes = count * segment->page_size;
    memory_block *rest = NULL;
    pytorch_hide(block);
    if (bytes < block->capacity && (rest = pytorch_cut(block, bytes)) == NULL) {
        pytorch_show(block);
        return base_fail(TARN_OUT_OF_MEMORY, "no host memory for a block's descriptor");
    }
    if (rest != NULL) pytorch_show(rest);
    tarn_status status = map_pages(segment, first, first + count);
    if (status != TARN_OK) {
        pytorch_show(pytorch_join(block));
        return status;
    }
    block->kind = PYTORCH_FREE;
    *out_block = pytorch_join(block);
    return TARN_OK;
}

static bool is_available(const memory_block *block) {
    return block != NULL && (block->kind == PYTORCH_FREE || block->kind == PYTORCH_UNMAPPED);
}

/* Whether the run that begins with `block` is long enough. */
static bool has_room(const memory_block *block, size_t size) {
    size_t room = 0;
    for (; is_available(block) && room < size; block = pytorch_next(block)) room += block->capacity;
    return room >= size;
}

static tarn_status find_run(pytorch_pool *pool, size_t size, memory_block **out_block) {
    for (memory_block *block = pytorch_tree_first(&pool->unmapped); block != NULL;
         block = pytorch_tree_next(&pool->unmapped, block)) {
        memory_block *previous = pytorch_previous(block);
        memory_block *begin = is_available(previous) ? previous : block;
        if (!has_room(begin, size)) continue;
        *out_block = begin;
        return TARN_OK;
    }
    return reserve(pool, out_block);
}

tarn_status pytorch_expand(pytorch_pool *pool, size_t size, memory_block **out_block) {
    memory_block *block;
    tarn_status status = find_run(pool, size, &block);
    if (status != TARN_OK) return status;
    if (block->kind == PYTORCH_FREE) {
        pytorch_hide(block);
    } else {
        status = map(block, size < block->capacity ? size : block->capacity, &block);
        if (status != TARN_OK) return status;
    }
    while (block->capacity < size) {
        memory_block *next = pytorch_next(block);
        size_t missing = size - block->capacity;
        pytorch_show(block);
        if (next == NULL) return base_fail(TARN_OUT_OF_MEMORY, "the addresses of a segment do not suffice");
        status = map(next, missing < next->capacity ? missing : next->capacity, &block);
        if (status != TARN_OK) return status;
    }
    *out_block = block;
    return TARN_OK;
}

static tarn_status end_when_empty(memory_block *block) {
    pytorch_segment *segment = pytorch_segment_of(block);
    if (!pytorch_is_whole(block) || segment->strays != 0) return TARN_OK;
    tarn_status status = hal_virtual_release(pytorch_owner_of(block)->base.device, block->address, segment->size);
    if (status != TARN_OK) return status;
    pytorch_hide(block);
    pytorch_segment_end(segment, block);
    return TARN_OK;
}

/* Cuts a FREE block that is not shown down to [begin, end) and shows what is left of it. NULL, all shown again, when there is no host
 * memory. */
static memory_block *cut_out(memory_block *block, uintptr_t begin, uintptr_t end) {
    uintptr_t address = (uintptr_t)block->address;
    if (begin > address) {
        memory_block *front = block;
        block = pytorch_cut(front, begin - address);
        pytorch_show(front);
        if (block == NULL) return NULL;
    }
    if (begin + block->capacity > end) {
        memory_block *rest = pytorch_cut(block, end - begin);
        if (rest == NULL) {
            pytorch_show(pytorch_join(block));
            return NULL;
        }
        pytorch_show(rest);
    }
    return block;
}

tarn_status pytorch_unmap(memory_block *block) {
    pytorch_segment *segment = pytorch_segment_of(block);
    pytorch *owner = pytorch_owner_of(block);
    size_t page = segment->page_size, offset = (uintptr_t)block->address - segment->address;
    size_t first = (offset + page - 1) / page, end = (offset + block->capacity) / page;
    if (first >= end) return TARN_OK;
    pytorch_hide(block);
    block = cut_out(block, segment->address + first * page, segment->address + end * page);
    if (block == NULL) return base_fail(TARN_OUT_OF_MEMORY, "no host memory for a block's descriptor");
    tarn_status status = hal_virtual_unmap(owner->base.device, block->address, block->capacity / owner->granule);
    if (status != TARN_OK) {
        pytorch_show(pytorch_join(block));
        return status;
    }
    for (size_t i = first; i < end; i++) {
        tarn_status released = release_page(segment, i);
        if (status == TARN_OK) status = released;
    }
    block->kind = PYTORCH_UNMAPPED;
    block->resting.freed_at = 0;
    block = pytorch_join(block);
    pytorch_show(block);
    tarn_status ended = end_when_empty(block);
    return status != TARN_OK ? status : ended;
}

tarn_status pytorch_release_strays(pytorch *owner) {
    tarn_status first = TARN_OK;
    for (pytorch_segment *segment = owner->segments, *next; segment != NULL; segment = next) {
        next = segment->next;
        if (segment->page_size == 0) continue;
        for (size_t page = 0; segment->strays != 0 && page < segment->size / segment->page_size; page++) {
            if (segment->pages[page] < PYTORCH_PAGE_STUCK) continue;
            bool is_stuck = segment->pages[page] == PYTORCH_PAGE_STUCK;
            tarn_status status = is_stuck ? unmap_page(segment, page) : release_page(segment, page);
            if (first == TARN_OK) first = status;
            if (status != TARN_OK) break;
        }
        memory_block *block = pytorch_tree_at_least(&owner->blocks, 0, segment->address);
        tarn_status status = block->kind == PYTORCH_UNMAPPED ? end_when_empty(block) : TARN_OK;
        if (first == TARN_OK) first = status;
    }
    return first;
}

size_t pytorch_segment_memory(const pytorch_segment *segment) {
    if (segment->page_size == 0) return segment->size;
    size_t bytes = 0;
    for (size_t page = 0; page < segment->size / segment->page_size; page++)
        if (segment->pages[page] != PYTORCH_PAGE_NONE) bytes += segment->page_size;
    return bytes;
}
