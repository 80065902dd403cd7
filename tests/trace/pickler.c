/* The pickler of the trace tests. */
#include "pickler.h"

#include <stdlib.h>
#include <string.h>

#include "trace/pickle_opcodes.h"

void put_bytes(pickler *p, const void *bytes, size_t size) {
    while (p->size + size > p->capacity) {
        p->capacity = p->capacity * 2 + 256;
        p->bytes = realloc(p->bytes, p->capacity);
        if (p->bytes == NULL) abort();
    }
    memcpy(p->bytes + p->size, bytes, size);
    p->size += size;
}

void put_op(pickler *p, int opcode) {
    uint8_t byte = (uint8_t)opcode;
    put_bytes(p, &byte, 1);
}

pickler pickler_begin(int protocol) {
    pickler p = {0};
    put_op(&p, OP_PROTO);
    put_op(&p, protocol);
    return p;
}

void pickler_end(pickler *p) { free(p->bytes); }

void put_little(pickler *p, uint64_t value, unsigned width) {
    for (unsigned i = 0; i < width; i++) put_op(p, (int)(value >> (8 * i) & 0xff));
}

void put_int(pickler *p, uint64_t value) {
    if (value <= INT32_MAX) {
        put_op(p, OP_BININT);
        put_little(p, value, 4);
        return;
    }
    put_op(p, OP_LONG1);
    put_op(p, 9);
    put_little(p, value, 8);
    put_op(p, 0);
}

void put_text(pickler *p, const char *text) {
    put_op(p, OP_BINUNICODE);
    put_little(p, strlen(text), 4);
    put_bytes(p, text, strlen(text));
}

void put_pair(pickler *p, const char *key, uint64_t value) {
    put_text(p, key);
    put_int(p, value);
}

void put_text_pair(pickler *p, const char *key, const char *value) {
    put_text(p, key);
    put_text(p, value);
}

static void begin(pickler *p, int container) {
    put_op(p, container);
    put_op(p, OP_MARK);
}

void snapshot_begin(pickler *p) {
    begin(p, OP_EMPTY_DICT);
    put_text(p, "segments");
    begin(p, OP_EMPTY_LIST);
}

void snapshot_segment(pickler *p, unsigned device, uint64_t address, uint64_t size, uint64_t stream) {
    begin(p, OP_EMPTY_DICT);
    put_pair(p, "device", device);
    put_pair(p, "address", address);
    put_pair(p, "total_size", size);
    put_pair(p, "stream", stream);
    put_text(p, "blocks");
    begin(p, OP_EMPTY_LIST);
}

void snapshot_block(pickler *p, uint64_t address, uint64_t size, uint64_t requested, const char *state) {
    begin(p, OP_EMPTY_DICT);
    if (address != 0) put_pair(p, "address", address);
    put_pair(p, "size", size);
    if (requested != 0) put_pair(p, "requested_size", requested);
    put_text_pair(p, "state", state);
    put_op(p, OP_SETITEMS);
}

void snapshot_segment_end(pickler *p) {
    put_op(p, OP_APPENDS);
    put_op(p, OP_SETITEMS);
}

void snapshot_traces(pickler *p) {
    put_op(p, OP_APPENDS);
    put_text(p, "device_traces");
    begin(p, OP_EMPTY_LIST);
}

void snapshot_device(pickler *p) { begin(p, OP_EMPTY_LIST); }

static void begin_entry(pickler *p, const char *action, uint64_t address, uint64_t size, uint64_t stream) {
    begin(p, OP_EMPTY_DICT);
    put_text_pair(p, "action", action);
    put_pair(p, "addr", address);
    put_pair(p, "size", size);
    put_pair(p, "stream", stream);
}

void snapshot_entry(pickler *p, const char *action, uint64_t address, uint64_t size, uint64_t stream,
                    uint64_t time_us) {
    begin_entry(p, action, address, size, stream);
    put_pair(p, "time_us", time_us);
    put_op(p, OP_SETITEMS);
}

void snapshot_untimed_entry(pickler *p, const char *action, uint64_t address, uint64_t size, uint64_t stream) {
    begin_entry(p, action, address, size, stream);
    put_op(p, OP_SETITEMS);
}

void snapshot_device_end(pickler *p) { put_op(p, OP_APPENDS); }

void snapshot_end(pickler *p) {
    put_op(p, OP_APPENDS);
    put_op(p, OP_SETITEMS);
    put_op(p, OP_STOP);
}
