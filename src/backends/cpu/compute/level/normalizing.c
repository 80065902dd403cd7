/* Softmax and layer norm, once in floats and once in doubles. */
#include <math.h>

#include "backends/cpu/compute/level/level.h"
#include "backends/cpu/compute/places.h"

/* Sums are made in so many lanes, of blocks of so many values: each lane adds few of them before the block is added to the others in
 * double precision. */
#define LANES 64
#define BLOCK 2048

#define REAL float
#define NAME(name) name##_floats
#define LANE CPU_LANE_F32
#define LOAD(type, source, stride, count, out) AT_LEVEL(cpu_rows).load_floats(type, source, stride, count, out)
#define STORE(type, destination, stride, count, values) \
    AT_LEVEL(cpu_rows).store_floats(type, destination, stride, count, values)
#include "backends/cpu/compute/level/normalizing_rows.h"
#undef REAL
#undef NAME
#undef LANE
#undef LOAD
#undef STORE

#define REAL double
#define NAME(name) name##_doubles
#define LANE CPU_LANE_F64
#define LOAD(type, source, stride, count, out) \
    ((void)(type), AT_LEVEL(cpu_rows).load_doubles(source, stride, count, out))
#define STORE(type, destination, stride, count, values) \
    ((void)(type), AT_LEVEL(cpu_rows).store_doubles(destination, stride, count, values))
#include "backends/cpu/compute/level/normalizing_rows.h"

const cpu_normalizing AT_LEVEL(cpu_normalizing) = {
    .floats = {.softmax_row = softmax_row_floats,
               .softmax_columns = softmax_columns_floats,
               .norm_row = norm_row_floats},
    .doubles = {.softmax_row = softmax_row_doubles,
                .softmax_columns = softmax_columns_doubles,
                .norm_row = norm_row_doubles},
};
