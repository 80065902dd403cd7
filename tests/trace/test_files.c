/* Files: what is no trace is told, and what is written is there whole or not at all. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pickler.h"
#include "stand.h"

static const char table[] = "time_ns,action,id,size,address,device,stream,thread,alignment,tag,site\n"
                            "0,initial,0,4096,0x7f0000000000,0,0,0,0,weights,\n"
                            "0,initial,1,64,0x7f1000000000,0,0,0,0,,\n"
                            "0,segment_allocate,,2097152,0x7f0000000000,0,0,0,0,,\n"
                            "1000,allocate,2,100,0x7f2000001000,0,1,0,8,\"a, \"\"b\"\"\",f (x.c:1) < g (y.c:2)\n"
                            "5000,free,0,4096,0x7f0000000000,0,0,1,0,,\n"
                            "9000000,free_completed,0,4096,0x7f0000000000,0,0,1,0,,\n"
                            "9000000,out_of_memory,,1000000,0x0,0,0,0,0,,\n"
                            "10000000,mark,,0,0x0,0,0,0,0,\"step \xc3\xa9 \xff \\ \t\",\n"
                            "12000000,segment_free,,2097152,0x7f0000000000,0,0,0,0,,\n";

static void expect_file_refused(const char *path, tarn_status status, const char *part) {
    tarn_trace *trace = NULL;
    assert_int_equal(tarn_trace_read(path, &trace), status);
    assert_null(trace);
    expect_last_error(path);
    expect_last_error(part);
}

/* Fault 58. */
static void what_is_no_regular_file_is_told(void **state) {
    (void)state;
    char path[256];
    path_in_folder("nothing", path);
    expect_file_refused(path, TARN_NOT_FOUND, "No such file");
    expect_file_refused("/tmp", TARN_IO_ERROR, "is a directory");
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_file_refused(path, TARN_IO_ERROR, "is a pipe");
    expect_file_refused("/dev/zero", TARN_IO_ERROR, "is no regular file");
    tarn_trace *trace = NULL;
    assert_int_equal(tarn_trace_read(NULL, &trace), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_trace_read("", &trace), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_trace_read(path, NULL), TARN_INVALID_ARGUMENT);
}

static void what_is_no_trace_is_told(void **state) {
    (void)state;
    char path[256];
    path_in_folder("stranger", path);
    write_file(path, "", 0);
    expect_file_refused(path, TARN_CORRUPT_DATA, "is empty");
    write_file(path, "\x1f\x8b\x08", 3);
    expect_file_refused(path, TARN_NOT_SUPPORTED, "gzip");
    write_file(path, "{\"traceEvents\":[]}", 18);
    expect_file_refused(path, TARN_NOT_SUPPORTED, "JSON");
    write_file(path, "id,lower,upper,size\n", 20);
    expect_file_refused(path, TARN_NOT_SUPPORTED, "begins with bytes 69 64 2c 6c");
}

/* Fault 54: JSON is written and never read, so that it is refused by its first byte, whatever it nests, repeats or counts. */
static void json_is_refused_whatever_is_in_it(void **state) {
    (void)state;
    enum { depth = 1000000 };
    static const char *const texts[] = {"{\"size\":1,\"size\":2}", "{\"size\":1e999}", "[1e999,-1e999]"};
    char path[256];
    path_in_folder("json", path);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        write_file(path, texts[i], strlen(texts[i]));
        expect_file_refused(path, TARN_NOT_SUPPORTED, "JSON");
    }
    char *deep = malloc(depth);
    assert_non_null(deep);
    memset(deep, '[', depth);
    write_file(path, deep, depth);
    free(deep);
    expect_file_refused(path, TARN_NOT_SUPPORTED, "JSON");
}

/* 50 MB that no format begins like, and the same behind the first bytes of each. */
static void fifty_megabytes_of_noise_are_refused_in_little_memory(void **state) {
    (void)state;
    static const struct {
        const char *begin;
        size_t size;
        tarn_status status;
    } kinds[] = {{"", 0, TARN_NOT_SUPPORTED},
                 {"\x80\x04", 2, TARN_CORRUPT_DATA},
                 {"\x89TARN\r\n\x1a\x01\0\0\0\0\0\0\0", 16, TARN_CORRUPT_DATA},
                 {"Thread,Time,Action,Pointer,Size,Stream\n", 39, TARN_CORRUPT_DATA}};
    const size_t size = 50 * 1000 * 1000;
    char path[256];
    path_in_folder("noise", path);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    uint32_t random = 12345;
    for (size_t i = 0; i < size / 4; i++) {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        fwrite(&random, 4, 1, file);
    }
    fclose(file);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        file = fopen(path, "r+b");
        assert_non_null(file);
        fwrite(kinds[i].begin, 1, kinds[i].size, file);
        fclose(file);
        expect_file_refused(path, kinds[i].status, "");
    }
    remove(path);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    /* Under valgrind the tool's own memory counts too. */
    if (getenv("TARN_TEST_SLOWNESS") == NULL) assert_in_range(usage.ru_maxrss, 0, 100 * 1024);
