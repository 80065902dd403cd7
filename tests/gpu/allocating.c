/* Allocating: the host's time for an allocation and its free, and what of it reaches the driver. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cuda/cuda_internal.h"
#include "base/clock.h"
#include "hal/memory.h"
#include "measure.h"

/* Nanoseconds of a hit, and live blocks beside it: these and ten and a hundred times as many, which it does not depend on. */
#define HIT_NS 100.0
#define FEWEST ((size_t)1000)
#define FLAT_TIMES 1.2
/* Bytes of a miss, and of a hit that no thread's cache serves. */
#define MISS_SIZE ((size_t)2 << 20)
#define LARGE_HIT_SIZE ((size_t)16 << 20)

static double measure_pairs(tarn_allocator *allocator, size_t size, int pairs) {
    double least = 0;
    for (int round = 0; round < measure_rounds(); round++) {
        uint64_t begin = base_clock_ns();
        for (int i = 0; i < pairs; i++) {
            tarn_buffer *buffer = NULL;
            EXPECT(tarn_allocator_allocate(allocator, size, NULL, &buffer));
            EXPECT(tarn_allocator_free(allocator, buffer, NULL));
        }
        double one = (double)(base_clock_ns() - begin) / pairs;
        if (round == 0 || one < least) least = one;
    }
    return least;
}

/* Calls of the driver: all of its functions are exchanged for one that counts and fails. */

static cuda_driver_functions real;
static unsigned calls;

static driver_result count_call(void) {
    calls++;
    return DRIVER_ERROR_UNKNOWN;
}

static void measure_calls(tarn_allocator *allocator) {
    driver_result (*const counted)(void) = count_call;
    tarn_buffer *buffer = NULL;
    real = cuda_driver;
    calls = 0;
    for (size_t at = 0; at < sizeof cuda_driver; at += sizeof counted)
        memcpy((char *)&cuda_driver + at, &counted, sizeof counted);
    tarn_status status = tarn_allocator_allocate(allocator, 4096, NULL, &buffer);
    if (status == TARN_OK) status = tarn_allocator_free(allocator, buffer, NULL);
    cuda_driver = real;
    EXPECT(status);
    measure_judge("  calls of the driver by a hit on its own stream", calls, "calls", MEASURE_AT_MOST, 0);
}

/* Blocks that another stream used are freed and asked for again: the events that this takes. */

static unsigned events;

static driver_result count_event(driver_event event, driver_stream stream) {
    events++;
    return real.cuEventRecord(event, stream);
}

static void measure_events(tarn_device *device) {
    enum { BLOCKS = 64 };
    tarn_allocator *allocator = NULL;
    tarn_stream *other = NULL;
    tarn_buffer *buffers[BLOCKS];
    EXPECT(tarn_allocator_create(device, "caching:settle=0", &allocator));
    EXPECT(tarn_stream_create(device, &other));
    for (int i = 0; i < BLOCKS; i++) EXPECT(tarn_allocator_allocate(allocator, 4096, NULL, &buffers[i]));
    for (int i = 0; i < BLOCKS; i++) EXPECT(tarn_buffer_record_stream(buffers[i], other));
    real = cuda_driver;
    cuda_driver.cuEventRecord = count_event;
    events = 0;
    for (int i = 0; i < BLOCKS; i++) EXPECT(tarn_allocator_free(allocator, buffers[i], NULL));
    for (int i = 0; i < BLOCKS; i++) EXPECT(tarn_allocator_allocate(allocator, 4096, NULL, &buffers[i]));
    cuda_driver = real;
    measure_judge("events for each of 64 blocks that another stream used", events / (double)BLOCKS, "events",
                  MEASURE_AT_MOST, 1);
    for (int i = 0; i < BLOCKS; i++) EXPECT(tarn_allocator_free(allocator, buffers[i], NULL));
    EXPECT(tarn_stream_release(other));
    EXPECT(tarn_allocator_release(allocator));
}

/* A strategy over the driver's pools, where the library has one. */
static void measure_strategy(tarn_device *device, const char *spec, size_t size) {
    tarn_allocator *allocator = NULL;
    char name[64];
    snprintf(name, sizeof name, "the strategy %s, allocation and free", spec);
    if (tarn_allocator_create(device, spec, &allocator) != TARN_OK) {
        measure_skip(name, tarn_last_error());
        return;
    }
    measure_say(name, measure_pairs(allocator, size, 1000), "ns");
    EXPECT(tarn_allocator_release(allocator));
}

