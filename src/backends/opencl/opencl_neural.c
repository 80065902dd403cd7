/* The operations that are no programs: the source of a form, and those with one kernel each, of the text in kernels/neural.cl. */
#include <string.h>

#include "backends/opencl/opencl_neural.h"

static void write_source(const void *context, opencl_text *out) {
    static const char *const names[TARN_OPERATION_COUNT] = {
        [TARN_OPERATION_MATMUL] = "MATMUL",         [TARN_OPERATION_CONV2D] = "CONV2D",
        [TARN_OPERATION_MAX_POOL2D] = "MAX_POOL2D", [TARN_OPERATION_SOFTMAX] = "SOFTMAX",
        [TARN_OPERATION_LAYER_NORM] = "LAYER_NORM", [TARN_OPERATION_GATHER] = "GATHER",
    };
    static const char *const least[TARN_ELEMENT_TYPE_COUNT] = {
        "-INFINITY", "-INFINITY", "-INFINITY", "-INFINITY", "CHAR_MIN", "0", "SHRT_MIN", "INT_MIN", "LONG_MIN", "0"};
    const opencl_neural_form *form = context;
    opencl_text_print(out, "#define %s\n#define T %s\n#define FL %s\n#define LEAST %s\n", names[form->operation],
                      opencl_type_name(form->type), form->type == TARN_ELEMENT_F64 ? "double" : "float",
                      least[form->type]);
    opencl_text_print(out, "#define N %s\n%s%s", form->numbers == TARN_ELEMENT_I32 ? "int" : "long", form->choices,
                      opencl_source_common);
    for (size_t i = 0; i < sizeof form->texts / sizeof form->texts[0] && form->texts[i] != NULL; i++)
        opencl_text_print(out, "%s", form->texts[i]);
}

tarn_status opencl_neural_compile(const opencl_neural_call *call, opencl_compiled **out_compiled) {
    opencl_text key = {.bytes = NULL};
    const opencl_neural_form *form = &call->form;
    const unsigned char parts[] = {'N', (unsigned char)form->operation, (unsigned char)form->type,
                                   (unsigned char)form->numbers};
    opencl_text_bytes(&key, parts, sizeof parts);
    opencl_text_bytes(&key, form->choices, strlen(form->choices));
    tarn_status status = opencl_compile(call->device, &key, write_source, form, out_compiled);
    opencl_text_end(&key);
    return status;
}

static tarn_status begin(const opencl_neural_call *call, opencl_launch *out_launch) {
    opencl_compiled *compiled;
    tarn_status status = opencl_neural_compile(call, &compiled);
    if (status == TARN_OK) *out_launch = opencl_launch_begin(call->device, call->stream, compiled, 0);
    return status;
}

static void add_operands(const opencl_neural_call *call, opencl_launch *launch, const int *places, int count) {
    for (int i = 0; i < count; i++) opencl_launch_address(launch, call->operation->operands[places[i]].data);
}

static size_t groups_for(int64_t items) { return (size_t)((items + OPENCL_GROUP - 1) / OPENCL_GROUP); }

opencl_walk opencl_walk_none(void) {
    opencl_walk made;
    memset(&made, 0, sizeof made);
    for (int i = 0; i < TARN_MAXIMUM_RANK; i++) made.dims[i] = 1;
    return made;
}

int64_t opencl_walk_along(opencl_walk *inout_walk, int place, const tarn_operand *operand, uint32_t begin,
                          uint32_t end) {
    int64_t count = 1;
    for (uint32_t i = begin; i < end; i++) {
        uint32_t to = TARN_MAXIMUM_RANK - (end - i);
        inout_walk->dims[to] = operand->dims[i];
        inout_walk->strides[place][to] = operand->strides[i];
        count *= operand->dims[i];
    }
    return count;
}

