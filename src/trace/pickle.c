/* The stack machine of pickle.h.
 *
 * Values that are not yet in a container lie on one stack; MARK remembers its height on a second one. An instruction
 * that fills a container takes everything above the last mark into a new chunk at the container's end. The memo is an array, since
 * picklers number from 0 without gaps. The memory for all of it is a small multiple of the bytes read so far. */
#include "pickle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/memory.h"
#include "base/status.h"
#include "pickle_opcodes.h"

/* A memo number may be so far beyond the count of numbers used: room for picklers that leave gaps, none for a file that names one
 * huge number. */
static const uint64_t memo_slack = 4096;
/* No snapshot is nested deeper than ten. */
static const uint32_t depth_limit = 1000;
static const size_t arena_block_size = 256 * 1024;
/* The longest number that is written as text: more digits than 64 bits need, fewer than would make parsing slow. */
enum { number_text_limit = 64 };

typedef struct arena_block {
    struct arena_block *next;
    size_t used, size;
    _Alignas(16) uint8_t bytes[];
} arena_block;

struct pickle {
    arena_block *blocks; /* the newest first */
    pickle_value top;
};

typedef struct machine {
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
} machine;

static tarn_status no_memory(const machine *m) {
    return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory left at byte %zu of the pickle", m->input->path, m->opcode);
}

static tarn_status corrupt(const machine *m, const char *what) {
    return base_fail(TARN_CORRUPT_DATA, "%s: byte %zu: %s", m->input->path, m->opcode, what);
}

static void *arena_take(machine *m, size_t size) {
    arena_block *block = m->result->blocks;
    size = round_up(size, 16);
    if (block == NULL || block->size - block->used < size) {
        size_t room = size > arena_block_size ? size : arena_block_size;
        /* A block is filled before it is read; reallocating nothing does not zero it. */
        block = base_reallocate(NULL, sizeof *block + room, 1);
        if (block == NULL) return NULL;
        *block = (arena_block){.next = m->result->blocks, .size = room};
        m->result->blocks = block;
    }
    void *memory = block->bytes + block->used;
    block->used += size;
    return memory;
}

/* The next `count` bytes; NULL when the file ends before. */
static const uint8_t *take(machine *m, uint64_t count) {
    if (count > m->input->size - m->at) return NULL;
    const uint8_t *bytes = m->input->data + m->at;
    m->at += (size_t)count;
    return bytes;
}

static tarn_status truncated(const machine *m) {
    return base_fail(TARN_CORRUPT_DATA, "%s: the pickle is cut off: its instruction at byte %zu reaches past the end of the file, %zu bytes",
                     m->input->path, m->opcode, m->input->size);
}

static tarn_status take_number(machine *m, unsigned width, uint64_t *out_number) {
    const uint8_t *bytes = take(m, width);
    if (bytes == NULL) return truncated(m);
    uint64_t number = 0;
    for (unsigned i = width; i-- > 0;) number = number << 8 | bytes[i];
    *out_number = number;
    return TARN_OK;
}

/* The text up to the end of the line, as the oldest instructions have it. */
static tarn_status take_line(machine *m, char out_text[number_text_limit]) {
    size_t left = m->input->size - m->at;
    const uint8_t *start = m->input->data + m->at;
    const uint8_t *end = left == 0 ? NULL : memchr(start, '\n', left < number_text_limit ? left : number_text_limit);
    if (end == NULL) return left < number_text_limit ? truncated(m) : corrupt(m, "a number as text of more than 63 characters");
    size_t length = (size_t)(end - start);
    memcpy(out_text, start, length);
    out_text[length] = '\0';
    if (memchr(out_text, '\0', length) != NULL) return corrupt(m, "a NUL in a number written as text");
    m->at += length + 1;
    return TARN_OK;
}

static tarn_status push(machine *m, pickle_value value) {
    if (!trace_reserve((void **)&m->stack, &m->stack_capacity, m->stack_count, sizeof *m->stack)) return no_memory(m);
    m->stack[m->stack_count++] = value;
    return TARN_OK;
}

/* Values that the current instruction may take: those above the last mark. */
static size_t available(const machine *m) {
    return m->stack_count - (m->mark_count == 0 ? 0 : m->marks[m->mark_count - 1]);
}

