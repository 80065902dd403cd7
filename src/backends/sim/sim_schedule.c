/* What happens to a simulated driver call before it does anything: it is counted, takes its time, and may have to fail. */
#include "backends/sim/sim_internal.h"

const char *const sim_call_names[SIM_CALL_COUNT] = {
    [SIM_DEVICE_SYNCHRONIZE] = "device_synchronize",
    [SIM_MEMORY_ALLOCATE] = "memory_allocate",
    [SIM_MEMORY_FREE] = "memory_free",
    [SIM_VIRTUAL_RESERVE] = "virtual_reserve",
    [SIM_VIRTUAL_RELEASE] = "virtual_release",
    [SIM_GRANULES_CREATE] = "granules_create",
    [SIM_GRANULES_RELEASE] = "granules_release",
    [SIM_VIRTUAL_MAP] = "virtual_map",
    [SIM_VIRTUAL_UNMAP] = "virtual_unmap",
    [SIM_STREAM_CREATE] = "stream_create",
    [SIM_STREAM_SYNCHRONIZE] = "stream_synchronize",
    [SIM_STREAM_HOST_FUNCTION] = "stream_host_function",
    [SIM_STREAM_COPY] = "stream_copy",
    [SIM_STREAM_COPY_BOX] = "stream_copy_box",
    [SIM_STREAM_FILL] = "stream_fill",
    [SIM_STREAM_WAIT] = "stream_wait",
    [SIM_EVENT_CREATE] = "event_create",
    [SIM_EVENT_RECORD] = "event_record",
    [SIM_EVENT_QUERY] = "event_query",
    [SIM_EVENT_SYNCHRONIZE] = "event_synchronize",
    [SIM_EVENT_ELAPSED] = "event_elapsed",
    [SIM_POOL_CREATE] = "pool_create",
    [SIM_POOL_ALLOCATE] = "pool_allocate",
    [SIM_POOL_FREE] = "pool_free",
    [SIM_POOL_TRIM] = "pool_trim",
};

uint64_t sim_now(const tarn_backend_device *device) {
    return atomic_load_explicit(&device->clock, memory_order_relaxed) +
           atomic_load_explicit(&device->cost, memory_order_relaxed);
}

void sim_wait_until(tarn_backend_device *device, uint64_t when) {
    uint64_t now = sim_now(device);
    if (when > now) atomic_fetch_add_explicit(&device->cost, when - now, memory_order_relaxed);
}

/* xorshift64*: enough to scatter failures. */
static uint64_t next_random(tarn_backend_device *device) {
    uint64_t x = device->random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    device->random = x;
    return x * 0x2545f4914f6cdd1du;
}

static bool is_scheduled_to_fail(tarn_backend_device *device) {
    const sim_options *options = &device->options;
    if (options->fail_at != 0) {
        uint64_t count = options->fail_count != 0 ? options->fail_count : 1;
        if (device->chosen_calls >= options->fail_at && device->chosen_calls - options->fail_at < count) return true;
    }
    if (options->fail_every == 0) return false;
    if (options->fail_count != 0 && device->failures >= options->fail_count) return false;
    if (options->has_seed) return next_random(device) % options->fail_every == 0;
    return device->chosen_calls % options->fail_every == 0;
}

tarn_status sim_begin_call(tarn_backend_device *device, sim_call call, size_t units) {
    const sim_options *options = &device->options;
    device->calls++;
    if (options->shrink_after != 0 && device->calls > options->shrink_after) device->capacity = options->shrink_to;
    if (options->latency[call] != 0) {
        atomic_fetch_add_explicit(&device->cost, options->latency[call] * units, memory_order_relaxed);
    }
    if (options->fail_for != SIM_ANY_CALL && options->fail_for != call) return TARN_OK;
    device->chosen_calls++;
    if ((options->fail_at | options->fail_every) == 0 || !is_scheduled_to_fail(device)) return TARN_OK;
    device->failures++;
    return sim_fail(options->fail_status, "driver call %llu, %s, fails on schedule", (unsigned long long)device->calls,
                    sim_call_names[call]);
}
