/* What tests of tensors and expressions share. */
#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void expect_status(tarn_status got, tarn_status wanted, const char *call, const char *file, int line) {
    if (got == wanted) return;
    print_error("%s: %s instead of %s: %s\n", call, tarn_status_name(got), tarn_status_name(wanted), tarn_last_error());
    _fail(file, line);
}

void expect_sentence(const char *part, const char *file, int line) {
    if (strstr(tarn_last_error(), part) != NULL) return;
    print_error("\"%s\" does not contain \"%s\"\n", tarn_last_error(), part);
    _fail(file, line);
}

static uint64_t memory_of(tarn_device *device) {
    tarn_device_counters counters = {.struct_size = sizeof counters};
    EXPECT_OK(tarn_device_counters_get(device, &counters));
    return counters.memory_in_use;
}

const char *bench_device(void) {
    const char *named = getenv("TARN_TEST_DEVICE");
    return named != NULL ? named : "cpu";
}

void bench_open(test_bench *bench, const char *device, const char *spec) {
    EXPECT_OK(tarn_device_open(device, &bench->device));
    bench->memory_before = memory_of(bench->device);
    EXPECT_OK(tarn_allocator_create(bench->device, spec, &bench->allocator));
}

void bench_close(test_bench *bench) {
    tarn_memory_stats stats = {.struct_size = sizeof stats};
    EXPECT_OK(tarn_allocator_check(bench->allocator));
    EXPECT_OK(tarn_allocator_stats(bench->allocator, &stats));
    assert_int_equal(stats.blocks.current, 0);
    EXPECT_OK(tarn_allocator_release(bench->allocator));
    assert_int_equal(memory_of(bench->device), bench->memory_before);
    EXPECT_OK(tarn_device_release(bench->device));
}

tarn_tensor *counting(test_bench *bench, const tarn_shape *shape) {
    size_t elements;
    tarn_tensor *tensor;
    EXPECT_OK(tarn_shape_elements(shape, &elements));
    float *values = calloc(elements + 1, sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < elements; i++) values[i] = (float)i;
    EXPECT_OK(tarn_tensor_from_data(bench->allocator, shape, TARN_ELEMENT_F32, values, NULL, &tensor));
    free(values);
    return tensor;
}

static bool is_reached_by_host(tarn_tensor *tensor) {
    tarn_device_properties properties = {.struct_size = sizeof properties};
    EXPECT_OK(tarn_device_properties_get(tarn_tensor_device(tensor), &properties));
    return (properties.features & TARN_FEATURE_HOST_ACCESS) != 0;
}

void *elements_of(tarn_tensor *tensor) {
    const tarn_shape *shape = tarn_tensor_shape(tensor);
    const int64_t *strides = tarn_tensor_strides(tensor);
    size_t count = tarn_tensor_elements(tensor), size = tarn_element_size(tarn_tensor_type(tensor));
    char *elements = malloc(count * size + 1);
    assert_non_null(elements);
    if (!is_reached_by_host(tensor)) {
        EXPECT_OK(tarn_tensor_read(tensor, NULL, elements, count * size));
        return elements;
    }
    int64_t place[TARN_MAXIMUM_RANK] = {0};
    for (size_t i = 0; i < count; i++) {
        int64_t offset = 0;
        for (size_t d = 0; d < shape->rank; d++) offset += place[d] * strides[d];
        memcpy(elements + i * size, (const char *)tarn_tensor_data(tensor) + offset * (int64_t)size, size);
        for (size_t d = shape->rank; d-- > 0 && ++place[d] == shape->dims[d];) place[d] = 0;
    }
    return elements;
}

void expect_floats(tarn_tensor *tensor, const float *wanted, size_t count, const char *file, int line) {
    bool is_right = tarn_tensor_elements(tensor) == count && tarn_tensor_type(tensor) == TARN_ELEMENT_F32;
    if (!is_right) print_error("%zu elements instead of %zu\n", tarn_tensor_elements(tensor), count);
    float *elements = is_right ? elements_of(tensor) : NULL;
    for (size_t i = 0; i < count && is_right; i++) {
        is_right = elements[i] == wanted[i] || (isnan(elements[i]) && isnan(wanted[i]));
        if (!is_right) print_error("element %zu is %g instead of %g\n", i, (double)elements[i], (double)wanted[i]);
    }
    free(elements);
    if (!is_right) _fail(file, line);
}

void expect_shape(const tarn_tensor *tensor, const char *wanted, const char *file, int line) {
    char text[192];
    tarn_shape_to_string(tarn_tensor_shape(tensor), text, sizeof text);
    if (strcmp(text, wanted) == 0) return;
    print_error("the shape is %s instead of %s\n", text, wanted);
    _fail(file, line);
}
