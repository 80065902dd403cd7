/* The operations that are no programs: the source of a form, and gather and pooling, whose items have a few elements each that follow each other along
 * the result. */
#include "backends/opencl/opencl_neural.h"

#include <stdio.h>
#include <string.h>

/* Vectors that an item of a gather moves on processors, where an item costs more than a vector. */
#define PROCESSOR_VECTORS 64
#define MANY_ITEMS 4096
#define FEW_ELEMENTS 256

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

tarn_status opencl_neural_begin(const opencl_neural_call *call, opencl_launch *out_launch) {
    opencl_compiled *compiled;
    tarn_status status = opencl_neural_compile(call, &compiled);
    if (status == TARN_OK) *out_launch = opencl_launch_begin(call->device, call->stream, compiled, 0);
    return status;
}

void opencl_neural_operands(const opencl_neural_call *call, opencl_launch *launch, const int *places, int count) {
    for (int i = 0; i < count; i++) opencl_launch_address(launch, call->operation->operands[places[i]].data);
}

/* Processors run a group's items one after the other, so that it has one; where there are many items and little to do for each, several of them spare the
 * driver groups. Not more sizes than these, since drivers compile a kernel anew for each. */
size_t opencl_neural_group(const tarn_backend_device *device, int64_t items, int64_t elements) {
    if (!device->is_processor) return OPENCL_GROUP;
    return items < MANY_ITEMS || elements > FEW_ELEMENTS ? 1 : 16;
}

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

void opencl_walk_merge(opencl_walk *inout_walk) {
    const opencl_walk old = *inout_walk;
    int to = TARN_MAXIMUM_RANK;
    *inout_walk = opencl_walk_none();
    for (int d = TARN_MAXIMUM_RANK - 1; d >= 0; d--) {
        if (old.dims[d] == 1) continue;
        bool goes_on = to < TARN_MAXIMUM_RANK;
        for (int i = 0; i < OPENCL_WALK_OPERANDS && goes_on; i++)
            goes_on = old.strides[i][d] == inout_walk->strides[i][to] * inout_walk->dims[to];
        if (goes_on) {
            inout_walk->dims[to] *= old.dims[d];
            continue;
        }
        inout_walk->dims[--to] = old.dims[d];
        for (int i = 0; i < OPENCL_WALK_OPERANDS; i++) inout_walk->strides[i][to] = old.strides[i][d];
    }
}

/* What an item of a kernel does along the last dimension of the result, and how many items there are. */
typedef struct run_layout {
    char choices[64];
    int64_t run, items;
    size_t group;
} run_layout;

static run_layout lay_out(const opencl_neural_call *call, const opencl_walk *all, int64_t count, int64_t run) {
    const int64_t side = all->dims[TARN_MAXIMUM_RANK - 1];
    run_layout made = {.run = run, .items = count / side * ((side + run - 1) / run)};
    made.group = opencl_neural_group(call->device, made.items, run < side ? run : side);
    snprintf(made.choices, sizeof made.choices, "#define LANES %u\n#define SIZE %zu\n",
             (unsigned)call->device->lanes[call->form.type], made.group);
    return made;
}

static tarn_status enqueue(const run_layout *layout, opencl_launch *launch) {
    return opencl_launch_enqueue(launch, ((size_t)layout->items + layout->group - 1) / layout->group, layout->group, 1);
}

/* An integer as long as the type. */
static tarn_element_type as_integer(tarn_element_type type) {
    switch (opencl_type_size(type)) {
    case 1: return TARN_ELEMENT_I8;
    case 2: return TARN_ELEMENT_I16;
    case 4: return TARN_ELEMENT_I32;
    default: return TARN_ELEMENT_I64;
    }
}

