/* Operations as oneDNN takes them, and running them. */
#include <stdatomic.h>
#include <string.h>

#include "backends/cpu/compute/activate.h"
#include "backends/cpu/compute/onednn.h"
#include "backends/cpu/compute/onednn_cache.h"
#include "backends/cpu/compute/places.h"
#include "backends/cpu/compute/rows.h"
#include "backends/cpu/compute/scratch.h"
#include "backends/cpu/compute/threads.h"
#include "backends/cpu/cpu_internal.h"

/* Elements that RELU takes at a time, and that are worth a thread of their own. */
#define BUFFERED 1024
#define LEAST_WORK ((size_t)1 << 15)
/* oneDNN takes a microsecond or two for an operation of any size, in which our own kernels multiply so much. */
#define LEAST_PRODUCTS (1 << 16)
/* Multiplications that are worth a thread of their own. */
#define PRODUCTS_OF_PART (1 << 18)

static atomic_ulong computed; /* relaxed: a figure */
static atomic_int choice;     /* a cpu_onednn_choice. Relaxed: a setting */

/* What oneDNN is told of an operand: where one element serves a whole dimension, that there is one, and of dimensions of one element strides
 * as if there were more. */
static void set_operand(onednn_key *key, int number, const tarn_operand *operand) {
    int64_t size = 1;
    for (uint32_t i = operand->rank; i-- > 0;) {
        int64_t extent = operand->strides[i] == 0 ? 1 : operand->dims[i];
        int64_t stride = extent > 1 ? operand->strides[i] : size;
        key->dims[number][i] = extent;
        key->strides[number][i] = stride;
        if (stride * extent > size) size = stride * extent;
    }
}

static bool is_one_or(int64_t extent, int64_t stride, int64_t wanted) { return extent == 1 || stride == wanted; }

/* Matrices that run one way without gaps, none of them backwards. */
static bool takes_matrices(const tarn_operand *operand) {
    uint32_t rank = operand->rank;
    for (uint32_t i = 0; i < rank; i++)
        if (operand->dims[i] > 1 && (operand->strides[i] < 0 || (i + 2 >= rank && operand->strides[i] == 0)))
            return false;
    return is_one_or(operand->dims[rank - 1], operand->strides[rank - 1], 1) ||
           is_one_or(operand->dims[rank - 2], operand->strides[rank - 2], 1);
}

/* A bias with one element for each column. */
static bool takes_bias(const tarn_operand *bias) {
    for (uint32_t i = 0; i + 1 < bias->rank; i++)
        if (bias->dims[i] > 1 && bias->strides[i] != 0) return false;
    return is_one_or(bias->dims[bias->rank - 1], bias->strides[bias->rank - 1], 1);
}

static bool takes_matmul(const tarn_backend_operation *operation) {
    const tarn_operand *out = &operation->operands[0];
    uint32_t rank = out->rank;
    for (int i = 0; i < ONEDNN_BIAS; i++)
        if (!takes_matrices(&operation->operands[i])) return false;
    return is_one_or(out->dims[rank - 1], out->strides[rank - 1], 1) &&
           (!operation->attributes.matmul.has_bias || takes_bias(&operation->operands[ONEDNN_BIAS]));
}

static bool takes_conv2d(const tarn_backend_operation *operation) {
    for (int i = 0; i < ONEDNN_BIAS; i++) {
        const tarn_operand *operand = &operation->operands[i];
        for (uint32_t j = 0; j < operand->rank; j++)
            if (operand->dims[j] > 1 && operand->strides[j] <= 0) return false;
    }
    return !operation->attributes.conv2d.has_bias || takes_bias(&operation->operands[ONEDNN_BIAS]);
}

/* Multiplications in all. */
static double products_of(const tarn_backend_operation *operation) {
    const tarn_operand *out = &operation->operands[0], *left = out + 1, *weight = out + 2;
    double products = 1;
    for (uint32_t i = 0; i < out->rank; i++) products *= (double)out->dims[i];
    if (operation->operation == TARN_OPERATION_MATMUL) return products * (double)left->dims[left->rank - 1];
    return products * (double)weight->dims[1] * (double)weight->dims[2] * (double)weight->dims[3];
}

static bool takes(const tarn_backend_operation *operation) {
    tarn_element_type type = operation->operands[0].type;
    if (type != TARN_ELEMENT_F32 && type != TARN_ELEMENT_BF16) return false;
    int chosen = atomic_load_explicit(&choice, memory_order_relaxed);
    if (chosen == CPU_ONEDNN_NONE || (chosen == CPU_ONEDNN_LARGE && products_of(operation) < LEAST_PRODUCTS))
        return false;
    return operation->operation == TARN_OPERATION_MATMUL ? takes_matmul(operation) : takes_conv2d(operation);
}

