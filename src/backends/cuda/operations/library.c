/* Opening NVIDIA's libraries. One that was made for a later CUDA than the driver offers can be opened and does nothing, so those are passed over. */
#include "backends/cuda/operations/library.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "backends/cuda/cuda_internal.h"
#include "base/config.h"

_Static_assert(sizeof(void (*)(void)) == sizeof(void *), "pointers to functions are stored as those to data");

void cuda_library_say(const cuda_library *library, const char *reason) {
    cuda_host->log(TARN_LOG_WARNING, "cuda: %s is not used: %s; %s", library->name, reason, library->instead);
}

/* The first function that is missing; NULL where none is. */
static const char *find_functions(const cuda_library *library, void *handle, void *out_functions) {
    for (size_t i = 0; i < library->symbol_count; i++) {
        void *address = dlsym(handle, library->symbols[i]);
        if (address == NULL) return library->symbols[i];
        memcpy((char *)out_functions + i * sizeof address, &address, sizeof address);
    }
    return NULL;
}

bool cuda_library_open(const cuda_library *library, void *out_functions) {
    const char *wanted = base_config_text(library->setting), *file = wanted;
    if (wanted != NULL && strcmp(wanted, "off") == 0) return false;
    void *handle = wanted != NULL ? dlopen(wanted, RTLD_NOW | RTLD_LOCAL) : NULL;
    for (size_t i = 0; wanted == NULL && handle == NULL && i < CUDA_LIBRARY_FILES; i++) {
        if (library->files[i].name == NULL || library->files[i].driver > cuda_driver_version) continue;
        file = library->files[i].name;
        handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    }
    if (handle == NULL) {
        cuda_library_say(library, dlerror());
        return false;
    }
    const char *missing = find_functions(library, handle, out_functions);
    if (missing == NULL) {
        cuda_host->log(TARN_LOG_INFO, "cuda: %s is %s", library->name, file);
        return true;
    }
    char reason[128];
    snprintf(reason, sizeof reason, "%s has no function %s", file, missing);
    cuda_library_say(library, reason);
    dlclose(handle);
    return false;
}
