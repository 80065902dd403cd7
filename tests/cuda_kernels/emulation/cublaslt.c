/* A libcublasLt for tests: it computes products by the definition, in a kernel of the fake driver, which this object brings itself. It
 * refuses what the library's documentation does not allow. */
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cuda/operations/blas_library.h"
#include "host_library.h"

#define EXPORT __attribute__((visibility("default")))

/* The functions, as Tarn declares them for itself. */
/* NOLINTNEXTLINE(bugprone-macro-parentheses) */
#define BLAS_SYMBOL(name, parameters) EXPORT blas_status name parameters;
#include "backends/cuda/operations/blas_symbols.h"
#undef BLAS_SYMBOL

enum { NOT_INITIALIZED = 1, INVALID_VALUE = 7, INTERNAL = 14 };

/* Products that were enqueued, and algorithms that were asked for, for tests. */
static atomic_int products, proposals;
EXPORT int fakecublaslt_products(void);
int fakecublaslt_products(void) { return atomic_load(&products); }
EXPORT int fakecublaslt_proposals(void);
int fakecublaslt_proposals(void) { return atomic_load(&proposals); }

/* Whether it starts, and what the last algorithm asked for may take addresses to be aligned to: of a, b, c and d together. */
static atomic_int is_refused, least_alignment, handles;
EXPORT void fakecublaslt_refuse(int refuses);
void fakecublaslt_refuse(int refuses) { atomic_store(&is_refused, refuses); }
EXPORT int fakecublaslt_alignment(void);
int fakecublaslt_alignment(void) { return atomic_load(&least_alignment); }
/* Handles that were made and not ended. */
EXPORT int fakecublaslt_handles(void);
int fakecublaslt_handles(void) { return atomic_load(&handles); }

struct blas_handle_object {
    host_kernel kernel;
};
struct blas_product_object {
    int compute_type, scale_type;
    int32_t transposed[2];
    uint32_t epilogue;
    const void *bias;
};
struct blas_layout_object {
    int type;
    uint64_t rows, columns;
    int64_t leading, batch_stride;
    int32_t batches;
};
struct blas_preference_object {
    uint64_t workspace;
    uint32_t alignments[4];
};

/* A product, the parameter of the kernel. */
typedef struct product {
    struct blas_product_object how;
    struct blas_layout_object layouts[4]; /* a, b, c, d */
    const char *memory[4];
    double alpha, beta;
} product;

static tarn_element_type element_type(int type) {
    return type == BLAS_F64   ? TARN_ELEMENT_F64
           : type == BLAS_F32 ? TARN_ELEMENT_F32
           : type == BLAS_F16 ? TARN_ELEMENT_F16
                              : TARN_ELEMENT_BF16;
}

static size_t size_of(int type) { return host_element_size(element_type(type)); }

static double read_element(int type, const void *at) { return host_read(element_type(type), at); }

/* An element of a matrix by columns. */
static const char *element(const product *made, int which, int32_t batch, uint64_t row, uint64_t column) {
    const struct blas_layout_object *layout = &made->layouts[which];
    int64_t place = batch * layout->batch_stride + (int64_t)row + (int64_t)column * layout->leading;
    return made->memory[which] + place * (int64_t)size_of(layout->type);
}

static double multiply(const product *made, int32_t batch, uint64_t row, uint64_t column, uint64_t inner) {
    double sum = 0;
    for (uint64_t k = 0; k < inner; k++) {
        const char *a = made->how.transposed[0] ? element(made, 0, batch, k, row) : element(made, 0, batch, row, k);
        const char *b =
            made->how.transposed[1] ? element(made, 1, batch, column, k) : element(made, 1, batch, k, column);
        sum += read_element(made->layouts[0].type, a) * read_element(made->layouts[1].type, b);
    }
    return sum;
}

/* The kernel, as the fake driver looks for it. */
EXPORT extern const size_t blas_product_parameters[];
EXPORT void blas_product_on_host(const unsigned grid[3], const unsigned block[3], unsigned shared_bytes,
                                 void **parameters);

const size_t blas_product_parameters[] = {sizeof(product), 0};

