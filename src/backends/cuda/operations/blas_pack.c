/* Copying a product's operands into a layout that cuBLASLt takes: row-major matrices one after the other. What serves many matrices is
 * copied once. */
#include "backends/cuda/operations/blas_pack.h"

/* Bytes of all copies: a graph keeps them for each of its products. */
#define MOST_BYTES ((size_t)64 << 20)
/* Where a copy begins: a multiple of so many bytes. */
#define ALIGNMENT ((size_t)256)

/* The copy's strides, and how many elements it has. False: too many. */
static bool plan_strides(tarn_operand *operand, size_t *out_bytes) {
    int64_t extent = 1;
    for (uint32_t d = operand->rank; d-- > 0;) {
        bool is_shared = operand->strides[d] == 0 && d + 2 < operand->rank;
        operand->strides[d] = is_shared ? 0 : extent;
        if (!is_shared && __builtin_mul_overflow(extent, operand->dims[d], &extent)) return false;
    }
    return !__builtin_mul_overflow((size_t)extent, tarn_element_size(operand->type), out_bytes) &&
           *out_bytes <= MOST_BYTES;
}

bool blas_pack_plan(const tarn_backend_operation *product, unsigned which, blas_pack *out_pack) {
    const uint32_t count = product->output_count + product->input_count;
    *out_pack = (blas_pack){.operation = *product};
    for (uint32_t i = 0; i < count; i++) {
        tarn_operand *operand = &out_pack->operands[i];
        size_t bytes;
        *operand = product->operands[i];
        out_pack->is_copied[i] = i > 0 && i < 3 && (which >> (i - 1) & 1) != 0;
        if (!out_pack->is_copied[i]) continue;
        if (!plan_strides(operand, &bytes)) return false;
        operand->data = (void *)(uintptr_t)ALIGNMENT; /* as scratch memory is aligned */
        out_pack->offsets[i] = out_pack->size;
        out_pack->size += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
    return out_pack->size <= MOST_BYTES;
}

static tarn_status enqueue_copy(const cuda_task *task, const tarn_operand *to, const tarn_operand *from) {
    tarn_operand operands[2] = {*to, *from};
    for (uint32_t d = 0; d + 2 < to->rank; d++)
        if (to->strides[d] == 0) operands[0].dims[d] = operands[1].dims[d] = 1;
    const tarn_step step = {.operation = TARN_OPERATION_COPY, .type = to->type};
    const uint16_t result = 0;
    const tarn_program program = {.step_count = 1, .steps = &step, .results = &result};
    const tarn_backend_operation operation = {.struct_size = sizeof operation,
                                              .operation = TARN_OPERATION_PROGRAM,
                                              .output_count = 1,
                                              .input_count = 1,
                                              .operands = operands,
                                              .program = &program};
    cuda_task next = *task;
    next.operation = &operation;
    return cuda_program_enqueue(&next);
}

tarn_status blas_pack_enqueue(const cuda_task *task, blas_pack *pack, char *scratch) {
    tarn_status status = TARN_OK;
    pack->operation.operands = pack->operands;
    for (unsigned i = 0; i < 4 && status == TARN_OK; i++) {
        if (!pack->is_copied[i]) continue;
        pack->operands[i].data = scratch + pack->offsets[i];
        status = enqueue_copy(task, &pack->operands[i], &task->operation->operands[i]);
    }
    return status;
}
