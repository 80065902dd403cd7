/* The stack machine of pickle.h.
 *
 * Values that are not yet in a container lie on one stack; MARK remembers its height on a second one. An
 * instruction that fills a container shows everything above the last mark to the sink, and drops it. */
#include "pickle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "pickle_machine.h"
#include "pickle_opcodes.h"

/* No snapshot is nested deeper than ten. */
static const size_t depth_limit = 1000;
/* Picklers fill containers a thousand items at a time; only nesting and single large tuples need more. */
static const size_t stack_limit = 1 << 18;

tarn_status pickle_no_memory(const pickle_machine *m) {
    return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory left at byte %zu of the pickle", m->input->path,
                     m->opcode);
}

tarn_status pickle_corrupt(const pickle_machine *m, const char *what) {
    return base_fail(TARN_CORRUPT_DATA, "%s: byte %zu: %s", m->input->path, m->opcode, what);
}

tarn_status pickle_truncated(const pickle_machine *m) {
    return base_fail(
        TARN_CORRUPT_DATA,
        "%s: the pickle is cut off: its instruction at byte %zu reaches past the end of the file, %zu bytes",
        m->input->path, m->opcode, m->input->size);
}

tarn_status pickle_grow_stack(pickle_machine *m) {
    if (m->stack_count >= stack_limit) return pickle_corrupt(m, "more than 262,144 values outside of any container");
    bool has_grown = trace_reserve((void **)&m->stack, &m->stack_capacity, m->stack_count, sizeof *m->stack);
    return has_grown ? TARN_OK : pickle_no_memory(m);
}

/* Values that the current instruction may take: those above the last mark. */
size_t pickle_available(const pickle_machine *m) {
    return m->stack_count - (m->mark_count == 0 ? 0 : m->marks[m->mark_count - 1]);
}

tarn_status pickle_push_integer(pickle_machine *m, int64_t integer) {
    return pickle_push(m, (pickle_value){.type = PICKLE_INTEGER, .is.integer = integer});
}

static tarn_status push_text(pickle_machine *m, pickle_type type, unsigned length_width) {
    uint64_t length = 0;
    tarn_status status = pickle_take_number(m, length_width, &length);
    if (status != TARN_OK) return status;
    const uint8_t *bytes = pickle_take(m, length);
    if (bytes == NULL)
        return base_fail(TARN_CORRUPT_DATA, "%s: byte %zu: a text of %llu bytes, but the file has only %zu more",
                         m->input->path, m->opcode, (unsigned long long)length, m->input->size - m->at);
    if (length > UINT32_MAX) return pickle_corrupt(m, "a text of 4 GiB or more");
    m->text = (const char *)bytes;
    m->text_at = (size_t)(bytes - m->input->data) - length_width - 1;
    return pickle_push(
        m, (pickle_value){.type = (uint8_t)type, .length = (uint32_t)length, .is.text = (const char *)bytes});
}

/* Shows the top `count` values to the sink, as items of the container, and drops them. The container lies outside of
 * them. */
static tarn_status fill_with_top(pickle_machine *m, pickle_value *container, size_t count) {
    if (count == 0) return TARN_OK;
    const pickle_value *items = m->stack + m->stack_count - count;
    tarn_status status = m->sink->fill(m->sink->context, container, items, count);
    if (status != TARN_OK) return status;
    m->stack_count -= count;
    uint32_t added = (uint32_t)count; /* at most stack_limit */
    container->length = container->length > UINT32_MAX - added ? UINT32_MAX : container->length + added;
    pickle_memo_update(m, container);
    return TARN_OK;
}

/* A new container of the top `count` values, in their place. */
static tarn_status push_container(pickle_machine *m, pickle_type type, size_t count) {
    pickle_value container = {.type = (uint8_t)type};
    tarn_status status = fill_with_top(m, &container, count);
    return status == TARN_OK ? pickle_push(m, container) : status;
}

