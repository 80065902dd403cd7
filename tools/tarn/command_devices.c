/* `tarn devices`: every backend, each of its devices, and why a backend is unavailable. */
#include <argp.h>
#include <stdio.h>
#include <string.h>

#include "table.h"
#include "tool.h"

static const char *const command = "tarn devices";

typedef struct device_listing {
    bool as_json;
    json_t *backends; /* of the JSON document */
    tool_table table;
} device_listing;

static const char *type_name(tarn_device_type type) {
    switch (type) {
    case TARN_DEVICE_CPU: return "cpu";
    case TARN_DEVICE_CUDA: return "cuda";
    case TARN_DEVICE_ROCM: return "rocm";
    case TARN_DEVICE_METAL: return "metal";
    case TARN_DEVICE_ONEAPI: return "oneapi";
    case TARN_DEVICE_OPENCL: return "opencl";
    case TARN_DEVICE_SIM: return "sim";
    case TARN_DEVICE_OTHER: break;
    }
    return "other";
}

static const struct {
    uint32_t bit;
    const char *name;
} features[] = {
    {TARN_FEATURE_VIRTUAL_MEMORY, "virtual-memory"}, {TARN_FEATURE_HOST_ACCESS, "host-access"},
    {TARN_FEATURE_UNIFIED_MEMORY, "unified-memory"}, {TARN_FEATURE_PEER_ACCESS, "peer-access"},
    {TARN_FEATURE_NO_BACKING, "no-backing"},         {TARN_FEATURE_ALIASING, "aliasing"},
    {TARN_FEATURE_STREAM_ORDERED, "stream-ordered"}, {TARN_FEATURE_HOST_FUNCTIONS_APART, "host-functions-apart"},
};
static const char *const kinds[TARN_MEMORY_KIND_COUNT] = {"device", "pinned", "managed", "host", "shared"};

static json_t *feature_list(uint32_t bits) {
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof features / sizeof features[0]; i++)
        if ((bits & features[i].bit) != 0) json_array_append_new(list, json_string(features[i].name));
    return list;
}

static void feature_text(uint32_t bits, char *out_text, size_t capacity) {
    out_text[0] = '\0';
    for (size_t i = 0; i < sizeof features / sizeof features[0]; i++) {
        if ((bits & features[i].bit) == 0) continue;
        size_t length = strlen(out_text);
        snprintf(out_text + length, capacity - length, "%s%s", length > 0 ? ", " : "", features[i].name);
    }
}

static json_t *kind_list(uint32_t bits) {
    json_t *list = json_array();
    for (unsigned i = 0; i < TARN_MEMORY_KIND_COUNT; i++)
        if ((bits & TARN_MEMORY_KIND_BIT(i)) != 0) json_array_append_new(list, json_string(kinds[i]));
    return list;
}

/* "cpu" where a backend has one device, "cuda:0" and so on where it has more or a name must be told by number. */
static void device_name(const tarn_backend_info *info, int index, char *out_name, size_t capacity) {
    if (info->device_count == 1 && (info->type == TARN_DEVICE_CPU || info->type == TARN_DEVICE_SIM))
        snprintf(out_name, capacity, "%s", info->name);
    else snprintf(out_name, capacity, "%s:%d", info->name, index);
}

static json_t *device_json(const char *name, const tarn_device_properties *properties) {
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:i,s:o,s:o}", "device", tool_json_text(name), "name",
                     tool_json_text(properties->name), "memory_total_bytes", tool_json_size(properties->memory_total),
                     "memory_free_bytes", tool_json_size(properties->memory_free), "alignment_bytes",
                     tool_json_size(properties->alignment), "maximum_alignment_bytes",
                     tool_json_size(properties->maximum_alignment), "granule_bytes",
                     tool_json_size(properties->granule), "compute_units", (int)properties->compute_units, "features",
                     feature_list(properties->features), "memory_kinds", kind_list(properties->memory_kinds));
}

