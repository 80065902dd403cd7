/* What reductions have in common: how many blocks share one, and how what those came to is added up. */
#ifndef CUDA_OPERATIONS_REDUCE_H
#define CUDA_OPERATIONS_REDUCE_H

#include "backends/cuda/operations/operations.h"

/* Blocks for each group of outputs at most, where `blocks` groups are computed, so that a multiprocessor has `per_unit` in all. */
long long cuda_reduction_slices(const tarn_backend_device *device, long long blocks, int per_unit);
/* Room for what slices come to, where there is more than one; NOT_SUPPORTED for more blocks than a grid has. */
tarn_status cuda_reduction_begin(const cuda_task *task, long long kept, long long blocks, unsigned slices,
                                 void **out_partial);
/* Adds up what the slices of each output came to, and writes it. */
tarn_status cuda_reduction_finish(const cuda_task *task, const cuda_space *space, tarn_operation operation,
                                  unsigned slices, void *partial);

/* fold.c: a reduction of one operand as it lies, by a kernel that is there before. False where the program is another. */
bool cuda_fold_enqueue(const cuda_task *task, const cuda_program *program, bool runs_along_kept,
                       tarn_status *out_status);

#endif
