/* Opening cuDNN. */
#include "backends/cuda/operations/dnn_library.h"

#include <pthread.h>

#include "backends/cuda/operations/library.h"

static const char *const symbols[] = {
#define DNN_SYMBOL(name, parameters) #name,
#include "backends/cuda/operations/dnn_symbols.h"
#undef DNN_SYMBOL
    "cudnnGetErrorString",
};

static const cuda_library description = {
    .name = "cuDNN",
    .setting = "TARN_CUDNN",
    .instead = "convolutions are computed by Tarn's own kernels",
    .files = {{"libcudnn.so.9", 0}, {"libcudnn.so.8", 0}},
    .symbols = symbols,
    .symbol_count = sizeof symbols / sizeof symbols[0],
};

static dnn_library library; /* constant once it is open */
static bool is_open;        /* likewise */
static pthread_once_t opened = PTHREAD_ONCE_INIT;

static void open_library(void) { is_open = cuda_library_open(&description, &library); }

const dnn_library *dnn_library_find(void) {
    pthread_once(&opened, open_library);
    return is_open ? &library : NULL;
}

void dnn_library_say(const char *reason) { cuda_library_say(&description, reason); }
