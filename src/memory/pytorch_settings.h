/* The settings of PyTorch's allocator, under its own names and with its own limits, and what they say about a single
 * request: the size that it is rounded to, the pool that serves it, the segment that is taken for it. */
#ifndef MEMORY_PYTORCH_SETTINGS_H
#define MEMORY_PYTORCH_SETTINGS_H

#include "memory/strategy.h"

#define PYTORCH_MIB ((size_t)1 << 20)
/* Blocks are multiples of this. */
#define PYTORCH_SMALLEST ((size_t)512)
/* Up to here a request is small. */
#define PYTORCH_SMALL PYTORCH_MIB
#define PYTORCH_SMALL_SEGMENT (2 * PYTORCH_MIB)
/* From here on a request has a segment of its own, a multiple of the second number. */
#define PYTORCH_OWN_SEGMENT (10 * PYTORCH_MIB)
#define PYTORCH_OWN_SEGMENT_UNIT (2 * PYTORCH_MIB)

enum { PYTORCH_INTERVALS = 16 };

typedef struct pytorch_settings {
    size_t max_split_size;         /* bytes: blocks from here on are not split; SIZE_MAX: all may be */
    size_t max_non_split_rounding; /* bytes that such a block may be larger than the request */
    size_t large_segment_size;     /* bytes */
    /* Steps between one power of two and the next that sizes are rounded up to, for sizes from 1 MiB · 2^i on (the first one also
     * for smaller sizes, the last one for larger ones); up to 1: no such rounding. */
    size_t divisions[PYTORCH_INTERVALS];
    double collection_threshold; /* part of the limit above which old cached segments are given back; 0: never */
    double memory_fraction;      /* of the device's memory that may be reserved; 1: no limit */
    bool is_expandable;
    bool releases_lock; /* while the driver allocates a segment */
    bool keeps;         /* what is cached goes back only when the caller says so */
    bool is_whole;      /* blocks are segments: none is split */
} pytorch_settings;

/* Reads the arguments of a spec, refuses what PyTorch would refuse, and fills in its defaults. */
tarn_status pytorch_settings_read(memory_arguments *arguments, pytorch_settings *out_settings);

/* The size of the block that a request of `size` bytes asks for; false when it does not fit. `unit` is the smallest block,
 * a power of two. */
bool pytorch_round(const pytorch_settings *settings, size_t size, size_t unit, size_t *out_rounded);

/* What is asked of the driver for a block of that size. */
bool pytorch_segment_size(const pytorch_settings *settings, size_t size, size_t *out_size);

#endif
