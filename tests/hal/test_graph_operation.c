/* Operations in streams and graphs: what the hardware layer makes of them. The backend here knows one, which adds 1 to each byte of
 * its input. */
#include "check.h"

#include <string.h>

#include "base/memory.h"
#include "hal/graph.h"
#include "hal/operation.h"
#include "scripted.h"

static struct {
    tarn_status enqueue, run;
    int enqueues, runs;
} adder;

static int supports(tarn_backend_device *device, tarn_operation operation, tarn_element_type type) {
    (void)device;
    return operation == TARN_OPERATION_ADD && type == TARN_ELEMENT_U8;
}

static void add(const tarn_backend_operation *operation) {
    assert_int_equal(operation->program->constants[0].integer, 1);
    assert_int_equal(operation->program->steps[0].operation, TARN_OPERATION_ADD);
    const tarn_operand *to = &operation->operands[operation->program->results[0]];
    const tarn_operand *from = &operation->operands[1];
    for (int64_t i = 0; i < to->dims[0]; i++) {
        ((unsigned char *)to->data)[i * to->strides[0]] =
            (unsigned char)(((unsigned char *)from->data)[i * from->strides[0]] + 1);
    }
}

static tarn_status enqueue(tarn_backend_device *device, tarn_backend_stream *stream,
                           const tarn_backend_operation *operation) {
    (void)device;
    (void)stream;
    adder.enqueues++;
    if (adder.enqueue == TARN_OK) add(operation);
    return adder.enqueue;
}

static tarn_status run(tarn_backend_device *device, const tarn_backend_operation *operation) {
    (void)device;
    adder.runs++;
    if (adder.run == TARN_OK) add(operation);
    return adder.run;
}

static tarn_backend_operations functions = {
    .struct_size = sizeof functions, .supports = supports, .enqueue = enqueue, .run = run};
static tarn_backend table, without;
static tarn_device *device;
static tarn_stream *stream;

/* An operation with arrays of its own, which a test may overwrite. */
static unsigned char input[8], output[8];
static tarn_operand operands[2];
static tarn_constant constant;
static tarn_step step;
static uint16_t result;
static tarn_program program;
static tarn_backend_operation operation;

static int reset(void **state) {
    (void)state;
    functions.run = run;
    memset(&adder, 0, sizeof adder);
    memset(output, 0, sizeof output);
    for (unsigned char i = 0; i < 8; i++) input[i] = i;
    operands[0] = (tarn_operand){.data = output, .type = TARN_ELEMENT_U8, .rank = 1, .dims = {4}, .strides = {1}};
    operands[1] = (tarn_operand){.data = input + 6, .type = TARN_ELEMENT_U8, .rank = 1, .dims = {4}, .strides = {-2}};
    constant = (tarn_constant){.type = TARN_ELEMENT_U8, .integer = 1};
    step = (tarn_step){.operation = TARN_OPERATION_ADD,
                       .type = TARN_ELEMENT_U8,
                       .values = {{TARN_SOURCE_INPUT, 0}, {TARN_SOURCE_CONSTANT, 0}}};
    result = 0;
    program = (tarn_program){
        .step_count = 1, .constant_count = 1, .steps = &step, .constants = &constant, .results = &result};
    operation = (tarn_backend_operation){.struct_size = sizeof operation,
                                         .operation = TARN_OPERATION_PROGRAM,
                                         .output_count = 1,
                                         .input_count = 1,
                                         .operands = operands,
                                         .program = &program};
    return 0;
}

static int open_device(void **state) {
    (void)state;
    scripted_reset();
    scripted.features = TARN_FEATURE_HOST_ACCESS;
    table = scripted_table("adder");
    table.operations = &functions;
    if (tarn_backend_register(&table) != TARN_OK || tarn_device_open("adder:0", &device) != TARN_OK) return -1;
    return tarn_stream_create(device, &stream) == TARN_OK ? 0 : -1;
}

static int close_device(void **state) {
    (void)state;
    tarn_stream_release(stream);
    return tarn_device_release(device) == TARN_OK ? 0 : -1;
}

/* The graph of the operation, whose arrays are overwritten when it has been captured. */
static tarn_graph *captured(void) {
    tarn_graph *graph = NULL;
    assert_ok(tarn_stream_begin_capture(stream, TARN_CAPTURE_GLOBAL));
    assert_ok(hal_operation_enqueue(stream, &operation));
    assert_ok(tarn_stream_end_capture(stream, &graph));
    memset(operands, 0xee, sizeof operands);
    memset(&constant, 0xee, sizeof constant);
    memset(&step, 0xee, sizeof step);
    memset(&program, 0xee, sizeof program);
    result = 0xeeee;
    return graph;
}

