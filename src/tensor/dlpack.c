/* Tensors handed to other libraries and taken from them, as DLPack lays them out.
 *
 * The two forms differ in what stands around the same description, so everything here is done with the description, and each form adds
 * its frame. A structure that is handed out is the first member of an export, which holds a reference to the tensor and the numbers that
 * the description points to. A structure that is taken in becomes the context of lent memory, and is given back by the release of that. */
#include "tensor/dlpack.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "memory/stack.h"
#include "tensor/tensor.h"

/* Types. */

static const tarn_dlpack_type types[TARN_ELEMENT_TYPE_COUNT] = {
    [TARN_ELEMENT_F32] = {TARN_DLPACK_FLOAT, 32, 1},   [TARN_ELEMENT_F16] = {TARN_DLPACK_FLOAT, 16, 1},
    [TARN_ELEMENT_BF16] = {TARN_DLPACK_BFLOAT, 16, 1}, [TARN_ELEMENT_F64] = {TARN_DLPACK_FLOAT, 64, 1},
    [TARN_ELEMENT_I8] = {TARN_DLPACK_INTEGER, 8, 1},   [TARN_ELEMENT_U8] = {TARN_DLPACK_UNSIGNED, 8, 1},
    [TARN_ELEMENT_I16] = {TARN_DLPACK_INTEGER, 16, 1}, [TARN_ELEMENT_I32] = {TARN_DLPACK_INTEGER, 32, 1},
    [TARN_ELEMENT_I64] = {TARN_DLPACK_INTEGER, 64, 1}, [TARN_ELEMENT_BOOL] = {TARN_DLPACK_BOOL, 8, 1},
};

tarn_status dlpack_find_type(tarn_dlpack_type wanted, tarn_element_type *out_type) {
    for (int i = 0; i < TARN_ELEMENT_TYPE_COUNT; i++) {
        if (types[i].sort != wanted.sort || types[i].bits != wanted.bits || wanted.lanes != 1) continue;
        *out_type = (tarn_element_type)i;
        return TARN_OK;
    }
    return base_fail(TARN_NOT_SUPPORTED,
                     "DLPack's type of sort %u with %u bits and %u lanes is none that Tarn has (lanes are 1)",
                     wanted.sort, wanted.bits, wanted.lanes);
}

/* Devices. */

/* What is a device's own memory comes first. */
static const struct {
    int32_t number;
    tarn_device_type type;
} device_types[] = {
    {TARN_DLPACK_CUDA, TARN_DEVICE_CUDA},     {TARN_DLPACK_CUDA_MANAGED, TARN_DEVICE_CUDA},
    {TARN_DLPACK_ROCM, TARN_DEVICE_ROCM},     {TARN_DLPACK_METAL, TARN_DEVICE_METAL},
    {TARN_DLPACK_ONEAPI, TARN_DEVICE_ONEAPI},
};

static tarn_status refuse_opencl(void) {
    return base_fail(TARN_NOT_SUPPORTED,
                     "in DLPack the memory of an OpenCL device is a handle, and Tarn's tensors have addresses");
}

/* The number in "cuda:1"; 0 in a name that has none. */
static tarn_status number_of(const char *name, int32_t *out_number) {
    const char *digits = strchr(name, ':');
    *out_number = 0;
    if (digits == NULL) return TARN_OK;
    char *end;
    long number = strtol(++digits, &end, 10);
    if (*digits < '0' || *digits > '9' || (*end != '\0' && *end != ',') || number > INT32_MAX) {
        return base_fail(TARN_NOT_SUPPORTED, "DLPack calls devices by numbers, and the name %s has none", name);
    }
    *out_number = (int32_t)number;
    return TARN_OK;
}

/* How DLPack calls the memory of a tensor. */
static tarn_status describe_device(const tarn_tensor *tensor, tarn_dlpack_device *out_device) {
    tarn_device *device = tensor->storage->device;
    tarn_device_type type = tarn_device_type_of(device);
    *out_device = (tarn_dlpack_device){.type = TARN_DLPACK_CPU};
    if (type == TARN_DEVICE_CPU) return TARN_OK;
    if (type == TARN_DEVICE_OPENCL) return refuse_opencl();
    tarn_allocator *allocator = tarn_buffer_allocator(tensor->storage->buffer);
    tarn_memory_kind kind = allocator != NULL ? memory_kind_of(allocator) : TARN_MEMORY_DEVICE;
    if (kind == TARN_MEMORY_HOST) return TARN_OK;
    if (kind == TARN_MEMORY_PINNED && (type == TARN_DEVICE_CUDA || type == TARN_DEVICE_ROCM)) {
        out_device->type = type == TARN_DEVICE_CUDA ? TARN_DLPACK_CUDA_HOST : TARN_DLPACK_ROCM_HOST;
        return TARN_OK;
    }
    if (kind == TARN_MEMORY_MANAGED && type == TARN_DEVICE_CUDA) {
        out_device->type = TARN_DLPACK_CUDA_MANAGED;
        return TARN_OK;
    }
    for (size_t i = 0; i < sizeof device_types / sizeof *device_types; i++) {
        if (device_types[i].type != type) continue;
        out_device->type = device_types[i].number;
        return number_of(tarn_device_name(device), &out_device->number);
    }
    return base_fail(TARN_NOT_SUPPORTED, "DLPack has no number for devices like %s", tarn_device_name(device));
}

