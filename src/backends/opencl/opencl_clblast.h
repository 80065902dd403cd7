/* Products by CLBlast, where it is there. */
#ifndef OPENCL_CLBLAST_H
#define OPENCL_CLBLAST_H

#include "backends/opencl/opencl_product.h"

/* Whether the library can be used; else *out_reason says why not, and stays valid. */
bool opencl_clblast_is_there(const char **out_reason);
/* Enqueues the product, without bias and activation, where the device uses the library and that takes operands of this form: *out_is_done. */
tarn_status opencl_clblast_run(const opencl_product *product, bool *out_is_done);
/* The library lets go of the kernels that it has compiled for the device. */
void opencl_clblast_end(const tarn_backend_device *device);

#endif
