/* Running programs: from the operands of a call to the form of its kernels and their arguments. */
#include "backends/opencl/opencl_program.h"

#include <stdlib.h>
#include <string.h>

#define MOST_OPERANDS (2 * TARN_PROGRAM_MAXIMUM_OPERANDS + 1)
/* As much as every device takes as arguments (CL_DEVICE_MAX_PARAMETER_SIZE), less what the others need. */
#define MOST_SPACE 512
/* Elements that a work-item reduces at least, before more of them share the work. */
#define SHORT_REDUCTION 32
#define LEAST_SLICE 8192
#define MOST_SLICES 256

/* Sizes and strides as a kernel reads them: of the dimensions that are kept, with 1s before them up to their room, and then of those that are reduced. */
typedef struct program_space {
    int64_t numbers[2 * TARN_MAXIMUM_RANK * (MOST_OPERANDS + 1)];
    size_t size; /* bytes */
    int64_t kept_count, reduced_count;
    int64_t items; /* work-items, or groups of them, for what is kept */
    int64_t row; /* elements along the lanes: of the last dimension that is kept, or of all where a program is linear */
} program_space;

typedef struct dims_order {
    uint32_t dims[TARN_MAXIMUM_RANK];
    uint32_t count;
} dims_order;

typedef struct program_order {
    dims_order kept, reduced;
} program_order;

/* Room for `count` dimensions: few sizes of it, so that few kernels are compiled. */
static uint32_t room_for(uint32_t count) { return count <= 2 ? 2 : TARN_MAXIMUM_RANK; }

static bool is_contiguous(const tarn_operand *operand) {
    int64_t stride = 1;
    for (uint32_t i = operand->rank; i-- > 0;) {
        if (operand->dims[i] > 1 && operand->strides[i] != stride) return false;
        stride *= operand->dims[i];
    }
    return true;
}

static bool is_one_element(const tarn_operand *operand) {
    for (uint32_t i = 0; i < operand->rank; i++)
        if (operand->dims[i] > 1 && operand->strides[i] != 0) return false;
    return true;
}

/* The elements that a walk from the first one may reach in either direction fit into 31 bits. */
static bool is_near(const tarn_operand *operand) {
    int64_t reach = 0, count = 1;
    for (uint32_t i = 0; i < operand->rank; i++) {
        int64_t stride = operand->strides[i] < 0 ? -operand->strides[i] : operand->strides[i];
        reach += (operand->dims[i] - 1) * stride;
        count *= operand->dims[i];
    }
    return reach < INT32_MAX && count < INT32_MAX - 4096;
}

static bool takes_index(const tarn_program *program) {
    for (uint32_t i = 0; i < program->step_count; i++)
        for (int v = 0; v < 3; v++)
            if (program->steps[i].values[v].source == TARN_SOURCE_INDEX) return true;
    return false;
}

/* As many lanes as the device likes for each of the types. */
static uint32_t lanes_for(const tarn_backend_device *device, const tarn_backend_operation *operation) {
    const tarn_program *program = operation->program;
    uint32_t lanes = 16;
    for (uint32_t i = 0; i < operation->output_count + operation->input_count; i++)
        if (device->lanes[operation->operands[i].type] < lanes) lanes = device->lanes[operation->operands[i].type];
    for (uint32_t i = 0; i < program->step_count; i++)
        if (device->lanes[program->steps[i].type] < lanes) lanes = device->lanes[program->steps[i].type];
    return lanes;
}

/* Fills what follows from operands and program alone. */
static opencl_form describe(const tarn_backend_operation *operation) {
    const tarn_program *program = operation->program;
    uint32_t count = operation->output_count + operation->input_count;
    opencl_form form = {.operation = operation,
                        .is_linear = program->reduction == TARN_OPERATION_COPY,
                        .uses_index = takes_index(program),
                        .group = 1,
                        .lanes = 1};
    for (uint32_t i = 0; i < count; i++) {
        const tarn_operand *operand = &operation->operands[i];
        bool is_unit = is_contiguous(operand);
        if (is_unit) form.units |= 1u << i;
        else form.spreads |= 1u << i;
        form.is_linear = form.is_linear && (is_unit || is_one_element(operand));
        form.is_wide = form.is_wide || !is_near(operand);
    }
    if (!form.is_linear) form.units = form.spreads = 0;
    return form;
}