static dnnl_data_type_t data_type(const onednn_key *key) {
    return key->type == TARN_ELEMENT_F32 ? dnnl_f32 : dnnl_bf16;
}

static bool describe_operand(const onednn_library *library, const onednn_key *key, int number, uint32_t rank,
                             const int64_t *dims, const int64_t *strides, onednn_description *description) {
    dnnl_dims_t given_dims = {0}, given_strides = {0};
    memcpy(given_dims, dims, rank * sizeof *dims);
    memcpy(given_strides, strides, rank * sizeof *strides);
    return library->dnnl_memory_desc_init_by_strides(&description->given[number], (int)rank, given_dims, data_type(key),
                                                     given_strides) == dnnl_success;
}

static bool describe_matmul(const onednn_library *library, const onednn_key *key, onednn_description *description) {
    dnnl_memory_desc_t *given = description->given;
    for (int i = 0; i < ONEDNN_BIAS; i++)
        if (!describe_operand(library, key, i, key->rank, key->dims[i], key->strides[i], description)) return false;
    if (key->has_bias) {
        int64_t dims[TARN_MAXIMUM_RANK] = {0}, strides[TARN_MAXIMUM_RANK] = {0};
        int64_t columns = key->dims[ONEDNN_OUT][key->rank - 1];
        for (uint32_t i = 0; i < key->rank; i++) {
            dims[i] = i + 1 == key->rank ? columns : 1;
            strides[i] = i + 1 == key->rank ? 1 : columns;
        }
        if (!describe_operand(library, key, ONEDNN_BIAS, key->rank, dims, strides, description)) return false;
    }
    return library->dnnl_matmul_desc_init(&description->operation.matmul, &given[ONEDNN_SOURCE], &given[ONEDNN_WEIGHTS],
                                          key->has_bias ? &given[ONEDNN_BIAS] : NULL,
                                          &given[ONEDNN_OUT]) == dnnl_success;
}

/* The same dimensions in whatever order oneDNN wants. */
static bool describe_wanted(const onednn_library *library, const onednn_key *key, const dnnl_memory_desc_t *given,
                            dnnl_memory_desc_t *out_wanted) {
    return library->dnnl_memory_desc_init_by_tag(out_wanted, given->ndims, given->dims, data_type(key),
                                                 dnnl_format_tag_any) == dnnl_success;
}

/* Weights of groups have a dimension of groups in front. */
static bool describe_weights(const onednn_library *library, const onednn_key *key, onednn_description *description) {
    const int64_t *dims = key->dims[ONEDNN_WEIGHTS], *strides = key->strides[ONEDNN_WEIGHTS];
    if (key->groups == 1) return describe_operand(library, key, ONEDNN_WEIGHTS, 4, dims, strides, description);
    int64_t filters = dims[0] / key->groups;
    const int64_t grouped_dims[] = {key->groups, filters, dims[1], dims[2], dims[3]};
    const int64_t grouped_strides[] = {filters * strides[0], strides[0], strides[1], strides[2], strides[3]};
    return describe_operand(library, key, ONEDNN_WEIGHTS, 5, grouped_dims, grouped_strides, description);
}

static bool describe_conv2d(const onednn_library *library, const onednn_key *key, onednn_description *description) {
    dnnl_memory_desc_t *given = description->given, wanted[ONEDNN_BIAS];
    static const int64_t one = 1;
    if (!describe_operand(library, key, ONEDNN_OUT, 4, key->dims[ONEDNN_OUT], key->strides[ONEDNN_OUT], description) ||
        !describe_operand(library, key, ONEDNN_SOURCE, 4, key->dims[ONEDNN_SOURCE], key->strides[ONEDNN_SOURCE],
                          description) ||
        !describe_weights(library, key, description))
        return false;
    if (key->has_bias && !describe_operand(library, key, ONEDNN_BIAS, 1, &key->dims[ONEDNN_OUT][1], &one, description))
        return false;
    for (int i = 0; i < ONEDNN_BIAS; i++)
        if (!describe_wanted(library, key, &given[i], &wanted[i])) return false;
    const dnnl_dims_t strides = {key->stride[0], key->stride[1]}, padding = {key->padding[0], key->padding[1]};
    const dnnl_dims_t dilates = {key->dilation[0] - 1, key->dilation[1] - 1};
    return library->dnnl_dilated_convolution_forward_desc_init(
               &description->operation.convolution, dnnl_forward_inference, dnnl_convolution_direct,
               &wanted[ONEDNN_SOURCE], &wanted[ONEDNN_WEIGHTS], key->has_bias ? &given[ONEDNN_BIAS] : NULL,
               &wanted[ONEDNN_OUT], strides, dilates, padding, padding) == dnnl_success;
}

