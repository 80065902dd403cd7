/* Contexts: one for each device, the primary one, retained and released; which of them each thread works with; and the errors that
 * make one useless. */
#include "state.h"

#include "capture.h"

#include <string.h>

enum { DEEPEST = 64 };
static _Thread_local struct {
    unsigned long long generation; /* of the driver; an older one's contexts are gone */
    size_t depth;
    CUcontext stack[DEEPEST];
} mine;

static void refresh(void) {
    if (mine.generation == the_driver.generation) return;
    mine.generation = the_driver.generation;
    mine.depth = 0;
}

fake_context *context_current(void) {
    refresh();
    return mine.depth > 0 ? handle_peek(HANDLE_CONTEXT, mine.stack[mine.depth - 1]) : NULL;
}

fake_context *context_of(CUcontext handle) { return handle_object(HANDLE_CONTEXT, handle); }

bool context_reaches(const fake_context *context, int device) {
    return context->on->ordinal == device || (context->peers >> device & 1) != 0;
}

bool is_sticky(CUresult error) {
    switch (error) {
    case CUDA_ERROR_ECC_UNCORRECTABLE:
    case CUDA_ERROR_NVLINK_UNCORRECTABLE:
    case CUDA_ERROR_ILLEGAL_ADDRESS:
    case CUDA_ERROR_LAUNCH_TIMEOUT:
    case CUDA_ERROR_ASSERT:
    case CUDA_ERROR_HARDWARE_STACK_ERROR:
    case CUDA_ERROR_ILLEGAL_INSTRUCTION:
    case CUDA_ERROR_MISALIGNED_ADDRESS:
    case CUDA_ERROR_INVALID_ADDRESS_SPACE:
    case CUDA_ERROR_INVALID_PC:
    case CUDA_ERROR_LAUNCH_FAILED:
    case CUDA_ERROR_EXTERNAL_DEVICE: return true;
    default: return false;
    }
}

void context_lose(fake_context *context, CUresult error) {
    if (context->lost == CUDA_SUCCESS) context->lost = error;
}

