/* Tarn's trace format, the writing half: constants, and functions that turn one event into bytes.
 *
 * A file is a header and then records, each a kind with flags in one byte, followed by the fields that the kind
 * has: variable-length numbers, with times and addresses as differences from the last ones, so that an event costs
 * about ten bytes. A file is only ever appended to, and whole records are all that is written, so whatever a
 * crashed program has left is readable.
 *
 * Everything here is inline, allocates nothing and calls nothing: a recorder that runs inside malloc includes this
 * file alone. A recorder keeps one trace_encoder for each file, holds its own lock around it, and leaves
 * TRACE_RECORD_ROOM bytes free in its buffer before each call. docs/trace-format.md describes the bytes. */
#ifndef TRACE_FORMAT_H
#define TRACE_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define TRACE_MAGIC "\x89TARN\r\n\x1a"
#define TRACE_MAGIC_SIZE 8u
#define TRACE_VERSION 1u
/* Magic, then version and file flags, four bytes each, little-endian. */
#define TRACE_HEADER_SIZE 16u

/* File flag: the recorder did not see everything (it started late, or skipped small blocks). A free of an unknown
 * address is left out, and an allocate at a live one ends the older allocation; without the flag both are errors. */
#define TRACE_FILE_PARTIAL 1u
/* File flag: frees name their allocations by number only, and addresses may be missing (0) or repeat. */
#define TRACE_FILE_NUMBERED 2u

/* The low four bits of a record's first byte. */
typedef enum trace_record_kind {
    TRACE_RECORD_STRING = 1,           /* length, bytes: its number is the count of strings before it */
    TRACE_RECORD_THREAD = 2,           /* number: the thread of the events that follow, 0 at the start of the file */
    TRACE_RECORD_STREAM = 3,           /* number: their stream, 0 (the default stream) at the start */
    TRACE_RECORD_DEVICE = 4,           /* number: their device, 0 at the start */
    TRACE_RECORD_ALLOCATE = 5,         /* time unless initial, address, size, tag?, site?, alignment? */
    TRACE_RECORD_FREE = 6,             /* time, address or distance, tag?, site? */
    TRACE_RECORD_FREE_COMPLETED = 7,   /* the same */
    TRACE_RECORD_SEGMENT_ALLOCATE = 8, /* time, address, size, tag?, site? */
    TRACE_RECORD_SEGMENT_FREE = 9,     /* the same */
    TRACE_RECORD_OUT_OF_MEMORY = 10,   /* the same */
    TRACE_RECORD_MARK = 11,            /* time, tag?, site? */
    TRACE_RECORD_BLOCK =
        12, /* segment, address, size, requested, state, tag?, site?: the recorded allocator's final state */
    TRACE_RECORD_PROPERTY = 13,  /* property, then a number or a string's number */
    TRACE_RECORD_EXTENSION = 14, /* kind, length, bytes: for later versions; readers skip what they do not know */
    TRACE_RECORD_END = 15        /* nothing: the recorder came to its end */
} trace_record_kind;

/* The high four bits: which optional fields follow. */
#define TRACE_HAS_TAG 0x10u
#define TRACE_HAS_SITE 0x20u
#define TRACE_HAS_ALIGNMENT 0x40u /* allocate: one byte, the logarithm to base 2 */
#define TRACE_IS_INITIAL 0x80u    /* allocate: alive before the recording began; no time field */
#define TRACE_BY_NUMBER \
    0x80u /* free, free_completed: instead of the address, how many allocations ago it was, from 1 */

typedef enum trace_property {
    TRACE_PROPERTY_PEAK_RESERVED = 1, /* bytes: what the recorded allocator held at most */
    TRACE_PROPERTY_SETTINGS = 2       /* string: its settings */
} trace_property;

/* States of a block. */
typedef enum trace_block_state {
    TRACE_BLOCK_IN_USE = 0,
    TRACE_BLOCK_CACHED = 1,
    TRACE_BLOCK_PENDING = 2
} trace_block_state;

#define TRACE_NO_STRING UINT32_MAX
/* The most bytes that any of the functions below writes or overwrites, trace_encode_string aside. */
#define TRACE_RECORD_ROOM 128u
/* The most bytes that trace_encode_string adds to the text, those that it overwrites included. */
#define TRACE_STRING_ROOM 11u

/* What the differences in the file are taken from. All zero at the start of a file. */
typedef struct trace_encoder {
    uint64_t address;
    int64_t time_ns;
    uint64_t thread, stream, device;
} trace_encoder;

/* What one event says. Fields that its kind does not have are ignored. Thread and stream are any numbers that tell
 * them apart (a system's thread number, a stream's address), except that 0 is the default stream. */
typedef struct trace_record {
    trace_record_kind kind;
    bool initial;           /* allocate: TRACE_IS_INITIAL */
    uint8_t alignment_log2; /* allocate: 0 where nothing was asked */
    uint32_t tag, site;     /* numbers of strings written before; TRACE_NO_STRING */
    uint64_t address, size; /* bytes */
    uint64_t distance;      /* free: not 0 stands for TRACE_BY_NUMBER */
    int64_t time_ns;        /* of any clock that does not go back */
    uint64_t thread, stream, device;
} trace_record;

/* Seven bits in each byte, the lowest first; all but the last byte have their highest bit set. Writes eight bytes at once
 * where so many suffice, of which those behind the number mean nothing: a recorder stands in the way of a program that
 * may have the processor full of writes, each of which waits for its turn. */
