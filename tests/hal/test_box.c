/* Copies of boxes: that every byte arrives and no other changes, on each device, alone and in graphs; and what is refused. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "hal/host_copy.h"
#include "hal/memory.h"
#include "under_test.h"

#define SIZE ((size_t)16384)
#define ROUNDS 60

/* Memory of a device, and what should be in it. */
typedef struct place {
    tarn_device *device;
    tarn_memory_kind kind;
    char *memory;
    unsigned char expected[SIZE];
} place;

static void put(place *self) {
    if (!stores(self->device)) return;
    assert_ok(hal_host_write(tarn_device_default_stream(self->device), self->memory, self->expected, SIZE));
}

static void open_place(place *self, tarn_device *device, tarn_memory_kind kind, unsigned seed) {
    void *memory;
    self->device = device;
    self->kind = kind;
    for (size_t i = 0; i < SIZE; i++) self->expected[i] = (unsigned char)((i * 31 + seed) ^ (i >> 7));
    assert_ok(hal_memory_allocate(device, kind, SIZE, 0, &memory));
    self->memory = memory;
    if (kind == TARN_MEMORY_DEVICE) put(self);
    else memcpy(memory, self->expected, SIZE);
}

static void close_place(place *self) { assert_ok(hal_memory_free(self->device, self->kind, self->memory, SIZE)); }

static void assert_as_expected(const place *self) {
    static unsigned char found[SIZE];
    if (!stores(self->device)) return;
    if (self->kind == TARN_MEMORY_DEVICE) {
        assert_ok(hal_host_read(tarn_device_default_stream(self->device), self->memory, found, SIZE));
    } else {
        memcpy(found, self->memory, SIZE);
    }
    assert_memory_equal(found, self->expected, SIZE);
}

static size_t random_below(size_t limit) { return (size_t)rand() % limit; }

/* A box, where the rows of each side begin in its SIZE bytes, and how far both reach. */
typedef struct random_box {
    tarn_box box;
    size_t to, from;
    bool is_packed;
} random_box;

static size_t reach(const tarn_box *box, size_t row_pitch, size_t slice_pitch) {
    return (box->depth - 1) * slice_pitch + (box->height - 1) * row_pitch + box->width;
}

/* `unit` divides everything, so that copies in larger elements are tried too. */
static random_box make_box(size_t unit) {
    for (;;) {
        random_box made = {.box = {.struct_size = sizeof made.box}};
        tarn_box *box = &made.box;
        box->width = unit * (1 + random_below(40));
        box->height = 1 + random_below(9);
        box->depth = 1 + random_below(5);
        size_t *row[] = {&box->destination_row_pitch, &box->source_row_pitch};
        size_t *slice[] = {&box->destination_slice_pitch, &box->source_slice_pitch};
        size_t *at[] = {&made.to, &made.from};
        bool fits = true;
        for (int side = 0; side < 2; side++) {
            *row[side] = box->width + (random_below(3) == 0 ? 0 : unit * random_below(20));
            *slice[side] = *row[side] * (box->height - 1) + box->width;
            /* Side by side, any distance, or whole rows apart. */
            size_t choice = random_below(3);
            if (choice == 0) *slice[side] = *row[side] * box->height;
            if (choice == 1) *slice[side] += unit * random_below(30);
            if (choice == 2) *slice[side] = *row[side] * (box->height + random_below(3));
            size_t needed = reach(box, *row[side], *slice[side]);
            fits = fits && needed <= SIZE;
            if (fits) *at[side] = random_below((SIZE - needed) / unit + 1) * unit;
        }
        if (fits) return made;
    }
}

/* Calls `visit` for each byte pair, by the definition of a box. */
static bool copy_by_definition(unsigned char *to, const unsigned char *from, const tarn_box *box, bool only_looks) {
    for (size_t z = 0; z < box->depth; z++)
        for (size_t y = 0; y < box->height; y++)
            for (size_t x = 0; x < box->width; x++) {
                unsigned char *place_of = to + z * box->destination_slice_pitch + y * box->destination_row_pitch + x;
                const unsigned char *value = from + z * box->source_slice_pitch + y * box->source_row_pitch + x;
                if (only_looks && *place_of == 0xff) return true;
                if (!only_looks) *place_of = *value;
            }
    return false;
}

