/* Copies of rectangles: row by row where both sides have elements side by side in rows, turned where one has them in rows and the other in
 * columns, otherwise element by element. */
#include "backends/cpu/compute/grid.h"

#include <string.h>

/* One function for each size of elements, since a copy of known size is an instruction. */
#define COPY_ELEMENTS(name, type)                                               \
    static void name(cpu_grid to, cpu_grid from, size_t rows, size_t columns) { \
        for (size_t r = 0; r < rows; r++) {                                     \
            char *target = to.data + (int64_t)r * to.across;                    \
            const char *source = from.data + (int64_t)r * from.across;          \
            for (size_t c = 0; c < columns; c++) {                              \
                memcpy(target, source, sizeof(type));                           \
                target += to.along;                                             \
                source += from.along;                                           \
            }                                                                   \
        }                                                                       \
    }

COPY_ELEMENTS(copy_elements_1, uint8_t)
COPY_ELEMENTS(copy_elements_2, uint16_t)
COPY_ELEMENTS(copy_elements_4, uint32_t)
COPY_ELEMENTS(copy_elements_8, uint64_t)

static int64_t magnitude(int64_t value) { return value < 0 ? -value : value; }

static void copy_elements(cpu_grid to, cpu_grid from, const cpu_grid *outside, size_t rows, size_t columns,
                          size_t element) {
    if (rows > 1 && magnitude(outside->across) < magnitude(outside->along)) {
        to = (cpu_grid){to.data, to.across, to.along};
        from = (cpu_grid){from.data, from.across, from.along};
        size_t turned = rows;
        rows = columns;
        columns = turned;
    }
    switch (element) {
    case 1: copy_elements_1(to, from, rows, columns); break;
    case 2: copy_elements_2(to, from, rows, columns); break;
    case 4: copy_elements_4(to, from, rows, columns); break;
    default: copy_elements_8(to, from, rows, columns); break;
    }
}

static void copy_rows(cpu_grid to, cpu_grid from, size_t rows, size_t size) {
    for (size_t r = 0; r < rows; r++) {
        memcpy(to.data + (int64_t)r * to.across, from.data + (int64_t)r * from.across, size);
    }
}

static cpu_turn *turn_of(const cpu_kernels *kernels, size_t element) {
    return kernels->turns[element == 1 ? 0 : element == 2 ? 1 : element == 4 ? 2 : 3];
}

void cpu_grid_copy(const cpu_kernels *kernels, cpu_grid to, cpu_grid from, const cpu_grid *outside, size_t rows,
                   size_t columns, size_t element) {
    int64_t size = (int64_t)element;
    if (to.along == size && from.along == size) {
        copy_rows(to, from, rows, columns * element);
    } else if (to.along == size && from.across == size && rows > 1) {
        turn_of(kernels, element)(to.data, to.across, from.data, from.along, columns, rows);
    } else if (to.across == size && from.along == size && rows > 1) {
        turn_of(kernels, element)(to.data, to.along, from.data, from.across, rows, columns);
    } else {
        copy_elements(to, from, outside, rows, columns, element);
    }
}