void blas_product_on_host(const unsigned grid[3], const unsigned block[3], unsigned shared_bytes, void **parameters) {
    (void)grid;
    (void)block;
    (void)shared_bytes;
    const product *made = parameters[0];
    const struct blas_layout_object *out = &made->layouts[3];
    uint64_t inner = made->how.transposed[0] ? made->layouts[0].rows : made->layouts[0].columns;
    for (int32_t batch = 0; batch < out->batches; batch++) {
        for (uint64_t column = 0; column < out->columns; column++) {
            for (uint64_t row = 0; row < out->rows; row++) {
                double sum = made->alpha * multiply(made, batch, row, column, inner);
                if (made->beta != 0) sum += made->beta * read_element(out->type, element(made, 2, batch, row, column));
                if ((made->how.epilogue & BLAS_EPILOGUE_BIAS) != 0)
                    sum += read_element(out->type, (const char *)made->how.bias + row * size_of(out->type));
                if ((made->how.epilogue & BLAS_EPILOGUE_RELU) != 0 && sum < 0) sum = 0;
                host_write(element_type(out->type), (char *)(uintptr_t)element(made, 3, batch, row, column), sum);
            }
        }
    }
}

int cublasLtCreate(blas_handle *out_handle) {
    if (atomic_load(&is_refused)) return NOT_INITIALIZED;
    blas_handle handle = calloc(1, sizeof *handle);
    if (host_kernel_open(&handle->kernel, blas_product_parameters, "blas_product")) {
        *out_handle = handle;
        atomic_fetch_add(&handles, 1);
        return BLAS_SUCCESS;
    }
    free(handle);
    return INTERNAL;
}

int cublasLtDestroy(blas_handle handle) {
    host_kernel_close(&handle->kernel);
    free(handle);
    atomic_fetch_sub(&handles, 1);
    return BLAS_SUCCESS;
}

int cublasLtMatmulDescCreate(blas_product *out_product, int compute_type, int scale_type) {
    *out_product = calloc(1, sizeof **out_product);
    (*out_product)->compute_type = compute_type;
    (*out_product)->scale_type = scale_type;
    (*out_product)->epilogue = BLAS_EPILOGUE_NONE;
    return BLAS_SUCCESS;
}

int cublasLtMatmulDescDestroy(blas_product made) {
    free(made);
    return BLAS_SUCCESS;
}

static int set(void *member, size_t capacity, const void *value, size_t size) {
    if (size != capacity) return INVALID_VALUE;
    memcpy(member, value, size);
    return BLAS_SUCCESS;
}

int cublasLtMatmulDescSetAttribute(blas_product made, int attribute, const void *value, size_t size) {
    switch (attribute) {
    case BLAS_PRODUCT_TRANSPOSE_A: return set(&made->transposed[0], sizeof(int32_t), value, size);
    case BLAS_PRODUCT_TRANSPOSE_B: return set(&made->transposed[1], sizeof(int32_t), value, size);
    case BLAS_PRODUCT_EPILOGUE: return set(&made->epilogue, sizeof(uint32_t), value, size);
    case BLAS_PRODUCT_BIAS: return set(&made->bias, sizeof(void *), value, size);
    default: return INVALID_VALUE;
    }
}

int cublasLtMatrixLayoutCreate(blas_layout *out_layout, int type, uint64_t rows, uint64_t columns, int64_t leading) {
    *out_layout = calloc(1, sizeof **out_layout);
    **out_layout =
        (struct blas_layout_object){.type = type, .rows = rows, .columns = columns, .leading = leading, .batches = 1};
    return BLAS_SUCCESS;
}

int cublasLtMatrixLayoutDestroy(blas_layout layout) {
    free(layout);
    return BLAS_SUCCESS;
}

int cublasLtMatrixLayoutSetAttribute(blas_layout layout, int attribute, const void *value, size_t size) {
    switch (attribute) {
    case BLAS_LAYOUT_BATCH_COUNT: return set(&layout->batches, sizeof(int32_t), value, size);
    case BLAS_LAYOUT_BATCH_STRIDE: return set(&layout->batch_stride, sizeof(int64_t), value, size);
    default: return INVALID_VALUE;
    }
}

int cublasLtMatmulPreferenceCreate(blas_preference *out_preference) {
    *out_preference = calloc(1, sizeof **out_preference);
    return BLAS_SUCCESS;
}

int cublasLtMatmulPreferenceDestroy(blas_preference preference) {
    free(preference);
    return BLAS_SUCCESS;
}

