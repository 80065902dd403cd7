/* Graphs and their instances: what is launched, what can be changed in it, and how long each is kept.
 *
 * A graph is the list of nodes that a capture made, with those who lend it memory. An instance holds the same list until
 * it is changed, and then a copy: lists that launches hold are never written. What is released while it runs is put off. */
#include <stdio.h>
#include <string.h>

#include "base/box.h"
#include "base/fill.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/structure.h"
#include "hal/box.h"
#include "hal/call.h"
#include "hal/graph.h"
#include "hal/operation.h"

struct tarn_graph {
    hal_deferred deferred; /* the first member: it is cast back */
    tarn_device *device;   /* one reference */
    hal_nodes *nodes;
    hal_graph_clients *clients;
    atomic_uint references;
    atomic_uint keepers; /* the references together, and each instance */
    atomic_uint holders; /* the same, without instances that were released and still run: who can launch */
};

struct tarn_graph_instance {
    hal_deferred deferred; /* the first member: it is cast back */
    tarn_graph *graph;     /* kept */
    atomic_uint references;
    hal_graph_order *order;
    hal_native
        *native; /* used with the turn of `order` taken; NULL: the backend has no graphs, and the list is launched */
    pthread_mutex_t lock;
    hal_nodes *nodes; /* protected by lock: which list; the list is written with the lock held and no other holder */
};

static void destroy_graph(hal_deferred *deferred) {
    tarn_graph *graph = (tarn_graph *)(void *)deferred;
    tarn_device *device = graph->device;
    hal_nodes_release(graph->nodes);
    hal_graph_clients_release(graph->clients);
    base_free(graph);
    tarn_device_release(device);
}

/* Drops one of the keepers. Release and acquire: what other threads did with the graph comes before its end. */
static void drop_keeper(tarn_graph *graph) {
    if (atomic_fetch_sub_explicit(&graph->keepers, 1, memory_order_acq_rel) == 1) {
        hal_graph_destroy_or_defer(&graph->deferred);
    }
}

/* Drops one of the holders; with the last, nobody can launch any more. */
static void drop_holder(tarn_graph *graph) {
    if (atomic_fetch_sub_explicit(&graph->holders, 1, memory_order_acq_rel) == 1) {
        hal_graph_clients_release_graph(graph->clients);
    }
}

tarn_status hal_graph_create(tarn_device *device, hal_nodes *nodes, hal_graph_clients *clients,
                             tarn_graph **out_graph) {
    tarn_graph *graph = base_allocate(1, sizeof *graph);
    if (graph == NULL) return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory for a graph", device->name);
    graph->deferred.destroy = destroy_graph;
    graph->deferred.device = device;
    graph->device = tarn_device_retain(device);
    graph->nodes = hal_nodes_retain(nodes);
    graph->clients = hal_graph_clients_retain(clients);
    atomic_init(&graph->references, 1);
    atomic_init(&graph->keepers, 1);
    atomic_init(&graph->holders, 1);
    *out_graph = graph;
    return TARN_OK;
}

tarn_graph *tarn_graph_retain(tarn_graph *graph) {
    if (graph != NULL) atomic_fetch_add_explicit(&graph->references, 1, memory_order_relaxed);
    return graph;
}

tarn_status tarn_graph_release(tarn_graph *graph) {
    if (graph == NULL) return TARN_OK;
    /* Release and acquire: what other threads did with the graph comes before its end. */
    if (atomic_fetch_sub_explicit(&graph->references, 1, memory_order_acq_rel) > 1) return TARN_OK;
    drop_holder(graph);
    drop_keeper(graph);
    return TARN_OK;
}

tarn_device *tarn_graph_device(const tarn_graph *graph) { return graph != NULL ? graph->device : NULL; }

size_t tarn_graph_node_count(const tarn_graph *graph) { return graph != NULL ? graph->nodes->count : 0; }

tarn_status tarn_graph_node(const tarn_graph *graph, size_t node, tarn_graph_node_info *out_info) {
    if (graph == NULL || out_info == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "the graph or the place for what was captured is NULL");
    }
    if (node >= graph->nodes->count) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s: the graph has %zu nodes and no number %zu", graph->device->name,
                         graph->nodes->count, node);
    }
    return base_fill_structure(out_info, &graph->nodes->items[node].work, sizeof *out_info, "tarn_graph_node_info");
}

/* Instances. */

