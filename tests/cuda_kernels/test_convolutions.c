/* Convolutions by cuDNN, which is the tests' own (emulation/cudnn.c) here: what is left to it and what is not, each of its calls failing in
 * turn, forms remembered, graphs. That results are right for all layouts and types is shown by the operations' own tests, which run on it
 * too. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include <tarn/tarn.h>

#include "backends/cuda/cuda_internal.h"
#include "backends/cuda/operations/dnn_library.h"
#include "bench.h"
#include "fake_cuda.h"

enum { FILTERS = 3, CHANNELS = 2, EDGE = 5, KERNEL = 2, OUT = EDGE - KERNEL + 1 };
enum {
    NOT_INITIALIZED = 1001,
    BAD_PARAM = 2000,
    NOT_SUPPORTED = 3000,
    ALLOCATION_FAILED = 4003,
    EXECUTION_FAILED = 5000
};

static struct {
    void (*plan_failure)(const char *name, int call, int status);
    int (*has_failed)(void);
    int (*alive)(void);
    int (*launches)(void);
} cudnn;

static void find(void *library, const char *name, void *out_function) {
    void *symbol = dlsym(library, name);
    assert_non_null(symbol);
    memcpy(out_function, &symbol, sizeof symbol);
}

/* The library that the backend opens, opened once more. */
static int open_library(void **state) {
    (void)state;
    const char *file = getenv("TARN_CUDNN");
    tarn_backend_info info = {.struct_size = sizeof info};
    EXPECT_OK(tarn_backend_find("cuda", &info));
    void *library = file != NULL && info.is_available ? dlopen(file, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (library == NULL) {
        print_message("skipped: the fake driver or TARN_CUDNN is not there\n");
        return 0;
    }
    find(library, "fakecudnn_fail", &cudnn.plan_failure);
    find(library, "fakecudnn_has_failed", &cudnn.has_failed);
    find(library, "fakecudnn_alive", &cudnn.alive);
    find(library, "fakecudnn_launches", &cudnn.launches);
    return 0;
}

static unsigned warnings;
static char last_warning[512];

static void hear(void *context, tarn_log_level level, const char *message) {
    (void)context;
    (void)level;
    warnings++;
    strncpy(last_warning, message, sizeof last_warning - 1);
}

/* A device on which nothing was computed yet, with operands. */
typedef struct stand {
    test_bench bench;
    tarn_tensor *x, *weight, *bias, *result;
    tarn_conv2d_options options;
    bool has_bias;
} stand;

static float *sequence(size_t count, int factor, int modulus, int offset) {
    float *values = malloc(count * sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < count; i++) values[i] = (float)((int)i * factor % modulus - offset);
    return values;
}

static tarn_tensor *make(stand *own, const tarn_shape *shape, size_t count, int factor, int modulus, int offset) {
    float *values = sequence(count, factor, modulus, offset);
    tarn_tensor *made = NULL;
    EXPECT_OK(tarn_tensor_from_data(own->bench.allocator, shape, TARN_ELEMENT_F32, values, NULL, &made));
    EXPECT_OK(tarn_device_synchronize(own->bench.device));
    free(values);
    return made;
}

static void open_stand(stand *own, bool has_bias, tarn_operation activation) {
    if (cudnn.plan_failure == NULL) skip();
    *own = (stand){.has_bias = has_bias, .options = {.struct_size = sizeof own->options, .activation = activation}};
    bench_open(&own->bench, "cuda:0", "direct");
    own->x = make(own, SHAPE(1, CHANNELS, EDGE, EDGE), CHANNELS * EDGE * EDGE, 7, 11, 5);
    own->weight = make(own, SHAPE(FILTERS, CHANNELS, KERNEL, KERNEL), FILTERS * CHANNELS * KERNEL * KERNEL, 3, 7, 3);
    own->bias = make(own, SHAPE(FILTERS), FILTERS, 1, 7, 1);
    own->result = make(own, SHAPE(1, FILTERS, OUT, OUT), FILTERS * OUT * OUT, 0, 1, 99);
    warnings = 0;
    tarn_log_set(hear, NULL, TARN_LOG_WARNING);
}

static void close_stand(stand *own) {
    const fake_cuda *fake = fake_cuda_find();
    const char *sentence = NULL;
    cudnn.plan_failure(NULL, 0, 0);
    EXPECT_OK(tarn_tensor_release(own->x));
    EXPECT_OK(tarn_tensor_release(own->weight));
    EXPECT_OK(tarn_tensor_release(own->bias));
    EXPECT_OK(tarn_tensor_release(own->result));
    bench_close(&own->bench);
    tarn_log_set(NULL, NULL, TARN_LOG_WARNING);
    assert_int_equal(cudnn.alive(), 0);
    if (fake->violations(&sentence) != 0) fail_msg("the driver was used wrongly: %s", sentence);
    if (fake->live_objects(&sentence) != 0) fail_msg("the driver still has: %s", sentence);
}

static tarn_status convolve(stand *own, tarn_stream *stream) {
    const tarn_operation_options options = {.struct_size = sizeof options, .stream = stream};
    return tarn_conv2d(own->x, own->weight, own->has_bias ? own->bias : NULL, &own->options, &options, &own->result);
}

static float at(const float *elements, int channels, int edge, int n, int y, int x) {
    (void)channels;
    return elements[(n * edge + y) * edge + x];
}

static void expect_result(stand *own) {
    float *x = elements_of(own->x), *weight = elements_of(own->weight), *bias = elements_of(own->bias),
          *result = elements_of(own->result);
    for (int f = 0; f < FILTERS; f++) {
        for (int i = 0; i < OUT * OUT; i++) {
            float sum = own->has_bias ? bias[f] : 0;
            for (int k = 0; k < CHANNELS * KERNEL * KERNEL; k++) {
                int c = k / (KERNEL * KERNEL), r = k / KERNEL % KERNEL, s = k % KERNEL;
                sum += at(x, CHANNELS, EDGE, c, i / OUT + r, i % OUT + s) * weight[f * CHANNELS * KERNEL * KERNEL + k];
            }
            if (own->options.activation == TARN_OPERATION_RELU && sum < 0) sum = 0;
            if (result[f * OUT * OUT + i] != sum)
                fail_msg("filter %d, place %d: %g and not %g", f, i, (double)result[f * OUT * OUT + i], (double)sum);
        }
    }
    free(x);
    free(weight);
    free(bias);
    free(result);
}

static const struct {
    bool has_bias;
    tarn_operation activation;
} forms[] = {{false, TARN_OPERATION_COPY},
             {true, TARN_OPERATION_COPY},
             {false, TARN_OPERATION_RELU},
             {true, TARN_OPERATION_RELU}};
#define FORMS (sizeof forms / sizeof forms[0])

static const char *const functions[] = {
#define DNN_SYMBOL(name, parameters) #name,
#include "backends/cuda/operations/dnn_symbols.h"
#undef DNN_SYMBOL
};
#define FUNCTIONS (sizeof functions / sizeof functions[0])

/* What ends something does not fail. */
static bool can_fail(const char *function) { return strstr(function, "Destroy") == NULL; }

static void each_way_of_fusing_gives_the_same_result(void **state) {
    (void)state;
    for (size_t form = 0; form < FORMS; form++) {
        stand own;
        open_stand(&own, forms[form].has_bias, forms[form].activation);
        for (int refused = 0; refused < 3; refused++) {
            /* What was refused once is not asked for again. */
            if (refused == 1) cudnn.plan_failure("cudnnConvolutionBiasActivationForward", -1, NOT_SUPPORTED);
            if (refused == 2) cudnn.plan_failure("cudnnConvolutionForward", -1, NOT_SUPPORTED);
            const int before = cudnn.launches();
            EXPECT_OK(convolve(&own, NULL));
            assert_int_equal(cudnn.launches() - before, refused < 2);
            expect_result(&own);
        }
        assert_true(cudnn.alive() > 0);
        assert_int_equal(warnings, 0);
        close_stand(&own);
    }
}

static void what_is_known_of_a_form_is_asked_for_once(void **state) {
    (void)state;
    stand own;
    open_stand(&own, true, TARN_OPERATION_RELU);
    EXPECT_OK(convolve(&own, NULL));
    for (size_t i = 0; i < FUNCTIONS; i++) {
        if (strstr(functions[i], "SetStream") != NULL || strstr(functions[i], "Activation") != NULL) continue;
        cudnn.plan_failure(functions[i], -1, EXECUTION_FAILED);
        EXPECT_OK(convolve(&own, NULL));
        assert_false(cudnn.has_failed());
    }
    expect_result(&own);
    close_stand(&own);
}

static void try_failure(const char *function, int call, int failure, tarn_status wanted, size_t form, bool *out_done) {
    stand own;
    open_stand(&own, forms[form].has_bias, forms[form].activation);
    cudnn.plan_failure(function, call, failure);
    tarn_status status = convolve(&own, NULL);
    *out_done = cudnn.has_failed() != 0;
    cudnn.plan_failure(NULL, 0, 0);
    assert_int_equal(status, *out_done ? wanted : TARN_OK);
    if (status != TARN_OK) {
        EXPECT_SENTENCE(function);
        EXPECT_SENTENCE("CUDNN_STATUS_");
    }
    EXPECT_OK(convolve(&own, NULL));
    expect_result(&own);
    close_stand(&own);
}

static void each_call_may_fail(void **state) {
    (void)state;
    static const struct {
        int failure;
        tarn_status status;
    } failures[] = {{NOT_SUPPORTED, TARN_OK},
                    {BAD_PARAM, TARN_OK},
                    {ALLOCATION_FAILED, TARN_OUT_OF_MEMORY},
                    {EXECUTION_FAILED, TARN_INTERNAL}};
    const bool is_slow = getenv("TARN_TEST_SLOWNESS") != NULL;
    size_t failed = 0;
    for (size_t i = 0; i < FUNCTIONS; i++) {
        if (!can_fail(functions[i])) continue;
        size_t here = 0;
        for (size_t j = is_slow ? 3 : 0; j < 4; j++) {
            for (size_t form = 0; form < FORMS; form += is_slow ? 3 : 1) {
                bool has_failed = true;
                for (int call = 1; has_failed; call++, here += has_failed) {
                    /* A device where it does not start does without it. */
                    bool is_start = strcmp(functions[i], "cudnnCreate") == 0 && failures[j].status == TARN_INTERNAL;
                    try_failure(functions[i], call, failures[j].failure, is_start ? TARN_OK : failures[j].status, form,
                                &has_failed);
                }
            }
        }
        if (here == 0) fail_msg("%s is never called", functions[i]);
        failed += here;
    }
    print_message("%zu calls failed\n", failed);
}

static void a_device_where_it_does_not_start_says_so_once(void **state) {
    (void)state;
    stand own;
    open_stand(&own, true, TARN_OPERATION_RELU);
    cudnn.plan_failure("cudnnCreate", -1, NOT_INITIALIZED);
    for (int i = 0; i < 3; i++) EXPECT_OK(convolve(&own, NULL));
    expect_result(&own);
    assert_int_equal(warnings, 1);
    assert_string_equal(last_warning, "cuda: cuDNN is not used: cudnnCreate: CUDNN_STATUS_NOT_INITIALIZED (1001); "
                                      "convolutions are computed by Tarn's own kernels");
    close_stand(&own);
}

static void layouts_that_it_does_not_take_are_not_given_to_it(void **state) {
    (void)state;
    stand own;
    open_stand(&own, true, TARN_OPERATION_COPY);
    /* One image for all of a batch: an element that serves twice. */
    tarn_tensor *many = NULL, *result = NULL;
    EXPECT_OK(tarn_tensor_broadcast_to(own.x, SHAPE(2, CHANNELS, EDGE, EDGE), &many));
    EXPECT_OK(tarn_conv2d(many, own.weight, own.bias, NULL, NULL, &result));
    assert_int_equal(cudnn.alive(), 0);
    EXPECT_OK(tarn_tensor_release(many));
    EXPECT_OK(tarn_tensor_release(result));
    EXPECT_OK(convolve(&own, NULL));
    assert_true(cudnn.alive() > 0);
    close_stand(&own);
}

static void channels_may_lie_last(void **state) {
    (void)state;
    stand own;
    open_stand(&own, true, TARN_OPERATION_RELU);
    tarn_tensor *last = make(&own, SHAPE(1, EDGE, EDGE, CHANNELS), CHANNELS * EDGE * EDGE, 5, 13, 6);
    EXPECT_OK(tarn_tensor_release(own.x));
    const int order[4] = {0, 3, 1, 2};
    EXPECT_OK(tarn_tensor_transpose(last, order, &own.x));
    EXPECT_OK(tarn_tensor_release(last));
    EXPECT_OK(convolve(&own, NULL));
    assert_true(cudnn.alive() > 0);
    expect_result(&own);
    close_stand(&own);
}

static void many_forms_are_forgotten_again(void **state) {
    (void)state;
    stand own;
    int most = 0;
    open_stand(&own, false, TARN_OPERATION_COPY);
    EXPECT_OK(convolve(&own, NULL));
    const int each = cudnn.alive();
    for (int i = 1; i < 300; i++) {
        tarn_tensor *wide = NULL, *result = NULL;
        EXPECT_OK(tarn_tensor_zeros(own.bench.allocator, SHAPE(1, CHANNELS, KERNEL, KERNEL + i), TARN_ELEMENT_F32, NULL,
                                    &wide));
        EXPECT_OK(tarn_conv2d(wide, own.weight, NULL, NULL, NULL, &result));
        EXPECT_OK(tarn_tensor_release(wide));
        EXPECT_OK(tarn_tensor_release(result));
        if (cudnn.alive() > most) most = cudnn.alive();
    }
    /* Each form but the first is described by one less: the handle is of them all. */
    assert_int_equal(most, 256 * (each - 1) + 1);
    EXPECT_OK(convolve(&own, NULL));
    expect_result(&own);
    close_stand(&own);
}

static void graphs_take_it_and_give_it_scratch_memory_of_their_own(void **state) {
    (void)state;
    stand own;
    tarn_stream *stream;
    tarn_graph *graph;
    tarn_graph_instance *instance;
    open_stand(&own, false, TARN_OPERATION_RELU);
    EXPECT_OK(tarn_stream_create(own.bench.device, &stream));
    EXPECT_OK(tarn_stream_begin_capture(stream, TARN_CAPTURE_RELAXED));
    EXPECT_OK(convolve(&own, stream));
    EXPECT_OK(tarn_stream_end_capture(stream, &graph));
    EXPECT_OK(tarn_graph_instantiate(graph, &instance));
    EXPECT_OK(tarn_graph_release(graph));
    for (int i = 0; i < 2; i++) {
        EXPECT_OK(tarn_tensor_fill(own.result, tarn_scalar_float(99), NULL));
        EXPECT_OK(tarn_device_synchronize(own.bench.device));
        EXPECT_OK(tarn_graph_instance_launch(instance, stream));
        EXPECT_OK(tarn_stream_synchronize(stream));
        expect_result(&own);
    }
    assert_true(cudnn.alive() > 0);
    EXPECT_OK(tarn_graph_instance_release(instance));
    EXPECT_OK(tarn_stream_release(stream));
    close_stand(&own);
}

static driver_result (*begin_capture)(driver_stream stream, driver_capture_mode mode);
static int alive_at_capture;

static driver_result note_capture(driver_stream stream, driver_capture_mode mode) {
    alive_at_capture = cudnn.alive();
    return begin_capture(stream, mode);
}

/* To start, it asks for memory and may wait for the device, which no capture allows for certain. */
static void it_starts_before_the_driver_captures_anything(void **state) {
    (void)state;
    stand own;
    tarn_stream *stream;
    tarn_graph *graph;
    tarn_graph_instance *instance;
    open_stand(&own, true, TARN_OPERATION_RELU);
    EXPECT_OK(tarn_stream_create(own.bench.device, &stream));
    EXPECT_OK(tarn_stream_begin_capture(stream, TARN_CAPTURE_RELAXED));
    EXPECT_OK(convolve(&own, stream));
    EXPECT_OK(tarn_stream_end_capture(stream, &graph));
    assert_int_equal(cudnn.alive(), 0);
    cudnn.plan_failure("cudnnCreate", 1, ALLOCATION_FAILED);
    EXPECT(TARN_OUT_OF_MEMORY, tarn_graph_instantiate(graph, &instance));
    EXPECT_SENTENCE("cudnnCreate");
    cudnn.plan_failure(NULL, 0, 0);
    begin_capture = cuda_driver.cuStreamBeginCapture;
    cuda_driver.cuStreamBeginCapture = note_capture;
    alive_at_capture = -1;
    tarn_status status = tarn_graph_instantiate(graph, &instance);
    cuda_driver.cuStreamBeginCapture = begin_capture;
    EXPECT_OK(status);
    assert_int_equal(alive_at_capture, 1);
    EXPECT_OK(tarn_graph_release(graph));
    EXPECT_OK(tarn_graph_instance_launch(instance, stream));
    EXPECT_OK(tarn_stream_synchronize(stream));
    expect_result(&own);
    EXPECT_OK(tarn_graph_instance_release(instance));
    EXPECT_OK(tarn_stream_release(stream));
    close_stand(&own);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_way_of_fusing_gives_the_same_result),
        cmocka_unit_test(what_is_known_of_a_form_is_asked_for_once),
        cmocka_unit_test(each_call_may_fail),
        cmocka_unit_test(a_device_where_it_does_not_start_says_so_once),
        cmocka_unit_test(layouts_that_it_does_not_take_are_not_given_to_it),
        cmocka_unit_test(channels_may_lie_last),
        cmocka_unit_test(many_forms_are_forgotten_again),
        cmocka_unit_test(graphs_take_it_and_give_it_scratch_memory_of_their_own),
        cmocka_unit_test(it_starts_before_the_driver_captures_anything),
    };
    return cmocka_run_group_tests(tests, open_library, NULL);
}
