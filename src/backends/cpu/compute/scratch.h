/* Memory that the threads of one operation work in, and that the next operation finds again. */
#ifndef CPU_SCRATCH_H
#define CPU_SCRATCH_H

#include <stdatomic.h>
#include <stddef.h>

#include <tarn/status.h>

#define CPU_SCRATCH_ALIGNMENT ((size_t)64)

typedef struct cpu_scratch_block cpu_scratch_block;

/* As many parts as threads can work on the operation at once. */
typedef struct cpu_scratch {
    cpu_scratch_block *block;
    size_t part_size; /* bytes */
    unsigned parts;
} cpu_scratch;

/* Gets memory for an operation of `tasks` tasks, `size` bytes for each thread. Its contents are anything. OUT_OF_MEMORY. */
tarn_status cpu_scratch_begin(cpu_scratch *scratch, size_t size, size_t tasks);
void cpu_scratch_end(cpu_scratch *scratch);
/* A part for the calling thread, which gives it back before its work for the pool ends. */
void *cpu_scratch_take(cpu_scratch *scratch);
void cpu_scratch_give(cpu_scratch *scratch, void *part);
/* Frees what is kept for later operations. */
void cpu_scratch_trim(void);

#endif
