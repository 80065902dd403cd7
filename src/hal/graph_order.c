/* Turns of launching: what shares one runs one after the other, whatever the streams.
 *
 * A turn is taken while a launch is enqueued. Its stream is made to wait for the event of the launch before, and the event is
 * recorded anew behind it; so one event is enough for any number of graphs. */
#include "base/memory.h"
#include "base/status.h"
#include "hal/call.h"
#include "hal/graph.h"

struct hal_graph_order {
    pthread_mutex_t lock;
    pthread_cond_t given;
    bool is_taken;      /* protected by lock */
    pthread_t launcher; /* who took it; protected by lock */
    /* For who has the turn. */
    hal_event *event;
    bool has_event;   /* it marks the last launch */
    bool is_unmarked; /* the last launch could be neither marked nor waited for */
    uint32_t stream;  /* number of the last launch's stream */
};

tarn_status hal_graph_order_create(tarn_device *device, hal_graph_order **out_order) {
    hal_graph_order *order = base_allocate(1, sizeof *order);
    if (order == NULL) return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory for the order of graphs", device->name);
    tarn_status status = hal_event_create(device, &order->event);
    if (status != TARN_OK) {
        base_free(order);
        return status;
    }
    pthread_mutex_init(&order->lock, NULL);
    pthread_cond_init(&order->given, NULL);
    *out_order = order;
    return TARN_OK;
}

void hal_graph_order_destroy(hal_graph_order *order) {
    if (order == NULL) return;
    if (!hal_device_is_inherited(order->event->device)) pthread_cond_destroy(&order->given);
    hal_event_destroy(order->event);
    pthread_mutex_destroy(&order->lock);
    base_free(order);
}

tarn_status hal_graph_order_take(hal_graph_order *order, tarn_device *device) {
    pthread_mutex_lock(&order->lock);
    bool is_own = order->is_taken && pthread_equal(order->launcher, pthread_self());
    if (!is_own) {
        while (order->is_taken) pthread_cond_wait(&order->given, &order->lock);
        order->is_taken = true;
        order->launcher = pthread_self();
    }
    pthread_mutex_unlock(&order->lock);
    if (!is_own) return TARN_OK;
    return base_fail(TARN_BUSY,
                     "%s: work of a launch that is just being enqueued launches the same graph, or one of its pool",
                     device->name);
}

void hal_graph_order_give(hal_graph_order *order) {
    pthread_mutex_lock(&order->lock);
    order->is_taken = false;
    pthread_cond_signal(&order->given);
    pthread_mutex_unlock(&order->lock);
}

tarn_status hal_graph_order_follow(hal_graph_order *order, tarn_stream *stream) {
    if (order->stream == stream->number) return TARN_OK;
    if (order->is_unmarked) {
        tarn_status status = HAL_CALL_ALONE(stream->device, device_synchronize);
        if (status != TARN_OK) return status;
        order->is_unmarked = false;
    }
    if (!order->has_event) return TARN_OK;
    return HAL_CALL(stream->device, stream_wait, stream->handle, order->event->handle);
}

void hal_graph_order_mark(hal_graph_order *order, tarn_stream *stream) {
    order->stream = stream->number;
    order->is_unmarked = false;
    if (hal_event_record(order->event, stream) == TARN_OK) {
        order->has_event = true;
        return;
    }
    /* Without an event after the work, the work has to be over; the event of an earlier launch is complete then too. */
    if (!hal_device_is_reachable(stream->device)) return;
    order->is_unmarked = HAL_CALL(stream->device, stream_synchronize, stream->handle) != TARN_OK;
}

bool hal_graph_order_is_over(hal_graph_order *order) {
    tarn_device *device = order->event->device;
    bool is_over = true;
    tarn_status status = TARN_OK;
    if (order->is_unmarked && hal_device_is_reachable(device)) status = HAL_CALL_ALONE(device, device_synchronize);
    else if (order->has_event) status = hal_event_query(order->event, &is_over);
    /* Work on a lost device, or in another process, is over. */
    return status == TARN_OK ? is_over : status == TARN_DEVICE_LOST || status == TARN_UNAVAILABLE;
}