static void destroy_instance(hal_deferred *deferred) {
    tarn_graph_instance *instance = (tarn_graph_instance *)(void *)deferred;
    tarn_graph *graph = instance->graph;
    hal_native_destroy(instance->native);
    hal_nodes_release(instance->nodes);
    hal_graph_order_destroy(instance->order);
    pthread_mutex_destroy(&instance->lock);
    base_free(instance);
    drop_keeper(graph);
}

tarn_status tarn_graph_instantiate(tarn_graph *graph, tarn_graph_instance **out_instance) {
    if (graph == NULL || out_instance == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "the graph or the place for its instance is NULL");
    }
    tarn_device *device = graph->device;
    tarn_status status = hal_device_check(device);
    if (status != TARN_OK) return status;
    hal_graphs_reap(device);
    tarn_graph_instance *instance = base_allocate(1, sizeof *instance);
    if (instance == NULL)
        return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory for an instance of a graph", device->name);
    status = hal_graph_order_create(device, &instance->order);
    if (status == TARN_OK && hal_native_is_offered(device)) {
        status = hal_native_create(device, graph->nodes, &instance->native);
        if (status != TARN_OK) hal_graph_order_destroy(instance->order);
    }
    if (status != TARN_OK) {
        base_free(instance);
        return status;
    }
    pthread_mutex_init(&instance->lock, NULL);
    instance->deferred.order = instance->order;
    instance->deferred.destroy = destroy_instance;
    instance->deferred.device = device;
    instance->nodes = hal_nodes_retain(graph->nodes);
    instance->graph = graph;
    atomic_init(&instance->references, 1);
    atomic_fetch_add_explicit(&graph->keepers, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&graph->holders, 1, memory_order_relaxed);
    *out_instance = instance;
    return TARN_OK;
}

tarn_graph_instance *tarn_graph_instance_retain(tarn_graph_instance *instance) {
    if (instance != NULL) atomic_fetch_add_explicit(&instance->references, 1, memory_order_relaxed);
    return instance;
}

tarn_status tarn_graph_instance_release(tarn_graph_instance *instance) {
    if (instance == NULL) return TARN_OK;
    /* Release and acquire: what other threads did with the instance comes before its end. */
    if (atomic_fetch_sub_explicit(&instance->references, 1, memory_order_acq_rel) > 1) return TARN_OK;
    drop_holder(instance->graph);
    hal_graph_destroy_or_defer(&instance->deferred);
    return TARN_OK;
}

/* Launching. */

/* On the thread of the stream that launched it, which is told of a failure. */
static void run_operation(const tarn_backend_operation *operation) {
    tarn_stream *stream = hal_running_stream();
    tarn_status status = hal_operation_run(stream->device, operation);
    if (status != TARN_OK) hal_stream_keep_failure(stream, status);
}

static void run_nodes(void *context) {
    hal_nodes *nodes = context;
    for (size_t i = 0; i < nodes->count; i++) {
        const tarn_graph_node_info *node = &nodes->items[i].work;
        if (node->kind == TARN_GRAPH_NODE_HOST_FUNCTION) node->function(node->context);
        else if (node->kind == TARN_GRAPH_NODE_OPERATION) run_operation(node->operation);
        else if (node->size == 0) continue;
        else if (node->kind == TARN_GRAPH_NODE_COPY) memcpy(node->destination, node->source, node->size);
        else if (node->kind == TARN_GRAPH_NODE_COPY_BOX) base_box_copy(node->destination, node->source, &node->box);
        else base_fill(node->destination, node->pattern, node->pattern_size, node->size);
    }
    hal_nodes_release(nodes);
}

static tarn_status enqueue_node(tarn_stream *stream, const tarn_graph_node_info *node) {
    tarn_device *device = stream->device;
    if (node->kind == TARN_GRAPH_NODE_HOST_FUNCTION) {
        return hal_stream_enqueue_work(stream, node->function, node->context);
    }
    if (node->kind == TARN_GRAPH_NODE_OPERATION) return hal_operation_enqueue_captured(stream, node->operation);
    if (node->size == 0) return TARN_OK;
    if (node->kind == TARN_GRAPH_NODE_COPY_BOX) {
        return hal_box_enqueue(stream, node->destination, node->source, &node->box);
    }
    hal_stream_note_work(stream);
    if (node->kind == TARN_GRAPH_NODE_COPY) {
        return HAL_CALL(device, stream_copy, stream->handle, node->destination, node->source, node->size);
    }
    return HAL_CALL(device, stream_fill, stream->handle, node->destination, node->pattern, node->pattern_size,
                    node->size);
}

