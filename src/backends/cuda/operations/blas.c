/* Matrix products by cuBLASLt.
 *
 * It knows matrices of which one dimension's elements lie side by side, those of columns as it sees them. A row-major matrix is to it the
 * transposed one, so it is asked for outᵀ = bᵀ × aᵀ, and each operand is given as it lies, transposed or not. One row of biases for all rows
 * is its epilogue; a bias of the result's shape is what the product is added to. An operand in a layout that it has no name for is copied into
 * scratch memory first, where each element is used often. Sigmoid and tanh follow as a program. F32 is computed
 * without TF32. */
#include "backends/cuda/operations/blas.h"

#include <stdio.h>
#include <string.h>

#include "backends/cuda/operations/blas_library.h"
#include "backends/cuda/operations/blas_pack.h"
#include "backends/cuda/operations/recent.h"
#include "backends/cuda/operations/space.h"
#include "base/memory.h"

/* Bytes of scratch memory that an algorithm may use, by cuBLAS's own recommendation: the same in graphs and outside, so that the same one is
 * chosen. */
#define WORKSPACE ((size_t)4 << 20)
#define WORKSPACE_FROM_HOPPER_ON ((size_t)32 << 20)

/* Bytes: no algorithm asks for more, and this is what the driver's own allocations have. */
#define MOST_ALIGNED ((size_t)256)

/* Elements of the product's other sides from which on an operand that the library does not take is copied for it. */
#define WORTH_COPYING 64

/* All that a choice depends on; begins as zeros. */
typedef struct blas_form {
    int64_t rows, columns, inner, batches; /* m, n, k */
    int64_t leading[4], batch_strides[4];  /* of out, a, b and a bias that is a matrix */
    uint8_t transposed[4];                 /* as cuBLASLt sees a and b */
    uint8_t type, epilogue, adds_matrix;
    uint8_t unused[1];
    uint16_t alignments[4]; /* powers of two: bytes, up to MOST_ALIGNED; of the result, that of a row of biases too */
} blas_form;

/* What was chosen for a form. */
typedef struct remembered_choice {
    cuda_recent recent;
    blas_form form;
    blas_choice choice;
    bool is_possible;
} remembered_choice;

enum { OUT, A, B, BIAS };

static size_t workspace_of(const tarn_backend_device *device) {
    return device->major >= 9 ? WORKSPACE_FROM_HOPPER_ON : WORKSPACE;
}

static uint16_t alignment_of(const void *address) {
    size_t alignment = MOST_ALIGNED;
    while ((uintptr_t)address % alignment != 0) alignment /= 2;
    return (uint16_t)alignment;
}

/* Whether the matrix can be named by a leading dimension. */
static bool find_leading(blas_form *form, unsigned operand, int64_t rows, int64_t columns, int64_t row_stride,
                         int64_t column_stride) {
    bool is_row_major = (column_stride == 1 || columns == 1) && (row_stride >= columns || rows == 1);
    bool is_column_major = (row_stride == 1 || rows == 1) && (column_stride >= rows || columns == 1);
    if (is_row_major) form->leading[operand] = rows == 1 ? columns : row_stride;
    else if (is_column_major) form->leading[operand] = columns == 1 ? rows : column_stride;
    form->transposed[operand] = !is_row_major;
    return is_row_major || is_column_major;
}

/* The batch's dimensions of all operands as one; a product of many matrices with one is a product of two. */
static bool find_batch(const cuda_task *task, uint32_t count, blas_form *form) {
    const tarn_operand *operands = task->operation->operands;
    cuda_dims dims = {.operand_count = count};
    for (uint32_t d = 0; d + 2 < operands[OUT].rank; d++) {
        if (!cuda_dims_add(&dims, operands[OUT].dims[d])) continue;
        for (uint32_t i = 0; i < count; i++) dims.strides[i][dims.rank - 1] = operands[i].strides[d];
    }
    cuda_dims_merge(&dims, 0);
    if (dims.rank > 1) return false;
    form->batches = dims.rank == 1 ? dims.dims[0] : 1;
    for (uint32_t i = 0; i < count && dims.rank == 1; i++) {
        form->batch_strides[i] = dims.strides[i][0];
        if (form->batch_strides[i] < 0) return false;
    }
    return form->batches <= INT32_MAX;
}

