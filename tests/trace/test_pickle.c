/* The pickle reader: what it builds, and everything that it refuses. */
#include <string.h>

#include "pickler.h"
#include "stand.h"
#include "trace/pickle.h"
#include "trace/pickle_opcodes.h"

/* What the machine has shown: containers that were filled, and the last of them with its items. */
typedef struct shown {
    size_t fills, items;
    pickle_value last[16];
    char text[16][8]; /* of those that are texts, their beginning */
    size_t last_count;
} shown;

/* Gives each container its number when it is first filled. */
static tarn_status note(void *context, pickle_value *container, const pickle_value *items, size_t count) {
    shown *seen = context;
    if (container->length == 0) {
        container->kind = 1;
        container->is.range.first = (uint32_t)++seen->fills;
    }
    seen->items += count;
    seen->last_count = count < 16 ? count : 16;
    memcpy(seen->last, items, seen->last_count * sizeof items[0]);
    for (size_t i = 0; i < seen->last_count; i++)
        if (items[i].type == PICKLE_TEXT || items[i].type == PICKLE_BYTES)
            memcpy(seen->text[i], items[i].is.text, items[i].length < 8 ? items[i].length : 8);
    return TARN_OK;
}

static tarn_status run_into(const pickler *p, shown *out_seen, pickle_value *out_top) {
    trace_input input = {.path = "input", .data = p->bytes, .size = p->size};
    pickle_sink sink = {.context = out_seen, .fill = note};
    *out_seen = (shown){0};
    return pickle_run(&input, &sink, out_top);
}

/* The one value of a pickle that consists of the bytes and STOP. */
static pickle_value value_seen(const char *bytes, size_t size, shown *out_seen) {
    pickle_value top = {0};
    pickler p = pickler_begin(5);
    put_bytes(&p, bytes, size);
    put_op(&p, OP_STOP);
    tarn_status status = run_into(&p, out_seen, &top);
    if (status != TARN_OK) print_error("%s\n", tarn_last_error());
    assert_int_equal(status, TARN_OK);
    pickler_end(&p);
    return top;
}

static pickle_value value_of(const char *bytes, size_t size) {
    shown seen;
    return value_seen(bytes, size, &seen);
}

static void expect_bad(pickler *p, const char *part) {
    shown seen;
    pickle_value top = {.type = 77};
    assert_int_equal(run_into(p, &seen, &top), TARN_CORRUPT_DATA);
    assert_int_equal(top.type, 77);
    expect_last_error("input: ");
    expect_last_error(part);
    pickler_end(p);
}

static void expect_code_refused(const char *bytes, size_t size, const char *part) {
    pickler p = pickler_begin(4);
    put_bytes(&p, bytes, size);
    put_op(&p, OP_STOP);
    expect_bad(&p, part);
}

static void integers_of_all_kinds_keep_their_value(void **state) {
    (void)state;
    assert_int_equal(value_of("K\xff", 2).is.integer, 255);
    assert_int_equal(value_of("M\xff\xff", 3).is.integer, 65535);
    assert_int_equal(value_of("J\xff\xff\xff\xff", 5).is.integer, -1);
    assert_int_equal(value_of("I12\n", 4).is.integer, 12);
    assert_int_equal(value_of("I01\n", 4).type, PICKLE_BOOLEAN);
    assert_int_equal(value_of("L-7L\n", 5).is.integer, -7);
    assert_int_equal(value_of("\x8a\x00", 2).is.integer, 0);
    assert_int_equal(value_of("\x8a\x01\x80", 3).is.integer, -128);
    assert_true(value_of("\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80", 10).is.integer == INT64_MIN);
    assert_true(value_of("\x8b\x02\x00\x00\x00\x34\x12", 7).is.integer == 0x1234);
    pickle_value large = value_of("\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\x00", 11);
    assert_int_equal(large.type, PICKLE_UNSIGNED);
    assert_true(large.is.unsigned_integer == UINT64_MAX);
    assert_int_equal(value_of("L18446744073709551615L\n", 23).type, PICKLE_UNSIGNED);
    assert_int_equal(value_of("L99999999999999999999L\n", 23).type, PICKLE_HUGE);
    assert_int_equal(value_of("\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01", 11).type, PICKLE_HUGE);
    assert_int_equal(value_of("\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\xff", 11).type, PICKLE_HUGE);
}

