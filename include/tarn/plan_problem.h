/* Plan problems: the buffers of a program with their lifetimes, read from a file or taken from a trace, as tarn/plan.h places them.
 *
 * A problem file is comma-separated text as MiniMalloc has it. Its first row names the columns, in any order:
 *
 *     id         any text, each only once; also called buffer or buffer_id
 *     lower      the first moment of the buffer's life, a whole number of 64 bits; also called start or begin
 *     upper      the first moment after it; or, as a column called end, the last moment of it (then gaps end so too)
 *     size       bytes
 *     alignment  (optional) of the offset, in bytes
 *     gaps       (optional) times when the buffer is not needed whole, parted by spaces, in their order: "10-20" is
 *                [10, 20), "10-20@0:64" the same for all but the bytes [0, 64) of the buffer
 *     offset     (optional) where the buffer has to lie, in bytes
 *     region     (optional, Tarn's own) whose memory, a number below 65,536; each region is planned by itself
 *
 * An empty cell of an optional column is as if the column were not there. Cells may be quoted. Columns with other names are not
 * used; the log says so. */
#ifndef TARN_PLAN_PROBLEM_H
#define TARN_PLAN_PROBLEM_H

#include <stddef.h>
#include <stdint.h>

#include <tarn/plan.h>
#include <tarn/trace.h>

TARN_BEGIN_DECLARATIONS

/* Does not change once it is made: may be read from any threads. Creating and releasing it is for one. */
typedef struct tarn_plan_problem tarn_plan_problem;

typedef struct tarn_plan_problem_options {
    size_t struct_size;
    /* Bytes: what the offset of each buffer is aligned to for which neither the file nor the recorded program asks for an alignment. 0: what
     * the allocator promises that was recorded: 512 for a PyTorch snapshot, 256 for an RMM log, 64 for Tarn's own traces;
     * none for a problem file. */
    uint64_t alignment;
} tarn_plan_problem_options;

typedef struct tarn_plan_problem_info {
    size_t struct_size;
    const char *path;
    tarn_trace_format format; /* of the trace it was made from; TARN_TRACE_UNKNOWN: it was read from a problem file */
    size_t buffer_count;
    uint32_t region_count; /* the greatest region and one more; 0 without buffers */
} tarn_plan_problem_info;

/* Reads a problem file, or a trace of any format that tarn_trace_read knows, which is told by the content. Caller owns the problem.
 * NOT_FOUND, IO_ERROR; CORRUPT_DATA: the sentence gives the line, for lower >= upper, an id that is there twice, and sizes that
 * add up to 2^63 bytes or more too; NOT_SUPPORTED: no known format. `options` may be NULL. */
TARN_API tarn_status tarn_plan_problem_read(const char *path, const tarn_plan_problem_options *options,
                                            tarn_plan_problem **out_problem);

/* The allocations of a trace as buffers, with their numbers as ids and the requested sizes. Time is the number of the event: a buffer
 * lives from the event that allocated it up to the one that freed it, which may be its successor's first; from 0 where it was there before the
 * recording began, and to the last event's end where nothing frees it. Each device is the region of its number. Streams are taken to run in
 * the order of the trace. Caller owns the problem, which does not need the trace afterwards. OUT_OF_MEMORY; LIMIT_EXCEEDED: sizes that add up
 * to 2^63 bytes or more. `options` may be NULL. */
TARN_API tarn_status tarn_plan_problem_from_trace(const tarn_trace *trace, const tarn_plan_problem_options *options,
                                                  tarn_plan_problem **out_problem);

/* NULL is allowed. */
TARN_API void tarn_plan_problem_release(tarn_plan_problem *problem);

TARN_API tarn_status tarn_plan_problem_info_get(const tarn_plan_problem *problem, tarn_plan_problem_info *out_info);
/* The buffers in the file's order, for tarn_plan_solve; they live as long as the problem. NULL where there are none. */
TARN_API const tarn_plan_buffer *tarn_plan_problem_buffers(const tarn_plan_problem *problem);
/* The id of buffer `index`, which lives as long as the problem; "" where there is no such buffer. */
TARN_API const char *tarn_plan_problem_id(const tarn_plan_problem *problem, size_t index);

/* Writes the problem with an offset for each buffer, through a temporary file that is renamed at the end: columns id, lower, upper,
 * size, then alignment, gaps and region where any buffer has them, and offset. IO_ERROR, OUT_OF_MEMORY. */
TARN_API tarn_status tarn_plan_problem_write(const tarn_plan_problem *problem, const uint64_t *offsets,
                                             const char *path);

TARN_END_DECLARATIONS

#endif
