/* NVRTC, NVIDIA's compiler as a library: opened at run time, called through declarations of our own.
 *
 * It has no headers of its own; ours are given to it by name. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "backends/cuda/operations/image.h"
#include "base/config.h"
#include "base/memory.h"

typedef struct compiler_program_object *compiler_program;

/* What Tarn calls: name, result and parameters. */
#define COMPILER_SYMBOLS(SYMBOL)                                                                                      \
    SYMBOL(nvrtcVersion, (int *out_major, int *out_minor))                                                            \
    SYMBOL(nvrtcGetNumSupportedArchs, (int *out_count))                                                               \
    SYMBOL(nvrtcGetSupportedArchs, (int *out_architectures))                                                          \
    SYMBOL(nvrtcCreateProgram, (compiler_program * out_program, const char *text, const char *name, int header_count, \
                                const char *const *headers, const char *const *names))                                \
    SYMBOL(nvrtcDestroyProgram, (compiler_program * program))                                                         \
    SYMBOL(nvrtcCompileProgram, (compiler_program program, int option_count, const char *const *options))             \
    SYMBOL(nvrtcGetCUBINSize, (compiler_program program, size_t * out_size))                                          \
    SYMBOL(nvrtcGetCUBIN, (compiler_program program, char *out_bytes))                                                \
    SYMBOL(nvrtcGetProgramLogSize, (compiler_program program, size_t * out_size))                                     \
    SYMBOL(nvrtcGetProgramLog, (compiler_program program, char *out_log))

static struct {
/* A list of parameters stands in parentheses already, and a declaration's name must not. */
/* NOLINTNEXTLINE(bugprone-macro-parentheses) */
#define SYMBOL(name, parameters) int(*name) parameters;
    COMPILER_SYMBOLS(SYMBOL)
#undef SYMBOL
    int version;
    int oldest, youngest; /* architectures: 75 … */
} compiler;               /* constant once it is open */
static bool is_open;      /* likewise */
static pthread_once_t opened = PTHREAD_ONCE_INIT;

#define MOST_ARCHITECTURES 64

static const char *const files[] = {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"};

/* The name of the first function that is missing; NULL where none is. */
static const char *find_functions(void *library) {
    const char *missing = NULL;
    void *symbol;
#define SYMBOL(name, parameters)                            \
    symbol = dlsym(library, #name);                         \
    if (symbol == NULL && missing == NULL) missing = #name; \
    memcpy(&compiler.name, &symbol, sizeof symbol);
    COMPILER_SYMBOLS(SYMBOL)
#undef SYMBOL
    return missing;
}

static bool read_versions(void) {
    int major = 0, minor = 0, count = 0, architectures[MOST_ARCHITECTURES] = {0};
    if (compiler.nvrtcVersion(&major, &minor) != 0) return false;
    if (compiler.nvrtcGetNumSupportedArchs(&count) != 0 || count < 1 || count > MOST_ARCHITECTURES) return false;
    if (compiler.nvrtcGetSupportedArchs(architectures) != 0) return false;
    compiler.version = 1000 * major + minor;
    compiler.oldest = architectures[0];
    compiler.youngest = architectures[count - 1];
    return true;
}

static void say(const char *reason) {
    cuda_host->log(TARN_LOG_WARNING, "cuda: NVRTC is not used: %s; programs of several steps are interpreted", reason);
}

static void open_compiler(void) {
    const char *wanted = base_config_text("TARN_NVRTC");
    if (wanted != NULL && strcmp(wanted, "off") == 0) return;
    void *library = NULL;
    if (wanted != NULL) library = dlopen(wanted, RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; wanted == NULL && library == NULL && i < sizeof files / sizeof files[0]; i++)
        library = dlopen(files[i], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        say(dlerror());
        return;
    }
    const char *missing = find_functions(library);
    is_open = missing == NULL && read_versions();
    if (is_open) return;
    char reason[128];
    snprintf(reason, sizeof reason, missing != NULL ? "it has no function %s" : "it does not say its version", missing);
    say(reason);
    dlclose(library);
}

bool cuda_compiler_is_there(void) {
    pthread_once(&opened, open_compiler);
    return is_open;
}

int cuda_compiler_version(void) { return compiler.version; }

void cuda_compiler_architecture(const tarn_backend_device *device, char *out_option, size_t capacity) {
    int wanted = 10 * device->major + device->minor;
    if (wanted > compiler.youngest) wanted = compiler.youngest;
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
