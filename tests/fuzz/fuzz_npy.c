/* Feeds arbitrary bytes to the reader of .npy files. What it takes is written again, and has to be read as the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <tarn/tarn.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static tarn_allocator *allocator;

static void demand(int holds) {
    if (!holds) abort();
}

static void open_allocator(void) {
    tarn_device *device;
    demand(tarn_device_open("cpu", &device) == TARN_OK);
    demand(tarn_allocator_create(device, "direct", &allocator) == TARN_OK);
    demand(tarn_device_release(device) == TARN_OK);
}

/* A file without a name, and the path that leads to it. */
static int make_file(char path[64]) {
    int file = memfd_create("npy", MFD_CLOEXEC);
    demand(file >= 0);
    snprintf(path, 64, "/proc/self/fd/%d", file);
    return file;
}

static void check_same(tarn_tensor *tensor) {
    char path[64];
    tarn_tensor *again;
    snprintf(path, sizeof path, "%s/tarn-fuzz-%ld.npy", P_tmpdir, (long)getpid());
    demand(tarn_tensor_save(tensor, path, NULL) == TARN_OK);
    demand(tarn_tensor_load(allocator, path, NULL, &again) == TARN_OK);
    demand(unlink(path) == 0);
    size_t bytes = tarn_tensor_bytes(tensor);
    demand(tarn_shape_equals(tarn_tensor_shape(tensor), tarn_tensor_shape(again)) && bytes == tarn_tensor_bytes(again));
    demand(tarn_tensor_type(tensor) == tarn_tensor_type(again));
    /* Both lie in one piece, in the order that the file has them. */
    demand(bytes == 0 || memcmp(tarn_tensor_data(tensor), tarn_tensor_data(again), bytes) == 0);
    demand(tarn_tensor_release(again) == TARN_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[64], text[256];
    size_t length;
    tarn_tensor *tensor = NULL;
    if (allocator == NULL) open_allocator();
    int file = make_file(path);
    demand(write(file, data, size) == (ssize_t)size);
    if (tarn_tensor_load(allocator, path, NULL, &tensor) == TARN_OK) {
        demand(tarn_tensor_to_string(tensor, NULL, NULL, text, sizeof text, &length) == TARN_OK);
        check_same(tensor);
        demand(tarn_tensor_release(tensor) == TARN_OK);
    } else {
        demand(tensor == NULL);
    }
    close(file);
    return 0;
}
