/* The memo of the pickle machine: an array, since picklers number from 0 without gaps.
 *
 * Most of what a pickler remembers is never named again, so a value is kept in six bytes: its type and the caller's
 * kind, and forty bits that find the rest: of a text, where its instruction is in the file; of a container, the
 * first number that the caller gave it. Numbers are not kept, since no pickler shares them. */
#include "base/memory.h"
#include "base/status.h"
#include "pickle_machine.h"
#include "pickle_opcodes.h"

/* A number may be so far beyond the count of numbers used: room for picklers that leave gaps, none for a file that
 * names one huge number. */
static const uint64_t slack = 4096;
/* Snapshots have one number for 17 to 21 bytes; a file of nothing but containers has one for each 2. */
static const uint64_t bytes_for_each = 8;

enum { taken = 0x80 }; /* beside the type; the kind has a byte of its own with four bits of the rest */

static const uint64_t rest_limit = UINT64_C(1) << 36;

/* A word is the type and `taken` in its first byte, then the kind in four bits and the rest in 36. */
static void store(uint8_t *word, pickle_value value, uint64_t rest) {
    word[0] = (uint8_t)(taken | value.type);
    word[1] = (uint8_t)((unsigned)value.kind << 4 | (unsigned)(rest >> 32 & 15));
    uint32_t low = (uint32_t)rest;
    memcpy(word + 2, &low, sizeof low);
}

static uint64_t rest_of(const uint8_t *word) {
    uint32_t low;
    memcpy(&low, word + 2, sizeof low);
    return (uint64_t)(word[1] & 15) << 32 | low;
}

static tarn_status make_room(pickle_machine *m, uint64_t number) {
    size_t wanted = (size_t)number + 1, capacity = m->memo_capacity + m->memo_capacity / 2;
    if (wanted <= m->memo_capacity) return TARN_OK;
    if (capacity < wanted) capacity = wanted;
    if (capacity < 256) capacity = 256;
    uint8_t *memo = base_reallocate(m->memo, capacity, pickle_memo_bytes);
    if (memo == NULL) return pickle_no_memory(m);
    m->memo = memo;
    m->memo_capacity = capacity;
    return TARN_OK;
}

/* Where the top value can be found again; 0 where it cannot. */
static uint64_t rest_to_keep(const pickle_machine *m, const pickle_value *top) {
    if (top->type >= PICKLE_LIST) return top->is.range.first;
    if (top->type == PICKLE_BOOLEAN) return top->is.boolean;
    if (top->type != PICKLE_TEXT && top->type != PICKLE_BYTES) return 0;
    /* Only of the newest text it is known where it was read, and no pickler remembers another. */
    return top->is.text == m->text ? m->text_at : 0;
}

tarn_status pickle_memo_put(pickle_machine *m, uint64_t number) {
    if (pickle_available(m) == 0) return pickle_corrupt(m, "nothing to remember");
    if (number > m->memo_count + slack)
        return base_fail(TARN_CORRUPT_DATA, "%s: byte %zu: memo number %llu, after only %llu of them", m->input->path,
                         m->opcode, (unsigned long long)number, (unsigned long long)m->memo_count);
    if (m->memo_count > m->input->size / bytes_for_each + slack)
        return base_fail(TARN_CORRUPT_DATA, "%s: byte %zu: %llu values to remember are too many for %zu bytes",
                         m->input->path, m->opcode, (unsigned long long)m->memo_count, m->input->size);
    tarn_status status = make_room(m, number);
    if (status != TARN_OK) return status;
    /* Numbers that were left out were never set. */
    if (number > m->memo_end)
        memset(m->memo + m->memo_end * pickle_memo_bytes, 0, (size_t)(number - m->memo_end) * pickle_memo_bytes);
    if (number >= m->memo_end) m->memo_end = (size_t)number + 1;
    pickle_value *top = &m->stack[m->stack_count - 1];
    uint64_t rest = rest_to_keep(m, top);
    store(m->memo + number * pickle_memo_bytes, *top, rest < rest_limit ? rest : 0);
    if (top->type >= PICKLE_LIST && !top->is_shared) top->memo = (uint32_t)number + 1;
    m->memo_count++;
    return TARN_OK;
}

void pickle_memo_update(pickle_machine *m, const pickle_value *container) {
    if (container->memo == 0) return;
    store(m->memo + (size_t)(container->memo - 1) * pickle_memo_bytes, *container, container->is.range.first);
}

/* The text that the instruction there pushed; its length was checked then. */
static void read_again(pickle_machine *m, size_t text_at, pickle_value *out_value) {
    const uint8_t *instruction = m->input->data + text_at;
    uint8_t opcode = instruction[0];
    unsigned width = opcode == OP_SHORT_BINUNICODE || opcode == OP_SHORT_BINSTRING || opcode == OP_SHORT_BINBYTES ? 1
                     : opcode == OP_BINUNICODE || opcode == OP_BINSTRING || opcode == OP_BINBYTES                 ? 4
                                                                                                                  : 8;
    out_value->length = (uint32_t)pickle_little(instruction + 1, width);
    out_value->is.text = (const char *)instruction + 1 + width;
    m->text = out_value->is.text;
    m->text_at = text_at;
}

tarn_status pickle_memo_get(pickle_machine *m, uint64_t number) {
    const uint8_t *word = number < m->memo_end ? m->memo + number * pickle_memo_bytes : NULL;
    if (word == NULL || (word[0] & taken) == 0)
        return base_fail(TARN_CORRUPT_DATA, "%s: byte %zu: memo number %llu was never set", m->input->path, m->opcode,
                         (unsigned long long)number);
    pickle_value value = {.type = word[0] & (taken - 1), .kind = word[1] >> 4};
    uint64_t rest = rest_of(word);
    if (value.type >= PICKLE_LIST) {
        value.is_shared = true;
        value.is.range.first = (uint32_t)rest;
        return pickle_push(m, value);
    }
    if (value.type == PICKLE_NONE || value.type == PICKLE_BOOLEAN) {
        value.is.boolean = rest != 0;
        return pickle_push(m, value);
    }
    if (rest == 0) return pickle_corrupt(m, "a value that no pickler shares is named again");
    read_again(m, (size_t)rest, &value);
    return pickle_push(m, value);
}
