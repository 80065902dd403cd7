/* Graphs of the driver's own: what a capture noted, handed over once.
 *
 * Which pieces come after which is read from the clocks: a piece comes after the last one of each stream that its clock has
 * reached. Host functions get a wrapping of their own, which notes that the thread runs work of the device; since launches that
 * still run may use an old one, those of replaced functions are kept until the graph ends. */
#include "base/memory.h"
#include "base/status.h"
#include "hal/call.h"
#include "hal/graph.h"

typedef struct native_call {
    tarn_stream *stream; /* stands for whichever runs it */
    tarn_host_function function;
    void *context;
    struct native_call *next;
} native_call;

struct hal_native {
    tarn_device *device; /* kept alive by the instance */
    tarn_backend_graph *handle;
    native_call *calls;
};

bool hal_native_is_offered(const tarn_device *device) { return device->table->capture != NULL; }

static void run_call(void *context) {
    const native_call *call = context;
    hal_stream_run(call->stream, call->function, call->context);
}

/* Wraps the work's host function, if it is one. False when there is no host memory. */
static bool wrap(hal_native *native, tarn_graph_node_info *inout_work) {
    inout_work->struct_size = sizeof *inout_work;
    if (inout_work->kind != TARN_GRAPH_NODE_HOST_FUNCTION) return true;
    native_call *call = base_allocate(1, sizeof *call);
    if (call == NULL) return false;
    *call = (native_call){.stream = &native->device->default_stream,
                          .function = inout_work->function,
                          .context = inout_work->context,
                          .next = native->calls};
    native->calls = call;
    inout_work->function = run_call;
    inout_work->context = call;
    return true;
}

/* Writes the numbers of the pieces that come right before number `place`; at most one of each stream. */
static size_t find_before(const hal_nodes *nodes, size_t place, size_t *out_numbers) {
    const hal_node *node = &nodes->items[place];
    uint64_t found = 0; /* streams, as bits */
    size_t count = 0;
    for (size_t i = place; i-- > 0;) {
        const hal_node *earlier = &nodes->items[i];
        bool is_before = earlier->clock <= node->before.at[earlier->stream];
        if (!is_before || (found >> earlier->stream & 1u) != 0) continue;
        found |= UINT64_C(1) << earlier->stream;
        out_numbers[count++] = i;
    }
    return count;
}

_Static_assert(HAL_CAPTURE_STREAMS <= 64, "the streams of a capture are bits of one word");

/* Makes the driver's graph; `pieces` and `numbers` are room for it. */
static tarn_status create(hal_native *native, const hal_nodes *nodes, tarn_backend_graph_node *pieces,
                          size_t *numbers) {
    tarn_device *device = native->device;
    for (size_t i = 0; i < nodes->count; i++) {
        pieces[i].work = nodes->items[i].work;
        pieces[i].after = numbers;
        pieces[i].after_count = find_before(nodes, i, numbers);
        numbers += pieces[i].after_count;
        if (!wrap(native, &pieces[i].work)) {
            return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory for a graph", device->name);
        }
    }
    hal_listen();
    tarn_status status = device->table->capture->graph_create(device->handle, pieces, nodes->count, &native->handle);
    status = hal_answer(device, status, "graph_create");
    if (status != TARN_OK || native->handle != NULL) return status;
    return base_fail(TARN_INTERNAL, "%s: the backend created a graph and gave none", device->name);
}

tarn_status hal_native_create(tarn_device *device, const hal_nodes *nodes, hal_native **out_native) {
    hal_native *native = base_allocate(1, sizeof *native);
    tarn_backend_graph_node *pieces = base_allocate(nodes->count + 1, sizeof *pieces);
    size_t *numbers = base_allocate(nodes->count + 1, HAL_CAPTURE_STREAMS * sizeof *numbers);
    tarn_status status;
    if (native == NULL || pieces == NULL || numbers == NULL) {
        base_free(native);
        status = base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory for a graph", device->name);
    } else {
        native->device = device;
        status = create(native, nodes, pieces, numbers);
        if (status == TARN_OK) *out_native = native;
        else hal_native_destroy(native);
    }
    base_free(numbers);
    base_free(pieces);
    return status;
}

void hal_native_destroy(hal_native *native) {
    if (native == NULL) return;
    tarn_device *device = native->device;
    if (native->handle != NULL && hal_device_is_ours(device)) {
        device->table->capture->graph_destroy(device->handle, native->handle);
    }
    while (native->calls != NULL) {
        native_call *call = native->calls;
        native->calls = call->next;
        base_free(call);
    }
    base_free(native);
}

tarn_status hal_native_update(hal_native *native, size_t place, const tarn_graph_node_info *work) {
    tarn_device *device = native->device;
    tarn_graph_node_info wrapped = *work;
    if (!wrap(native, &wrapped))
        return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to change a graph", device->name);
    hal_listen();
    tarn_status status = device->table->capture->graph_update(device->handle, native->handle, place, &wrapped);
    return hal_answer(device, status, "graph_update");
}

tarn_status hal_native_launch(hal_native *native, tarn_stream *stream) {
    tarn_device *device = native->device;
    hal_stream_note_work(stream);
    hal_listen();
    tarn_status status = device->table->capture->graph_launch(device->handle, native->handle, stream->handle);
    return hal_answer(device, status, "graph_launch");
}
