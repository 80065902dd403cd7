/* The operations that are no programs: one kernel each, of the text in kernels/neural.cl, which depends on the type and on what is left out. */
#include <string.h>

#include "backends/opencl/opencl_program.h"

/* As in the kernels. */
#define WALK_OPERANDS 4
#define TILE 32

typedef struct walk {
    cl_long dims[TARN_MAXIMUM_RANK];
    cl_long strides[WALK_OPERANDS][TARN_MAXIMUM_RANK];
} walk;

typedef struct window {
    cl_long height, width, kernel[2], stride[2], padding[2], dilation[2];
    cl_long channels, filters, groups;
} window;

/* What the source depends on. */
typedef struct neural_form {
    tarn_operation operation;
    tarn_element_type type, numbers; /* numbers: of a gather */
} neural_form;

/* One call. */
typedef struct neural_call {
    tarn_backend_device *device;
    tarn_backend_stream *stream;
    const tarn_backend_operation *operation;
    neural_form form;
} neural_call;

static void write_source(const void *context, opencl_text *out) {
    static const char *const names[TARN_OPERATION_COUNT] = {
        [TARN_OPERATION_MATMUL] = "MATMUL",         [TARN_OPERATION_CONV2D] = "CONV2D",
        [TARN_OPERATION_MAX_POOL2D] = "MAX_POOL2D", [TARN_OPERATION_SOFTMAX] = "SOFTMAX",
        [TARN_OPERATION_LAYER_NORM] = "LAYER_NORM", [TARN_OPERATION_GATHER] = "GATHER",
    };
    static const char *const least[TARN_ELEMENT_TYPE_COUNT] = {
        "-INFINITY", "-INFINITY", "-INFINITY", "-INFINITY", "CHAR_MIN", "0", "SHRT_MIN", "INT_MIN", "LONG_MIN", "0"};
    const neural_form *form = context;
    opencl_text_print(out, "#define %s\n#define T %s\n#define FL %s\n#define LEAST %s\n", names[form->operation],
                      opencl_type_name(form->type), form->type == TARN_ELEMENT_F64 ? "double" : "float",
                      least[form->type]);
    opencl_text_print(out, "#define N %s\n%s", form->numbers == TARN_ELEMENT_I32 ? "int" : "long",
                      opencl_source_neural);
}

static tarn_status begin(const neural_call *call, opencl_launch *out_launch) {
    opencl_text key = {.bytes = NULL};
    opencl_compiled *compiled;
    const neural_form *form = &call->form;
    const unsigned char parts[] = {(unsigned char)form->operation, (unsigned char)form->type,
                                   (unsigned char)form->numbers};
    opencl_text_bytes(&key, "N", 1);
    opencl_text_bytes(&key, parts, sizeof parts);
    tarn_status status = opencl_compile(call->device, &key, write_source, form, &compiled);
    opencl_text_end(&key);
    if (status == TARN_OK) *out_launch = opencl_launch_begin(call->device, call->stream, compiled, 0);
    return status;
}

static void add_operands(const neural_call *call, opencl_launch *launch, const int *places, int count) {
    for (int i = 0; i < count; i++) opencl_launch_address(launch, call->operation->operands[places[i]].data);
}

static size_t groups_for(int64_t items) { return (size_t)((items + OPENCL_GROUP - 1) / OPENCL_GROUP); }

/* As ACTIVATE in the kernels has it. */
static int64_t activation_of(tarn_operation operation) {
    switch (operation) {
    case TARN_OPERATION_RELU: return 1;
    case TARN_OPERATION_SIGMOID: return 2;
    case TARN_OPERATION_TANH: return 3;
    default: return 0;
    }
}

/* A walk of no dimension. */
static walk one_place(void) {
    walk made;
    memset(&made, 0, sizeof made);
    for (int i = 0; i < TARN_MAXIMUM_RANK; i++) made.dims[i] = 1;
    return made;
}

/* The dimensions from `begin` to `end` become the last ones of the walk, with the strides of an operand in `place`. Returns how many
 * elements they have. */
static int64_t walk_along(walk *inout_walk, int place, const tarn_operand *operand, uint32_t begin, uint32_t end) {
    int64_t count = 1;
    for (uint32_t i = begin; i < end; i++) {
        uint32_t to = TARN_MAXIMUM_RANK - (end - i);
        inout_walk->dims[to] = operand->dims[i];
        inout_walk->strides[place][to] = operand->strides[i];
        count *= operand->dims[i];
    }
    return count;
}

