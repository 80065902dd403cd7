/* The fake driver: its table of functions, faults on command, and the lock that they all take. */
#include "fake.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_memory.h"
#include "fake_pool.h"
#include "fake_stream.h"

struct tarn_backend_device {
    tarn_backend_device *next;
    fake_memory memory;
    tarn_backend_stream *streams;
    tarn_backend_stream *default_stream;
    bool is_flat;
};

pthread_mutex_t fake_lock = PTHREAD_MUTEX_INITIALIZER;
static const tarn_backend_host *host;

/* Ranges that streams which stand still may be said to use. */
enum { USED_RANGES = 16 };

/* All protected by fake_lock. */
static struct {
    tarn_backend_device *devices;
    unsigned failing;
    unsigned long at, at_too, calls;
    int for_good;
    tarn_status status;
    unsigned interrupted; /* calls that `act` comes before */
    void (*act)(void *context);
    void *act_context;
    fake_lie lie;
    uint64_t capacity;
    unsigned long forced_waits, taken_while_held, violations;
    struct {
        uintptr_t begin, end;
    } used[USED_RANGES]; /* by a stream that stands still */
    size_t used_count;
    char first_violation[256];
    bool is_lost; /* memory is not given back to a lost device */
} fake;

/* Must be called with the lock held. */
static tarn_status enter(unsigned call) {
    if ((fake.interrupted & call) != 0) {
        void (*act)(void *context) = fake.act;
        void *context = fake.act_context;
        fake.interrupted = 0;
        pthread_mutex_unlock(&fake_lock);
        act(context);
        pthread_mutex_lock(&fake_lock);
    }
    if ((fake.failing & call) == 0) return TARN_OK;
    fake.calls++;
    bool fails = fake.at != 0 && (fake.calls == fake.at || (fake.calls > fake.at && fake.for_good));
    if (!fails && (fake.at_too == 0 || fake.calls != fake.at_too)) return TARN_OK;
    if (fake.status == TARN_DEVICE_LOST) fake.is_lost = true;
    return host->fail(fake.status, "the fake driver was told to fail call %lu", fake.calls);
}

tarn_status fake_violation(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    if (fake.violations++ == 0) vsnprintf(fake.first_violation, sizeof fake.first_violation, format, arguments);
    va_end(arguments);
    return host->fail(TARN_INTERNAL, "%s", fake.first_violation);
}

/* Memory. */
static uint64_t capacity_of(const tarn_backend_device *device) {
    return fake.capacity != 0 && fake.capacity < device->memory.total ? fake.capacity : device->memory.total;
}

#define LOCKED(call, expression)                  \
    pthread_mutex_lock(&fake_lock);               \
    tarn_status status = enter(call);             \
    if (status == TARN_OK) status = (expression); \
    pthread_mutex_unlock(&fake_lock);             \
    return status

static tarn_status allocate(tarn_backend_device *device, tarn_memory_kind kind, size_t size, size_t alignment,
                            void **out_address) {
    LOCKED(FAKE_ALLOCATE,
           fake_memory_allocate(&device->memory, kind, size, alignment, fake.lie, capacity_of(device), out_address));
}

static tarn_status taking(tarn_backend_device *device, uintptr_t address, size_t size, tarn_status status) {
    if (status != TARN_OK || !fake_streams_stand(device->streams)) return status;
    fake.taken_while_held++;
    for (size_t i = 0; i < fake.used_count; i++) {
        if (address < fake.used[i].end && fake.used[i].begin < address + size)
            fake_violation("memory at %#zx is taken while a stream that stands still uses it", (size_t)address);
    }
    return status;
}

static tarn_status free_memory(tarn_backend_device *device, tarn_memory_kind kind, void *address, size_t size) {
    LOCKED(FAKE_FREE,
           taking(device, (uintptr_t)address, size, fake_memory_free(&device->memory, kind, (uintptr_t)address, size)));
}

static tarn_status reserve(tarn_backend_device *device, size_t size, void **out_address) {
    LOCKED(FAKE_RESERVE, fake_memory_reserve(&device->memory, size, fake.lie, out_address));
}

