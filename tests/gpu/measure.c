/* Figures of one GPU, as lines of a name, a number and a unit: the speed of its memory, what allocating costs the host by `caching`, by the
 * driver and by the driver's stream-ordered pools, and operations beside the speed of memory and beside cuBLASLt.
 *
 *     gpu_measure [DEVICE [MIB]]        default: cuda:0 256
 *
 * scripts/gpu-check.sh runs it and makes a table of it. On the fake driver, which has no speed, a few MiB show that it works. */
#include "measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cuda/cuda_internal.h"
#include "base/clock.h"
#include "hal/memory.h"

#define ROUNDS 7
#define REPEATS 10

static double ceiling; /* bytes a nanosecond: reads and writes of a copy */

void measure_expect(tarn_status status, const char *call) {
    if (status == TARN_OK) return;
    fprintf(stderr, "gpu_measure: %s: %s\n", call, tarn_last_error());
    exit(1);
}

void measure_say(const char *name, double value, const char *unit) {
    printf("%s\t%.4g\t%s\n", name, value, unit);
    fflush(stdout);
}

void measure_skip(const char *name, const char *why) { printf("%s\t-\tnot measured: %s\n", name, why); }

double measure_device(tarn_device *device, void (*work)(void *context), void *context) {
    tarn_stream *stream = tarn_device_default_stream(device);
    tarn_event *begin = NULL, *end = NULL;
    double least = 0;
    work(context);
    for (int round = 0; round < ROUNDS; round++) {
        int64_t nanoseconds = 0;
        EXPECT(tarn_stream_record(stream, &begin));
        for (int i = 0; i < REPEATS; i++) work(context);
        EXPECT(tarn_stream_record(stream, &end));
        EXPECT(tarn_event_synchronize(end));
        EXPECT(tarn_event_elapsed(begin, end, &nanoseconds));
        double one = (double)nanoseconds / REPEATS;
        if (round == 0 || one < least) least = one;
    }
    EXPECT(tarn_event_release(begin));
    EXPECT(tarn_event_release(end));
    return least;
}

/* Memory. */

typedef struct movement {
    tarn_stream *stream;
    void *to, *from;
    size_t size;
} movement;

static void copy(void *context) {
    const movement *it = context;
    EXPECT(tarn_stream_copy(it->stream, it->to, it->from, it->size));
}

static void fill(void *context) {
    const movement *it = context;
    EXPECT(tarn_stream_fill(it->stream, it->to, "\0\0\0\1", 4, it->size));
}

static void measure_memory(tarn_device *device, size_t size) {
    movement it = {.stream = tarn_device_default_stream(device), .size = size};
    void *host = NULL;
    EXPECT(hal_memory_allocate(device, TARN_MEMORY_DEVICE, size, 0, &it.to));
    EXPECT(hal_memory_allocate(device, TARN_MEMORY_DEVICE, size, 0, &it.from));
    EXPECT(hal_memory_allocate(device, TARN_MEMORY_PINNED, size, 0, &host));
    ceiling = 2.0 * (double)size / measure_device(device, copy, &it);
    measure_say("copy on the device, read and written", ceiling, "GB/s");
    measure_say("fill", (double)size / measure_device(device, fill, &it), "GB/s");
    void *other = it.from;
    it.from = host;
    measure_say("copy from pinned memory", (double)size / measure_device(device, copy, &it), "GB/s");
    it.from = other;
    EXPECT(hal_memory_free(device, TARN_MEMORY_PINNED, host, size));
    EXPECT(hal_memory_free(device, TARN_MEMORY_DEVICE, it.from, size));
    EXPECT(hal_memory_free(device, TARN_MEMORY_DEVICE, it.to, size));
}

/* Allocating: the host's time for one allocation and its free. */

