/* Graphs of a backend's own: what it is given, and that everything else stays as it is. The backend here runs the pieces as
 * late as their order allows, so that an order which is missing shows. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "scripted.h"

#define MOST_NODES 16

struct tarn_backend_graph {
    tarn_graph_node_info work[MOST_NODES];
    unsigned after[MOST_NODES]; /* as bits */
    size_t count;
};

static struct {
    tarn_status create, update, launch;
    int gives_null;
    int creates, updates, launches, destroys;
} native;

static tarn_status graph_create(tarn_backend_device *device, const tarn_backend_graph_node *nodes, size_t count,
                                tarn_backend_graph **out_graph) {
    (void)device;
    native.creates++;
    if (native.create != TARN_OK) return native.create;
    if (native.gives_null) return TARN_OK;
    tarn_backend_graph *graph = calloc(1, sizeof *graph);
    for (size_t i = 0; i < count; i++) {
        graph->work[i] = nodes[i].work;
        for (size_t k = 0; k < nodes[i].after_count; k++) {
            assert_true(nodes[i].after[k] < i);
            graph->after[i] |= 1u << nodes[i].after[k];
        }
    }
    graph->count = count;
    *out_graph = graph;
    return TARN_OK;
}

static void graph_destroy(tarn_backend_device *device, tarn_backend_graph *graph) {
    (void)device;
    native.destroys++;
    free(graph);
}

static tarn_status graph_update(tarn_backend_device *device, tarn_backend_graph *graph, size_t node,
                                const tarn_graph_node_info *work) {
    (void)device;
    native.updates++;
    if (native.update == TARN_OK) graph->work[node] = *work;
    return native.update;
}

static void do_work(const tarn_graph_node_info *work) {
    if (work->kind == TARN_GRAPH_NODE_HOST_FUNCTION) work->function(work->context);
    else if (work->kind == TARN_GRAPH_NODE_COPY) memcpy(work->destination, work->source, work->size);
    else memset(work->destination, work->pattern[0], work->size);
}

/* Of what may run the last first. */
static tarn_status graph_launch(tarn_backend_device *device, tarn_backend_graph *graph, tarn_backend_stream *stream) {
    (void)device;
    (void)stream;
    native.launches++;
    if (native.launch != TARN_OK) return native.launch;
    unsigned done = 0;
    for (size_t round = 0; round < graph->count; round++) {
        size_t next = graph->count;
        while (next-- > 0)
            if ((done >> next & 1u) == 0 && (graph->after[next] & ~done) == 0) break;
        if (next >= graph->count) return TARN_INTERNAL; /* the order has a circle */
        done |= 1u << next;
        do_work(&graph->work[next]);
    }
    return TARN_OK;
}

static const tarn_backend_capture functions = {.struct_size = sizeof functions,
                                               .graph_create = graph_create,
                                               .graph_destroy = graph_destroy,
                                               .graph_update = graph_update,
                                               .graph_launch = graph_launch};

static tarn_backend table;
static tarn_device *device;
static tarn_stream *first, *second;

static int open_device(void **state) {
    (void)state;
    scripted_reset();
    table = scripted_table("graphs");
    table.capture = &functions;
    if (tarn_backend_register(&table) != TARN_OK || tarn_device_open("graphs:0", &device) != TARN_OK) return -1;
    return tarn_stream_create(device, &first) == TARN_OK && tarn_stream_create(device, &second) == TARN_OK ? 0 : -1;
}

static int close_device(void **state) {
    (void)state;
    tarn_stream_release(first);
    tarn_stream_release(second);
    return tarn_device_release(device) == TARN_OK ? 0 : -1;
}

static int reset(void **state) {
    (void)state;
    memset(&native, 0, sizeof native);
    return 0;
}

static char diary[64];
static void write_diary(void *context) { strncat(diary, context, sizeof diary - strlen(diary) - 1); }

static tarn_status answer_inside;
static void wait_inside(void *context) { answer_inside = tarn_device_synchronize(context); }

