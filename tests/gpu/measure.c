/* Figures of one GPU, as lines of a name, a number and a unit: the speed of its memory, what allocating costs the host by `caching`, by the
 * driver and by the driver's stream-ordered pools, and operations beside the speed of memory and beside cuBLASLt.
 *
 *     gpu_measure [DEVICE [MIB]]        default: cuda:0 256
 *     gpu_measure --name                prints the name of cuda:0
 *
 * A line has five columns: the name, the number, its unit, its target, and whether that is met. scripts/gpu-check.sh runs it and makes a table
 * of it. With less than 64 MiB everything is done once and nothing is judged: that is for the fake driver, which has no speed. */
#include "measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hal/memory.h"

/* Bytes from which on figures mean something. */
#define LEAST_SIZE ((size_t)64 << 20)
/* Sides of the matrices that are multiplied. */
#define EDGE 8192
#define REHEARSED_EDGE 32
#define REHEARSED_SIZE ((size_t)32 << 10)

double measure_ceiling;

static bool is_rehearsal; /* everything once: there is nothing to measure */

void measure_expect(tarn_status status, const char *call) {
    if (status == TARN_OK) return;
    fprintf(stderr, "gpu_measure: %s: %s\n", call, tarn_last_error());
    exit(1);
}

void measure_say(const char *name, double value, const char *unit) {
    printf("%s\t%.4g\t%s\t-\t-\n", name, value, unit);
    fflush(stdout);
}

void measure_judge(const char *name, double value, const char *unit, measure_sense sense, double target) {
    bool is_met = sense == MEASURE_AT_MOST ? value <= target : value >= target;
    const char *verdict = is_rehearsal ? "-" : is_met ? "met" : "SHORT";
    printf("%s\t%.4g\t%s\t%s %.4g\t%s\n", name, value, unit, sense == MEASURE_AT_MOST ? "at most" : "at least", target,
           verdict);
    fflush(stdout);
}

void measure_skip(const char *name, const char *why) {
    printf("%s\t-\tnot measured: %s\t-\tskipped\n", name, why);
    fflush(stdout);
}

int measure_rounds(void) { return is_rehearsal ? 1 : 7; }
bool measure_is_rehearsal(void) { return is_rehearsal; }

double measure_device(tarn_device *device, void (*work)(void *context), void *context) {
    tarn_stream *stream = tarn_device_default_stream(device);
    tarn_event *begin = NULL, *end = NULL;
    double least = 0;
    const int repeats = is_rehearsal ? 1 : 10;
    work(context);
    for (int round = 0; round < measure_rounds(); round++) {
        int64_t nanoseconds = 0;
        EXPECT(tarn_stream_record(stream, &begin));
        for (int i = 0; i < repeats; i++) work(context);
        EXPECT(tarn_stream_record(stream, &end));
        EXPECT(tarn_event_synchronize(end));
        EXPECT(tarn_event_elapsed(begin, end, &nanoseconds));
        double one = (double)nanoseconds / repeats;
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
    measure_ceiling = 2.0 * (double)size / measure_device(device, copy, &it);
    measure_say("copy on the device, read and written", measure_ceiling, "GB/s");
    measure_say("fill", (double)size / measure_device(device, fill, &it), "GB/s");
    void *other = it.from;
    it.from = host;
    measure_say("copy from pinned memory", (double)size / measure_device(device, copy, &it), "GB/s");
    it.from = other;
    EXPECT(hal_memory_free(device, TARN_MEMORY_PINNED, host, size));
    EXPECT(hal_memory_free(device, TARN_MEMORY_DEVICE, it.from, size));
    EXPECT(hal_memory_free(device, TARN_MEMORY_DEVICE, it.to, size));
}

/* Prints what the device is called. */
static int say_device(tarn_device *device) {
    tarn_device_properties properties = {.struct_size = sizeof properties};
    EXPECT(tarn_device_properties_get(device, &properties));
    puts(properties.name);
    EXPECT(tarn_device_release(device));
    return 0;
}

int main(int argc, char **argv) {
    const bool asks_name = argc > 1 && strcmp(argv[1], "--name") == 0;
    const char *name = argc > 1 && !asks_name ? argv[1] : "cuda:0";
    size_t size = (argc > 2 ? strtoul(argv[2], NULL, 10) : 256) << 20;
    tarn_device *device = NULL;
    EXPECT(tarn_device_open(name, &device));
    if (asks_name) return say_device(device);
    if (tarn_device_type_of(device) != TARN_DEVICE_CUDA || size == 0) {
        fprintf(stderr, "gpu_measure: %s is no GPU of NVIDIA's\n", name);
        return 1;
    }
    is_rehearsal = size < LEAST_SIZE;
    measure_memory(device, size);
    measure_allocating(device);
    measure_operations(device, is_rehearsal ? REHEARSED_SIZE : size, is_rehearsal ? REHEARSED_EDGE : EDGE);
    /* The second size of the targets: four times as much. */
    if (!is_rehearsal) measure_passes(device, 4 * size);
    EXPECT(tarn_device_release(device));
    return 0;
}
