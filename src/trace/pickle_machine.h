/* The stack machine behind pickle_run, and the instructions that have files of their own. */
#ifndef TRACE_PICKLE_MACHINE_H
#define TRACE_PICKLE_MACHINE_H

#include "pickle.h"

/* The longest number that is written as text: more digits than 64 bits need, fewer than would make parsing slow. */
enum { pickle_number_text = 64 };

/* What the memo keeps of a value, and the bytes that it takes. */
enum { pickle_memo_bytes = 6 };

typedef struct pickle_machine {
    const trace_input *input;
    const pickle_sink *sink;
    size_t at;        /* the next byte */
    size_t opcode;    /* where the current instruction begins */
    const char *text; /* the newest one, and where its instruction begins */
    size_t text_at;
    pickle_value *stack;
    size_t stack_count, stack_capacity;
    size_t *marks;
    size_t mark_count, mark_capacity;
    uint8_t *memo;
    size_t memo_end, memo_capacity; /* numbers; from memo_end on none was set */
    uint64_t memo_count;            /* instructions that have put something there */
} pickle_machine;

/* Fails with CORRUPT_DATA, naming the file and the current instruction's byte. */
tarn_status pickle_corrupt(const pickle_machine *m, const char *what);
/* The same for an instruction that reaches past the end of the file. */
tarn_status pickle_truncated(const pickle_machine *m);
tarn_status pickle_no_memory(const pickle_machine *m);

/* The next `count` bytes; NULL when the file ends before. This and the following are here because a file has ten million
 * instructions. */
static inline const uint8_t *pickle_take(pickle_machine *m, uint64_t count) {
    if (count > m->input->size - m->at) return NULL;
    const uint8_t *bytes = m->input->data + m->at;
    m->at += (size_t)count;
    return bytes;
}

static inline uint64_t pickle_little(const uint8_t *bytes, unsigned width) {
    uint64_t number = 0;
    for (unsigned i = width; i-- > 0;) number = number << 8 | bytes[i];
    return number;
}

/* The next little-endian number of `width` bytes. */
static inline tarn_status pickle_take_number(pickle_machine *m, unsigned width, uint64_t *out_number) {
    const uint8_t *bytes = pickle_take(m, width);
    if (bytes == NULL) return pickle_truncated(m);
    *out_number = pickle_little(bytes, width);
    return TARN_OK;
}

/* The text up to the end of the line, as the oldest instructions have it. */
tarn_status pickle_take_line(pickle_machine *m, char out_text[pickle_number_text]);

/* Makes the stack larger. */
tarn_status pickle_grow_stack(pickle_machine *m);
static inline tarn_status pickle_push(pickle_machine *m, pickle_value value) {
    tarn_status status = m->stack_count < m->stack_capacity ? TARN_OK : pickle_grow_stack(m);
    if (status != TARN_OK) return status;
    /* Member by member: a copy as a whole would have to wait for the members' own stores. */
    pickle_value *top = &m->stack[m->stack_count++];
    top->type = value.type;
    top->kind = value.kind;
    top->is_shared = value.is_shared;
    top->length = value.length;
    top->memo = value.memo;
    top->is = value.is;
    return TARN_OK;
}
tarn_status pickle_push_integer(pickle_machine *m, int64_t integer);
/* Values that the current instruction may take: those above the last mark. */
size_t pickle_available(const pickle_machine *m);

/* pickle_memo.c: remembers the top value under a number, and pushes what is remembered there. */
tarn_status pickle_memo_put(pickle_machine *m, uint64_t number);
tarn_status pickle_memo_get(pickle_machine *m, uint64_t number);
/* Remembers what has become of a container since it was put there. */
void pickle_memo_update(pickle_machine *m, const pickle_value *container);

/* pickle_numbers.c: the instructions that push a number, after their opcode. */
tarn_status pickle_push_long(pickle_machine *m, unsigned length_width);
tarn_status pickle_push_integer_text(pickle_machine *m, bool is_long);
tarn_status pickle_push_float_text(pickle_machine *m);
tarn_status pickle_push_float(pickle_machine *m);

/* pickle_refuse.c: fails with CORRUPT_DATA, saying what the instruction asks for. */
tarn_status pickle_refuse(pickle_machine *m, uint8_t opcode);

#endif
