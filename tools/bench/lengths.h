/* Lengths as they occur: the paragraphs of real texts, from traces/licence-paragraphs.txt. */
#ifndef BENCH_LENGTHS_H
#define BENCH_LENGTHS_H

#include <stddef.h>

typedef struct bench_text {
    const char *name;
    const int *lengths; /* of its paragraphs, in words, in their order */
    size_t count;
} bench_text;

extern const bench_text bench_texts[];
extern const size_t bench_text_count;

#endif
