/* The stack machine behind pickle_read, and the instructions that have files of their own. */
#ifndef TRACE_PICKLE_MACHINE_H
#define TRACE_PICKLE_MACHINE_H

#include "pickle.h"

/* The longest number that is written as text: more digits than 64 bits need, fewer than would make parsing slow. */
enum { pickle_number_text = 64 };

typedef struct pickle_machine {
    const trace_input *input;
    size_t at;     /* the next byte */
    size_t opcode; /* where the current instruction begins */
    pickle *result;
    pickle_value *stack;
    size_t stack_count, stack_capacity;
    size_t *marks;
    size_t mark_count, mark_capacity;
    pickle_value *memo;
    bool *memo_taken;
    size_t memo_capacity;
    uint64_t memo_count;
} pickle_machine;

/* Fails with CORRUPT_DATA, naming the file and the current instruction's byte. */
tarn_status pickle_corrupt(const pickle_machine *m, const char *what);
/* The same for an instruction that reaches past the end of the file. */
tarn_status pickle_truncated(const pickle_machine *m);

/* The next `count` bytes; NULL when the file ends before. */
const uint8_t *pickle_take(pickle_machine *m, uint64_t count);
/* The next little-endian number of `width` bytes. */
tarn_status pickle_take_number(pickle_machine *m, unsigned width, uint64_t *out_number);
/* The text up to the end of the line, as the oldest instructions have it. */
tarn_status pickle_take_line(pickle_machine *m, char out_text[pickle_number_text]);

tarn_status pickle_push(pickle_machine *m, pickle_value value);
tarn_status pickle_push_integer(pickle_machine *m, int64_t integer);
/* Values that the current instruction may take: those above the last mark. */
size_t pickle_available(const pickle_machine *m);

/* pickle_numbers.c: the instructions that push a number, after their opcode. */
tarn_status pickle_push_long(pickle_machine *m, unsigned length_width);
tarn_status pickle_push_integer_text(pickle_machine *m, bool is_long);
tarn_status pickle_push_float_text(pickle_machine *m);
tarn_status pickle_push_float(pickle_machine *m);

/* pickle_refuse.c: fails with CORRUPT_DATA, saying what the instruction asks for. */
tarn_status pickle_refuse(pickle_machine *m, uint8_t opcode);

#endif