static inline size_t trace_put_number(uint8_t *out, uint64_t value) {
    size_t n = 0;
    for (; value >> 56 != 0; value >>= 7) out[n++] = (uint8_t)(value | 0x80);
    uint64_t bytes = value;
    bytes = (bytes & UINT64_C(0x000000000fffffff)) | (bytes & UINT64_C(0x00fffffff0000000)) << 4;
    bytes = (bytes & UINT64_C(0x00003fff00003fff)) | (bytes & UINT64_C(0x0fffc0000fffc000)) << 2;
    bytes = (bytes & UINT64_C(0x007f007f007f007f)) | (bytes & UINT64_C(0x3f803f803f803f80)) << 1;
    /* Of the bytes behind the first, those up to the number's highest bit. */
    unsigned last = (63u ^ (unsigned)__builtin_clzll(bytes | 1)) / 8;
    bytes |= UINT64_C(0x8080808080808080) & ((UINT64_C(1) << (8 * last)) - 1);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    bytes = __builtin_bswap64(bytes);
#endif
    memcpy(out + n, &bytes, sizeof bytes);
    return n + last + 1;
}

/* Signed numbers alternate: 0, -1, 1, -2 … become 0, 1, 2, 3 … */
static inline size_t trace_put_signed(uint8_t *out, uint64_t value) {
    return trace_put_number(out, (value << 1) ^ (uint64_t) - (int64_t)(value >> 63));
}

static inline void trace_put_u32(uint8_t *out, uint32_t value) {
    for (unsigned i = 0; i < 4; i++) out[i] = (uint8_t)(value >> (8 * i));
}

/* Each of the following writes whole records to `out` and returns how many bytes that was; up to seven behind them may
 * have been overwritten. */

static inline size_t trace_encode_header(uint8_t *out, uint32_t file_flags) {
    memcpy(out, TRACE_MAGIC, TRACE_MAGIC_SIZE);
    trace_put_u32(out + 8, TRACE_VERSION);
    trace_put_u32(out + 12, file_flags);
    return TRACE_HEADER_SIZE;
}

/* Defines the next string: the first one of a file is number 0. Needs room for `length` + TRACE_STRING_ROOM bytes. */
static inline size_t trace_encode_string(uint8_t *out, const char *text, size_t length) {
    size_t n = 0;
    out[n++] = TRACE_RECORD_STRING;
    n += trace_put_number(out + n, length);
    memcpy(out + n, text, length);
    return n + length;
}

static inline size_t trace_encode_context(uint8_t *out, uint64_t *last, uint64_t now, trace_record_kind kind) {
    if (*last == now) return 0;
    *last = now;
    out[0] = (uint8_t)kind;
    return 1 + trace_put_number(out + 1, now);
}

static inline size_t trace_encode_address(trace_encoder *encoder, uint8_t *out, uint64_t address) {
    uint64_t difference = address - encoder->address;
    encoder->address = address;
    return trace_put_signed(out, difference);
}

/* One event of any kind from ALLOCATE to MARK, with the records that switch thread, stream and device before it. Always
 * inlined, so that what a recorder knows of an event beforehand costs it nothing. */
static inline __attribute__((always_inline)) size_t trace_encode_event(trace_encoder *encoder, uint8_t *out,
                                                                       const trace_record *record) {
    size_t n = trace_encode_context(out, &encoder->thread, record->thread, TRACE_RECORD_THREAD);
    n += trace_encode_context(out + n, &encoder->stream, record->stream, TRACE_RECORD_STREAM);
    n += trace_encode_context(out + n, &encoder->device, record->device, TRACE_RECORD_DEVICE);

    bool allocates = record->kind == TRACE_RECORD_ALLOCATE;
    bool frees = record->kind == TRACE_RECORD_FREE || record->kind == TRACE_RECORD_FREE_COMPLETED;
    bool initial = allocates && record->initial;
    bool by_number = frees && record->distance != 0;
    bool aligned = allocates && record->alignment_log2 != 0;
    unsigned first = record->kind;
    if (record->tag != TRACE_NO_STRING) first |= TRACE_HAS_TAG;
    if (record->site != TRACE_NO_STRING) first |= TRACE_HAS_SITE;
    if (aligned) first |= TRACE_HAS_ALIGNMENT;
    if (initial) first |= TRACE_IS_INITIAL;
    if (by_number) first |= TRACE_BY_NUMBER;
    out[n++] = (uint8_t)first;

    if (!initial) {
        n += trace_put_signed(out + n, (uint64_t)record->time_ns - (uint64_t)encoder->time_ns);
        encoder->time_ns = record->time_ns;
    }
    if (by_number) n += trace_put_number(out + n, record->distance);
    else if (record->kind != TRACE_RECORD_MARK) n += trace_encode_address(encoder, out + n, record->address);
    if (!frees && record->kind != TRACE_RECORD_MARK) n += trace_put_number(out + n, record->size);
    if (record->tag != TRACE_NO_STRING) n += trace_put_number(out + n, record->tag);
    if (record->site != TRACE_NO_STRING) n += trace_put_number(out + n, record->site);
    if (aligned) out[n++] = record->alignment_log2;
    return n;
}

static inline size_t trace_encode_property(uint8_t *out, trace_property property, uint64_t value) {
    size_t n = 0;
    out[n++] = TRACE_RECORD_PROPERTY;
    n += trace_put_number(out + n, property);
    return n + trace_put_number(out + n, value);
}

/* The last record of a file whose recorder came to its end. */
static inline size_t trace_encode_end(uint8_t *out) {
    out[0] = TRACE_RECORD_END;
    return 1;
}

#endif
