/* Opening the plug-in's devices for tests. */
#include "device.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

tarn_device *opencl_device;

void check_status(tarn_status answered, tarn_status expected, const char *call, const char *file, int line) {
    if (answered == expected) return;
    print_error("%s answered %s, not %s: \"%s\"\n", call, tarn_status_name(answered), tarn_status_name(expected),
                tarn_last_error());
    _fail(file, line);
}

void check_sentence(const char *text, const char *file, int line) {
    if (strstr(tarn_last_error(), text) != NULL) return;
    print_error("\"%s\" is not in the sentence \"%s\"\n", text, tarn_last_error());
    _fail(file, line);
}

int has_opencl(void) {
    tarn_backend_info info = {.struct_size = sizeof info};
    if (tarn_backend_find("opencl", &info) != TARN_OK) {
        print_message("skipped: the plug-in is not found; run by ctest, which says where it is\n");
        return 0;
    }
    if (!info.is_available) print_message("skipped: %s\n", info.reason);
    return info.is_available;
}

static int open_named(const char *name) {
    if (tarn_device_open(name, &opencl_device) == TARN_OK) return 0;
    print_error("%s: %s\n", name, tarn_last_error());
    return -1;
}

int open_shared(void **state) {
    (void)state;
    return open_named("opencl:0,memory=svm");
}

int open_buffer(void **state) {
    (void)state;
    return open_named("opencl:0,memory=buffer");
}

int close_device(void **state) {
    (void)state;
    return tarn_device_release(opencl_device) == TARN_OK ? 0 : -1;
}

static const char *faulty_driver(void) {
    static char path[4096];
    const char *build = getenv("TARN_BUILD_DIR");
    snprintf(path, sizeof path, "%s/tests/plugins/libOpenCL-faulty.so", build != NULL ? build : ".");
    return path;
}

int has_faulty_driver(void) {
    if (getenv("TARN_BACKEND_PATH") != NULL && access(faulty_driver(), R_OK) == 0) return 1;
    print_message("skipped: there is no plug-in, or no driver at %s\n", faulty_driver());
    return 0;
}

void (*set_fault)(const char *text);
unsigned long (*count_calls)(void);
void (*watch_builds)(void (*function)(void));

int open_faulty_driver(void) {
    void *library = dlopen(faulty_driver(), RTLD_NOW | RTLD_LOCAL);
    void *set = library != NULL ? dlsym(library, "opencl_fault_set") : NULL;
    void *calls = library != NULL ? dlsym(library, "opencl_fault_calls") : NULL;
    void *watch = library != NULL ? dlsym(library, "opencl_build_watch") : NULL;
    if (set == NULL || calls == NULL || watch == NULL) {
        print_error("%s: %s\n", faulty_driver(), dlerror());
        return 1;
    }
    memcpy(&set_fault, &set, sizeof set);
    memcpy(&count_calls, &calls, sizeof calls);
    memcpy(&watch_builds, &watch, sizeof watch);
    setenv("TARN_OPENCL", faulty_driver(), 1);
    return 0;
}