static void join_batch(blas_form *form, uint32_t count) {
    if (form->batches == 1 || form->batch_strides[B] != 0 || form->transposed[A]) return;
    if (form->batch_strides[A] != form->rows * form->leading[A]) return;
    if (form->batch_strides[OUT] != form->rows * form->leading[OUT]) return;
    if (count > BIAS) return; /* its rows may be others in each matrix */
    form->rows *= form->batches;
    form->batches = 1;
    memset(form->batch_strides, 0, sizeof form->batch_strides);
}

/* A bias: a row for all rows of all matrices, or a matrix. */
static bool find_bias(const cuda_task *task, blas_form *form) {
    const tarn_operand *bias = &task->operation->operands[BIAS];
    int64_t row_stride = bias->strides[bias->rank - 2], column_stride = bias->strides[bias->rank - 1];
    bool is_row = (row_stride == 0 || form->rows == 1) && (column_stride == 1 || form->columns == 1) &&
                  form->batch_strides[BIAS] == 0;
    if (is_row) {
        form->epilogue |= BLAS_EPILOGUE_BIAS;
        return true;
    }
    form->adds_matrix = 1;
    return find_leading(form, BIAS, form->rows, form->columns, row_stride, column_stride) && !form->transposed[BIAS];
}

static bool is_half(tarn_element_type type) { return type == TARN_ELEMENT_F16 || type == TARN_ELEMENT_BF16; }

static bool find_form(const cuda_task *task, blas_form *form) {
    const tarn_matmul_attributes *attributes = &task->operation->attributes.matmul;
    const tarn_operand *operands = task->operation->operands;
    const uint32_t rank = operands[OUT].rank, count = attributes->has_bias ? 4 : 3;
    memset(form, 0, sizeof *form);
    form->rows = operands[OUT].dims[rank - 2];
    form->columns = operands[OUT].dims[rank - 1];
    form->inner = operands[A].dims[rank - 1];
    form->type = (uint8_t)operands[OUT].type;
    if (attributes->activation == TARN_OPERATION_RELU) form->epilogue |= BLAS_EPILOGUE_RELU;
    /* A half would be rounded before the function is computed. */
    else if (attributes->activation != TARN_OPERATION_COPY && is_half(operands[OUT].type)) return false;
    if (form->rows > INT32_MAX || form->columns > INT32_MAX || form->inner > INT32_MAX) return false;
    const int64_t shapes[3][2] = {{form->rows, form->columns}, {form->rows, form->inner}, {form->inner, form->columns}};
    for (uint32_t i = 0; i < 3; i++) {
        const int64_t *strides = operands[i].strides;
        if (!find_leading(form, i, shapes[i][0], shapes[i][1], strides[rank - 2], strides[rank - 1])) return false;
    }
    if (form->transposed[OUT] || !find_batch(task, count, form)) return false;
    if (attributes->has_bias && !find_bias(task, form)) return false;
    join_batch(form, count);
    if (form->rows > INT32_MAX) return false;
    for (uint32_t i = 0; i < count; i++) form->alignments[i] = alignment_of(operands[i].data);
    /* The library has no name for that of a row of biases, which is read as the result is written. */
    if ((form->epilogue & BLAS_EPILOGUE_BIAS) != 0 && form->alignments[BIAS] < form->alignments[OUT])
        form->alignments[OUT] = form->alignments[BIAS];
    return true;
}

/* What the library is told for one product; from make_call to end_call. */
typedef struct blas_call {
    blas_product product;
    blas_layout layouts[4];
    blas_preference preference;
    void *workspace; /* of `most` bytes; NULL: to be taken when it is known how much is needed */
    size_t most;     /* bytes of scratch memory that may be used */
} blas_call;

static void end_call(const blas_library *blas, blas_call *call) {
    if (call->product != NULL) blas->cublasLtMatmulDescDestroy(call->product);
    for (unsigned i = 0; i < 4; i++)
        if (call->layouts[i] != NULL) blas->cublasLtMatrixLayoutDestroy(call->layouts[i]);
    if (call->preference != NULL) blas->cublasLtMatmulPreferenceDestroy(call->preference);
}

