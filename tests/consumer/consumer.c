/* The smallest honest use of the installed library: one buffer, written, freed. */
#include <stdio.h>
#include <string.h>

#include <tarn/tarn.h>

static int fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, tarn_last_error());
    return 1;
}

int main(void) {
    if (strcmp(tarn_version(), TARN_VERSION_TEXT) != 0) {
        fprintf(stderr, "headers of %s, library of %s\n", TARN_VERSION_TEXT, tarn_version());
        return 1;
    }
    tarn_device *device = NULL;
    tarn_allocator *allocator = NULL;
    tarn_buffer *buffer = NULL;
    if (tarn_device_open("cpu", &device) != TARN_OK) return fail("open");
    if (tarn_allocator_create(device, "caching", &allocator) != TARN_OK) return fail("create");
    if (tarn_allocator_allocate(allocator, 1000, NULL, &buffer) != TARN_OK) return fail("allocate");
    memset(tarn_buffer_data(buffer), 7, tarn_buffer_size(buffer));
    if (tarn_buffer_free(buffer, NULL) != TARN_OK) return fail("free");
    if (tarn_allocator_release(allocator) != TARN_OK) return fail("release allocator");
    if (tarn_device_release(device) != TARN_OK) return fail("release device");
    return 0;
}
