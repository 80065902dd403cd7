/* What the host hands to kernels: plain structures that C, nvcc, NVRTC and the emulation of the tests lay out alike. Nothing is included,
 * since NVRTC has no headers. Each is below the 4 KiB that a kernel's parameters may have. */
#ifndef CUDA_KERNELS_PARAMETERS_H
#define CUDA_KERNELS_PARAMETERS_H

#define CUDA_MOST_OPERANDS 16
#define CUDA_MOST_CONSTANTS 16
#define CUDA_MOST_STEPS 64
#define CUDA_MOST_RANK 8

/* Registers of the interpreter: inputs, constants, the index, the steps. */
#define CUDA_FIRST_CONSTANT CUDA_MOST_OPERANDS
#define CUDA_INDEX_REGISTER (CUDA_FIRST_CONSTANT + CUDA_MOST_CONSTANTS)
#define CUDA_FIRST_STEP (CUDA_INDEX_REGISTER + 1)
#define CUDA_REGISTERS (CUDA_FIRST_STEP + CUDA_MOST_STEPS)

/* A space and how operands lie in it. Dimensions that a reduction keeps come first. Types are those of tarn_element_type. */
typedef struct cuda_space {
    long long kept;    /* elements of the dimensions that are kept: of the outputs */
    long long reduced; /* elements of the others: 1 without a reduction */
    long long first_index;
    long long dims[CUDA_MOST_RANK];
    long long index_strides[CUDA_MOST_RANK];
    unsigned kept_rank, rank;
    unsigned output_count, operand_count;
    void *data[CUDA_MOST_OPERANDS]; /* outputs first */
    long long strides[CUDA_MOST_OPERANDS][CUDA_MOST_RANK];
    unsigned char types[CUDA_MOST_OPERANDS];
} cuda_space;

/* A step: registers, and the types of what it takes and gives. */
typedef struct cuda_step {
    unsigned char operation; /* tarn_operation */
    unsigned char type, taken_type;
    unsigned char values[3];
    unsigned char unused[2];
} cuda_step;

/* Eight bytes: what a register of the interpreter holds. Floats of up to 32 bits are `single`, integers and truth values `integer`. */
typedef union cuda_lane {
    float single;
    double real;
    long long integer;
} cuda_lane;

typedef struct cuda_program {
    cuda_space space;
    cuda_lane constants[CUDA_MOST_CONSTANTS];
    cuda_step steps[CUDA_MOST_STEPS];
    unsigned step_count, constant_count;
    unsigned char results[CUDA_MOST_OPERANDS];      /* registers */
    unsigned char result_types[CUDA_MOST_OPERANDS]; /* of their values */
} cuda_program;

/* The constants of a program that was compiled for its steps. */
typedef struct cuda_constants {
    cuda_lane values[CUDA_MOST_CONSTANTS];
} cuda_constants;

/* A program of one step. Its space is rows along the last dimension, in which packs of elements are what a thread reads at once. */
typedef struct cuda_single {
    long long rows, length;
    long long packs;                      /* of a row */
    long long dims[CUDA_MOST_RANK];       /* which the rows are numbered by */
    long long strides[4][CUDA_MOST_RANK]; /* of the output and up to three inputs, along those */
    long long steps[4];                   /* along the last dimension */
    void *data[4];                        /* NULL: a constant, or nothing */
    cuda_lane constants[3];               /* of the inputs */
    unsigned rank;
    unsigned operation, to; /* tarn_operation; of a cast, the type that it gives */
    unsigned out_size;      /* bytes of an element */
} cuda_single;

/* Elements of a pack, by their size, or in casts; packs of a thread. */
#define CUDA_LANES(size) ((size) == 1 ? 8 : 16 / (size))
#define CUDA_CAST_LANES 4
#define CUDA_PACKS 2
#define CUDA_COPY_PACKS 4 /* in copies */

/* A copy whose input's neighbours are rows and whose output's are columns: matrices, as many as the other dimensions say. */
typedef struct cuda_turn {
    long long rows, columns;
    long long in_column_stride, out_row_stride;
    long long dims[CUDA_MOST_RANK];
    long long out_strides[CUDA_MOST_RANK], in_strides[CUDA_MOST_RANK];
    void *out;
    const void *in;
    unsigned rank, unused;
} cuda_turn;

/* Words along the side of a tile, and its threads along the other side. */
#define CUDA_TURN_SIDE 32
#define CUDA_TURN_LINES 8

/* How the threads of a block share the work of a reduction: `outputs` × `threads` of them, both powers of two, and `slices` blocks for each
 * group of outputs. Neighbouring threads are neighbours along what lies side by side in memory. */
typedef struct cuda_reduction {
    unsigned operation; /* SUM … MIN */
    unsigned outputs, threads, slices;
    unsigned runs_along_kept; /* neighbouring threads have neighbouring outputs */
    unsigned unused;
    void *partial; /* slices > 1: cuda_partial[output][slice] */
} cuda_reduction;

/* What a reduction has so far. `error` is what a sum of floats has lost by rounding. */
typedef struct cuda_partial {
    cuda_lane value, error;
} cuda_partial;

