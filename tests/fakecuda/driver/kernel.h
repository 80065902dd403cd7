/* Kernels that run on the host. */
#ifndef FAKECUDA_KERNEL_H
#define FAKECUDA_KERNEL_H

CUresult kernel_run(fake_operation *operation);
void kernel_end(fake_operation *operation);
bool kernel_uses(const fake_operation *operation, CUdeviceptr start, size_t size);
/* Gives a copied operation its own copy of the parameters. */
void kernel_copy_parameters(fake_operation *operation);
/* What a node's parameters mean. */
CUresult kernel_of(const CUDA_KERNEL_NODE_PARAMS *parameters, fake_operation *out);
void modules_reset(void);

#endif