static int make_layout(const blas_library *blas, const blas_form *form, unsigned operand, blas_layout *out_layout) {
    static const int types[] = {[TARN_ELEMENT_F32] = BLAS_F32,
                                [TARN_ELEMENT_F16] = BLAS_F16,
                                [TARN_ELEMENT_BF16] = BLAS_BF16,
                                [TARN_ELEMENT_F64] = BLAS_F64};
    int64_t rows = operand == B ? form->inner : form->rows, columns = operand == A ? form->inner : form->columns;
    bool is_turned = form->transposed[operand] != 0; /* columns lie side by side, as the library has them */
    int32_t batches = (int32_t)form->batches;
    int result = blas->cublasLtMatrixLayoutCreate(out_layout, types[form->type], (uint64_t)(is_turned ? rows : columns),
                                                  (uint64_t)(is_turned ? columns : rows), form->leading[operand]);
    if (result == BLAS_SUCCESS && batches > 1) {
        result = blas->cublasLtMatrixLayoutSetAttribute(*out_layout, BLAS_LAYOUT_BATCH_COUNT, &batches, sizeof batches);
        if (result != BLAS_SUCCESS) return result;
        result = blas->cublasLtMatrixLayoutSetAttribute(*out_layout, BLAS_LAYOUT_BATCH_STRIDE,
                                                        &form->batch_strides[operand], sizeof(int64_t));
    }
    return result;
}

static int make_product(const blas_library *blas, const blas_form *form, const void *bias, blas_product *out_product) {
    const int32_t transpose = BLAS_TRANSPOSE;
    const uint32_t epilogue = form->epilogue != 0 ? form->epilogue : BLAS_EPILOGUE_NONE;
    bool is_double = form->type == TARN_ELEMENT_F64;
    int result = blas->cublasLtMatmulDescCreate(out_product, is_double ? BLAS_COMPUTE_F64 : BLAS_COMPUTE_F32,
                                                is_double ? BLAS_F64 : BLAS_F32);
    /* Its first matrix is our second. */
    if (result == BLAS_SUCCESS && form->transposed[B])
        result =
            blas->cublasLtMatmulDescSetAttribute(*out_product, BLAS_PRODUCT_TRANSPOSE_A, &transpose, sizeof transpose);
    if (result == BLAS_SUCCESS && form->transposed[A])
        result =
            blas->cublasLtMatmulDescSetAttribute(*out_product, BLAS_PRODUCT_TRANSPOSE_B, &transpose, sizeof transpose);
    if (result == BLAS_SUCCESS)
        result = blas->cublasLtMatmulDescSetAttribute(*out_product, BLAS_PRODUCT_EPILOGUE, &epilogue, sizeof epilogue);
    if (result == BLAS_SUCCESS && (form->epilogue & BLAS_EPILOGUE_BIAS) != 0)
        result = blas->cublasLtMatmulDescSetAttribute(*out_product, BLAS_PRODUCT_BIAS, &bias, sizeof bias);
    return result;
}

static int make_preference(const blas_library *blas, const blas_form *form, size_t workspace,
                           blas_preference *out_preference) {
    const struct {
        int attribute;
        unsigned operand;
    } alignments[] = {{BLAS_PREFERENCE_ALIGNMENT_A, B},
                      {BLAS_PREFERENCE_ALIGNMENT_B, A},
                      {BLAS_PREFERENCE_ALIGNMENT_C, form->adds_matrix ? BIAS : OUT},
                      {BLAS_PREFERENCE_ALIGNMENT_D, OUT}};
    int result = blas->cublasLtMatmulPreferenceCreate(out_preference);
    if (result != BLAS_SUCCESS) return result;
    result = blas->cublasLtMatmulPreferenceSetAttribute(*out_preference, BLAS_PREFERENCE_WORKSPACE, &workspace,
                                                        sizeof workspace);
    for (size_t i = 0; i < sizeof alignments / sizeof alignments[0] && result == BLAS_SUCCESS; i++) {
        uint32_t alignment = form->alignments[alignments[i].operand];
        result = blas->cublasLtMatmulPreferenceSetAttribute(*out_preference, alignments[i].attribute, &alignment,
                                                            sizeof alignment);
    }
    return result;
}