static void other_scalars_keep_their_value(void **state) {
    (void)state;
    assert_true(value_of("G\x3f\xf8\x00\x00\x00\x00\x00\x00", 9).is.real == 1.5);
    assert_true(value_of("F-2.5\n", 6).is.real == -2.5);
    assert_int_equal(value_of("N", 1).type, PICKLE_NONE);
    assert_true(value_of("\x88", 1).is.boolean);
    assert_false(value_of("\x89", 1).is.boolean);
    assert_int_equal(value_of("\x8c\x02hi", 4).length, 2);
    assert_int_equal(value_of("\x8d\x02\0\0\0\0\0\0\0hi", 11).length, 2);
    assert_int_equal(value_of("U\x01x", 3).type, PICKLE_TEXT);
    assert_int_equal(value_of("C\x01x", 3).type, PICKLE_BYTES);
    assert_int_equal(value_of("\x96\x01\0\0\0\0\0\0\0x", 10).type, PICKLE_BYTES);
}

static size_t count_of(const char *bytes, size_t size, pickle_type type) {
    shown seen;
    pickle_value top = value_seen(bytes, size, &seen);
    assert_int_equal(top.type, type);
    assert_int_equal(top.length, seen.items);
    return top.length;
}

static void containers_hold_what_was_put_in(void **state) {
    (void)state;
    assert_int_equal(count_of("]", 1, PICKLE_LIST), 0);
    assert_int_equal(count_of("]Na(NNe", 7, PICKLE_LIST), 3);
    assert_int_equal(count_of("(NNl", 4, PICKLE_LIST), 2);
    assert_int_equal(count_of(")", 1, PICKLE_TUPLE), 0);
    assert_int_equal(count_of("(NNNNt", 6, PICKLE_TUPLE), 4);
    assert_int_equal(count_of("N\x85", 2, PICKLE_TUPLE), 1);
    assert_int_equal(count_of("NN\x86", 3, PICKLE_TUPLE), 2);
    assert_int_equal(count_of("NNN\x87", 4, PICKLE_TUPLE), 3);
    assert_int_equal(count_of("}NNs(NNu", 8, PICKLE_DICT), 4);
    assert_int_equal(count_of("(NNd", 4, PICKLE_DICT), 2);
    assert_int_equal(count_of("\x8f(N\x90", 4, PICKLE_SET), 1);
    assert_int_equal(count_of("(NN\x91", 4, PICKLE_SET), 2);
    assert_int_equal(count_of("N0]", 3, PICKLE_LIST), 0);
    assert_int_equal(count_of("(NN1]", 5, PICKLE_LIST), 0);
    assert_int_equal(count_of("N2\x86", 3, PICKLE_TUPLE), 2);
}

/* An outer list of an inner one, which is then named twice more. */
static void the_memo_gives_the_same_object_again(void **state) {
    (void)state;
    static const char *const forms[] = {"](]q\x07Nah\x07h\x07"
                                        "e",
                                        "](]\x94Nah\x00h\x00"
                                        "e",
                                        "](]p3\nNag3\ng3\ne",
                                        "](]r\x00\x01\x00\x00Naj\x00\x01\x00\x00j\x00\x01\x00\x00"
                                        "e"};
    static const size_t sizes[] = {12, 11, 15, 21};
    for (int i = 0; i < 4; i++) {
        shown seen;
        value_seen(forms[i], sizes[i], &seen);
        assert_int_equal(seen.fills, 2);
        assert_int_equal(seen.last_count, 3);
        for (int k = 0; k < 3; k++) {
            assert_int_equal(seen.last[k].type, PICKLE_LIST);
            assert_int_equal(seen.last[k].kind, 1);
            assert_int_equal(seen.last[k].is.range.first, 1);
            assert_int_equal(seen.last[k].is_shared, k > 0);
        }
    }
    expect_code_refused("](]r\x00\x01\x00\x00h\x07"
                        "e",
                        10, "memo number 7 was never set");
}

