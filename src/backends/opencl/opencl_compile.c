/* Compiling: a program is looked up by its key, then its binary on disk by the hash of its source, and only then compiled.
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

static void add_answer(tarn_backend_device *device, cl_device_info what) {
    char answer[256] = "";
    (void)opencl.clGetDeviceInfo(device->id, what, sizeof answer - 1, answer, NULL);
    opencl_text_print(&device->programs.identity, "%s\n", answer);
}

tarn_status opencl_programs_begin(tarn_backend_device *device) {
    opencl_programs *programs = &device->programs;
    programs->buckets = calloc(FIRST_BUCKETS, sizeof(opencl_compiled *));
    programs->bucket_count = FIRST_BUCKETS;
    add_answer(device, CL_DEVICE_NAME);
    add_answer(device, CL_DEVICE_VERSION);
    add_answer(device, CL_DRIVER_VERSION);
    if (programs->buckets == NULL || programs->identity.has_failed) {
        free(programs->buckets);
        opencl_text_end(&programs->identity);
        return opencl_fail(TARN_OUT_OF_MEMORY, "no host memory for a device's kernels");
    }
    programs->folder = opencl_cache_folder();
    pthread_mutex_init(&programs->lock, NULL);
    return TARN_OK;
}

static void destroy(opencl_compiled *compiled) {
    for (int i = 0; i < OPENCL_KERNELS; i++)
        if (compiled->kernels[i] != NULL) opencl.clReleaseKernel(compiled->kernels[i]);
    if (compiled->program != NULL) opencl.clReleaseProgram(compiled->program);
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

/* The first line of what the compiler said, for the sentence; the rest goes to the log. */
static tarn_status fail_build(tarn_backend_device *device, cl_program program, cl_int error) {
    char log[4096] = "";
    (void)opencl.clGetProgramBuildInfo(program, device->id, CL_PROGRAM_BUILD_LOG, sizeof log - 1, log, NULL);
    if (log[0] != '\0') opencl_host->log(TARN_LOG_WARNING, "the OpenCL compiler of %s: %s", device->name, log);
    log[strcspn(log, "\n")] = '\0';
    return opencl_fail(opencl_error_status(error), "clBuildProgram answers %d (%s): %.200s", (int)error,
                       opencl_error_name(error), log);
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

static void keep_binary(tarn_backend_device *device, cl_program program, const opencl_cache_entry *entry) {
    size_t size = 0;
    cl_int error = opencl.clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof size, &size, NULL);
    unsigned char *bytes = error == CL_SUCCESS && size > 0 ? malloc(size) : NULL;
    if (bytes == NULL) return;
    error = opencl.clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof bytes, &bytes, NULL);
    if (error == CL_SUCCESS && !opencl_cache_write(entry, bytes, size) && !device->programs.has_complained) {
        device->programs.has_complained = true;
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

static tarn_status create(tarn_backend_device *device, const opencl_text *key, opencl_writer writer,
                          const void *context, opencl_compiled **out_compiled) {
    opencl_text source = {.bytes = NULL};
    opencl_compiled *compiled = calloc(1, sizeof *compiled);
    if (compiled == NULL) return opencl_fail(TARN_OUT_OF_MEMORY, "no host memory for a kernel");
    pthread_mutex_init(&compiled->lock, NULL);
    opencl_text_print(&source, "%s\n", opencl_source_prelude);
    writer(context, &source);
    opencl_text_bytes(&compiled->key, key->bytes, key->length);
    tarn_status status = TARN_OK;
    if (source.has_failed || compiled->key.has_failed)
        status = opencl_fail(TARN_OUT_OF_MEMORY, "no host memory for the source of a kernel");
    if (status == TARN_OK) status = build_from_disk_or_source(device, &source, &compiled->program);
    if (status == TARN_OK) status = create_kernels(compiled, &source);
    opencl_text_end(&source);
    if (status != TARN_OK) {
        destroy(compiled);
        return status;
    }
    *out_compiled = compiled;
    return TARN_OK;
}

tarn_status opencl_compile(tarn_backend_device *device, const opencl_text *key, opencl_writer writer,
                           const void *context, opencl_compiled **out_compiled) {
    opencl_programs *programs = &device->programs;
    if (key->has_failed) return opencl_fail(TARN_OUT_OF_MEMORY, "no host memory for the key of a kernel");
    size_t bucket = hash_of(key->bytes, key->length) % programs->bucket_count;
    tarn_status status = TARN_OK;
    pthread_mutex_lock(&programs->lock);
    opencl_compiled *found = programs->buckets[bucket];
    while (found != NULL &&
           !(found->key.length == key->length && memcmp(found->key.bytes, key->bytes, key->length) == 0))
        found = found->next;
    if (found == NULL) {
        status = create(device, key, writer, context, &found);
        if (status == TARN_OK) {
            found->next = programs->buckets[bucket];
            programs->buckets[bucket] = found;
        }
    }
    pthread_mutex_unlock(&programs->lock);
    if (status == TARN_OK) *out_compiled = found;
    return status;
}