static tarn_status unreserve(tarn_backend_device *device, void *address, size_t size) {
    LOCKED(FAKE_UNRESERVE, fake_memory_unreserve(&device->memory, (uintptr_t)address, size));
}

static tarn_status create(tarn_backend_device *device, size_t count, tarn_backend_granule *out_granules) {
    LOCKED(FAKE_CREATE, fake_memory_create(&device->memory, count, capacity_of(device), out_granules));
}

static tarn_status release(tarn_backend_device *device, size_t count, const tarn_backend_granule *granules) {
    LOCKED(FAKE_RELEASE, fake_memory_release(&device->memory, count, granules));
}

static tarn_status map(tarn_backend_device *device, void *address, size_t count, const tarn_backend_granule *granules) {
    LOCKED(FAKE_MAP, fake_memory_map(&device->memory, (uintptr_t)address, count, granules));
}

static tarn_status unmap(tarn_backend_device *device, void *address, size_t count) {
    LOCKED(FAKE_UNMAP, taking(device, (uintptr_t)address, count * FAKE_GRANULE,
                              fake_memory_unmap(&device->memory, (uintptr_t)address, count)));
}

/* Pools. Frees of a pool wait for nothing, so that they are none that come too early. */
static tarn_status pool_made(tarn_backend_pool **out_pool) {
    *out_pool = fake_pool_add();
    return TARN_OK;
}

static tarn_status pool_create(tarn_backend_device *device, const tarn_backend_pool_options *options,
                               tarn_backend_pool **out_pool) {
    (void)device, (void)options;
    LOCKED(FAKE_CREATE, pool_made(out_pool));
}

static void pool_destroy(tarn_backend_device *device, tarn_backend_pool *pool) {
    pthread_mutex_lock(&fake_lock);
    fake_pool_end(pool, &device->memory, fake.is_lost);
    pthread_mutex_unlock(&fake_lock);
}

static tarn_status pool_allocate(tarn_backend_device *device, tarn_backend_pool *pool, tarn_backend_stream *stream,
                                 size_t size, void **out_address) {
    LOCKED(FAKE_ALLOCATE, fake_pool_allocate(pool, &device->memory, stream, size, capacity_of(device), out_address));
}

static tarn_status pool_free(tarn_backend_device *device, tarn_backend_pool *pool, tarn_backend_stream *stream,
                             void *address, size_t size) {
    (void)device;
    LOCKED(FAKE_FREE, fake_pool_free(pool, stream, (uintptr_t)address, size));
}

static tarn_status pool_trim(tarn_backend_device *device, tarn_backend_pool *pool, uint64_t keep) {
    LOCKED(FAKE_RELEASE, (fake_pool_trim(pool, &device->memory, keep), TARN_OK));
}

static tarn_status pool_figures(tarn_backend_device *device, tarn_backend_pool *pool,
                                tarn_backend_pool_figures *out_figures) {
    LOCKED(FAKE_POOL_FIGURES, (*out_figures = fake_pool_figures(pool, &device->memory), TARN_OK));
}

static tarn_status pool_reset_peaks(tarn_backend_device *device, tarn_backend_pool *pool) {
    (void)device;
    LOCKED(FAKE_POOL_FIGURES, (fake_pool_reset_peaks(pool), TARN_OK));
}

static const tarn_backend_stream_ordered stream_ordered = {
    .struct_size = sizeof(tarn_backend_stream_ordered),
    .pool_create = pool_create,
    .pool_destroy = pool_destroy,
    .pool_allocate = pool_allocate,
    .pool_free = pool_free,
    .pool_trim = pool_trim,
    .pool_figures = pool_figures,
    .pool_reset_peaks = pool_reset_peaks,
};

/* Streams. */

void fake_proceed(void) {
    pthread_mutex_lock(&fake_lock);
    for (tarn_backend_device *device = fake.devices; device != NULL; device = device->next)
        fake_streams_advance(device->streams);
    pthread_mutex_unlock(&fake_lock);
}

/* The host waits: time passes, and every gate opens. */
static tarn_status let_time_pass(tarn_backend_device *device, bool had_to_wait) {
    if (!had_to_wait) return TARN_OK;
    fake.forced_waits++;
    fake_streams_open(device->streams);
    return TARN_OK;
}

