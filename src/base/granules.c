/* The granules of granules.h: a table by number, and a stack of the numbers that are free. */
#include "base/granules.h"

#include "base/memory.h"

/* Keeps the sentence of a failure and returns its status, which static analysis is told, since it does not see that. */
#ifdef __clang_analyzer__
#define FAIL(granules, status, ...) ((void)(granules)->fail(status, __VA_ARGS__), (status))
#else
#define FAIL(granules, status, ...) (granules)->fail(status, __VA_ARGS__)
#endif

/* Makes room for `count` more numbers in the table and on the stack. */
static tarn_status make_room(base_granules *granules, size_t count) {
    size_t needed = granules->count + (count > granules->free_count ? count - granules->free_count : 0);
    if (needed <= granules->room) return TARN_OK;
    size_t room = needed > 2 * granules->room ? needed : 2 * granules->room;
    base_granule *table = needed < UINT32_MAX ? base_reallocate(granules->table, room, sizeof *table) : NULL;
    if (table != NULL) granules->table = table;
    uint32_t *stack = table != NULL ? base_reallocate(granules->free_numbers, room, sizeof *stack) : NULL;
    if (stack == NULL) return FAIL(granules, TARN_OUT_OF_MEMORY, "no host memory for %zu granules", needed);
    granules->free_numbers = stack;
    granules->room = room;
    return TARN_OK;
}

tarn_status base_granules_create(base_granules *granules, size_t count, uint64_t *out_numbers) {
    tarn_status status = make_room(granules, count);
    for (size_t i = 0; i < count && status == TARN_OK; i++) {
        uint32_t number =
            granules->free_count > 0 ? granules->free_numbers[--granules->free_count] : (uint32_t)++granules->count;
        *base_granule_of(granules, number) = (base_granule){.is_live = true};
        out_numbers[i] = number;
    }
    return status;
}

static tarn_status check_live(const base_granules *granules, uint64_t number) {
    if (number != 0 && number <= granules->count && base_granule_of(granules, number)->is_live) return TARN_OK;
    return FAIL(granules, TARN_INVALID_ARGUMENT, "there is no granule %llu", (unsigned long long)number);
}

static tarn_status check_releasable(const base_granules *granules, uint64_t number) {
    tarn_status status = check_live(granules, number);
    if (status != TARN_OK || base_granule_of(granules, number)->maps == 0) return status;
    return FAIL(granules, TARN_INVALID_ARGUMENT, "granule %llu is still mapped", (unsigned long long)number);
}

tarn_status base_granules_release(base_granules *granules, size_t count, const uint64_t *numbers) {
    tarn_status status = TARN_OK;
    size_t done = 0;
    /* Each is marked at once, so that one that is named twice is found. */
    for (; done < count; done++) {
        status = check_releasable(granules, numbers[done]);
        if (status != TARN_OK) break;
        base_granule_of(granules, numbers[done])->is_live = false;
    }
    for (size_t i = 0; i < done; i++) {
        if (status != TARN_OK) base_granule_of(granules, numbers[i])->is_live = true;
        else granules->free_numbers[granules->free_count++] = (uint32_t)numbers[i];
    }
    return status;
}

static tarn_status check_mappable(const base_granules *granules, uint32_t slot, size_t index, uint64_t number) {
    tarn_status status = check_live(granules, number);
    if (status != TARN_OK) return status;
    if (slot != 0) return FAIL(granules, TARN_INVALID_ARGUMENT, "granule %zu of the range is mapped already", index);
    if (base_granule_of(granules, number)->maps == 0 || granules->may_alias) return TARN_OK;
    return FAIL(granules, TARN_INVALID_ARGUMENT, "granule %llu is mapped elsewhere", (unsigned long long)number);
}

tarn_status base_granules_map(base_granules *granules, uint32_t *slots, size_t count, const uint64_t *numbers) {
    tarn_status status = TARN_OK;
    size_t done = 0;
    for (; done < count; done++) {
        status = check_mappable(granules, slots[done], done, numbers[done]);
        if (status != TARN_OK) break;
        base_granule_of(granules, numbers[done])->maps++;
        slots[done] = (uint32_t)numbers[done];
    }
    for (size_t i = 0; i < done && status != TARN_OK; i++) {
        base_granule_of(granules, slots[i])->maps--;
        slots[i] = 0;
    }
    return status;
}

tarn_status base_granules_check_mapped(const base_granules *granules, const uint32_t *slots, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (slots[i] == 0) return FAIL(granules, TARN_INVALID_ARGUMENT, "granule %zu of the range is not mapped", i);
    return TARN_OK;
}

tarn_status base_granules_unmap(base_granules *granules, uint32_t *slots, size_t count) {
    tarn_status status = base_granules_check_mapped(granules, slots, count);
    for (size_t i = 0; i < count && status == TARN_OK; i++) {
        base_granule_of(granules, slots[i])->maps--;
        slots[i] = 0;
    }
    return status;
}

tarn_status base_granules_check_empty(const base_granules *granules, const uint32_t *slots, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (slots[i] != 0) return FAIL(granules, TARN_INVALID_ARGUMENT, "granule %zu of the range is still mapped", i);
    return TARN_OK;
}

void base_granules_end(base_granules *granules) {
    base_free(granules->table);
    base_free(granules->free_numbers);
}