static tarn_status push_mark(pickle_machine *m) {
    if (m->mark_count == depth_limit) return pickle_corrupt(m, "containers nested deeper than 1,000");
    if (!trace_reserve((void **)&m->marks, &m->mark_capacity, m->mark_count, sizeof *m->marks))
        return pickle_no_memory(m);
    m->marks[m->mark_count++] = m->stack_count;
    return TARN_OK;
}

/* Takes the last mark away and tells how many values lie above it. */
static tarn_status pop_mark(pickle_machine *m, size_t *out_count) {
    if (m->mark_count == 0) return pickle_corrupt(m, "an instruction that needs a mark, and there is none");
    *out_count = pickle_available(m);
    m->mark_count--;
    return TARN_OK;
}

static tarn_status container_of_marked(pickle_machine *m, pickle_type type) {
    size_t count = 0;
    tarn_status status = pop_mark(m, &count);
    if (status != TARN_OK) return status;
    if (type == PICKLE_DICT && count % 2 != 0) return pickle_corrupt(m, "a dict whose last key has no value");
    return push_container(m, type, count);
}

static tarn_status container_of_top(pickle_machine *m, pickle_type type, size_t count) {
    if (pickle_available(m) < count) return pickle_corrupt(m, "an instruction that takes more values than there are");
    return push_container(m, type, count);
}

/* Appends the top `count` values to the container that lies below them. */
static tarn_status fill(pickle_machine *m, pickle_type type, size_t count) {
    if (pickle_available(m) < count + 1)
        return pickle_corrupt(m, "an instruction that takes more values than there are");
    pickle_value *container = &m->stack[m->stack_count - count - 1];
    if (container->type != type)
        return base_fail(TARN_CORRUPT_DATA, "%s: byte %zu: items are added to %s", m->input->path, m->opcode,
                         pickle_type_name(*container));
    if (container->is_shared) return pickle_corrupt(m, "items are added to a container that is elsewhere already");
    if (type == PICKLE_DICT && count % 2 != 0) return pickle_corrupt(m, "a dict whose last key has no value");
    return fill_with_top(m, container, count);
}

static tarn_status fill_marked(pickle_machine *m, pickle_type type) {
    size_t count = 0;
    tarn_status status = pop_mark(m, &count);
    return status == TARN_OK ? fill(m, type, count) : status;
}

static tarn_status memo_instruction(pickle_machine *m, unsigned width, tarn_status (*act)(pickle_machine *, uint64_t)) {
    uint64_t number = 0;
    if (width == 0) {
        char text[pickle_number_text] = "";
        tarn_status status = pickle_take_line(m, text);
        if (status != TARN_OK) return status;
        char *end;
        errno = 0;
        number = strtoull(text, &end, 10);
        if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0)
            return pickle_corrupt(m, "a memo number that is none");
    } else {
        tarn_status status = pickle_take_number(m, width, &number);
        if (status != TARN_OK) return status;
    }
    return act(m, number);
}

static tarn_status pop(pickle_machine *m) {
    /* Python's POP takes a mark away when nothing lies above it. */
    if (pickle_available(m) > 0) m->stack_count--;
    else if (m->mark_count > 0) m->mark_count--;
    else return pickle_corrupt(m, "nothing to take away");
    return TARN_OK;
}

static tarn_status pop_marked(pickle_machine *m) {
    size_t count = 0;
    tarn_status status = pop_mark(m, &count);
    if (status == TARN_OK) m->stack_count -= count;
    return status;
}

static tarn_status duplicate(pickle_machine *m) {
    if (pickle_available(m) == 0) return pickle_corrupt(m, "nothing to duplicate");
    pickle_value value = m->stack[m->stack_count - 1];
    /* Both would be the same container; only one of them could go on being filled. */
    value.is_shared = value.type >= PICKLE_LIST;
    value.memo = 0;
    return pickle_push(m, value);
}

static tarn_status protocol(pickle_machine *m) {
    uint64_t number = 0;
    tarn_status status = pickle_take_number(m, 1, &number);
    if (status != TARN_OK) return status;
    if (number < 2 || number > 5)
        return base_fail(TARN_NOT_SUPPORTED, "%s: a pickle of protocol %llu; 2 to 5 can be read", m->input->path,
                         (unsigned long long)number);
    return TARN_OK;
}