/* Where the host reaches the device's memory, one host function does it all: it is enqueued whole or not at all. */
static tarn_status enqueue_nodes(hal_nodes *nodes, tarn_stream *stream) {
    tarn_status status = TARN_OK;
    if (nodes->count == 0) return TARN_OK;
    if (hal_device_has_feature(stream->device, TARN_FEATURE_HOST_ACCESS) &&
        (!nodes->has_operations || hal_operation_can_run(stream->device))) {
        status = hal_stream_enqueue_work(stream, run_nodes, hal_nodes_retain(nodes));
        if (status != TARN_OK) hal_nodes_release(nodes);
        return status;
    }
    for (size_t i = 0; i < nodes->count && status == TARN_OK; i++) status = enqueue_node(stream, &nodes->items[i].work);
    return status;
}

static tarn_status enqueue_all(tarn_graph_instance *instance, tarn_stream *stream) {
    if (instance->native != NULL) return hal_native_launch(instance->native, stream);
    pthread_mutex_lock(&instance->lock);
    hal_nodes *nodes = hal_nodes_retain(instance->nodes);
    pthread_mutex_unlock(&instance->lock);
    tarn_status status = enqueue_nodes(nodes, stream);
    hal_nodes_release(nodes);
    return status;
}

/* The turns that a launch needs, the instance's own and those of its pools, by address and each once: so that no two launches
 * wait for each other. */
static size_t collect_orders(const tarn_graph_instance *instance, hal_graph_order **out_orders) {
    hal_graph_order *found[HAL_GRAPH_CLIENTS + 1] = {instance->order};
    size_t count = 1 + hal_graph_clients_orders(instance->graph->clients, found + 1), written = 0;
    for (size_t i = 0; i < count; i++) {
        size_t place = written;
        while (place > 0 && out_orders[place - 1] > found[i]) place--;
        if (place > 0 && out_orders[place - 1] == found[i]) continue;
        memmove(&out_orders[place + 1], &out_orders[place], (written - place) * sizeof *out_orders);
        out_orders[place] = found[i];
        written++;
    }
    return written;
}

/* With all turns taken. */
static tarn_status launch_in_order(tarn_graph_instance *instance, tarn_stream *stream, hal_graph_order **orders,
                                   size_t count) {
    for (size_t i = 0; i < count; i++) {
        tarn_status status = hal_graph_order_follow(orders[i], stream);
        if (status != TARN_OK) return status;
    }
    tarn_status status = enqueue_all(instance, stream);
    if (status == TARN_OK) {
        for (size_t i = 0; i < count; i++) hal_graph_order_mark(orders[i], stream);
        return TARN_OK;
    }
    /* What went before has been enqueued; marking it must not replace the sentence. */
    char sentence[512];
    snprintf(sentence, sizeof sentence, "%s", tarn_last_error());
    for (size_t i = 0; i < count; i++) hal_graph_order_mark(orders[i], stream);
    return base_fail(status, "%s", sentence);
}

tarn_status tarn_graph_instance_launch(tarn_graph_instance *instance, tarn_stream *stream) {
    if (instance == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the instance to launch is NULL");
    tarn_device *device = instance->graph->device;
    stream = hal_stream_or_default(device, stream);
    if (stream == NULL) return TARN_INVALID_ARGUMENT;
    tarn_status status = hal_device_check(device);
    if (status == TARN_OK) status = hal_capture_check_stream(stream, "no graph can be launched on it");
    if (status != TARN_OK) return status;
    hal_graphs_reap(device);
    hal_graph_order *orders[HAL_GRAPH_CLIENTS + 1] = {NULL};
    size_t count = collect_orders(instance, orders), taken = 0;
    while (taken < count && status == TARN_OK) {
        status = hal_graph_order_take(orders[taken], device);
        if (status == TARN_OK) taken++;
    }
    if (status == TARN_OK) status = launch_in_order(instance, stream, orders, count);
    while (taken > 0) hal_graph_order_give(orders[--taken]);
    return status;
}

/* Changing what is launched. */

/* Whether number `place` is there, and of the kind. Kinds and their number never change. */
static tarn_status check_node(const tarn_graph_instance *instance, size_t place, tarn_graph_node_kind kind) {
    static const char *const kinds[] = {"a copy", "a fill", "a host function", "an operation", "a copy of a box"};
    const hal_nodes *nodes = instance->graph->nodes;
    const char *name = instance->graph->device->name;
    if (place >= nodes->count) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s: the graph has %zu nodes and no number %zu", name, nodes->count,
                         place);
    }
    tarn_graph_node_kind present = nodes->items[place].work.kind;
    if (present == kind) return TARN_OK;
    return base_fail(TARN_INVALID_ARGUMENT, "%s: node %zu of the graph is %s and cannot become %s", name, place,
                     kinds[present], kinds[kind]);
}

