/* What the tests' own versions of NVIDIA's libraries share. */
#include "host_library.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

size_t host_element_size(tarn_element_type type) {
    return type == TARN_ELEMENT_F64 ? 8 : type == TARN_ELEMENT_F32 ? 4 : 2;
}

static double half_value(uint16_t bits) {
    int exponent = bits >> 10 & 31, mantissa = bits & 1023;
    double value = exponent == 0 ? mantissa / 1024.0 : 1 + mantissa / 1024.0;
    for (int i = exponent == 0 ? 1 : exponent; i < 15; i++) value /= 2;
    for (int i = 15; i < exponent; i++) value *= 2;
    return (bits & 0x8000) != 0 ? -value : value;
}

double host_read(tarn_element_type type, const void *at) {
    uint16_t half;
    uint32_t word;
    float single;
    double value;
    switch (type) {
    case TARN_ELEMENT_F64: memcpy(&value, at, sizeof value); return value;
    case TARN_ELEMENT_F32: memcpy(&single, at, sizeof single); return (double)single;
    case TARN_ELEMENT_F16: memcpy(&half, at, sizeof half); return half_value(half);
    default:
        memcpy(&half, at, sizeof half);
        word = (uint32_t)half << 16;
        memcpy(&single, &word, sizeof word);
        return (double)single;
    }
}

/* The half below and the half above a number, of which the nearer one is written. Infinities are not met in the tests. */
static uint16_t nearest_half(double value) {
    double magnitude = value < 0 ? -value : value;
    uint16_t low = 0, high = 0x7bff;
    while (low < high) {
        uint16_t middle = (uint16_t)((low + high + 1) / 2);
        if (half_value(middle) <= magnitude) low = middle;
        else high = (uint16_t)(middle - 1);
    }
    double below = magnitude - half_value(low), above = half_value((uint16_t)(low + 1)) - magnitude;
    if (low < 0x7bff && (above < below || (above == below && (low & 1) != 0))) low++;
    return (uint16_t)(low | (value < 0 ? 0x8000 : 0));
}

void host_write(tarn_element_type type, void *at, double value) {
    float single = (float)value;
    uint32_t word;
    uint16_t half;
    memcpy(&word, &single, sizeof word);
    switch (type) {
    case TARN_ELEMENT_F64: memcpy(at, &value, sizeof value); return;
    case TARN_ELEMENT_F32: memcpy(at, &single, sizeof single); return;
    case TARN_ELEMENT_F16: half = nearest_half(value); break;
    default: half = (uint16_t)((word + 0x7fff + (word >> 16 & 1)) >> 16); break;
    }
    memcpy(at, &half, sizeof half);
}

static int find_driver(host_kernel *kernel) {
    const struct {
        const char *name;
        void *member;
    } functions[] = {{"cuModuleLoadData", &kernel->load},
                     {"cuModuleUnload", &kernel->unload},
                     {"cuModuleGetFunction", &kernel->find},
                     {"cuLaunchKernel", &kernel->launch}};
    void *driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    int is_found = driver != NULL;
    for (size_t i = 0; i < sizeof functions / sizeof functions[0] && is_found; i++) {
        void *symbol = dlsym(driver, functions[i].name);
        is_found = symbol != NULL;
        memcpy(functions[i].member, &symbol, sizeof symbol);
    }
    if (driver != NULL) dlclose(driver);
    return is_found;
}

int host_kernel_open(host_kernel *kernel, const void *own, const char *name) {
    Dl_info object;
    char image[4096];
    if (!find_driver(kernel) || dladdr(own, &object) == 0) return 0;
    snprintf(image, sizeof image, "FAKECUDA-OBJECT:%s", object.dli_fname);
    if (kernel->load(&kernel->module, image) != 0) return 0;
    if (kernel->find(&kernel->function, kernel->module, name) == 0) return 1;
    kernel->unload(kernel->module);
    return 0;
}

void host_kernel_close(host_kernel *kernel) { kernel->unload(kernel->module); }

int host_kernel_launch(const host_kernel *kernel, driver_stream stream, void *parameter) {
    void *parameters[] = {parameter};
    return kernel->launch(kernel->function, 1, 1, 1, 1, 1, 1, 0, stream, parameters, NULL) == 0;
}
