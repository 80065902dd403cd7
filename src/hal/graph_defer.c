/* Putting off: what is released while it runs is put on a list of its device, from where later calls take it down when it has
 * finished, so that nobody waits. */
#include "hal/call.h"
#include "hal/graph.h"

static bool has_finished(const hal_deferred *deferred) {
    return deferred->order == NULL || hal_graph_order_is_over(deferred->order);
}

/* Work of the device must not take down what could be the last to keep the device. */
static bool is_on_the_device(const tarn_device *device) {
    const tarn_stream *running = hal_running_stream();
    return running != NULL && (running->device == device || hal_is_barred(device->backend));
}

static void defer(hal_deferred *deferred) {
    tarn_device *device = deferred->device;
    pthread_mutex_lock(&device->lock);
    deferred->next = atomic_load_explicit(&device->deferred, memory_order_relaxed);
    atomic_store_explicit(&device->deferred, deferred, memory_order_relaxed);
    pthread_mutex_unlock(&device->lock);
}

void hal_graph_destroy_or_defer(hal_deferred *deferred) {
    if (!is_on_the_device(deferred->device) && has_finished(deferred)) deferred->destroy(deferred);
    else defer(deferred);
}

void hal_graphs_reap_slowly(tarn_device *device) {
    if (is_on_the_device(device)) return;
    pthread_mutex_lock(&device->lock);
    hal_deferred *deferred = atomic_load_explicit(&device->deferred, memory_order_relaxed);
    atomic_store_explicit(&device->deferred, NULL, memory_order_relaxed);
    pthread_mutex_unlock(&device->lock);
    while (deferred != NULL) {
        hal_deferred *next = deferred->next;
        if (has_finished(deferred)) deferred->destroy(deferred);
        else defer(deferred);
        deferred = next;
    }
}
