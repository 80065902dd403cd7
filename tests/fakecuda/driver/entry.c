/* How every call begins and ends: the lock, the counts, the faults, what the function needs; and how functions are found. */
#include "state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "capture.h"

typedef enum fake_needs { NOTHING, DRIVER, CONTEXT } fake_needs;
typedef enum fake_safety { SAFE, UNSAFE } fake_safety;
typedef struct fake_symbol {
    const char *name;
    const char *base;
    int since;
    fake_needs needs;
    fake_safety safety;
    void *function;
} fake_symbol;

#define SYMBOL_ROW(name, base, since, needs, safety) {#name, #base, since, needs, safety, (void *)(uintptr_t)(name)},
static const fake_symbol symbols[CALL_COUNT] = {FAKECUDA_SYMBOLS(SYMBOL_ROW)};

fake_driver the_driver = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
_Thread_local bool in_host_function;
static _Thread_local call_number current = CALL_COUNT;

unsigned long long now_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned long long)now.tv_sec * 1000000000u + (unsigned long long)now.tv_nsec;
}

void *obtain(size_t size) {
    void *memory = calloc(1, size > 0 ? size : 1);
    if (memory == NULL) {
        fputs("fakecuda: no host memory\n", stderr);
        abort();
    }
    return memory;
}

void *grow(void *array, size_t count, size_t size) {
    if (count > 0 && (count & (count - 1)) != 0) return array;
    void *larger = realloc(array, (count > 0 ? count * 2 : 1) * size);
    if (larger == NULL) {
        fputs("fakecuda: no host memory\n", stderr);
        abort();
    }
    return larger;
}

const char *call_name(void) { return current < CALL_COUNT ? symbols[current].name : "fakecuda"; }

/* What the state of driver and context say to a call; the lock is held. */
static CUresult check_needs(const fake_symbol *symbol) {
    if (symbol->needs == NOTHING) return CUDA_SUCCESS;
    if (!the_driver.is_initialized) return CUDA_ERROR_NOT_INITIALIZED;
    if (symbol->needs == CONTEXT) {
        const fake_context *context = context_current();
        if (context == NULL) return CUDA_ERROR_INVALID_CONTEXT;
        if (context->lost != CUDA_SUCCESS) return context->lost;
    }
    return symbol->safety == UNSAFE ? capture_forbids(symbol->name) : CUDA_SUCCESS;
}

CUresult call_begin(fake_call *call, call_number number) {
    *call = (struct fake_call){.number = number};
    if (the_driver.is_forked)
        return symbols[number].needs == NOTHING && number != CALL_cuInit ? CUDA_SUCCESS : CUDA_ERROR_NOT_INITIALIZED;
    pthread_mutex_lock(&the_driver.lock);
    current = number;
    the_driver.calls[number]++;
    the_driver.last_call = now_nanoseconds();
    CUresult result = CUDA_SUCCESS, deferred = CUDA_SUCCESS;
    if (in_host_function && symbols[number].needs != NOTHING)
        result = VIOLATION(CUDA_ERROR_NOT_PERMITTED, "a host function called %s", symbols[number].name);
    else if (the_driver.is_exiting && symbols[number].needs != NOTHING) result = CUDA_ERROR_DEINITIALIZED;
    else if ((result = fault_before(number, &call->fault_after, &deferred)) == CUDA_SUCCESS)
        result = check_needs(&symbols[number]);
    else if (is_sticky(result) && context_current() != NULL) context_lose(context_current(), result);
    if (result == CUDA_SUCCESS && deferred != CUDA_SUCCESS && context_current() != NULL)
        context_current()->deferred = deferred;
    if (result != CUDA_SUCCESS) pthread_mutex_unlock(&the_driver.lock);
    return result;
}

CUresult call_end(fake_call *call, CUresult result) {
    if (the_driver.is_forked) return result;
    if (result == CUDA_SUCCESS && call->fault_after != CUDA_SUCCESS) {
        result = call->fault_after;
        if (is_sticky(result) && context_current() != NULL) context_lose(context_current(), result);
    }
    the_driver.last_call = now_nanoseconds();
    pthread_mutex_unlock(&the_driver.lock);
    return result;
}

/* A child has its parent's memory and none of its threads; the driver serves it nothing. */
static void before_fork(void) { pthread_mutex_lock(&the_driver.lock); }
static void after_fork(void) { pthread_mutex_unlock(&the_driver.lock); }
static void in_child(void) {
    pthread_mutex_init(&the_driver.lock, NULL);
    the_driver.is_forked = the_driver.is_initialized || the_driver.is_forked;
}

static CUresult initialize(unsigned flags) {
    if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
    if (the_driver.is_initialized) return CUDA_SUCCESS;
    static bool is_watching;
    if (!is_watching) is_watching = pthread_atfork(before_fork, after_fork, in_child) == 0;
    settings_read(&the_driver.settings);
    if (the_driver.settings.devices == 0) return CUDA_ERROR_NO_DEVICE;
    random_seed(the_driver.settings.seed);
    devices_make();
    the_driver.is_initialized = true;
    return CUDA_SUCCESS;
}

