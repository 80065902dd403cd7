/* Uses of the driver that its documentation forbids or leaves undefined: counted, and the first one kept as a sentence. A real
 * driver would crash, corrupt memory, or seem to work. And the state that tests ask for. */
#include "state.h"

#include "capture.h"
#include "graph.h"
#include "kernel.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned long long count;
static char first[256];
static char objects[512];

void violation(const char *format, ...) {
    char text[256];
    int length = snprintf(text, sizeof text, "%s: ", call_name());
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + length, sizeof text - (size_t)length, format, arguments);
    va_end(arguments);
    if (count++ == 0) snprintf(first, sizeof first, "%s", text);
    if (the_driver.settings.abort_at_violation) {
        fprintf(stderr, "fakecuda: %s\n", text);
        abort();
    }
}

void violations_reset(void) { count = 0; }

unsigned long long fakecuda_violations(const char **sentence) {
    pthread_mutex_lock(&the_driver.lock);
    unsigned long long counted = count;
    if (sentence != NULL) *sentence = counted > 0 ? first : NULL;
    pthread_mutex_unlock(&the_driver.lock);
    return counted;
}

void fakecuda_forget_violations(void) {
    pthread_mutex_lock(&the_driver.lock);
    violations_reset();
    pthread_mutex_unlock(&the_driver.lock);
}

static size_t list_objects(size_t number, const char *name, size_t *length) {
    if (number > 0 && *length < sizeof objects)
        *length += (size_t)snprintf(objects + *length, sizeof objects - *length, "%s%zu %s", *length > 0 ? ", " : "",
                                    number, name);
    return number;
}

unsigned long long fakecuda_live_objects(const char **list) {
    static const char *const names[HANDLE_KINDS] = {
        [HANDLE_STREAM] = "streams", [HANDLE_EVENT] = "events", [HANDLE_PHYSICAL] = "physical handles",
        [HANDLE_POOL] = "pools",     [HANDLE_GRAPH] = "graphs", [HANDLE_EXECUTABLE] = "executable graphs",
        [HANDLE_MODULE] = "modules",
    };
    static const char *const kinds[] = {[RANGE_DEVICE] = "allocations",
                                        [RANGE_MAPPING] = "mappings",
                                        [RANGE_POOLED] = "pooled allocations",
                                        [RANGE_GRAPH] = "graph allocations",
                                        [RANGE_IMPORTED] = "imports",
                                        [RANGE_HOST] = "pinned allocations",
                                        [RANGE_REGISTERED] = "registrations",
                                        [RANGE_MANAGED] = "managed allocations",
                                        [RANGE_GLOBAL] = "globals"};
    pthread_mutex_lock(&the_driver.lock);
    size_t of_kind[sizeof kinds / sizeof kinds[0]] = {0}, ranges, live = 0, length = 0;
    fake_range **all = range_list(&ranges);
    for (size_t i = 0; i < ranges; i++) of_kind[all[i]->kind]++;
    objects[0] = 0;
    for (size_t kind = 0; kind < HANDLE_KINDS; kind++) {
        if (names[kind] == NULL) continue;
        size_t number = handle_count((handle_kind)kind);
        if (kind == HANDLE_POOL) /* each device's own is not the program's */
            for (int i = 0; i < MOST_DEVICES; i++) number -= the_driver.devices[i] != NULL;
        live += list_objects(number, names[kind], &length);
    }
    for (size_t kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++)
        live += list_objects(of_kind[kind], kinds[kind], &length);
    live += list_objects(reservation_count(), "reservations", &length);
    if (list != NULL) *list = objects;
    pthread_mutex_unlock(&the_driver.lock);
    return live;
}

size_t fakecuda_memory_used(int ordinal) {
    pthread_mutex_lock(&the_driver.lock);
    const fake_device *device = device_at(ordinal);
    size_t used = device != NULL ? device_used(device) : 0;
    pthread_mutex_unlock(&the_driver.lock);
    return used;
}

unsigned long long fakecuda_pending(void) {
    pthread_mutex_lock(&the_driver.lock);
    unsigned long long pending = tasks_pending();
    pthread_mutex_unlock(&the_driver.lock);
    return pending;
}

void fakecuda_hold(int held) {
    pthread_mutex_lock(&the_driver.lock);
    the_driver.is_held = held != 0;
    /* Who waits already has to run by itself what threads no longer do. */
    pthread_cond_broadcast(&the_driver.changed);
    workers_wake();
    pthread_mutex_unlock(&the_driver.lock);
}

void fakecuda_lose(int ordinal, int error) {
    pthread_mutex_lock(&the_driver.lock);
    fake_device *device = device_at(ordinal);
    if (device != NULL) context_lose(&device->primary, (CUresult)error);
    pthread_mutex_unlock(&the_driver.lock);
}

void fakecuda_reset(void) {
    workers_stop();
    pthread_mutex_lock(&the_driver.lock);
    captures_reset();
    tasks_reset();
    executables_reset();
    graphs_reset();
    modules_reset();
    ranges_reset();
    reservations_reset();
    events_reset();
    physical_reset();
    devices_reset();
    pools_reset();
    handles_reset();
    violations_reset();
    for (size_t i = 0; i < CALL_COUNT; i++) the_driver.calls[i] = 0;
    the_driver.is_initialized = false;
    the_driver.is_held = false;
    the_driver.generation++;
    settings_read(&the_driver.settings);
    fault_reset();
    pthread_mutex_unlock(&the_driver.lock);
}
