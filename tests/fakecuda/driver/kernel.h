/* Kernels that run on the host. */
#ifndef FAKECUDA_KERNEL_H
#define FAKECUDA_KERNEL_H

CUresult kernel_run(fake_operation *operation);
void kernel_end(fake_operation *operation);
bool kernel_uses(const fake_operation *operation, CUdeviceptr start, size_t size);

#endif
