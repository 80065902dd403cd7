/* NumPy's files: written as NumPy writes them, read with whatever order and version they have, and refused where they are none. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

static test_bench bench;
static char folder[64], path[96];

static int open_bench(void **state) {
    *state = &bench;
    bench_open(&bench, "cpu", "caching");
    snprintf(folder, sizeof folder, "%s/tarn-npy-XXXXXX", P_tmpdir);
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/tensor.npy", folder);
    return 0;
}

static int close_bench(void **state) {
    unlink(path);
    /* A temporary file that was left would keep the folder. */
    assert_int_equal(rmdir(folder), 0);
    bench_close(*state);
    return 0;
}

static void put_file(const void *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* A file of version 1.0 with that header, and elements behind it. */
static void put(const char *header, const void *elements, size_t size) {
    char bytes[1024] = "\x93NUMPY\x01";
    size_t length = strlen(header);
    bytes[8] = (char)(length & 0xff);
    bytes[9] = (char)(length >> 8);
    memcpy(bytes + 10, header, length);
    if (size > 0) memcpy(bytes + 10 + length, elements, size);
    put_file(bytes, 10 + length + size);
}

static size_t get(char *out_bytes, size_t capacity) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(out_bytes, 1, capacity, file);
    assert_int_equal(fclose(file), 0);
    return size;
}

static void a_file_is_what_numpy_writes(void **state) {
    (void)state;
    char bytes[1024], wanted[128 + 24];
    float elements[6] = {0, 1, 2, 3, 4, 5};
    memset(wanted, ' ', sizeof wanted);
    memcpy(wanted, "\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 69);
    wanted[127] = '\n';
    memcpy(wanted + 128, elements, sizeof elements);
    tarn_tensor *tensor = counting(&bench, SHAPE(2, 3)), *again;
    EXPECT_OK(tarn_tensor_save(tensor, path, NULL));
    assert_int_equal(get(bytes, sizeof bytes), sizeof wanted);
    assert_memory_equal(bytes, wanted, sizeof wanted);
    EXPECT_OK(tarn_tensor_load(bench.allocator, path, NULL, &again));
    EXPECT_SHAPE(again, "[2, 3]");
    EXPECT_FLOATS(again, 0, 1, 2, 3, 4, 5);
    EXPECT_OK(tarn_tensor_release(again));
    EXPECT_OK(tarn_tensor_release(tensor));
}

static void all_types_and_ranks_come_back(void **state) {
    (void)state;
    static const char bytes[48] = {1, 0, 1, 1, 0};
    const tarn_shape *shapes[] = {NO_DIMENSIONS, SHAPE(3), SHAPE(0, 4), SHAPE(1, 2, 1, 1, 1, 1, 3, 1)};
    for (int type = 0; type < TARN_ELEMENT_TYPE_COUNT; type++) {
        for (size_t i = 0; i < 4; i++) {
            tarn_tensor *tensor, *again;
            char read[48] = {0};
            EXPECT_OK(tarn_tensor_from_data(bench.allocator, shapes[i], (tarn_element_type)type, bytes, NULL, &tensor));
            EXPECT_OK(tarn_tensor_save(tensor, path, NULL));
            EXPECT_OK(tarn_tensor_load(bench.allocator, path, NULL, &again));
            assert_int_equal(tarn_tensor_type(again), type);
            assert_true(tarn_shape_equals(tarn_tensor_shape(again), shapes[i]));
            EXPECT_OK(tarn_tensor_read(again, NULL, read, tarn_tensor_bytes(tensor)));
            assert_memory_equal(read, bytes, tarn_tensor_bytes(tensor));
            EXPECT_OK(tarn_tensor_release(again));
            EXPECT_OK(tarn_tensor_release(tensor));
        }
    }
}

static void a_transposed_tensor_is_written_in_fortran_order(void **state) {
    (void)state;
    char bytes[1024];
    tarn_tensor *tensor = counting(&bench, SHAPE(2, 3)), *turned, *again;
    EXPECT_OK(tarn_tensor_transpose(tensor, NULL, &turned));
    EXPECT_OK(tarn_tensor_save(turned, path, NULL));
    get(bytes, sizeof bytes);
    assert_non_null(strstr(bytes + 10, "'fortran_order': True, 'shape': (3, 2), }"));
    EXPECT_OK(tarn_tensor_load(bench.allocator, path, NULL, &again));
    EXPECT_FLOATS(again, 0, 3, 1, 4, 2, 5);
    assert_int_equal(tarn_tensor_strides(again)[0], 1);
    EXPECT_OK(tarn_tensor_release(again));
    EXPECT_OK(tarn_tensor_release(turned));
    EXPECT_OK(tarn_tensor_release(tensor));
}

static void other_spellings_are_read(void **state) {
    (void)state;
    static const char *const headers[] = {
        "{'descr':'<f4','fortran_order':False,'shape':(2,)}",
        "  {\"shape\": (2L,), \"descr\": \"=f4\", 'fortran_order' : False}  \n",
        "{ 'fortran_order': False , 'shape': ( 2 , 1 ,) , 'descr': 'f4' , }",
    };
    float elements[2] = {1.5F, -2};
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        tarn_tensor *tensor;
        put(headers[i], elements, sizeof elements);
        EXPECT_OK(tarn_tensor_load(bench.allocator, path, NULL, &tensor));
        EXPECT_FLOATS(tensor, 1.5F, -2);
        EXPECT_OK(tarn_tensor_release(tensor));
    }
}