static void assert_added(void) {
    for (unsigned char i = 0; i < 4; i++) assert_int_equal(output[i], input[6 - 2 * i] + 1);
    for (int i = 4; i < 8; i++) assert_int_equal(output[i], 0);
}

static void an_operation_reaches_the_backend_at_once(void **state) {
    (void)state;
    assert_true(hal_operation_is_supported(device, TARN_OPERATION_ADD, TARN_ELEMENT_U8));
    assert_false(hal_operation_is_supported(device, TARN_OPERATION_ADD, TARN_ELEMENT_F32));
    assert_ok(hal_operation_enqueue(stream, &operation));
    assert_added();
    adder.enqueue = TARN_NOT_SUPPORTED;
    assert_fails(hal_operation_enqueue(stream, &operation), TARN_NOT_SUPPORTED);
    assert_sentence("adder:0");
}

static void a_backend_without_operations_says_so(void **state) {
    (void)state;
    without = scripted_table("adds-nothing");
    tarn_device *other = NULL;
    assert_ok(tarn_backend_register(&without));
    assert_ok(tarn_device_open("adds-nothing:0", &other));
    assert_false(hal_operation_is_supported(other, TARN_OPERATION_ADD, TARN_ELEMENT_U8));
    assert_fails(hal_operation_enqueue(tarn_device_default_stream(other), &operation), TARN_NOT_SUPPORTED);
    assert_sentence("adds-nothing:0: its backend computes nothing, program among it");
    assert_ok(tarn_device_release(other));
}

static void a_captured_operation_runs_at_each_launch_and_not_before(void **state) {
    (void)state;
    tarn_graph *graph = captured();
    assert_int_equal(adder.enqueues + adder.runs, 0);
    tarn_graph_node_info node = {.struct_size = sizeof node};
    assert_ok(tarn_graph_node(graph, 0, &node));
    assert_int_equal(node.kind, TARN_GRAPH_NODE_OPERATION);
    assert_int_equal(node.operation->input_count, 1);
    tarn_graph_instance *instance = NULL;
    assert_ok(tarn_graph_instantiate(graph, &instance));
    assert_ok(tarn_graph_release(graph));
    for (int launch = 1; launch <= 3; launch++) {
        input[2] = (unsigned char)(launch * 10);
        assert_ok(tarn_graph_instance_launch(instance, stream));
        assert_ok(tarn_stream_synchronize(stream));
        assert_added();
        assert_int_equal(adder.runs, launch);
    }
    assert_int_equal(adder.enqueues, 0);
    assert_ok(tarn_graph_instance_release(instance));
}

static void a_backend_that_cannot_run_on_the_host_gets_its_operations_one_after_the_other(void **state) {
    (void)state;
    functions.run = NULL;
    tarn_graph *graph = captured();
    tarn_graph_instance *instance = NULL;
    assert_ok(tarn_graph_instantiate(graph, &instance));
    assert_ok(tarn_graph_instance_launch(instance, stream));
    assert_added();
    assert_int_equal(adder.enqueues, 1);
    adder.enqueue = TARN_OUT_OF_MEMORY;
    assert_fails(tarn_graph_instance_launch(instance, stream), TARN_OUT_OF_MEMORY);
    assert_ok(tarn_graph_instance_release(instance));
    assert_ok(tarn_graph_release(graph));
}

static void ignore(void *context, tarn_log_level level, const char *message) {
    (void)context;
    (void)level;
    (void)message;
}

static void an_operation_that_fails_in_a_launch_is_reported_by_the_next_wait(void **state) {
    (void)state;
    tarn_graph *graph = captured();
    tarn_graph_instance *instance = NULL;
    assert_ok(tarn_graph_instantiate(graph, &instance));
    adder.run = TARN_OUT_OF_MEMORY;
    tarn_log_set(ignore, NULL, TARN_LOG_WARNING);
    assert_ok(tarn_graph_instance_launch(instance, stream));
    assert_fails(tarn_stream_synchronize(stream), TARN_OUT_OF_MEMORY);
    assert_sentence("an operation of a graph");
    assert_ok(tarn_stream_synchronize(stream));
    assert_fails(tarn_device_synchronize(device), TARN_OUT_OF_MEMORY);
    tarn_log_set(NULL, NULL, TARN_LOG_WARNING);
    adder.run = TARN_OK;
    assert_ok(tarn_graph_instance_launch(instance, stream));
    assert_ok(tarn_device_synchronize(device));
    assert_added();
    assert_ok(tarn_graph_instance_release(instance));
    assert_ok(tarn_graph_release(graph));
}

static void do_nothing(void *context) { (void)context; }

