/* cuBLASLt's own time for a matrix product, where its header was there at build time and its library is now: what Tarn's products are held
 * against. */
#include "measure.h"

#if __has_include(<cublasLt.h>)
#include <dlfcn.h>
#include <string.h>

#include <cublasLt.h>

#include "backends/cuda/cuda_internal.h"
#include "hal/memory.h"

#define WORKSPACE ((size_t)32 << 20)

/* The functions that are used, by their names in the library. */
#define FUNCTIONS(FUNCTION)                        \
    FUNCTION(cublasLtCreate)                       \
    FUNCTION(cublasLtDestroy)                      \
    FUNCTION(cublasLtMatmulDescCreate)             \
    FUNCTION(cublasLtMatmulDescDestroy)            \
    FUNCTION(cublasLtMatrixLayoutCreate)           \
    FUNCTION(cublasLtMatrixLayoutDestroy)          \
    FUNCTION(cublasLtMatmulPreferenceCreate)       \
    FUNCTION(cublasLtMatmulPreferenceDestroy)      \
    FUNCTION(cublasLtMatmulPreferenceSetAttribute) \
    FUNCTION(cublasLtMatmulAlgoGetHeuristic)       \
    FUNCTION(cublasLtMatmul)

static struct {
/* NOLINTNEXTLINE(bugprone-macro-parentheses) */
#define FUNCTION(name) __typeof__(&(name)) name;
    FUNCTIONS(FUNCTION)
#undef FUNCTION
} library;

static const char *load(void) {
    static const char *const names[] = {"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so"};
    void *handle = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && handle == NULL; i++)
        handle = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) return "libcublasLt is not there";
#define FUNCTION(name)                                        \
    do {                                                      \
        void *address = dlsym(handle, #name);                 \
        if (address == NULL) return "it has no " #name;       \
        memcpy(&library.name, &address, sizeof library.name); \
    } while (0);
    FUNCTIONS(FUNCTION)
#undef FUNCTION
    return NULL;
}

typedef struct product {
    cublasLtHandle_t handle;
    cublasLtMatmulDesc_t description;
    cublasLtMatrixLayout_t layout;
    cublasLtMatmulPreference_t preference;
    cublasLtMatmulHeuristicResult_t choice;
    void *a, *b, *result, *workspace;
    cudaStream_t stream;
    bool has_failed;
} product;

static void run(void *context) {
    product *self = context;
    const float one = 1, zero = 0;
    if (library.cublasLtMatmul(self->handle, self->description, &one, self->a, self->layout, self->b, self->layout,
                               &zero, self->result, self->layout, self->result, self->layout, &self->choice.algo,
                               self->workspace, WORKSPACE, self->stream) != CUBLAS_STATUS_SUCCESS) {
        self->has_failed = true;
    }
}

/* Descriptions of a product of square matrices, and the first way of doing it that the library proposes. */
static bool prepare(product *self, tarn_element_type type, size_t size) {
    cudaDataType_t data = type == TARN_ELEMENT_BF16 ? CUDA_R_16BF : CUDA_R_32F;
    const size_t room = WORKSPACE;
    int found = 0;
    return library.cublasLtMatmulDescCreate(&self->description, CUBLAS_COMPUTE_32F, CUDA_R_32F) ==
               CUBLAS_STATUS_SUCCESS &&
           library.cublasLtMatrixLayoutCreate(&self->layout, data, size, size, (int64_t)size) ==
               CUBLAS_STATUS_SUCCESS &&
           library.cublasLtMatmulPreferenceCreate(&self->preference) == CUBLAS_STATUS_SUCCESS &&
           library.cublasLtMatmulPreferenceSetAttribute(self->preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                        &room, sizeof room) == CUBLAS_STATUS_SUCCESS &&
           library.cublasLtMatmulAlgoGetHeuristic(self->handle, self->description, self->layout, self->layout,
                                                  self->layout, self->layout, self->preference, 1, &self->choice,
                                                  &found) == CUBLAS_STATUS_SUCCESS &&
           found > 0;
}

static void end(product *self) {
    if (self->preference != NULL) library.cublasLtMatmulPreferenceDestroy(self->preference);
    if (self->layout != NULL) library.cublasLtMatrixLayoutDestroy(self->layout);
    if (self->description != NULL) library.cublasLtMatmulDescDestroy(self->description);
    library.cublasLtDestroy(self->handle);
}

/* In the scope of the device's context, which the library takes the current one for. */
static double measure(tarn_device *device, product *self, tarn_element_type type, size_t size, const char **out_why) {
    *out_why = "cuBLASLt does not start";
    if (library.cublasLtCreate(&self->handle) != CUBLAS_STATUS_SUCCESS) return 0;
    double least = 0;
    *out_why = "cuBLASLt refuses the product";
    if (prepare(self, type, size)) {
        least = measure_device(device, run, self);
        if (self->has_failed) least = 0;
    }
    end(self);
    return least;
}

double measure_cublas(tarn_device *device, tarn_element_type type, size_t size, void *a, void *b, void *result,
                      const char **out_why) {
    product self = {.a = a, .b = b, .result = result};
    void *native = NULL;
    cuda_scope scope;
    *out_why = measure_is_rehearsal() ? "a rehearsal" : load();
    if (*out_why != NULL) return 0;
    EXPECT(tarn_stream_native(tarn_device_default_stream(device), &native));
    self.stream = native;
    EXPECT(hal_memory_allocate(device, TARN_MEMORY_DEVICE, WORKSPACE, 0, &self.workspace));
    EXPECT(cuda_enter(device->handle, &scope));
    double least = measure(device, &self, type, size, out_why);
    cuda_leave(scope);
    EXPECT(tarn_device_synchronize(device));
    EXPECT(hal_memory_free(device, TARN_MEMORY_DEVICE, self.workspace, WORKSPACE));
    return least;
}
#else
double measure_cublas(tarn_device *device, tarn_element_type type, size_t size, void *a, void *b, void *result,
                      const char **out_why) {
    (void)device;
    (void)type;
    (void)size;
    (void)a;
    (void)b;
    (void)result;
    *out_why = "cublasLt.h was not there when this was built";
    return 0;
}
#endif
