/* Noting what is asked for, and finding what repeats; see planned_log.h.
 *
 * A period is a length p such that the list's end looks the same p requests earlier. The failure function of Knuth, Morris and Pratt,
 * over the list read backwards, gives the shortest period of every tail in one pass. A tail counts when it has two whole
 * periods and is at least half of the list: so the layers of a network, which repeat inside an iteration, are not taken for the
 * iteration, and what a program does once before its first iteration is no hindrance. */
#include "memory/planned_log.h"

#include <string.h>

#include "base/memory.h"
#include "base/status.h"

enum { LEAST_ROOM = 256, LEAST_REQUESTS = 256 };

static bool has_room(planned_log *log) {
    if (log->count < log->room) return true;
    if (log->room >= PLANNED_MOST_REQUESTS) return false;
    size_t room = log->room == 0 ? LEAST_ROOM : 2 * log->room;
    planned_request *requests = base_reallocate(log->requests, room, sizeof *requests);
    if (requests == NULL) return false;
    log->requests = requests;
    log->room = room;
    return true;
}

void planned_log_add(planned_log *log, const memory_block *block, const planned_request *request) {
    uint64_t number = log->first + log->count + 1;
    void *note = (void *)(uintptr_t)number; /* NOLINT(performance-no-int-to-ptr) */
    if (log->is_broken || !has_room(log) || !pointer_table_insert(&log->notes, block, note)) {
        log->is_broken = true;
        return;
    }
    planned_request *noted = &log->requests[log->count++];
    *noted = *request;
    noted->born = log->clock++;
    noted->died = PLANNED_ALIVE;
}

void planned_log_remove(planned_log *log, const memory_block *block) {
    uint64_t number = (uintptr_t)pointer_table_remove(&log->notes, block);
    if (number <= log->first) return;
    log->requests[number - log->first - 1].died = log->clock++;
}

void planned_log_clear(planned_log *log) {
    pointer_table_end(&log->notes);
    log->first += log->count;
    log->count = log->begin = log->previous = 0;
    log->begin_clock = log->clock;
    log->is_broken = false;
    log->check_at = LEAST_REQUESTS;
}

void planned_log_end(planned_log *log) {
    base_free(log->requests);
    pointer_table_end(&log->notes);
    *log = (planned_log){.requests = NULL};
}

void planned_round_end(planned_round *round) {
    base_free(round->requests);
    base_free(round->previous);
    *round = (planned_round){.requests = NULL};
}

static planned_request *copy(const planned_request *requests, size_t count) {
    planned_request *copied = base_allocate(count, sizeof *copied);
    if (copied != NULL) memcpy(copied, requests, count * sizeof *copied);
    return copied;
}

/* Copies the requests in [begin, end), and the same number before them where the round has a `previous`. */
static bool copy_round(const planned_log *log, size_t begin, size_t end, bool has_previous, planned_round *out_round) {
    planned_round round = {.count = end - begin, .begin = out_round->begin, .end = out_round->end};
    round.requests = copy(log->requests + begin, round.count);
    if (has_previous) round.previous = copy(log->requests + begin - round.count, round.count);
    if (round.requests == NULL || (has_previous && round.previous == NULL)) {
        planned_round_end(&round);
        return false;
    }
    *out_round = round;
    return true;
}

static bool outlives(const planned_log *log) {
    for (size_t i = log->begin; i < log->count; i++)
        if (log->requests[i].died == PLANNED_ALIVE) return true;
    return false;
}

static bool has_like_before(const planned_log *log) {
    size_t count = log->count - log->begin;
    if (log->begin - log->previous != count) return false;
    for (size_t i = 0; i < count; i++)
        if (!planned_is_alike(&log->requests[log->begin + i], &log->requests[log->previous + i])) return false;
    return true;
}

/* Keeps the round that has ended as the one before the next. */
static void begin_next(planned_log *log) {
    size_t kept = log->count - log->begin;
    memmove(log->requests, log->requests + log->begin, kept * sizeof *log->requests);
    log->first += log->begin;
    log->count = log->begin = kept;
    log->previous = 0;
    log->begin_clock = log->clock;
}

tarn_status planned_log_end_round(planned_log *log, bool is_enough, bool *out_is_ready, planned_round *out_round) {
    *out_is_ready = false;
    if (log->is_broken) {
        planned_log_clear(log);
        return TARN_OK;
    }
    if (log->count == log->begin) return TARN_OK;
    bool is_alike = has_like_before(log);
    if (is_alike || is_enough || !outlives(log)) {
        *out_round = (planned_round){.begin = log->begin_clock, .end = log->clock};
        if (!copy_round(log, log->begin, log->count, is_alike, out_round)) {
            return base_fail(TARN_OUT_OF_MEMORY, "planned: no host memory to plan %zu requests",
                             log->count - log->begin);
        }
        *out_is_ready = true;
    }
    begin_next(log);
    return TARN_OK;
}

/* The period of the longest tail that has two and one request more; 0 where it is shorter than half of the list. */
static size_t period_of(const planned_log *log, uint32_t *borders) {
    const planned_request *last = log->requests + log->count - 1;
    size_t border = 0, period = 0, covered = 0;
    borders[0] = 0;
    for (size_t i = 1; i < log->count; i++) {
        while (border > 0 && !planned_is_alike(last - i, last - border)) border = borders[border - 1];
        if (planned_is_alike(last - i, last - border)) border++;
        borders[i] = (uint32_t)border;
        size_t length = i + 1, shortest = length - border;
        if (length > 2 * shortest) {
            covered = length;
            period = shortest;
        }
    }
    return covered >= LEAST_REQUESTS / 2 && covered >= log->count / 2 ? period : 0;
}

bool planned_log_find_period(planned_log *log, planned_round *out_round) {
    if (log->is_broken) planned_log_clear(log);
    if (log->count < log->check_at) return false;
    log->check_at = log->count + log->count / 4;
    uint32_t *borders = base_allocate(log->count, sizeof *borders);
    if (borders == NULL) return false;
    size_t period = period_of(log, borders);
    base_free(borders);
    if (period == 0) return false;
    /* The latest request begins the round that comes: what was freed before it belongs to the one before. */
    size_t end = log->count - 1, begin = end - period;
    *out_round = (planned_round){.begin = log->requests[begin].born, .end = log->requests[end].born};
    return copy_round(log, begin, end, true, out_round);
}
