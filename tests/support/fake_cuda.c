/* Finding the fake CUDA driver among what is loaded. */
#include "fake_cuda.h"

#include <dlfcn.h>
#include <string.h>

void *fake_cuda_symbol(const char *name) {
    /* Only what Tarn has opened; the handle adds a reference that nobody misses. */
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    return library != NULL ? dlsym(library, name) : NULL;
}

const fake_cuda *fake_cuda_find(void) {
    static fake_cuda fake;
    static const struct {
        const char *name;
        size_t offset;
    } functions[] = {
        {"fakecuda_violations", offsetof(fake_cuda, violations)},
        {"fakecuda_forget_violations", offsetof(fake_cuda, forget_violations)},
        {"fakecuda_calls", offsetof(fake_cuda, calls)},
        {"fakecuda_symbols", offsetof(fake_cuda, symbols)},
        {"fakecuda_live_objects", offsetof(fake_cuda, live_objects)},
        {"fakecuda_events", offsetof(fake_cuda, events)},
        {"fakecuda_memory_used", offsetof(fake_cuda, memory_used)},
        {"fakecuda_pending", offsetof(fake_cuda, pending)},
        {"fakecuda_hold", offsetof(fake_cuda, hold)},
        {"fakecuda_fault", offsetof(fake_cuda, fault)},
        {"fakecuda_faults_done", offsetof(fake_cuda, faults_done)},
        {"fakecuda_lose", offsetof(fake_cuda, lose)},
        {"fakecuda_reset", offsetof(fake_cuda, reset)},
    };
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        void *address = fake_cuda_symbol(functions[i].name);
        if (address == NULL) return NULL;
        memcpy((char *)&fake + functions[i].offset, &address, sizeof address);
    }
    return &fake;
}