static double measure_hits(tarn_device *device, size_t live) {
    tarn_allocator *allocator = NULL;
    tarn_buffer **buffers = calloc(live, sizeof(tarn_buffer *));
    char name[64];
    if (buffers == NULL) exit(1);
    EXPECT(tarn_allocator_create(device, "caching:settle=0", &allocator));
    for (size_t i = 0; i < live; i++) EXPECT(tarn_allocator_allocate(allocator, 4096, NULL, &buffers[i]));
    snprintf(name, sizeof name, "caching, a hit beside %zu live blocks", live);
    double hit = measure_pairs(allocator, 4096, 20000);
    measure_judge(name, hit, "ns", MEASURE_AT_MOST, HIT_NS);
    if (live == FEWEST) measure_calls(allocator);
    for (size_t i = 0; i < live; i++) EXPECT(tarn_allocator_free(allocator, buffers[i], NULL));
    EXPECT(tarn_allocator_release(allocator));
    free(buffers);
    return hit;
}

/* Blocks that nothing is free for, taken one after the other by a thread that keeps them all. */
enum { MOST_MISSES = 1024 };
typedef struct misses {
    tarn_allocator *allocator;
    tarn_stream *stream;
    tarn_buffer *buffers[MOST_MISSES];
    unsigned count;
    uint64_t taken_ns; /* by all of them */
    atomic_bool is_over;
} misses;

static void *miss(void *context) {
    misses *self = context;
    uint64_t begin = base_clock_ns();
    do {
        EXPECT(tarn_allocator_allocate(self->allocator, MISS_SIZE, self->stream, &self->buffers[self->count]));
        self->count++;
    } while (self->count < MOST_MISSES && !atomic_load(&self->is_over));
    self->taken_ns = base_clock_ns() - begin;
    return NULL;
}

/* What one who misses waits, and whether another one, who does not, waits too. */
static void measure_misses(tarn_device *device) {
    static misses self;
    tarn_buffer *kept = NULL;
    pthread_t thread;
    self = (misses){.count = 0};
    EXPECT(tarn_allocator_create(device, "caching:settle=0", &self.allocator));
    EXPECT(tarn_stream_create(device, &self.stream));
    EXPECT(tarn_allocator_allocate(self.allocator, LARGE_HIT_SIZE, NULL, &kept));
    measure_say("caching, a hit of 16 MiB", measure_pairs(self.allocator, LARGE_HIT_SIZE, 1000), "ns");
    if (pthread_create(&thread, NULL, miss, &self) != 0) exit(1);
    double hit = measure_pairs(self.allocator, 4096, 20000);
    atomic_store(&self.is_over, true);
    pthread_join(thread, NULL);
    measure_judge("  of 4 KiB while another thread misses", hit, "ns", MEASURE_AT_MOST, HIT_NS);
    measure_say("  a miss of 2 MiB meanwhile, as its caller waits", (double)self.taken_ns / 1e3 / self.count, "µs");
    for (unsigned i = 0; i < self.count; i++) EXPECT(tarn_allocator_free(self.allocator, self.buffers[i], self.stream));
    EXPECT(tarn_allocator_free(self.allocator, kept, NULL));
    EXPECT(tarn_stream_release(self.stream));
    EXPECT(tarn_allocator_release(self.allocator));
}

/* Requests of 2 MiB for which memory has to be made, one after the other; made ahead of them where the spec says so. */
static double measure_first(tarn_device *device, const char *spec) {
    enum { REQUESTS = 16 };
    tarn_allocator *allocator = NULL;
    tarn_buffer *buffers[REQUESTS + 1];
    EXPECT(tarn_allocator_create(device, spec, &allocator));
    EXPECT(tarn_allocator_allocate(allocator, MISS_SIZE, NULL, &buffers[REQUESTS]));
    /* It waits for what is made ahead. */
    EXPECT(tarn_allocator_check(allocator));
    uint64_t begin = base_clock_ns();
    for (int i = 0; i < REQUESTS; i++) EXPECT(tarn_allocator_allocate(allocator, MISS_SIZE, NULL, &buffers[i]));
    double taken = (double)(base_clock_ns() - begin) / 1e3 / REQUESTS;
    for (int i = 0; i <= REQUESTS; i++) EXPECT(tarn_allocator_free(allocator, buffers[i], NULL));
    EXPECT(tarn_allocator_release(allocator));
    return taken;
}

