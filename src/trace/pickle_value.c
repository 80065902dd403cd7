/* What the values of a pickle are called. */
#include "pickle.h"

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
