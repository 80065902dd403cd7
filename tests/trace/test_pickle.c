/* The pickle reader: what it builds, and everything that it refuses. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "pickler.h"
#include "stand.h"
#include "trace/pickle.h"
#include "trace/pickle_opcodes.h"

static pickle *load(const pickler *p) {
    trace_input input = {.path = "input", .data = p->bytes, .size = p->size};
    pickle *loaded = NULL;
    tarn_status status = pickle_read(&input, &loaded);
    if (status != TARN_OK) print_error("%s\n", tarn_last_error());
    assert_int_equal(status, TARN_OK);
    return loaded;
}

static void expect_bad(pickler *p, const char *part) {
    trace_input input = {.path = "input", .data = p->bytes, .size = p->size};
    pickle *loaded = NULL;
    assert_int_equal(pickle_read(&input, &loaded), TARN_CORRUPT_DATA);
    assert_null(loaded);
    expect_last_error("input: ");
    expect_last_error(part);
    pickler_end(p);
}

/* The one value of a pickle that consists of the bytes and STOP. */
static pickle_value value_of(const char *bytes, size_t size) {
    pickler p = pickler_begin(4);
    put_bytes(&p, bytes, size);
    put_op(&p, OP_STOP);
    pickle *loaded = load(&p);
    pickle_value value = pickle_top(loaded);
    pickle_release(loaded);
    pickler_end(&p);
    return value;
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
    pickler p = pickler_begin(5);
    put_bytes(&p, bytes, size);
    put_op(&p, OP_STOP);
    pickle *loaded = load(&p);
    pickle_value top = pickle_top(loaded);
    assert_int_equal(top.type, type);
    size_t count = top.is.object->count, walked = 0;
    pickle_value item;
    for (pickle_cursor cursor = pickle_begin(top); pickle_next(&cursor, &item);) walked++;
    assert_int_equal(walked, count);
    pickle_release(loaded);
    pickler_end(&p);
    return count;
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

static void the_memo_gives_the_same_object_again(void **state) {
    (void)state;
    static const char *const forms[] = {"](]q\x07h\x07h\x07"
                                        "e",
                                        "](]\x94h\x00h\x00"
                                        "e",
                                        "](]p3\ng3\ng3\ne",
                                        "](]r\x00\x01\x00\x00j\x00\x01\x00\x00h\x07"
                                        "e"};
    static const size_t sizes[] = {10, 9, 13, 16};
    for (int i = 0; i < 3; i++) {
        pickler p = pickler_begin(4);
        put_bytes(&p, forms[i], sizes[i]);
        put_op(&p, OP_STOP);
        pickle *loaded = load(&p);
        pickle_value first = {0}, second = {0};
        pickle_cursor cursor = pickle_begin(pickle_top(loaded));
        assert_true(pickle_next(&cursor, &first) && pickle_next(&cursor, &second));
        assert_ptr_equal(first.is.object, second.is.object);
        pickle_release(loaded);
        pickler_end(&p);
    }
    pickler p = pickler_begin(4);
    put_bytes(&p, forms[3], sizes[3]);
    put_op(&p, OP_STOP);
    expect_bad(&p, "memo number 7 was never set");
}

static void a_later_key_hides_an_earlier_one(void **state) {
    (void)state;
    pickler p = pickler_begin(2);
    put_bytes(&p, "}(", 2);
    put_pair(&p, "a", 1);
    put_pair(&p, "b", 2);
    put_pair(&p, "a", 3);
    put_bytes(&p, "u.", 2);
    pickle *loaded = load(&p);
    pickle_value value;
    assert_true(pickle_find(pickle_top(loaded), "a", &value));
    assert_int_equal(value.is.integer, 3);
    assert_false(pickle_find(pickle_top(loaded), "c", &value));
    pickle_release(loaded);
    pickler_end(&p);
}

static void expect_code_refused(const char *bytes, size_t size, const char *part) {
    pickler p = pickler_begin(4);
    put_bytes(&p, bytes, size);
    put_op(&p, OP_STOP);
    expect_bad(&p, part);
}

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

static void a_million_nested_lists_are_refused_in_little_memory(void **state) {
    (void)state;
    pickler p = pickler_begin(4);
    for (int i = 0; i < 1000000; i++) {
        put_op(&p, OP_EMPTY_LIST);
        put_op(&p, OP_MEMOIZE);
    }
    for (int i = 1; i < 1000000; i++) put_op(&p, OP_APPEND);
    put_op(&p, OP_STOP);
    expect_bad(&p, "nested deeper than 1000");
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    /* Under valgrind the tool's own memory counts too. */
    if (getenv("TARN_TEST_SLOWNESS") == NULL) assert_in_range(usage.ru_maxrss, 0, 100 * 1024);
#endif
}

static void values_that_no_container_takes_are_bounded(void **state) {
    (void)state;
    pickler p = pickler_begin(4);
    put_op(&p, OP_MARK);
    for (int i = 0; i < 2000000; i++) put_op(&p, OP_NONE);
    expect_bad(&p, "more than a million values");
}

static void a_list_inside_itself_ends(void **state) {
    (void)state;
    expect_refused("\x80\x02]q\x00h\x00"
                   "a.",
                   9, TARN_CORRUPT_DATA, "not a memory snapshot");
}

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
        cmocka_unit_test(a_million_nested_lists_are_refused_in_little_memory),
        cmocka_unit_test(integers_of_all_kinds_keep_their_value),
        cmocka_unit_test(other_scalars_keep_their_value),
        cmocka_unit_test(containers_hold_what_was_put_in),
        cmocka_unit_test(the_memo_gives_the_same_object_again),
        cmocka_unit_test(a_later_key_hides_an_earlier_one),
        cmocka_unit_test(nothing_that_runs_code_is_taken),
        cmocka_unit_test(broken_programs_are_told),
        cmocka_unit_test(declared_lengths_are_held_against_the_file),
        cmocka_unit_test(other_protocols_are_not_read),
        cmocka_unit_test(values_that_no_container_takes_are_bounded),
        cmocka_unit_test(a_list_inside_itself_ends),
        cmocka_unit_test(a_pickle_cut_anywhere_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
