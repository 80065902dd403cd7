/* DLPack: tensors of other libraries, seen without copying, and Tarn's seen by them.
 *
 * DLPack is a layout in memory on which NumPy, PyTorch, JAX, CuPy and others have agreed (github.com/dmlc/dlpack). This page writes that
 * layout down, up to version 1.3, with names of Tarn's own: the structures are those of DLPack byte by byte, so that a pointer to one may be
 * cast to the other. There are two forms of a tensor that is handed over. The plain one is from before 1.0 and is on its way out; the
 * versioned one begins with a version and says whether the tensor may be written to. Both end with their deleter, which whoever takes
 * the structure calls once, when it needs the memory no more. All functions may be called from any thread. */
#ifndef TARN_DLPACK_H
#define TARN_DLPACK_H

#include <tarn/tensor.h>

TARN_BEGIN_DECLARATIONS

#define TARN_DLPACK_MAJOR_VERSION 1u
#define TARN_DLPACK_MINOR_VERSION 3u

/* A minor version adds numbers to the lists below, a major one changes the layout after `flags`. */
typedef struct tarn_dlpack_version {
    uint32_t major;
    uint32_t minor;
} tarn_dlpack_version;

/* Where the memory is. The lists of DLPack have more entries; these are the ones that Tarn has a use for. */
enum {
    TARN_DLPACK_CPU = 1,
    TARN_DLPACK_CUDA = 2,
    TARN_DLPACK_CUDA_HOST = 3, /* host memory that CUDA has pinned */
    TARN_DLPACK_OPENCL = 4,
    TARN_DLPACK_METAL = 8,
    TARN_DLPACK_ROCM = 10,
    TARN_DLPACK_ROCM_HOST = 11,    /* host memory that ROCm has pinned */
    TARN_DLPACK_CUDA_MANAGED = 13, /* one pointer for host and device, moved by the driver */
    TARN_DLPACK_ONEAPI = 14
};
typedef struct tarn_dlpack_device {
    int32_t type;   /* TARN_DLPACK_CPU … */
    int32_t number; /* 0 for host and managed memory */
} tarn_dlpack_device;

/* What an element is: its sort, its width, and how many of them make one. */
enum {
    TARN_DLPACK_INTEGER = 0,
    TARN_DLPACK_UNSIGNED = 1,
    TARN_DLPACK_FLOAT = 2, /* of IEEE 754 */
    TARN_DLPACK_BFLOAT = 4,
    TARN_DLPACK_COMPLEX = 5,
    TARN_DLPACK_BOOL = 6 /* of 8 bits */
};
typedef struct tarn_dlpack_type {
    uint8_t sort; /* TARN_DLPACK_INTEGER … */
    uint8_t bits;
    uint16_t lanes; /* 1, but for vector types */
} tarn_dlpack_type;

typedef struct tarn_dlpack_tensor {
    void *data; /* NULL without elements */
    tarn_dlpack_device device;
    int32_t rank;
    tarn_dlpack_type type;
    int64_t *dims;
    int64_t *strides;     /* in elements; NULL: row-major */
    uint64_t byte_offset; /* of the first element from `data` */
} tarn_dlpack_tensor;

/* The plain form: what a Python capsule named "dltensor" holds. */
typedef struct tarn_dlpack_managed {
    tarn_dlpack_tensor tensor;
    void *context;
    void (*deleter)(struct tarn_dlpack_managed *self); /* may be NULL; frees the structure too */
} tarn_dlpack_managed;

/* Bits of `flags`. */
#define TARN_DLPACK_READ_ONLY ((uint64_t)1)
#define TARN_DLPACK_IS_COPIED ((uint64_t)2) /* made for whoever takes it: nobody else sees these elements */

/* The versioned form: what a capsule named "dltensor_versioned" holds. Up to `flags` it stays as it is in all versions. */
typedef struct tarn_dlpack_versioned {
    tarn_dlpack_version version;
    void *context;
    void (*deleter)(struct tarn_dlpack_versioned *self); /* may be NULL; frees the structure too */
    uint64_t flags;
    tarn_dlpack_tensor tensor;
} tarn_dlpack_versioned;

/* The table of functions that a class of Python tensors offers since DLPack 1.3, in its attribute `__dlpack_c_exchange_api__`, a capsule
 * named "dlpack_exchange_api": with it extensions in C come by tensors without a call in Python. An `object` is a PyObject of that class.
 * Each function returns 0, or -1 with an exception set in Python; none waits for streams. */
typedef struct tarn_dlpack_exchange {
    tarn_dlpack_version version;
    const struct tarn_dlpack_exchange *previous; /* a table of an older major version, or NULL */
    /* A new tensor with the type, the dimensions and the device of `prototype`. What fails is told to `set_error`, once, as the name of a
     * Python exception and a sentence. */
    int (*allocate)(tarn_dlpack_tensor *prototype, tarn_dlpack_versioned **out_versioned, void *error_context,
                    void (*set_error)(void *error_context, const char *exception, const char *sentence));
    int (*from_object)(void *object, tarn_dlpack_versioned **out_versioned);
    /* Takes the structure over in any case; a new reference to an object. */
    int (*to_object)(tarn_dlpack_versioned *versioned, void **out_object);
    /* (optional) Only looks: good for as long as the object is there and the caller has not returned. */
    int (*look)(void *object, tarn_dlpack_tensor *out_tensor);
    /* The stream that work on a device takes place on; NULL: the default one. */
    int (*current_stream)(int32_t device_type, int32_t device_number, void **out_stream);
} tarn_dlpack_exchange;