typedef struct backend_search {
    tarn_device_type type;
    const char *name;
} backend_search;

/* The first one that is available, else the first, which then says why it is not. */
static int is_sought(void *context, const tarn_backend_info *info) {
    backend_search *search = context;
    if (info->type != search->type) return 0;
    if (search->name == NULL || info->is_available) search->name = info->name;
    return info->is_available;
}

tarn_status dlpack_open_device(tarn_dlpack_device wanted, tarn_device **out_device) {
    if (wanted.type == TARN_DLPACK_CPU || wanted.type == TARN_DLPACK_CUDA_HOST || wanted.type == TARN_DLPACK_ROCM_HOST)
        return tarn_device_open("cpu", out_device);
    if (wanted.type == TARN_DLPACK_OPENCL) return refuse_opencl();
    for (size_t i = 0; i < sizeof device_types / sizeof *device_types; i++) {
        if (device_types[i].number != wanted.type) continue;
        backend_search search = {.type = device_types[i].type};
        tarn_status status = tarn_backend_each(is_sought, &search);
        if (status != TARN_OK) return status;
        if (search.name == NULL) break;
        char name[128];
        snprintf(name, sizeof name, "%s:%" PRId32, search.name, wanted.number);
        return tarn_device_open(name, out_device);
    }
    return base_fail(TARN_NOT_SUPPORTED,
                     "no backend is there for DLPack's devices of type %" PRId32 ", of which number %" PRId32
                     " is meant",
                     wanted.type, wanted.number);
}

/* Handing out. */

