/* Computing on the host's processors. Everything here runs on the calling thread and the pool's (threads.h), gets validated operations, and has
 * finished when it returns; a status other than OK has its sentence kept. */
#ifndef CPU_COMPUTE_H
#define CPU_COMPUTE_H

#include <tarn/backend.h>

/* Executes any operation. OUT_OF_MEMORY; INVALID_ARGUMENT for a number out of range in a gather, after the rest was computed. */
tarn_status cpu_compute_run(const tarn_backend_operation *operation);

/* Frees what is kept between operations and not in use. */
void cpu_compute_trim(void);

/* One for each sort of operation, as above. */
tarn_status cpu_program_run(const tarn_backend_operation *operation);
tarn_status cpu_matmul_run(const tarn_backend_operation *operation);
tarn_status cpu_conv2d_run(const tarn_backend_operation *operation);
tarn_status cpu_max_pool2d_run(const tarn_backend_operation *operation);
tarn_status cpu_softmax_run(const tarn_backend_operation *operation);
tarn_status cpu_layer_norm_run(const tarn_backend_operation *operation);
tarn_status cpu_gather_run(const tarn_backend_operation *operation);

#endif
