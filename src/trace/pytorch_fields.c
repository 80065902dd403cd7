/* Finding fields by name. A snapshot has ten million names of some ten kinds, so a name is first looked at by its length. */
#include "pytorch_fields.h"

#include "pytorch_text.h"

static const char *const names[FIELD_COUNT] = {
    [FIELD_ACTION] = "action",
    [FIELD_ADDR] = "addr",
    [FIELD_ADDRESS] = "address",
    [FIELD_ALLOCATOR_SETTINGS] = "allocator_settings",
    [FIELD_BLOCKS] = "blocks",
    [FIELD_COMPILE_CONTEXT] = "compile_context",
    [FIELD_DEVICE] = "device",
    [FIELD_DEVICE_TRACES] = "device_traces",
    [FIELD_EXTERNAL_ANNOTATIONS] = "external_annotations",
    [FIELD_FILENAME] = "filename",
    [FIELD_FRAMES] = "frames",
    [FIELD_HISTORY] = "history",
    [FIELD_LINE] = "line",
    [FIELD_NAME] = "name",
    [FIELD_PEAK_RESERVED] = PYTORCH_PEAK_FIELD,
    [FIELD_REAL_SIZE] = "real_size",
    [FIELD_REQUESTED_SIZE] = "requested_size",
    [FIELD_SEGMENTS] = "segments",
    [FIELD_SIZE] = "size",
    [FIELD_STAGE] = "stage",
    [FIELD_STATE] = "state",
    [FIELD_STREAM] = "stream",
    [FIELD_TIME_US] = "time_us",
    [FIELD_TOTAL_SIZE] = "total_size",
    [FIELD_USER_METADATA] = "user_metadata",
};

/* At most four names are of one length; the unused places are FIELD_COUNT. */
enum { longest_name = 20, most_of_a_length = 5 };

#define NONE FIELD_COUNT

static const uint8_t of_length[longest_name + 1][most_of_a_length] = {
    [0] = {NONE},
    [1] = {NONE},
    [2] = {NONE},
    [3] = {NONE},
    [4] = {FIELD_NAME, FIELD_LINE, FIELD_SIZE, FIELD_ADDR, NONE},
    [5] = {FIELD_STATE, FIELD_STAGE, NONE},
    [6] = {FIELD_ACTION, FIELD_STREAM, FIELD_FRAMES, FIELD_DEVICE, FIELD_BLOCKS},
    [7] = {FIELD_TIME_US, FIELD_ADDRESS, FIELD_HISTORY, NONE},
    [8] = {FIELD_FILENAME, FIELD_SEGMENTS, NONE},
    [9] = {FIELD_REAL_SIZE, NONE},
    [10] = {FIELD_TOTAL_SIZE, NONE},
    [11] = {NONE},
    [12] = {NONE},
    [13] = {FIELD_USER_METADATA, FIELD_DEVICE_TRACES, NONE},
    [14] = {FIELD_REQUESTED_SIZE, NONE},
    [15] = {FIELD_COMPILE_CONTEXT, NONE},
    [16] = {NONE},
    [17] = {NONE},
    [18] = {FIELD_ALLOCATOR_SETTINGS, NONE},
    [19] = {FIELD_PEAK_RESERVED, NONE},
    [20] = {FIELD_EXTERNAL_ANNOTATIONS, NONE},
};

static pytorch_field field_of(const pickle_value *key) {
    if (key->type != PICKLE_TEXT || key->length > longest_name) return FIELD_COUNT;
    const uint8_t *candidates = of_length[key->length];
    for (size_t i = 0; i < most_of_a_length && candidates[i] != NONE; i++)
        if (memcmp(names[candidates[i]], key->is.text, key->length) == 0) return candidates[i];
    return FIELD_COUNT;
}

static pytorch_field cached_field_of(pytorch_name_cache *cache, const pickle_value *key) {
    if (key->type != PICKLE_TEXT) return FIELD_COUNT;
    size_t place = (uintptr_t)key->is.text / 4 % pytorch_names;
    if (cache->names[place].text != key->is.text || cache->names[place].length != key->length) {
        cache->names[place].text = key->is.text;
        cache->names[place].length = key->length;
        cache->names[place].field = (uint8_t)field_of(key);
    }
    return cache->names[place].field;
}

void pytorch_find_fields(pytorch_name_cache *cache, const pickle_value *items, size_t count,
                         pytorch_fields *out_fields) {
    *out_fields = (pytorch_fields){0};
    for (size_t i = 0; i + 1 < count; i += 2) {
        pytorch_field field = cached_field_of(cache, &items[i]);
        if (field != FIELD_COUNT) out_fields->of[field] = &items[i + 1];
    }
}