static bool describe(const onednn_library *library, const onednn_key *key, onednn_description *description) {
    return key->operation == TARN_OPERATION_MATMUL ? describe_matmul(library, key, description)
                                                   : describe_conv2d(library, key, description);
}

/* RELU is done afterwards, since oneDNN's makes 0 of NaN. */
static tarn_operation fused(tarn_operation activation) {
    return activation == TARN_OPERATION_RELU ? TARN_OPERATION_COPY : activation;
}

static tarn_operation activation_of(const tarn_backend_operation *operation) {
    return operation->operation == TARN_OPERATION_MATMUL ? operation->attributes.matmul.activation
                                                         : operation->attributes.conv2d.activation;
}

static void set_key(const tarn_backend_operation *operation, onednn_key *key) {
    memset(key, 0, sizeof *key);
    key->operation = operation->operation;
    key->activation = fused(activation_of(operation));
    key->type = operation->operands[0].type;
    key->rank = operation->operands[0].rank;
    for (int i = 0; i < ONEDNN_BIAS; i++) set_operand(key, i, &operation->operands[i]);
    if (operation->operation == TARN_OPERATION_MATMUL) {
        key->has_bias = operation->attributes.matmul.has_bias;
        return;
    }
    const tarn_conv2d_attributes *conv2d = &operation->attributes.conv2d;
    key->has_bias = conv2d->has_bias;
    key->groups = conv2d->groups;
    memcpy(key->stride, conv2d->stride, sizeof key->stride);
    memcpy(key->padding, conv2d->padding, sizeof key->padding);
    memcpy(key->dilation, conv2d->dilation, sizeof key->dilation);
}

/* An argument of a primitive. */
typedef struct argument {
    int name;
    const dnnl_memory_desc_t *description;
    void *data;
} argument;

#define MOST_ARGUMENTS 5

static dnnl_status_t execute(const onednn_library *library, dnnl_stream_t stream, const_dnnl_primitive_t primitive,
                             int count, const argument *arguments) {
    dnnl_exec_arg_t given[MOST_ARGUMENTS] = {{0}};
    dnnl_status_t status = dnnl_success;
    int made = 0;
    for (; made < count && status == dnnl_success; made++) {
        given[made].arg = arguments[made].name;
        status = library->dnnl_memory_create(&given[made].memory, arguments[made].description, library->engine,
                                             arguments[made].data);
    }
    if (status == dnnl_success) status = library->dnnl_primitive_execute(primitive, stream, count, given);
    if (status == dnnl_success) status = library->dnnl_stream_wait(stream);
    while (made-- > 0)
        if (given[made].memory != NULL) library->dnnl_memory_destroy(given[made].memory);
    return status;
}

/* Runs the primitive with the operands at `data`, the reordered ones among them in `memory`. */
static dnnl_status_t execute_all(const onednn_library *library, const onednn_primitive *made, dnnl_stream_t stream,
                                 void *const *data, char *memory) {
    static const int names[] = {DNNL_ARG_DST, DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS};
    argument arguments[MOST_ARGUMENTS];
    int count = 0;
    for (int i = 0; i < ONEDNN_OPERANDS; i++) {
        if (data[i] == NULL) continue;
        void *place = made->reorders[i] != NULL ? memory + made->offsets[i] : data[i];
        arguments[count++] = (argument){names[i], &made->wanted[i], place};
        if (made->reorders[i] == NULL || i == ONEDNN_OUT) continue;
        const argument reorder[] = {{DNNL_ARG_FROM, &made->given[i], data[i]}, {DNNL_ARG_TO, &made->wanted[i], place}};
        dnnl_status_t status = execute(library, stream, made->reorders[i], 2, reorder);
        if (status != dnnl_success) return status;
    }
    if (made->has_scratchpad)
        arguments[count++] = (argument){DNNL_ARG_SCRATCHPAD, &made->scratchpad, memory + made->scratchpad_offset};
    dnnl_status_t status = execute(library, stream, made->primitive, count, arguments);
    if (status != dnnl_success || made->reorders[ONEDNN_OUT] == NULL) return status;
    const argument reorder[] = {{DNNL_ARG_FROM, &made->wanted[ONEDNN_OUT], memory + made->offsets[ONEDNN_OUT]},
                                {DNNL_ARG_TO, &made->given[ONEDNN_OUT], data[ONEDNN_OUT]}};
    return execute(library, stream, made->reorders[ONEDNN_OUT], 2, reorder);
}

