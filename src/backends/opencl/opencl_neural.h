/* The operations that are no programs: their kernels are texts in kernels/, which a form chooses and fills in. */
#ifndef OPENCL_NEURAL_H
#define OPENCL_NEURAL_H

#include "backends/opencl/opencl_program.h"

/* As in kernels/common.cl. */
#define OPENCL_WALK_OPERANDS 4

typedef struct opencl_walk {
    cl_long dims[TARN_MAXIMUM_RANK];
    cl_long strides[OPENCL_WALK_OPERANDS][TARN_MAXIMUM_RANK];
} opencl_walk;

typedef struct opencl_window {
    cl_long height, width, kernel[2], stride[2], padding[2], dilation[2];
} opencl_window;

/* What the source depends on. */
typedef struct opencl_neural_form {
    tarn_operation operation;
    tarn_element_type type, numbers; /* numbers: of a gather */
    const char *choices;             /* definitions of the operation's own, "" for none */
    const char *texts[3];            /* in kernels/, behind the common one; NULL for none */
} opencl_neural_form;

/* One call. */
typedef struct opencl_neural_call {
    tarn_backend_device *device;
    tarn_backend_stream *stream;
    const tarn_backend_operation *operation;
    opencl_neural_form form;
} opencl_neural_call;

/* The program of the call's form, compiled if it was not there. */
tarn_status opencl_neural_compile(const opencl_neural_call *call, opencl_compiled **out_compiled);
/* A walk of no dimension. */
opencl_walk opencl_walk_none(void);
/* The dimensions from `begin` to `end` become the last ones of the walk, with the strides of an operand in `place`. Returns how many
 * elements they have. */
int64_t opencl_walk_along(opencl_walk *inout_walk, int place, const tarn_operand *operand, uint32_t begin,
                          uint32_t end);

/* Makes one dimension of those through which one stride leads for each operand, and leaves out those of one element: what is walked stays the
 * same, in the same order. */
void opencl_walk_merge(opencl_walk *inout_walk);
/* The first kernel of the call's program, begun. */
tarn_status opencl_neural_begin(const opencl_neural_call *call, opencl_launch *out_launch);
/* The operands in `places` as the next arguments. */
void opencl_neural_operands(const opencl_neural_call *call, opencl_launch *launch, const int *places, int count);
/* How many work-items a group has, of `items` that have nothing to do with each other and `elements` each. */
size_t opencl_neural_group(const tarn_backend_device *device, int64_t items, int64_t elements);

/* opencl_rows.c */
tarn_status opencl_softmax_run(const opencl_neural_call *given);
tarn_status opencl_layer_norm_run(const opencl_neural_call *given);
/* opencl_product.c, opencl_convolution.c */
tarn_status opencl_matmul_run(const opencl_neural_call *given);
tarn_status opencl_conv2d_run(const opencl_neural_call *given_call);

#endif
