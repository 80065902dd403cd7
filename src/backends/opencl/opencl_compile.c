/* Compiling: a program is looked up by its key, then its binary on disk by the hash of its source, and only then compiled.
 *
 * Compiling takes long, so the lock of the table is held for looking up alone. A program stands in the table from the first time that somebody
 * wants it, and is compiled under a lock of its own: who wants the same one waits there, and all others go on. One that could not be compiled
 * stays in the table without kernels, and whoever wants it next tries again.
 *
 * A file holds the device's identity and the whole source before the binary, so that what has another device, driver or source is
 * recognised even where hashes meet. It is written under another name and renamed. A folder that cannot be written costs a
 * warning, once, and time. */
#include "backends/opencl/opencl_compile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/opencl/opencl_cache.h"

#define FIRST_BUCKETS 256

static uint64_t hash_of(const void *bytes, size_t size) {
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < size; i++) hash = (hash ^ ((const unsigned char *)bytes)[i]) * 1099511628211u;
    return hash;
}

/* The device, its driver, and how that is told to compile: what a binary depends on besides the source. */
static tarn_status identify(tarn_backend_device *device) {
    static const cl_device_info questions[] = {CL_DEVICE_NAME, CL_DEVICE_VERSION, CL_DRIVER_VERSION};
    opencl_text *identity = &device->programs.identity;
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        char *answer;
        tarn_status status = opencl_driver_text(device->id, questions[i], &answer);
        if (status != TARN_OK) return status;
        opencl_text_print(identity, "%s\n", answer);
        free(answer);
    }
    opencl_text_print(identity, "%s\n", device->build_options);
    return identity->has_failed ? opencl_fail(TARN_OUT_OF_MEMORY, "no host memory for a device's kernels") : TARN_OK;
}

tarn_status opencl_programs_begin(tarn_backend_device *device) {
    opencl_programs *programs = &device->programs;
    tarn_status status = identify(device);
    programs->buckets = calloc(FIRST_BUCKETS, sizeof(opencl_compiled *));
    programs->bucket_count = FIRST_BUCKETS;
    if (status == TARN_OK && programs->buckets == NULL)
        status = opencl_fail(TARN_OUT_OF_MEMORY, "no host memory for a device's kernels");
    if (status != TARN_OK) {
        free(programs->buckets);
        opencl_text_end(&programs->identity);
        return status;
    }
    programs->folder = opencl_cache_folder();
    pthread_mutex_init(&programs->lock, NULL);
    return TARN_OK;
}

/* Back to what it was before it was compiled. */
static void forget(opencl_compiled *compiled) {
    for (int i = 0; i < OPENCL_KERNELS; i++) {
        if (compiled->kernels[i] != NULL) opencl.clReleaseKernel(compiled->kernels[i]);
        compiled->kernels[i] = NULL;
    }
    if (compiled->program != NULL) opencl.clReleaseProgram(compiled->program);
    compiled->program = NULL;
}

static void destroy(opencl_compiled *compiled) {
    forget(compiled);
    opencl_text_end(&compiled->key);
    pthread_mutex_destroy(&compiled->lock);
    free(compiled);
}

void opencl_programs_end(tarn_backend_device *device) {
    opencl_programs *programs = &device->programs;
    for (size_t i = 0; i < programs->bucket_count; i++) {
        for (opencl_compiled *compiled = programs->buckets[i], *next; compiled != NULL; compiled = next) {
            next = compiled->next;
            destroy(compiled);
        }
    }
    free(programs->buckets);
    free(programs->folder);
    opencl_text_end(&programs->identity);
    pthread_mutex_destroy(&programs->lock);
}

/* What the compiler said, however long; the caller frees it. NULL: nothing, or no host memory. */
static char *read_log(const tarn_backend_device *device, cl_program program) {
    size_t size = 0;
    cl_int error = opencl.clGetProgramBuildInfo(program, device->id, CL_PROGRAM_BUILD_LOG, 0, NULL, &size);
    char *log = error == CL_SUCCESS && size > 0 ? calloc(1, size + 1) : NULL;
    if (log != NULL) (void)opencl.clGetProgramBuildInfo(program, device->id, CL_PROGRAM_BUILD_LOG, size, log, NULL);
    return log;
}

/* The first line of the log is for the sentence; all of it goes to Tarn's own. */
static tarn_status fail_build(tarn_backend_device *device, cl_program program, cl_int error) {
    char *log = read_log(device, program), line[256] = "";
    if (log != NULL && log[0] != '\0') {
        opencl_host->log(TARN_LOG_WARNING, "the OpenCL compiler of %s: %s", device->name, log);
        snprintf(line, sizeof line, "%.*s", (int)strcspn(log, "\n"), log);
    }
    free(log);
    return opencl_fail(opencl_error_status(error), "clBuildProgram answers %d (%s): %s", (int)error,
                       opencl_error_name(error), line);
}

/* Builds in either way; NULL where the binary is of no use to the driver, which is no failure. */
static tarn_status build(tarn_backend_device *device, const opencl_text *source, const opencl_text *binary,
                         cl_program *out_program) {
    cl_int error;
    cl_program program;
    *out_program = NULL;
    if (binary != NULL) {
        const unsigned char *bytes = (const unsigned char *)binary->bytes;
        program =
            opencl.clCreateProgramWithBinary(device->context, 1, &device->id, &binary->length, &bytes, NULL, &error);
    } else {
        const char *text = source->bytes;
        program = opencl.clCreateProgramWithSource(device->context, 1, &text, &source->length, &error);
    }
    if (error != CL_SUCCESS) {
        return binary != NULL ? TARN_OK : opencl_fail_call(error, "clCreateProgramWithSource");
    }
    error = opencl.clBuildProgram(program, 1, &device->id, device->build_options, NULL, NULL);
    if (error == CL_SUCCESS) {
        *out_program = program;
        return TARN_OK;
    }
    tarn_status status = binary != NULL ? TARN_OK : fail_build(device, program, error);
    opencl.clReleaseProgram(program);
    return status;
}

