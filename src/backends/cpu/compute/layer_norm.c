/* Layer norm: each thread takes rows, which are all elements of the last dimensions. */
#include "backends/cpu/compute/compute.h"
#include "backends/cpu/compute/kernels.h"
#include "backends/cpu/compute/normalizing.h"
#include "backends/cpu/compute/places.h"
#include "backends/cpu/compute/threads.h"

/* Elements that are worth a thread of their own. */
#define LEAST_WORK ((size_t)16384)

typedef struct layer_norm {
    cpu_norm_rows rows; /* for the place 0 */
    uint32_t outer;     /* the dimensions of the places, as bits */
    const cpu_normalizing_functions *functions;
} layer_norm;

static void compute_rows(void *context, size_t begin, size_t end) {
    const layer_norm *work = context;
    cpu_norm_rows rows = work->rows;
    for (size_t number = begin; number < end; number++) {
        rows.source.offset = cpu_place(rows.source.operand, work->outer, number);
        rows.destination.offset = cpu_place(rows.destination.operand, work->outer, number);
        work->functions->norm_row(&rows);
    }
}

tarn_status cpu_layer_norm_run(const tarn_backend_operation *operation) {
    const tarn_operand *out = &operation->operands[0], *in = &operation->operands[1], *next = in + 1;
    const tarn_layer_norm_attributes *attributes = &operation->attributes.layer_norm;
    const cpu_normalizing *normalizing = cpu_kernels_get()->normalizing;
    uint32_t first_dim = in->rank - attributes->normalized_dims;
    uint32_t outer = ((uint32_t)1 << first_dim) - 1, all = ((uint32_t)1 << in->rank) - 1;
    layer_norm work = {
        .rows = {.count = cpu_place_count(in, all & ~outer),
                 .epsilon = attributes->epsilon,
                 .source = {.operand = in, .first_dim = first_dim},
                 .destination = {.operand = out, .first_dim = first_dim}},
        .outer = outer,
        .functions = in->type == TARN_ELEMENT_F64 ? &normalizing->doubles : &normalizing->floats,
    };
    if (attributes->has_weight) work.rows.weight.operand = next++;
    if (attributes->has_bias) work.rows.bias.operand = next;
    cpu_parallel(cpu_place_count(in, outer), LEAST_WORK / work.rows.count, compute_rows, &work);
    return TARN_OK;
}