static tarn_status push_integer(machine *m, int64_t integer) {
    return push(m, (pickle_value){.type = PICKLE_INTEGER, .is.integer = integer});
}

static tarn_status push_text(machine *m, pickle_type type, unsigned length_width) {
    uint64_t length = 0;
    tarn_status status = take_number(m, length_width, &length);
    if (status != TARN_OK) return status;
    const uint8_t *bytes = take(m, length);
    if (bytes == NULL)
        return base_fail(TARN_CORRUPT_DATA, "%s: byte %zu: a text of %llu bytes, but the file has only %zu more", m->input->path,
                         m->opcode, (unsigned long long)length, m->input->size - m->at);
    if (length > UINT32_MAX) return corrupt(m, "a text of 4 GiB or more");
    return push(m, (pickle_value){.type = (uint8_t)type, .length = (uint32_t)length, .is.text = (const char *)bytes});
}

/* A signed little-endian number of any length. */
static tarn_status push_long(machine *m, unsigned length_width) {
    uint64_t length = 0;
    tarn_status status = take_number(m, length_width, &length);
    if (status != TARN_OK) return status;
    const uint8_t *bytes = take(m, length);
    if (bytes == NULL) return truncated(m);
    if (length == 0) return push_integer(m, 0);
    bool negative = (bytes[length - 1] & 0x80) != 0;
    uint8_t sign = negative ? 0xff : 0;
    uint64_t number = negative ? UINT64_MAX : 0;
    for (uint64_t i = length; i-- > 0;) {
        if (i >= 8 && bytes[i] != sign) return push(m, (pickle_value){.type = PICKLE_HUGE});
        if (i < 8) number = number << 8 | bytes[i];
    }
    bool top_bit = number >> 63 != 0;
    if (top_bit == negative) return push_integer(m, (int64_t)number);
    if (negative) return push(m, (pickle_value){.type = PICKLE_HUGE});
    return push(m, (pickle_value){.type = PICKLE_UNSIGNED, .is.unsigned_integer = number});
}

static tarn_status push_integer_text(machine *m, bool is_long) {
    char text[number_text_limit];
    tarn_status status = take_line(m, text);
    if (status != TARN_OK) return status;
    size_t length = strlen(text);
    if (!is_long && (strcmp(text, "00") == 0 || strcmp(text, "01") == 0))
        return push(m, (pickle_value){.type = PICKLE_BOOLEAN, .is.boolean = text[1] == '1'});
    if (is_long && length > 0 && text[length - 1] == 'L') text[--length] = '\0';
    char *end;
    errno = 0;
    long long integer = strtoll(text, &end, 10);
    if (length == 0 || *end != '\0') return corrupt(m, "a number that is none");
    if (errno == 0) return push_integer(m, integer);
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || text[0] == '-') return push(m, (pickle_value){.type = PICKLE_HUGE});
    return push(m, (pickle_value){.type = PICKLE_UNSIGNED, .is.unsigned_integer = number});
}

static tarn_status push_float_text(machine *m) {
    char text[number_text_limit];
    tarn_status status = take_line(m, text);
    if (status != TARN_OK) return status;
    char *end;
    double real = strtod(text, &end);
    if (end == text || *end != '\0') return corrupt(m, "a number that is none");
    return push(m, (pickle_value){.type = PICKLE_FLOAT, .is.real = real});
}

/* Eight bytes, the highest first. */
static tarn_status push_float(machine *m) {
    const uint8_t *bytes = take(m, 8);
    if (bytes == NULL) return truncated(m);
    uint64_t bits = 0;
    for (unsigned i = 0; i < 8; i++) bits = bits << 8 | bytes[i];
    pickle_value value = {.type = PICKLE_FLOAT};
    memcpy(&value.is.real, &bits, sizeof bits);
    return push(m, value);
}

