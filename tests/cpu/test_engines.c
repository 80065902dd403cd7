/* The two engines for matrix products and convolutions: oneDNN and Tarn's own kernels. Which one computes, what is said when oneDNN is
 * missing, failures of host memory, and two threads at once. */
#include "operands.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tarn/tarn.h>

#include "backends/cpu/compute/compute.h"
#include "backends/cpu/compute/onednn.h"
#include "backends/cpu/compute/threads.h"
#include "base/memory.h"

/* What a child of this program has to do: which value of TARN_ONEDNN it finds. */
#define PART "TARN_TEST_PART"

typedef struct problem {
    tarn_operand operands[3];
    tarn_backend_operation operation;
} problem;

static void set_operation(problem *of, tarn_operation operation) {
    of->operation = (tarn_backend_operation){.struct_size = sizeof of->operation,
                                             .operation = operation,
                                             .output_count = 1,
                                             .input_count = 2,
                                             .operands = of->operands};
}

/* A product of two square matrices, the left one all `value`, the right one 1, whose elements are size * value. */
static void make_product(problem *of, int64_t size, double value) {
    for (int i = 0; i < 3; i++)
        of->operands[i] = operand_make(TARN_ELEMENT_F32, 2, (int64_t[]){size, size}, LAYOUT_ROWS);
    operand_fill(&of->operands[0], -1);
    operand_fill(&of->operands[1], value);
    operand_fill(&of->operands[2], 1);
    set_operation(of, TARN_OPERATION_MATMUL);
}

/* A convolution of 8 channels with 16 filters of 3 x 3, all 1, whose elements are 72 * value. */
static void make_convolution(problem *of, double value) {
    of->operands[0] = operand_make(TARN_ELEMENT_F32, 4, (int64_t[]){2, 16, 10, 10}, LAYOUT_ROWS);
    of->operands[1] = operand_make(TARN_ELEMENT_F32, 4, (int64_t[]){2, 8, 12, 12}, LAYOUT_ROWS);
    of->operands[2] = operand_make(TARN_ELEMENT_F32, 4, (int64_t[]){16, 8, 3, 3}, LAYOUT_ROWS);
    operand_fill(&of->operands[0], -1);
    operand_fill(&of->operands[1], value);
    operand_fill(&of->operands[2], 1);
    set_operation(of, TARN_OPERATION_CONV2D);
    of->operation.attributes.conv2d = (tarn_conv2d_attributes){.stride = {1, 1}, .dilation = {1, 1}, .groups = 1};
}

/* Every element of the result is `value`. */
static bool is_all(const problem *of, double value) {
    const tarn_operand *out = &of->operands[0];
    int64_t index[TARN_MAXIMUM_RANK] = {0};
    do
        if (operand_get(out, index) != value) return false;
    while (next_index(out->rank, out->dims, index));
    return true;
}

static void large_operations_are_onednns_and_small_ones_are_not(void **state) {
    (void)state;
    if (!cpu_onednn_is_there()) {
        print_message("oneDNN is not here, or turned off\n");
        skip();
    }
    problem of;
    make_product(&of, 64, 0.5);
    unsigned long before = cpu_onednn_count();
    assert_int_equal(cpu_compute_run(&of.operation), TARN_OK);
    assert_true(is_all(&of, 32));
    assert_int_equal(cpu_onednn_count(), before + 1);
    make_convolution(&of, 0.5);
    assert_int_equal(cpu_compute_run(&of.operation), TARN_OK);
    assert_true(is_all(&of, 36));
    assert_int_equal(cpu_onednn_count(), before + 2);
    make_product(&of, 8, 0.5);
    assert_int_equal(cpu_compute_run(&of.operation), TARN_OK);
    assert_true(is_all(&of, 4));
    assert_int_equal(cpu_onednn_count(), before + 2);
    operands_free();
}

/* The process has the threads of the pool and no others, OpenMP's for instance. */
static void onednn_begins_no_threads_of_its_own(void **state) {
    (void)state;
    if (!cpu_onednn_is_there()) skip();
    problem of;
    make_product(&of, 200, 0.5);
    unsigned long before = cpu_onednn_count();
    assert_int_equal(cpu_compute_run(&of.operation), TARN_OK);
    assert_int_equal(cpu_onednn_count(), before + 1);
    unsigned threads = 0;
    DIR *folder = opendir("/proc/self/task");
    assert_non_null(folder);
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder))
        if (entry->d_name[0] != '.') threads++;
    closedir(folder);
    assert_true(threads <= cpu_parallel_width());
    operands_free();
}

/* What changes between two operations of one form is seen: no operand is kept. */
static void the_contents_of_weights_may_change(void **state) {
    (void)state;
    problem of;
    make_convolution(&of, 0.5);
    for (int round = 1; round <= 3; round++) {
        operand_fill(&of.operands[2], round);
        assert_int_equal(cpu_compute_run(&of.operation), TARN_OK);
        assert_true(is_all(&of, 36 * round));
    }
    operands_free();
}

static void more_forms_than_are_kept_are_computed(void **state) {
    (void)state;
    cpu_onednn_use(CPU_ONEDNN_ALL);
    for (int round = 0; round < 2; round++) {
        for (int64_t gap = 0; gap < 150; gap++) {
            problem of;
            make_product(&of, 4, 0.5);
            of.operands[2] = operand_make(TARN_ELEMENT_F32, 2, (int64_t[]){4, 4 + gap}, LAYOUT_ROWS);
            of.operands[2].dims[1] = 4;
            operand_fill(&of.operands[2], 1);
            assert_int_equal(cpu_compute_run(&of.operation), TARN_OK);
            assert_true(is_all(&of, 2));
            operands_free();
        }
    }
    cpu_onednn_use(CPU_ONEDNN_LARGE);
}