/* Handing a tensor out. The structure holds one reference to the tensor, which its deleter lets go, on whatever thread that is called. The
 * first element is at `data`, with a byte_offset of 0, and strides are always written.
 *
 * Nothing is waited for: work on the tensor that has not finished, on any stream, is the caller's to order.
 *
 * Errors: INVALID_ARGUMENT for NULL and a tensor whose memory has been taken back; NOT_SUPPORTED for a device that DLPack has no number
 * for (`sim`), for OpenCL, where DLPack means a handle and Tarn an address, and in the plain form for a tensor that is read-only, since it
 * cannot say so; OUT_OF_MEMORY. Devices are called by the type of their backend and the number in their name; pinned and managed
 * memory of a CUDA device by their own types. */
TARN_API tarn_status tarn_tensor_to_dlpack(tarn_tensor *tensor, tarn_dlpack_managed **out_managed);
/* `is_copied`: the tensor is a copy that was made for the receiver, and is marked as that. */
TARN_API tarn_status tarn_tensor_to_dlpack_versioned(tarn_tensor *tensor, int is_copied,
                                                     tarn_dlpack_versioned **out_versioned);
/* The tensor as it is, with pointers into it: good for as long as the caller keeps the tensor. */
TARN_API tarn_status tarn_tensor_as_dlpack(tarn_tensor *tensor, tarn_dlpack_tensor *out_tensor);

/* Taking a tensor in: one that sees the same memory. It owns the structure from then on, and calls its deleter once, when the last tensor
 * that uses the memory is gone; see tarn_tensor_wrap. On failure the structure is still the caller's, whose duty the deleter is then.
 *
 * The device is that of the backend of DLPack's type with DLPack's number ("cuda:0"); pinned host memory is on "cpu". What was
 * marked as read-only stays so.
 *
 * INVALID_ARGUMENT: NULL; a rank, dimensions or strides that no tensor has; no data, or data that is not aligned to its elements or that
 * reaches beyond all addresses. NOT_SUPPORTED: a major version other than 1; types that Tarn lacks, vectors among them; devices that
 * it has no backend for; handles of OpenCL. And what opening the device answers. */
TARN_API tarn_status tarn_tensor_from_dlpack(tarn_dlpack_managed *managed, tarn_tensor **out_tensor);
TARN_API tarn_status tarn_tensor_from_dlpack_versioned(tarn_dlpack_versioned *versioned, tarn_tensor **out_tensor);

/* The layouts are the agreement with others: no compiler may see them otherwise. */
#ifdef __cplusplus
#define TARN_DLPACK_ASSERT(what) static_assert(what, #what)
#else
#define TARN_DLPACK_ASSERT(what) _Static_assert(what, #what)
#endif
#if UINTPTR_MAX == UINT64_MAX
TARN_DLPACK_ASSERT(sizeof(tarn_dlpack_version) == 8);
TARN_DLPACK_ASSERT(sizeof(tarn_dlpack_device) == 8);
TARN_DLPACK_ASSERT(sizeof(tarn_dlpack_type) == 4);
TARN_DLPACK_ASSERT(sizeof(tarn_dlpack_tensor) == 48);
TARN_DLPACK_ASSERT(offsetof(tarn_dlpack_tensor, data) == 0);
TARN_DLPACK_ASSERT(offsetof(tarn_dlpack_tensor, device) == 8);
TARN_DLPACK_ASSERT(offsetof(tarn_dlpack_tensor, rank) == 16);
TARN_DLPACK_ASSERT(offsetof(tarn_dlpack_tensor, type) == 20);
TARN_DLPACK_ASSERT(offsetof(tarn_dlpack_tensor, dims) == 24);
TARN_DLPACK_ASSERT(offsetof(tarn_dlpack_tensor, strides) == 32);
TARN_DLPACK_ASSERT(offsetof(tarn_dlpack_tensor, byte_offset) == 40);
TARN_DLPACK_ASSERT(sizeof(tarn_dlpack_managed) == 64);
TARN_DLPACK_ASSERT(offsetof(tarn_dlpack_managed, tensor) == 0);
TARN_DLPACK_ASSERT(offsetof(tarn_dlpack_managed, context) == 48);
TARN_DLPACK_ASSERT(offsetof(tarn_dlpack_managed, deleter) == 56);
TARN_DLPACK_ASSERT(sizeof(tarn_dlpack_versioned) == 80);
TARN_DLPACK_ASSERT(offsetof(tarn_dlpack_versioned, version) == 0);
TARN_DLPACK_ASSERT(offsetof(tarn_dlpack_versioned, context) == 8);
TARN_DLPACK_ASSERT(offsetof(tarn_dlpack_versioned, deleter) == 16);
TARN_DLPACK_ASSERT(offsetof(tarn_dlpack_versioned, flags) == 24);
TARN_DLPACK_ASSERT(offsetof(tarn_dlpack_versioned, tensor) == 32);
TARN_DLPACK_ASSERT(sizeof(tarn_dlpack_exchange) == 56);
TARN_DLPACK_ASSERT(offsetof(tarn_dlpack_exchange, version) == 0);
TARN_DLPACK_ASSERT(offsetof(tarn_dlpack_exchange, previous) == 8);
TARN_DLPACK_ASSERT(offsetof(tarn_dlpack_exchange, allocate) == 16);
TARN_DLPACK_ASSERT(offsetof(tarn_dlpack_exchange, from_object) == 24);
TARN_DLPACK_ASSERT(offsetof(tarn_dlpack_exchange, to_object) == 32);
TARN_DLPACK_ASSERT(offsetof(tarn_dlpack_exchange, look) == 40);
TARN_DLPACK_ASSERT(offsetof(tarn_dlpack_exchange, current_stream) == 48);
#endif

TARN_END_DECLARATIONS

#endif