#endif
}

static void expect_same_events(const tarn_trace *left, const tarn_trace *right) {
    tarn_trace_info a = info_of(left), b = info_of(right);
    assert_int_equal(a.event_count, b.event_count);
    assert_int_equal(a.initial_count, b.initial_count);
    assert_int_equal(a.peak_live, b.peak_live);
    for (size_t i = 0; i < a.event_count; i++) {
        tarn_trace_event x = tarn_trace_events(left)[i], y = tarn_trace_events(right)[i];
        assert_string_equal(tarn_trace_string(left, x.tag), tarn_trace_string(right, y.tag));
        assert_string_equal(tarn_trace_string(left, x.site), tarn_trace_string(right, y.site));
        assert_int_equal(x.id, y.id);
        assert_int_equal(x.size, y.size);
        assert_int_equal(x.address, y.address);
        assert_int_equal(x.time_ns, y.time_ns);
        assert_int_equal(x.stream, y.stream);
        assert_int_equal(x.thread, y.thread);
        assert_int_equal(x.device, y.device);
        assert_int_equal(x.action, y.action);
        assert_int_equal(x.alignment_log2, y.alignment_log2);
    }
}

static tarn_trace *written_and_read(const tarn_trace *trace, const char *name, tarn_trace_format format) {
    char path[256];
    path_in_folder(name, path);
    assert_int_equal(tarn_trace_write(trace, path, format), TARN_OK);
    tarn_trace *copy = NULL;
    tarn_status status = tarn_trace_read(path, &copy);
    if (status != TARN_OK) print_error("%s\n", tarn_last_error());
    assert_int_equal(status, TARN_OK);
    assert_int_equal(info_of(copy).format, format);
    return copy;
}

static void own_formats_keep_every_event(void **state) {
    (void)state;
    tarn_trace *trace = trace_of_text(table);
    tarn_trace *copy = written_and_read(trace, "copy.tarn", TARN_TRACE_TARN);
    expect_same_events(trace, copy);
    tarn_trace_release(copy);
    copy = written_and_read(trace, "copy.csv", TARN_TRACE_CSV);
    expect_same_events(trace, copy);
    tarn_trace_release(copy);
    tarn_trace_release(trace);
}

static void other_formats_keep_what_they_can_say(void **state) {
    (void)state;
    tarn_trace *trace = trace_of_text(table);
    tarn_trace *copy = written_and_read(trace, "copy.rmm", TARN_TRACE_RMM_CSV);
    assert_int_equal(info_of(copy).peak_live, info_of(trace).peak_live);
    assert_int_equal(info_of(copy).allocation_count, 3);
    tarn_trace_release(copy);
    copy = written_and_read(trace, "copy.pickle", TARN_TRACE_PYTORCH_SNAPSHOT);
    assert_int_equal(info_of(copy).peak_live, info_of(trace).peak_live);
    assert_int_equal(info_of(copy).initial_count, 2);
    assert_int_equal(info_of(copy).event_count, info_of(trace).event_count);
    assert_string_equal(tarn_trace_string(copy, tarn_trace_events(copy)[3].site), "f (x.c:1) < g (y.c:2)");
    tarn_trace_release(copy);
    tarn_trace_release(trace);
}

static void allocations_without_addresses_stay_apart(void **state) {
    (void)state;
    tarn_trace *trace = trace_of_text(
        "time_ns,action,id,size\n1,allocate,1,10\n2,allocate,2,20\n3,free,1,\n4,allocate,3,5\n5,free,2,\n");
    static const tarn_trace_format formats[] = {TARN_TRACE_TARN, TARN_TRACE_CSV, TARN_TRACE_RMM_CSV};
    for (size_t i = 0; i < 3; i++) {
        tarn_trace *copy = written_and_read(trace, "apart", formats[i]);
        assert_int_equal(info_of(copy).peak_live, 30);
        assert_int_equal(tarn_trace_events(copy)[4].id, 1);
        tarn_trace_release(copy);
    }
    tarn_trace_release(trace);
}

