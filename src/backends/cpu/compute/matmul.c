/* Matrix products by our own kernels: packing takes any strides and types, and each finished row gets its bias and activation on the way
 * out. */
#include "backends/cpu/compute/activate.h"
#include "backends/cpu/compute/compute.h"
#include "backends/cpu/compute/kernels.h"
#include "backends/cpu/compute/onednn.h"
#include "backends/cpu/compute/places.h"
#include "backends/cpu/compute/product.h"
#include "backends/cpu/compute/rows.h"

/* The numbers of operands. */
enum { RIGHT = 2, BIAS = 3 };

/* Elements of a bias that are read at a time. */
#define BUFFERED 128

typedef struct matmul {
    const tarn_operand *out, *left, *right, *bias; /* the bias may be NULL */
    tarn_operation activation;
    const cpu_rows *rows;
} matmul;

/* The address of an element of one of the matrices, numbered as those of the result are. */
static void *element_at(const tarn_operand *operand, size_t matrix, size_t row, size_t column) {
    uint32_t rank = operand->rank;
    int64_t offset = cpu_place(operand, ((uint32_t)1 << (rank - 2)) - 1, matrix);
    return cpu_element(operand, offset + (int64_t)row * operand->strides[rank - 2] +
                                    (int64_t)column * operand->strides[rank - 1]);
}

static void pack(const matmul *work, const tarn_operand *operand, const void *source, int64_t member_stride,
                 int64_t inner_stride, const cpu_product_piece *piece, void *packed) {
    if (operand->type == TARN_ELEMENT_F64)
        work->rows->pack_doubles(source, member_stride, inner_stride, piece->members, piece->inners, piece->width,
                                 packed);
    else
        work->rows->pack_floats(operand->type, source, member_stride, inner_stride, piece->members, piece->inners,
                                piece->width, packed);
}

static void pack_left(const void *context, const cpu_product_piece *piece, void *packed) {
    const matmul *work = context;
    const tarn_operand *left = work->left;
    pack(work, left, element_at(left, piece->matrix, piece->first_member, piece->first_inner),
         left->strides[left->rank - 2], left->strides[left->rank - 1], piece, packed);
}

static void pack_right(const void *context, const cpu_product_piece *piece, void *packed) {
    const matmul *work = context;
    const tarn_operand *right = work->right;
    pack(work, right, element_at(right, piece->matrix, piece->first_inner, piece->first_member),
         right->strides[right->rank - 1], right->strides[right->rank - 2], piece, packed);
}

static void add_bias(const matmul *work, const void *bias, int64_t stride, size_t count, float *sums) {
    for (size_t begin = 0; begin < count; begin += BUFFERED) {
        float values[BUFFERED];
        size_t length = count - begin < BUFFERED ? count - begin : BUFFERED;
        const char *from = (const char *)bias + (int64_t)begin * stride * (int64_t)tarn_element_size(work->bias->type);
        work->rows->load_floats(work->bias->type, from, stride, length, values);
        for (size_t i = 0; i < length; i++) sums[begin + i] += values[i];
    }
}

static void store_floats(const void *context, size_t matrix, size_t row, size_t column, size_t count, void *sums) {
    const matmul *work = context;
    if (work->bias != NULL)
        add_bias(work, element_at(work->bias, matrix, row, column), work->bias->strides[work->bias->rank - 1], count,
                 sums);
    cpu_activate(work->activation, CPU_LANE_F32, count, sums);
    work->rows->store_floats(work->out->type, element_at(work->out, matrix, row, column),
                             work->out->strides[work->out->rank - 1], count, sums);
}

static void store_doubles(const void *context, size_t matrix, size_t row, size_t column, size_t count, void *sums) {
    const matmul *work = context;
    double *values = sums;
    if (work->bias != NULL) {
        const double *bias = element_at(work->bias, matrix, row, column);
        ptrdiff_t stride = (ptrdiff_t)work->bias->strides[work->bias->rank - 1];
        for (size_t i = 0; i < count; i++) values[i] += bias[(ptrdiff_t)i * stride];
    }
    cpu_activate(work->activation, CPU_LANE_F64, count, values);
    work->rows->store_doubles(element_at(work->out, matrix, row, column), work->out->strides[work->out->rank - 1],
                              count, values);
}

/* Takes the dimension before the rows away, with as many rows instead. */
static void fold(tarn_operand *operand, int64_t rows, int64_t stride) {
    uint32_t dim = operand->rank - 3;
    operand->dims[dim] = rows;
    operand->strides[dim] = stride;
    for (uint32_t i = dim + 1; i + 1 < operand->rank; i++) {
        operand->dims[i] = operand->dims[i + 1];
        operand->strides[i] = operand->strides[i + 1];
    }
    operand->rank--;
}

/* Whether the rows of the matrices along that dimension are as those of one matrix. */
static bool goes_on(const tarn_operand *operand) {
    const int64_t *dims = operand->dims + operand->rank - 3, *strides = operand->strides + operand->rank - 3;
    return dims[0] == 1 || dims[1] == 1 || strides[0] == dims[1] * strides[1];
}

/* Makes one matrix of a batch where the right one is the same for all: `count` operands of copies that are the caller's. */
static void fold_batch(tarn_operand *operands, int count) {
    while (operands[0].rank > 2) {
        uint32_t dim = operands[0].rank - 3;
        int64_t batch = operands[0].dims[dim], rows = operands[0].dims[dim + 1];
        if (batch > 1 && operands[RIGHT].strides[dim] != 0) return;
        for (int i = 0; i < count; i++)
            if (i != RIGHT && !goes_on(&operands[i])) return;
        for (int i = 0; i < count; i++) {
            const int64_t *strides = operands[i].strides + dim;
            if (i == RIGHT) fold(&operands[i], operands[i].dims[dim + 1], strides[1]);
            else fold(&operands[i], batch * rows, rows == 1 ? strides[0] : strides[1]);
        }
    }
}

static tarn_status multiply(const tarn_backend_operation *operation) {
    const tarn_operand *out = &operation->operands[0];
    const tarn_matmul_attributes *attributes = &operation->attributes.matmul;
    uint32_t rank = out->rank;
    matmul work = {.out = out,
                   .left = &operation->operands[1],
                   .right = &operation->operands[RIGHT],
                   .bias = attributes->has_bias ? &operation->operands[BIAS] : NULL,
                   .activation = attributes->activation,
                   .rows = cpu_kernels_get()->rows};
    cpu_product product = {.matrices = cpu_place_count(out, ((uint32_t)1 << (rank - 2)) - 1),
                           .rows = (size_t)out->dims[rank - 2],
                           .columns = (size_t)out->dims[rank - 1],
                           .inners = (size_t)work.left->dims[rank - 1],
                           .is_double = out->type == TARN_ELEMENT_F64,
                           .context = &work,
                           .pack_left = pack_left,
                           .pack_right = pack_right,
                           .store = out->type == TARN_ELEMENT_F64 ? store_doubles : store_floats};
    return cpu_product_run(&product);
}

tarn_status cpu_matmul_run(const tarn_backend_operation *operation) {
    tarn_operand operands[BIAS + 1] = {{.data = NULL}};
    int count = operation->attributes.matmul.has_bias ? BIAS + 1 : BIAS;
    for (int i = 0; i < count; i++) operands[i] = operation->operands[i];
    fold_batch(operands, count);
    tarn_backend_operation folded = *operation;
    folded.operands = operands;
    tarn_status status;
    return cpu_onednn_run(&folded, &status) ? status : multiply(&folded);
}
