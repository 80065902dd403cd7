/* What operations ought to give, computed as plainly as can be: doubles for floating types, exact wrapping integers for the others, one
 * element after the other in the order of their strides. */
#ifndef TESTS_TENSOR_REFERENCE_H
#define TESTS_TENSOR_REFERENCE_H

#include <stdbool.h>

#include <tarn/operation.h>

/* A value of a type: exact where the type is no floating one; of floating types not rounded until it is compared. */
typedef struct reference_number {
    double floating;  /* of floating types */
    int64_t integer;  /* of the others */
    double magnitude; /* sum of what was added up, for tolerances; 0 where nothing was */
} reference_number;

typedef struct reference_tensor {
    tarn_element_type type;
    tarn_shape shape;
    size_t elements;
    reference_number *numbers; /* row-major; from malloc */
} reference_tensor;

bool reference_is_floating(tarn_element_type type);
/* One element in memory. A double is rounded to the nearest, ties to even. */
reference_number reference_load(tarn_element_type type, const void *element);
void reference_store(tarn_element_type type, reference_number number, void *out_element);
/* A number of one type as one of another; floats are rounded where `rounds`. */
reference_number reference_cast(reference_number number, tarn_element_type from, tarn_element_type to, bool rounds);

/* The elements of a tensor whose work has finished. */
reference_tensor reference_read(tarn_tensor *tensor);
reference_tensor reference_make(tarn_element_type type, const tarn_shape *shape);
reference_tensor reference_of_scalar(tarn_scalar scalar, tarn_element_type type);
void reference_free(reference_tensor *tensor);

/* Operations. `computed` and `type` are what operands are cast to and what the result is. Each takes over nothing. */
reference_tensor reference_elementwise(tarn_operation operation, const reference_tensor *operands, size_t count,
                                       const tarn_shape *shape, tarn_element_type computed, tarn_element_type type);
reference_tensor reference_reduce(tarn_operation operation, const reference_tensor *x, uint32_t dims, bool keeps_dims,
                                  const tarn_shape *shape, tarn_element_type type);
reference_tensor reference_matmul(const reference_tensor *a, const reference_tensor *b, const reference_tensor *bias,
                                  tarn_operation activation, const tarn_shape *shape);
reference_tensor reference_conv2d(const reference_tensor *x, const reference_tensor *weight,
                                  const reference_tensor *bias, const tarn_conv2d_attributes *attributes,
                                  const tarn_shape *shape);
reference_tensor reference_max_pool2d(const reference_tensor *x, const tarn_pool2d_attributes *attributes,
                                      const tarn_shape *shape);
reference_tensor reference_softmax(const reference_tensor *x, uint32_t axis);
reference_tensor reference_layer_norm(const reference_tensor *x, uint32_t normalized_dims,
                                      const reference_tensor *weight, const reference_tensor *bias, double epsilon);
reference_tensor reference_gather(const reference_tensor *x, const reference_tensor *indices, uint32_t axis,
                                  const tarn_shape *shape);

/* Compares the elements with those of `wanted`, cast to the tensor's type: integers exactly, floats within a few units of the coarser of the
 * two types. NULL where all agree, else a sentence, valid until the next call. */
const char *reference_compare(tarn_tensor *tensor, const reference_tensor *wanted);

#endif
