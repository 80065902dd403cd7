/* Choosing devices by TARN_TEST_DEVICE, in which one name may have commas of its own. */
#include "under_test.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"

static const char *const names[] = {"cpu", "sim:8GiB", "example", "cuda:0", "opencl:0", "opencl:0,memory=buffer"};

static bool is_requested(size_t number) {
    const char *wanted = getenv("TARN_TEST_DEVICE");
    if (wanted == NULL || *wanted == '\0') return number < 2;
    size_t length = strlen(names[number]);
    for (const char *at = wanted; (at = strstr(at, names[number])) != NULL; at += length) {
        bool begins = at == wanted || at[-1] == ',', ends = at[length] == ',' || at[length] == '\0';
        if (begins && ends) return true;
    }
    return false;
}

void on_each_device(void (*body)(tarn_device *device)) {
    int count = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        tarn_device *device = NULL;
        if (!is_requested(i)) continue;
        assert_ok(tarn_device_open(names[i], &device));
        body(device);
        assert_int_equal(counters_of(device).memory_in_use, 0);
        assert_ok(tarn_device_release(device));
        count++;
    }
    assert_true(count > 0);
}

bool stores(tarn_device *device) { return (properties_of(device).features & TARN_FEATURE_NO_BACKING) == 0; }
