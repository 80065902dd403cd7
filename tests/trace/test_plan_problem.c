/* Plan problems: tables of every form that is taken, broken ones, traces made into problems, and what is written. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "stand.h"
#include "trace/plan_problem.h"

static tarn_plan_problem *problem_of(const char *text) {
    trace_input input = {.path = "input", .data = (const uint8_t *)text, .size = strlen(text)};
    tarn_plan_problem *problem = NULL;
    tarn_status status = plan_problem_read_memory(&input, 0, &problem);
    if (status != TARN_OK) print_error("%s\n", tarn_last_error());
    assert_int_equal(status, TARN_OK);
    return problem;
}

static void expect_problem_refused(const char *text, const char *part) {
    trace_input input = {.path = "input", .data = (const uint8_t *)text, .size = strlen(text)};
    tarn_plan_problem *problem = NULL;
    assert_int_equal(plan_problem_read_memory(&input, 0, &problem), TARN_CORRUPT_DATA);
    assert_null(problem);
    expect_last_error("input: line ");
    expect_last_error(part);
}

static tarn_plan_problem_info problem_info(const tarn_plan_problem *problem) {
    tarn_plan_problem_info info = {.struct_size = sizeof info};
    assert_int_equal(tarn_plan_problem_info_get(problem, &info), TARN_OK);
    return info;
}

static void expect_buffer(const tarn_plan_problem *problem, size_t index, const char *id, int64_t lower, int64_t upper,
                          uint64_t size) {
    const tarn_plan_buffer *buffer = &tarn_plan_problem_buffers(problem)[index];
    assert_string_equal(tarn_plan_problem_id(problem, index), id);
    assert_int_equal(buffer->lower, lower);
    assert_int_equal(buffer->upper, upper);
    assert_int_equal(buffer->size, size);
}

static void the_columns_of_minimalloc_are_read(void **state) {
    (void)state;
    tarn_plan_problem *problem =
        problem_of("id,lower,upper,size\nb1,0,3,4\nb2,3,9,4\n\nb3,-9223372036854775808,9223372036854775807, 0 ");
    assert_int_equal(problem_info(problem).buffer_count, 3);
    assert_int_equal(problem_info(problem).region_count, 1);
    assert_string_equal(problem_info(problem).path, "input");
    expect_buffer(problem, 0, "b1", 0, 3, 4);
    expect_buffer(problem, 1, "b2", 3, 9, 4);
    expect_buffer(problem, 2, "b3", INT64_MIN, INT64_MAX, 0);
    const tarn_plan_buffer *buffers = tarn_plan_problem_buffers(problem);
    assert_true(buffers[0].fixed_offset == TARN_PLAN_ANYWHERE);
    assert_int_equal(buffers[0].alignment, 0);
    assert_int_equal(buffers[0].gap_count, 0);
    assert_null(buffers[0].gaps);
    assert_string_equal(tarn_plan_problem_id(problem, 3), "");
    tarn_plan_problem_release(problem);
}

static void columns_stand_in_any_order_and_in_quotes(void **state) {
    (void)state;
    tarn_plan_problem *problem = problem_of("\xef\xbb\xbf\"Size\", upper,offset,REGION,gaps,alignment,lower,\"id\"\r\n"
                                            "64,20,128,2,\"2-4 6-8@16:32 8-9\",64,0,\"a,\"\"b\"\"\"\r\n"
                                            "8,1,,,,,0,c\r\n");
    expect_buffer(problem, 0, "a,\"b\"", 0, 20, 64);
    expect_buffer(problem, 1, "c", 0, 1, 8);
    const tarn_plan_buffer *buffers = tarn_plan_problem_buffers(problem);
    assert_int_equal(buffers[0].alignment, 64);
    assert_int_equal(buffers[0].fixed_offset, 128);
    assert_int_equal(buffers[0].region, 2);
    assert_int_equal(buffers[0].gap_count, 3);
    assert_int_equal(buffers[0].gaps[0].upper, 4);
    assert_int_equal(buffers[0].gaps[1].lower, 6);
    assert_int_equal(buffers[0].gaps[1].window_lower, 16);
    assert_int_equal(buffers[0].gaps[1].window_upper, 32);
    assert_true(buffers[1].fixed_offset == TARN_PLAN_ANYWHERE);
    assert_int_equal(buffers[1].region, 0);
    assert_int_equal(problem_info(problem).region_count, 3);
    tarn_plan_problem_release(problem);
}

static void an_end_is_the_last_moment(void **state) {
    (void)state;
    tarn_plan_problem *problem = problem_of("buffer_id,start,end,size,gaps\nx,0,0,4,\ny,-9,-2,4,-8--7\n");
    expect_buffer(problem, 0, "x", 0, 1, 4);
    expect_buffer(problem, 1, "y", -9, -1, 4);
    assert_int_equal(tarn_plan_problem_buffers(problem)[1].gaps[0].lower, -8);
    assert_int_equal(tarn_plan_problem_buffers(problem)[1].gaps[0].upper, -6);
    tarn_plan_problem_release(problem);
    problem = problem_of("buffer,begin,upper,size\nx,0,1,4\n");
    expect_buffer(problem, 0, "x", 0, 1, 4);
    tarn_plan_problem_release(problem);
}

static void a_header_alone_is_an_empty_problem(void **state) {
    (void)state;
    tarn_plan_problem *problem = problem_of("id,lower,upper,size\n");
    assert_int_equal(problem_info(problem).buffer_count, 0);
    assert_int_equal(problem_info(problem).region_count, 0);
    assert_null(tarn_plan_problem_buffers(problem));
    tarn_plan_problem_release(problem);
}

static void columns_that_are_not_used_are_told(void **state) {
    (void)state;
    listen_to_log();
    tarn_plan_problem *problem = problem_of("id,hint,lower,upper,size\nx,7,0,1,4\n");
    assert_string_equal(last_message(), "input: the column \"hint\" is not used");
    tarn_log_set(NULL, NULL, TARN_LOG_WARNING);
    expect_buffer(problem, 0, "x", 0, 1, 4);
    tarn_plan_problem_release(problem);
}

static void bad_tables_are_told_with_their_line(void **state) {
    (void)state;
    static const struct {
        const char *text, *part;
    } tables[] = {
        {"", "line 1: no header"},
        {"\n\n", "no header"},
        {"id,lower,upper\n", "line 1: the column \"size\" is missing"},
        {"id,lower,end,upper,size\n", "line 1: a second column for \"upper\""},
        {"id,lower,upper,size\na,0,1\n", "line 2: 3 cells, and the header has 4"},
        {"id,lower,upper,size\na,0,1,2,3\n", "line 2: 5 cells, and the header has 4"},
        {"id,lower,upper,size\na,0,1,2\nb,x,1,2\n", "line 3: \"x\" in column \"lower\" is no whole number of 64 bits"},
        {"id,lower,upper,size\na,0,1.5,2\n", "line 2: \"1.5\" in column \"upper\""},
        {"id,lower,upper,size\na,0,9223372036854775808,2\n", "\"9223372036854775808\" in column \"upper\""},
        {"id,lower,end,size\na,0,9223372036854775807,2\n", "\"9223372036854775807\" in column \"upper\""},
        {"id,lower,upper,size\na,-9223372036854775809,0,2\n", "\"-9223372036854775809\" in column \"lower\""},
        {"id,lower,upper,size\na,-,0,2\n", "\"-\" in column \"lower\""},
        {"id,lower,upper,size\na,0,1,-2\n", "\"-2\" in column \"size\""},
        {"id,lower,upper,size\na,0,1,\n", "\"\" in column \"size\""},
        {"id,lower,upper,size\na,0,1,18446744073709551616\n", "\"18446744073709551616\" in column \"size\""},
        {"id,lower,upper,size\na,3,3,2\n", "line 2: the lifetime ends at 3, no later than it begins, at 3"},
        {"id,lower,upper,size\na,4,3,2\n", "line 2: the lifetime ends at 3"},
        {"id,lower,upper,size\na,0,1,2\nb,0,1,2\na,0,1,2\n", "line 4: the id \"a\" is that of an earlier buffer too"},
        {"id,lower,upper,size\na,0,1,9223372036854775807\nb,5,6,1\n", "line 3: the sizes add up to 2^63 bytes or more"},
        {"id,lower,upper,size,gaps\na,0,9,8,5\n", "line 2: \"5\" is no gap"},
        {"id,lower,upper,size,gaps\na,0,9,8,1-2@3\n", "\"1-2@3\" is no gap"},
        {"id,lower,upper,size,gaps\na,0,9,8,1-2,\n", "line 2: 6 cells"},
        {"id,lower,upper,size,gaps\na,0,9,8,1-2x\n", "\"1-2x\" is no gap"},
        {"id,lower,upper,size,gaps\na,0,9,8,2-2\n", "a gap from 2 to 2 does not lie in the lifetime from 0 to 9"},
        {"id,lower,upper,size,gaps\na,0,9,8,2-12\n", "a gap from 2 to 12 does not lie"},
        {"id,lower,upper,size,gaps\na,1,9,8,0-2\n", "a gap from 0 to 2 does not lie"},
        {"id,lower,upper,size,gaps\na,0,9,8,4-6 2-3\n", "a gap from 2 begins before the one before it ends, at 6"},
        {"id,lower,upper,size,gaps\na,0,9,8,4-6@4:9\n", "a window from 4 to 9 does not lie in the buffer's 8 bytes"},
        {"id,lower,upper,size,gaps\na,0,9,8,4-6@4:4\n", "a window from 4 to 4"},
        {"id,lower,end,size,gaps\na,0,9,8,4-9223372036854775807\n", "is no gap"},
        {"id,lower,upper,size,alignment,offset\na,0,9,8,16,24\n", "the offset 24 is no multiple of the alignment 16"},
        {"id,lower,upper,size,offset\na,0,9,8,9223372036854775800\n",
         "8 bytes at offset 9223372036854775800 end beyond"},
        {"id,lower,upper,size,offset\na,0,9,8,-1\n", "\"-1\" in column \"offset\""},
        {"id,lower,upper,size,region\na,0,9,8,65536\n", "region 65536, at most 65535 is allowed"},
    };
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        expect_problem_refused(tables[i].text, tables[i].part);
}

static void a_trace_becomes_a_problem(void **state) {
    (void)state;
    tarn_trace *trace =
        trace_of_text("time_ns,action,id,size,alignment,device\n0,initial,7,100,,0\n0,initial,8,50,,1\n"
                      "1,allocate,9,30,8,0\n2,free,7,,,0\n3,mark,,0,,0\n4,allocate,10,20,,0\n5,free,9,,,0\n");
    tarn_plan_problem *problem = NULL;
    assert_int_equal(tarn_plan_problem_from_trace(trace, NULL, &problem), TARN_OK);
    tarn_plan_problem_info info = problem_info(problem);
    assert_int_equal(info.format, TARN_TRACE_CSV);
    assert_int_equal(info.buffer_count, 4);
    assert_int_equal(info.region_count, 2);
    const tarn_plan_buffer *buffers = tarn_plan_problem_buffers(problem);
    expect_buffer(problem, 0, "0", 0, 3, 100);
    expect_buffer(problem, 1, "1", 0, 7, 50);
    expect_buffer(problem, 2, "2", 2, 6, 30);
    expect_buffer(problem, 3, "3", 5, 7, 20);
    assert_int_equal(buffers[1].region, 1);
    assert_int_equal(buffers[0].alignment, 64);
    assert_int_equal(buffers[2].alignment, 256);
    tarn_plan_problem_release(problem);
    tarn_plan_problem_options options = {.struct_size = sizeof options, .alignment = 3};
    assert_int_equal(tarn_plan_problem_from_trace(trace, &options, &problem), TARN_OK);
    assert_int_equal(tarn_plan_problem_buffers(problem)[0].alignment, 3);
    assert_int_equal(tarn_plan_problem_buffers(problem)[2].alignment, 256);
    tarn_plan_problem_release(problem);
    tarn_trace_release(trace);
}

static void sizes_of_a_trace_that_do_not_fit_are_told(void **state) {
    (void)state;
    tarn_trace *trace =
        trace_of_text("time_ns,action,id,size\n0,allocate,0,9223372036854775807\n1,free,0,\n2,allocate,1,1\n");
    tarn_plan_problem *problem = NULL;
    assert_int_equal(tarn_plan_problem_from_trace(trace, NULL, &problem), TARN_LIMIT_EXCEEDED);
    assert_null(problem);
    expect_last_error("allocation 1: the sizes add up");
    tarn_trace_release(trace);
}

static void the_kind_of_file_is_told_by_its_header(void **state) {
    (void)state;
    static const struct {
        const char *text, *part; /* NULL: it is read */
    } files[] = {
        {"lower,size,upper,id\n0,1,2,a\n", NULL},
        {"id,start,size\n0,1,2\n", "line 1: the column \"upper\" is missing"},
        {"Thread,Time,Action,Pointer,Size,Stream\n1,1.0,allocate,0x1000,100,0\n", NULL},
        {"time_ns,action,id,size\n0,allocate,0,1\n", NULL},
        {"name,weight\n0,1\n", "is no known trace"},
        {"", "is empty"},
        {"{}", "JSON"},
    };
    char path[256];
    path_in_folder("file", path);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        tarn_plan_problem *problem = NULL;
        write_file(path, files[i].text, strlen(files[i].text));
        tarn_status status = tarn_plan_problem_read(path, NULL, &problem);
        if (files[i].part != NULL) {
            assert_int_not_equal(status, TARN_OK);
            assert_null(problem);
            expect_last_error(files[i].part);
            continue;
        }
        assert_int_equal(status, TARN_OK);
        assert_int_equal(problem_info(problem).buffer_count, 1);
        tarn_plan_problem_release(problem);
    }
}