static int make_call(const blas_library *blas, const blas_form *form, const void *bias, blas_call *call) {
    int result = make_product(blas, form, bias, &call->product);
    for (unsigned i = 0; i < (form->adds_matrix ? 4 : 3) && result == BLAS_SUCCESS; i++)
        result = make_layout(blas, form, i, &call->layouts[i]);
    if (result == BLAS_SUCCESS) result = make_preference(blas, form, call->most, &call->preference);
    return result;
}

static blas_layout added_layout(const blas_form *form, const blas_call *call) {
    return call->layouts[form->adds_matrix ? BIAS : OUT];
}

/* The choice for a form, asked for once. NULL: no host memory. The lock is held. */
static const remembered_choice *find_choice(const blas_library *blas, cuda_operations_state *state,
                                            const blas_form *form, const blas_call *call) {
    cuda_recent *forgotten;
    remembered_choice *found = (remembered_choice *)cuda_recent_find(
        &state->blas_choices, offsetof(remembered_choice, form), form, sizeof *form, &forgotten);
    /* Who uses one has a copy of it. */
    base_free(forgotten);
    if (found != NULL) return found;
    found = base_allocate(1, sizeof *found);
    if (found == NULL) return NULL;
    int count = 0;
    int result = blas->cublasLtMatmulAlgoGetHeuristic(state->blas, call->product, call->layouts[B], call->layouts[A],
                                                      added_layout(form, call), call->layouts[OUT], call->preference, 1,
                                                      &found->choice, &count);
    found->is_possible = result == BLAS_SUCCESS && count > 0 && found->choice.state == BLAS_SUCCESS;
    found->form = *form;
    cuda_recent_add(&state->blas_choices, &found->recent);
    return found;
}

/* Makes the device's handle. A device on which the library does not start is remembered, with the reason the first time. The lock is held. */
static void start(const blas_library *blas, cuda_operations_state *state, char *out_reason, size_t capacity) {
    if (state->blas != NULL || state->is_blas_refused) return;
    const int result = blas->cublasLtCreate(&state->blas);
    if (result == BLAS_SUCCESS) return;
    state->blas = NULL;
    state->is_blas_refused = true;
    snprintf(out_reason, capacity, "cublasLtCreate answers %d", result);
}

/* The algorithm for a form; false: there is none. */
static bool choose(const blas_library *blas, tarn_backend_device *device, const blas_form *form, const blas_call *call,
                   blas_choice *out_choice) {
    cuda_operations_state *state = device->operations;
    const remembered_choice *found = NULL;
    bool is_possible = false;
    char reason[64] = "";
    pthread_mutex_lock(&state->compiled_lock);
    start(blas, state, reason, sizeof reason);
    if (state->blas != NULL) found = find_choice(blas, state, form, call);
    if (found != NULL && found->is_possible) {
        *out_choice = found->choice;
        is_possible = true;
    }
    pthread_mutex_unlock(&state->compiled_lock);
    if (reason[0] != '\0') blas_library_say(reason);
    return is_possible;
}

static tarn_status enqueue_product(const blas_library *blas, const cuda_task *task, const blas_form *form,
                                   const blas_call *call, bool *out_is_done) {
    const tarn_operand *operands = task->operation->operands;
    const double ones[2] = {1, 0};
    const float short_ones[2] = {1, 0};
    const char *alpha = form->type == TARN_ELEMENT_F64 ? (const char *)ones : (const char *)short_ones;
    const char *beta =
        alpha + (form->adds_matrix ? 0 : (form->type == TARN_ELEMENT_F64 ? sizeof *ones : sizeof *short_ones));
    const void *added = form->adds_matrix ? operands[BIAS].data : operands[OUT].data;
    blas_choice choice;
    void *workspace = call->workspace;
    if (!choose(blas, task->device, form, call, &choice)) return TARN_OK;
    tarn_status status = TARN_OK;
    if (choice.workspace_size == 0) workspace = NULL;
    else if (workspace == NULL) status = cuda_workspace_scratch(task->workspace, choice.workspace_size, &workspace);
    if (status != TARN_OK) return status;
    int result = blas->cublasLtMatmul(task->device->operations->blas, call->product, alpha, operands[B].data,
                                      call->layouts[B], operands[A].data, call->layouts[A], beta, added,
                                      added_layout(form, call), operands[OUT].data, call->layouts[OUT],
                                      &choice.algorithm, workspace, choice.workspace_size, task->stream->handle);
    if (result != BLAS_SUCCESS) return cuda_fail(TARN_INTERNAL, "cublasLtMatmul answers %d", result);
    *out_is_done = true;
    return TARN_OK;
}