/* Moves the top `count` values into a new chunk at the end of `object`. */
static tarn_status append_top(machine *m, pickle_object *object, size_t count) {
    if (count == 0) return TARN_OK;
    pickle_chunk *chunk = arena_take(m, sizeof *chunk + count * sizeof chunk->items[0]);
    if (chunk == NULL) return no_memory(m);
    chunk->next = NULL;
    chunk->count = count;
    const pickle_value *items = m->stack + m->stack_count - count;
    for (size_t i = 0; i < count; i++) {
        if (items[i].type >= PICKLE_LIST && items[i].is.object->depth >= object->depth) object->depth = items[i].is.object->depth + 1;
        chunk->items[i] = items[i];
    }
    if (object->depth > depth_limit)
        return base_fail(TARN_CORRUPT_DATA, "%s: byte %zu: containers nested deeper than %u", m->input->path, m->opcode, depth_limit);
    m->stack_count -= count;
    if (object->last == NULL) object->first = chunk;
    else object->last->next = chunk;
    object->last = chunk;
    object->count += count;
    return TARN_OK;
}

/* A new container of the top `count` values, in their place. */
static tarn_status push_container(machine *m, pickle_type type, size_t count) {
    pickle_object *object = arena_take(m, sizeof *object);
    if (object == NULL) return no_memory(m);
    *object = (pickle_object){.note = PICKLE_NO_NOTE};
    tarn_status status = append_top(m, object, count);
    if (status != TARN_OK) return status;
    return push(m, (pickle_value){.type = (uint8_t)type, .is.object = object});
}

static tarn_status push_mark(machine *m) {
    if (!trace_reserve((void **)&m->marks, &m->mark_capacity, m->mark_count, sizeof *m->marks)) return no_memory(m);
    m->marks[m->mark_count++] = m->stack_count;
    return TARN_OK;
}

/* Takes the last mark away and tells how many values lie above it. */
static tarn_status pop_mark(machine *m, size_t *out_count) {
    if (m->mark_count == 0) return corrupt(m, "an instruction that needs a mark, and there is none");
    *out_count = available(m);
    m->mark_count--;
    return TARN_OK;
}

static tarn_status container_of_marked(machine *m, pickle_type type) {
    size_t count = 0;
    tarn_status status = pop_mark(m, &count);
    if (status != TARN_OK) return status;
    if (type == PICKLE_DICT && count % 2 != 0) return corrupt(m, "a dict whose last key has no value");
    return push_container(m, type, count);
}

static tarn_status container_of_top(machine *m, pickle_type type, size_t count) {
    if (available(m) < count) return corrupt(m, "an instruction that takes more values than there are");
    return push_container(m, type, count);
}

/* Appends the top `count` values to the container that lies below them. */
static tarn_status fill(machine *m, pickle_type type, size_t count) {
    if (available(m) < count + 1) return corrupt(m, "an instruction that takes more values than there are");
    pickle_value container = m->stack[m->stack_count - count - 1];
    if (container.type != type)
        return base_fail(TARN_CORRUPT_DATA, "%s: byte %zu: items are added to %s", m->input->path, m->opcode,
                         pickle_type_name(container));
    if (type == PICKLE_DICT && count % 2 != 0) return corrupt(m, "a dict whose last key has no value");
    return append_top(m, container.is.object, count);
}

static tarn_status fill_marked(machine *m, pickle_type type) {
    size_t count = 0;
    tarn_status status = pop_mark(m, &count);
    return status == TARN_OK ? fill(m, type, count) : status;
}

static tarn_status memo_put(machine *m, uint64_t number) {
    if (available(m) == 0) return corrupt(m, "nothing to remember");
    if (number > m->memo_count + memo_slack)
        return base_fail(TARN_CORRUPT_DATA, "%s: byte %zu: memo number %llu, after only %llu of them", m->input->path, m->opcode,
                         (unsigned long long)number, (unsigned long long)m->memo_count);
    if (number >= m->memo_capacity) {
        size_t capacity = (size_t)(number + number / 2 + 256);
        pickle_value *memo = base_reallocate(m->memo, capacity, sizeof *memo);
        if (memo == NULL) return no_memory(m);
        m->memo = memo;
        bool *taken = base_reallocate(m->memo_taken, capacity, sizeof *taken);
        if (taken == NULL) return no_memory(m);
        m->memo_taken = taken;
        memset(taken + m->memo_capacity, 0, (capacity - m->memo_capacity) * sizeof *taken);
        m->memo_capacity = capacity;
    }
    if (!m->memo_taken[number]) m->memo_count++;
    m->memo_taken[number] = true;
    m->memo[number] = m->stack[m->stack_count - 1];
    return TARN_OK;
}

