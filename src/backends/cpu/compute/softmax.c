/* Softmax: each thread takes rows along the axis. Where another dimension lies closer in memory, rows that are neighbours along that
 * one are computed side by side. */
#include "backends/cpu/compute/compute.h"
#include "backends/cpu/compute/kernels.h"
#include "backends/cpu/compute/normalizing.h"
#include "backends/cpu/compute/places.h"
#include "backends/cpu/compute/threads.h"

/* Elements that are worth a thread of their own. */
#define LEAST_WORK ((size_t)8192)

typedef struct softmax {
    const tarn_operand *out, *in;
    uint32_t axis, other; /* `other` is the dimension of rows side by side, or the axis where there is none */
    uint32_t outer;       /* the other dimensions, as bits */
    size_t blocks;        /* of rows side by side */
    const cpu_normalizing_functions *functions;
} softmax;

static void compute_block(const softmax *work, size_t number) {
    const tarn_operand *out = work->out, *in = work->in;
    int64_t column = (int64_t)(number % work->blocks) * CPU_SOFTMAX_COLUMNS;
    size_t place = number / work->blocks;
    int64_t in_offset = cpu_place(in, work->outer, place), out_offset = cpu_place(out, work->outer, place);
    cpu_softmax_rows rows = {.type = in->type,
                             .count = (size_t)in->dims[work->axis],
                             .columns = 1,
                             .source_step = in->strides[work->axis],
                             .destination_step = out->strides[work->axis]};
    if (work->other != work->axis) {
        int64_t left = in->dims[work->other] - column;
        rows.columns = left < CPU_SOFTMAX_COLUMNS ? (size_t)left : CPU_SOFTMAX_COLUMNS;
        rows.source_column = in->strides[work->other];
        rows.destination_column = out->strides[work->other];
        in_offset += column * rows.source_column;
        out_offset += column * rows.destination_column;
    }
    rows.source = cpu_element(in, in_offset);
    rows.destination = cpu_element(out, out_offset);
    if (work->other != work->axis) work->functions->softmax_columns(&rows);
    else work->functions->softmax_row(&rows);
}

static void compute_blocks(void *context, size_t begin, size_t end) {
    for (size_t number = begin; number < end; number++) compute_block(context, number);
}

/* A dimension of neighbours, where the axis is none; the axis where there is none such. */
static uint32_t find_other(const tarn_operand *in, uint32_t axis) {
    if (in->strides[axis] == 1) return axis;
    for (uint32_t i = in->rank; i-- > 0;)
        if (i != axis && in->strides[i] == 1 && in->dims[i] > 1) return i;
    return axis;
}

tarn_status cpu_softmax_run(const tarn_backend_operation *operation) {
    const tarn_operand *out = &operation->operands[0], *in = &operation->operands[1];
    const cpu_normalizing *normalizing = cpu_kernels_get()->normalizing;
    uint32_t axis = operation->attributes.softmax.axis;
    softmax work = {.out = out,
                    .in = in,
                    .axis = axis,
                    .other = find_other(in, axis),
                    .blocks = 1,
                    .functions = in->type == TARN_ELEMENT_F64 ? &normalizing->doubles : &normalizing->floats};
    size_t elements = (size_t)in->dims[axis];
    if (work.other != axis) {
        work.blocks = ((size_t)in->dims[work.other] + CPU_SOFTMAX_COLUMNS - 1) / CPU_SOFTMAX_COLUMNS;
        elements *= CPU_SOFTMAX_COLUMNS;
    }
    work.outer = ((uint32_t)1 << in->rank) - 1;
    work.outer &= ~((uint32_t)1 << axis | (uint32_t)1 << work.other);
    cpu_parallel(cpu_place_count(in, work.outer) * work.blocks, LEAST_WORK / elements, compute_blocks, &work);
    return TARN_OK;
}
