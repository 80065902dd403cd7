/* Convolutions by cuDNN.
 *
 * What it is told of a convolution, its form, is described to it once, and so is the algorithm chosen: by its heuristics, which run
 * nothing, and among those that give the same result each time and need little scratch memory. F32 is computed without TF32. A row of
 * biases and ReLU are part of the same call, where cuDNN says that it does that; what is left follows as a program. What it does not take
 * in any way is remembered, and is computed by our own kernel. */
#include "backends/cuda/operations/dnn.h"

#include <float.h>
#include <stdio.h>
#include <string.h>

#include "backends/cuda/operations/dnn_form.h"
#include "backends/cuda/operations/dnn_library.h"
#include "backends/cuda/operations/recent.h"
#include "base/memory.h"

/* Bytes of scratch memory that an algorithm may use: the same in graphs and outside, so that the same one is chosen. */
#define WORKSPACE ((size_t)32 << 20)

/* A form with its description and what was chosen for it. Protected by the lock, as the list is. */
typedef struct dnn_choice {
    cuda_recent recent;
    dnn_form form;
    dnn_tensor tensors[2], bias; /* bias: one for each channel */
    dnn_filter weight;
    dnn_convolution convolution;
    dnn_activation activation;
    bool is_chosen, is_impossible;
    dnn_fusion fusion;
    int algorithm;
    size_t workspace_size;
} dnn_choice;

/* Where a task's data are while it is enqueued. */
typedef struct dnn_run {
    const dnn_library *library;
    const cuda_task *task;
    dnn_choice *choice;
} dnn_run;

/* Whether the answer is that cuDNN does not do this, which is no failure. It says so of numbers that it cannot take too. */
static bool is_refusal(const char *name) {
    return strstr(name, "NOT_SUPPORTED") != NULL || strstr(name, "ARCH_MISMATCH") != NULL ||
           strstr(name, "BAD_PARAM") != NULL || strstr(name, "INVALID_VALUE") != NULL;
}

static const char *name_of(const dnn_library *library, dnn_status result) {
    const char *name = library->cudnnGetErrorString(result);
    return name != NULL ? name : "error";
}

/* TARN_NOT_SUPPORTED, without a sentence, is a refusal. */
static tarn_status answer(const dnn_library *library, dnn_status result, const char *call) {
    if (result == DNN_SUCCESS) return TARN_OK;
    const char *name = name_of(library, result);
    if (is_refusal(name)) return TARN_NOT_SUPPORTED;
    bool is_memory = strstr(name, "ALLOC") != NULL;
    return cuda_fail(is_memory ? TARN_OUT_OF_MEMORY : TARN_INTERNAL, "%s: %s (%d)", call, name, result);
}

#define CALL(library, function, ...) answer(library, (library)->function(__VA_ARGS__), #function)

static void end_choice(const dnn_library *library, dnn_choice *choice) {
    for (int i = 0; i < 2; i++)
        if (choice->tensors[i] != NULL) library->cudnnDestroyTensorDescriptor(choice->tensors[i]);
    if (choice->bias != NULL) library->cudnnDestroyTensorDescriptor(choice->bias);
    if (choice->weight != NULL) library->cudnnDestroyFilterDescriptor(choice->weight);
    if (choice->convolution != NULL) library->cudnnDestroyConvolutionDescriptor(choice->convolution);
    if (choice->activation != NULL) library->cudnnDestroyActivationDescriptor(choice->activation);
    base_free(choice);
}

static tarn_status describe_tensor(const dnn_library *library, int type, const int *dims, const int *strides,
                                   dnn_tensor *out_tensor) {
    tarn_status status = CALL(library, cudnnCreateTensorDescriptor, out_tensor);
    if (status != TARN_OK) return status;
    return CALL(library, cudnnSetTensor4dDescriptorEx, *out_tensor, type, dims[0], dims[1], dims[2], dims[3],
                strides[0], strides[1], strides[2], strides[3]);
}

static tarn_status describe_convolution(const dnn_library *library, dnn_choice *choice) {
    const dnn_form *form = &choice->form;
    const int type = form->type == DNN_F64 ? DNN_F64 : DNN_F32;
    tarn_status status = CALL(library, cudnnCreateConvolutionDescriptor, &choice->convolution);
    if (status == TARN_OK)
        status = CALL(library, cudnnSetConvolution2dDescriptor, choice->convolution, form->padding[0], form->padding[1],
                      form->step[0], form->step[1], form->dilation[0], form->dilation[1], DNN_CORRELATION, type);
    if (status == TARN_OK) status = CALL(library, cudnnSetConvolutionGroupCount, choice->convolution, form->groups);
    return status;
}

