/* The driver's capture mode of the calling thread. While a stream is being captured, CUDA forbids threads to allocate or to ask for
 * events, and ends the capture of whoever does; a thread in the relaxed mode may. PyTorch's own allocator does the same around its calls.
 * Where no driver is loaded, nothing is captured. */
#include "torch/state.h"

enum { RELAXED = 2, UNCHANGED = -1 };

typedef int (*exchange_function)(int *mode);

static exchange_function exchange;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void find_exchange(void) { (void)torch_driver_find("cuThreadExchangeStreamCaptureMode", &exchange); }

int torch_capture_mode_relax(const torch_device *device) {
    if (atomic_load_explicit(&device->active_pools, memory_order_relaxed) == 0 ||
        tarn_device_type_of(device->device) != TARN_DEVICE_CUDA) {
        return UNCHANGED;
    }
    pthread_once(&once, find_exchange);
    int mode = RELAXED;
    return exchange != NULL && exchange(&mode) == 0 ? mode : UNCHANGED;
}

void torch_capture_mode_restore(int mode) {
    if (mode != UNCHANGED) (void)exchange(&mode);
}