/* A frame says how many bytes belong together. That they are there is checked, so that a cut file is told early. */
static tarn_status frame(pickle_machine *m) {
    uint64_t length = 0;
    tarn_status status = pickle_take_number(m, 8, &length);
    if (status != TARN_OK) return status;
    size_t left = m->input->size - m->at;
    if (length > left)
        return base_fail(TARN_CORRUPT_DATA,
                         "%s: the pickle is cut off: byte %zu declares a frame of %llu bytes, and %zu follow",
                         m->input->path, m->opcode, (unsigned long long)length, left);
    return TARN_OK;
}

static tarn_status step(pickle_machine *m, uint8_t opcode) {
    uint64_t number = 0;
    tarn_status status = TARN_OK;
    switch (opcode) {
    case OP_PROTO: return protocol(m);
    case OP_FRAME: return frame(m);
    case OP_MARK: return push_mark(m);
    case OP_POP: return pop(m);
    case OP_POP_MARK: return pop_marked(m);
    case OP_DUP: return duplicate(m);
    case OP_NONE: return pickle_push(m, (pickle_value){.type = PICKLE_NONE});
    case OP_NEWTRUE: return pickle_push(m, (pickle_value){.type = PICKLE_BOOLEAN, .is.boolean = true});
    case OP_NEWFALSE: return pickle_push(m, (pickle_value){.type = PICKLE_BOOLEAN, .is.boolean = false});
    case OP_BININT:
        status = pickle_take_number(m, 4, &number);
        return status == TARN_OK ? pickle_push_integer(m, (int32_t)(uint32_t)number) : status;
    case OP_BININT1:
    case OP_BININT2:
        status = pickle_take_number(m, opcode == OP_BININT1 ? 1 : 2, &number);
        return status == TARN_OK ? pickle_push_integer(m, (int64_t)number) : status;
    case OP_LONG1: return pickle_push_long(m, 1);
    case OP_LONG4: return pickle_push_long(m, 4);
    case OP_INT: return pickle_push_integer_text(m, false);
    case OP_LONG: return pickle_push_integer_text(m, true);
    case OP_FLOAT: return pickle_push_float_text(m);
    case OP_BINFLOAT: return pickle_push_float(m);
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
    case OP_PUT: return memo_instruction(m, 0, pickle_memo_put);
    case OP_BINPUT: return memo_instruction(m, 1, pickle_memo_put);
    case OP_LONG_BINPUT: return memo_instruction(m, 4, pickle_memo_put);
    case OP_MEMOIZE: return pickle_memo_put(m, m->memo_count);
    case OP_GET: return memo_instruction(m, 0, pickle_memo_get);
    case OP_BINGET: return memo_instruction(m, 1, pickle_memo_get);
    case OP_LONG_BINGET: return memo_instruction(m, 4, pickle_memo_get);
    default: return pickle_refuse(m, opcode);
    }
}

static tarn_status run(pickle_machine *m) {
    for (;;) {
        m->opcode = m->at;
        const uint8_t *opcode = pickle_take(m, 1);
        if (opcode == NULL)
            return base_fail(TARN_CORRUPT_DATA, "%s: the pickle is cut off: the file ends at byte %zu without STOP",
                             m->input->path, m->input->size);
        if (*opcode == OP_STOP) break;
        tarn_status status = step(m, *opcode);
        if (status != TARN_OK) return status;
    }
    if (m->mark_count != 0 || m->stack_count != 1)
        return base_fail(TARN_CORRUPT_DATA,
                         "%s: byte %zu: the pickle stops with %zu values and %zu open marks; one value is right",
                         m->input->path, m->opcode, m->stack_count, m->mark_count);
    return TARN_OK;
}

tarn_status pickle_run(const trace_input *input, const pickle_sink *sink, pickle_value *out_top) {
    pickle_machine m = {.input = input, .sink = sink};
    tarn_status status = run(&m);
    if (status == TARN_OK) *out_top = m.stack[0];
    base_free(m.stack);
    base_free(m.marks);
    base_free(m.memo);
    return status;
}