static tarn_status describe_fusion(const dnn_library *library, dnn_choice *choice) {
    const dnn_form *form = &choice->form;
    const int channels = form->tensors[DNN_OUT][1];
    const int dims[4] = {1, channels, 1, 1}, strides[4] = {channels, 1, 1, 1};
    tarn_status status = describe_tensor(library, form->type, dims, strides, &choice->bias);
    if (status == TARN_OK) status = CALL(library, cudnnCreateActivationDescriptor, &choice->activation);
    if (status != TARN_OK) return status;
    /* ReLU has an upper bound there. */
    return CALL(library, cudnnSetActivationDescriptor, choice->activation,
                form->fusion == DNN_FUSES_RELU ? DNN_RELU : DNN_IDENTITY, DNN_NANS_REMAIN, DBL_MAX);
}

static tarn_status describe(const dnn_library *library, dnn_choice *choice) {
    const dnn_form *form = &choice->form;
    tarn_status status = TARN_OK;
    for (int i = 0; i < 2 && status == TARN_OK; i++)
        status = describe_tensor(library, form->type, form->tensors[i], form->strides[i], &choice->tensors[i]);
    if (status == TARN_OK) status = CALL(library, cudnnCreateFilterDescriptor, &choice->weight);
    if (status == TARN_OK)
        status = CALL(library, cudnnSetFilter4dDescriptor, choice->weight, form->type, form->weight_format,
                      form->weight[0], form->weight[1], form->weight[2], form->weight[3]);
    if (status == TARN_OK) status = describe_convolution(library, choice);
    if (status == TARN_OK && form->fusion != DNN_FUSES_NOTHING) status = describe_fusion(library, choice);
    return status;
}

/* Whether an algorithm that was proposed will do: it stands if it needs no more memory than it may use. */
static tarn_status try_proposal(const dnn_run *run, dnn_handle handle, const dnn_proposal *proposal, bool *out_stands) {
    dnn_choice *choice = run->choice;
    /* TF32 is a way of tensor cores: what is no half keeps away from them, whatever is proposed. */
    const bool is_half = choice->form.type == DNN_F16 || choice->form.type == DNN_BF16;
    const int mathematics = is_half ? proposal->mathematics : DNN_WITHOUT_TENSOR_CORES;
    *out_stands = false;
    if (proposal->status != DNN_SUCCESS || proposal->determinism != DNN_DETERMINISTIC) return TARN_OK;
    if (choice->fusion == DNN_FUSES_BIAS && proposal->algorithm != DNN_PRECOMPUTED_INDICES) return TARN_OK;
    tarn_status status = CALL(run->library, cudnnSetConvolutionMathType, choice->convolution, mathematics);
    if (status == TARN_OK)
        status =
            CALL(run->library, cudnnGetConvolutionForwardWorkspaceSize, handle, choice->tensors[DNN_IN], choice->weight,
                 choice->convolution, choice->tensors[DNN_OUT], proposal->algorithm, &choice->workspace_size);
    choice->algorithm = proposal->algorithm;
    *out_stands = status == TARN_OK && choice->workspace_size <= WORKSPACE;
    return status == TARN_NOT_SUPPORTED ? TARN_OK : status;
}

/* The first algorithm that will do for what is to be fused; none: TARN_NOT_SUPPORTED. */
static tarn_status choose_algorithm(const dnn_run *run, dnn_handle handle) {
    dnn_choice *choice = run->choice;
    const bool is_half = choice->form.type == DNN_F16 || choice->form.type == DNN_BF16;
    dnn_proposal proposals[DNN_ALGORITHM_COUNT];
    int count = 0;
    tarn_status status = CALL(run->library, cudnnSetConvolutionMathType, choice->convolution,
                              is_half ? DNN_TENSOR_CORES : DNN_WITHOUT_TENSOR_CORES);
    if (status == TARN_OK)
        status =
            CALL(run->library, cudnnGetConvolutionForwardAlgorithm_v7, handle, choice->tensors[DNN_IN], choice->weight,
                 choice->convolution, choice->tensors[DNN_OUT], DNN_ALGORITHM_COUNT, &count, proposals);
    for (int i = 0; i < count && status == TARN_OK; i++) {
        bool stands;
        status = try_proposal(run, handle, &proposals[i], &stands);
        if (stands) return TARN_OK;
    }
    return status == TARN_OK ? TARN_NOT_SUPPORTED : status;
}

/* What cuDNN has refused to do is not asked for again. */
static void fall_back(dnn_choice *choice) {
    choice->is_chosen = false;
    choice->is_impossible = choice->fusion == DNN_FUSES_NOTHING || choice->form.must_fuse;
    choice->fusion = DNN_FUSES_NOTHING;
}