static void texts_of_all_widths_come_back_from_the_memo(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        pickle_type type;
    } texts[] = {{"(\x8c\x02hi\x94h\x00t", 9, PICKLE_TEXT},
                 {"(X\x02\0\0\0hi\x94h\x00t", 12, PICKLE_TEXT},
                 {"(\x8d\x02\0\0\0\0\0\0\0hi\x94h\x00t", 16, PICKLE_TEXT},
                 {"(C\x02hi\x94h\x00t", 9, PICKLE_BYTES},
                 {"(B\x02\0\0\0hi\x94h\x00t", 12, PICKLE_BYTES},
                 {"(\x8e\x02\0\0\0\0\0\0\0hi\x94h\x00t", 16, PICKLE_BYTES},
                 {"(U\x02hi\x94h\x00t", 9, PICKLE_TEXT}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        shown seen;
        value_seen(texts[i].bytes, texts[i].size, &seen);
        assert_int_equal(seen.last_count, 2);
        for (int k = 0; k < 2; k++) {
            assert_int_equal(seen.last[k].type, texts[i].type);
            assert_int_equal(seen.last[k].length, 2);
            assert_memory_equal(seen.text[k], "hi", 2);
        }
    }
    /* Of what no pickler shares, nothing is made up. */
    assert_true(value_of("\x88\x94"
                         "0h\x00",
                         5)
                    .is.boolean);
    assert_int_equal(value_of("N\x94"
                              "0h\x00",
                              5)
                         .type,
                     PICKLE_NONE);
    expect_code_refused("K\x05\x94h\x00\x86", 6, "no pickler shares");
}

static void a_container_that_is_elsewhere_is_not_filled(void **state) {
    (void)state;
    expect_code_refused("]\x94h\x00Na\x86", 7, "a container that is elsewhere already");
    expect_code_refused("]2Na\x86", 5, "a container that is elsewhere already");
}

/* Fault 56. */
static void nothing_that_runs_code_is_taken(void **state) {
    (void)state;
    expect_code_refused("cos\nsystem\n", 11, "byte 2: the pickle asks for os.system (GLOBAL)");
    expect_code_refused("\x8c\x02os\x8c\x06system\x93", 13, "byte 14: the pickle asks for os.system (STACK_GLOBAL)");
    expect_code_refused("(ios\nsystem\n", 12, "os.system (INST)");
    static const struct {
        int opcode;
        const char *name;
    } refused[] = {{OP_REDUCE, "REDUCE"},
                   {OP_BUILD, "BUILD"},
                   {OP_OBJ, "OBJ"},
                   {OP_NEWOBJ, "NEWOBJ"},
                   {OP_NEWOBJ_EX, "NEWOBJ_EX"},
                   {OP_EXT1, "EXT1"},
                   {OP_EXT2, "EXT2"},
                   {OP_EXT4, "EXT4"},
                   {OP_PERSID, "PERSID"},
                   {OP_BINPERSID, "BINPERSID"},
                   {OP_NEXT_BUFFER, "NEXT_BUFFER"},
                   {OP_READONLY_BUFFER, "READONLY_BUFFER"},
                   {OP_STRING, "STRING"},
                   {OP_UNICODE, "UNICODE"},
                   {OP_STACK_GLOBAL, "STACK_GLOBAL"}};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        char byte = (char)refused[i].opcode;
        expect_code_refused(&byte, 1, refused[i].name);
    }
    expect_code_refused("\xff", 1, "0xff is no instruction");
}