static double measure_pairs(tarn_allocator *allocator, size_t size, int pairs) {
    double least = 0;
    for (int round = 0; round < ROUNDS; round++) {
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

static void measure_hits(tarn_device *device, size_t live) {
    tarn_allocator *allocator = NULL;
    tarn_buffer **buffers = calloc(live, sizeof(tarn_buffer *));
    char name[64];
    if (buffers == NULL) exit(1);
    EXPECT(tarn_allocator_create(device, "caching:settle=0", &allocator));
    for (size_t i = 0; i < live; i++) EXPECT(tarn_allocator_allocate(allocator, 4096, NULL, &buffers[i]));
    snprintf(name, sizeof name, "caching, a hit beside %zu live blocks", live);
    measure_say(name, measure_pairs(allocator, 4096, 20000), "ns");
    for (size_t i = 0; i < live; i++) EXPECT(tarn_allocator_free(allocator, buffers[i], NULL));
    EXPECT(tarn_allocator_release(allocator));
    free(buffers);
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
    for (int round = 0; round < ROUNDS; round++) {
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

static void measure_allocating(tarn_device *device) {
    measure_hits(device, 1000);
    measure_hits(device, 10000);
    measure_hits(device, 100000);
    measure_async(device, 4096);
    tarn_allocator *direct = NULL;
    EXPECT(tarn_allocator_create(device, "direct", &direct));
    measure_say("cuMemAlloc and cuMemFree, 2 MiB", measure_pairs(direct, (size_t)2 << 20, 50) / 1e3, "µs");
    EXPECT(tarn_allocator_release(direct));
    tarn_device_properties properties = {.struct_size = sizeof properties};
    EXPECT(tarn_device_properties_get(device, &properties));
    if (properties.granule == 0) return;
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
    measure_say("a miss: a granule created, mapped, made accessible", least, "µs");
}

/* Operations. */

typedef struct operation {
    tarn_tensor *a, *b, *result;
    tarn_status (*run)(struct operation *self);
} operation;

static void run_operation(void *context) {
    operation *self = context;
    EXPECT(self->run(self));
}

static tarn_status run_add(operation *self) { return tarn_add(self->a, self->b, NULL, &self->result); }
static tarn_status run_tanh(operation *self) { return tarn_tanh(self->a, NULL, &self->result); }
static tarn_status run_softmax(operation *self) { return tarn_softmax(self->a, 1, NULL, &self->result); }
static tarn_status run_sum(operation *self) {
    const int dim = 1;
    return tarn_sum(self->a, &dim, 1, 0, NULL, &self->result);
}
static tarn_status run_matmul(operation *self) { return tarn_matmul(self->a, self->b, NULL, &self->result); }

static tarn_tensor *make(tarn_allocator *allocator, size_t rows, size_t columns, tarn_element_type type) {
    tarn_shape shape = {.rank = 2, .dims = {(int64_t)rows, (int64_t)columns}};
    tarn_tensor *tensor = NULL;
    EXPECT(tarn_tensor_empty(allocator, &shape, type, NULL, &tensor));
    /* Zeros: what a kernel takes does not depend on them, and the driver writes them itself. */
    EXPECT(tarn_stream_fill(tarn_device_default_stream(tarn_tensor_device(tensor)), tarn_tensor_data(tensor), "", 1,
                            rows * columns * tarn_element_size(type)));
    return tensor;
}

/* Runs an operation once; false, with a line that says why, where the device does not do it. */
static bool is_done(operation *self, const char *name) {
    tarn_status status = self->run(self);
    if (status == TARN_OK) status = tarn_device_synchronize(tarn_tensor_device(self->a));
    if (status != TARN_OK) measure_skip(name, tarn_last_error());
    return status == TARN_OK;
}

/* As a part of the speed with which memory is copied; `passes`: of the whole memory of an operand. */
static void measure_passes(tarn_device *device, operation self, const char *name, size_t bytes, double passes) {
    if (is_done(&self, name)) {
        double speed = passes * (double)bytes / measure_device(device, run_operation, &self);
        measure_say(name, speed / ceiling, "of the copy's speed");
    }
    EXPECT(tarn_tensor_release(self.result));
}

static void measure_product(tarn_device *device, tarn_allocator *allocator, tarn_element_type type, size_t size) {
    char name[64];
    const double work = 2.0 * (double)size * (double)size * (double)size;
    operation self = {
        .a = make(allocator, size, size, type), .b = make(allocator, size, size, type), .run = run_matmul};
    double own = 0;
    snprintf(name, sizeof name, "matmul, %zu, %s", size, tarn_element_name(type));
    if (is_done(&self, name)) {
        own = measure_device(device, run_operation, &self);
        measure_say(name, work / own / 1e3, "TFLOP/s");
    }
    const char *why = NULL;
    double theirs = measure_cublas(device, type, size, &why);
    snprintf(name, sizeof name, "cuBLASLt, %zu, %s", size, tarn_element_name(type));
    if (theirs > 0) measure_say(name, work / theirs / 1e3, "TFLOP/s");
    else measure_skip(name, why);
    if (theirs > 0 && own > 0) measure_say("  Tarn's time to cuBLASLt's", own / theirs, "times");
    EXPECT(tarn_tensor_release(self.a));
    EXPECT(tarn_tensor_release(self.b));
    EXPECT(tarn_tensor_release(self.result));
}

static void measure_operations(tarn_device *device, size_t size) {
    tarn_allocator *allocator = NULL;
    EXPECT(tarn_allocator_create(device, "caching", &allocator));
    const size_t columns = 1024, rows = size / columns / sizeof(float);
    tarn_tensor *a = make(allocator, rows, columns, TARN_ELEMENT_F32),
                *b = make(allocator, rows, columns, TARN_ELEMENT_F32);
    measure_passes(device, (operation){.a = a, .b = b, .run = run_add}, "add, F32", size, 3);
    measure_passes(device, (operation){.a = a, .run = run_tanh}, "tanh, F32", size, 2);
    measure_passes(device, (operation){.a = a, .run = run_sum}, "sum of rows, F32", size, 1);
    measure_passes(device, (operation){.a = a, .run = run_softmax}, "softmax of rows, F32", size, 2);
    EXPECT(tarn_tensor_release(a));
    EXPECT(tarn_tensor_release(b));
    const size_t edge = size >= (size_t)256 << 20 ? 8192 : 256;
    measure_product(device, allocator, TARN_ELEMENT_F32, edge);
    measure_product(device, allocator, TARN_ELEMENT_BF16, edge);
    EXPECT(tarn_allocator_release(allocator));
}

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "cuda:0";
    size_t size = (argc > 2 ? strtoul(argv[2], NULL, 10) : 256) << 20;
    tarn_device *device = NULL;
    EXPECT(tarn_device_open(name, &device));
    if (tarn_device_type_of(device) != TARN_DEVICE_CUDA || size == 0) {
        fprintf(stderr, "gpu_measure: %s is no GPU of NVIDIA's\n", name);
        return 1;
    }
    measure_memory(device, size);
    measure_allocating(device);
    measure_operations(device, size);
    EXPECT(tarn_device_release(device));
    return 0;
}