/* a, then b beside c and d, then e. */
static tarn_graph *capture_a_diamond(void) {
    tarn_event *fork = NULL, *join = NULL;
    tarn_graph *graph = NULL;
    assert_ok(tarn_stream_begin_capture(first, TARN_CAPTURE_GLOBAL));
    assert_ok(tarn_stream_enqueue(first, write_diary, "a"));
    assert_ok(tarn_stream_record(first, &fork));
    assert_ok(tarn_stream_enqueue(first, write_diary, "b"));
    assert_ok(tarn_stream_wait(second, fork));
    assert_ok(tarn_stream_enqueue(second, write_diary, "c"));
    assert_ok(tarn_stream_enqueue(second, write_diary, "d"));
    assert_ok(tarn_stream_record(second, &join));
    assert_ok(tarn_stream_wait(first, join));
    assert_ok(tarn_stream_enqueue(first, write_diary, "e"));
    assert_ok(tarn_stream_end_capture(first, &graph));
    assert_ok(tarn_event_release(fork));
    assert_ok(tarn_event_release(join));
    return graph;
}

static void the_backend_gets_the_work_and_its_order(void **state) {
    (void)state;
    tarn_graph *graph = capture_a_diamond();
    tarn_graph_instance *instance = NULL;
    diary[0] = '\0';
    assert_ok(tarn_graph_instantiate(graph, &instance));
    assert_int_equal(native.creates, 1);
    assert_ok(tarn_graph_instance_launch(instance, first));
    /* The latest order that is one: c and d before b. */
    assert_string_equal(diary, "acdbe");
    assert_ok(tarn_graph_instance_set_host_function(instance, 1, write_diary, "B"));
    assert_ok(tarn_graph_instance_launch(instance, NULL));
    assert_string_equal(diary, "acdbeacdBe");
    assert_int_equal(native.launches, 2);
    assert_int_equal(native.updates, 1);
    assert_fails(tarn_graph_instance_set_fill(instance, 1, diary, "x", 1, 1), TARN_INVALID_ARGUMENT);
    assert_int_equal(native.updates, 1);
    assert_ok(tarn_graph_release(graph));
    assert_ok(tarn_graph_instance_release(instance));
    assert_int_equal(native.destroys, 1);
}

static void copies_and_fills_are_the_backends(void **state) {
    (void)state;
    char source[4] = "one", target[4] = "", filled[4] = "";
    tarn_graph *graph = NULL;
    tarn_graph_instance *instance = NULL;
    assert_ok(tarn_stream_begin_capture(first, TARN_CAPTURE_GLOBAL));
    assert_ok(tarn_stream_copy(first, target, source, 4));
    assert_ok(tarn_stream_fill(first, filled, "z", 1, 3));
    assert_ok(tarn_stream_enqueue(first, wait_inside, device));
    assert_ok(tarn_stream_end_capture(first, &graph));
    assert_ok(tarn_graph_instantiate(graph, &instance));
    assert_ok(tarn_graph_instance_launch(instance, second));
    assert_string_equal(target, "one");
    assert_string_equal(filled, "zzz");
    /* Host functions know that they run on the device. */
    assert_int_equal(answer_inside, TARN_INVALID_STATE);
    assert_ok(tarn_graph_release(graph));
    assert_ok(tarn_graph_instance_release(instance));
}

static void a_backend_that_fails_changes_nothing(void **state) {
    (void)state;
    tarn_graph *graph = capture_a_diamond();
    tarn_graph_instance *instance = NULL;
    native.create = TARN_OUT_OF_MEMORY;
    assert_fails(tarn_graph_instantiate(graph, &instance), TARN_OUT_OF_MEMORY);
    native.create = TARN_OK;
    native.gives_null = 1; /* 35 */
    assert_fails(tarn_graph_instantiate(graph, &instance), TARN_INTERNAL);
    native.gives_null = 0;
    assert_null(instance);
    for (unsigned long k = 1; instance == NULL; k++) {
        base_memory_fail_at(k, 0);
        tarn_status status = tarn_graph_instantiate(graph, &instance);
        base_memory_fail_at(0, 0);
        assert_true(status == TARN_OK || status == TARN_OUT_OF_MEMORY);
    }
    diary[0] = '\0';
    native.launch = TARN_INTERNAL;
    assert_fails(tarn_graph_instance_launch(instance, first), TARN_INTERNAL);
    assert_sentence("graph_launch");
    native.launch = TARN_OK;
    native.update = TARN_NOT_SUPPORTED;
    assert_fails(tarn_graph_instance_set_host_function(instance, 0, write_diary, "A"), TARN_NOT_SUPPORTED);
    base_memory_fail_at(1, 0);
    assert_fails(tarn_graph_instance_set_host_function(instance, 0, write_diary, "A"), TARN_OUT_OF_MEMORY);
    base_memory_fail_at(0, 0);
    assert_ok(tarn_graph_instance_launch(instance, first));
    assert_string_equal(diary, "acdbe");
    assert_ok(tarn_graph_instance_release(instance));
    assert_ok(tarn_graph_release(graph));
    assert_int_equal(native.destroys, 1);
}