static void broken_programs_are_told(void **state) {
    (void)state;
    expect_code_refused("]e", 2, "needs a mark");
    expect_code_refused("(e", 2, "more values than there are");
    expect_code_refused("N(Ne", 4, "items are added to None");
    expect_code_refused("}(Nu", 4, "no value");
    expect_code_refused("(Nd", 3, "no value");
    expect_code_refused("a", 1, "more values");
    expect_code_refused("\x85", 1, "more values");
    expect_code_refused("](Na", 4, "more values");
    expect_code_refused("0", 1, "nothing to take away");
    expect_code_refused("1", 1, "needs a mark");
    expect_code_refused("2", 1, "nothing to duplicate");
    expect_code_refused("q\x00", 2, "nothing to remember");
    expect_code_refused("h\x00", 2, "never set");
    expect_code_refused("gx\n", 3, "memo number that is none");
    expect_code_refused("Nr\xff\xff\xff\xff", 6, "memo number 4294967295, after only 0");
    expect_code_refused("Ix\n", 3, "a number that is none");
    expect_code_refused("Fx\n", 3, "a number that is none");
    expect_code_refused("I1\0\n", 4, "NUL");
    expect_code_refused("I1111111111111111111111111111111111111111111111111111111111111111111111\n", 72,
                        "more than 63");
    expect_code_refused("NN", 2, "stops with 2 values");
    expect_code_refused("N(", 2, "1 open marks");
    expect_code_refused("", 0, "stops with 0 values");
}

/* Fault 53. */
static void declared_lengths_are_held_against_the_file(void **state) {
    (void)state;
    expect_code_refused("X\xff\xff\xff\xff"
                        "ab",
                        7, "a text of 4294967295 bytes, but the file has only 3 more");
    expect_code_refused("\x8d\xff\xff\xff\xff\xff\xff\xff\xff", 9, "18446744073709551615 bytes");
    expect_code_refused("\x8b\xff\xff\xff\x7f", 5, "reaches past the end");
    expect_code_refused("\x95\xff\xff\xff\xff\xff\xff\xff\x7f", 9, "declares a frame of 9223372036854775807 bytes");
    expect_code_refused("C\xff", 2, "a text of 255 bytes");
}

static void other_protocols_are_not_read(void **state) {
    (void)state;
    expect_refused("\x80\x00N.", 4, TARN_NOT_SUPPORTED, "protocol 0; 2 to 5");
    expect_refused("\x80\x01N.", 4, TARN_NOT_SUPPORTED, "protocol 1");
    expect_refused("\x80\x06N.", 4, TARN_NOT_SUPPORTED, "protocol 6");
}

static void a_list_inside_itself_ends(void **state) {
    (void)state;
    expect_refused("\x80\x02]q\x00h\x00"
                   "a.",
                   9, TARN_CORRUPT_DATA, "not a memory snapshot");
}

/* Fault 52. */
static void a_pickle_cut_anywhere_is_refused(void **state) {
    (void)state;
    pickler p = pickler_begin(4);
    snapshot_begin(&p);
    snapshot_segment(&p, 0, 0x1000, 1024, 0);
    snapshot_block(&p, 0x1000, 1024, 1000, "active_allocated");
    snapshot_segment_end(&p);
    snapshot_traces(&p);
    snapshot_device(&p);
    snapshot_entry(&p, "alloc", 0x2000, 10, 0, 5);
    snapshot_device_end(&p);
    snapshot_end(&p);
    tarn_trace_release(trace_of(p.bytes, p.size));
    for (size_t size = 2; size < p.size; size++) expect_refused(p.bytes, size, TARN_CORRUPT_DATA, "");
    pickler_end(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_of_all_kinds_keep_their_value),
        cmocka_unit_test(other_scalars_keep_their_value),
        cmocka_unit_test(containers_hold_what_was_put_in),
        cmocka_unit_test(the_memo_gives_the_same_object_again),
        cmocka_unit_test(texts_of_all_widths_come_back_from_the_memo),
        cmocka_unit_test(a_container_that_is_elsewhere_is_not_filled),
        cmocka_unit_test(nothing_that_runs_code_is_taken),
        cmocka_unit_test(broken_programs_are_told),
        cmocka_unit_test(declared_lengths_are_held_against_the_file),
        cmocka_unit_test(other_protocols_are_not_read),
        cmocka_unit_test(a_list_inside_itself_ends),
        cmocka_unit_test(a_pickle_cut_anywhere_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
