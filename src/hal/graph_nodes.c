/* Lists of nodes, and lists of those who lend memory to a graph: both counted, both filled while a capture lasts. */
#include <string.h>

#include "base/box.h"
#include "base/memory.h"
#include "base/operation.h"
#include "hal/graph.h"

hal_nodes *hal_nodes_create(void) {
    hal_nodes *nodes = base_allocate(1, sizeof *nodes);
    if (nodes != NULL) atomic_init(&nodes->references, 1);
    return nodes;
}

hal_nodes *hal_nodes_retain(hal_nodes *nodes) {
    atomic_fetch_add_explicit(&nodes->references, 1, memory_order_relaxed);
    return nodes;
}

static void free_operation(const tarn_graph_node_info *work) {
    if (work->kind == TARN_GRAPH_NODE_OPERATION) base_free((void *)(uintptr_t)work->operation);
}

void hal_nodes_release(hal_nodes *nodes) {
    /* Release and acquire: what other threads did with the list comes before its end. */
    if (nodes == NULL || atomic_fetch_sub_explicit(&nodes->references, 1, memory_order_acq_rel) > 1) return;
    if (nodes->origin != NULL) hal_nodes_release(nodes->origin);
    else
        for (size_t i = 0; i < nodes->count; i++) free_operation(&nodes->items[i].work);
    base_free(nodes->items);
    base_free(nodes);
}

bool hal_nodes_reserve(hal_nodes *nodes, size_t count) {
    if (count <= nodes->capacity - nodes->count) return true;
    size_t capacity = nodes->capacity == 0 ? 16 : nodes->capacity * 2;
    if (capacity < nodes->count + count) capacity = nodes->count + count;
    hal_node *items = base_reallocate(nodes->items, capacity, sizeof *items);
    if (items == NULL) return false;
    nodes->items = items;
    nodes->capacity = capacity;
    return true;
}

bool hal_nodes_add(hal_nodes *nodes, const hal_node *node) {
    if (!hal_nodes_reserve(nodes, 1)) return false;
    nodes->items[nodes->count++] = *node;
    if (node->work.kind == TARN_GRAPH_NODE_OPERATION) nodes->has_operations = true;
    return true;
}

hal_nodes *hal_nodes_copy(hal_nodes *nodes) {
    hal_nodes *copy = hal_nodes_create();
    if (copy == NULL) return NULL;
    if (nodes->count > 0) {
        copy->items = base_allocate(nodes->count, sizeof *copy->items);
        if (copy->items == NULL) {
            base_free(copy);
            return NULL;
        }
        memcpy(copy->items, nodes->items, nodes->count * sizeof *copy->items);
    }
    copy->count = copy->capacity = nodes->count;
    copy->has_operations = nodes->has_operations;
    copy->origin = hal_nodes_retain(nodes->origin != NULL ? nodes->origin : nodes);
    return copy;
}

typedef struct client_entry {
    const hal_graph_client *client;
    void *context;
} client_entry;

struct hal_graph_clients {
    atomic_uint references;
    /* Entries below the count do not change. Released after an entry is written; acquired before one is read. */
    atomic_uint count;
    client_entry entries[HAL_GRAPH_CLIENTS];
};

hal_graph_clients *hal_graph_clients_create(void) {
    hal_graph_clients *clients = base_allocate(1, sizeof *clients);
    if (clients != NULL) atomic_init(&clients->references, 1);
    return clients;
}

hal_graph_clients *hal_graph_clients_retain(hal_graph_clients *clients) {
    atomic_fetch_add_explicit(&clients->references, 1, memory_order_relaxed);
    return clients;
}

static unsigned count_of(const hal_graph_clients *clients) {
    return atomic_load_explicit(&clients->count, memory_order_acquire);
}

void hal_graph_clients_release(hal_graph_clients *clients) {
    /* Release and acquire: what other threads did with the list comes before its end. */
    if (clients == NULL || atomic_fetch_sub_explicit(&clients->references, 1, memory_order_acq_rel) > 1) return;
    for (unsigned i = 0; i < count_of(clients); i++) clients->entries[i].client->end(clients->entries[i].context);
    base_free(clients);
}

bool hal_graph_clients_add(hal_graph_clients *clients, const hal_graph_client *client, void *context) {
    unsigned count = count_of(clients);
    if (count == HAL_GRAPH_CLIENTS) return false;
    clients->entries[count] = (client_entry){.client = client, .context = context};
    atomic_store_explicit(&clients->count, count + 1, memory_order_release);
    return true;
}

static void use(hal_graph_clients *clients, const void *address, size_t size, bool is_captured) {
    if (address == NULL || size == 0) return;
    for (unsigned i = 0; i < count_of(clients); i++) {
        const client_entry *entry = &clients->entries[i];
        entry->client->use(entry->context, address, size, is_captured);
    }
}

void hal_graph_clients_use(hal_graph_clients *clients, const tarn_graph_node_info *node, bool is_captured) {
    if (node->kind == TARN_GRAPH_NODE_COPY_BOX) {
        const tarn_box *box = &node->box;
        if (node->size == 0) return;
        use(clients, node->destination, base_box_span(box, box->destination_row_pitch, box->destination_slice_pitch),
            is_captured);
        use(clients, node->source, base_box_span(box, box->source_row_pitch, box->source_slice_pitch), is_captured);
        return;
    }
    if (node->kind != TARN_GRAPH_NODE_OPERATION) {
        use(clients, node->destination, node->size, is_captured);
        use(clients, node->source, node->size, is_captured);
        return;
    }
    const tarn_backend_operation *operation = node->operation;
    for (uint32_t i = 0; i < operation->output_count + operation->input_count; i++) {
        const void *begin;
        size_t size;
        base_operand_range(&operation->operands[i], &begin, &size);
        use(clients, begin, size, is_captured);
    }
}

void hal_graph_clients_finish(hal_graph_clients *clients, bool is_aborted) {
    for (unsigned i = 0; i < count_of(clients); i++) {
        clients->entries[i].client->finish(clients->entries[i].context, is_aborted);
    }
}

void hal_graph_clients_release_graph(hal_graph_clients *clients) {
    for (unsigned i = 0; i < count_of(clients); i++) clients->entries[i].client->release(clients->entries[i].context);
}

size_t hal_graph_clients_orders(const hal_graph_clients *clients, hal_graph_order **out_orders) {
    size_t written = 0;
    for (unsigned i = 0; i < count_of(clients); i++) {
        hal_graph_order *order = clients->entries[i].client->order;
        if (order != NULL) out_orders[written++] = order;
    }
    return written;
}