static void perfetto_gets_counters_slices_and_marks(void **state) {
    (void)state;
    tarn_trace *trace = trace_of_text(table);
    char path[256];
    path_in_folder("copy.json", path);
    assert_int_equal(tarn_trace_write(trace, path, TARN_TRACE_PERFETTO), TARN_OK);
    char *json = read_file(path, NULL);
    static const char *const parts[] = {
        "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[",
        "{\"ph\":\"C\",\"name\":\"live\",\"pid\":0,\"ts\":0.000,\"args\":{\"bytes\":4160}}",
        "{\"ph\":\"C\",\"name\":\"live\",\"pid\":0,\"ts\":1.000,\"args\":{\"bytes\":4260}}",
        "{\"ph\":\"C\",\"name\":\"reserved\",\"pid\":0,\"ts\":0.000,\"args\":{\"bytes\":2097152}}",
        "\"tag\":\"a, \\\"b\\\"\",\"site\":\"f (x.c:1) < g (y.c:2)\"",
        "{\"ph\":\"e\",\"cat\":\"allocation\",\"id\":0,\"pid\":0,\"tid\":0,\"ts\":5.000",
        "\"name\":\"step \xc3\xa9 \\ufffd \\\\ \\u0009\"",
        "\"name\":\"out of memory\"",
        "\n]}\n",
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (strstr(json, parts[i]) == NULL) fail_msg("%s lacks %s", json, parts[i]);
    free(json);
    tarn_trace_release(trace);
}

/* A device whose memory is all cached, and of which the history says nothing: its bytes were added up beyond the array. */
static void a_device_of_blocks_alone_is_counted(void **state) {
    (void)state;
    pickler p = pickler_begin(2);
    snapshot_begin(&p);
    snapshot_segment(&p, 1, 0x10000, 2097152, 0);
    snapshot_block(&p, 0, 2097152, 0, "inactive");
    snapshot_segment_end(&p);
    snapshot_traces(&p);
    snapshot_end(&p);
    tarn_trace *trace = trace_of(p.bytes, p.size);
    pickler_end(&p);
    assert_int_equal(info_of(trace).device_count, 2);
    char path[256];
    path_in_folder("blocks.json", path);
    assert_int_equal(tarn_trace_write(trace, path, TARN_TRACE_PERFETTO), TARN_OK);
    char *json = read_file(path, NULL);
    assert_non_null(strstr(json, "\"name\":\"reserved\",\"pid\":1,\"ts\":0.000,\"args\":{\"bytes\":2097152}}"));
    free(json);
    tarn_trace_release(trace);
}

/* Fault 58. */
static void a_directory_and_an_unknown_format_are_refused(void **state) {
    (void)state;
    tarn_trace *trace = trace_of_text(table);
    char path[256];
    path_in_folder("x", path);
    assert_int_equal(tarn_trace_write(trace, "/tmp", TARN_TRACE_CSV), TARN_IO_ERROR);
    expect_last_error("/tmp is a directory");
    assert_int_equal(tarn_trace_write(trace, "/nowhere/x.csv", TARN_TRACE_CSV), TARN_IO_ERROR);
    expect_last_error("/nowhere/x.csv cannot be written: No such file");
    assert_int_equal(tarn_trace_write(trace, path, TARN_TRACE_UNKNOWN), TARN_NOT_SUPPORTED);
    assert_int_equal(tarn_trace_write(trace, "", TARN_TRACE_CSV), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_trace_write(NULL, path, TARN_TRACE_CSV), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_trace_write(trace, "/dev/full", TARN_TRACE_CSV), TARN_IO_ERROR);
    expect_last_error("No space left");
    assert_int_equal(tarn_trace_write(trace, "/dev/null", TARN_TRACE_CSV), TARN_OK);
    tarn_trace_release(trace);
}

/* Fault 59. A limit on file sizes stands for a disk that fills up. */
static void a_full_disk_leaves_the_older_file(void **state) {
    (void)state;
    tarn_trace *trace = trace_of_text(table);
    char path[256];
    path_in_folder("older.csv", path);
    write_file(path, "older", 5);
    size_t files = files_in_folder();
    struct rlimit before, limit;
    getrlimit(RLIMIT_FSIZE, &before);
    limit = before;
    limit.rlim_cur = 100;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    tarn_status status = tarn_trace_write(trace, path, TARN_TRACE_CSV);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(status, TARN_IO_ERROR);
    expect_last_error("File too large");
    char *text = read_file(path, NULL);
    assert_string_equal(text, "older");
    free(text);
    assert_int_equal(files_in_folder(), files);
    assert_int_equal(tarn_trace_write(trace, path, TARN_TRACE_CSV), TARN_OK);
    assert_int_equal(files_in_folder(), files);
    tarn_trace_release(trace);
}

/* Fault 58. */
static void a_link_is_written_through_and_permissions_stay(void **state) {
    (void)state;
    tarn_trace *trace = trace_of_text(table);
    char path[256], link[256];
    path_in_folder("linked.csv", path);
    path_in_folder("link.csv", link);
    write_file(path, "older", 5);
    chmod(path, 0640);
    assert_int_equal(symlink(path, link), 0);
    assert_int_equal(tarn_trace_write(trace, link, TARN_TRACE_CSV), TARN_OK);
    struct stat about;
    assert_int_equal(lstat(link, &about), 0);
    assert_true(S_ISLNK(about.st_mode));
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0640);
    assert_int_not_equal(about.st_size, 5);
    tarn_trace_release(trace);
}

