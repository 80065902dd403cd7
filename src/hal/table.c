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

#define REQUIRED(function) \
    { #function, offsetof(tarn_backend, function) }

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
static bool has_function(const tarn_backend *table, const required_function *function) {
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

static tarn_status check_capture(const tarn_backend *table) {
    bool is_known = table->struct_size >= offsetof(tarn_backend, capture) + sizeof table->capture;
    const tarn_backend_capture *capture = is_known ? table->capture : NULL;
    if (capture == NULL) return TARN_OK;
    if (capture->struct_size < sizeof *capture) {
        return base_fail(TARN_INVALID_ARGUMENT,
                         "backend \"%s\": its table of graphs has %zu bytes, and %zu are the least", table->name,
                         capture->struct_size, sizeof *capture);
    }
    const char *absent = NULL;
    if (capture->graph_launch == NULL) absent = "graph_launch";
    if (capture->graph_update == NULL) absent = "graph_update";
    if (capture->graph_destroy == NULL) absent = "graph_destroy";
    if (capture->graph_create == NULL) absent = "graph_create";
    if (absent == NULL) return TARN_OK;
    return base_fail(TARN_INVALID_ARGUMENT, "backend \"%s\" has graphs but no function %s", table->name, absent);
}

static tarn_status check_operations(const tarn_backend *table) {
    bool is_known = table->struct_size >= offsetof(tarn_backend, operations) + sizeof table->operations;
    const tarn_backend_operations *operations = is_known ? table->operations : NULL;
    if (operations == NULL) return TARN_OK;
    if (operations->struct_size < sizeof *operations) {
        return base_fail(TARN_INVALID_ARGUMENT,
                         "backend \"%s\": its table of operations has %zu bytes, and %zu are the least", table->name,
                         operations->struct_size, sizeof *operations);
    }
    const char *absent = NULL;
    if (operations->enqueue == NULL) absent = "enqueue";
    if (operations->supports == NULL) absent = "supports";
    if (absent == NULL) return TARN_OK;
    return base_fail(TARN_INVALID_ARGUMENT, "backend \"%s\" has operations but no function %s", table->name, absent);
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
    if (status == TARN_OK) status = check_capture(table);
    return status == TARN_OK ? check_operations(table) : status;
}