static void what_is_written_is_read_again(void **state) {
    (void)state;
    static const char text[] =
        "id,lower,upper,size,alignment,gaps,region\n\"a,b\",-4,9,8,16,0-2 3-4@1:2,0\nc,0,1,7,,,3\n";
    tarn_plan_problem *problem = problem_of(text), *again = NULL;
    uint64_t offsets[] = {16, 5};
    char path[256];
    path_in_folder("written.csv", path);
    assert_int_equal(tarn_plan_problem_write(problem, offsets, path), TARN_OK);
    char *data = read_file(path, NULL);
    assert_string_equal(data, "id,lower,upper,size,alignment,gaps,region,offset\n\"a,b\",-4,9,8,16,0-2 3-4@1:2,0,16\n"
                              "c,0,1,7,1,,3,5\n");
    free(data);
    assert_int_equal(tarn_plan_problem_read(path, NULL, &again), TARN_OK);
    for (size_t i = 0; i < 2; i++) {
        const tarn_plan_buffer *buffer = &tarn_plan_problem_buffers(problem)[i];
        expect_buffer(again, i, tarn_plan_problem_id(problem, i), buffer->lower, buffer->upper, buffer->size);
        assert_int_equal(tarn_plan_problem_buffers(again)[i].fixed_offset, offsets[i]);
    }
    tarn_plan_problem_release(again);
    tarn_plan_problem_release(problem);

    problem = problem_of("id,lower,upper,size\nb1,0,3,4\n");
    assert_int_equal(tarn_plan_problem_write(problem, offsets, path), TARN_OK);
    data = read_file(path, NULL);
    assert_string_equal(data, "id,lower,upper,size,offset\nb1,0,3,4,16\n");
    free(data);
    tarn_plan_problem_release(problem);
}