static tarn_status run_gather(const opencl_neural_call *given) {
    opencl_neural_call call = *given;
    const tarn_operand *out = &call.operation->operands[0], *in = &call.operation->operands[1];
    const tarn_operand *numbers = &call.operation->operands[2];
    uint32_t axis = call.operation->attributes.gather.axis;
    const tarn_backend_device *device = call.device;
    call.form.numbers = numbers->type;
    call.form.type = as_integer(out->type);
    call.form.texts[1] = opencl_source_gather;
    opencl_walk all = opencl_walk_none();
    int64_t count = opencl_walk_along(&all, 0, out, 0, out->rank);
    for (uint32_t i = 0; i < out->rank; i++) {
        uint32_t to = TARN_MAXIMUM_RANK - (out->rank - i);
        if (i < axis) all.strides[1][to] = in->strides[i];
        else if (i < axis + numbers->rank) all.strides[2][to] = numbers->strides[i - axis];
        else all.strides[1][to] = in->strides[i - numbers->rank + 1];
    }
    opencl_walk_merge(&all);
    const bool is_within = all.strides[2][TARN_MAXIMUM_RANK - 1] == 0;
    const int64_t lanes = device->lanes[call.form.type];
    const run_layout layout = lay_out(&call, &all, count,
                                      device->is_processor ? lanes * PROCESSOR_VECTORS
                                      : is_within          ? lanes
                                                           : 1);
    call.form.choices = layout.choices;
    cl_mem wrong;
    opencl_launch launch;
    tarn_status status = opencl_stream_fault_word(call.stream, &wrong);
    if (status == TARN_OK) status = opencl_neural_begin(&call, &launch);
    if (status != TARN_OK) return status;
    opencl_neural_operands(&call, &launch, (const int[]){0, 1, 2}, 3);
    opencl_launch_value(&launch, &all, sizeof all);
    opencl_launch_long(&launch, layout.items);
    opencl_launch_long(&launch, layout.run);
    opencl_launch_long(&launch, in->dims[axis]);
    opencl_launch_long(&launch, in->strides[axis]);
    opencl_launch_buffer(&launch, wrong);
    return enqueue(&layout, &launch);
}

static tarn_status run_max_pool2d(const opencl_neural_call *given) {
    opencl_neural_call call = *given;
    const tarn_pool2d_attributes *attributes = &call.operation->attributes.pool2d;
    const tarn_operand *out = &call.operation->operands[0], *in = &call.operation->operands[1];
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
    const tarn_backend_device *device = call.device;
    const run_layout layout =
        lay_out(&call, &all, count, device->is_processor ? out->dims[3] : (int64_t)device->lanes[call.form.type]);
    call.form.choices = layout.choices;
    call.form.texts[1] = opencl_source_pooling;
    opencl_launch launch;
    tarn_status status = opencl_neural_begin(&call, &launch);
    if (status != TARN_OK) return status;
    opencl_neural_operands(&call, &launch, (const int[]){0, 1}, 2);
    opencl_launch_value(&launch, &all, sizeof all);
    opencl_launch_long(&launch, layout.items);
    opencl_launch_long(&launch, layout.run);
    opencl_launch_value(&launch, &over, sizeof over);
    return enqueue(&layout, &launch);
}

tarn_status opencl_neural_run(tarn_backend_device *device, tarn_backend_stream *stream,
                              const tarn_backend_operation *operation) {
    opencl_neural_call call = {.device = device,
                               .stream = stream,
                               .operation = operation,
                               .form = {.operation = operation->operation,
                                        .type = operation->operands[0].type,
                                        .choices = "",
                                        .texts = {opencl_source_lanes}}};
    switch (operation->operation) {
    case TARN_OPERATION_MATMUL: return opencl_matmul_run(&call);
    case TARN_OPERATION_CONV2D: return opencl_conv2d_run(&call);
    case TARN_OPERATION_MAX_POOL2D: return run_max_pool2d(&call);
    case TARN_OPERATION_SOFTMAX: return opencl_softmax_run(&call);
    case TARN_OPERATION_LAYER_NORM: return opencl_layer_norm_run(&call);
    case TARN_OPERATION_GATHER: return run_gather(&call);
    default:
        return opencl_fail(TARN_NOT_SUPPORTED, "an OpenCL device does not compute operation number %d",
                           (int)operation->operation);
    }
}
