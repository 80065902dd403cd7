/* What the driver answers, as a status and a sentence.
 *
 * The status is Tarn's own choice; the driver's name and number of the error stand in the sentence. Errors after which every call on the
 * device fails are DEVICE_LOST, which the hardware layer then says by itself, without calling the driver again. */
#include "backends/cuda/cuda_internal.h"

tarn_status cuda_status_of(driver_result result) {
    switch (result) {
    case DRIVER_SUCCESS: return TARN_OK;
    case DRIVER_ERROR_OUT_OF_MEMORY: return TARN_OUT_OF_MEMORY;
    case DRIVER_ERROR_INVALID_VALUE:
    case DRIVER_ERROR_INVALID_HANDLE: return TARN_INVALID_ARGUMENT;
    case DRIVER_ERROR_INVALID_DEVICE:
    case DRIVER_ERROR_NOT_FOUND: return TARN_NOT_FOUND;
    case DRIVER_ERROR_INVALID_IMAGE:
    case DRIVER_ERROR_NO_BINARY_FOR_GPU:
    case DRIVER_ERROR_INVALID_PTX:
    case DRIVER_ERROR_JIT_COMPILER_NOT_FOUND:
    case DRIVER_ERROR_UNSUPPORTED_PTX_VERSION:
    case DRIVER_ERROR_JIT_COMPILATION_DISABLED:
    case DRIVER_ERROR_INVALID_SOURCE:
    case DRIVER_ERROR_PEER_ACCESS_UNSUPPORTED:
    case DRIVER_ERROR_NOT_SUPPORTED: return TARN_NOT_SUPPORTED;
    case DRIVER_ERROR_NOT_INITIALIZED:
    case DRIVER_ERROR_DEINITIALIZED:
    case DRIVER_ERROR_STUB_LIBRARY:
    case DRIVER_ERROR_DEVICE_UNAVAILABLE:
    case DRIVER_ERROR_NO_DEVICE:
    case DRIVER_ERROR_SYSTEM_NOT_READY:
    case DRIVER_ERROR_SYSTEM_DRIVER_MISMATCH: return TARN_UNAVAILABLE;
    case DRIVER_ERROR_LAUNCH_OUT_OF_RESOURCES:
    case DRIVER_ERROR_TOO_MANY_PEERS: return TARN_LIMIT_EXCEEDED;
    case DRIVER_ERROR_INVALID_CONTEXT:
    case DRIVER_ERROR_ILLEGAL_STATE:
    case DRIVER_ERROR_NOT_PERMITTED:
    case DRIVER_ERROR_PEER_ACCESS_ALREADY_ENABLED:
    case DRIVER_ERROR_PEER_ACCESS_NOT_ENABLED:
    case DRIVER_ERROR_STREAM_CAPTURE_UNSUPPORTED:
    case DRIVER_ERROR_STREAM_CAPTURE_INVALIDATED:
    case DRIVER_ERROR_STREAM_CAPTURE_MERGE:
    case DRIVER_ERROR_STREAM_CAPTURE_UNMATCHED:
    case DRIVER_ERROR_STREAM_CAPTURE_UNJOINED:
    case DRIVER_ERROR_STREAM_CAPTURE_ISOLATION:
    case DRIVER_ERROR_STREAM_CAPTURE_IMPLICIT:
    case DRIVER_ERROR_CAPTURED_EVENT:
    case DRIVER_ERROR_STREAM_CAPTURE_WRONG_THREAD: return TARN_INVALID_STATE;
    case DRIVER_ERROR_NOT_READY: return TARN_BUSY;
    case DRIVER_ERROR_ECC_UNCORRECTABLE:
    case DRIVER_ERROR_NVLINK_UNCORRECTABLE:
    case DRIVER_ERROR_CONTAINED:
    case DRIVER_ERROR_ILLEGAL_ADDRESS:
    case DRIVER_ERROR_LAUNCH_TIMEOUT:
    case DRIVER_ERROR_CONTEXT_IS_DESTROYED:
    case DRIVER_ERROR_ASSERT:
    case DRIVER_ERROR_HARDWARE_STACK_ERROR:
    case DRIVER_ERROR_ILLEGAL_INSTRUCTION:
    case DRIVER_ERROR_MISALIGNED_ADDRESS:
    case DRIVER_ERROR_INVALID_ADDRESS_SPACE:
    case DRIVER_ERROR_INVALID_PC:
    case DRIVER_ERROR_LAUNCH_FAILED:
    case DRIVER_ERROR_TENSOR_MEMORY_LEAK:
    case DRIVER_ERROR_EXTERNAL_DEVICE: return TARN_DEVICE_LOST;
    default: return TARN_INTERNAL;
    }
}

/* Writes what the driver has to say about an error; errors that it does not know have a number alone. */
static void describe(driver_result result, const char **out_name, const char **out_text) {
    *out_name = NULL;
    *out_text = NULL;
    if (cuda_driver.cuGetErrorName(result, out_name) != DRIVER_SUCCESS || *out_name == NULL) *out_name = "error";
    if (cuda_driver.cuGetErrorString(result, out_text) != DRIVER_SUCCESS || *out_text == NULL)
        *out_text = "unknown to the driver";
}

tarn_status cuda_answer_failure(driver_result result, const char *call) {
    const char *name, *text;
    describe(result, &name, &text);
    return cuda_fail(cuda_status_of(result), "%s: %s (%d), %s", call, name, (int)result, text);
}

void cuda_report_leak(driver_result result, const char *call) {
    tarn_status status = cuda_status_of(result);
    if (status == TARN_OK || status == TARN_DEVICE_LOST || result == DRIVER_ERROR_DEINITIALIZED) return;
    const char *name, *text;
    describe(result, &name, &text);
    cuda_host->log(TARN_LOG_WARNING, "%s: %s (%d), %s; what it was to give back is lost", call, name, (int)result,
                   text);
}
