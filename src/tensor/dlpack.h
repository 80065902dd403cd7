/* What DLPack's descriptions mean in Tarn, for the files of the room. */
#ifndef TENSOR_DLPACK_H
#define TENSOR_DLPACK_H

#include <tarn/dlpack.h>

/* NOT_SUPPORTED: a type that Tarn lacks. */
tarn_status dlpack_find_type(tarn_dlpack_type wanted, tarn_element_type *out_type);
/* Opens the device that DLPack means; the caller owns one reference. NOT_SUPPORTED, and what opening answers. */
tarn_status dlpack_open_device(tarn_dlpack_device wanted, tarn_device **out_device);
/* INVALID_ARGUMENT: a rank or dimensions that no shape has. */
tarn_status dlpack_read_shape(const tarn_dlpack_tensor *described, tarn_shape *out_shape);

#endif