static tarn_backend_stream *stream_default(tarn_backend_device *device) { return device->default_stream; }

static tarn_status stream_created(tarn_backend_device *device, tarn_backend_stream **out_stream) {
    *out_stream = fake_stream_add(&device->streams);
    return TARN_OK;
}

static tarn_status stream_create(tarn_backend_device *device, tarn_backend_stream **out_stream) {
    LOCKED(FAKE_STREAM_CREATE, stream_created(device, out_stream));
}

static void stream_destroy(tarn_backend_device *device, tarn_backend_stream *stream) {
    (void)device;
    pthread_mutex_lock(&fake_lock);
    if (stream->done < stream->given) fake_violation("stream_destroy of a stream that is not idle");
    if (stream->is_destroyed) fake_violation("stream_destroy of a stream twice");
    stream->is_destroyed = true;
    pthread_mutex_unlock(&fake_lock);
}

static tarn_status stream_synchronize(tarn_backend_device *device, tarn_backend_stream *stream) {
    LOCKED(FAKE_STREAM_SYNCHRONIZE, let_time_pass(device, !fake_stream_is_done(stream, stream->given)));
}

static tarn_status device_synchronize(tarn_backend_device *device) {
    LOCKED(FAKE_DEVICE_SYNCHRONIZE, let_time_pass(device, fake_streams_stand(device->streams)));
}

static tarn_status stream_host_function(tarn_backend_device *device, tarn_backend_stream *stream,
                                        tarn_host_function function, void *context) {
    pthread_mutex_lock(&fake_lock);
    fake_stream_enqueue(device->streams, stream, (work){.function = function, .context = context});
    pthread_mutex_unlock(&fake_lock);
    return TARN_OK;
}

/* Nothing is stored, so that copies and fills do nothing. */
static tarn_status stream_copy(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                               const void *source, size_t size) {
    (void)device, (void)stream, (void)destination, (void)source, (void)size;
    return TARN_OK;
}

static tarn_status stream_fill(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                               const void *pattern, size_t pattern_size, size_t size) {
    (void)device, (void)stream, (void)destination, (void)pattern, (void)pattern_size, (void)size;
    return TARN_OK;
}

static tarn_status stream_waits(tarn_backend_device *device, tarn_backend_stream *stream, tarn_backend_event *event) {
    if (event->stream != NULL)
        fake_stream_enqueue(device->streams, stream, (work){.awaited = event->stream, .awaited_number = event->number});
    return TARN_OK;
}

static tarn_status stream_wait(tarn_backend_device *device, tarn_backend_stream *stream, tarn_backend_event *event) {
    LOCKED(FAKE_STREAM_WAIT, stream_waits(device, stream, event));
}

/* Events. */
static tarn_status event_created(tarn_backend_event **out_event) {
    *out_event = calloc(1, sizeof **out_event);
    return *out_event == NULL ? TARN_OUT_OF_MEMORY : TARN_OK;
}

static tarn_status event_create(tarn_backend_device *device, tarn_backend_event **out_event) {
    (void)device;
    LOCKED(FAKE_EVENT_CREATE, event_created(out_event));
}

static void event_destroy(tarn_backend_device *device, tarn_backend_event *event) {
    (void)device;
    free(event);
}

static tarn_status event_recorded(tarn_backend_event *event, tarn_backend_stream *stream) {
    event->stream = stream;
    event->number = stream->given;
    return TARN_OK;
}

static tarn_status event_record(tarn_backend_device *device, tarn_backend_event *event, tarn_backend_stream *stream) {
    (void)device;
    LOCKED(FAKE_EVENT_RECORD, event_recorded(event, stream));
}

static tarn_status event_asked(const tarn_backend_event *event, int *out_complete) {
    *out_complete = fake_stream_is_done(event->stream, event->number);
    return TARN_OK;
}

static tarn_status event_query(tarn_backend_device *device, tarn_backend_event *event, int *out_complete) {
    (void)device;
    LOCKED(FAKE_EVENT_QUERY, event_asked(event, out_complete));
}

