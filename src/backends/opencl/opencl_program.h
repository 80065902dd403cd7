/* Programs: what their kernels depend on, and the source of these. */
#ifndef OPENCL_PROGRAM_H
#define OPENCL_PROGRAM_H

#include "backends/opencl/opencl_compile.h"

/* Work-items of a group, where a kernel was written for a number. */
#define OPENCL_GROUP 64

/* Everything that the source of a program depends on. Sizes and strides do not belong to it. */
typedef struct opencl_form {
    const tarn_backend_operation *operation;
    bool is_linear; /* each operand is contiguous or one element; no reduction */
    uint32_t lanes; /* elements that a work-item computes side by side */
    bool
        keeps_lanes; /* of a reduction: they run along the last dimension that is kept, and else along the one that is reduced */
    uint32_t units;         /* the operands whose elements follow each other along the lanes, as bits */
    uint32_t spreads;       /* those with one element for all lanes */
    bool is_wide;           /* places need 64 bits */
    bool uses_index;        /* some step takes the element's place */
    bool has_far_space;     /* sizes and strides are too many for an argument, and lie in a buffer */
    uint32_t kept, reduced; /* dimensions that are kept and reduced; room for them, which may be more than there are */
    uint32_t group;         /* work-items that reduce together: 1 or as many as a group has */
    bool is_split;          /* several groups reduce one result, which `finish` puts together */
} opencl_form;

/* opencl_source.c */
void opencl_program_key(const opencl_form *form, opencl_text *out_key);
/* An opencl_writer whose context is a form. */
void opencl_program_write(const void *form, opencl_text *out_source);
/* Bytes that an accumulator of the reduction has in the device's memory. */
size_t opencl_program_accumulator_size(const opencl_form *form);
/* "f32", as the kernels call the type. */
const char *opencl_type_name(tarn_element_type type);
size_t opencl_type_size(tarn_element_type type);

/* opencl_steps.c */
/* The functions that the steps need besides those of prelude.cl and lanes.cl, behind which they stand. */
void opencl_steps_write_functions(const tarn_backend_operation *operation, opencl_text *out_source);
/* Emits `const v_… tN = …;` for each step, from the values inN, cN, tN and `index`. */
void opencl_steps_write(const tarn_backend_operation *operation, opencl_text *out_source);

/* opencl_program.c */
tarn_status opencl_program_run(tarn_backend_device *device, tarn_backend_stream *stream,
                               const tarn_backend_operation *operation);

/* opencl_neural.c: those that are no programs. */
tarn_status opencl_neural_run(tarn_backend_device *device, tarn_backend_stream *stream,
                              const tarn_backend_operation *operation);

/* opencl_operation.c */
extern const tarn_backend_operations opencl_operations;

#endif