static void bytes_in_the_other_order_are_turned(void **state) {
    (void)state;
    static const char elements[] = "\x3f\xc0\x00\x00\xc0\x00\x00\x00";
    static const char later[] =
        "\x93NUMPY\x03\x00\x35\x00\x00\x00{'descr':'>f4','fortran_order':True,'shape':(2,1,)}  ";
    char bytes[128];
    tarn_tensor *tensor;
    memcpy(bytes, later, sizeof later - 1);
    memcpy(bytes + sizeof later - 1, elements, 8);
    put_file(bytes, sizeof later - 1 + 8);
    EXPECT_OK(tarn_tensor_load(bench.allocator, path, NULL, &tensor));
    EXPECT_SHAPE(tensor, "[2, 1]");
    EXPECT_FLOATS(tensor, 1.5F, -2);
    EXPECT_OK(tarn_tensor_release(tensor));
}

static void truths_other_than_1_become_1(void **state) {
    (void)state;
    tarn_tensor *tensor;
    unsigned char read[3];
    put("{'descr': '|b1', 'fortran_order': False, 'shape': (3,)}", "\x02\x00\xff", 3);
    EXPECT_OK(tarn_tensor_load(bench.allocator, path, NULL, &tensor));
    EXPECT_OK(tarn_tensor_read(tensor, NULL, read, 3));
    assert_memory_equal(read, "\x01\x00\x01", 3);
    EXPECT_OK(tarn_tensor_release(tensor));
}

static void hostile_headers_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *header;
        tarn_status status;
    } cases[] = {
        {"", TARN_CORRUPT_DATA},
        {"{}", TARN_CORRUPT_DATA},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4,)}", TARN_CORRUPT_DATA},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4)}", TARN_CORRUPT_DATA},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", TARN_CORRUPT_DATA},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", TARN_CORRUPT_DATA},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2)}", TARN_CORRUPT_DATA},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,", TARN_CORRUPT_DATA},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} + x", TARN_CORRUPT_DATA},
        {"{'descr': '<f4', 'descr': '<f4', 'shape': (2,)}", TARN_CORRUPT_DATA},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}", TARN_CORRUPT_DATA},
        {"{'descr': '<f4, 'fortran_order': False, 'shape': (2,)}", TARN_NOT_SUPPORTED},
        {"{'descr': '<f4", TARN_CORRUPT_DATA},
        {"{'descr' '<f4', 'fortran_order': False, 'shape': (2,)}", TARN_CORRUPT_DATA},
        {"{'descr': '<f4' 'fortran_order': False, 'shape': (2,)}", TARN_CORRUPT_DATA},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': 2}", TARN_CORRUPT_DATA},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2 2,)}", TARN_CORRUPT_DATA},
        {"{'descr': f(), 'fortran_order': False, 'shape': (2,)}", TARN_CORRUPT_DATA},
        {"{'other': '<f4', 'fortran_order': False, 'shape': (2,)}", TARN_CORRUPT_DATA},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (2,)}", TARN_NOT_SUPPORTED},
        {"{'descr': '<u4', 'fortran_order': False, 'shape': (2,)}", TARN_NOT_SUPPORTED},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}", TARN_NOT_SUPPORTED},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}", TARN_NOT_SUPPORTED},
    };
    float elements[2] = {1, 2};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tarn_tensor *tensor = NULL;
        put(cases[i].header, elements, sizeof elements);
        EXPECT(cases[i].status, tarn_tensor_load(bench.allocator, path, NULL, &tensor));
        EXPECT_SENTENCE(path);
        assert_null(tensor);
    }
}

static void what_begins_otherwise_is_no_such_file(void **state) {
    (void)state;
    tarn_tensor *tensor = NULL;
    put_file("\x93NUMPY", 6);
    EXPECT(TARN_CORRUPT_DATA, tarn_tensor_load(bench.allocator, path, NULL, &tensor));
    put_file("\x93NUMPX\x01\x00\x02\x00{}", 12);
    EXPECT(TARN_CORRUPT_DATA, tarn_tensor_load(bench.allocator, path, NULL, &tensor));
    put_file("\x93NUMPY\x04\x00\x02\x00{}", 12);
    EXPECT(TARN_NOT_SUPPORTED, tarn_tensor_load(bench.allocator, path, NULL, &tensor));
    EXPECT_SENTENCE("version 4.0");
    put_file("\x93NUMPY\x02\x00\xff\xff\xff\xff{}", 14);
    EXPECT(TARN_CORRUPT_DATA, tarn_tensor_load(bench.allocator, path, NULL, &tensor));
    EXPECT_SENTENCE("a header of 4294967295 bytes in 14");
    assert_null(tensor);
}