static tarn_status event_synchronize(tarn_backend_device *device, tarn_backend_event *event) {
    LOCKED(FAKE_EVENT_SYNCHRONIZE, let_time_pass(device, !fake_stream_is_done(event->stream, event->number)));
}

static tarn_status event_elapsed(tarn_backend_device *device, tarn_backend_event *begin, tarn_backend_event *end,
                                 int64_t *out_nanoseconds) {
    (void)device, (void)begin, (void)end;
    *out_nanoseconds = 0;
    return TARN_OK;
}

/* Devices. */
static tarn_status start(const tarn_backend_host *given) {
    host = given;
    return TARN_OK;
}

static tarn_status device_count(int *out_count) {
    *out_count = 1;
    return TARN_OK;
}

static tarn_status device_open(const char *arguments, tarn_backend_device **out_device) {
    char size[32] = "";
    snprintf(size, sizeof size, "%.*s", (int)strcspn(arguments, ","), arguments);
    uint64_t bytes;
    if (tarn_size_parse(size, &bytes) != TARN_OK) return host->fail(TARN_INVALID_ARGUMENT, "\"%s\" is no size", size);
    tarn_backend_device *device = calloc(1, sizeof *device);
    if (device == NULL) return TARN_OUT_OF_MEMORY;
    device->memory.total = bytes;
    device->is_flat = strstr(arguments, ",flat") != NULL;
    device->memory.has_aliasing = strstr(arguments, ",aliasing") != NULL;
    device->default_stream = fake_stream_add(&device->streams);
    pthread_mutex_lock(&fake_lock);
    device->next = fake.devices;
    fake.devices = device;
    pthread_mutex_unlock(&fake_lock);
    *out_device = device;
    return TARN_OK;
}

static void device_close(tarn_backend_device *device) {
    pthread_mutex_lock(&fake_lock);
    if (device->memory.in_use != 0 && !fake.is_lost) fake_violation("device_close with memory in use");
    if (device->memory.range_count != 0 && !fake.is_lost) fake_violation("device_close with addresses reserved");
    tarn_backend_device **place = &fake.devices;
    while (*place != device) place = &(*place)->next;
    *place = device->next;
    pthread_mutex_unlock(&fake_lock);
    fake_streams_end(device->streams);
    fake_memory_end(&device->memory);
    free(device);
}

static tarn_status device_properties(tarn_backend_device *device, tarn_device_properties *out_properties) {
    snprintf(out_properties->name, sizeof out_properties->name, "fake driver of the tests");
    pthread_mutex_lock(&fake_lock);
    out_properties->memory_total = device->memory.total;
    out_properties->memory_free = device->memory.total - device->memory.in_use;
    pthread_mutex_unlock(&fake_lock);
    out_properties->alignment = FAKE_ALIGNMENT;
    out_properties->maximum_alignment = FAKE_MAXIMUM_ALIGNMENT;
    out_properties->granule = device->is_flat ? 0 : FAKE_GRANULE;
    out_properties->compute_units = 1;
    out_properties->features = TARN_FEATURE_NO_BACKING | TARN_FEATURE_STREAM_ORDERED;
    if (!device->is_flat) out_properties->features |= TARN_FEATURE_VIRTUAL_MEMORY;
    if (device->memory.has_aliasing) out_properties->features |= TARN_FEATURE_ALIASING;
    out_properties->memory_kinds = TARN_MEMORY_KIND_BIT(TARN_MEMORY_DEVICE);
    return TARN_OK;
}

const tarn_backend fake_driver = {
    .abi_version = TARN_BACKEND_ABI_VERSION,
    .struct_size = sizeof(tarn_backend),
    .name = "fake",
    .type = TARN_DEVICE_OTHER,
    .start = start,
    .device_count = device_count,
    .device_open = device_open,
    .device_close = device_close,
    .device_properties = device_properties,
    .device_synchronize = device_synchronize,
    .memory_allocate = allocate,
    .memory_free = free_memory,
    .virtual_reserve = reserve,
    .virtual_release = unreserve,
    .granules_create = create,
    .granules_release = release,
    .virtual_map = map,
    .virtual_unmap = unmap,
    .stream_default = stream_default,
    .stream_create = stream_create,
    .stream_destroy = stream_destroy,
    .stream_synchronize = stream_synchronize,
    .stream_host_function = stream_host_function,
    .stream_copy = stream_copy,
    .stream_fill = stream_fill,
    .stream_wait = stream_wait,
    .event_create = event_create,
    .event_destroy = event_destroy,
    .event_record = event_record,
    .event_query = event_query,
    .event_synchronize = event_synchronize,
    .event_elapsed = event_elapsed,
    .stream_ordered = &stream_ordered,
};

