/* Objects of the driver that other libraries made, or are to use: streams that are adopted, and what stands behind streams and
 * devices. */
#include "base/status.h"
#include "hal/call.h"

tarn_status tarn_stream_native(tarn_stream *stream, void **out_native) {
    if (stream == NULL || out_native == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "the stream or the place for the driver's own is NULL");
    }
    tarn_device *device = stream->device;
    tarn_status status = hal_device_check(device);
    if (status != TARN_OK) return status;
    if (device->table->stream_native == NULL) {
        return base_fail(TARN_NOT_SUPPORTED, "%s: there is no driver's stream behind one of its streams", device->name);
    }
    return HAL_CALL(device, stream_native, stream->handle, out_native);
}

tarn_status tarn_device_native(tarn_device *device, void **out_native) {
    if (device == NULL || out_native == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "the device or the place for the driver's own is NULL");
    }
    tarn_status status = hal_device_check(device);
    if (status != TARN_OK) return status;
    if (device->table->device_native == NULL) {
        return base_fail(TARN_NOT_SUPPORTED, "%s: there is no driver's context behind the device", device->name);
    }
    return HAL_CALL(device, device_native, out_native);
}
