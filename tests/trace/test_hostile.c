/* Files that want to make a reader eat memory or time. Each pickle is refused with one sentence, and needs no more than twice the
 * memory of the file itself; those that come nearest to that have 50 MB. Each is read in a process of its own, whose memory is its
 * own. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pickler.h"
#include "stand.h"
#include "trace/pickle_opcodes.h"
#include "trace/trace_internal.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { sanitized = 1 };
#else
enum { sanitized = 0 };
#endif

/* Pickles as they are written here: a beginning, and what follows it again and again. */
typedef struct hostile {
    const char *what, *begin;
    size_t begin_size;
    const char *again;
    size_t again_size;
    const char *sentence;
    int is_large;
} hostile;

#define BYTES(text) (text), sizeof(text) - 1

/* The names of a history entry's fields, and the entry's texts, as numbers 1 to 4 of the memo. */
#define NAMES            \
    "\x8c\x06"           \
    "action\x94\x8c\x05" \
    "alloc\x94\x8c\x04"  \
    "addr\x94\x8c\x04size\x94"

static const hostile pickles[] = {
    {"batches of one", BYTES("\x80\x04]"), BYTES("(Ne"), "cut off", 1},
    {"single items", BYTES("\x80\x04]"), BYTES("Na"), "cut off", 0},
    {"empty lists in a list", BYTES("\x80\x04]"), BYTES("]a"), "cut off", 0},
    {"marks", BYTES("\x80\x04"), BYTES("("), "nested deeper than 1,000", 0},
    {"nested lists", BYTES("\x80\x04"), BYTES("]"), "more than 262,144 values", 0},
    {"nested lists with marks", BYTES("\x80\x04"), BYTES("]("), "nested deeper than 1,000", 0},
    {"nested dicts", BYTES("\x80\x04"), BYTES("}(K\x01"), "nested deeper than 1,000", 0},
    {"nested tuples", BYTES("\x80\x04)"), BYTES("\x85"), "cut off", 0},
    {"tuples that grow", BYTES("\x80\x04)"), BYTES("h\x00\x86"), "never set", 0},
    {"values without a container", BYTES("\x80\x04"), BYTES("N"), "more than 262,144 values", 0},
    {"a value doubled", BYTES("\x80\x04N"), BYTES("2"), "more than 262,144 values", 0},
    {"one value remembered", BYTES("\x80\x04N"), BYTES("\x94"), "too many for", 1},
    {"lists remembered and dropped", BYTES("\x80\x04"),
     BYTES("]\x94"
           "0"),
     "too many for", 1},
    {"texts remembered and dropped", BYTES("\x80\x04"),
     BYTES("\x8c\x05"
           "abcde\x94"
           "0"),
     "cut off", 1},
    {"memo numbers far apart", BYTES("\x80\x04N"), BYTES("r\xff\xff\xff\x7f"), "memo number 2147483647", 0},
    {"long integers", BYTES("\x80\x04"),
     BYTES("\x8a\xff"
           "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
           "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
           "0123456789012345678901234567890123456789012345678901234"
           "0"),
     "cut off", 0},
    {"one integer as long as the file", BYTES("\x80\x04\x8b\x00\x00\x00\x7f"), BYTES("7"), "reaches past the end", 0},
    {"a text longer than the file", BYTES("\x80\x04X\xff\xff\xff\xff"), BYTES("x"), "a text of 4294967295 bytes", 0},
    {"a frame longer than the file", BYTES("\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x0f"), BYTES("N"),
     "declares a frame", 0},
    {"dicts of settings", BYTES("\x80\x04]"), BYTES("}K\x01K\x02sa"), "cut off", 0},
    {"frames", BYTES("\x80\x04](\x8c\x04name\x94"),
     BYTES("]}h\x00\x8c\x01"
           "xsa0"),
     "cut off", 0},
    {"entries of a history", BYTES("\x80\x04]\x94(" NAMES "]"), BYTES("}(h\x01h\x02h\x03K\x05h\x04K\x07ua"), "cut off",
     0},
    {"entries of no list", BYTES("\x80\x04]\x94(" NAMES "]"), BYTES("}(h\x01h\x02h\x03K\x05h\x04K\x07u0"), "cut off",
     0},
};

enum { LARGE = 50000000, SMALL = 12000000 };

/* Zero when the pickle is refused as it should be, and in how much memory. */
static int read_one(const hostile *about, size_t size) {
    char *data = malloc(size);
    if (data == NULL) return 1;
    memcpy(data, about->begin, about->begin_size);
    size_t used = about->begin_size;
    for (; used + about->again_size <= size; used += about->again_size)
        memcpy(data + used, about->again, about->again_size);
    tarn_trace *trace = NULL;
    if (trace_read_memory(data, used, "input", &trace) != TARN_CORRUPT_DATA) return 2;
    if (strstr(tarn_last_error(), about->sentence) == NULL) {
        print_error("%s: %s\n", about->what, tarn_last_error());
        return 3;
    }
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    free(data);
    if (sanitized || getenv("TARN_TEST_SLOWNESS") != NULL || usage.ru_maxrss <= (long)(2 * size / 1024)) return 0;
    print_error("%s: %ld KiB\n", about->what, usage.ru_maxrss);
    return 4;
}