int cublasLtMatmulPreferenceSetAttribute(blas_preference preference, int attribute, const void *value, size_t size) {
    if (attribute == BLAS_PREFERENCE_WORKSPACE) return set(&preference->workspace, sizeof(uint64_t), value, size);
    if (attribute < BLAS_PREFERENCE_ALIGNMENT_A || attribute > BLAS_PREFERENCE_ALIGNMENT_D) return INVALID_VALUE;
    return set(&preference->alignments[attribute - BLAS_PREFERENCE_ALIGNMENT_A], sizeof(uint32_t), value, size);
}

static int fits(const struct blas_layout_object *layout, uint64_t rows, uint64_t columns, int is_turned, int type) {
    if (layout->type != type || layout->leading < (int64_t)layout->rows || layout->batch_stride < 0) return 0;
    return is_turned ? layout->rows == columns && layout->columns == rows
                     : layout->rows == rows && layout->columns == columns;
}

/* Whether everything has its shape. */
static int check(blas_product how, blas_layout a, blas_layout b, blas_layout c, blas_layout d) {
    uint64_t inner = how->transposed[0] ? a->rows : a->columns;
    int wanted = d->type == BLAS_F64 ? BLAS_COMPUTE_F64 : BLAS_COMPUTE_F32;
    int is_right = fits(a, d->rows, inner, how->transposed[0], d->type) &&
                   fits(b, inner, d->columns, how->transposed[1], d->type) &&
                   fits(c, d->rows, d->columns, 0, d->type) && fits(d, d->rows, d->columns, 0, d->type) &&
                   how->compute_type == wanted && a->batches == d->batches && b->batches == d->batches &&
                   c->batches == d->batches;
    if (d->batches > 1 && d->batch_stride < d->leading * (int64_t)(d->columns - 1) + (int64_t)d->rows) is_right = 0;
    return is_right ? BLAS_SUCCESS : INVALID_VALUE;
}

int cublasLtMatmulAlgoGetHeuristic(blas_handle handle, blas_product how, blas_layout a, blas_layout b, blas_layout c,
                                   blas_layout d, blas_preference preference, int wanted, blas_choice *out_choices,
                                   int *out_count) {
    int result = check(how, a, b, c, d);
    if (handle == NULL || wanted < 1 || result != BLAS_SUCCESS) return INVALID_VALUE;
    uint32_t least = UINT32_MAX;
    for (int i = 0; i < 4; i++) {
        if (preference->alignments[i] < size_of(d->type)) return INVALID_VALUE;
        if (preference->alignments[i] < least) least = preference->alignments[i];
    }
    atomic_fetch_add(&proposals, 1);
    atomic_store(&least_alignment, (int)least);
    memset(out_choices, 0, sizeof *out_choices);
    out_choices->workspace_size = preference->workspace / 2;
    out_choices->algorithm.data[0] = (uint64_t)d->rows;
    for (int i = 0; i < 4; i++) out_choices->algorithm.data[1 + i] = preference->alignments[i];
    *out_count = 1;
    return BLAS_SUCCESS;
}

int cublasLtMatmul(blas_handle handle, blas_product how, const void *alpha, const void *a, blas_layout a_layout,
                   const void *b, blas_layout b_layout, const void *beta, const void *c, blas_layout c_layout, void *d,
                   blas_layout d_layout, const blas_algorithm *algorithm, void *workspace, size_t workspace_size,
                   driver_stream stream) {
    int result = check(how, a_layout, b_layout, c_layout, d_layout);
    if (handle == NULL || result != BLAS_SUCCESS || algorithm->data[0] != d_layout->rows) return INVALID_VALUE;
    if ((workspace_size > 0) != (workspace != NULL) || (uintptr_t)workspace % 256 != 0) return INVALID_VALUE;
    /* An algorithm may read as much at once as it was told that addresses allow; a row of biases as what it adds them to. */
    const void *const addresses[] = {a, b, c, d, (how->epilogue & BLAS_EPILOGUE_BIAS) != 0 ? how->bias : d};
    for (int i = 0; i < 5; i++)
        if ((uintptr_t)addresses[i] % algorithm->data[i < 4 ? 1 + i : 4] != 0) return INVALID_VALUE;
    product made = {.how = *how, .layouts = {*a_layout, *b_layout, *c_layout, *d_layout}, .memory = {a, b, c, d}};
    made.alpha = read_element(how->scale_type, alpha);
    made.beta = read_element(how->scale_type, beta);
    atomic_fetch_add(&products, 1);
    return host_kernel_launch(&handle->kernel, stream, &made) ? BLAS_SUCCESS : INTERNAL;
}