/* Whether the two sides have a byte in common within one piece of memory. */
static bool have_common_bytes(const random_box *made) {
    static unsigned char marks[SIZE], sources[SIZE];
    tarn_box other = made->box;
    memset(marks, 0, SIZE);
    memset(sources, 0xff, SIZE);
    /* Marks the bytes of the source, then looks whether the destination has one of them. */
    other.destination_row_pitch = other.source_row_pitch;
    other.destination_slice_pitch = other.source_slice_pitch;
    copy_by_definition(marks + made->from, sources, &other, false);
    return copy_by_definition(marks + made->to, marks, &made->box, true);
}

static void copy_random_boxes(tarn_device *device, place *to, place *from) {
    static const size_t units[] = {1, 2, 4, 8};
    tarn_stream *streams[2] = {tarn_device_default_stream(device), NULL};
    assert_ok(tarn_stream_create(device, &streams[1]));
    for (int round = 0; round < ROUNDS; round++) {
        random_box made = make_box(units[random_below(4)]);
        tarn_stream *stream = streams[random_below(2)];
        bool is_refused = to == from && have_common_bytes(&made);
        tarn_status status = tarn_stream_copy_box(stream, to->memory + made.to, from->memory + made.from, &made.box);
        if (is_refused) {
            assert_int_equal(status, TARN_INVALID_ARGUMENT);
        } else {
            assert_ok(status);
            assert_false(copy_by_definition(to->expected + made.to, from->expected + made.from, &made.box, false));
        }
        assert_ok(tarn_stream_synchronize(stream));
        if (round % 10 == 0) assert_as_expected(to);
    }
    assert_as_expected(to);
    assert_ok(tarn_stream_release(streams[1]));
}

static void try_random_boxes(tarn_device *device) {
    static place one, two, pinned;
    srand(7);
    open_place(&one, device, TARN_MEMORY_DEVICE, 1);
    open_place(&two, device, TARN_MEMORY_DEVICE, 2);
    copy_random_boxes(device, &one, &two);
    copy_random_boxes(device, &one, &one);
    if (stores(device) && (properties_of(device).memory_kinds & TARN_MEMORY_KIND_BIT(TARN_MEMORY_PINNED)) != 0) {
        open_place(&pinned, device, TARN_MEMORY_PINNED, 3);
        copy_random_boxes(device, &one, &pinned);
        copy_random_boxes(device, &pinned, &two);
        copy_random_boxes(device, &pinned, &pinned);
        close_place(&pinned);
    }
    close_place(&one);
    close_place(&two);
}

static void random_boxes_arrive_whole_and_change_nothing_else(void **state) {
    (void)state;
    on_each_device(try_random_boxes);
}

