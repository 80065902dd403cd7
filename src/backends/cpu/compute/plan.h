/* A program made ready to run: its instructions are kernels on registers, and the space is cut into tiles.
 *
 * A tile is a rectangle of the space's last two dimensions, small enough that the values of all steps for it stay in the first cache. Each
 * value has a register: a pointer to the lanes of the tile, row after row, in scratch memory of the thread or, where elements are lanes and
 * lie side by side, in the memory of the operand itself. */
#ifndef CPU_COMPUTE_PLAN_H
#define CPU_COMPUTE_PLAN_H

#include <stdbool.h>

#include "backends/cpu/compute/kernels.h"

/* Lanes of a tile at most, and at least however many registers there are. */
#define CPU_TILE_MOST 4096
#define CPU_TILE_LEAST 16
/* Rows shorter than this are put into tiles of several. */
#define CPU_SHORT_ROW 256
/* Bytes of a tile that is only moved. */
#define CPU_TILE_MOVED ((size_t)16 << 10)
/* Bytes of scratch memory; what is left of the first cache is for the operands. */
#define CPU_SCRATCH ((size_t)24 << 10)

/* One for each operand, constant and step, one for the index, and one for each value that is rounded before it is copied. */
#define CPU_MOST_REGISTERS \
    (TARN_PROGRAM_MAXIMUM_OPERANDS + TARN_PROGRAM_MAXIMUM_CONSTANTS + 1 + 2 * TARN_PROGRAM_MAXIMUM_STEPS)
/* A step is a rounding, a kernel and a wrapping. */
#define CPU_MOST_INSTRUCTIONS (3 * TARN_PROGRAM_MAXIMUM_STEPS)
#define CPU_NO_SLOT UINT8_MAX

typedef struct cpu_instruction {
    cpu_kernel *kernel;
    uint8_t out, values[3]; /* registers; those that the kernel does not take are the first */
} cpu_instruction;

typedef enum cpu_reach {
    CPU_REACH_WHOLE,    /* the elements of a tile lie side by side */
    CPU_REACH_SINGLE,   /* one element for the whole space */
    CPU_REACH_SCATTERED /* anything else */
} cpu_reach;

/* An operand. */
typedef struct cpu_access {
    char *data;
    int64_t strides[TARN_MAXIMUM_RANK + 1]; /* bytes, along the dimensions of the plan */
    size_t element;                         /* bytes */
    cpu_kernel *convert;                    /* load or store; NULL: elements are lanes */
    cpu_lane lane;
    cpu_reach reach;
    uint8_t reg;
    bool is_direct; /* the register points to the operand's own memory */
} cpu_access;

typedef struct cpu_plan {
    const cpu_kernels *kernels;
    const tarn_backend_operation *operation;

    /* The space, without dimensions of 1 but at least two, in the order in which it is run through. */
    uint32_t rank;
    int64_t dims[TARN_MAXIMUM_RANK + 1];
    int64_t index_strides[TARN_MAXIMUM_RANK + 1];
    int64_t tile_rows, tile_columns; /* of the last two dimensions */
    size_t tile_count;

    uint32_t access_count, output_count;
    cpu_access accesses[TARN_PROGRAM_MAXIMUM_OPERANDS]; /* outputs first */
    bool streams;                                       /* outputs go past the caches */
    bool
        moves; /* the program is a copy without a cast: elements are moved as they are, whatever lanes they would have */

    uint32_t instruction_count, register_count;
    cpu_instruction instructions[CPU_MOST_INSTRUCTIONS];
    cpu_lane lanes[CPU_MOST_REGISTERS];
    uint8_t slots[CPU_MOST_REGISTERS]; /* of the scratch memory; CPU_NO_SLOT: the register points elsewhere */
    uint8_t step_registers[TARN_PROGRAM_MAXIMUM_STEPS];
    uint8_t first_constant, index_register;
    bool uses_index;
    uint8_t raw_slot; /* for elements that are not lanes yet, or no longer */
    size_t slot_size; /* bytes */
    double lane_cost; /* nanoseconds, about, for each element of the space */
} cpu_plan;

/* The order in which the dimensions of an operation are run through: the last is that of the columns of tiles, the one before that of the
 * rows. Dimensions of 1 are left out. */
typedef struct cpu_order {
    uint32_t count;
    uint32_t dims[TARN_MAXIMUM_RANK];
    bool is_turned;       /* some operand runs along the rows: tiles are as high as wide */
    bool has_one_row;     /* tiles have one row */
    bool has_rows;        /* tiles have several, however long they are: parts of rows then, which are packed */
    int64_t most;         /* lanes of a tile; 0: as many as fit */
    int64_t most_columns; /* of a tile; 0: as many as it has lanes */
} cpu_order;

/* The order for a program without a reduction: order.c. */
void cpu_order_find(const tarn_backend_operation *operation, cpu_order *out_order);
/* NOT_SUPPORTED for a step that has no kernel. `with_outputs`: results are written to the outputs; otherwise, in a reduction, the caller reads
 * the register of the result. */
tarn_status cpu_plan_make(cpu_plan *plan, const tarn_backend_operation *operation, const cpu_order *order,
                          bool with_outputs);

/* Gives the plan, whose operands have their lanes, its registers and instructions: instructions.c. As cpu_plan_make. */
tarn_status cpu_plan_add_steps(cpu_plan *plan);

/* A thread's work on a plan: where it is, and what its registers point to. */
typedef struct cpu_evaluation {
    const cpu_plan *plan;
    int64_t place[TARN_MAXIMUM_RANK + 1]; /* of the tile's first element */
    size_t rows, columns;                 /* of the tile */
    void *registers[CPU_MOST_REGISTERS];
    _Alignas(64) char scratch[CPU_SCRATCH];
} cpu_evaluation;

/* Makes ready for tile number `tile`. */
void cpu_evaluation_begin(cpu_evaluation *evaluation, const cpu_plan *plan, size_t tile);
/* Loads and computes the tile. */
void cpu_evaluation_compute(cpu_evaluation *evaluation);
/* Writes what has not been written in place. */
void cpu_evaluation_store(cpu_evaluation *evaluation);
/* Measures the tile at `place`, which the caller has set. */
void cpu_evaluation_measure(cpu_evaluation *evaluation);
/* Goes on to the next tile. */
void cpu_evaluation_next(cpu_evaluation *evaluation);
/* Makes what went past the caches visible to other threads. */
void cpu_evaluation_end(cpu_evaluation *evaluation);

/* How many tiles are worth a thread. */
size_t cpu_plan_grain(const cpu_plan *plan);

/* Reductions: reduce.c. */
tarn_status cpu_reduce_run(const tarn_backend_operation *operation);

#endif
