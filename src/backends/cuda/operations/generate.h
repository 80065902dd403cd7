/* Programs compiled for their steps: the source of a kernel for one form of program, whatever its sizes and constants are. */
#ifndef CUDA_OPERATIONS_GENERATE_H
#define CUDA_OPERATIONS_GENERATE_H

#include "backends/cuda/operations/space.h"

/* Elements that a thread reads at once at most. */
#define CUDA_MOST_LANES 8
/* How the elements of a pack lie, as in kernels/generated.cuh. */
typedef enum cuda_lies { CUDA_LIES_STILL, CUDA_LIES_SIDE_BY_SIDE, CUDA_LIES_APART } cuda_lies;

/* All that the source depends on; programs with equal forms have one kernel. Begins as zeros, so that forms are compared as bytes. */
typedef struct cuda_form {
    uint8_t output_count, operand_count, kept_rank, rank;
    uint8_t reduction; /* tarn_operation; COPY: none */
    uint8_t lanes;     /* elements that a thread reads at once: a power of two */
    uint8_t is_wide;   /* numbers of elements take 64 bits */
    uint8_t step_count, constant_count;
    uint8_t types[CUDA_MOST_OPERANDS];
    uint8_t lies[CUDA_MOST_OPERANDS]; /* cuda_lies, along the last dimension */
    uint8_t constant_types[CUDA_MOST_CONSTANTS];
    uint8_t results[CUDA_MOST_OPERANDS]; /* steps */
    cuda_step steps[CUDA_MOST_STEPS];    /* whose values are registers of the interpreter */
} cuda_form;

/* The form of a program that cuda_program_make has made. `runs_along_kept`: neighbouring threads of a reduction have neighbouring outputs. */
void cuda_form_make(const cuda_program *program, const tarn_program *original, bool runs_along_kept,
                    cuda_form *out_form);
/* The source of the form's kernel, tarn_generated, with a zero at its end; from base_allocate. NULL: no host memory. Its parameters are a
 * cuda_space, cuda_constants and, with a reduction, a cuda_reduction. */
char *cuda_form_write(const cuda_form *form);

#endif