static void refuse_wrong_boxes(tarn_device *device) {
    tarn_stream *stream = tarn_device_default_stream(device);
    static place one, two;
    open_place(&one, device, TARN_MEMORY_DEVICE, 1);
    open_place(&two, device, TARN_MEMORY_DEVICE, 2);
    const tarn_box right = {.struct_size = sizeof right, .width = 8, .height = 4, .depth = 2};
    struct {
        tarn_box box;
        const char *sentence;
    } wrong[] = {
        {{.width = 8, .height = 4, .depth = 1, .destination_row_pitch = 7}, "row pitch of 7"},
        {{.width = 8, .height = 4, .depth = 1, .source_row_pitch = 7}, "in the source"},
        {{.width = 8, .height = 4, .depth = 2, .source_row_pitch = 10, .source_slice_pitch = 37}, "slice pitch of 37"},
        {{.width = 8, .height = 4, .depth = 2, .destination_slice_pitch = 31}, "in the destination"},
        {{.width = SIZE_MAX / 2, .height = 3, .depth = 1}, "more than there are addresses"},
        {{.width = 1, .height = SIZE_MAX, .depth = 2}, "more than there are addresses"},
        {{.width = 8, .height = 2, .depth = 1, .source_row_pitch = SIZE_MAX - 4}, "more than there are addresses"},
        {{.width = 8, .height = 2, .depth = 2, .source_slice_pitch = SIZE_MAX - 4}, "more than there are addresses"},
        {{.width = SIZE_MAX, .height = 1, .depth = 1}, ""},
        {{.width = SIZE / 4, .height = 5, .depth = 1}, "beyond the end of its allocation"},
        {{.width = 1, .height = 2, .depth = 1, .source_row_pitch = SIZE}, "beyond the end of its allocation"},
        {{.width = 1, .height = 1, .depth = 2, .destination_slice_pitch = SIZE}, "beyond the end of its allocation"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        wrong[i].box.struct_size = sizeof(tarn_box);
        assert_fails(tarn_stream_copy_box(stream, one.memory, two.memory, &wrong[i].box), TARN_INVALID_ARGUMENT);
        assert_sentence(wrong[i].sentence);
    }
    tarn_box unknown = right;
    unknown.struct_size = 4; /* fault 11 */
    assert_fails(tarn_stream_copy_box(stream, one.memory, two.memory, &unknown), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_copy_box(stream, one.memory, two.memory, NULL), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_copy_box(NULL, one.memory, two.memory, &right), TARN_INVALID_ARGUMENT); /* fault 10 */
    assert_fails(tarn_stream_copy_box(stream, NULL, two.memory, &right), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_copy_box(stream, one.memory, NULL, &right), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_copy_box(stream, one.memory, one.memory + 63, &right), TARN_INVALID_ARGUMENT);
    assert_sentence("bytes in common");
    assert_ok(tarn_stream_copy_box(stream, one.memory, one.memory + 64, &right));
    if (stores(device)) memcpy(one.expected, one.expected + 64, 64);
    /* Nothing to copy, whatever else is said. */
    tarn_box empty = right;
    empty.depth = 0;
    empty.source_row_pitch = 1;
    assert_ok(tarn_stream_copy_box(stream, one.memory, two.memory, &empty));
    assert_ok(tarn_stream_copy_box(stream, NULL, NULL, &empty));
    assert_ok(tarn_stream_synchronize(stream));
    assert_as_expected(&one);
    assert_as_expected(&two);
    close_place(&one);
    close_place(&two);
}

static void a_box_that_is_none_is_refused_and_changes_nothing(void **state) {
    (void)state;
    on_each_device(refuse_wrong_boxes);
}

/* Columns of one matrix, and rows that take turns with different pitches. */
static void copy_within_one_piece(tarn_device *device) {
    tarn_stream *stream = tarn_device_default_stream(device);
    static place one;
    open_place(&one, device, TARN_MEMORY_DEVICE, 5);
    const tarn_box columns = {.struct_size = sizeof columns,
                              .width = 32,
                              .height = 64,
                              .depth = 1,
                              .destination_row_pitch = 64,
                              .source_row_pitch = 64};
    const tarn_box turns = {.struct_size = sizeof turns,
                            .width = 8,
                            .height = 16,
                            .depth = 1,
                            .destination_row_pitch = 48,
                            .source_row_pitch = 16};
    assert_ok(tarn_stream_copy_box(stream, one.memory + 32, one.memory, &columns));
    copy_by_definition(one.expected + 32, one.expected, &columns, false);
    assert_fails(tarn_stream_copy_box(stream, one.memory + 31, one.memory, &columns), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_copy_box(stream, one.memory + 33, one.memory, &columns), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_copy_box(stream, one.memory, one.memory + 31, &columns), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_copy_box(stream, one.memory, one.memory + 33, &columns), TARN_INVALID_ARGUMENT);
    assert_ok(tarn_stream_copy_box(stream, one.memory + 8, one.memory, &turns));
    copy_by_definition(one.expected + 8, one.expected, &turns, false);
    assert_fails(tarn_stream_copy_box(stream, one.memory + 16 * 15 + 7, one.memory, &turns), TARN_INVALID_ARGUMENT);
    assert_ok(tarn_stream_synchronize(stream));
    assert_as_expected(&one);
    close_place(&one);
}

static void rows_may_take_turns_in_one_piece_of_memory(void **state) {
    (void)state;
    on_each_device(copy_within_one_piece);
}

static void capture_boxes(tarn_device *device) {
    static place one, two;
    tarn_stream *stream;
    tarn_graph *graph = NULL;
    tarn_graph_instance *instance = NULL;
    open_place(&one, device, TARN_MEMORY_DEVICE, 1);
    open_place(&two, device, TARN_MEMORY_DEVICE, 2);
    assert_ok(tarn_stream_create(device, &stream));
    srand(11);
    const random_box boxes[] = {make_box(1), make_box(4), make_box(8)};
    assert_ok(tarn_stream_begin_capture(stream, TARN_CAPTURE_GLOBAL));
    assert_ok(tarn_stream_copy_box(stream, one.memory + boxes[0].to, two.memory + boxes[0].from, &boxes[0].box));
    assert_ok(tarn_stream_copy_box(stream, one.memory + boxes[1].to, two.memory + boxes[1].from, &boxes[1].box));
    assert_fails(tarn_stream_copy_box(stream, one.memory, one.memory, &boxes[1].box), TARN_INVALID_ARGUMENT);
    assert_ok(tarn_stream_end_capture(stream, &graph));
    tarn_graph_node_info info = {.struct_size = sizeof info};
    assert_int_equal(tarn_graph_node_count(graph), 2);
    assert_ok(tarn_graph_node(graph, 1, &info));
    assert_int_equal(info.kind, TARN_GRAPH_NODE_COPY_BOX);
    assert_ptr_equal(info.destination, one.memory + boxes[1].to);
    assert_int_equal(info.size, boxes[1].box.width * boxes[1].box.height * boxes[1].box.depth);
    assert_ok(tarn_graph_instantiate(graph, &instance));
    assert_as_expected(&one);
    assert_ok(tarn_graph_instance_launch(instance, stream));
    for (int i = 0; i < 2; i++)
        copy_by_definition(one.expected + boxes[i].to, two.expected + boxes[i].from, &boxes[i].box, false);
    assert_ok(tarn_stream_synchronize(stream));
    assert_as_expected(&one);
    /* Another box in the place of the second; one without bytes in that of the first. */
    const tarn_box empty = {.struct_size = sizeof empty};
    assert_ok(tarn_graph_instance_set_copy_box(instance, 1, one.memory + boxes[2].to, two.memory + boxes[2].from,
                                               &boxes[2].box));
    assert_ok(tarn_graph_instance_set_copy_box(instance, 0, one.memory, two.memory, &empty));
    assert_fails(tarn_graph_instance_set_copy_box(instance, 1, one.memory, one.memory, &boxes[2].box),
                 TARN_INVALID_ARGUMENT);
    assert_fails(tarn_graph_instance_set_copy_box(instance, 2, one.memory, two.memory, &boxes[2].box),
                 TARN_INVALID_ARGUMENT);
    assert_fails(tarn_graph_instance_set_copy_box(NULL, 1, one.memory, two.memory, &boxes[2].box),
                 TARN_INVALID_ARGUMENT);
    assert_fails(tarn_graph_instance_set_copy(instance, 1, one.memory, two.memory, 8), TARN_INVALID_ARGUMENT);
    for (size_t i = 0; i < SIZE; i++) two.expected[i] = (unsigned char)~two.expected[i];
    put(&two);
    assert_ok(tarn_graph_instance_launch(instance, stream));
    copy_by_definition(one.expected + boxes[2].to, two.expected + boxes[2].from, &boxes[2].box, false);
    assert_ok(tarn_stream_synchronize(stream));
    assert_as_expected(&one);
    assert_ok(tarn_graph_instance_release(instance));
    assert_ok(tarn_graph_release(graph));
    assert_ok(tarn_stream_release(stream));
    close_place(&one);
    close_place(&two);
}

static void boxes_are_captured_and_changed(void **state) {
    (void)state;
    on_each_device(capture_boxes);
}

/* Every request for host memory fails once; then nothing has been enqueued, and a retry works. */
static void fail_boxes(tarn_device *device) {
    static place one, two;
    open_place(&one, device, TARN_MEMORY_DEVICE, 1);
    open_place(&two, device, TARN_MEMORY_DEVICE, 2);
    tarn_stream *stream;
    assert_ok(tarn_stream_create(device, &stream));
    srand(13);
    random_box made = make_box(2);
    for (unsigned long n = 1;; n++) {
        base_memory_fail_at(n, 0);
        tarn_status status = tarn_stream_copy_box(stream, one.memory + made.to, two.memory + made.from, &made.box);
        bool was_reached = base_memory_requests() >= n;
        base_memory_fail_at(0, 0);
        assert_ok(tarn_stream_synchronize(stream));
        if (!was_reached || status == TARN_OK) {
            assert_ok(status);
            break;
        }
        assert_int_equal(status, TARN_OUT_OF_MEMORY);
        assert_as_expected(&one);
    }
    copy_by_definition(one.expected + made.to, two.expected + made.from, &made.box, false);
    assert_as_expected(&one);
    assert_ok(tarn_stream_release(stream));
    close_place(&one);
    close_place(&two);
}

static void a_box_without_host_memory_is_not_begun(void **state) {
    (void)state;
    on_each_device(fail_boxes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_boxes_arrive_whole_and_change_nothing_else),
        cmocka_unit_test(a_box_that_is_none_is_refused_and_changes_nothing),
        cmocka_unit_test(rows_may_take_turns_in_one_piece_of_memory),
        cmocka_unit_test(boxes_are_captured_and_changed),
        cmocka_unit_test(a_box_without_host_memory_is_not_begun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