static void formats_are_known_by_name_and_by_ending(void **state) {
    (void)state;
    assert_int_equal(tarn_trace_format_named("tarn"), TARN_TRACE_TARN);
    assert_int_equal(tarn_trace_format_named("a/b.tarn"), TARN_TRACE_TARN);
    assert_int_equal(tarn_trace_format_named("PyTorch"), TARN_TRACE_PYTORCH_SNAPSHOT);
    assert_int_equal(tarn_trace_format_named("x.pickle"), TARN_TRACE_PYTORCH_SNAPSHOT);
    assert_int_equal(tarn_trace_format_named("x.rmm.csv"), TARN_TRACE_RMM_CSV);
    assert_int_equal(tarn_trace_format_named("x.csv"), TARN_TRACE_CSV);
    assert_int_equal(tarn_trace_format_named("x.json"), TARN_TRACE_PERFETTO);
    assert_int_equal(tarn_trace_format_named("x.txt"), TARN_TRACE_UNKNOWN);
    assert_int_equal(tarn_trace_format_named(NULL), TARN_TRACE_UNKNOWN);
    assert_string_equal(tarn_trace_format_name(TARN_TRACE_RMM_CSV), "rmm");
    assert_string_equal(tarn_trace_format_name(TARN_TRACE_UNKNOWN), "unknown");
}

static void information_is_given_as_far_as_the_caller_has_room(void **state) {
    (void)state;
    tarn_trace *trace = trace_of_text(table);
    tarn_trace_info info = {.struct_size = offsetof(tarn_trace_info, initial_count), .initial_count = 99};
    assert_int_equal(tarn_trace_info_get(trace, &info), TARN_OK);
    assert_int_equal(info.event_count, 9);
    assert_int_equal(info.initial_count, 99);
    info.struct_size = 0;
    assert_int_equal(tarn_trace_info_get(trace, &info), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_trace_info_get(NULL, &info), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_trace_info_get(trace, NULL), TARN_INVALID_ARGUMENT);
    assert_null(tarn_trace_events(NULL));
    assert_null(tarn_trace_blocks(NULL));
    assert_string_equal(tarn_trace_string(trace, 4711), "");
    assert_string_equal(tarn_trace_string(NULL, 0), "");
    tarn_trace_release(NULL);
    tarn_trace_release(trace);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_regular_file_is_told),
        cmocka_unit_test(what_is_no_trace_is_told),
        cmocka_unit_test(json_is_refused_whatever_is_in_it),
        cmocka_unit_test(fifty_megabytes_of_noise_are_refused_in_little_memory),
        cmocka_unit_test(own_formats_keep_every_event),
        cmocka_unit_test(other_formats_keep_what_they_can_say),
        cmocka_unit_test(allocations_without_addresses_stay_apart),
        cmocka_unit_test(perfetto_gets_counters_slices_and_marks),
        cmocka_unit_test(a_device_of_blocks_alone_is_counted),
        cmocka_unit_test(a_directory_and_an_unknown_format_are_refused),
        cmocka_unit_test(a_full_disk_leaves_the_older_file),
        cmocka_unit_test(a_link_is_written_through_and_permissions_stay),
        cmocka_unit_test(formats_are_known_by_name_and_by_ending),
        cmocka_unit_test(information_is_given_as_far_as_the_caller_has_room),
    };
    return cmocka_run_group_tests(tests, NULL, remove_folder);
}
