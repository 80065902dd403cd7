/* Memory that was lent: which streams use it, and giving it back.
 *
 * Its owner knows nothing of streams, so that each stream that uses the memory is kept until the end, which waits for them all. They are
 * few; the one that used it last is recognised without the lock, which is one for all such memory and is taken around a fork. */
#include "tensor/tensor.h"

#include <pthread.h>

#include "base/memory.h"
#include "base/status.h"
#include "hal/device.h"

struct tensor_lent {
    void (*release)(void *context); /* may be NULL */
    void *context;
    _Atomic(tarn_stream *) last; /* one of the streams below. Relaxed: it is only compared */
    /* Protected by lock. */
    tarn_stream **streams; /* a reference of each, except the default one */
    size_t count, capacity;
};

/* A leaf: no lock is taken with it held, so that it has no place in an order with those that a fork takes. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void before_fork(void) { pthread_mutex_lock(&lock); }
static void after_fork(void) { pthread_mutex_unlock(&lock); }

/* Where there is no memory for that, a fork is as unsafe as everywhere else in a program without memory. */
static void watch_lock(void) { (void)pthread_atfork(before_fork, after_fork, after_fork); }

tensor_lent *tensor_lent_create(void (*release)(void *context), void *context) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    tensor_lent *lent = base_allocate(1, sizeof *lent);
    if (lent == NULL) return NULL;
    pthread_once(&once, watch_lock);
    lent->release = release;
    lent->context = context;
    return lent;
}

void tensor_lent_destroy(tensor_lent *lent) {
    base_free(lent->streams);
    base_free(lent);
}

/* With the lock held. */
static bool is_known(const tensor_lent *lent, const tarn_stream *stream) {
    for (size_t i = 0; i < lent->count; i++)
        if (lent->streams[i] == stream) return true;
    return false;
}

/* With the lock held; false when there is no host memory. */
static bool add(tensor_lent *lent, tarn_stream *stream) {
    if (lent->count == lent->capacity) {
        size_t capacity = lent->capacity > 0 ? lent->capacity * 2 : 2;
        tarn_stream **streams = base_reallocate(lent->streams, capacity, sizeof(tarn_stream *));
        if (streams == NULL) return false;
        lent->streams = streams;
        lent->capacity = capacity;
    }
    lent->streams[lent->count++] = hal_stream_number(stream) != 0 ? tarn_stream_retain(stream) : stream;
    return true;
}

tarn_status tensor_lent_use(tensor_lent *lent, tarn_stream *stream) {
    if (atomic_load_explicit(&lent->last, memory_order_relaxed) == stream) return TARN_OK;
    pthread_mutex_lock(&lock);
    bool is_noted = is_known(lent, stream) || add(lent, stream);
    pthread_mutex_unlock(&lock);
    if (!is_noted) {
        return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to note a stream",
                         tarn_device_name(tarn_stream_device(stream)));
    }
    atomic_store_explicit(&lent->last, stream, memory_order_relaxed);
    return TARN_OK;
}

tarn_status tensor_lent_end(tensor_lent *lent) {
    tarn_status status = TARN_OK;
    for (size_t i = 0; i < lent->count; i++) {
        tarn_status waited = tarn_stream_synchronize(lent->streams[i]);
        tarn_status released = tarn_stream_release(lent->streams[i]);
        if (status == TARN_OK) status = waited != TARN_OK ? waited : released;
    }
    if (lent->release != NULL) lent->release(lent->context);
    tensor_lent_destroy(lent);
    return status;
}