static tarn_status memo_get(machine *m, uint64_t number) {
    if (number >= m->memo_capacity || !m->memo_taken[number])
        return base_fail(TARN_CORRUPT_DATA, "%s: byte %zu: memo number %llu was never set", m->input->path, m->opcode,
                         (unsigned long long)number);
    return push(m, m->memo[number]);
}

static tarn_status memo_instruction(machine *m, unsigned width, tarn_status (*act)(machine *, uint64_t)) {
    uint64_t number = 0;
    if (width == 0) {
        char text[number_text_limit];
        tarn_status status = take_line(m, text);
        if (status != TARN_OK) return status;
        char *end;
        errno = 0;
        number = strtoull(text, &end, 10);
        if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0) return corrupt(m, "a memo number that is none");
    } else {
        tarn_status status = take_number(m, width, &number);
        if (status != TARN_OK) return status;
    }
    return act(m, number);
}

static tarn_status pop(machine *m) {
    /* Python's POP takes a mark away when nothing lies above it. */
    if (available(m) > 0) m->stack_count--;
    else if (m->mark_count > 0) m->mark_count--;
    else return corrupt(m, "nothing to take away");
    return TARN_OK;
}

static tarn_status pop_marked(machine *m) {
    size_t count = 0;
    tarn_status status = pop_mark(m, &count);
    if (status == TARN_OK) m->stack_count -= count;
    return status;
}

static tarn_status duplicate(machine *m) {
    if (available(m) == 0) return corrupt(m, "nothing to duplicate");
    return push(m, m->stack[m->stack_count - 1]);
}

static tarn_status protocol(machine *m) {
    uint64_t number = 0;
    tarn_status status = take_number(m, 1, &number);
    if (status != TARN_OK) return status;
    if (number < 2 || number > 5)
        return base_fail(TARN_NOT_SUPPORTED, "%s: a pickle of protocol %llu; 2 to 5 can be read", m->input->path,
                         (unsigned long long)number);
    return TARN_OK;
}

/* A frame says how many bytes belong together. That they are there is checked, so that a cut file is told early. */
static tarn_status frame(machine *m) {
    uint64_t length = 0;
    tarn_status status = take_number(m, 8, &length);
    if (status != TARN_OK) return status;
    size_t left = m->input->size - m->at;
    if (length > left)
        return base_fail(TARN_CORRUPT_DATA, "%s: the pickle is cut off: byte %zu declares a frame of %llu bytes, and %zu follow",
                         m->input->path, m->opcode, (unsigned long long)length, left);
    return TARN_OK;
}

static const char *refused_name(uint8_t opcode) {
    switch (opcode) {
        case OP_GLOBAL: return "GLOBAL";
        case OP_STACK_GLOBAL: return "STACK_GLOBAL";
        case OP_REDUCE: return "REDUCE";
        case OP_BUILD: return "BUILD";
        case OP_INST: return "INST";
        case OP_OBJ: return "OBJ";
        case OP_NEWOBJ: return "NEWOBJ";
        case OP_NEWOBJ_EX: return "NEWOBJ_EX";
        case OP_EXT1: return "EXT1";
        case OP_EXT2: return "EXT2";
        case OP_EXT4: return "EXT4";
        case OP_PERSID: return "PERSID";
        case OP_BINPERSID: return "BINPERSID";
        case OP_NEXT_BUFFER: return "NEXT_BUFFER";
        case OP_READONLY_BUFFER: return "READONLY_BUFFER";
        case OP_STRING: return "STRING";
        case OP_UNICODE: return "UNICODE";
        default: return NULL;
    }
}

/* One line's printable start, for sentences; returns how far it goes with its end. */
static size_t copy_name(const uint8_t *bytes, size_t left, char *out_name, size_t size) {
    size_t used = 0, i = 0;
    for (; i < left && bytes[i] != '\n'; i++)
        if (used + 1 < size) out_name[used++] = bytes[i] >= 0x20 && bytes[i] < 0x7f ? (char)bytes[i] : '?';
    out_name[used] = '\0';
    return i < left ? i + 1 : i;
}

static void copy_text(pickle_value value, char *out_name, size_t size) {
    size_t length = value.type == PICKLE_TEXT ? value.length : 0;
    copy_name(value.type == PICKLE_TEXT ? (const uint8_t *)value.is.text : NULL, length, out_name, size);
}