static void add_strides(const int64_t *strides, const dims_order *order, uint32_t room, int64_t **inout_numbers) {
    for (uint32_t i = order->count; i < room; i++) *(*inout_numbers)++ = 0;
    for (uint32_t i = 0; i < order->count; i++) *(*inout_numbers)++ = strides[order->dims[i]];
}

static int64_t add_dims(const tarn_operand *operand, const dims_order *order, uint32_t room, int64_t **inout_numbers) {
    int64_t count = 1;
    for (uint32_t i = order->count; i < room; i++) *(*inout_numbers)++ = 1;
    for (uint32_t i = 0; i < order->count; i++) {
        int64_t dim = operand->dims[order->dims[i]];
        *(*inout_numbers)++ = dim;
        count *= dim;
    }
    return count;
}

static program_order order_of(const tarn_backend_operation *operation) {
    bool reduces = operation->program->reduction != TARN_OPERATION_COPY;
    program_order order = {.kept = {.count = 0}};
    for (uint32_t i = 0; i < operation->operands[0].rank; i++) {
        bool is_reduced = reduces && (operation->program->reduced_dims >> i & 1) != 0;
        dims_order *part = is_reduced ? &order.reduced : &order.kept;
        part->dims[part->count++] = i;
    }
    return order;
}

static void lay_out(opencl_form *form, const program_order *parts, program_space *out_space) {
    const tarn_backend_operation *operation = form->operation;
    const tarn_operand *first = &operation->operands[0];
    const dims_order kept = parts->kept, reduced = parts->reduced;
    bool reduces = operation->program->reduction != TARN_OPERATION_COPY;
    form->kept = room_for(kept.count);
    form->reduced = reduces ? room_for(reduced.count) : 0;
    int64_t *next = out_space->numbers;
    out_space->kept_count = add_dims(first, &kept, form->kept, &next);
    out_space->reduced_count = add_dims(first, &reduced, form->reduced, &next);
    for (uint32_t i = 0; i < operation->output_count + operation->input_count; i++) {
        add_strides(operation->operands[i].strides, &kept, form->kept, &next);
        add_strides(operation->operands[i].strides, &reduced, form->reduced, &next);
    }
    if (form->uses_index) {
        int64_t rows[TARN_MAXIMUM_RANK], stride = 1;
        for (uint32_t i = first->rank; i-- > 0; stride *= first->dims[i]) rows[i] = stride;
        add_strides(rows, &kept, form->kept, &next);
        add_strides(rows, &reduced, form->reduced, &next);
    }
    out_space->size = (size_t)((char *)next - (char *)out_space->numbers);
    form->has_far_space = !form->is_linear && out_space->size > MOST_SPACE;
}

/* How the work of a reduction is shared; returns how many elements a slice has. */
static int64_t share(const tarn_backend_device *device, opencl_form *form, const program_space *space) {
    if (form->reduced == 0) return 0;
    int64_t items = (int64_t)device->compute_units * device->group;
    bool is_short = space->reduced_count <= SHORT_REDUCTION;
    if (is_short || (space->kept_count >= 16 * items && space->reduced_count < LEAST_SLICE))
        return space->reduced_count;
    form->group = device->group;
    if (space->kept_count >= 4 * (int64_t)device->compute_units || space->reduced_count < 2 * LEAST_SLICE)
        return space->reduced_count;
    form->is_split = true;
    int64_t slices = (space->reduced_count + LEAST_SLICE - 1) / LEAST_SLICE;
    if (slices > MOST_SLICES) slices = MOST_SLICES;
    return (space->reduced_count + slices - 1) / slices;
}