CUresult cuInit(unsigned int flags) {
    ENTER(cuInit);
    LEAVE(initialize(flags));
}

CUresult cuDriverGetVersion(int *version) {
    ENTER(cuDriverGetVersion);
    if (version == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    if (!the_driver.is_initialized && !the_driver.is_forked) settings_read(&the_driver.settings);
    *version = the_driver.settings.version;
    LEAVE(CUDA_SUCCESS);
}

static bool is_missing(const char *name) {
    const char *list = the_driver.settings.missing;
    size_t length = strlen(name);
    for (const char *at = list; (at = strstr(at, name)) != NULL; at += length)
        if ((at == list || at[-1] == ',') && (at[length] == 0 || at[length] == ',')) return true;
    return false;
}

/* The latest function of that base name which a program compiled for `version` knows and this driver has. */
static CUresult find_function(const char *name, int version, void **function, CUdriverProcAddressQueryResult *status) {
    if (!the_driver.is_initialized) settings_read(&the_driver.settings);
    const fake_symbol *best = NULL;
    bool exists = false;
    for (size_t i = 0; i < CALL_COUNT; i++) {
        if (strcmp(symbols[i].base, name) != 0 || is_missing(name) || is_missing(symbols[i].name)) continue;
        if (symbols[i].since > the_driver.settings.version) continue;
        exists = true;
        if (symbols[i].since <= version && (best == NULL || symbols[i].since > best->since)) best = &symbols[i];
    }
    *function = best != NULL ? best->function : NULL;
    *status = best != NULL ? CU_GET_PROC_ADDRESS_SUCCESS
              : exists     ? CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT
                           : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    return best != NULL ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

CUresult cuGetProcAddress_v2(const char *name, void **function, int version, cuuint64_t flags,
                             CUdriverProcAddressQueryResult *status) {
    ENTER(cuGetProcAddress_v2);
    if (name == NULL || function == NULL || flags > CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM)
        LEAVE(CUDA_ERROR_INVALID_VALUE);
    CUdriverProcAddressQueryResult found = CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    CUresult result = find_function(name, version, function, &found);
    /* Later drivers say what happened in *status and succeed; only without it the result says so. */
    if (status != NULL) {
        *status = found;
        LEAVE(CUDA_SUCCESS);
    }
    LEAVE(result);
}

CUresult cuGetProcAddress(const char *name, void **function, int version, cuuint64_t flags) {
    ENTER(cuGetProcAddress);
    if (name == NULL || function == NULL || flags > CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM)
        LEAVE(CUDA_ERROR_INVALID_VALUE);
    CUdriverProcAddressQueryResult found = CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    LEAVE(find_function(name, version, function, &found));
}

#define ERROR_ROW(name, number, sentence) {name, #name, sentence},
static const struct {
    CUresult error;
    const char *name;
    const char *sentence;
} errors[] = {FAKECUDA_ERRORS(ERROR_ROW)};

static CUresult describe(CUresult error, const char **out, bool name) {
    if (out == NULL) return CUDA_ERROR_INVALID_VALUE;
    *out = NULL;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        if (errors[i].error != error) continue;
        *out = name ? errors[i].name : errors[i].sentence;
        return CUDA_SUCCESS;
    }
    return CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGetErrorName(CUresult error, const char **name) { return describe(error, name, true); }

CUresult cuGetErrorString(CUresult error, const char **sentence) { return describe(error, sentence, false); }

/* Tables of functions between the vendor's own libraries and its driver, which are documented nowhere. Every driver has this function, though,
 * and NVRTC 13 looks for it in whatever libcuda.so.1 is there, for a cache of its own, and calls through a null table where it is missing. */
CUresult cuGetExportTable(const void **table, const CUuuid *id) {
    ENTER(cuGetExportTable);
    if (table == NULL || id == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    *table = NULL;
    LEAVE(CUDA_ERROR_NOT_FOUND);
}

unsigned long long fakecuda_calls(const char *name) {
    pthread_mutex_lock(&the_driver.lock);
    unsigned long long count = 0;
    for (size_t i = 0; i < CALL_COUNT; i++)
        if (name == NULL || strcmp(symbols[i].name, name) == 0) count += the_driver.calls[i];
    pthread_mutex_unlock(&the_driver.lock);
    return count;
}

const char *const *fakecuda_symbols(void) {
#define NAME_ROW(name, base, since, needs, safety) #name,
    static const char *const names[CALL_COUNT + 1] = {FAKECUDA_SYMBOLS(NAME_ROW) NULL};
    return names;
}

/* The process ends, or the driver is unloaded: its threads end with it. */
__attribute__((destructor)) static void leave(void) {
    if (the_driver.is_forked) return;
    pthread_mutex_lock(&the_driver.lock);
    the_driver.is_exiting = true;
    pthread_mutex_unlock(&the_driver.lock);
    workers_stop();
}
