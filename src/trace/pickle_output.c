/* Pickles, written: see pickle_output.h. */
#include "pickle_output.h"

#include <string.h>

#include "pickle_opcodes.h"

static const size_t batch_size = 1000;

static void put_byte(base_output *output, int byte) {
    uint8_t one = (uint8_t)byte;
    base_output_bytes(output, &one, 1);
}

static void put_little_endian(base_output *output, uint64_t value, unsigned width) {
    uint8_t bytes[8];
    for (unsigned i = 0; i < width; i++) bytes[i] = (uint8_t)(value >> (8 * i));
    base_output_bytes(output, bytes, width);
}

void pickle_put_begin(base_output *output) {
    put_byte(output, OP_PROTO);
    put_byte(output, 2);
}

void pickle_put_end(base_output *output) { put_byte(output, OP_STOP); }

void pickle_put_number(base_output *output, uint64_t value) {
    if (value < 0x100) {
        put_byte(output, OP_BININT1);
        put_little_endian(output, value, 1);
    } else if (value < 0x80000000) {
        put_byte(output, OP_BININT);
        put_little_endian(output, value, 4);
    } else {
        /* As many bytes as leave the last one's top bit, the sign, clear: 5 to 9. */
        unsigned width = (64u - (unsigned)__builtin_clzll(value)) / 8 + 1;
        put_byte(output, OP_LONG1);
        put_byte(output, (int)width);
        put_little_endian(output, value, width < 8 ? width : 8);
        if (width > 8) put_byte(output, 0);
    }
}

void pickle_put_boolean(base_output *output, bool value) { put_byte(output, value ? OP_NEWTRUE : OP_NEWFALSE); }

void pickle_put_text(base_output *output, const char *text, size_t length) {
    put_byte(output, OP_BINUNICODE);
    put_little_endian(output, length, 4);
    base_output_bytes(output, text, length);
}

void pickle_put_name(base_output *output, const char *name) { pickle_put_text(output, name, strlen(name)); }

void pickle_put_pair(base_output *output) { put_byte(output, OP_TUPLE2); }

void pickle_put_dict(base_output *output) {
    put_byte(output, OP_EMPTY_DICT);
    put_byte(output, OP_MARK);
}

void pickle_end_dict(base_output *output) { put_byte(output, OP_SETITEMS); }

void pickle_put_number_field(base_output *output, const char *name, uint64_t value) {
    pickle_put_name(output, name);
    pickle_put_number(output, value);
}

void pickle_put_text_field(base_output *output, const char *name, const char *value) {
    pickle_put_name(output, name);
    pickle_put_name(output, value);
}

void pickle_put_list(base_output *output, pickle_list *list) {
    *list = (pickle_list){0};
    put_byte(output, OP_EMPTY_LIST);
    put_byte(output, OP_MARK);
}

void pickle_put_next(base_output *output, pickle_list *list) {
    if (list->count == batch_size) {
        put_byte(output, OP_APPENDS);
        put_byte(output, OP_MARK);
        list->count = 0;
    }
    list->count++;
}

void pickle_end_list(base_output *output, pickle_list *list) {
    put_byte(output, OP_APPENDS);
    list->count = 0;
}