static void paths_that_lead_nowhere_are_refused(void **state) {
    (void)state;
    tarn_tensor *tensor = counting(&bench, SHAPE(2)), *none = NULL;
    EXPECT(TARN_IO_ERROR, tarn_tensor_load(bench.allocator, path, NULL, &none));
    EXPECT(TARN_IO_ERROR, tarn_tensor_load(bench.allocator, folder, NULL, &none));
    EXPECT_SENTENCE("no ordinary file");
    EXPECT(TARN_IO_ERROR, tarn_tensor_save(tensor, folder, NULL));
    EXPECT(TARN_IO_ERROR, tarn_tensor_save(tensor, "/nowhere/at/all.npy", NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_save(tensor, NULL, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_save(NULL, path, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_load(NULL, path, NULL, &none));
    assert_null(none);
    EXPECT_OK(tarn_tensor_release(tensor));
}

/* Each request for host memory fails in turn: the older file stays as it was, and nothing else is left. */
static void without_host_memory_the_older_file_stays(void **state) {
    (void)state;
    char older[512], now[512];
    tarn_tensor *first = counting(&bench, SHAPE(2)), *tensor = counting(&bench, SHAPE(3)), *again;
    EXPECT_OK(tarn_tensor_save(first, path, NULL));
    size_t size = get(older, sizeof older);
    tarn_status status = TARN_OUT_OF_MEMORY;
    unsigned long n = 0;
    while (status == TARN_OUT_OF_MEMORY) {
        base_memory_fail_at(++n, 0);
        status = tarn_tensor_save(tensor, path, NULL);
        base_memory_fail_at(0, 0);
        if (status == TARN_OK) break;
        assert_int_equal(get(now, sizeof now), size);
        assert_memory_equal(now, older, size);
    }
    assert_int_equal(status, TARN_OK);
    assert_true(n > 3);
    status = TARN_OUT_OF_MEMORY;
    for (n = 1; status == TARN_OUT_OF_MEMORY; n++) {
        again = NULL;
        base_memory_fail_at(n, 0);
        status = tarn_tensor_load(bench.allocator, path, NULL, &again);
        base_memory_fail_at(0, 0);
        assert_true((again != NULL) == (status == TARN_OK));
    }
    EXPECT_OK(status);
    assert_true(n > 3);
    EXPECT_FLOATS(again, 0, 1, 2);
    EXPECT_OK(tarn_tensor_release(again));
    EXPECT_OK(tarn_tensor_release(tensor));
    EXPECT_OK(tarn_tensor_release(first));
}

/* More than one part each way. */
static void large_tensors_go_in_parts(void **state) {
    (void)state;
    tarn_tensor *tensor = counting(&bench, SHAPE(300, 1001)), *again;
    EXPECT_OK(tarn_tensor_save(tensor, path, NULL));
    EXPECT_OK(tarn_tensor_load(bench.allocator, path, NULL, &again));
    assert_memory_equal(tarn_tensor_data(again), tarn_tensor_data(tensor), tarn_tensor_bytes(tensor));
    EXPECT_OK(tarn_tensor_release(again));
    EXPECT_OK(tarn_tensor_release(tensor));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_is_what_numpy_writes, open_bench, close_bench),
        cmocka_unit_test_setup_teardown(all_types_and_ranks_come_back, open_bench, close_bench),
        cmocka_unit_test_setup_teardown(a_transposed_tensor_is_written_in_fortran_order, open_bench, close_bench),
        cmocka_unit_test_setup_teardown(other_spellings_are_read, open_bench, close_bench),
        cmocka_unit_test_setup_teardown(bytes_in_the_other_order_are_turned, open_bench, close_bench),
        cmocka_unit_test_setup_teardown(truths_other_than_1_become_1, open_bench, close_bench),
        cmocka_unit_test_setup_teardown(hostile_headers_are_refused, open_bench, close_bench),
        cmocka_unit_test_setup_teardown(what_begins_otherwise_is_no_such_file, open_bench, close_bench),
        cmocka_unit_test_setup_teardown(paths_that_lead_nowhere_are_refused, open_bench, close_bench),
        cmocka_unit_test_setup_teardown(without_host_memory_the_older_file_stays, open_bench, close_bench),
        cmocka_unit_test_setup_teardown(large_tensors_go_in_parts, open_bench, close_bench),
    };
    return cmocka_run_group_tests_name("tensor.npy", tests, NULL, NULL);
}
