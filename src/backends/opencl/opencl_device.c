/* OpenCL devices: opening and closing, what they say of themselves, and the table of their functions.
 *
 * A device is named by its number and, after commas, by how its memory is had, how matrix products are computed, and who has the rows of a softmax,
 * where that is not left to the backend: "0", "1,memory=buffer", "0,product=tiles,rows=groups". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/opencl/opencl_clblast.h"
#include "backends/opencl/opencl_program.h"

typedef enum memory_wish { MEMORY_ANY, MEMORY_SHARED, MEMORY_BUFFER } memory_wish;
typedef enum product_wish { PRODUCT_ANY, PRODUCT_REGISTERS, PRODUCT_TILES, PRODUCT_CLBLAST } product_wish;
typedef enum row_wish { ROWS_ANY, ROWS_ITEMS, ROWS_GROUPS } row_wish;

/* What is asked for in a device's name. */
typedef struct device_options {
    int number;
    memory_wish memory;
    product_wish product;
    row_wish rows;
} device_options;

static tarn_status read_option(const char *word, size_t length, device_options *options) {
    static const char *const memories[] = {"", "memory=svm", "memory=buffer"};
    static const char *const products[] = {"", "product=registers", "product=tiles", "product=clblast"};
    static const char *const rows[] = {"", "rows=items", "rows=groups"};
    for (int i = MEMORY_SHARED; i <= MEMORY_BUFFER; i++) {
        if (strlen(memories[i]) != length || memcmp(word, memories[i], length) != 0) continue;
        options->memory = (memory_wish)i;
        return TARN_OK;
    }
    for (int i = PRODUCT_REGISTERS; i <= PRODUCT_CLBLAST; i++) {
        if (strlen(products[i]) != length || memcmp(word, products[i], length) != 0) continue;
        options->product = (product_wish)i;
        return TARN_OK;
    }
    for (int i = ROWS_ITEMS; i <= ROWS_GROUPS; i++) {
        if (strlen(rows[i]) != length || memcmp(word, rows[i], length) != 0) continue;
        options->rows = (row_wish)i;
        return TARN_OK;
    }
    return opencl_fail(TARN_INVALID_ARGUMENT,
                       "an OpenCL device has no option \"%.*s\": after its number stand memory=svm or memory=buffer, "
                       "product=registers, product=tiles or product=clblast, and rows=items or rows=groups",
                       (int)length, word);
}

static tarn_status read_options(const char *arguments, device_options *out_options) {
    *out_options = (device_options){.number = 0};
    if (*arguments == '\0') return TARN_OK;
    char *rest;
    long number = *arguments >= '0' && *arguments <= '9' ? strtol(arguments, &rest, 10) : -1;
    if (number < 0 || number > 9999 || (*rest != '\0' && *rest != ',')) {
        return opencl_fail(TARN_INVALID_ARGUMENT, "\"%s\" is not the number of an OpenCL device", arguments);
    }
    out_options->number = (int)number;
    while (*rest == ',') {
        const char *word = rest + 1;
        size_t length = strcspn(word, ",");
        tarn_status status = read_option(word, length, out_options);
        if (status != TARN_OK) return status;
        rest += length + 1;
    }
    return TARN_OK;
}

static tarn_status ask(const tarn_backend_device *device, cl_device_info what, void *out_answer, size_t size) {
    cl_int error = opencl.clGetDeviceInfo(device->id, what, size, out_answer, NULL);
    return error == CL_SUCCESS ? TARN_OK : opencl_fail_call(error, "clGetDeviceInfo");
}

/* Names longer than there is room for are cut off. */
static tarn_status name_device(tarn_backend_device *device) {
    char *name;
    tarn_status status = opencl_driver_text(device->id, CL_DEVICE_NAME, &name);
    if (status != TARN_OK) return status;
    snprintf(device->name, sizeof device->name, "%s", name);
    free(name);
    return TARN_OK;
}