/* Packs that a thread of a fold has in flight. */
#define CUDA_FOLD_FLIGHT 4

/* A reduction of one operand as it lies. In rows, an output's elements are runs along the last dimension, each cut into pieces; `along` threads
 * share a piece. In columns, neighbouring threads have neighbouring outputs, `lanes` of them each. */
typedef struct cuda_fold {
    long long kept, reduced;        /* outputs, elements of each */
    long long dims[CUDA_MOST_RANK]; /* those that are kept first */
    long long in_strides[CUDA_MOST_RANK], out_strides[CUDA_MOST_RANK];
    long long runs, length, step; /* of a run: its elements, and how far they lie apart */
    long long pieces, piece;      /* of a run; elements of a piece, the last of which may be shorter */
    void *out;
    const void *in;
    void *partial;                      /* slices > 1: cuda_partial[output][slice] */
    unsigned kept_rank, run_rank, rank; /* runs are numbered by dimensions [kept_rank, run_rank) */
    unsigned operation;
    unsigned is_widened;               /* outputs are what elements are summed up in: F32, F64 or I64 */
    unsigned outputs, threads, slices; /* as in cuda_reduction; of columns, packs of outputs */
    unsigned along, lanes;
} cuda_fold;

/* Where kernels leave a failure for the host: memory that both see. Who sets `is_taken` writes it, and `is_set` last. */
typedef struct cuda_failure {
    unsigned is_set;
    unsigned is_taken;
    long long number, limit; /* a number that is not one of `limit` slices */
} cuda_failure;

typedef struct cuda_gather {
    long long count; /* elements of the result */
    long long dims[CUDA_MOST_RANK];
    long long out_strides[CUDA_MOST_RANK], in_strides[CUDA_MOST_RANK], index_strides[CUDA_MOST_RANK];
    long long slices, slice_stride;
    void *out;
    const void *in, *indices;
    cuda_failure *failure;
    unsigned rank;
    unsigned wide_indices; /* I64, not I32 */
} cuda_gather;

/* How the elements of rows lie: anyhow; apart, but side by side with those of the next row; side by side; the same, in aligned packs. */
#define CUDA_ROWS_APART 0
#define CUDA_ROWS_ACROSS 1
#define CUDA_ROWS_SIDE_BY_SIDE 2
#define CUDA_ROWS_IN_PACKS 3
/* Elements of a row that a thread holds at once, by their size. */
#define CUDA_ROW_EACH(size) ((size) == 8 ? 4 : 16)

/* Rows along one dimension (softmax), or along the last ones (layer norm): dimensions of rows first, then those within a row. */
typedef struct cuda_rows {
    long long rows, length;
    long long dims[CUDA_MOST_RANK];
    long long out_strides[CUDA_MOST_RANK], in_strides[CUDA_MOST_RANK];
    long long weight_strides[CUDA_MOST_RANK], bias_strides[CUDA_MOST_RANK];
    void *out;
    const void *in, *weight, *bias; /* NULL: none */
    double epsilon;
    unsigned row_rank, rank;
    unsigned block_rows, threads; /* rows of a block, threads of a row; powers of two */
    unsigned lies, unused;
} cuda_rows;

typedef struct cuda_matmul {
    long long rows, columns, inner; /* m, n, k */
    long long batch_dims[CUDA_MOST_RANK];
    unsigned batch_rank, activation;
    void *out;
    const void *a, *b, *bias; /* bias NULL: none */
    long long out_strides[CUDA_MOST_RANK], a_strides[CUDA_MOST_RANK], b_strides[CUDA_MOST_RANK];
    long long bias_strides[CUDA_MOST_RANK]; /* all: of the batch's dimensions, then of the matrix, at 6 and 7 */
} cuda_matmul;

/* Of a tile of a product, by the size of an element: rows and columns of each of 16 × 16 threads, and how deep the strips of its matrices are. */
#define CUDA_TILE_ROWS_EACH(size) ((size) == 8 ? 4 : 8)
#define CUDA_TILE_COLUMNS_EACH 4
#define CUDA_TILE_DEPTH 16
#define CUDA_TILE_THREADS 16 /* along both sides */

/* Places of strides of the matrices themselves. */
#define CUDA_ROW_STRIDE (CUDA_MOST_RANK - 2)
#define CUDA_COLUMN_STRIDE (CUDA_MOST_RANK - 1)

/* Convolutions and pooling: [batch, channels, height, width]. */
typedef struct cuda_window {
    long long batch, channels, groups; /* channels of the result */
    long long in_channels;             /* of a group */
    long long in_height, in_width, out_height, out_width, kernel_height, kernel_width;
    long long stride[2], padding[2], dilation[2];
    long long out_strides[4], in_strides[4], weight_strides[4], bias_stride;
    void *out;
    const void *in, *weight, *bias; /* NULL: none */
    unsigned activation;
    /* Neighbouring channels of the image lie side by side; in pooling in whole packs. */
    unsigned channels_last;
} cuda_window;

#endif
