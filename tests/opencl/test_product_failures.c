/* Products and the driver's failures: each launch of a product and the memory that they share are made to fail, are told, and the next product is right. */
#include "device.h"

#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

enum { SIDE = 40 };

/* A product of ones, packed and multiplied in two launches; *out_element is its last element, SIDE. */
static tarn_status multiply(tarn_device *device, tarn_allocator *allocator, float *out_element) {
    static float ones[SIDE * SIDE], found[SIDE * SIDE];
    tarn_tensor *x = NULL, *z = NULL;
    for (int i = 0; i < SIDE * SIDE; i++) ones[i] = 1;
    tarn_status status = tarn_tensor_from_data(allocator, SHAPE(SIDE, SIDE), TARN_ELEMENT_F32, ones, NULL, &x);
    if (status == TARN_OK) status = tarn_matmul(x, x, NULL, &z);
    if (status == TARN_OK) status = tarn_tensor_read(z, NULL, found, sizeof found);
    char sentence[512];
    snprintf(sentence, sizeof sentence, "%s", tarn_last_error());
    (void)tarn_device_synchronize(device);
    tarn_tensor_release(x);
    tarn_tensor_release(z);
    if (status != TARN_OK) print_message("%s\n", sentence);
    *out_element = found[SIDE * SIDE - 1];
    return status;
}

static int fail_to_multiply(void *context) {
    static const char *const faults[] = {"clCreateBuffer:1", "clSetKernelArg:3", "clEnqueueNDRangeKernel:1",
                                         "clEnqueueNDRangeKernel:2"};
    (void)context;
    if (open_faulty_driver() != 0) return 1;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        tarn_device *device = NULL;
        tarn_allocator *allocator = NULL;
        float element = 0;
        if (tarn_device_open("opencl:0,memory=svm", &device) != TARN_OK) return 2;
        if (tarn_allocator_create(device, "caching", &allocator) != TARN_OK) return 2;
        set_fault(faults[i]);
        tarn_status failed = multiply(device, allocator, &element);
        set_fault("");
        tarn_status worked = multiply(device, allocator, &element);
        tarn_allocator_release(allocator);
        if (tarn_device_release(device) != TARN_OK) return 3;
        if (failed == TARN_OK || worked != TARN_OK || element != SIDE) {
            print_error("%s: %s, then %s\n", faults[i], tarn_status_name(failed), tarn_status_name(worked));
            return 4;
        }
    }
    return 0;
}

static void a_failure_within_a_product_is_told_and_passes(void **state) {
    (void)state;
    assert_int_equal(exit_of_child(fail_to_multiply, NULL), 0);
}

int main(void) {
    if (!has_faulty_driver()) return EXIT_SKIPPED;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_within_a_product_is_told_and_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