/* Commands of the tests. */
void fake_reset(void) {
    pthread_mutex_lock(&fake_lock);
    fake.failing = 0;
    fake.at = fake.at_too = 0;
    fake.lie = FAKE_TRUTH;
    fake.capacity = 0;
    fake.interrupted = 0;
    fake.forced_waits = fake.taken_while_held = fake.violations = 0;
    fake.used_count = 0;
    fake.first_violation[0] = '\0';
    fake.is_lost = false;
    fake_memory_chosen.size = 0;
    pthread_mutex_unlock(&fake_lock);
}

void fake_fail(unsigned calls, unsigned long at, int for_good, tarn_status status) {
    pthread_mutex_lock(&fake_lock);
    fake.failing = calls;
    fake.at = at;
    fake.at_too = 0;
    fake.calls = 0;
    fake.for_good = for_good;
    fake.status = status;
    pthread_mutex_unlock(&fake_lock);
}

void fake_fail_too(unsigned long at) {
    pthread_mutex_lock(&fake_lock);
    fake.at_too = at;
    pthread_mutex_unlock(&fake_lock);
}

void fake_meanwhile(unsigned calls, void (*act)(void *context), void *context) {
    pthread_mutex_lock(&fake_lock);
    fake.interrupted = calls;
    fake.act = act;
    fake.act_context = context;
    pthread_mutex_unlock(&fake_lock);
}

void fake_lies(fake_lie lie) {
    pthread_mutex_lock(&fake_lock);
    fake.lie = lie;
    pthread_mutex_unlock(&fake_lock);
}

void fake_capacity(uint64_t bytes) {
    pthread_mutex_lock(&fake_lock);
    fake.capacity = bytes;
    pthread_mutex_unlock(&fake_lock);
}

void fake_place(uint64_t address, size_t size) {
    pthread_mutex_lock(&fake_lock);
    fake_memory_chosen = (fake_chosen){.address = (uintptr_t)address, .size = size};
    pthread_mutex_unlock(&fake_lock);
}

int fake_place_is_left(void) {
    pthread_mutex_lock(&fake_lock);
    bool is_left = fake_memory_chosen.size != 0;
    pthread_mutex_unlock(&fake_lock);
    return is_left;
}

int fake_physical(const void *address, uint64_t *out_physical) {
    bool is_mapped = false;
    pthread_mutex_lock(&fake_lock);
    for (const tarn_backend_device *device = fake.devices; device != NULL && !is_mapped; device = device->next)
        is_mapped = fake_memory_physical(&device->memory, (uintptr_t)address, out_physical);
    pthread_mutex_unlock(&fake_lock);
    return is_mapped;
}

static unsigned long read_counter(const unsigned long *counter) {
    pthread_mutex_lock(&fake_lock);
    unsigned long value = *counter;
    pthread_mutex_unlock(&fake_lock);
    return value;
}

void fake_use_while_held(const void *address, size_t size) {
    pthread_mutex_lock(&fake_lock);
    if (fake.used_count < USED_RANGES) {
        fake.used[fake.used_count].begin = (uintptr_t)address;
        fake.used[fake.used_count++].end = (uintptr_t)address + size;
    }
    pthread_mutex_unlock(&fake_lock);
}

unsigned long fake_calls(void) { return read_counter(&fake.calls); }
unsigned long fake_forced_waits(void) { return read_counter(&fake.forced_waits); }
unsigned long fake_taken_while_held(void) { return read_counter(&fake.taken_while_held); }

unsigned long fake_violations(const char **out_first) {
    *out_first = fake.first_violation;
    return read_counter(&fake.violations);
}