/* Changes the list, or a copy of it when launches or the graph hold it too. */
static tarn_status set_listed(tarn_graph_instance *instance, size_t place, const tarn_graph_node_info *work) {
    hal_nodes *old = NULL, *copy = NULL;
    tarn_status status = TARN_OK;
    pthread_mutex_lock(&instance->lock);
    /* Acquire: whoever held it before has finished with it. */
    if (atomic_load_explicit(&instance->nodes->references, memory_order_acquire) > 1) {
        copy = hal_nodes_copy(instance->nodes);
        if (copy != NULL) {
            old = instance->nodes;
            instance->nodes = copy;
        } else {
            status =
                base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to change a graph", instance->graph->device->name);
        }
    }
    if (status == TARN_OK) instance->nodes->items[place].work = *work;
    pthread_mutex_unlock(&instance->lock);
    hal_nodes_release(old);
    return status;
}

/* Puts `work` in the place of number `place`. The caller has looked at everything but the kind. */
static tarn_status set_node(tarn_graph_instance *instance, size_t place, const tarn_graph_node_info *work) {
    tarn_device *device = instance->graph->device;
    tarn_status status = check_node(instance, place, work->kind);
    if (status == TARN_OK) status = hal_device_check(device);
    if (status != TARN_OK) return status;
    if (instance->native == NULL) {
        status = set_listed(instance, place, work);
    } else {
        status = hal_graph_order_take(instance->order, device);
        if (status != TARN_OK) return status;
        status = hal_native_update(instance->native, place, work);
        hal_graph_order_give(instance->order);
    }
    if (status == TARN_OK) hal_graph_clients_use(instance->graph->clients, work, false);
    return status;
}

static tarn_status check_instance(const tarn_graph_instance *instance) {
    if (instance != NULL) return TARN_OK;
    return base_fail(TARN_INVALID_ARGUMENT, "the instance to change is NULL");
}

tarn_status tarn_graph_instance_set_copy(tarn_graph_instance *instance, size_t node, void *destination,
                                         const void *source, size_t size) {
    tarn_status status = check_instance(instance);
    if (status == TARN_OK) status = hal_check_copy(instance->graph->device, destination, source, size);
    if (status != TARN_OK) return status;
    return set_node(instance, node,
                    &(tarn_graph_node_info){
                        .kind = TARN_GRAPH_NODE_COPY, .destination = destination, .source = source, .size = size});
}

tarn_status tarn_graph_instance_set_copy_box(tarn_graph_instance *instance, size_t node, void *destination,
                                             const void *source, const tarn_box *box) {
    tarn_graph_node_info copied = {.kind = TARN_GRAPH_NODE_COPY_BOX, .destination = destination, .source = source};
    tarn_status status = check_instance(instance);
    if (status == TARN_OK) status = hal_box_read("graph_instance_set_copy_box", box, &copied.box);
    if (status == TARN_OK) status = hal_box_check(instance->graph->device, destination, source, &copied.box);
    if (status != TARN_OK) return status;
    copied.size = hal_box_size(&copied.box);
    return set_node(instance, node, &copied);
}

tarn_status tarn_graph_instance_set_fill(tarn_graph_instance *instance, size_t node, void *destination,
                                         const void *pattern, size_t pattern_size, size_t size) {
    tarn_status status = check_instance(instance);
    if (status == TARN_OK) {
        status = hal_check_fill(instance->graph->device, destination, pattern, pattern_size, size);
    }
    if (status != TARN_OK) return status;
    tarn_graph_node_info filled = {
        .kind = TARN_GRAPH_NODE_FILL, .destination = destination, .pattern_size = pattern_size, .size = size};
    memcpy(filled.pattern, pattern, pattern_size);
    return set_node(instance, node, &filled);
}

tarn_status tarn_graph_instance_set_host_function(tarn_graph_instance *instance, size_t node,
                                                  tarn_host_function function, void *context) {
    tarn_status status = check_instance(instance);
    if (status != TARN_OK) return status;
    if (function == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s: the function to run is NULL", instance->graph->device->name);
    }
    return set_node(
        instance, node,
        &(tarn_graph_node_info){.kind = TARN_GRAPH_NODE_HOST_FUNCTION, .function = function, .context = context});
}
