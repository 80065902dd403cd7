/* Every request for host memory is made to fail in turn, in each reader and each writer: each failure is clean,
 * and the next try succeeds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "pickler.h"
#include "stand.h"
#include "trace/trace_internal.h"

/* A table with so many rows and texts that everything grows while it is read. */
static char *large_table(void) {
    size_t size = 200000, used = 0;
    /* Under valgrind with fewer, which grow once less. */
    const int rows = getenv("TARN_TEST_SLOWNESS") != NULL ? 300 : 700;
    char *text = malloc(size);
    assert_non_null(text);
    used += (size_t)snprintf(text, size, "time_ns,action,id,size,address,stream,thread,tag\n");
    used += (size_t)snprintf(text + used, size - used, "0,initial,9998,7,0x200,0,0,\n0,initial,9999,7,0x100,0,0,\n");
    for (int i = 0; i < rows; i++)
        used += (size_t)snprintf(text + used, size - used, "%d,allocate,%d,%d,0x%x,%d,%d,tag %d\n", i, i, i + 1,
                                 i * 512 + 4096, i, i, i);
    for (int i = 0; i < rows; i += 2)
        used += (size_t)snprintf(text + used, size - used, "%d,free,%d,,,0,0,\n", 1000 + i, i);
    return text;
}

/* Reads the bytes with each request failing in turn, once and for good. */
static void sweep_reader(const char *what, const void *data, size_t size) {
    for (int for_good = 0; for_good < 2; for_good++) {
        unsigned long k = 1;
        for (;; k++) {
            tarn_trace *trace = NULL;
            base_memory_fail_at(k, for_good);
            tarn_status status = trace_read_memory(data, size, "input", &trace);
            unsigned long requests = base_memory_requests();
            base_memory_fail_at(0, 0);
            if (status == TARN_OK) tarn_trace_release(trace);
            if (requests < k) break;
            /* Cutting a vector to size may fail unnoticed. */
            if (status != TARN_OK) {
                assert_int_equal(status, TARN_OUT_OF_MEMORY);
                assert_null(trace);
                expect_last_error("no host memory");
            }
        }
        print_message("%s: %lu of %lu requests failed%s, each cleanly\n", what, k - 1, k - 1,
                      for_good ? " for good" : "");
        assert_in_range(k, 2, 100000);
    }
    tarn_trace_release(trace_of(data, size));
}

static void each_reader_survives_each_failure(void **state) {
    (void)state;
    tarn_log_set(NULL, NULL, TARN_LOG_OFF);
    char *text = large_table();
    sweep_reader("csv", text, strlen(text));
    tarn_trace *trace = trace_of_text(text);
    free(text);
    static const tarn_trace_format formats[] = {TARN_TRACE_TARN, TARN_TRACE_RMM_CSV, TARN_TRACE_PYTORCH_SNAPSHOT};
    for (size_t i = 0; i < 3; i++) {
        char path[256];
        path_in_folder("sweep", path);
        assert_int_equal(tarn_trace_write(trace, path, formats[i]), TARN_OK);
        size_t size;
        char *data = read_file(path, &size);
        sweep_reader(tarn_trace_format_name(formats[i]), data, size);
        free(data);
    }
    tarn_trace_release(trace);
}

static void a_recorded_file_survives_each_failure(void **state) {
    (void)state;
    static const char file[] =
        "\x89TARN\r\n\x1a\x01\0\0\0\1\0\0\0\x01\x04main\x02\x07\x03\x09\x04\x02\x25\x08\x10\x40\x00\x05\x02\x20\x03"
        "\x06\x02\x1f\x05\x02\x00\x01\x0c\x00\x00\x02\x01\x00\x0d\x02\x00\x0f";
    sweep_reader("partial", file, sizeof file - 1);
}

static void each_writer_survives_each_failure(void **state) {
    (void)state;
    char *text = large_table(), path[256];
    tarn_trace *trace = trace_of_text(text);
    free(text);
    path_in_folder("written", path);
    for (int format = TARN_TRACE_TARN; format <= TARN_TRACE_CSV; format++) {
        write_file(path, "older", 5);
        size_t files = files_in_folder();
        for (unsigned long k = 1;; k++) {
            base_memory_fail_at(k, 0);
            tarn_status status = tarn_trace_write(trace, path, (tarn_trace_format)format);
            unsigned long requests = base_memory_requests();
            base_memory_fail_at(0, 0);
            assert_int_equal(files_in_folder(), files);
            if (requests < k) {
                assert_int_equal(status, TARN_OK);
                break;
            }
            assert_int_equal(status, TARN_OUT_OF_MEMORY);
            char *kept = read_file(path, NULL);
            assert_string_equal(kept, "older");
            free(kept);
        }
    }
    tarn_trace_release(trace);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_reader_survives_each_failure),
        cmocka_unit_test(a_recorded_file_survives_each_failure),
        cmocka_unit_test(each_writer_survives_each_failure),
    };
    return cmocka_run_group_tests(tests, NULL, remove_folder);
}
