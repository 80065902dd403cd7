/* The product of two matrices, whatever they are made of.
 *
 * The result is computed in tiles. A tile's parts of both matrices are packed, piece after piece along the dimension that they share, in the
 * order in which the innermost loop wants them; there every element is a float, or a double in products of doubles. Whoever asks for
 * the product says where elements come from and where sums go: so a matrix may be strided, of halves, or the patches of an image that
 * are nowhere in memory. */
#ifndef CPU_PRODUCT_H
#define CPU_PRODUCT_H

#include <stdbool.h>
#include <stddef.h>

#include <tarn/status.h>

/* A piece of one of the matrices: `members` rows of the left or columns of the right one, and `inners` places along the dimension
 * that they share. */
typedef struct cpu_product_piece {
    size_t matrix;
    size_t first_member, members;
    size_t first_inner, inners;
    size_t width; /* members of a panel */
} cpu_product_piece;

/* Writes the piece, as floats or doubles, to `packed`: panels of `width` members, the last one filled up with zeros, and in each panel the
 * elements of all its members at the first inner place, then those at the second, and so on. */
typedef void (*cpu_product_pack)(const void *context, const cpu_product_piece *piece, void *packed);

/* Takes `count` finished sums, floats or doubles, of one row of the result from a column on, and may change them where they are. */
typedef void (*cpu_product_store)(const void *context, size_t matrix, size_t row, size_t column, size_t count,
                                  void *sums);

typedef struct cpu_product {
    size_t matrices, rows, columns, inners; /* none is 0 */
    bool is_double;
    const void *context;
    cpu_product_pack pack_left, pack_right;
    cpu_product_store store;
} cpu_product;

/* Computes the product on the pool. OUT_OF_MEMORY before anything is stored. */
tarn_status cpu_product_run(const cpu_product *product);

/* The innermost loop for one instruction set: adds to a tile of sums, whose rows are `stride` apart, the product of a left panel of `rows`
 * members and a right panel of `float_columns` or `double_columns`. */
typedef struct cpu_product_kernels {
    size_t rows, float_columns, double_columns;
    void (*floats)(size_t inners, const float *left, const float *right, float *tile, size_t stride);
    void (*doubles)(size_t inners, const double *left, const double *right, double *tile, size_t stride);
} cpu_product_kernels;

#endif
