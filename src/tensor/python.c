/* Tensors of a Python package: the end of capsules, and DLPack's exchange table.
 *
 * The interpreter's functions are handed over once and kept for the process, since the table's functions have no context: there is one
 * interpreter's library in a process. Memory that others ask for comes from an allocator of the device that was asked for last, which is kept. */
#include <tarn/python.h>

#include <pthread.h>
#include <stdbool.h>

#include "base/status.h"
#include "base/structure.h"
#include "tensor/dlpack.h"

static tarn_python attached;

/* Objects. */

/* -1, with the exception set unless there is one already. */
static int raise_failure(const char *sentence) {
    if (attached.error_occurred() == NULL) attached.error_set(attached.error, sentence);
    return -1;
}

/* Borrowed from the object; NULL with an exception. */
static tarn_tensor *tensor_of(void *object) {
    void *integer = attached.object_get_attribute(object, attached.attribute);
    if (integer == NULL) return NULL;
    tarn_tensor *tensor = attached.integer_as_pointer(integer);
    attached.object_release(integer);
    if (tensor == NULL) raise_failure("the tensor was released");
    return tensor;
}

static int look(void *object, tarn_dlpack_tensor *out_tensor) {
    tarn_tensor *tensor = tensor_of(object);
    if (tensor == NULL) return -1;
    return tarn_tensor_as_dlpack(tensor, out_tensor) == TARN_OK ? 0 : raise_failure(tarn_last_error());
}

static int from_object(void *object, tarn_dlpack_versioned **out_versioned) {
    tarn_tensor *tensor = tensor_of(object);
    if (tensor == NULL) return -1;
    tarn_status status = tarn_tensor_to_dlpack_versioned(tensor, 0, out_versioned);
    return status == TARN_OK ? 0 : raise_failure(tarn_last_error());
}

static int to_object(tarn_dlpack_versioned *versioned, void **out_object) {
    tarn_tensor *tensor;
    if (tarn_tensor_from_dlpack_versioned(versioned, &tensor) != TARN_OK) {
        raise_failure(tarn_last_error());
        if (versioned != NULL && versioned->deleter != NULL) versioned->deleter(versioned);
        return -1;
    }
    void *object = attached.call(attached.make_tensor, "n", (ptrdiff_t)tensor);
    if (object == NULL) {
        tarn_tensor_release(tensor);
        return -1;
    }
    *out_object = object;
    return 0;
}

static int current_stream(int32_t device_type, int32_t device_number, void **out_stream) {
    (void)device_type, (void)device_number;
    *out_stream = NULL;
    return 0;
}

/* Memory for others. May be called without the interpreter's lock. */

/* A leaf: no lock is taken with it held, so that it has no place in an order with those that a fork takes. */
static pthread_mutex_t keeping = PTHREAD_MUTEX_INITIALIZER;
static tarn_allocator *kept; /* protected by `keeping` */

static void before_fork(void) { pthread_mutex_lock(&keeping); }
static void after_fork(void) { pthread_mutex_unlock(&keeping); }

/* Where there is no memory for that, a fork is as unsafe as everywhere else in a program without memory. */
static void watch_keeping(void) { (void)pthread_atfork(before_fork, after_fork, after_fork); }

static tarn_allocator *find_kept(const tarn_device *device) {
    pthread_mutex_lock(&keeping);
    bool is_fit = kept != NULL && tarn_allocator_device(kept) == device;
    tarn_allocator *found = is_fit ? tarn_allocator_retain(kept) : NULL;
    pthread_mutex_unlock(&keeping);
    return found;
}

/* An allocator of the device; the caller owns one reference. */
static tarn_status take_allocator(tarn_device *device, tarn_allocator **out_allocator) {
    *out_allocator = find_kept(device);
    if (*out_allocator != NULL) return TARN_OK;
    tarn_status status = tarn_allocator_create(device, NULL, out_allocator);
    if (status != TARN_OK) return status;
    pthread_mutex_lock(&keeping);
    tarn_allocator *before = kept;
    kept = tarn_allocator_retain(*out_allocator);
    pthread_mutex_unlock(&keeping);
    return tarn_allocator_release(before);
}

static tarn_status make(const tarn_dlpack_tensor *prototype, tarn_dlpack_versioned **out_versioned) {
    tarn_element_type type;
    tarn_shape shape;
    tarn_device *device;
    tarn_allocator *allocator = NULL;
    tarn_tensor *tensor = NULL;
    tarn_status status = dlpack_find_type(prototype->type, &type);
    if (status == TARN_OK) status = dlpack_read_shape(prototype, &shape);
    if (status == TARN_OK) status = dlpack_open_device(prototype->device, &device);
    if (status != TARN_OK) return status;
    status = take_allocator(device, &allocator);
    if (status == TARN_OK) status = tarn_tensor_empty(allocator, &shape, type, NULL, &tensor);
    if (status == TARN_OK) status = tarn_tensor_to_dlpack_versioned(tensor, 0, out_versioned);
    tarn_tensor_release(tensor);
    tarn_allocator_release(allocator);
    tarn_device_release(device);
    return status;
}

static int allocate(tarn_dlpack_tensor *prototype, tarn_dlpack_versioned **out_versioned, void *error_context,
                    void (*set_error)(void *error_context, const char *exception, const char *sentence)) {
    tarn_status status = make(prototype, out_versioned);
    if (status == TARN_OK) return 0;
    bool is_short = status == TARN_OUT_OF_MEMORY || status == TARN_LIMIT_EXCEEDED;
    set_error(error_context, is_short ? "MemoryError" : "BufferError", tarn_last_error());
    return -1;
}

/* What the package calls. */

static const tarn_dlpack_exchange exchange = {
    .version = {TARN_DLPACK_MAJOR_VERSION, TARN_DLPACK_MINOR_VERSION},
    .allocate = allocate,
    .from_object = from_object,
    .to_object = to_object,
    .look = look,
    .current_stream = current_stream,
};

tarn_status tarn_python_attach(const tarn_python *python, const tarn_dlpack_exchange **out_exchange) {
    tarn_python read;
    tarn_status status = base_read_structure("the functions of Python", python, &read, sizeof read);
    if (status != TARN_OK) return status;
    bool is_whole = read.capsule_is_valid != NULL && read.capsule_get_pointer != NULL &&
                    read.object_get_attribute != NULL && read.object_release != NULL &&
                    read.integer_as_pointer != NULL && read.call != NULL && read.error_occurred != NULL &&
                    read.error_set != NULL && read.error != NULL && read.make_tensor != NULL && read.attribute != NULL;
    if (!is_whole || out_exchange == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s is NULL",
                         is_whole ? "the place for the exchange table" : "one of the functions and objects of Python");
    }
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_keeping);
    attached = read;
    *out_exchange = &exchange;
    return TARN_OK;
}

void tarn_python_end_capsule(void *capsule) {
    if (attached.capsule_is_valid(capsule, "dltensor")) {
        tarn_dlpack_managed *managed = attached.capsule_get_pointer(capsule, "dltensor");
        if (managed->deleter != NULL) managed->deleter(managed);
    } else if (attached.capsule_is_valid(capsule, "dltensor_versioned")) {
        tarn_dlpack_versioned *versioned = attached.capsule_get_pointer(capsule, "dltensor_versioned");
        if (versioned->deleter != NULL) versioned->deleter(versioned);
    }
}
