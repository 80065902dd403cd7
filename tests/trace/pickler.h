/* Makes pickles by hand, instruction by instruction, right and wrong ones. */
#ifndef TESTS_TRACE_PICKLER_H
#define TESTS_TRACE_PICKLER_H

#include <stddef.h>
#include <stdint.h>

typedef struct pickler {
    uint8_t *bytes;
    size_t size, capacity;
} pickler;

/* Starts with PROTO and the given protocol. */
pickler pickler_begin(int protocol);
void pickler_end(pickler *p);

void put_op(pickler *p, int opcode);
void put_bytes(pickler *p, const void *bytes, size_t size);
void put_little(pickler *p, uint64_t value, unsigned width);
/* BININT where it fits, else LONG1 of nine bytes. */
void put_int(pickler *p, uint64_t value);
void put_text(pickler *p, const char *text);
/* A key and its value. */
void put_pair(pickler *p, const char *key, uint64_t value);
void put_text_pair(pickler *p, const char *key, const char *value);

/* A snapshot's parts. Each begin is followed by any number of parts and its end. */
void snapshot_begin(pickler *p);
void snapshot_segment(pickler *p, unsigned device, uint64_t address, uint64_t size, uint64_t stream);
/* In a segment: a block with or without (0) address. */
void snapshot_block(pickler *p, uint64_t address, uint64_t size, uint64_t requested, const char *state);
void snapshot_segment_end(pickler *p);
void snapshot_traces(pickler *p);
void snapshot_device(pickler *p);
void snapshot_entry(pickler *p, const char *action, uint64_t address, uint64_t size, uint64_t stream, uint64_t time_us);
/* As older versions write them: without a time. */
void snapshot_untimed_entry(pickler *p, const char *action, uint64_t address, uint64_t size, uint64_t stream);
void snapshot_device_end(pickler *p);
/* Ends device_traces and the snapshot. */
void snapshot_end(pickler *p);

#endif
