/* Opening cuBLASLt. */
#include "backends/cuda/operations/blas_library.h"

#include <pthread.h>

#include "backends/cuda/operations/library.h"

static const char *const symbols[] = {
#define BLAS_SYMBOL(name, parameters) #name,
#include "backends/cuda/operations/blas_symbols.h"
#undef BLAS_SYMBOL
};

static const cuda_library description = {
    .name = "cuBLASLt",
    .setting = "TARN_CUBLASLT",
    .instead = "matrix products are computed by Tarn's own kernels",
    .files = {{"libcublasLt.so.13", 13000}, {"libcublasLt.so.12", 0}},
    .symbols = symbols,
    .symbol_count = sizeof symbols / sizeof symbols[0],
};

static blas_library library; /* constant once it is open */
static bool is_open;         /* likewise */
static pthread_once_t opened = PTHREAD_ONCE_INIT;

static void open_library(void) { is_open = cuda_library_open(&description, &library); }

const blas_library *blas_library_find(void) {
    pthread_once(&opened, open_library);
    return is_open ? &library : NULL;
}

void blas_library_say(const char *reason) { cuda_library_say(&description, reason); }
