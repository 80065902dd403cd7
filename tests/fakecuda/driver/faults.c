/* Faults on schedule: the k-th call of a function fails, once or from then on, before or after its effect, or as an error that a
 * later call answers. */
#include "state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum fake_moment { BEFORE, AFTER, DEFERRED } fake_moment;
typedef struct fake_fault {
    bool is_any;
    call_number number;
    unsigned long long at; /* the first is 1 */
    unsigned long long seen;
    bool is_for_good;
    fake_moment moment;
    CUresult error;
} fake_fault;

enum { MOST_FAULTS = 16 };
static fake_fault schedule[MOST_FAULTS];
static size_t scheduled;
static unsigned long long happened;

static bool error_of(const char *name, CUresult *error) {
#define ERROR_NAMED(known, number, sentence) \
    if (strcmp(name, #known) == 0) {         \
        *error = known;                      \
        return true;                         \
    }
    FAKECUDA_ERRORS(ERROR_NAMED)
    return false;
}

static bool function_of(const char *name, fake_fault *out) {
    const char *const *names = fakecuda_symbols();
    out->is_any = strcmp(name, "any") == 0;
    for (size_t i = 0; i < CALL_COUNT; i++) {
        if (strcmp(names[i], name) != 0) continue;
        out->number = (call_number)i;
        return true;
    }
    return out->is_any;
}

/* SYMBOL:K:ERROR[:once|for-good][:before|after|deferred] */
static bool parse_fault(char *text, fake_fault *out) {
    *out = (fake_fault){.moment = BEFORE};
    char *rest = text, *part[5];
    size_t parts = 0;
    while (rest != NULL && parts < 5) part[parts++] = strsep(&rest, ":");
    if (rest != NULL || parts < 3 || !function_of(part[0], out) || !error_of(part[2], &out->error)) return false;
    char *end;
    out->at = strtoull(part[1], &end, 10);
    if (*end != 0 || out->at == 0) return false;
    for (size_t i = 3; i < parts; i++) {
        if (strcmp(part[i], "for-good") == 0) out->is_for_good = true;
        else if (strcmp(part[i], "after") == 0) out->moment = AFTER;
        else if (strcmp(part[i], "deferred") == 0) out->moment = DEFERRED;
        else if (strcmp(part[i], "once") != 0 && strcmp(part[i], "before") != 0) return false;
    }
    return true;
}

int fault_schedule(const char *text) {
    fake_fault parsed[MOST_FAULTS];
    size_t count = 0;
    char *copy = strdup(text != NULL ? text : ""), *rest = copy;
    if (copy == NULL) return -1;
    bool is_fine = true;
    while (is_fine && rest != NULL && rest[0] != 0)
        is_fine = count < MOST_FAULTS && parse_fault(strsep(&rest, ","), &parsed[count++]);
    free(copy);
    if (!is_fine) return -1;
    if (count > 0) memcpy(schedule, parsed, count * sizeof parsed[0]);
    scheduled = count;
    happened = 0;
    return 0;
}

void fault_reset(void) {
    const char *text = getenv("FAKECUDA_FAULT");
    if (fault_schedule(text) == 0) return;
    fprintf(stderr, "fakecuda: FAKECUDA_FAULT=%s is not understood\n", text);
    abort();
}

CUresult fault_before(call_number number, CUresult *after, CUresult *deferred) {
    CUresult before = CUDA_SUCCESS;
    for (size_t i = 0; i < scheduled; i++) {
        fake_fault *fault = &schedule[i];
        if (!fault->is_any && fault->number != number) continue;
        fault->seen++;
        if (before != CUDA_SUCCESS) continue; /* this call has failed already */
        if (fault->seen != fault->at && !(fault->is_for_good && fault->seen > fault->at)) continue;
        happened++;
        *(fault->moment == BEFORE ? &before : fault->moment == AFTER ? after : deferred) = fault->error;
    }
    return before;
}

int fakecuda_fault(const char *text) {
    pthread_mutex_lock(&the_driver.lock);
    int result = fault_schedule(text);
    pthread_mutex_unlock(&the_driver.lock);
    return result;
}

unsigned long long fakecuda_faults_done(void) {
    pthread_mutex_lock(&the_driver.lock);
    unsigned long long done = happened;
    pthread_mutex_unlock(&the_driver.lock);
    return done;
}