static void add_row(device_listing *listing, const char *name, const char *type,
                    const tarn_device_properties *properties) {
    char total[TARN_SIZE_TEXT], available[TARN_SIZE_TEXT], granule[TARN_SIZE_TEXT], list[256];
    feature_text(properties->features, list, sizeof list);
    table_add(&listing->table, "%s", name);
    table_add(&listing->table, "%s", type);
    table_add(&listing->table, "%s", properties->name);
    table_add(&listing->table, "%s", tarn_size_format(properties->memory_total, total));
    table_add(&listing->table, "%s", tarn_size_format(properties->memory_free, available));
    table_add(&listing->table, "%s", properties->granule > 0 ? tarn_size_format(properties->granule, granule) : "-");
    table_add(&listing->table, "%s", list);
}

static void add_unavailable(device_listing *listing, const char *name, const char *type, const char *reason) {
    table_add(&listing->table, "%s", name);
    table_add(&listing->table, "%s", type);
    /* In the last column, which may be as wide as it wants to. */
    for (int i = 0; i < 4; i++) table_add(&listing->table, "%s", "-");
    table_add(&listing->table, "unavailable: %s", reason);
}

static int visit_backend(void *context, const tarn_backend_info *info) {
    device_listing *listing = context;
    json_t *devices = json_array();
    const char *type = type_name(info->type);
    if (!info->is_available) add_unavailable(listing, info->name, type, info->reason);
    for (int i = 0; info->is_available && i < info->device_count; i++) {
        char name[128];
        device_name(info, i, name, sizeof name);
        tarn_device *device = NULL;
        tarn_device_properties properties = {.struct_size = sizeof properties};
        tarn_status status = tarn_device_open(name, &device);
        if (status == TARN_OK) status = tarn_device_properties_get(device, &properties);
        if (status == TARN_OK) {
            add_row(listing, name, type, &properties);
            json_array_append_new(devices, device_json(name, &properties));
        } else {
            add_unavailable(listing, name, type, tarn_last_error());
            json_array_append_new(devices, json_pack("{s:o,s:o}", "device", tool_json_text(name), "reason",
                                                     tool_json_text(tarn_last_error())));
        }
        tarn_device_release(device);
    }
    json_t *backend = json_pack("{s:o,s:s,s:b,s:o,s:o,s:o}", "backend", tool_json_text(info->name), "type", type,
                                "available", info->is_available, "reason", tool_json_text(info->reason),
                                "shared_object", tool_json_text(info->shared_object), "devices", devices);
    return json_array_append_new(listing->backends, backend);
}

enum { OPTION_JSON = 'j' };

static error_t parse_option(int key, char *argument, struct argp_state *state) {
    (void)argument;
    device_listing *listing = state->input;
    if (key == OPTION_JSON) listing->as_json = true;
    else return ARGP_ERR_UNKNOWN;
    return 0;
}

int devices_command(int argc, char **argv) {
    static const struct argp_option options[] = {{"json", OPTION_JSON, NULL, 0, "Print one JSON document", 0}, {0}};
    static const struct argp argp = {
        .options = options,
        .parser = parse_option,
        .doc =
            "Lists every backend and device with its type, name, memory and features; unavailable ones with the reason."
            "\vExample:\n\n  tarn devices --json",
    };
    device_listing listing = {.table = {.columns = 7, .left = 0x47}};
    if (argp_parse(&argp, argc, argv, 0, NULL, &listing) != 0) return TOOL_USAGE;

    static const char *const header[] = {"device", "type", "name", "memory", "free", "granule", "features"};
    for (size_t i = 0; i < sizeof header / sizeof header[0]; i++) table_add(&listing.table, "%s", header[i]);
    listing.backends = json_array();
    tarn_status status = tarn_backend_each(visit_backend, &listing);
    if (status != TARN_OK || listing.as_json) table_free(&listing.table);
    if (status != TARN_OK) {
        json_decref(listing.backends);
        return tool_fail(command, NULL, status);
    }
    if (listing.as_json) return tool_print_json(command, json_pack("{s:o}", "backends", listing.backends));
    json_decref(listing.backends);
    table_print(&listing.table);
    return TOOL_DONE;
}