/* Chooses how memory is had: as asked, or shared virtual memory where the device has it. */
static tarn_status choose_path(tarn_backend_device *device, const device_options *options) {
    cl_device_svm_capabilities abilities = 0;
    if (opencl.clSVMAlloc != NULL) {
        /* Drivers of version 1.2 do not know the question. */
        cl_int error =
            opencl.clGetDeviceInfo(device->id, CL_DEVICE_SVM_CAPABILITIES, sizeof abilities, &abilities, NULL);
        if (error != CL_SUCCESS) abilities = 0;
    }
    bool has_shared = (abilities & CL_DEVICE_SVM_COARSE_GRAIN_BUFFER) != 0;
    if (options->memory == MEMORY_SHARED && !has_shared)
        return opencl_fail(TARN_NOT_SUPPORTED, "%s has no shared virtual memory", device->name);
    device->path = has_shared && options->memory != MEMORY_BUFFER ? OPENCL_MEMORY_SHARED : OPENCL_MEMORY_BUFFER;
    device->has_fine_grain = (abilities & CL_DEVICE_SVM_FINE_GRAIN_BUFFER) != 0;
    return TARN_OK;
}

/* Local memory of its own is worth copying into; where it is memory like any other, as on processors, registers and caches serve better. CLBlast is
 * made for GPUs: on processors the kernels here are faster (README.md). */
static tarn_status choose_product(tarn_backend_device *device, const device_options *options) {
    cl_device_local_mem_type local;
    cl_uint width;
    tarn_status status = ask(device, CL_DEVICE_LOCAL_MEM_TYPE, &local, sizeof local);
    if (status == TARN_OK)
        status = ask(device, CL_DEVICE_LOCAL_MEM_SIZE, &device->local_size, sizeof device->local_size);
    if (status == TARN_OK) status = ask(device, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, &width, sizeof width);
    if (status != TARN_OK) return status;
    device->vector_bytes = width * (cl_uint)sizeof(float);
    device->product_way = local == CL_LOCAL ? OPENCL_PRODUCT_TILES : OPENCL_PRODUCT_REGISTERS;
    if (options->product == PRODUCT_REGISTERS) device->product_way = OPENCL_PRODUCT_REGISTERS;
    if (options->product == PRODUCT_TILES) device->product_way = OPENCL_PRODUCT_TILES;
    const char *reason;
    const bool may_use =
        options->product == PRODUCT_CLBLAST || (options->product == PRODUCT_ANY && !device->is_processor);
    device->uses_clblast = may_use && opencl_clblast_is_there(&reason);
    if (options->product == PRODUCT_CLBLAST && !device->uses_clblast)
        return opencl_fail(TARN_NOT_SUPPORTED, "CLBlast cannot be used: %s", reason);
    return TARN_OK;
}

/* A number from the environment in the place of the device's own, for tests and for who tries what is quickest. */
static cl_uint lanes_asked_for(void) {
    const char *text = getenv("TARN_OPENCL_LANES");
    return text != NULL ? (cl_uint)strtoul(text, NULL, 10) : 0;
}

/* How much of a program's work a work-item and a group get. Processors have few groups at a time, whose items are a loop; others hide the time that
 * memory takes behind many items. */
static void choose_widths(tarn_backend_device *device) {
    static const cl_device_info questions[TARN_ELEMENT_TYPE_COUNT] = {
        [TARN_ELEMENT_F32] = CL_DEVICE_PREFERRED_VECTOR_WIDTH_FLOAT,
        [TARN_ELEMENT_F16] = CL_DEVICE_PREFERRED_VECTOR_WIDTH_FLOAT,
        [TARN_ELEMENT_BF16] = CL_DEVICE_PREFERRED_VECTOR_WIDTH_FLOAT,
        [TARN_ELEMENT_F64] = CL_DEVICE_PREFERRED_VECTOR_WIDTH_DOUBLE,
        [TARN_ELEMENT_I8] = CL_DEVICE_PREFERRED_VECTOR_WIDTH_CHAR,
        [TARN_ELEMENT_U8] = CL_DEVICE_PREFERRED_VECTOR_WIDTH_CHAR,
        [TARN_ELEMENT_I16] = CL_DEVICE_PREFERRED_VECTOR_WIDTH_SHORT,
        [TARN_ELEMENT_I32] = CL_DEVICE_PREFERRED_VECTOR_WIDTH_INT,
        [TARN_ELEMENT_I64] = CL_DEVICE_PREFERRED_VECTOR_WIDTH_LONG,
        [TARN_ELEMENT_BOOL] = CL_DEVICE_PREFERRED_VECTOR_WIDTH_CHAR,
    };
    cl_uint asked = lanes_asked_for();
    for (int type = 0; type < TARN_ELEMENT_TYPE_COUNT; type++) {
        cl_uint width = asked;
        if (width == 0 && ask(device, questions[type], &width, sizeof width) != TARN_OK) width = 1;
        device->lanes[type] = 1;
        while (device->lanes[type] * 2 <= width && device->lanes[type] < 16) device->lanes[type] *= 2;
    }
    size_t most = 1;
    if (ask(device, CL_DEVICE_MAX_WORK_GROUP_SIZE, &most, sizeof most) != TARN_OK) most = 1;
    uint32_t wanted = device->is_processor ? 64 : 256;
    device->group = 1;
    while (device->group * 2 <= wanted && device->group * 2 <= most) device->group *= 2;
}