static tarn_status run_softmax(neural_call *call) {
    const tarn_operand *out = &call->operation->operands[0], *in = &call->operation->operands[1];
    uint32_t axis = call->operation->attributes.softmax.axis;
    tarn_operand others[2] = {*out, *in};
    for (int i = 0; i < 2; i++) others[i].dims[axis] = 1;
    walk rows = one_place();
    int64_t count = walk_along(&rows, 0, &others[0], 0, out->rank);
    walk_along(&rows, 1, &others[1], 0, out->rank);
    opencl_launch launch;
    tarn_status status = begin(call, &launch);
    if (status != TARN_OK) return status;
    add_operands(call, &launch, (const int[]){0, 1}, 2);
    opencl_launch_value(&launch, &rows, sizeof rows);
    opencl_launch_long(&launch, out->dims[axis]);
    opencl_launch_long(&launch, out->strides[axis]);
    opencl_launch_long(&launch, in->strides[axis]);
    return opencl_launch_enqueue(&launch, (size_t)count, OPENCL_GROUP, 1);
}

static tarn_status run_layer_norm(neural_call *call) {
    const tarn_layer_norm_attributes *attributes = &call->operation->attributes.layer_norm;
    const tarn_operand *operands = call->operation->operands;
    uint32_t rank = operands[0].rank, first = rank - attributes->normalized_dims;
    bool has_weight = attributes->has_weight != 0, has_bias = attributes->has_bias != 0;
    int weight = has_weight ? 2 : 1, bias = has_bias ? 2 + has_weight : 1;
    walk rows = one_place(), inner = one_place();
    int64_t count = walk_along(&rows, 0, &operands[0], 0, first);
    walk_along(&rows, 1, &operands[1], 0, first);
    int64_t length = walk_along(&inner, 0, &operands[0], first, rank);
    walk_along(&inner, 1, &operands[1], first, rank);
    if (has_weight) walk_along(&inner, 2, &operands[weight], 0, operands[weight].rank);
    if (has_bias) walk_along(&inner, 3, &operands[bias], 0, operands[bias].rank);
    opencl_launch launch;
    tarn_status status = begin(call, &launch);
    if (status != TARN_OK) return status;
    add_operands(call, &launch, (const int[]){0, 1, weight, bias}, 4);
    opencl_launch_value(&launch, &rows, sizeof rows);
    opencl_launch_value(&launch, &inner, sizeof inner);
    opencl_launch_long(&launch, has_weight);
    opencl_launch_long(&launch, has_bias);
    opencl_launch_long(&launch, length);
    float narrow = (float)attributes->epsilon;
    if (call->form.type == TARN_ELEMENT_F64) opencl_launch_value(&launch, &attributes->epsilon, sizeof(double));
    else opencl_launch_value(&launch, &narrow, sizeof narrow);
    return opencl_launch_enqueue(&launch, (size_t)count, OPENCL_GROUP, 1);
}

static tarn_status run_gather(neural_call *call) {
    const tarn_operand *out = &call->operation->operands[0], *in = &call->operation->operands[1];
    const tarn_operand *numbers = &call->operation->operands[2];
    uint32_t axis = call->operation->attributes.gather.axis;
    call->form.numbers = numbers->type;
    walk all = one_place();
    int64_t count = walk_along(&all, 0, out, 0, out->rank);
    for (uint32_t i = 0; i < out->rank; i++) {
        uint32_t to = TARN_MAXIMUM_RANK - (out->rank - i);
        if (i < axis) all.strides[1][to] = in->strides[i];
        else if (i < axis + numbers->rank) all.strides[2][to] = numbers->strides[i - axis];
        else all.strides[1][to] = in->strides[i - numbers->rank + 1];
    }
    cl_mem wrong;
    opencl_launch launch;
    tarn_status status = opencl_stream_fault_word(call->stream, &wrong);
    if (status == TARN_OK) status = begin(call, &launch);
    if (status != TARN_OK) return status;
    add_operands(call, &launch, (const int[]){0, 1, 2}, 3);
    opencl_launch_value(&launch, &all, sizeof all);
    opencl_launch_long(&launch, count);
    opencl_launch_long(&launch, in->dims[axis]);
    opencl_launch_long(&launch, in->strides[axis]);
    opencl_launch_buffer(&launch, wrong);
    return opencl_launch_enqueue(&launch, groups_for(count), OPENCL_GROUP, 1);
}

static tarn_status run_max_pool2d(neural_call *call) {
    const tarn_pool2d_attributes *attributes = &call->operation->attributes.pool2d;
    const tarn_operand *out = &call->operation->operands[0], *in = &call->operation->operands[1];
    window over = {.height = in->dims[2], .width = in->dims[3]};
    walk all = one_place();
    /* The input is walked along the images and channels; within the image the window says where. */
    tarn_operand images = *in;
    for (int i = 0; i < 2; i++) {
        over.kernel[i] = attributes->kernel[i];
        over.stride[i] = attributes->stride[i];
        over.padding[i] = attributes->padding[i];
        over.dilation[i] = attributes->dilation[i];
        images.strides[2 + i] = 0;
    }
    walk_along(&all, 2, in, 0, 4);
    walk_along(&all, 1, &images, 0, 4);
    int64_t count = walk_along(&all, 0, out, 0, 4);
    opencl_launch launch;
    tarn_status status = begin(call, &launch);
    if (status != TARN_OK) return status;
    add_operands(call, &launch, (const int[]){0, 1}, 2);
    opencl_launch_value(&launch, &all, sizeof all);
    opencl_launch_long(&launch, count);
    opencl_launch_value(&launch, &over, sizeof over);
    return opencl_launch_enqueue(&launch, groups_for(count), OPENCL_GROUP, 1);
}