static void changing_a_graph_leaves_its_operations(void **state) {
    (void)state;
    tarn_graph *graph = NULL;
    assert_ok(tarn_stream_begin_capture(stream, TARN_CAPTURE_GLOBAL));
    assert_ok(hal_operation_enqueue(stream, &operation));
    assert_ok(tarn_stream_enqueue(stream, do_nothing, NULL));
    assert_ok(tarn_stream_end_capture(stream, &graph));
    tarn_graph_instance *instance = NULL;
    assert_ok(tarn_graph_instantiate(graph, &instance));
    assert_ok(tarn_graph_release(graph));
    for (int i = 0; i < 2; i++) assert_ok(tarn_graph_instance_set_host_function(instance, 1, do_nothing, &i));
    assert_fails(tarn_graph_instance_set_host_function(instance, 0, do_nothing, NULL), TARN_INVALID_ARGUMENT);
    assert_sentence("is an operation and cannot become a host function");
    assert_ok(tarn_graph_instance_launch(instance, stream));
    assert_added();
    assert_ok(tarn_graph_instance_release(instance));
}

/* Memory that a lender was told of. */
typedef struct told {
    const unsigned char *input, *output;
    size_t input_size, output_size;
} told;

static void use(void *context, const void *address, size_t size, bool is_captured) {
    told *all = context;
    assert_true(is_captured);
    const unsigned char *begin = address;
    if (begin >= input && begin < input + sizeof input) {
        all->input = begin;
        all->input_size = size;
    } else {
        all->output = begin;
        all->output_size = size;
    }
}
static void finish(void *context, bool is_aborted) {
    (void)context;
    (void)is_aborted;
}

static void lenders_hear_of_the_memory_of_all_operands(void **state) {
    (void)state;
    static const hal_graph_client client = {.use = use, .finish = finish, .release = do_nothing, .end = do_nothing};
    told all = {0};
    assert_ok(tarn_stream_begin_capture(stream, TARN_CAPTURE_GLOBAL));
    assert_ok(hal_capture_attach(stream, hal_capture_number(stream), &client, &all));
    assert_ok(hal_operation_enqueue(stream, &operation));
    assert_ok(tarn_stream_abort_capture(stream));
    assert_ptr_equal(all.input, input);
    assert_int_equal(all.input_size, 7);
    assert_ptr_equal(all.output, output);
    assert_int_equal(all.output_size, 4);
    assert_int_equal(adder.enqueues + adder.runs, 0);
}

static void a_capture_without_host_memory_goes_on(void **state) {
    (void)state;
    for (unsigned long at = 1; at <= 2; at++) {
        assert_ok(tarn_stream_begin_capture(stream, TARN_CAPTURE_GLOBAL));
        base_memory_fail_at(at, 0);
        assert_fails(hal_operation_enqueue(stream, &operation), TARN_OUT_OF_MEMORY);
        base_memory_fail_at(0, 0);
        assert_ok(hal_operation_enqueue(stream, &operation));
        tarn_graph *graph = NULL;
        assert_ok(tarn_stream_end_capture(stream, &graph));
        assert_int_equal(tarn_graph_node_count(graph), 1);
        assert_ok(tarn_graph_release(graph));
    }
}

static void a_table_of_operations_that_is_not_whole_is_refused(void **state) {
    (void)state;
    static tarn_backend broken;
    static tarn_backend_operations partial;
    broken = scripted_table("partial");
    broken.operations = &partial;
    assert_fails(tarn_backend_register(&broken), TARN_INVALID_ARGUMENT);
    assert_sentence("its table of operations has 0 bytes");
    partial = (tarn_backend_operations){.struct_size = sizeof partial, .enqueue = enqueue};
    assert_fails(tarn_backend_register(&broken), TARN_INVALID_ARGUMENT);
    assert_sentence("has operations but no function supports");
    partial = (tarn_backend_operations){.struct_size = sizeof partial, .supports = supports};
    assert_fails(tarn_backend_register(&broken), TARN_INVALID_ARGUMENT);
    assert_sentence("has operations but no function enqueue");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_operation_reaches_the_backend_at_once, reset),
        cmocka_unit_test_setup(a_backend_without_operations_says_so, reset),
        cmocka_unit_test_setup(a_captured_operation_runs_at_each_launch_and_not_before, reset),
        cmocka_unit_test_setup(a_backend_that_cannot_run_on_the_host_gets_its_operations_one_after_the_other, reset),
        cmocka_unit_test_setup(an_operation_that_fails_in_a_launch_is_reported_by_the_next_wait, reset),
        cmocka_unit_test_setup(changing_a_graph_leaves_its_operations, reset),
        cmocka_unit_test_setup(lenders_hear_of_the_memory_of_all_operands, reset),
        cmocka_unit_test_setup(a_capture_without_host_memory_goes_on, reset),
        cmocka_unit_test(a_table_of_operations_that_is_not_whole_is_refused),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