static tarn_status describe(tarn_backend_device *device) {
    cl_device_type type;
    cl_ulong bytes;
    cl_uint alignment_bits;
    cl_bool has_compiler;
    tarn_status status = ask(device, CL_DEVICE_TYPE, &type, sizeof type);
    if (status == TARN_OK) status = ask(device, CL_DEVICE_GLOBAL_MEM_SIZE, &bytes, sizeof bytes);
    if (status == TARN_OK) status = ask(device, CL_DEVICE_MEM_BASE_ADDR_ALIGN, &alignment_bits, sizeof alignment_bits);
    if (status == TARN_OK)
        status = ask(device, CL_DEVICE_MAX_COMPUTE_UNITS, &device->compute_units, sizeof device->compute_units);
    if (status == TARN_OK) status = ask(device, CL_DEVICE_COMPILER_AVAILABLE, &has_compiler, sizeof has_compiler);
    if (status != TARN_OK) return status;
    if (!has_compiler) return opencl_fail(TARN_NOT_SUPPORTED, "%s has no compiler", device->name);
    cl_device_fp_config f64 = 0;
    (void)opencl.clGetDeviceInfo(device->id, CL_DEVICE_DOUBLE_FP_CONFIG, sizeof f64, &f64, NULL);
    device->has_f64 = f64 != 0;
    cl_device_fp_config f32 = 0;
    (void)opencl.clGetDeviceInfo(device->id, CL_DEVICE_SINGLE_FP_CONFIG, sizeof f32, &f32, NULL);
    device->is_processor = (type & CL_DEVICE_TYPE_CPU) != 0;
    snprintf(device->build_options, sizeof device->build_options, "-w -cl-std=CL1.2%s%s%s",
             device->has_f64 ? " -D HAS_F64" : "", device->has_f64 && device->is_processor ? " -D HAS_QUICK_F64" : "",
             (f32 & CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT) != 0 ? " -cl-fp32-correctly-rounded-divide-sqrt" : "");
    device->capacity = device->is_processor ? opencl_limits_total() : bytes;
    choose_widths(device);
    /* 64 bytes are the least that allocators count on for a processor's cache lines. */
    device->alignment = 64;
    while (device->alignment < alignment_bits / 8 && device->alignment < 4096) device->alignment *= 2;
    return TARN_OK;
}

static tarn_status create_queues(tarn_backend_device *device) {
    const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM, (cl_context_properties)device->platform, 0};
    cl_int error;
    device->context = opencl.clCreateContext(properties, 1, &device->id, NULL, NULL, &error);
    if (error != CL_SUCCESS) return opencl_fail_call(error, "clCreateContext");
    device->mapping_queue = opencl.clCreateCommandQueue(device->context, device->id, 0, &error);
    if (error != CL_SUCCESS) {
        opencl.clReleaseContext(device->context);
        return opencl_fail_call(error, "clCreateCommandQueue");
    }
    tarn_status status = opencl_stream_start(device, &device->default_stream);
    if (status != TARN_OK) {
        opencl.clReleaseCommandQueue(device->mapping_queue);
        opencl.clReleaseContext(device->context);
    }
    return status;
}