/* Scratch memory: zeros in place of biases, then what the algorithm uses. */
static tarn_status take_scratch(const dnn_run *run, const void **out_bias, void **out_workspace) {
    const dnn_choice *choice = run->choice;
    const tarn_operand *operands = run->task->operation->operands;
    const bool has_bias = run->task->operation->attributes.conv2d.has_bias != 0;
    size_t zeros = 0;
    char *scratch = NULL;
    if (choice->fusion == DNN_FUSES_RELU && !has_bias)
        zeros = (size_t)choice->form.tensors[DNN_OUT][1] * tarn_element_size(operands[DNN_OUT].type);
    const size_t offset = (zeros + 255) / 256 * 256;
    if (offset + choice->workspace_size > 0) {
        void *memory;
        tarn_status status = cuda_workspace_scratch(run->task->workspace, offset + choice->workspace_size, &memory);
        if (status != TARN_OK) return status;
        scratch = memory;
    }
    *out_bias = zeros > 0 ? scratch : operands[DNN_BIAS].data;
    *out_workspace = choice->workspace_size > 0 ? scratch + offset : NULL;
    if (zeros == 0) return TARN_OK;
    return CUDA_CALL(cuMemsetD8Async, (driver_pointer)(uintptr_t)scratch, 0, zeros, run->task->stream->handle);
}

static tarn_status run_choice(const dnn_run *run, dnn_handle handle) {
    const dnn_choice *choice = run->choice;
    const tarn_operand *operands = run->task->operation->operands;
    const double one = 1, zero = 0;
    const float short_one = 1, short_zero = 0;
    const bool is_double = choice->form.type == DNN_F64;
    const void *alpha = is_double ? (const void *)&one : &short_one,
               *beta = is_double ? (const void *)&zero : &short_zero;
    const void *bias;
    void *workspace;
    tarn_status status = take_scratch(run, &bias, &workspace);
    if (status == TARN_OK) status = CALL(run->library, cudnnSetStream, handle, run->task->stream->handle);
    if (status != TARN_OK) return status;
    if (choice->fusion == DNN_FUSES_NOTHING) {
        return CALL(run->library, cudnnConvolutionForward, handle, alpha, choice->tensors[DNN_IN],
                    operands[DNN_IN].data, choice->weight, operands[DNN_WEIGHT].data, choice->convolution,
                    choice->algorithm, workspace, choice->workspace_size, beta, choice->tensors[DNN_OUT],
                    operands[DNN_OUT].data);
    }
    return CALL(run->library, cudnnConvolutionBiasActivationForward, handle, alpha, choice->tensors[DNN_IN],
                operands[DNN_IN].data, choice->weight, operands[DNN_WEIGHT].data, choice->convolution,
                choice->algorithm, workspace, choice->workspace_size, beta, choice->tensors[DNN_OUT],
                operands[DNN_OUT].data, choice->bias, bias, choice->activation, choice->tensors[DNN_OUT],
                operands[DNN_OUT].data);
}

/* Asks for as much as may be fused, and for less until cuDNN takes it. */
static tarn_status enqueue_choice(const dnn_run *run, dnn_handle handle, bool *out_is_done) {
    dnn_choice *choice = run->choice;
    while (!choice->is_impossible) {
        tarn_status status = choice->is_chosen ? TARN_OK : choose_algorithm(run, handle);
        choice->is_chosen = status == TARN_OK;
        if (status == TARN_OK) status = run_choice(run, handle);
        *out_is_done = status == TARN_OK;
        if (status != TARN_NOT_SUPPORTED) return status;
        fall_back(choice);
    }
    return TARN_OK;
}

/* Makes the description of a form that is new. What cuDNN does not describe is impossible. */
static tarn_status make_choice(const dnn_library *library, const dnn_form *form, dnn_choice **out_choice) {
    dnn_choice *choice = base_allocate(1, sizeof *choice);
    if (choice == NULL) return cuda_fail(TARN_OUT_OF_MEMORY, "no host memory for a convolution");
    choice->form = *form;
    choice->fusion = (dnn_fusion)form->fusion;
    tarn_status status = describe(library, choice);
    choice->is_impossible = status == TARN_NOT_SUPPORTED;
    if (status != TARN_OK && status != TARN_NOT_SUPPORTED) {
        end_choice(library, choice);
        return status;
    }
    *out_choice = choice;
    return TARN_OK;
}