tarn_status tarn_tensor_as_dlpack(tarn_tensor *tensor, tarn_dlpack_tensor *out_tensor) {
    tarn_dlpack_device device;
    tarn_status status = tensor_check(tensor, "a DLPack export", "the tensor");
    if (status != TARN_OK) return status;
    if (out_tensor == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the place for a DLPack tensor is NULL");
    status = describe_device(tensor, &device);
    if (status != TARN_OK) return status;
    *out_tensor = (tarn_dlpack_tensor){
        .data = tarn_tensor_data(tensor),
        .device = device,
        .rank = (int32_t)tensor->shape.rank,
        .type = types[tensor->type],
        .dims = tensor->shape.dims,
        .strides = tensor->strides,
    };
    return TARN_OK;
}

/* What is handed out, in either form, and what it stands on. */
typedef struct dlpack_export {
    union {
        tarn_dlpack_managed managed;
        tarn_dlpack_versioned versioned;
    } form;
    tarn_tensor *tensor;
    int64_t dims[TARN_MAXIMUM_RANK];
    int64_t strides[TARN_MAXIMUM_RANK];
} dlpack_export;

static void end_export(dlpack_export *export) {
    tarn_status status = tarn_tensor_release(export->tensor);
    if (status != TARN_OK)
        base_log(TARN_LOG_ERROR, "the memory of a tensor that DLPack gave back: %s", tarn_last_error());
    base_free(export);
}

static void delete_managed(tarn_dlpack_managed *self) { end_export(self->context); }
static void delete_versioned(tarn_dlpack_versioned *self) { end_export(self->context); }

/* An export with its own copy of the numbers, so that nobody writes into the tensor. */
static tarn_status create_export(tarn_tensor *tensor, const void *out, dlpack_export **out_export,
                                 tarn_dlpack_tensor *out_described) {
    if (out == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the place for a DLPack structure is NULL");
    tarn_status status = tarn_tensor_as_dlpack(tensor, out_described);
    if (status != TARN_OK) return status;
    dlpack_export *export = base_allocate(1, sizeof *export);
    if (export == NULL) return base_fail(TARN_OUT_OF_MEMORY, "no host memory for a DLPack structure");
    memcpy(export->dims, tensor->shape.dims, tensor->shape.rank * sizeof export->dims[0]);
    memcpy(export->strides, tensor->strides, tensor->shape.rank * sizeof export->strides[0]);
    out_described->dims = export->dims;
    out_described->strides = export->strides;
    export->tensor = tarn_tensor_retain(tensor);
    *out_export = export;
    return TARN_OK;
}

tarn_status tarn_tensor_to_dlpack(tarn_tensor *tensor, tarn_dlpack_managed **out_managed) {
    if (tarn_tensor_is_read_only(tensor)) {
        return base_fail(TARN_NOT_SUPPORTED, "the tensor is read-only, which DLPack's plain form cannot say; "
                                             "the versioned form can");
    }
    dlpack_export *export;
    tarn_dlpack_tensor described;
    tarn_status status = create_export(tensor, out_managed, &export, &described);
    if (status != TARN_OK) return status;
    export->form.managed = (tarn_dlpack_managed){.tensor = described, .context = export, .deleter = delete_managed};
    *out_managed = &export->form.managed;
    return TARN_OK;
}

tarn_status tarn_tensor_to_dlpack_versioned(tarn_tensor *tensor, int is_copied, tarn_dlpack_versioned **out_versioned) {
    dlpack_export *export;
    tarn_dlpack_tensor described;
    tarn_status status = create_export(tensor, out_versioned, &export, &described);
    if (status != TARN_OK) return status;
    export->form.versioned = (tarn_dlpack_versioned){
        .version = {TARN_DLPACK_MAJOR_VERSION, TARN_DLPACK_MINOR_VERSION},
        .context = export,
        .deleter = delete_versioned,
        .flags =
            (tarn_tensor_is_read_only(tensor) ? TARN_DLPACK_READ_ONLY : 0) | (is_copied ? TARN_DLPACK_IS_COPIED : 0),
        .tensor = described,
    };
    *out_versioned = &export->form.versioned;
    return TARN_OK;
}

/* Taking in. */

static void return_managed(void *context) {
    tarn_dlpack_managed *managed = context;
    if (managed->deleter != NULL) managed->deleter(managed);
}

static void return_versioned(void *context) {
    tarn_dlpack_versioned *versioned = context;
    if (versioned->deleter != NULL) versioned->deleter(versioned);
}

tarn_status dlpack_read_shape(const tarn_dlpack_tensor *described, tarn_shape *out_shape) {
    if (described->rank < 0 || (described->rank > 0 && described->dims == NULL)) {
        return base_fail(TARN_INVALID_ARGUMENT, "a DLPack tensor of %" PRId32 " dimensions%s", described->rank,
                         described->rank > 0 ? " does not say which" : "");
    }
    return tarn_shape_make(described->dims, (size_t)described->rank, out_shape);
}

/* The address of the first element. What else can be wrong with an address is seen when the memory is wrapped. */
static tarn_status find_data(const tarn_dlpack_tensor *described, size_t elements, void **out_data) {
    *out_data = NULL;
    if (elements == 0) return TARN_OK;
    if (described->data == NULL)
        return base_fail(TARN_INVALID_ARGUMENT, "a DLPack tensor of %zu elements has no data", elements);
    if (described->byte_offset > UINTPTR_MAX - (uintptr_t)described->data) {
        return base_fail(TARN_INVALID_ARGUMENT, "a DLPack tensor's byte offset of %" PRIu64 " leads beyond all memory",
                         described->byte_offset);
    }
    *out_data = (char *)described->data + described->byte_offset;
    return TARN_OK;
}

static tarn_status take_in(const tarn_dlpack_tensor *described, int is_read_only, void (*give_back)(void *),
                           void *context, tarn_tensor **out_tensor) {
    tarn_shape shape;
    tarn_element_type type;
    size_t elements;
    void *data;
    tarn_device *device;
    tarn_status status = dlpack_find_type(described->type, &type);
    if (status == TARN_OK) status = dlpack_read_shape(described, &shape);
    if (status == TARN_OK) status = tarn_shape_elements(&shape, &elements);
    if (status == TARN_OK) status = find_data(described, elements, &data);
    if (status == TARN_OK) status = dlpack_open_device(described->device, &device);
    if (status != TARN_OK) return status;
    tarn_tensor *tensor;
    status =
        tarn_tensor_wrap(device, data, &shape, described->strides, type, is_read_only, give_back, context, &tensor);
    tarn_status released = tarn_device_release(device);
    if (status != TARN_OK) return status;
    if (released != TARN_OK) base_log(TARN_LOG_ERROR, "a device that DLPack names: %s", tarn_last_error());
    *out_tensor = tensor;
    return TARN_OK;
}

tarn_status tarn_tensor_from_dlpack(tarn_dlpack_managed *managed, tarn_tensor **out_tensor) {
    if (managed == NULL || out_tensor == NULL)
        return base_fail(TARN_INVALID_ARGUMENT, "a DLPack structure or the place for its tensor is NULL");
    return take_in(&managed->tensor, 0, return_managed, managed, out_tensor);
}

tarn_status tarn_tensor_from_dlpack_versioned(tarn_dlpack_versioned *versioned, tarn_tensor **out_tensor) {
    if (versioned == NULL || out_tensor == NULL)
        return base_fail(TARN_INVALID_ARGUMENT, "a DLPack structure or the place for its tensor is NULL");
    if (versioned->version.major != TARN_DLPACK_MAJOR_VERSION) {
        return base_fail(TARN_NOT_SUPPORTED, "a DLPack structure of version %" PRIu32 ".%" PRIu32 "; Tarn reads %u.x",
                         versioned->version.major, versioned->version.minor, TARN_DLPACK_MAJOR_VERSION);
    }
    return take_in(&versioned->tensor, (versioned->flags & TARN_DLPACK_READ_ONLY) != 0, return_versioned, versioned,
                   out_tensor);
}