/* What the host spends on an event that is recorded and asked for. */
static void measure_event(tarn_device *device) {
    enum { EVENTS = 1000 };
    tarn_stream *stream = tarn_device_default_stream(device);
    tarn_event *event = NULL;
    double least = 0;
    for (int round = 0; round < measure_rounds(); round++) {
        uint64_t begin = base_clock_ns();
        int is_complete = 0;
        for (int i = 0; i < EVENTS; i++) {
            EXPECT(tarn_stream_record(stream, &event));
            EXPECT(tarn_event_is_complete(event, &is_complete));
        }
        double one = (double)(base_clock_ns() - begin) / EVENTS;
        if (round == 0 || one < least) least = one;
        EXPECT(tarn_stream_synchronize(stream));
    }
    EXPECT(tarn_event_release(event));
    measure_say("an event, recorded and asked for", least, "ns");
}

/* The driver's own pool, as PyTorch's cudaMallocAsync backend uses it: nothing is given back while it is measured. */
static void measure_async(tarn_device *device, size_t size) {
    static const char name[] = "cuda_async, allocation and free";
    tarn_backend_device *handle = device->handle;
    driver_pool_properties properties = {.type = DRIVER_ALLOCATION_PINNED,
                                         .location = {.type = DRIVER_LOCATION_DEVICE, .id = handle->ordinal}};
    driver_pool pool = NULL;
    cuda_scope scope;
    uint64_t threshold = UINT64_MAX;
    if (!handle->has_pools) {
        measure_skip(name, "the device has no pools");
        return;
    }
    EXPECT(cuda_enter(handle, &scope));
    EXPECT(CUDA_CALL(cuMemPoolCreate, &pool, &properties));
    EXPECT(CUDA_CALL(cuMemPoolSetAttribute, pool, DRIVER_POOL_RELEASE_THRESHOLD, &threshold));
    double least = 0;
    for (int round = 0; round < measure_rounds(); round++) {
        enum { PAIRS = 1000 };
        uint64_t begin = base_clock_ns();
        for (int i = 0; i < PAIRS; i++) {
            driver_pointer address = 0;
            driver_stream stream = handle->default_stream.handle;
            EXPECT(CUDA_CALL(cuMemAllocFromPoolAsync, &address, size, pool, stream));
            EXPECT(CUDA_CALL(cuMemFreeAsync, address, stream));
        }
        double one = (double)(base_clock_ns() - begin) / PAIRS;
        if (round == 0 || one < least) least = one;
        EXPECT(tarn_device_synchronize(device));
    }
    EXPECT(CUDA_CALL(cuMemPoolDestroy, pool));
    cuda_leave(scope);
    measure_say(name, least, "ns");
}

void measure_allocating(tarn_device *device) {
    double hits[3];
    for (size_t i = 0, live = FEWEST; i < 3; i++, live *= 10) hits[i] = measure_hits(device, live);
    measure_judge("  beside 100000 to beside 1000", hits[2] / hits[0], "times", MEASURE_AT_MOST, FLAT_TIMES);
    measure_events(device);
    measure_event(device);
    measure_async(device, 4096);
    measure_strategy(device, "cuda_async", 4096);
    tarn_allocator *direct = NULL;
    EXPECT(tarn_allocator_create(device, "direct", &direct));
    measure_say("cuMemAlloc and cuMemFree, 2 MiB", measure_pairs(direct, (size_t)2 << 20, 50) / 1e3, "µs");
    EXPECT(tarn_allocator_release(direct));
    tarn_device_properties properties = {.struct_size = sizeof properties};
    EXPECT(tarn_device_properties_get(device, &properties));
    if (properties.granule == 0) return;
    measure_say("caching, a request of 2 MiB that memory is made for", measure_first(device, "caching"), "µs");
    measure_say("  the same, made ahead of it (ahead=64MiB)", measure_first(device, "caching:ahead=64MiB"), "µs");
    double least = 0;
    void *range = NULL;
    EXPECT(hal_virtual_reserve(device, properties.granule, &range));
    for (int i = 0; i < 20; i++) {
        tarn_backend_granule granule;
        uint64_t begin = base_clock_ns();
        EXPECT(hal_granules_create(device, 1, &granule));
        EXPECT(hal_virtual_map(device, range, 1, &granule));
        double one = (double)(base_clock_ns() - begin) / 1e3;
        if (i == 0 || one < least) least = one;
        EXPECT(hal_virtual_unmap(device, range, 1));
        EXPECT(hal_granules_release(device, 1, &granule));
    }
    EXPECT(hal_virtual_release(device, range, properties.granule));
    measure_say("the driver: a granule created, mapped, made accessible", least, "µs");
    measure_misses(device);
}