/* Every request for host memory fails once: the result is as it was, and the next try succeeds. */
static void survive_faults(problem *of, double expected) {
    for (unsigned long request = 1;; request++) {
        operand_fill(&of->operands[0], -1);
        cpu_compute_trim();
        base_memory_fail_at(request, 0);
        tarn_status status = cpu_compute_run(&of->operation);
        bool has_failed = base_memory_requests() >= request;
        base_memory_fail_at(0, 0);
        if (!has_failed) {
            assert_int_equal(status, TARN_OK);
            break;
        }
        assert_int_equal(status, TARN_OUT_OF_MEMORY);
        assert_true(is_all(of, -1));
        assert_non_null(strstr(tarn_last_error(), "host memory"));
        assert_int_equal(cpu_compute_run(&of->operation), TARN_OK);
        assert_true(is_all(of, expected));
    }
    assert_true(is_all(of, expected));
}

static void without_host_memory_nothing_is_changed(void **state) {
    (void)state;
    static const cpu_onednn_choice choices[] = {CPU_ONEDNN_NONE, CPU_ONEDNN_ALL};
    for (int i = 0; i < 2; i++) {
        problem of;
        cpu_onednn_use(choices[i]);
        make_product(&of, 48, 0.5);
        survive_faults(&of, 24);
        make_convolution(&of, 0.5);
        survive_faults(&of, 36);
        operands_free();
    }
    cpu_onednn_use(CPU_ONEDNN_LARGE);
}

static void *compute_often(void *context) {
    problem *problems = context;
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 3; i++) {
            operand_fill(&problems[i].operands[0], -1);
            if (cpu_compute_run(&problems[i].operation) != TARN_OK) return NULL;
        }
    }
    return context;
}

static void two_threads_compute_at_once(void **state) {
    (void)state;
    problem problems[2][3];
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        make_product(&problems[i][0], 70, 0.5 + i);
        make_product(&problems[i][1], 20, 0.5 + i);
        make_convolution(&problems[i][2], 0.5 + i);
        /* Both threads read the same weights. */
        problems[i][2].operands[2] = problems[0][2].operands[2];
        problems[i][0].operands[2] = problems[0][0].operands[2];
    }
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&threads[i], NULL, compute_often, problems[i]), 0);
    for (int i = 0; i < 2; i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_non_null(result);
        assert_true(is_all(&problems[i][0], 70 * (0.5 + i)));
        assert_true(is_all(&problems[i][1], 20 * (0.5 + i)));
        assert_true(is_all(&problems[i][2], 72 * (0.5 + i)));
    }
    operands_free();
}

static int warnings;

static void count_warning(void *context, tarn_log_level level, const char *sentence) {
    (void)context;
    if (level == TARN_LOG_WARNING && strstr(sentence, "oneDNN") != NULL) warnings++;
}

/* In a child with another environment: products are right without oneDNN, and `expected` warnings are given. */
static int compute_without_onednn(int expected) {
    tarn_log_set(count_warning, NULL, TARN_LOG_WARNING);
    operands_setup(NULL);
    bool is_right = true;
    for (int i = 0; i < 2; i++) {
        problem of;
        make_product(&of, 64, 0.5);
        is_right = is_right && cpu_compute_run(&of.operation) == TARN_OK && is_all(&of, 32);
        make_convolution(&of, 0.5);
        is_right = is_right && cpu_compute_run(&of.operation) == TARN_OK && is_all(&of, 36);
        operands_free();
    }
    operands_teardown(NULL);
    return is_right && warnings == expected && cpu_onednn_count() == 0 && !cpu_onednn_is_there() ? 0 : 1;
}

/* Runs this program again with TARN_ONEDNN as given. */
static void expect_part(const char *part, const char *setting) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setenv("TARN_ONEDNN", setting, 1);
        setenv(PART, part, 1);
        execl(program_invocation_name, program_invocation_name, (char *)NULL);
        _exit(127);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void without_the_library_own_kernels_serve_and_that_is_said_once(void **state) {
    (void)state;
    expect_part("missing", "/nowhere/libdnnl.so.2");
}

static void another_library_is_not_taken_for_onednn(void **state) {
    (void)state;
    expect_part("missing", "libc.so.6");
}

static void turned_off_own_kernels_serve_without_a_word(void **state) {
    (void)state;
    expect_part("off", "off");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_operations_are_onednns_and_small_ones_are_not),
        cmocka_unit_test(onednn_begins_no_threads_of_its_own),
        cmocka_unit_test(the_contents_of_weights_may_change),
        cmocka_unit_test(more_forms_than_are_kept_are_computed),
        cmocka_unit_test(without_host_memory_nothing_is_changed),
        cmocka_unit_test(two_threads_compute_at_once),
        cmocka_unit_test(without_the_library_own_kernels_serve_and_that_is_said_once),
        cmocka_unit_test(another_library_is_not_taken_for_onednn),
        cmocka_unit_test(turned_off_own_kernels_serve_without_a_word),
    };
    const char *part = getenv(PART);
    if (part != NULL) return compute_without_onednn(strcmp(part, "missing") == 0 ? 1 : 0);
    return cmocka_run_group_tests(tests, operands_setup, operands_teardown);
}
