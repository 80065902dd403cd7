/* Copies from one device to another. */
#include "tensor/copy.h"

#include "base/status.h"

tarn_status tensor_copy_between(tarn_tensor *destination, tarn_tensor *source, tarn_stream *stream) {
    (void)destination;
    return base_fail(TARN_NOT_SUPPORTED, "tensor_copy: from %s to %s", tarn_device_name(source->storage->device),
                     tarn_device_name(tarn_stream_device(stream)));
}