static tarn_status run_softmax(opencl_neural_call *call) {
    const tarn_operand *out = &call->operation->operands[0], *in = &call->operation->operands[1];
    uint32_t axis = call->operation->attributes.softmax.axis;
    tarn_operand others[2] = {*out, *in};
    for (int i = 0; i < 2; i++) others[i].dims[axis] = 1;
    opencl_walk rows = opencl_walk_none();
    int64_t count = opencl_walk_along(&rows, 0, &others[0], 0, out->rank);
    opencl_walk_along(&rows, 1, &others[1], 0, out->rank);
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

static tarn_status run_layer_norm(opencl_neural_call *call) {
    const tarn_layer_norm_attributes *attributes = &call->operation->attributes.layer_norm;
    const tarn_operand *operands = call->operation->operands;
    uint32_t rank = operands[0].rank, first = rank - attributes->normalized_dims;
    bool has_weight = attributes->has_weight != 0, has_bias = attributes->has_bias != 0;
    int weight = has_weight ? 2 : 1, bias = has_bias ? 2 + has_weight : 1;
    opencl_walk rows = opencl_walk_none(), inner = opencl_walk_none();
    int64_t count = opencl_walk_along(&rows, 0, &operands[0], 0, first);
    opencl_walk_along(&rows, 1, &operands[1], 0, first);
    int64_t length = opencl_walk_along(&inner, 0, &operands[0], first, rank);
    opencl_walk_along(&inner, 1, &operands[1], first, rank);
    if (has_weight) opencl_walk_along(&inner, 2, &operands[weight], 0, operands[weight].rank);
    if (has_bias) opencl_walk_along(&inner, 3, &operands[bias], 0, operands[bias].rank);
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

static tarn_status run_gather(opencl_neural_call *call) {
    const tarn_operand *out = &call->operation->operands[0], *in = &call->operation->operands[1];
    const tarn_operand *numbers = &call->operation->operands[2];
    uint32_t axis = call->operation->attributes.gather.axis;
    call->form.numbers = numbers->type;
    opencl_walk all = opencl_walk_none();
    int64_t count = opencl_walk_along(&all, 0, out, 0, out->rank);
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

static tarn_status run_max_pool2d(opencl_neural_call *call) {
    const tarn_pool2d_attributes *attributes = &call->operation->attributes.pool2d;
    const tarn_operand *out = &call->operation->operands[0], *in = &call->operation->operands[1];
    opencl_window over = {.height = in->dims[2], .width = in->dims[3]};
    opencl_walk all = opencl_walk_none();
    /* The input is walked along the images and channels; within the image the window says where. */
    tarn_operand images = *in;
    for (int i = 0; i < 2; i++) {
        over.kernel[i] = attributes->kernel[i];
        over.stride[i] = attributes->stride[i];
        over.padding[i] = attributes->padding[i];
        over.dilation[i] = attributes->dilation[i];
        images.strides[2 + i] = 0;
    }
    opencl_walk_along(&all, 2, in, 0, 4);
    opencl_walk_along(&all, 1, &images, 0, 4);
    int64_t count = opencl_walk_along(&all, 0, out, 0, 4);
    opencl_launch launch;
    tarn_status status = begin(call, &launch);
    if (status != TARN_OK) return status;
    add_operands(call, &launch, (const int[]){0, 1}, 2);
    opencl_launch_value(&launch, &all, sizeof all);
    opencl_launch_long(&launch, count);
    opencl_launch_value(&launch, &over, sizeof over);
    return opencl_launch_enqueue(&launch, groups_for(count), OPENCL_GROUP, 1);
}

tarn_status opencl_neural_run(tarn_backend_device *device, tarn_backend_stream *stream,
                              const tarn_backend_operation *operation) {
    opencl_neural_call call = {.device = device,
                               .stream = stream,
                               .operation = operation,
                               .form = {.operation = operation->operation,
                                        .type = operation->operands[0].type,
                                        .choices = "",
                                        .texts = {opencl_source_neural}}};
    switch (operation->operation) {
    case TARN_OPERATION_MATMUL: return opencl_matmul_run(&call);
    case TARN_OPERATION_CONV2D: return opencl_conv2d_run(&call);
    case TARN_OPERATION_MAX_POOL2D: return run_max_pool2d(&call);
    case TARN_OPERATION_SOFTMAX: return run_softmax(&call);
    case TARN_OPERATION_LAYER_NORM: return run_layer_norm(&call);
    case TARN_OPERATION_GATHER: return run_gather(&call);
    default:
        return opencl_fail(TARN_NOT_SUPPORTED, "an OpenCL device does not compute operation number %d",
                           (int)operation->operation);
    }
}