static tarn_status enqueue_form(const blas_library *blas, const cuda_task *task, const blas_form *form, void *workspace,
                                bool *out_is_done) {
    blas_call call = {.workspace = workspace, .most = workspace_of(task->device)};
    const void *bias = task->operation->attributes.matmul.has_bias ? task->operation->operands[BIAS].data : NULL;
    tarn_status status = TARN_OK;
    if (make_call(blas, form, bias, &call) == BLAS_SUCCESS) {
        status = enqueue_product(blas, task, form, &call, out_is_done);
    }
    end_call(blas, &call);
    return status;
}

/* Whether the copies cost little beside the product: each element that is copied is used often. */
static bool is_worth_copying(const blas_pack *pack, const blas_form *form) {
    if (form->inner < WORTH_COPYING) return false;
    return (!pack->is_copied[A] || form->columns >= WORTH_COPYING) &&
           (!pack->is_copied[B] || form->rows >= WORTH_COPYING);
}

/* The product on copies of one or both of its operands, where that makes it one that the library takes. */
static tarn_status enqueue_copied(const blas_library *blas, const cuda_task *task, bool *out_is_done) {
    for (unsigned which = 1; which <= 3; which++) {
        blas_pack pack;
        blas_form form;
        cuda_task copied = *task;
        void *scratch;
        if (!blas_pack_plan(task->operation, which, &pack)) continue;
        pack.operation.operands = pack.operands;
        copied.operation = &pack.operation;
        if (!find_form(&copied, &form) || !is_worth_copying(&pack, &form)) continue;
        tarn_status status = cuda_workspace_scratch(task->workspace, pack.size + workspace_of(task->device), &scratch);
        if (status == TARN_OK) status = blas_pack_enqueue(task, &pack, scratch);
        if (status != TARN_OK) return status;
        return enqueue_form(blas, &copied, &form, (char *)scratch + pack.size, out_is_done);
    }
    return TARN_OK;
}

tarn_status cuda_blas_matmul(const cuda_task *task, bool *out_is_done) {
    blas_form form;
    *out_is_done = false;
    bool is_taken = find_form(task, &form);
    const blas_library *blas = blas_library_find();
    if (blas == NULL) return TARN_OK;
    tarn_status status =
        is_taken ? enqueue_form(blas, task, &form, NULL, out_is_done) : enqueue_copied(blas, task, out_is_done);
    const tarn_operation activation = task->operation->attributes.matmul.activation;
    bool is_left = activation == TARN_OPERATION_SIGMOID || activation == TARN_OPERATION_TANH;
    if (status == TARN_OK && *out_is_done && is_left) status = cuda_epilogue_enqueue(task, NULL, activation);
    return status;
}

void cuda_blas_prepare(tarn_backend_device *device) {
    cuda_operations_state *state = device->operations;
    const blas_library *blas = blas_library_find();
    char reason[64] = "";
    if (blas == NULL) return;
    pthread_mutex_lock(&state->compiled_lock);
    start(blas, state, reason, sizeof reason);
    pthread_mutex_unlock(&state->compiled_lock);
    if (reason[0] != '\0') blas_library_say(reason);
}

void cuda_blas_end(cuda_operations_state *state) {
    for (cuda_recent *entry; (entry = cuda_recent_take(&state->blas_choices)) != NULL;) base_free(entry);
    const blas_library *blas = state->blas != NULL ? blas_library_find() : NULL;
    if (blas != NULL) blas->cublasLtDestroy(state->blas);
}
