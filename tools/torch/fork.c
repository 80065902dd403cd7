/* A fork finds the plug-in's locks free in the child, and what they protect whole: all are held around it, in the order in which they are
 * taken elsewhere. The child uses memory of the host alone, since a driver does not survive a fork. */
#include "torch/state.h"

static void hold_device(torch_device *device, bool is_held) {
    pthread_mutex_t *const locks[] = {&device->ledger.looking, &device->lock, &device->ledger.lock};
    for (size_t i = 0; i < sizeof locks / sizeof locks[0]; i++) {
        if (is_held) pthread_mutex_lock(locks[i]);
        else pthread_mutex_unlock(locks[i]);
    }
}

static void hold(bool is_held) {
    torch_share_hold(is_held);
    torch_device_opening_hold(is_held);
    for (int i = 0; i < TORCH_DEVICES; i++) {
        torch_device *device = torch_device_known(i);
        if (device != NULL) hold_device(device, is_held);
    }
    torch_pointers_hold(is_held);
}

static void before_fork(void) { hold(true); }
static void after_fork(void) { hold(false); }
static void watch(void) { (void)pthread_atfork(before_fork, after_fork, after_fork); }

void torch_watch_forks(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch);
}
