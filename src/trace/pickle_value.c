/* Looking at the values of a pickle. */
#include "pickle.h"

bool pickle_find(pickle_value dict, const char *key, pickle_value *out_value) {
    if (dict.type != PICKLE_DICT) return false;
    bool found = false;
    pickle_value name, value;
    for (pickle_cursor cursor = pickle_begin(dict); pickle_next_entry(&cursor, &name, &value);) {
        if (!pickle_is_text(name, key)) continue;
        *out_value = value;
        found = true;
    }
    return found;
}

const char *pickle_type_name(pickle_value value) {
    switch ((pickle_type)value.type) {
    case PICKLE_NONE: return "None";
    case PICKLE_BOOLEAN: return "a truth value";
    case PICKLE_INTEGER:
    case PICKLE_UNSIGNED:
    case PICKLE_HUGE: return "an integer";
    case PICKLE_FLOAT: return "a floating-point number";
    case PICKLE_TEXT: return "a text";
    case PICKLE_BYTES: return "bytes";
    case PICKLE_LIST: return "a list";
    case PICKLE_TUPLE: return "a tuple";
    case PICKLE_DICT: return "a dict";
    case PICKLE_SET: return "a set";
    }
    return "an unknown value";
}