static tarn_status run_conv2d(neural_call *call) {
    const tarn_conv2d_attributes *attributes = &call->operation->attributes.conv2d;
    const tarn_operand *operands = call->operation->operands;
    const tarn_operand *in = &operands[1], *weights = &operands[2];
    bool has_bias = attributes->has_bias != 0;
    int bias = has_bias ? 3 : 1;
    window over = {.height = in->dims[2],
                   .width = in->dims[3],
                   .channels = in->dims[1],
                   .filters = weights->dims[0],
                   .groups = attributes->groups};
    for (int i = 0; i < 2; i++) {
        over.kernel[i] = weights->dims[2 + i];
        over.stride[i] = attributes->stride[i];
        over.padding[i] = attributes->padding[i];
        over.dilation[i] = attributes->dilation[i];
    }
    walk all = one_place();
    walk_along(&all, 1, in, 0, 4);
    walk_along(&all, 2, weights, 0, 4);
    if (has_bias) walk_along(&all, 3, &operands[bias], 0, 1);
    int64_t count = walk_along(&all, 0, &operands[0], 0, 4);
    opencl_launch launch;
    tarn_status status = begin(call, &launch);
    if (status != TARN_OK) return status;
    add_operands(call, &launch, (const int[]){0, 1, 2, bias}, 4);
    opencl_launch_value(&launch, &all, sizeof all);
    opencl_launch_long(&launch, count);
    opencl_launch_value(&launch, &over, sizeof over);
    opencl_launch_long(&launch, has_bias);
    opencl_launch_long(&launch, activation_of(attributes->activation));
    return opencl_launch_enqueue(&launch, groups_for(count), OPENCL_GROUP, 1);
}

static tarn_status run_matmul(neural_call *call) {
    const tarn_matmul_attributes *attributes = &call->operation->attributes.matmul;
    const tarn_operand *operands = call->operation->operands;
    uint32_t rank = operands[0].rank;
    bool has_bias = attributes->has_bias != 0;
    int bias = has_bias ? 3 : 1;
    walk batch = one_place(), last = one_place();
    for (int i = 1; i <= 2 + has_bias; i++) walk_along(&batch, i, &operands[i], 0, rank - 2);
    int64_t count = walk_along(&batch, 0, &operands[0], 0, rank - 2);
    for (int i = 0; i <= 2 + has_bias; i++)
        for (uint32_t d = 0; d < 2; d++) last.strides[i][d] = operands[i].strides[rank - 2 + d];
    int64_t m = operands[0].dims[rank - 2], n = operands[0].dims[rank - 1], k = operands[1].dims[rank - 1];
    opencl_launch launch;
    tarn_status status = begin(call, &launch);
    if (status != TARN_OK) return status;
    add_operands(call, &launch, (const int[]){0, 1, 2, bias}, 4);
    opencl_launch_value(&launch, &batch, sizeof batch);
    opencl_launch_value(&launch, &last, sizeof last);
    opencl_launch_long(&launch, m);
    opencl_launch_long(&launch, n);
    opencl_launch_long(&launch, k);
    opencl_launch_long(&launch, has_bias);
    opencl_launch_long(&launch, activation_of(attributes->activation));
    size_t tiles = (size_t)((m + TILE - 1) / TILE) * (size_t)((n + TILE - 1) / TILE);
    return opencl_launch_enqueue(&launch, tiles, OPENCL_GROUP, (size_t)count);
}

tarn_status opencl_neural_run(tarn_backend_device *device, tarn_backend_stream *stream,
                              const tarn_backend_operation *operation) {
    neural_call call = {.device = device,
                        .stream = stream,
                        .operation = operation,
                        .form = {.operation = operation->operation, .type = operation->operands[0].type}};
    switch (operation->operation) {
    case TARN_OPERATION_MATMUL: return run_matmul(&call);
    case TARN_OPERATION_CONV2D: return run_conv2d(&call);
    case TARN_OPERATION_MAX_POOL2D: return run_max_pool2d(&call);
    case TARN_OPERATION_SOFTMAX: return run_softmax(&call);
    case TARN_OPERATION_LAYER_NORM: return run_layer_norm(&call);
    case TARN_OPERATION_GATHER: return run_gather(&call);
    default:
        return opencl_fail(TARN_NOT_SUPPORTED, "an OpenCL device does not compute operation number %d",
                           (int)operation->operation);
    }
}
