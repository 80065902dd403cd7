/* Who wants to know when a stream ends.
 *
 * Callbacks run without the lock, so a watcher that is being called is marked as running: it stays in the list until
 * the call is over, and whoever removes it waits for that, except the callback itself, which leaves the removal to
 * the notifier. */
#include "base/memory.h"
#include "base/status.h"
#include "hal/call.h"

struct hal_stream_watcher {
    hal_stream_callback callback;
    void *context;
    /* Protected by the device's lock. */
    hal_stream_watcher *next;
    unsigned running; /* calls in progress */
    bool is_removed;  /* not to be called again; in the list only while running */
    bool is_orphan;   /* nobody waits for the end of the calls: the notifier frees it */
};

/* The watcher that this thread is calling, or NULL. */
static _Thread_local const hal_stream_watcher *called;

void hal_watchers_start(tarn_device *device) {
    pthread_mutex_init(&device->lock, NULL);
    pthread_cond_init(&device->watcher_idle, NULL);
}

void hal_watchers_end(tarn_device *device) {
    while (device->watchers != NULL) {
        hal_stream_watcher *watcher = device->watchers;
        device->watchers = watcher->next;
        base_free(watcher);
    }
    pthread_cond_destroy(&device->watcher_idle);
    pthread_mutex_destroy(&device->lock);
}

void hal_watchers_after_fork(tarn_device *device) {
    pthread_cond_init(&device->watcher_idle, NULL);
    for (hal_stream_watcher *watcher = device->watchers; watcher != NULL; watcher = watcher->next) {
        if (watcher != called) watcher->running = 0;
    }
}

tarn_status hal_device_on_stream_destroy(tarn_device *device, hal_stream_callback callback, void *context) {
    hal_stream_watcher *watcher = base_allocate(1, sizeof *watcher);
    if (watcher == NULL) return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to watch streams", device->name);
    watcher->callback = callback;
    watcher->context = context;
    pthread_mutex_lock(&device->lock);
    watcher->next = device->watchers;
    device->watchers = watcher;
    pthread_mutex_unlock(&device->lock);
    return TARN_OK;
}

/* Must be called with the device's lock held. */
static void unlink_watcher(tarn_device *device, hal_stream_watcher *watcher) {
    hal_stream_watcher **link = &device->watchers;
    while (*link != watcher) link = &(*link)->next;
    *link = watcher->next;
    base_free(watcher);
}

void hal_device_remove_stream_callback(tarn_device *device, hal_stream_callback callback, void *context) {
    pthread_mutex_lock(&device->lock);
    hal_stream_watcher *watcher = device->watchers;
    while (watcher != NULL && (watcher->is_removed || watcher->callback != callback || watcher->context != context)) {
        watcher = watcher->next;
    }
    if (watcher != NULL) {
        watcher->is_removed = true;
        unsigned own_calls = watcher == called ? 1 : 0;
        while (watcher->running > own_calls) pthread_cond_wait(&device->watcher_idle, &device->lock);
        if (own_calls > 0) watcher->is_orphan = true;
        else unlink_watcher(device, watcher);
    }
    pthread_mutex_unlock(&device->lock);
}

void hal_watchers_notify(tarn_device *device, tarn_stream *stream) {
    const hal_stream_watcher *outer = called;
    pthread_mutex_lock(&device->lock);
    hal_stream_watcher *watcher = device->watchers;
    while (watcher != NULL) {
        if (!watcher->is_removed) {
            watcher->running++;
            pthread_mutex_unlock(&device->lock);
            called = watcher;
            watcher->callback(watcher->context, stream);
            called = outer;
            pthread_mutex_lock(&device->lock);
            watcher->running--;
        }
        hal_stream_watcher *next = watcher->next;
        if (watcher->is_removed && watcher->running == 0) {
            if (watcher->is_orphan) unlink_watcher(device, watcher);
            else pthread_cond_broadcast(&device->watcher_idle);
        }
        watcher = next;
    }
    pthread_mutex_unlock(&device->lock);
}