/* Notes how the operands run along the dimension of the lanes. Returns whether the elements of each input follow each other there, or are one. */
static bool runs_along(opencl_form *form, uint32_t dim) {
    const tarn_backend_operation *operation = form->operation;
    uint32_t units = 0, spreads = 0, count = operation->output_count + operation->input_count;
    bool is_near = true;
    for (uint32_t i = 0; i < count; i++) {
        int64_t stride = operation->operands[i].strides[dim];
        if (stride == 1) units |= 1u << i;
        else if (stride == 0) spreads |= 1u << i;
        else if (i >= operation->output_count) is_near = false;
    }
    form->units = units;
    form->spreads = spreads;
    return is_near;
}

/* Whether the elements along the dimension are numbered one after the other. */
static bool is_numbered_along(const tarn_operand *first, uint32_t dim) {
    for (uint32_t i = dim + 1; i < first->rank; i++)
        if (first->dims[i] > 1) return false;
    return true;
}

static uint32_t lanes_within(uint32_t lanes, int64_t length) {
    while (lanes > 1 && lanes > length) lanes /= 2;
    return lanes;
}

/* The lanes of an elementwise program are always as many, so that functions, which drivers have another form of for each number, give the
 * same whatever the strides. Those of a reduction run along the one dimension that is reduced, or along the last that is kept, whichever the
 * elements follow each other in. */
static void choose_lanes(const tarn_backend_device *device, opencl_form *form, const program_order *order) {
    const tarn_operand *first = &form->operation->operands[0];
    uint32_t lanes = lanes_for(device, form->operation);
    if (form->reduced == 0) {
        form->lanes = lanes;
        if (!form->is_linear) (void)runs_along(form, order->kept.dims[order->kept.count - 1]);
        return;
    }
    for (int keeps = 0; keeps < 2; keeps++) {
        const dims_order *part = keeps != 0 ? &order->kept : &order->reduced;
        if (part->count == 0 || (keeps == 0 && part->count > 1) || (keeps != 0 && form->is_split)) continue;
        uint32_t dim = part->dims[part->count - 1];
        if (form->uses_index && !is_numbered_along(first, dim)) continue;
        if (!runs_along(form, dim)) continue;
        form->lanes = lanes_within(lanes, first->dims[dim]);
        if (form->lanes == 1) continue;
        form->keeps_lanes = keeps != 0;
        /* Each work-item has as many sums in local memory. */
        if (form->keeps_lanes && form->group > OPENCL_GROUP) form->group = OPENCL_GROUP;
        return;
    }
    form->units = form->spreads = 0;
}

/* Elements along the lanes, where these run along what is kept, and the work-items that there are for all that is kept. */
static void count_items(const opencl_form *form, const program_order *order, program_space *space) {
    const tarn_operand *first = &form->operation->operands[0];
    space->row = form->is_linear ? space->kept_count : 0;
    if (!form->is_linear && order->kept.count > 0) space->row = first->dims[order->kept.dims[order->kept.count - 1]];
    space->items = space->kept_count;
    if (form->reduced > 0 && !form->keeps_lanes) return;
    int64_t across = (space->row + form->lanes - 1) / form->lanes;
    space->items = space->row > 0 ? space->kept_count / space->row * across : 0;
}

static void add_constant(opencl_launch *launch, const tarn_constant *constant) {
    float narrow = (float)constant->floating;
    switch (constant->type) {
    case TARN_ELEMENT_F32:
    case TARN_ELEMENT_F16:
    case TARN_ELEMENT_BF16: opencl_launch_value(launch, &narrow, sizeof narrow); break;
    case TARN_ELEMENT_F64: opencl_launch_value(launch, &constant->floating, sizeof constant->floating); break;
    /* The lowest bytes of the number, as all of OpenCL's hosts that Tarn knows have them first. */
    default: opencl_launch_value(launch, &constant->integer, opencl_type_size(constant->type)); break;
    }
}