/* An operation in parts that the pool computes, each on one thread. */
typedef struct onednn_job {
    const onednn_library *library;
    const tarn_backend_operation *operation;
    /* Along which dimension of each operand it is cut, -1: the operand is whole in each part. */
    int cut[ONEDNN_OPERANDS];
    int64_t extent;                       /* of the dimension that is cut */
    int64_t part;                         /* of each part but the last */
    const onednn_primitive *first, *last; /* for all parts but the last, and for the last */
    cpu_scratch scratch;
    atomic_int failure; /* a dnnl_status_t. Relaxed: read when all parts have been computed */
} onednn_job;

/* The operands of a part. */
static void take_part(const onednn_job *job, int64_t begin, tarn_operand *out_operands) {
    int count = (int)(job->operation->output_count + job->operation->input_count);
    for (int i = 0; i < count; i++) {
        tarn_operand *operand = &out_operands[i];
        *operand = job->operation->operands[i];
        if (job->cut[i] < 0) continue;
        operand->data = cpu_element(operand, begin * operand->strides[job->cut[i]]);
        operand->dims[job->cut[i]] = job->extent - begin < job->part ? job->extent - begin : job->part;
    }
}

static void run_part(onednn_job *job, int64_t begin) {
    const onednn_library *library = job->library;
    const onednn_primitive *made = begin + job->part < job->extent ? job->first : job->last;
    tarn_operand operands[ONEDNN_OPERANDS] = {{.data = NULL}};
    void *data[ONEDNN_OPERANDS];
    take_part(job, begin, operands);
    for (int i = 0; i < ONEDNN_OPERANDS; i++) data[i] = operands[i].data;
    dnnl_stream_t stream;
    dnnl_status_t answer = library->dnnl_stream_create(&stream, library->engine, dnnl_stream_default_flags);
    if (answer == dnnl_success) {
        char *memory = cpu_scratch_take(&job->scratch);
        answer = execute_all(library, made, stream, data, memory);
        cpu_scratch_give(&job->scratch, memory);
        library->dnnl_stream_destroy(stream);
    }
    if (answer != dnnl_success) atomic_store_explicit(&job->failure, (int)answer, memory_order_relaxed);
}

/* OpenMP is told to leave the work to this thread. */
static void run_parts(void *context, size_t begin, size_t end) {
    onednn_job *job = context;
    int threads_before = job->library->get_threads();
    job->library->set_threads(1);
    for (size_t number = begin; number < end; number++) run_part(job, (int64_t)number * job->part);
    job->library->set_threads(threads_before);
}

/* Cuts the operation along its outermost dimension where that is long enough, else along the rows, the columns, or the filters. */
static void choose_cut(const tarn_backend_operation *operation, int64_t parts, onednn_job *job) {
    const tarn_operand *out = &operation->operands[0];
    int last = (int)out->rank - 1;
    bool is_matmul = operation->operation == TARN_OPERATION_MATMUL;
    int *cut = job->cut;
    cut[ONEDNN_OUT] = cut[ONEDNN_SOURCE] = cut[ONEDNN_WEIGHTS] = cut[ONEDNN_BIAS] = -1;
    int dim = 0;
    if (!is_matmul && out->dims[0] < parts) {
        if (operation->attributes.conv2d.groups == 1) {
            dim = 1;
            cut[ONEDNN_WEIGHTS] = cut[ONEDNN_BIAS] = 0;
        } else {
            cut[ONEDNN_SOURCE] = 0;
        }
    } else if (!is_matmul || (last > 1 && out->dims[0] >= parts)) {
        cut[ONEDNN_SOURCE] = 0;
        if (is_matmul) cut[ONEDNN_WEIGHTS] = 0;
    } else if (out->dims[last - 1] >= out->dims[last]) {
        dim = cut[ONEDNN_SOURCE] = last - 1;
    } else {
        dim = cut[ONEDNN_WEIGHTS] = cut[ONEDNN_BIAS] = last;
    }
    cut[ONEDNN_OUT] = dim;
    job->extent = out->dims[dim];
    if (parts > job->extent) parts = job->extent;
    job->part = (job->extent + parts - 1) / parts;
}

