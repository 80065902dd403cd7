/* Traces: what an allocator was asked for, in order.
 *
 * A trace is read whole from a file of any format that Tarn knows and does not change afterwards. Identifiers tell allocations
 * apart, so that addresses may repeat. A trace may be read from any threads; creating and releasing it is for one. */
#ifndef TARN_TRACE_H
#define TARN_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include <tarn/export.h>
#include <tarn/status.h>

TARN_BEGIN_DECLARATIONS

typedef struct tarn_trace tarn_trace;

typedef enum tarn_trace_format {
    TARN_TRACE_UNKNOWN = 0,
    TARN_TRACE_TARN,             /* Tarn's own, docs/trace-format.md */
    TARN_TRACE_PYTORCH_SNAPSHOT, /* pickle of torch.cuda.memory._dump_snapshot */
    TARN_TRACE_RMM_CSV,          /* log of RMM's logging_resource_adaptor, both ages */
    TARN_TRACE_PERFETTO,         /* trace-event JSON, written only */
    TARN_TRACE_CSV               /* one row for each event, written and read */
} tarn_trace_format;

typedef enum tarn_trace_action {
    TARN_TRACE_ALLOCATE = 0,
    TARN_TRACE_FREE,             /* the owner is done with it */
    TARN_TRACE_FREE_COMPLETED,   /* other streams are done with it too; only where it differs from the free */
    TARN_TRACE_SEGMENT_ALLOCATE, /* the recorded allocator took memory from the driver… */
    TARN_TRACE_SEGMENT_FREE,     /* …and gave it back: information, not replayed */
    TARN_TRACE_OUT_OF_MEMORY,
    TARN_TRACE_MARK /* the program's own marker; its text is the tag */
} tarn_trace_action;

#define TARN_TRACE_NO_STRING UINT32_MAX

typedef struct tarn_trace_event {
    uint64_t id;            /* allocation: 0 … allocation_count-1; for allocate, free and free_completed */
    uint64_t size;          /* bytes as requested */
    uint64_t address;       /* as recorded; 0 where the file does not say */
    int64_t time_ns;        /* since the first event after the initial ones; never decreasing */
    uint32_t stream;        /* 0 is the default stream; others are numbered from 1 in order of appearance */
    uint32_t thread;        /* numbered from 0 in order of appearance */
    uint32_t tag;           /* string: what it was for; TARN_TRACE_NO_STRING */
    uint32_t site;          /* string: call site, innermost frame first, frames parted by " < "; TARN_TRACE_NO_STRING */
    uint16_t device;        /* numbered as in the file; a free has that of its allocation */
    uint8_t action;         /* tarn_trace_action */
    uint8_t alignment_log2; /* of an allocate; 0 where nothing was asked */
} tarn_trace_event;

/* A block of the recorded allocator as it was at the end (snapshots). */
typedef struct tarn_trace_block {
    uint64_t segment; /* address of the segment that holds it */
    uint64_t address;
    uint64_t size;      /* bytes */
    uint64_t requested; /* bytes */
    uint32_t stream;
    uint32_t site;
    uint16_t device;
    uint8_t state; /* tarn_block_state of tarn/allocator.h: in use, cached, pending */
    uint32_t tag;  /* string: what it is for; TARN_TRACE_NO_STRING */
} tarn_trace_block;

typedef struct tarn_trace_info {
    size_t struct_size;
    const char *path;
    tarn_trace_format format;
    size_t event_count;   /* all events, the initial ones included */
    size_t initial_count; /* allocations alive before the recording began: the first events, in address order, time 0 */
    size_t allocation_count; /* different ids */
    uint32_t stream_count;
    uint32_t thread_count;
    uint32_t string_count;
    uint16_t device_count;
    int has_recorded_peak;           /* the next one is known */
    uint64_t recorded_peak_reserved; /* bytes the recorded allocator held at most */
    uint64_t peak_live;              /* bytes, the largest sum of requested sizes of live allocations */
    size_t block_count;              /* blocks of the recorded final state */
    const char *settings;            /* the recorded allocator's settings as text, "" where unknown */
} tarn_trace_info;

/* Reads a trace, its format told by its content. Caller owns it. NOT_FOUND, IO_ERROR; CORRUPT_DATA: the sentence gives byte or
 * line; NOT_SUPPORTED: no known format. Memory is bounded by a small multiple of the file's size. */
TARN_API tarn_status tarn_trace_read(const char *path, tarn_trace **out_trace);
/* NULL is allowed. */
TARN_API void tarn_trace_release(tarn_trace *trace);

TARN_API tarn_status tarn_trace_info_get(const tarn_trace *trace, tarn_trace_info *out_info);
/* All events in order; lives as long as the trace. */
TARN_API const tarn_trace_event *tarn_trace_events(const tarn_trace *trace);
TARN_API const tarn_trace_block *tarn_trace_blocks(const tarn_trace *trace);
/* The text of a string's number, "" for TARN_TRACE_NO_STRING. */
TARN_API const char *tarn_trace_string(const tarn_trace *trace, uint32_t string);

/* Writes a trace, through a temporary file that is renamed at the end, so that a failure leaves an older file intact.
 * NOT_SUPPORTED for a format that is only read. */
TARN_API tarn_status tarn_trace_write(const tarn_trace *trace, const char *path, tarn_trace_format format);
/* The format that a file name's ending or a name ("tarn", "pytorch", "rmm", "perfetto", "csv") stands for. */
TARN_API tarn_trace_format tarn_trace_format_named(const char *name);
TARN_API const char *tarn_trace_format_name(tarn_trace_format format);

TARN_END_DECLARATIONS

#endif