/* A driver may have to compile once more for the binary alone: where none can be kept, it is not asked for. */
static void keep_binary(tarn_backend_device *device, cl_program program, const opencl_cache_entry *entry) {
    if (atomic_load_explicit(&device->programs.has_complained, memory_order_relaxed)) return;
    size_t size = 0;
    cl_int error = opencl.clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof size, &size, NULL);
    unsigned char *bytes = error == CL_SUCCESS && size > 0 ? malloc(size) : NULL;
    if (bytes == NULL) return;
    error = opencl.clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof bytes, &bytes, NULL);
    if (error == CL_SUCCESS && !opencl_cache_write(entry, bytes, size) &&
        !atomic_exchange_explicit(&device->programs.has_complained, true, memory_order_relaxed)) {
        opencl_host->log(TARN_LOG_WARNING, "compiled kernels cannot be kept in %s, and are compiled by each process",
                         device->programs.folder);
    }
    free(bytes);
}

static tarn_status build_from_disk_or_source(tarn_backend_device *device, const opencl_text *source,
                                             cl_program *out_program) {
    const opencl_cache_entry entry = {.folder = device->programs.folder,
                                      .hash =
                                          hash_of(source->bytes, source->length) ^
                                          hash_of(device->programs.identity.bytes, device->programs.identity.length),
                                      .identity = &device->programs.identity,
                                      .source = source};
    opencl_text binary = {.bytes = NULL};
    tarn_status status = TARN_OK;
    *out_program = NULL;
    if (entry.folder != NULL && opencl_cache_read(&entry, &binary))
        status = build(device, source, &binary, out_program);
    opencl_text_end(&binary);
    if (status != TARN_OK || *out_program != NULL) return status;
    status = build(device, source, NULL, out_program);
    if (status == TARN_OK && entry.folder != NULL) keep_binary(device, *out_program, &entry);
    return status;
}

static tarn_status create_kernels(opencl_compiled *compiled, const opencl_text *source) {
    static const char *const names[OPENCL_KERNELS] = {"run", "finish"};
    int count = strstr(source->bytes, " void finish(") != NULL ? 2 : 1;
    for (int i = 0; i < count; i++) {
        cl_int error;
        compiled->kernels[i] = opencl.clCreateKernel(compiled->program, names[i], &error);
        if (error != CL_SUCCESS) {
            compiled->kernels[i] = NULL;
            return opencl_fail_call(error, "clCreateKernel");
        }
    }
    return TARN_OK;
}

/* Must be called with the program's lock held. */
static tarn_status compile(tarn_backend_device *device, opencl_compiled *compiled, opencl_writer writer,
                           const void *context) {
    opencl_text source = {.bytes = NULL};
    opencl_text_print(&source, "%s\n", opencl_source_prelude);
    writer(context, &source);
    tarn_status status = TARN_OK;
    if (source.has_failed) status = opencl_fail(TARN_OUT_OF_MEMORY, "no host memory for the source of a kernel");
    if (status == TARN_OK) status = build_from_disk_or_source(device, &source, &compiled->program);
    if (status == TARN_OK) status = create_kernels(compiled, &source);
    opencl_text_end(&source);
    if (status == TARN_OK) compiled->is_ready = true;
    else forget(compiled);
    return status;
}

/* A program that is not compiled yet; NULL: no host memory. */
static opencl_compiled *create(const opencl_text *key) {
    opencl_compiled *compiled = calloc(1, sizeof *compiled);
    if (compiled == NULL) return NULL;
    pthread_mutex_init(&compiled->lock, NULL);
    opencl_text_bytes(&compiled->key, key->bytes, key->length);
    if (!compiled->key.has_failed) return compiled;
    destroy(compiled);
    return NULL;
}

/* Looks the program up, and puts it into the table where it was missing; NULL: no host memory. */
static opencl_compiled *find(opencl_programs *programs, const opencl_text *key) {
    pthread_mutex_lock(&programs->lock);
    opencl_compiled **place = &programs->buckets[hash_of(key->bytes, key->length) % programs->bucket_count];
    while (*place != NULL &&
           !((*place)->key.length == key->length && memcmp((*place)->key.bytes, key->bytes, key->length) == 0))
        place = &(*place)->next;
    if (*place == NULL) *place = create(key);
    opencl_compiled *found = *place;
    pthread_mutex_unlock(&programs->lock);
    return found;
}

tarn_status opencl_compile(tarn_backend_device *device, const opencl_text *key, opencl_writer writer,
                           const void *context, opencl_compiled **out_compiled) {
    if (key->has_failed) return opencl_fail(TARN_OUT_OF_MEMORY, "no host memory for the key of a kernel");
    opencl_compiled *found = find(&device->programs, key);
    if (found == NULL) return opencl_fail(TARN_OUT_OF_MEMORY, "no host memory for a kernel");
    tarn_status status = TARN_OK;
    pthread_mutex_lock(&found->lock);
    if (!found->is_ready) status = compile(device, found, writer, context);
    pthread_mutex_unlock(&found->lock);
    if (status == TARN_OK) *out_compiled = found;
    return status;
}
