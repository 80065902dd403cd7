/* Random tensors, and judging results. */
#include "trials.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/infer.h"

int trials_begin(void **state) {
    test_trials *begun = calloc(1, sizeof *begun);
    if (begun == NULL) return -1;
    bench_open(&begun->bench, bench_device(), "caching");
    EXPECT_OK(tarn_stream_create(begun->bench.device, &begun->worker));
    begun->seed = 20261121;
    const char *slowness = getenv("TARN_TEST_SLOWNESS");
    begun->every = slowness != NULL ? (strtoul(slowness, NULL, 10) + 1) / 2 : 1;
    *state = begun;
    return 0;
}

int trials_end(void **state) {
    test_trials *ended = *state;
    printf("%zu trials\n", ended->tried);
    EXPECT_OK(tarn_stream_release(ended->worker));
    bench_close(&ended->bench);
    free(ended);
    return 0;
}

size_t trials_random(test_trials *trials, size_t limit) {
    trials->seed = trials->seed * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(trials->seed >> 33) % limit;
}

bool trials_leaves_out(test_trials *trials) { return trials->every > 1 && trials_random(trials, trials->every) != 0; }

tarn_shape trials_shape(test_trials *trials, size_t rank, int64_t maximum) {
    tarn_shape shape = {.rank = rank};
    for (size_t i = 0; i < rank; i++) shape.dims[i] = 1 + (int64_t)trials_random(trials, (size_t)maximum);
    return shape;
}

static reference_number random_number(test_trials *trials, tarn_element_type type, bool with_special) {
    reference_number number = {0};
    if (reference_is_floating(type)) {
        static const double special[] = {(double)NAN, (double)INFINITY, -(double)INFINITY, -0.0};
        number.floating = ((double)trials_random(trials, 65) - 32) / 8;
        if (with_special && trials_random(trials, 16) == 0) number.floating = special[trials_random(trials, 4)];
    } else {
        number.integer = (int64_t)trials_random(trials, 201) - (type == TARN_ELEMENT_U8 ? 0 : 100);
        if (type == TARN_ELEMENT_BOOL) number.integer &= 1;
    }
    return number;
}

static tarn_tensor *random_contiguous(test_trials *trials, const tarn_shape *shape, tarn_element_type type,
                                      bool with_special) {
    size_t elements, size = tarn_element_size(type);
    EXPECT_OK(tarn_shape_elements(shape, &elements));
    char *data = malloc(elements * size + 1);
    assert_non_null(data);
    for (size_t i = 0; i < elements; i++)
        reference_store(type, random_number(trials, type, with_special), data + i * size);
    tarn_tensor *tensor;
    EXPECT_OK(tarn_tensor_from_data(trials->bench.allocator, shape, type, data, NULL, &tensor));
    free(data);
    return tensor;
}

/* A view in the place of the tensor. */
static void slice(tarn_tensor **inout_tensor, int dim, int64_t begin, int64_t end, int64_t step) {
    tarn_tensor *view;
    EXPECT_OK(tarn_tensor_slice(*inout_tensor, dim, begin, end, step, &view));
    EXPECT_OK(tarn_tensor_release(*inout_tensor));
    *inout_tensor = view;
}

/* The shape of the memory that a layout takes a tensor of `shape` from. */
static tarn_shape shape_below(test_trials *trials, const tarn_shape *shape, trial_layout layout) {
    tarn_shape below = *shape;
    for (size_t i = 0; i < shape->rank; i++) {
        switch (layout) {
        case LAYOUT_TRANSPOSED: below.dims[i] = shape->dims[shape->rank - 1 - i]; break;
        case LAYOUT_STEPPED: below.dims[i] = shape->dims[i] * (i % 2 == 0 ? 2 : 3); break;
        case LAYOUT_OFFSET: below.dims[i] = shape->dims[i] + 2; break;
        case LAYOUT_SPREAD: below.dims[i] = trials_random(trials, 2) == 0 ? 1 : shape->dims[i]; break;
        default: break;
        }
    }
    return below;
}

static tarn_tensor *lay_out(test_trials *trials, const tarn_shape *shape, tarn_element_type type, trial_layout layout,
                            bool with_special) {
    const tarn_shape below = shape_below(trials, shape, layout);
    tarn_tensor *tensor = random_contiguous(trials, &below, type, with_special), *view;
    if (layout == LAYOUT_TRANSPOSED || layout == LAYOUT_SPREAD) {
        if (layout == LAYOUT_SPREAD) EXPECT_OK(tarn_tensor_broadcast_to(tensor, shape, &view));
        else EXPECT_OK(tarn_tensor_transpose(tensor, NULL, &view));
        EXPECT_OK(tarn_tensor_release(tensor));
        return view;
    }
    for (int i = 0; i < (int)shape->rank; i++) {
        if (layout == LAYOUT_STEPPED) slice(&tensor, i, 0, INT64_MAX, i % 2 == 0 ? 2 : 3);
        if (layout == LAYOUT_REVERSED) slice(&tensor, i, -1, INT64_MIN, -1);
        if (layout == LAYOUT_OFFSET) slice(&tensor, i, 1, -1, 1);
    }
    return tensor;
}

tarn_tensor *trials_tensor(test_trials *trials, const tarn_shape *shape, tarn_element_type type, trial_layout layout,
                           bool with_special) {
    tarn_tensor *tensor = lay_out(trials, shape, type, layout, with_special);
    assert_true(tarn_shape_equals(tarn_tensor_shape(tensor), shape));
    return tensor;
}

tarn_tensor *trials_result(test_trials *trials, const tarn_shape *shape, tarn_element_type type) {
    tarn_element_type other;
    do {
        other = (tarn_element_type)trials_random(trials, TARN_ELEMENT_TYPE_COUNT);
    } while (!tensor_type_can_cast(type, other));
    return trials_tensor(trials, shape, other, (trial_layout)trials_random(trials, LAYOUT_WRITABLE_COUNT), false);
}

void trials_judge(test_trials *trials, tarn_status status, tarn_operation operation, tarn_element_type type,
                  tarn_tensor *result, reference_tensor *wanted, const char *file, int line) {
    trials->tried++;
    expect_status(status, TARN_OK, tarn_operation_name(operation), file, line);
    EXPECT_OK(tarn_stream_synchronize(trials->stream != NULL ? trials->stream
                                                             : tarn_device_default_stream(trials->bench.device)));
    const char *difference = reference_compare(result, wanted);
    if (difference != NULL) {
        fail_msg("%s:%d: %s of %s into %s: %s", file, line, tarn_operation_name(operation), tarn_element_name(type),
                 tarn_element_name(tarn_tensor_type(result)), difference);
    }
    reference_free(wanted);
    EXPECT_OK(tarn_tensor_release(result));
}