static void wrong_calls_are_refused(void **state) {
    (void)state;
    tarn_plan_problem *problem = problem_of("id,lower,upper,size\nb1,0,3,4\n"), *none = NULL;
    tarn_plan_problem_info info = {0};
    tarn_plan_problem_options options = {0};
    uint64_t offset = 0;
    assert_int_equal(tarn_plan_problem_read(NULL, NULL, &none), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_plan_problem_read("", NULL, &none), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_plan_problem_read("x", NULL, NULL), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_plan_problem_read("x", &options, &none), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_plan_problem_read("/nowhere/at/all", NULL, &none), TARN_NOT_FOUND);
    assert_int_equal(tarn_plan_problem_read("/", NULL, &none), TARN_IO_ERROR);
    assert_int_equal(tarn_plan_problem_from_trace(NULL, NULL, &none), TARN_INVALID_ARGUMENT);
    tarn_trace *trace = trace_of_text("time_ns,action,id,size\n");
    assert_int_equal(tarn_plan_problem_from_trace(trace, NULL, NULL), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_plan_problem_from_trace(trace, &options, &none), TARN_INVALID_ARGUMENT);
    assert_null(none);
    tarn_trace_release(trace);
    assert_int_equal(tarn_plan_problem_info_get(problem, &info), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_plan_problem_info_get(problem, NULL), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_plan_problem_info_get(NULL, &info), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_plan_problem_write(NULL, &offset, "x"), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_plan_problem_write(problem, NULL, "x"), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_plan_problem_write(problem, &offset, ""), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_plan_problem_write(problem, &offset, "/"), TARN_IO_ERROR);
    assert_null(tarn_plan_problem_buffers(NULL));
    assert_string_equal(tarn_plan_problem_id(NULL, 0), "");
    tarn_plan_problem_release(problem);
    tarn_plan_problem_release(NULL);
}