/* What a call needs besides its operands. */
typedef struct program_call {
    opencl_form form;
    program_space space;
    cl_mem far_space, partial; /* NULL: not needed */
    int64_t slice;
} program_call;

static tarn_status launch(tarn_backend_device *device, tarn_backend_stream *stream, const program_call *call,
                          opencl_compiled *compiled, int kernel) {
    const opencl_form *form = &call->form;
    const tarn_backend_operation *operation = form->operation;
    opencl_launch begun = opencl_launch_begin(device, stream, compiled, kernel);
    for (uint32_t i = 0; i < operation->output_count + operation->input_count; i++)
        opencl_launch_address(&begun, operation->operands[i].data);
    for (uint32_t i = 0; i < operation->program->constant_count; i++)
        add_constant(&begun, &operation->program->constants[i]);
    if (form->has_far_space) opencl_launch_buffer(&begun, call->far_space);
    else if (!form->is_linear) opencl_launch_value(&begun, call->space.numbers, call->space.size);
    opencl_launch_long(&begun, operation->program->first_index);
    int64_t items = kernel == 0 ? call->space.items : call->space.kept_count;
    opencl_launch_long(&begun, items);
    opencl_launch_long(&begun, call->space.row);
    if (form->reduced > 0) {
        opencl_launch_long(&begun, call->space.reduced_count);
        opencl_launch_long(&begun, call->slice);
        opencl_launch_buffer(&begun, call->partial);
    }
    bool has_group_each = kernel == 0 && form->group > 1;
    size_t size = has_group_each ? form->group : device->group;
    size_t groups = has_group_each ? (size_t)items : ((size_t)items + size - 1) / size;
    size_t slices =
        kernel == 0 && form->is_split ? (size_t)((call->space.reduced_count + call->slice - 1) / call->slice) : 1;
    return opencl_launch_enqueue(&begun, groups, size, slices);
}

static tarn_status create_buffers(tarn_backend_device *device, program_call *call) {
    cl_int error = CL_SUCCESS;
    if (call->form.has_far_space) {
        call->far_space = opencl.clCreateBuffer(device->context, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR,
                                                call->space.size, call->space.numbers, &error);
    }
    if (error == CL_SUCCESS && call->form.is_split) {
        size_t slices = (size_t)((call->space.reduced_count + call->slice - 1) / call->slice);
        size_t size = (size_t)call->space.kept_count * slices * opencl_program_accumulator_size(&call->form);
        call->partial = opencl.clCreateBuffer(device->context, CL_MEM_READ_WRITE, size, NULL, &error);
    }
    return error == CL_SUCCESS ? TARN_OK : opencl_fail_call(error, "clCreateBuffer");
}

tarn_status opencl_program_run(tarn_backend_device *device, tarn_backend_stream *stream,
                               const tarn_backend_operation *operation) {
    program_call call = {.form = describe(operation)};
    opencl_text key = {.bytes = NULL};
    opencl_compiled *compiled;
    const program_order order = order_of(operation);
    lay_out(&call.form, &order, &call.space);
    call.slice = share(device, &call.form, &call.space);
    choose_lanes(device, &call.form, &order);
    count_items(&call.form, &order, &call.space);
    opencl_program_key(&call.form, &key);
    tarn_status status = opencl_compile(device, &key, opencl_program_write, &call.form, &compiled);
    opencl_text_end(&key);
    if (status == TARN_OK) status = create_buffers(device, &call);
    if (status == TARN_OK) status = launch(device, stream, &call, compiled, 0);
    if (status == TARN_OK && call.form.is_split) status = launch(device, stream, &call, compiled, 1);
    /* The driver keeps them until the work is done. */
    if (call.far_space != NULL) opencl.clReleaseMemObject(call.far_space);
    if (call.partial != NULL) opencl.clReleaseMemObject(call.partial);
    return status;
}