/* The choice for a form, which becomes the list's first. Nobody uses another one: the lock is held. */
static tarn_status find_choice(const dnn_library *library, cuda_operations_state *state, const dnn_form *form,
                               dnn_choice **out_choice) {
    cuda_recent *forgotten;
    dnn_choice *found =
        (dnn_choice *)cuda_recent_find(&state->dnn_choices, offsetof(dnn_choice, form), form, sizeof *form, &forgotten);
    if (forgotten != NULL) end_choice(library, (dnn_choice *)forgotten);
    if (found == NULL) {
        tarn_status status = make_choice(library, form, &found);
        if (status != TARN_OK) return status;
        cuda_recent_add(&state->dnn_choices, &found->recent);
    }
    *out_choice = found;
    return TARN_OK;
}

/* cuDNN's handle on the device. A device on which it does not start is remembered: TARN_NOT_SUPPORTED, with the reason the first time. */
static tarn_status start(const dnn_library *library, cuda_operations_state *state, char *out_reason, size_t capacity) {
    if (state->is_dnn_refused) return TARN_NOT_SUPPORTED;
    if (state->dnn != NULL) return TARN_OK;
    dnn_status result = library->cudnnCreate(&state->dnn);
    if (result == DNN_SUCCESS) return TARN_OK;
    state->dnn = NULL;
    tarn_status status = answer(library, result, "cudnnCreate");
    if (status == TARN_OUT_OF_MEMORY) return status;
    state->is_dnn_refused = true;
    snprintf(out_reason, capacity, "cudnnCreate: %s (%d)", name_of(library, result), result);
    return TARN_NOT_SUPPORTED;
}

/* Everything that is done with the lock held. */
static tarn_status enqueue(const dnn_library *library, const cuda_task *task, const dnn_form *form,
                           dnn_fusion *out_fusion, bool *out_is_done, char *out_reason, size_t capacity) {
    cuda_operations_state *state = task->device->operations;
    dnn_run run = {.library = library, .task = task};
    tarn_status status = start(library, state, out_reason, capacity);
    if (status == TARN_OK) status = find_choice(library, state, form, &run.choice);
    if (status == TARN_OK) {
        status = enqueue_choice(&run, state->dnn, out_is_done);
        *out_fusion = run.choice->fusion;
    }
    return status == TARN_NOT_SUPPORTED ? TARN_OK : status;
}

/* What cuDNN did not do: a bias as a tensor of the result's shape, and the activation. */
static tarn_status enqueue_rest(const cuda_task *task, dnn_fusion fusion) {
    const tarn_conv2d_attributes *attributes = &task->operation->attributes.conv2d;
    const tarn_operand *operands = task->operation->operands;
    if (fusion != DNN_FUSES_NOTHING) return TARN_OK;
    tarn_operand bias = operands[DNN_OUT];
    if (attributes->has_bias) {
        bias.data = operands[DNN_BIAS].data;
        for (int d = 0; d < 4; d++) bias.strides[d] = d == 1 ? operands[DNN_BIAS].strides[0] : 0;
    }
    return cuda_epilogue_enqueue(task, attributes->has_bias ? &bias : NULL, attributes->activation);
}

tarn_status cuda_dnn_conv2d(const cuda_task *task, bool *out_is_done) {
    cuda_operations_state *state = task->device->operations;
    dnn_form form;
    dnn_fusion fusion = DNN_FUSES_NOTHING;
    char reason[128] = "";
    *out_is_done = false;
    if (!dnn_form_find(task, &form)) return TARN_OK;
    const dnn_library *library = dnn_library_find();
    if (library == NULL) return TARN_OK;
    pthread_mutex_lock(&state->dnn_lock);
    tarn_status status = enqueue(library, task, &form, &fusion, out_is_done, reason, sizeof reason);
    pthread_mutex_unlock(&state->dnn_lock);
    if (reason[0] != '\0') dnn_library_say(reason);
    return status == TARN_OK && *out_is_done ? enqueue_rest(task, fusion) : status;
}

tarn_status cuda_dnn_prepare(const cuda_task *task) {
    cuda_operations_state *state = task->device->operations;
    dnn_form form;
    char reason[128] = "";
    if (!dnn_form_find(task, &form)) return TARN_OK;
    const dnn_library *library = dnn_library_find();
    if (library == NULL) return TARN_OK;
    pthread_mutex_lock(&state->dnn_lock);
    tarn_status status = start(library, state, reason, sizeof reason);
    pthread_mutex_unlock(&state->dnn_lock);
    if (reason[0] != '\0') dnn_library_say(reason);
    return status == TARN_NOT_SUPPORTED ? TARN_OK : status;
}

void cuda_dnn_end(cuda_operations_state *state) {
    if (state->dnn_choices == NULL && state->dnn == NULL) return;
    const dnn_library *library = dnn_library_find();
    for (cuda_recent *entry; (entry = cuda_recent_take(&state->dnn_choices)) != NULL;)
        end_choice(library, (dnn_choice *)entry);
    if (state->dnn != NULL) library->cudnnDestroy(state->dnn);
}
