/* The instructions that the pickle reader does not have, and the sentences that say so. */
#include "base/status.h"
#include "pickle_machine.h"
#include "pickle_opcodes.h"

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

tarn_status pickle_refuse(pickle_machine *m, uint8_t opcode) {
    const char *name = refused_name(opcode);
    if (name == NULL)
        return base_fail(TARN_CORRUPT_DATA, "%s: byte %zu: 0x%02x is no instruction of a pickle", m->input->path,
                         m->opcode, opcode);
    char module[48] = "", member[48] = "";
    if (opcode == OP_GLOBAL || opcode == OP_INST) {
        size_t left = m->input->size - m->at;
        if (left > 256) left = 256;
        size_t used = copy_name(m->input->data + m->at, left, module, sizeof module);
        copy_name(m->input->data + m->at + used, left - used, member, sizeof member);
    } else if (opcode == OP_STACK_GLOBAL && pickle_available(m) >= 2) {
        copy_text(m->stack[m->stack_count - 2], module, sizeof module);
        copy_text(m->stack[m->stack_count - 1], member, sizeof member);
    }
    if (module[0] != '\0')
        return base_fail(TARN_CORRUPT_DATA,
                         "%s: byte %zu: the pickle asks for %s.%s (%s); only data is read, nothing is run",
                         m->input->path, m->opcode, module, member, name);
    return base_fail(TARN_CORRUPT_DATA,
                     "%s: byte %zu: the pickle has the instruction %s; only data is read, nothing is run",
                     m->input->path, m->opcode, name);
}