/* 34 */
static void half_a_table_of_graphs_is_refused_whole(void **state) {
    (void)state;
    static tarn_backend half_table;
    half_table = scripted_table("half-graphs");
    tarn_backend_capture half = functions;
    half.graph_update = NULL;
    half_table.capture = &half;
    assert_fails(tarn_backend_register(&half_table), TARN_INVALID_ARGUMENT);
    assert_sentence("graph_update");
    half = functions;
    half.struct_size = sizeof half - 1;
    assert_fails(tarn_backend_register(&half_table), TARN_INVALID_ARGUMENT);
}

/* A backend that knows no boxes is given their rows, and never a kind of work that it does not know. */
static void boxes_become_rows_where_the_backend_has_none(void **state) {
    (void)state;
    static unsigned char bytes[256], expected[256];
    tarn_graph *graph = NULL;
    tarn_graph_instance *instance = NULL;
    const tarn_box box = {.struct_size = sizeof box,
                          .width = 3,
                          .height = 2,
                          .depth = 2,
                          .destination_row_pitch = 5,
                          .destination_slice_pitch = 16,
                          .source_row_pitch = 8};
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = expected[i] = (unsigned char)i;
    for (size_t z = 0; z < 2; z++)
        for (size_t y = 0; y < 2; y++) memcpy(expected + z * 16 + y * 5, bytes + 100 + z * 16 + y * 8, 3);
    memcpy(expected + 50, expected, 3);
    for (unsigned long n = 0;; n++) {
        assert_ok(tarn_stream_begin_capture(first, TARN_CAPTURE_RELAXED));
        base_memory_fail_at(n, 0);
        tarn_status status = tarn_stream_copy_box(first, bytes, bytes + 100, &box);
        unsigned long requests = base_memory_requests();
        base_memory_fail_at(0, 0);
        if (n > 0 && requests >= n) {
            assert_int_equal(status, TARN_OUT_OF_MEMORY);
            assert_ok(tarn_stream_end_capture(first, &graph));
            assert_int_equal(tarn_graph_node_count(graph), 0);
            assert_ok(tarn_graph_release(graph));
            continue;
        }
        assert_ok(status);
        if (n > 0) break;
        assert_ok(tarn_stream_abort_capture(first));
    }
    assert_ok(tarn_stream_copy(first, bytes + 50, bytes, 3));
    assert_ok(tarn_stream_end_capture(first, &graph));
    assert_int_equal(tarn_graph_node_count(graph), 5);
    assert_ok(tarn_graph_instantiate(graph, &instance));
    assert_ok(tarn_graph_instance_launch(instance, first));
    assert_memory_equal(bytes, expected, sizeof bytes);
    assert_fails(tarn_graph_instance_set_copy_box(instance, 0, bytes, bytes + 100, &box), TARN_INVALID_ARGUMENT);
    assert_sentence("node 0 of the graph is a copy and cannot become a copy of a box");
    assert_ok(tarn_graph_instance_release(instance));
    assert_ok(tarn_graph_release(graph));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_backend_gets_the_work_and_its_order, reset),
        cmocka_unit_test_setup(copies_and_fills_are_the_backends, reset),
        cmocka_unit_test_setup(a_backend_that_fails_changes_nothing, reset),
        cmocka_unit_test_setup(half_a_table_of_graphs_is_refused_whole, reset),
        cmocka_unit_test_setup(boxes_become_rows_where_the_backend_has_none, reset),
    };
    return cmocka_run_group_tests_name("hal graph native", tests, open_device, close_device);
}