/* The primitive for the part from `begin` on. */
static const onednn_primitive *get_primitive(const onednn_job *job, int64_t begin) {
    tarn_operand operands[ONEDNN_OPERANDS] = {{.data = NULL}};
    tarn_backend_operation part = *job->operation;
    onednn_key key;
    take_part(job, begin, operands);
    part.operands = operands;
    set_key(&part, &key);
    return onednn_cache_get(job->library, &key, describe);
}

static tarn_status run(onednn_job *job, int64_t parts) {
    size_t size = job->first->size > job->last->size ? job->first->size : job->last->size;
    tarn_status status = cpu_scratch_begin(&job->scratch, size, (size_t)parts);
    if (status != TARN_OK) return status;
    cpu_parallel((size_t)parts, 1, run_parts, job);
    cpu_scratch_end(&job->scratch);
    int failure = atomic_load_explicit(&job->failure, memory_order_relaxed);
    const char *name = tarn_operation_name(job->operation->operation);
    if (failure == dnnl_success) return TARN_OK;
    if (failure == dnnl_out_of_memory) return cpu_fail(TARN_OUT_OF_MEMORY, "oneDNN has no host memory for %s", name);
    return cpu_fail(TARN_INTERNAL, "oneDNN failed with status %d in %s", failure, name);
}

/* The rows of a result, RELU to be done. */
static void relu_rows(void *context, size_t begin, size_t end) {
    const tarn_operand *out = context;
    const cpu_rows *rows = cpu_kernels_get()->rows;
    uint32_t last = out->rank - 1, outer = ((uint32_t)1 << last) - 1;
    for (size_t row = begin; row < end; row++) {
        int64_t offset = cpu_place(out, outer, row);
        for (int64_t first = 0; first < out->dims[last]; first += BUFFERED) {
            float values[BUFFERED];
            size_t count = (size_t)(out->dims[last] - first < BUFFERED ? out->dims[last] - first : BUFFERED);
            void *at = cpu_element(out, offset + first * out->strides[last]);
            rows->load_floats(out->type, at, out->strides[last], count, values);
            cpu_activate(TARN_OPERATION_RELU, CPU_LANE_F32, count, values);
            rows->store_floats(out->type, at, out->strides[last], count, values);
        }
    }
}

static void relu(tarn_operand *out) {
    uint32_t last = out->rank - 1, outer = ((uint32_t)1 << last) - 1;
    cpu_parallel(cpu_place_count(out, outer), LEAST_WORK / (size_t)out->dims[last], relu_rows, out);
}

bool cpu_onednn_run(const tarn_backend_operation *operation, tarn_status *out_status) {
    if (!takes(operation)) return false;
    const onednn_library *library = onednn_library_get();
    if (library == NULL) return false;
    int64_t parts = cpu_parallel_width();
    double most = products_of(operation) / PRODUCTS_OF_PART;
    if ((double)parts > most) parts = most > 1 ? (int64_t)most : 1;
    onednn_job job = {.library = library, .operation = operation};
    choose_cut(operation, parts, &job);
    parts = (job.extent + job.part - 1) / job.part;
    /* What is compiled depends on how many threads it is for. */
    int threads_before = library->get_threads();
    library->set_threads(1);
    job.last = get_primitive(&job, (parts - 1) * job.part);
    if (job.last != NULL) job.first = get_primitive(&job, 0);
    library->set_threads(threads_before);
    bool is_taken = job.first == NULL || (job.first->primitive != NULL && job.last->primitive != NULL);
    if (job.first == NULL) *out_status = cpu_fail(TARN_OUT_OF_MEMORY, "no host memory for a primitive of oneDNN");
    else if (is_taken) *out_status = run(&job, parts);
    if (job.first != NULL) onednn_cache_put(library, job.first);
    if (job.last != NULL) onednn_cache_put(library, job.last);
    if (!is_taken || *out_status != TARN_OK) return is_taken;
    tarn_operand out = operation->operands[0];
    if (activation_of(operation) == TARN_OPERATION_RELU) relu(&out);
    atomic_fetch_add_explicit(&computed, 1, memory_order_relaxed);
    return true;
}

void cpu_onednn_use(cpu_onednn_choice chosen) { atomic_store_explicit(&choice, (int)chosen, memory_order_relaxed); }

unsigned long cpu_onednn_count(void) { return atomic_load_explicit(&computed, memory_order_relaxed); }