/* Under a sanitizer or valgrind, which have memory of their own, a small file shows the rest. */
static void hostile_pickles_are_refused_in_little_memory(void **state) {
    (void)state;
    size_t part = sanitized || getenv("TARN_TEST_SLOWNESS") != NULL ? 10 : 1;
    int failures = 0;
    for (size_t i = 0; i < sizeof pickles / sizeof pickles[0]; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) _exit(read_one(&pickles[i], (pickles[i].is_large ? LARGE : SMALL) / part));
        int status = -1;
        assert_int_equal(waitpid(child, &status, 0), child);
        if (status != 0) {
            print_error("%s: status %#x\n", pickles[i].what, (unsigned)status);
            failures++;
        }
    }
    assert_int_equal(failures, 0);
}

/* Texts whose words come in pairs: turning the highest bit of the first, and two bits of the second, was made up for where words
 * were multiplied by a number that is known. Then all of them were in one place of the table, and reading took the square of
 * their number. */
static void texts_that_were_made_to_collide_are_told_apart(void **state) {
    (void)state;
    enum { PAIRS = 16 };
    trace_builder builder = {0};
    for (uint32_t i = 0; i < UINT32_C(1) << PAIRS; i++) {
        uint64_t words[2 * PAIRS];
        uint32_t string;
        for (uint32_t pair = 0; pair < PAIRS; pair++) {
            bool is_turned = (i >> pair & 1) != 0;
            words[2 * pair] = UINT64_C(0x4141414141414141) ^ (is_turned ? UINT64_C(1) << 63 : 0);
            words[2 * pair + 1] =
                UINT64_C(0x4141414141414141) ^ (is_turned ? UINT64_C(1) << 63 | UINT64_C(1) << 31 : 0);
        }
        assert_int_equal(trace_builder_string(&builder, (const char *)words, sizeof words, &string), TARN_OK);
        assert_int_equal(string, i);
    }
    trace_builder_discard(&builder);
}

/* Puts a text of that many letters, and then the same one again by its number in the memo, 0. */
static void put_long_text(pickler *p, size_t length, int is_first) {
    if (is_first) {
        char *text = malloc(length);
        assert_non_null(text);
        memset(text, 'x', length);
        put_op(p, OP_BINUNICODE);
        put_little(p, length, 4);
        put_bytes(p, text, length);
        free(text);
    }
    put_op(p, is_first ? OP_BINPUT : OP_BINGET);
    put_op(p, 0);
}

/* Frames of some forty bytes each, of which each made a text of 8 KiB. */
static void texts_that_come_to_far_more_than_the_file_are_refused(void **state) {
    (void)state;
    enum { FRAMES = 3000 };
    pickler p = pickler_begin(2);
    snapshot_begin(&p);
    put_op(&p, OP_APPENDS);
    put_text(&p, "rest");
    put_op(&p, OP_EMPTY_LIST);
    put_op(&p, OP_MARK);
    for (unsigned i = 0; i < FRAMES; i++) {
        put_op(&p, OP_EMPTY_DICT);
        put_op(&p, OP_MARK);
        put_text(&p, "name");
        put_long_text(&p, 8000, i == 0);
        put_text_pair(&p, "filename", "f");
        put_pair(&p, "line", i + 1);
        put_op(&p, OP_SETITEMS);
    }
    put_op(&p, OP_APPENDS);
    put_op(&p, OP_SETITEMS);
    put_op(&p, OP_STOP);
    expect_refused(p.bytes, p.size, TARN_CORRUPT_DATA, "its call sites and tags come to more than");
    pickler_end(&p);
}

/* Reading looked at the whole text once more for each entry that names it: 1.4 MB took 40 seconds. */
static void long_tags_and_names_of_files_are_cut(void **state) {
    (void)state;
    enum { LENGTH = 100000, KEPT = 8192 };
    pickler p = pickler_begin(2);
    snapshot_begin(&p);
    snapshot_traces(&p);
    snapshot_device(&p);
    for (unsigned i = 0; i < 2; i++) {
        put_op(&p, OP_EMPTY_DICT);
        put_op(&p, OP_MARK);
        put_text_pair(&p, "action", "alloc");
        put_pair(&p, "addr", 4096 + 512 * i);
        put_pair(&p, "size", 512);
        put_text(&p, "user_metadata");
        put_long_text(&p, LENGTH, i == 0);
        put_text(&p, "frames");
        put_op(&p, OP_EMPTY_LIST);
        put_op(&p, OP_EMPTY_DICT);
        put_op(&p, OP_MARK);
        put_text_pair(&p, "name", "main");
        put_text(&p, "filename");
        put_long_text(&p, LENGTH, 0);
        put_op(&p, OP_SETITEMS);
        put_op(&p, OP_APPEND);
        put_op(&p, OP_SETITEMS);
    }
    snapshot_device_end(&p);
    snapshot_end(&p);
    tarn_trace *trace = trace_of(p.bytes, p.size);
    const tarn_trace_event *events = tarn_trace_events(trace);
    assert_int_equal(info_of(trace).event_count, 2);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(strlen(tarn_trace_string(trace, events[i].tag)), KEPT);
        assert_int_equal(strlen(tarn_trace_string(trace, events[i].site)), KEPT);
    }
    tarn_trace_release(trace);
    pickler_end(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_pickles_are_refused_in_little_memory),
        cmocka_unit_test(texts_that_were_made_to_collide_are_told_apart),
        cmocka_unit_test(texts_that_come_to_far_more_than_the_file_are_refused),
        cmocka_unit_test(long_tags_and_names_of_files_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