/* Reads the file with each request for host memory failing in turn. */
static void sweep_file(const char *path) {
    for (unsigned long k = 1;; k++) {
        tarn_plan_problem *problem = NULL;
        base_memory_fail_at(k, 0);
        tarn_status status = tarn_plan_problem_read(path, NULL, &problem);
        unsigned long requests = base_memory_requests();
        base_memory_fail_at(0, 0);
        if (status == TARN_OK) tarn_plan_problem_release(problem);
        if (requests < k) {
            assert_int_equal(status, TARN_OK);
            return;
        }
        if (status == TARN_OK) continue; /* cutting a vector to size may fail unnoticed */
        assert_int_equal(status, TARN_OUT_OF_MEMORY);
        assert_null(problem);
        expect_last_error("no host memory");
    }
}

static void each_failure_of_host_memory_is_survived(void **state) {
    (void)state;
    size_t size = 400000, used = 0;
    char *text = malloc(size), path[256];
    assert_non_null(text);
    used += (size_t)snprintf(text, size, "id,lower,upper,size,gaps\n");
    for (int i = 0; i < 3000; i++)
        used += (size_t)snprintf(text + used, size - used, "buffer %d,%d,%d,%d,%d-%d\n", i, i, i + 9, i, i + 2, i + 4);
    path_in_folder("sweep.csv", path);
    write_file(path, text, used);
    sweep_file(path);
    static const char trace[] = "time_ns,action,id,size\n0,allocate,0,9\n1,free,0,\n2,allocate,1,1\n";
    write_file(path, trace, sizeof trace - 1);
    sweep_file(path);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_columns_of_minimalloc_are_read),
        cmocka_unit_test(columns_stand_in_any_order_and_in_quotes),
        cmocka_unit_test(an_end_is_the_last_moment),
        cmocka_unit_test(a_header_alone_is_an_empty_problem),
        cmocka_unit_test(columns_that_are_not_used_are_told),
        cmocka_unit_test(bad_tables_are_told_with_their_line),
        cmocka_unit_test(a_trace_becomes_a_problem),
        cmocka_unit_test(sizes_of_a_trace_that_do_not_fit_are_told),
        cmocka_unit_test(the_kind_of_file_is_told_by_its_header),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(wrong_calls_are_refused),
        cmocka_unit_test(each_failure_of_host_memory_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, remove_folder);
}
