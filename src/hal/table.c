/* Looking over a backend's table before anything in it is called: a table that is not whole is refused whole. */
#include <string.h>

#include "base/status.h"
#include "hal/registry.h"

/* What every table has at least: the members up to the last required function. */
#define SMALLEST_TABLE offsetof(tarn_backend, clock_set)

typedef struct required_function {
    const char *name;
    size_t offset;
} required_function;

#define REQUIRED_OF(table, function) \
    { #function, offsetof(table, function) }
#define REQUIRED(function) REQUIRED_OF(tarn_backend, function)

static const required_function required_functions[] = {
    REQUIRED(device_count),      REQUIRED(device_open),        REQUIRED(device_close),
    REQUIRED(device_properties), REQUIRED(device_synchronize), REQUIRED(memory_allocate),
    REQUIRED(memory_free),       REQUIRED(stream_default),     REQUIRED(stream_create),
    REQUIRED(stream_destroy),    REQUIRED(stream_synchronize), REQUIRED(stream_host_function),
    REQUIRED(stream_copy),       REQUIRED(stream_fill),        REQUIRED(stream_wait),
    REQUIRED(event_create),      REQUIRED(event_destroy),      REQUIRED(event_record),
    REQUIRED(event_query),       REQUIRED(event_synchronize),  REQUIRED(event_elapsed),
};

static const required_function virtual_functions[] = {
    REQUIRED(virtual_reserve),  REQUIRED(virtual_release), REQUIRED(granules_create),
    REQUIRED(granules_release), REQUIRED(virtual_map),     REQUIRED(virtual_unmap),
};

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* Function pointers have one size and NULL is all zeros on every platform that has dlopen. */
static bool has_function(const void *table, const required_function *function) {
    static const unsigned char nothing[sizeof(void (*)(void))];
    return memcmp((const char *)table + function->offset, nothing, sizeof nothing) != 0;
}

static bool is_name(const char *name) {
    if (name == NULL || *name == '\0') return false;
    for (; *name != '\0'; name++) {
        bool allowed = (*name >= 'a' && *name <= 'z') || (*name >= '0' && *name <= '9') || *name == '-';
        if (!allowed) return false;
    }
    return true;
}

static tarn_status check_virtual_functions(const tarn_backend *table) {
    const required_function *present = NULL;
    const required_function *absent = NULL;
    for (size_t i = 0; i < LENGTH(virtual_functions); i++) {
        if (has_function(table, &virtual_functions[i])) present = &virtual_functions[i];
        else absent = &virtual_functions[i];
    }
    if (present != NULL && absent != NULL) {
        return base_fail(TARN_INVALID_ARGUMENT,
                         "backend \"%s\" has %s but not %s: virtual memory takes all six functions or none",
                         table->name, present->name, absent->name);
    }
    return TARN_OK;
}

/* A table within the table. */
typedef struct inner_table {
    const char *what;   /* "graphs": how sentences call it */
    size_t offset;      /* of the pointer to it */
    size_t struct_size; /* of the inner table as it was at first; its first member says how large it is */
    const required_function *functions;
    size_t function_count;
} inner_table;

static const required_function capture_functions[] = {
    REQUIRED_OF(tarn_backend_capture, graph_create),
    REQUIRED_OF(tarn_backend_capture, graph_destroy),
    REQUIRED_OF(tarn_backend_capture, graph_update),
    REQUIRED_OF(tarn_backend_capture, graph_launch),
};

static const required_function peer_functions[] = {
    REQUIRED_OF(tarn_backend_peer, can_access),
    REQUIRED_OF(tarn_backend_peer, enable),
    REQUIRED_OF(tarn_backend_peer, disable),
};

static const required_function interprocess_functions[] = {
    REQUIRED_OF(tarn_backend_interprocess, memory_export),
    REQUIRED_OF(tarn_backend_interprocess, memory_import),
    REQUIRED_OF(tarn_backend_interprocess, memory_close),
};

static const required_function operation_functions[] = {
    REQUIRED_OF(tarn_backend_operations, supports),
    REQUIRED_OF(tarn_backend_operations, enqueue),
};

static const required_function stream_ordered_functions[] = {
    REQUIRED_OF(tarn_backend_stream_ordered, pool_create),      REQUIRED_OF(tarn_backend_stream_ordered, pool_destroy),
    REQUIRED_OF(tarn_backend_stream_ordered, pool_allocate),    REQUIRED_OF(tarn_backend_stream_ordered, pool_free),
    REQUIRED_OF(tarn_backend_stream_ordered, pool_trim),        REQUIRED_OF(tarn_backend_stream_ordered, pool_figures),
    REQUIRED_OF(tarn_backend_stream_ordered, pool_reset_peaks),
};

static const inner_table inner_tables[] = {
    {"graphs", offsetof(tarn_backend, capture), sizeof(tarn_backend_capture), capture_functions,
     LENGTH(capture_functions)},
    {"peers", offsetof(tarn_backend, peer), offsetof(tarn_backend_peer, copy_box), peer_functions,
     LENGTH(peer_functions)},
    {"memory between processes", offsetof(tarn_backend, interprocess), sizeof(tarn_backend_interprocess),
     interprocess_functions, LENGTH(interprocess_functions)},
    {"operations", offsetof(tarn_backend, operations), sizeof(tarn_backend_operations), operation_functions,
     LENGTH(operation_functions)},
    {"stream-ordered memory", offsetof(tarn_backend, stream_ordered), sizeof(tarn_backend_stream_ordered),
     stream_ordered_functions, LENGTH(stream_ordered_functions)},
};

static tarn_status check_inner_table(const tarn_backend *table, const inner_table *wanted) {
    const void *inner;
    size_t struct_size;
    if (table->struct_size < wanted->offset + sizeof inner) return TARN_OK;
    memcpy(&inner, (const char *)table + wanted->offset, sizeof inner);
    if (inner == NULL) return TARN_OK;
    memcpy(&struct_size, inner, sizeof struct_size);
    if (struct_size < wanted->struct_size) {
        return base_fail(TARN_INVALID_ARGUMENT, "backend \"%s\": its table of %s has %zu bytes, and %zu are the least",
                         table->name, wanted->what, struct_size, wanted->struct_size);
    }
    for (size_t i = 0; i < wanted->function_count; i++) {
        if (has_function(inner, &wanted->functions[i])) continue;
        return base_fail(TARN_INVALID_ARGUMENT, "backend \"%s\" has %s but no function %s", table->name, wanted->what,
                         wanted->functions[i].name);
    }
    return TARN_OK;
}

tarn_status hal_table_check(const tarn_backend *table) {
    if (table == NULL) return base_fail(TARN_INVALID_ARGUMENT, "a backend's table is NULL");
    if (table->abi_version != TARN_BACKEND_ABI_VERSION) {
        return base_fail(TARN_INVALID_ARGUMENT, "the backend has ABI version %u, and this library has %u",
                         table->abi_version, TARN_BACKEND_ABI_VERSION);
    }
    if (table->struct_size < SMALLEST_TABLE) {
        return base_fail(TARN_INVALID_ARGUMENT, "the backend's table has %u bytes, and %zu are the least",
                         table->struct_size, SMALLEST_TABLE);
    }
    if (!is_name(table->name)) {
        return base_fail(TARN_INVALID_ARGUMENT,
                         "the backend's name \"%.64s\" is not of lower-case letters, digits and '-'",
                         table->name != NULL ? table->name : "");
    }
    for (size_t i = 0; i < LENGTH(required_functions); i++) {
        if (!has_function(table, &required_functions[i])) {
            return base_fail(TARN_INVALID_ARGUMENT, "backend \"%s\" has no function %s", table->name,
                             required_functions[i].name);
        }
    }
    tarn_status status = check_virtual_functions(table);
    for (size_t i = 0; i < LENGTH(inner_tables) && status == TARN_OK; i++) {
        status = check_inner_table(table, &inner_tables[i]);
    }
    return status;
}
