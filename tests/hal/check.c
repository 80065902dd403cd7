/* Checks that show Tarn's own sentence. */
#include "check.h"

#include <string.h>

void check_status(tarn_status answered, tarn_status expected, const char *call, const char *file, int line) {
    if (answered == expected) return;
    print_error("%s answered %s, not %s: %s\n", call, tarn_status_name(answered), tarn_status_name(expected),
                answered != TARN_OK ? tarn_last_error() : "");
    _fail(file, line);
}

void check_sentence(const char *text, const char *file, int line) {
    if (strstr(tarn_last_error(), text) != NULL) return;
    print_error("\"%s\" does not contain \"%s\"\n", tarn_last_error(), text);
    _fail(file, line);
}

tarn_device_counters counters_of(tarn_device *device) {
    tarn_device_counters counters = {.struct_size = sizeof counters};
    assert_ok(tarn_device_counters_get(device, &counters));
    return counters;
}

tarn_device_properties properties_of(tarn_device *device) {
    tarn_device_properties properties = {.struct_size = sizeof properties};
    assert_ok(tarn_device_properties_get(device, &properties));
    return properties;
}
