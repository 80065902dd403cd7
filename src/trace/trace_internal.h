/* What the files of this room share: the trace itself, and the builder through which every reader makes one.
 *
 * A reader knows bytes; the builder knows what a trace is. It numbers allocations, streams, threads and strings,
 * keeps time from going back, follows which allocation is alive, and adds up the peak. So a reader is a loop over
 * records, and a rule of the model stands in one place. */
#ifndef TRACE_INTERNAL_H
#define TRACE_INTERNAL_H

#include <stdbool.h>

#include <tarn/trace.h>

#include "trace_map.h"

struct tarn_trace {
    char *path;
    char *settings;
    tarn_trace_format format;
    tarn_trace_event *events; /* the initial ones first, in address order */
    size_t event_count;
    size_t initial_count;
    size_t allocation_count;
    tarn_trace_block *blocks;
    size_t block_count;
    char *text;               /* all strings, each ended by a NUL */
    size_t *string_offsets;   /* where each begins in `text` */
    uint64_t *stream_numbers; /* where recorded, of the streams from 1 on */
    uint32_t string_count;
    uint32_t stream_count;
    uint32_t thread_count;
    uint16_t device_count;
    bool has_recorded_peak;
    uint64_t recorded_peak_reserved;
    uint64_t peak_live;
};

typedef enum trace_allocation_state { TRACE_LIVE, TRACE_FREED, TRACE_COMPLETED } trace_allocation_state;

typedef struct trace_allocation {
    uint64_t address;
    uint64_t size;
    trace_allocation_state state;
    uint16_t device;
} trace_allocation;

/* All zero is an empty builder. Whoever fills one calls trace_builder_discard at the end, whatever happened. */
typedef struct trace_builder {
    tarn_trace trace; /* what is finished of it; counts are current */
    size_t event_capacity, block_capacity, text_capacity, offset_capacity, stream_capacity;
    size_t text_length;
    uint32_t *string_slots; /* hash table of string numbers + 1 */
    size_t string_slot_count;
    trace_allocation *allocations; /* by id */
    size_t allocation_capacity;
    trace_map streams, threads; /* number in the file → number in the trace */
    bool started;               /* an event that is not initial was added: its time is `first_time` */
    int64_t first_time, last_time;
    uint64_t live;
} trace_builder;

/* All of these fail with OUT_OF_MEMORY; a failed call leaves the builder as it was. */

/* The number of a string, the same for the same text. NUL bytes in the text become spaces. */
tarn_status trace_builder_string(trace_builder *builder, const char *text, size_t length, uint32_t *out_string);
/* A string by its number; valid until the next one is added. */
const char *trace_builder_text(const trace_builder *builder, uint32_t string, size_t *out_length);
/* The trace's number for a stream of the file (0 is the default one) or for a thread. LIMIT_EXCEEDED past 2^32 of
 * them. */
tarn_status trace_builder_stream(trace_builder *builder, uint64_t number, uint32_t *out_stream);
tarn_status trace_builder_thread(trace_builder *builder, uint64_t number, uint32_t *out_thread);

/* Adds an allocation and gives it the next id. The event's id, action and, for an initial one, time are filled in.
 * Initial ones come before all other events. CORRUPT_DATA: what is alive adds up to more than 64 bits. */
tarn_status trace_builder_allocate(trace_builder *builder, const tarn_trace_event *event, bool initial,
                                   uint64_t *out_id);
/* Adds a free (`completed` false; the allocation is live) or its completion (the allocation is freed). Size, address
 * and device come from the allocation. */
tarn_status trace_builder_free(trace_builder *builder, uint64_t id, const tarn_trace_event *event, bool completed);
/* Adds an event of any other action as it stands. */
tarn_status trace_builder_other(trace_builder *builder, const tarn_trace_event *event);
tarn_status trace_builder_block(trace_builder *builder, const tarn_trace_block *block);
tarn_status trace_builder_settings(trace_builder *builder, const char *text, size_t length);

/* Makes the trace and leaves the builder empty. */
tarn_status trace_builder_finish(trace_builder *builder, const char *path, tarn_trace_format format,
                                 tarn_trace **out_trace);
void trace_builder_discard(trace_builder *builder);

/* Makes room for one more element: `*items` may move. False: no memory, nothing changed. */
bool trace_reserve(void **items, size_t *capacity, size_t count, size_t element_size);

/* The file as a reader sees it. */
typedef struct trace_input {
    const char *path; /* for sentences */
    const uint8_t *data;
    size_t size;
    uint8_t **owner; /* where the data are kept that a reader may free early; NULL: it may not */
} trace_input;

/* Frees the data where that may be: for readers that are done with them and need memory for more. */
void trace_input_drop(const trace_input *input);

/* One for each format that is read. They fail with CORRUPT_DATA, the sentence naming the file and the byte or
 * line. */
tarn_status trace_read_tarn(const trace_input *input, tarn_trace **out_trace);
tarn_status trace_read_pytorch(const trace_input *input, tarn_trace **out_trace);
tarn_status trace_read_rmm(const trace_input *input, tarn_trace **out_trace);
tarn_status trace_read_csv(const trace_input *input, tarn_trace **out_trace);

/* Reads the records of a file in Tarn's format that may be still growing, for a caller who has more to add. The builder is
 * empty, and untouched on failure. */
tarn_status trace_read_recording(const trace_input *input, trace_builder *out_builder);

/* Reads a trace that is in memory; `path` is for sentences. The data is not needed afterwards. */
tarn_status trace_read_memory(const void *data, size_t size, const char *path, tarn_trace **out_trace);

/* How actions are called in text formats, "allocate", "free_completed" …; NULL for an unknown one. */
const char *trace_action_name(unsigned action);

#endif