CUresult context_result(fake_context *context) {
    if (context->lost != CUDA_SUCCESS) return context->lost;
    CUresult deferred = context->deferred;
    context->deferred = CUDA_SUCCESS;
    if (is_sticky(deferred)) context_lose(context, deferred);
    return deferred;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *out, CUdevice ordinal) {
    ENTER(cuDevicePrimaryCtxRetain);
    if (out == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    fake_device *device = device_at(ordinal);
    if (device == NULL) LEAVE(CUDA_ERROR_INVALID_DEVICE);
    fake_context *primary = &device->primary;
    if (primary->retained++ == 0) {
        primary->handle = handle_make(HANDLE_CONTEXT, primary);
        primary->legacy = stream_make(primary, 0, 0);
        primary->legacy->is_legacy = true;
    }
    *out = primary->handle;
    LEAVE(CUDA_SUCCESS);
}

/* The last release ends the context and all that belongs to it; what the program still had is a leak, and is counted as one
 * violation. */
static void end_context(fake_context *ended) {
    tasks_wait_all(ended);
    size_t leaked = 0;
    while (ended->streams != NULL) {
        leaked += !ended->streams->is_legacy && !ended->streams->is_per_thread;
        stream_end(ended->streams);
    }
    size_t count;
    fake_range **ranges = range_list(&count);
    for (size_t i = count; i-- > 0;) {
        if (ranges[i]->owner != ended) continue;
        leaked++;
        range_end(ranges[i]);
        ranges = range_list(&count);
    }
    if (leaked > 0) violation("a context ends with %zu streams and allocations that were not freed", leaked);
    handle_end(ended->handle);
    ended->handle = NULL;
    ended->legacy = NULL;
    ended->peers = 0;
    ended->lost = ended->deferred = CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease_v2(CUdevice ordinal) {
    ENTER(cuDevicePrimaryCtxRelease_v2);
    fake_device *device = device_at(ordinal);
    if (device == NULL) LEAVE(CUDA_ERROR_INVALID_DEVICE);
    if (device->primary.retained == 0)
        LEAVE(VIOLATION(CUDA_ERROR_INVALID_CONTEXT, "the primary context of device %d is not retained", ordinal));
    if (--device->primary.retained == 0) end_context(&device->primary);
    LEAVE(CUDA_SUCCESS);
}

CUresult cuDevicePrimaryCtxGetState(CUdevice ordinal, unsigned int *flags, int *active) {
    ENTER(cuDevicePrimaryCtxGetState);
    if (flags == NULL || active == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    const fake_device *device = device_at(ordinal);
    if (device == NULL) LEAVE(CUDA_ERROR_INVALID_DEVICE);
    *flags = device->primary.flags;
    *active = device->primary.retained > 0;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuDevicePrimaryCtxSetFlags_v2(CUdevice ordinal, unsigned int flags) {
    ENTER(cuDevicePrimaryCtxSetFlags_v2);
    fake_device *device = device_at(ordinal);
    if (device == NULL) LEAVE(CUDA_ERROR_INVALID_DEVICE);
    if (flags > 0xff) LEAVE(CUDA_ERROR_INVALID_VALUE);
    device->primary.flags = flags;
    LEAVE(CUDA_SUCCESS);
}

static CUresult push(CUcontext handle) {
    refresh();
    if (context_of(handle) == NULL) return CUDA_ERROR_INVALID_CONTEXT;
    if (mine.depth == DEEPEST) return VIOLATION(CUDA_ERROR_INVALID_VALUE, "%d contexts are pushed", DEEPEST);
    mine.stack[mine.depth++] = handle;
    return CUDA_SUCCESS;
}

CUresult cuCtxPushCurrent_v2(CUcontext handle) {
    ENTER(cuCtxPushCurrent_v2);
    LEAVE(push(handle));
}

static void pop(void) {
    mine.depth--;
    memset(&mine.stack[mine.depth], 0, sizeof mine.stack[0]);
}

CUresult cuCtxPopCurrent_v2(CUcontext *out) {
    ENTER(cuCtxPopCurrent_v2);
    refresh();
    if (mine.depth == 0) LEAVE(VIOLATION(CUDA_ERROR_INVALID_CONTEXT, "no context is pushed"));
    if (out != NULL) *out = mine.stack[mine.depth - 1];
    pop();
    LEAVE(CUDA_SUCCESS);
}

CUresult cuCtxSetCurrent(CUcontext handle) {
    ENTER(cuCtxSetCurrent);
    refresh();
    if (handle != NULL && context_of(handle) == NULL) LEAVE(CUDA_ERROR_INVALID_CONTEXT);
    if (mine.depth > 0) pop();
    LEAVE(handle != NULL ? push(handle) : CUDA_SUCCESS);
}

CUresult cuCtxGetCurrent(CUcontext *out) {
    ENTER(cuCtxGetCurrent);
    if (out == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    refresh();
    *out = mine.depth > 0 ? mine.stack[mine.depth - 1] : NULL;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuCtxGetDevice(CUdevice *out) {
    ENTER(cuCtxGetDevice);
    if (out == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    *out = context_current()->on->ordinal;
    LEAVE(CUDA_SUCCESS);
}

/* Of the handle's context, or of the current one for NULL. */
static fake_context *named_or_current(CUcontext handle) {
    return handle != NULL ? context_of(handle) : context_current();
}

CUresult cuCtxGetDevice_v2(CUdevice *out, CUcontext handle) {
    ENTER(cuCtxGetDevice_v2);
    if (out == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    const fake_context *context = named_or_current(handle);
    if (context == NULL) LEAVE(CUDA_ERROR_INVALID_CONTEXT);
    *out = context->on->ordinal;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuCtxGetFlags(unsigned int *flags) {
    ENTER(cuCtxGetFlags);
    if (flags == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    *flags = context_current()->flags;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuCtxGetId(CUcontext handle, unsigned long long *id) {
    ENTER(cuCtxGetId);
    if (id == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    const fake_context *context = named_or_current(handle);
    if (context == NULL) LEAVE(CUDA_ERROR_CONTEXT_IS_DESTROYED);
    *id = context->id;
    LEAVE(CUDA_SUCCESS);
}

static CUresult synchronize(fake_context *context) {
    if (context == NULL) return CUDA_ERROR_INVALID_CONTEXT;
    if (capture_of_context(context)) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    tasks_wait_all(context);
    pools_trim(context);
    return context_result(context);
}

CUresult cuCtxSynchronize(void) {
    ENTER(cuCtxSynchronize);
    LEAVE(synchronize(context_current()));
}

CUresult cuCtxSynchronize_v2(CUcontext handle) {
    ENTER(cuCtxSynchronize_v2);
    LEAVE(synchronize(named_or_current(handle)));
}

CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest) {
    ENTER(cuCtxGetStreamPriorityRange);
    if (least != NULL) *least = 0;
    if (greatest != NULL) *greatest = -5;
    LEAVE(CUDA_SUCCESS);
}

static CUresult change_peer(CUcontext handle, bool enable) {
    fake_context *from = context_current();
    const fake_context *to = context_of(handle);
    if (to == NULL || to == from) return CUDA_ERROR_INVALID_CONTEXT;
    if (!the_driver.settings.peers)
        return enable ? CUDA_ERROR_PEER_ACCESS_UNSUPPORTED : CUDA_ERROR_PEER_ACCESS_NOT_ENABLED;
    unsigned bit = 1u << to->on->ordinal;
    bool is_enabled = (from->peers & bit) != 0;
    if (enable && is_enabled) return CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED;
    if (!enable && !is_enabled) return CUDA_ERROR_PEER_ACCESS_NOT_ENABLED;
    from->peers ^= bit;
    return CUDA_SUCCESS;
}

CUresult cuCtxEnablePeerAccess(CUcontext peer, unsigned int flags) {
    ENTER(cuCtxEnablePeerAccess);
    LEAVE(flags != 0 ? CUDA_ERROR_INVALID_VALUE : change_peer(peer, true));
}

CUresult cuCtxDisablePeerAccess(CUcontext peer) {
    ENTER(cuCtxDisablePeerAccess);
    LEAVE(change_peer(peer, false));
}