static tarn_status refuse(machine *m, uint8_t opcode) {
    const char *name = refused_name(opcode);
    if (name == NULL) return base_fail(TARN_CORRUPT_DATA, "%s: byte %zu: 0x%02x is no instruction of a pickle", m->input->path, m->opcode, opcode);
    char module[48] = "", member[48] = "";
    if (opcode == OP_GLOBAL || opcode == OP_INST) {
        size_t left = m->input->size - m->at;
        if (left > 256) left = 256;
        size_t used = copy_name(m->input->data + m->at, left, module, sizeof module);
        copy_name(m->input->data + m->at + used, left - used, member, sizeof member);
    } else if (opcode == OP_STACK_GLOBAL && available(m) >= 2) {
        copy_text(m->stack[m->stack_count - 2], module, sizeof module);
        copy_text(m->stack[m->stack_count - 1], member, sizeof member);
    }
    if (module[0] != '\0')
        return base_fail(TARN_CORRUPT_DATA, "%s: byte %zu: the pickle asks for %s.%s (%s); only data is read, nothing is run",
                         m->input->path, m->opcode, module, member, name);
    return base_fail(TARN_CORRUPT_DATA, "%s: byte %zu: the pickle has the instruction %s; only data is read, nothing is run",
                     m->input->path, m->opcode, name);
}

static tarn_status step(machine *m, uint8_t opcode) {
    uint64_t number = 0;
    tarn_status status = TARN_OK;
    switch (opcode) {
        case OP_PROTO: return protocol(m);
        case OP_FRAME: return frame(m);
        case OP_MARK: return push_mark(m);
        case OP_POP: return pop(m);
        case OP_POP_MARK: return pop_marked(m);
        case OP_DUP: return duplicate(m);
        case OP_NONE: return push(m, (pickle_value){.type = PICKLE_NONE});
        case OP_NEWTRUE: return push(m, (pickle_value){.type = PICKLE_BOOLEAN, .is.boolean = true});
        case OP_NEWFALSE: return push(m, (pickle_value){.type = PICKLE_BOOLEAN, .is.boolean = false});
        case OP_BININT:
            status = take_number(m, 4, &number);
            return status == TARN_OK ? push_integer(m, (int32_t)(uint32_t)number) : status;
        case OP_BININT1:
        case OP_BININT2:
            status = take_number(m, opcode == OP_BININT1 ? 1 : 2, &number);
            return status == TARN_OK ? push_integer(m, (int64_t)number) : status;
        case OP_LONG1: return push_long(m, 1);
        case OP_LONG4: return push_long(m, 4);
        case OP_INT: return push_integer_text(m, false);
        case OP_LONG: return push_integer_text(m, true);
        case OP_FLOAT: return push_float_text(m);
        case OP_BINFLOAT: return push_float(m);
        case OP_SHORT_BINUNICODE:
        case OP_SHORT_BINSTRING: return push_text(m, PICKLE_TEXT, 1);
        case OP_BINUNICODE:
        case OP_BINSTRING: return push_text(m, PICKLE_TEXT, 4);
        case OP_BINUNICODE8: return push_text(m, PICKLE_TEXT, 8);
        case OP_SHORT_BINBYTES: return push_text(m, PICKLE_BYTES, 1);
        case OP_BINBYTES: return push_text(m, PICKLE_BYTES, 4);
        case OP_BINBYTES8:
        case OP_BYTEARRAY8: return push_text(m, PICKLE_BYTES, 8);
        case OP_EMPTY_LIST: return push_container(m, PICKLE_LIST, 0);
        case OP_EMPTY_TUPLE: return push_container(m, PICKLE_TUPLE, 0);
        case OP_EMPTY_DICT: return push_container(m, PICKLE_DICT, 0);
        case OP_EMPTY_SET: return push_container(m, PICKLE_SET, 0);
        case OP_LIST: return container_of_marked(m, PICKLE_LIST);
        case OP_TUPLE: return container_of_marked(m, PICKLE_TUPLE);
        case OP_DICT: return container_of_marked(m, PICKLE_DICT);
        case OP_FROZENSET: return container_of_marked(m, PICKLE_SET);
        case OP_TUPLE1: return container_of_top(m, PICKLE_TUPLE, 1);
        case OP_TUPLE2: return container_of_top(m, PICKLE_TUPLE, 2);
        case OP_TUPLE3: return container_of_top(m, PICKLE_TUPLE, 3);
        case OP_APPEND: return fill(m, PICKLE_LIST, 1);
        case OP_SETITEM: return fill(m, PICKLE_DICT, 2);
        case OP_APPENDS: return fill_marked(m, PICKLE_LIST);
        case OP_SETITEMS: return fill_marked(m, PICKLE_DICT);
        case OP_ADDITEMS: return fill_marked(m, PICKLE_SET);
        case OP_PUT: return memo_instruction(m, 0, memo_put);
        case OP_BINPUT: return memo_instruction(m, 1, memo_put);
        case OP_LONG_BINPUT: return memo_instruction(m, 4, memo_put);
        case OP_MEMOIZE: return memo_put(m, m->memo_count);
        case OP_GET: return memo_instruction(m, 0, memo_get);
        case OP_BINGET: return memo_instruction(m, 1, memo_get);
        case OP_LONG_BINGET: return memo_instruction(m, 4, memo_get);
        default: return refuse(m, opcode);
    }
}

