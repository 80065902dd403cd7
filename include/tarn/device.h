/* Devices and the backends that drive them.
 *
 * A device is named by text: "cpu", "sim:80GiB,lag=10ms", later "cuda:0". What stands before the colon is the
 * backend: a built-in one, or a shared object. Those that the environment variable TARN_BACKEND_PATH lists (files, and folders with files
 * libtarn-*.so, with colons between them) are loaded when Tarn is first used, and those in the folder "tarn-backends" beside the library. The same name gives the same device in every thread, as long as somebody holds it. All functions may be
 * called from any thread. */
#ifndef TARN_DEVICE_H
#define TARN_DEVICE_H

#include <tarn/backend.h>

TARN_BEGIN_DECLARATIONS

typedef struct tarn_device tarn_device;
typedef struct tarn_stream tarn_stream;

typedef struct tarn_backend_info {
    size_t struct_size;
    const char *name; /* lives as long as the process */
    tarn_device_type type;
    int device_count;          /* 0 where unavailable */
    int is_available;          /* 0 or 1 */
    const char *reason;        /* why it is unavailable, "" otherwise; lives as long as the process */
    const char *shared_object; /* the file it was loaded from, "" when built in or registered */
} tarn_backend_info;

/* Adds a backend. The table must live as long as the process. ALREADY_EXISTS when the name is taken,
 * INVALID_ARGUMENT for another ABI version or a missing function (the sentence names it). A backend whose `start` fails is
 * added all the same, as unavailable. */
TARN_API tarn_status tarn_backend_register(const tarn_backend *backend);

/* Loads the shared object `path` and registers its table. UNAVAILABLE when the file cannot be opened or is for another
 * machine; INVALID_ARGUMENT when it exports no table, or one of another ABI version, or one with a function missing:
 * it is then closed again. */
TARN_API tarn_status tarn_backend_load(const char *path);

/* Finds a backend by name. NOT_FOUND. */
TARN_API tarn_status tarn_backend_find(const char *name, tarn_backend_info *out_info);

/* Calls `visit` for each backend in the order of registration, until it returns non-zero. `visit` may call Tarn. */
TARN_API tarn_status tarn_backend_each(int (*visit)(void *context, const tarn_backend_info *info), void *context);

/* Opens the device of that name, or retains the one already open. Caller owns one reference.
 * INVALID_ARGUMENT for a malformed name, NOT_FOUND for an unknown backend or device, UNAVAILABLE with the backend's reason. */
TARN_API tarn_status tarn_device_open(const char *name, tarn_device **out_device);
TARN_API tarn_device *tarn_device_retain(tarn_device *device);
/* Drops one reference; the last one synchronises and closes the device. NULL is allowed. */
TARN_API tarn_status tarn_device_release(tarn_device *device);

TARN_API const char *tarn_device_name(const tarn_device *device);
TARN_API tarn_device_type tarn_device_type_of(const tarn_device *device);
/* The caller sets `out_properties->struct_size`; a smaller structure than this header's is filled as far as it goes. */
TARN_API tarn_status tarn_device_properties_get(tarn_device *device, tarn_device_properties *out_properties);
/* Blocks until all work on all its streams has finished, and reports what failed in it. */
TARN_API tarn_status tarn_device_synchronize(tarn_device *device);
/* The stream that stands for NULL wherever a stream is asked for. Borrowed: lives as long as the device. */
TARN_API tarn_stream *tarn_device_default_stream(tarn_device *device);

/* What has reached the driver since the device was opened. Mapping and creating count each granule. */
typedef struct tarn_device_counters {
    size_t struct_size;
    uint64_t driver_allocs; /* memory_allocate, and granules created */
    uint64_t driver_frees;  /* memory_free, and granules released */
    uint64_t driver_maps;
    uint64_t driver_unmaps;
    uint64_t device_waits; /* times the host had to wait for the device */
    uint64_t device_wait_ns;
    uint64_t memory_in_use; /* bytes of physical memory held now, all kinds */
    uint64_t memory_peak;   /* bytes, the most ever held at once */
} tarn_device_counters;

TARN_API tarn_status tarn_device_counters_get(tarn_device *device, tarn_device_counters *out_counters);

/* Peers: access of one device to the memory of another one.
 *
 * Writes 1 where work of `device` can be given access to the memory of `owner`, else 0: for devices of two backends, and where the
 * hardware has no way. A device reaches itself. INVALID_ARGUMENT: something is NULL. */
TARN_API tarn_status tarn_device_can_access(tarn_device *device, tarn_device *owner, int *out_can);
/* From now on work on streams of `device` may read and write the memory of `owner` at the addresses that it has there: what is
 * allocated or mapped now, and what will be. Enabling again changes nothing. Neither device keeps the other open: access ends when either
 * closes, or by disabling it. NOT_SUPPORTED where tarn_device_can_access answers 0; the driver's own refusal as it is. */
TARN_API tarn_status tarn_device_enable_peer(tarn_device *device, tarn_device *owner);
/* Ends that. No work of `device` uses the memory any more. INVALID_STATE when it was not enabled; where the driver fails,
 * access counts as ended all the same. */
TARN_API tarn_status tarn_device_disable_peer(tarn_device *device, tarn_device *owner);

/* The context of the driver behind the device, for other libraries: a CUcontext for CUDA, a cl_context for OpenCL. Borrowed: it lives as
 * long as the device is open. NOT_SUPPORTED for a device that has none, such as cpu. */
TARN_API tarn_status tarn_device_native(tarn_device *device, void **out_native);

TARN_END_DECLARATIONS

#endif