static tarn_status device_open(const char *arguments, tarn_backend_device **out_device) {
    device_options options;
    tarn_status status = read_options(arguments, &options);
    if (status != TARN_OK) return status;
    tarn_backend_device *device = calloc(1, sizeof *device);
    if (device == NULL) return opencl_fail(TARN_OUT_OF_MEMORY, "no host memory for the device");
    status = opencl_driver_find(options.number, &device->platform, &device->id);
    if (status == TARN_OK) status = name_device(device);
    if (status == TARN_OK) status = describe(device);
    if (status == TARN_OK) status = choose_path(device, &options);
    if (status == TARN_OK) status = choose_product(device, &options);
    /* Processors run a group's items one after the other, and stop each at every barrier. */
    device->shares_rows = options.rows == ROWS_ANY ? !device->is_processor : options.rows == ROWS_GROUPS;
    if (status == TARN_OK) status = opencl_programs_begin(device);
    if (status == TARN_OK) {
        status = create_queues(device);
        if (status != TARN_OK) opencl_programs_end(device);
    }
    if (status != TARN_OK) {
        free(device);
        return status;
    }
    pthread_rwlock_init(&device->block_lock, NULL);
    pthread_mutex_init(&device->stream_lock, NULL);
    *out_device = device;
    return TARN_OK;
}

/* A device that was lost may have memory left, which goes with its context. */
static void device_close(tarn_backend_device *device) {
    opencl_stream_end(&device->default_stream);
    opencl.clReleaseCommandQueue(device->mapping_queue);
    opencl_programs_end(device);
    opencl_clblast_end(device);
    opencl_memory_end(device);
    opencl.clReleaseContext(device->context);
    pthread_mutex_destroy(&device->stream_lock);
    pthread_rwlock_destroy(&device->block_lock);
    free(device);
}

static tarn_status device_properties(tarn_backend_device *device, tarn_device_properties *out_properties) {
    uint64_t used = atomic_load_explicit(&device->used, memory_order_relaxed);
    memcpy(out_properties->name, device->name, sizeof out_properties->name);
    out_properties->memory_total = device->capacity;
    out_properties->memory_free = device->is_processor ? opencl_limits_free() : device->capacity - used;
    out_properties->alignment = device->alignment;
    out_properties->maximum_alignment = OPENCL_MAXIMUM_ALIGNMENT;
    out_properties->compute_units = device->compute_units;
    out_properties->memory_kinds = TARN_MEMORY_KIND_BIT(TARN_MEMORY_DEVICE) | TARN_MEMORY_KIND_BIT(TARN_MEMORY_PINNED) |
                                   TARN_MEMORY_KIND_BIT(TARN_MEMORY_HOST);
    return TARN_OK;
}

static tarn_status start(const tarn_backend_host *host) {
    opencl_host = host;
    return opencl_driver_open();
}

TARN_API extern const tarn_backend tarn_backend_table;
const tarn_backend tarn_backend_table = {
    .abi_version = TARN_BACKEND_ABI_VERSION,
    .struct_size = sizeof(tarn_backend),
    .name = "opencl",
    .type = TARN_DEVICE_OPENCL,
    .start = start,
    .device_count = opencl_driver_count,
    .device_open = device_open,
    .device_close = device_close,
    .device_properties = device_properties,
    .device_synchronize = opencl_device_synchronize,
    .memory_allocate = opencl_memory_allocate,
    .memory_free = opencl_memory_free,
    .stream_default = opencl_stream_default,
    .stream_create = opencl_stream_create,
    .stream_destroy = opencl_stream_destroy,
    .stream_synchronize = opencl_stream_synchronize,
    .stream_host_function = opencl_stream_host_function,
    .stream_copy = opencl_stream_copy,
    .stream_fill = opencl_stream_fill,
    .stream_wait = opencl_stream_wait,
    .stream_copy_box = opencl_stream_copy_box,
    .event_create = opencl_event_create,
    .event_destroy = opencl_event_destroy,
    .event_record = opencl_event_record,
    .event_query = opencl_event_query,
    .event_synchronize = opencl_event_synchronize,
    .event_elapsed = opencl_event_elapsed,
    .operations = &opencl_operations,
};