static tarn_status run(machine *m) {
    for (;;) {
        m->opcode = m->at;
        const uint8_t *opcode = take(m, 1);
        if (opcode == NULL)
            return base_fail(TARN_CORRUPT_DATA, "%s: the pickle is cut off: the file ends at byte %zu without STOP", m->input->path,
                             m->input->size);
        if (*opcode == OP_STOP) break;
        tarn_status status = step(m, *opcode);
        if (status != TARN_OK) return status;
    }
    if (m->mark_count != 0 || m->stack_count != 1)
        return base_fail(TARN_CORRUPT_DATA, "%s: byte %zu: the pickle stops with %zu values and %zu open marks; one value is right",
                         m->input->path, m->opcode, m->stack_count, m->mark_count);
    m->result->top = m->stack[0];
    return TARN_OK;
}

tarn_status pickle_read(const trace_input *input, pickle **out_pickle) {
    machine m = {.input = input, .result = base_allocate(1, sizeof *m.result)};
    if (m.result == NULL) return no_memory(&m);
    tarn_status status = run(&m);
    base_free(m.stack);
    base_free(m.marks);
    base_free(m.memo);
    base_free(m.memo_taken);
    if (status != TARN_OK) {
        pickle_release(m.result);
        return status;
    }
    *out_pickle = m.result;
    return TARN_OK;
}

void pickle_release(pickle *loaded) {
    if (loaded == NULL) return;
    arena_block *block = loaded->blocks;
    while (block != NULL) {
        arena_block *next = block->next;
        base_free(block);
        block = next;
    }
    base_free(loaded);
}

pickle_value pickle_top(const pickle *loaded) { return loaded->top; }

bool pickle_is_text(pickle_value value, const char *text) {
    size_t length = strlen(text);
    return value.type == PICKLE_TEXT && value.length == length && memcmp(value.is.text, text, length) == 0;
}

bool pickle_find(pickle_value dict, const char *key, pickle_value *out_value) {
    if (dict.type != PICKLE_DICT) return false;
    bool found = false;
    pickle_value name, value;
    for (pickle_cursor cursor = pickle_begin(dict); pickle_next_entry(&cursor, &name, &value);) {
        if (!pickle_is_text(name, key)) continue;
        *out_value = value;
        found = true;
    }
    return found;
}

const char *pickle_type_name(pickle_value value) {
    switch ((pickle_type)value.type) {
        case PICKLE_NONE: return "None";
        case PICKLE_BOOLEAN: return "a truth value";
        case PICKLE_INTEGER:
        case PICKLE_UNSIGNED:
        case PICKLE_HUGE: return "an integer";
        case PICKLE_FLOAT: return "a floating-point number";
        case PICKLE_TEXT: return "a text";
        case PICKLE_BYTES: return "bytes";
        case PICKLE_LIST: return "a list";
        case PICKLE_TUPLE: return "a tuple";
        case PICKLE_DICT: return "a dict";
        case PICKLE_SET: return "a set";
    }
    return "an unknown value";
}
