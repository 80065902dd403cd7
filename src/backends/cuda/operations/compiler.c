/* NVRTC, NVIDIA's compiler as a library: opened at run time, called through declarations of our own.
 *
 * It has no headers of its own; ours are given to it by name. */
#include <pthread.h>
#include <stdio.h>

#include "backends/cuda/operations/image.h"
#include "backends/cuda/operations/library.h"
#include "base/memory.h"

typedef struct compiler_program_object *compiler_program;

static const char *const symbols[] = {
#define COMPILER_SYMBOL(name, parameters) #name,
#include "backends/cuda/operations/compiler_symbols.h"
#undef COMPILER_SYMBOL
};

static const cuda_library description = {
    .name = "NVRTC",
    .setting = "TARN_NVRTC",
    .instead = "programs of several steps are interpreted",
    .files = {{"libnvrtc.so.13", 13000}, {"libnvrtc.so.12", 0}, {"libnvrtc.so", 0}},
    .symbols = symbols,
    .symbol_count = sizeof symbols / sizeof symbols[0],
};

static struct {
/* A list of parameters stands in parentheses already, and a declaration's name must not. */
/* NOLINTNEXTLINE(bugprone-macro-parentheses) */
#define COMPILER_SYMBOL(name, parameters) int(*name) parameters;
#include "backends/cuda/operations/compiler_symbols.h"
#undef COMPILER_SYMBOL
} compiler; /* constant once it is open, as are the next ones */
static int version;
static int youngest; /* architecture: 90 … */
static bool is_open;
static pthread_once_t opened = PTHREAD_ONCE_INIT;

#define MOST_ARCHITECTURES 64

static bool read_versions(void) {
    int major = 0, minor = 0, count = 0, architectures[MOST_ARCHITECTURES] = {0};
    if (compiler.nvrtcVersion(&major, &minor) != 0) return false;
    if (compiler.nvrtcGetNumSupportedArchs(&count) != 0 || count < 1 || count > MOST_ARCHITECTURES) return false;
    if (compiler.nvrtcGetSupportedArchs(architectures) != 0) return false;
    version = 1000 * major + minor;
    youngest = architectures[count - 1];
    return true;
}

static void open_compiler(void) {
    if (!cuda_library_open(&description, &compiler)) return;
    is_open = read_versions();
    if (!is_open) cuda_library_say(&description, "it does not say its version");
}

bool cuda_compiler_is_there(void) {
    pthread_once(&opened, open_compiler);
    return is_open;
}

int cuda_compiler_version(void) { return version; }

void cuda_compiler_architecture(const tarn_backend_device *device, char *out_option, size_t capacity) {
    int wanted = 10 * device->major + device->minor;
    if (wanted > youngest) wanted = youngest;
    snprintf(out_option, capacity, "--gpu-architecture=sm_%d", wanted);
}

/* The compiler's own words, or that there are none. */
static tarn_status fail_compilation(compiler_program program, const char *name) {
    size_t size = 0;
    char *log = NULL;
    if (compiler.nvrtcGetProgramLogSize(program, &size) == 0 && size > 1) log = base_allocate(size + 1, 1);
    if (log != NULL && compiler.nvrtcGetProgramLog(program, log) != 0) log[0] = '\0';
    tarn_status status =
        cuda_fail(TARN_INTERNAL, "NVRTC does not compile %s: %s", name, log != NULL ? log : "it does not say why");
    base_free(log);
    return status;
}

static tarn_status take_binary(compiler_program program, const char *name, cuda_binary *out_binary) {
    size_t size = 0;
    if (compiler.nvrtcGetCUBINSize(program, &size) != 0 || size == 0) return fail_compilation(program, name);
    /* A zero behind it, for images that are text. */
    char *bytes = base_allocate(size + 1, 1);
    if (bytes == NULL) return cuda_fail(TARN_OUT_OF_MEMORY, "no host memory for %s, %zu bytes", name, size);
    if (compiler.nvrtcGetCUBIN(program, bytes) != 0) {
        base_free(bytes);
        return fail_compilation(program, name);
    }
    *out_binary = (cuda_binary){bytes, size};
    return TARN_OK;
}

tarn_status cuda_compiler_run(const char *name, const char *text, const char *architecture, cuda_binary *out_binary) {
    const char *headers[32], *names[32];
    int count = 0;
    for (size_t i = 0; i < cuda_source_count && count < 32; i++, count++) {
        headers[count] = cuda_sources[i].text;
        names[count] = cuda_sources[i].name;
    }
    compiler_program program = NULL;
    if (compiler.nvrtcCreateProgram(&program, text, name, count, headers, names) != 0) {
        return cuda_fail(TARN_OUT_OF_MEMORY, "NVRTC has no memory for %s", name);
    }
    const char *const options[] = {architecture, "--std=c++17", "--fmad=false"};
    tarn_status status = compiler.nvrtcCompileProgram(program, sizeof options / sizeof options[0], options) == 0
                             ? take_binary(program, name, out_binary)
                             : fail_compilation(program, name);
    compiler.nvrtcDestroyProgram(&program);
    return status;
}
