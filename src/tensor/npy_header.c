/* Reading the header of a .npy file: a Python dictionary, of which nothing is run. Only what NumPy writes is understood: names in
 * quotes, True and False, and tuples of numbers. */
#include "tensor/npy.h"

#include <stdint.h>
#include <string.h>

#include "base/status.h"

static const struct {
    char name[3];
    tarn_element_type type;
} types[] = {
    {"f4", TARN_ELEMENT_F32},  {"f8", TARN_ELEMENT_F64},  {"f2", TARN_ELEMENT_F16}, {"i1", TARN_ELEMENT_I8},
    {"u1", TARN_ELEMENT_U8},   {"i2", TARN_ELEMENT_I16},  {"i4", TARN_ELEMENT_I32}, {"i8", TARN_ELEMENT_I64},
    {"b1", TARN_ELEMENT_BOOL}, {"V2", TARN_ELEMENT_BF16},
};

const char *npy_type_name(tarn_element_type type) {
    size_t i = 0;
    while (types[i].type != type) i++;
    return types[i].name;
}

typedef struct parser {
    const char *path;
    const char *text;
    size_t length, at;
    npy_header header;
    unsigned seen; /* entries, by the bits below */
} parser;

enum { SEEN_TYPE = 1, SEEN_ORDER = 2, SEEN_SHAPE = 4 };

static tarn_status refuse(const parser *self, const char *wanted) {
    return base_fail(TARN_CORRUPT_DATA, "%s is no .npy file: byte %zu of its header should be %s", self->path, self->at,
                     wanted);
}

static void skip_blanks(parser *self) {
    while (self->at < self->length && strchr(" \t\r\n", self->text[self->at]) != NULL && self->text[self->at] != '\0') {
        self->at++;
    }
}

/* Takes the character, after blanks, where it is next. */
static bool take(parser *self, char wanted) {
    skip_blanks(self);
    if (self->at == self->length || self->text[self->at] != wanted) return false;
    self->at++;
    return true;
}

static bool take_word(parser *self, const char *word) {
    size_t length = strlen(word);
    skip_blanks(self);
    if (self->length - self->at < length || memcmp(self->text + self->at, word, length) != 0) return false;
    self->at += length;
    return true;
}

/* A text in quotes, without escapes. */
static tarn_status take_text(parser *self, const char **out_text, size_t *out_length) {
    skip_blanks(self);
    char quote = self->at < self->length ? self->text[self->at] : '\0';
    if (quote != '\'' && quote != '"') return refuse(self, "a quotation mark");
    const char *begin = self->text + self->at + 1;
    const char *end = memchr(begin, quote, self->length - self->at - 1);
    if (end == NULL) return refuse(self, "the end of a text");
    *out_text = begin;
    *out_length = (size_t)(end - begin);
    self->at = (size_t)(end + 1 - self->text);
    return TARN_OK;
}

/* A number of at least 0; Python 2 put an L behind long ones. */
static tarn_status take_number(parser *self, int64_t *out_number) {
    skip_blanks(self);
    int64_t number = 0;
    size_t begin = self->at;
    for (; self->at < self->length && self->text[self->at] >= '0' && self->text[self->at] <= '9'; self->at++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, self->text[self->at] - '0', &number)) {
            return refuse(self, "the end of a number below 2^63");
        }
    }
    if (self->at == begin) return refuse(self, "a number");
    if (self->at < self->length && self->text[self->at] == 'L') self->at++;
    *out_number = number;
    return TARN_OK;
}

/* "<f4", "|b1", ">i8"; "=" is the machine's own order. */
static tarn_status read_type(parser *self) {
    const char *text;
    size_t length;
    skip_blanks(self);
    if (self->at < self->length && (self->text[self->at] == '[' || self->text[self->at] == '(')) {
        return base_fail(TARN_NOT_SUPPORTED, "%s holds structures, which Tarn lacks", self->path);
    }
    tarn_status status = take_text(self, &text, &length);
    if (status != TARN_OK) return status;
    char order = length > 0 && strchr("<>|=", text[0]) != NULL && text[0] != '\0' ? text[0] : '\0';
    const char *name = order != '\0' ? text + 1 : text;
    size_t name_length = length - (order != '\0' ? 1 : 0);
    self->header.is_big_endian = order == '>' || (order != '<' && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (name_length != 2 || memcmp(name, types[i].name, 2) != 0) continue;
        self->header.type = types[i].type;
        return TARN_OK;
    }
    if (name_length == 1 && *name == '?') {
        self->header.type = TARN_ELEMENT_BOOL;
        return TARN_OK;
    }
    return base_fail(TARN_NOT_SUPPORTED, "%s holds elements of type '%.*s', which Tarn lacks", self->path,
                     length < 32 ? (int)length : 32, text);
}

static tarn_status read_order(parser *self) {
    self->header.is_fortran = take_word(self, "True");
    if (self->header.is_fortran || take_word(self, "False")) return TARN_OK;
    return refuse(self, "True or False");
}

static tarn_status read_shape(parser *self) {
    tarn_shape *shape = &self->header.shape;
    if (!take(self, '(')) return refuse(self, "'('");
    for (;;) {
        if (take(self, ')')) return TARN_OK;
        int64_t dim = 0;
        tarn_status status = take_number(self, &dim);
        if (status != TARN_OK) return status;
        if (shape->rank == TARN_MAXIMUM_RANK) {
            return base_fail(TARN_NOT_SUPPORTED, "%s has more than %d dimensions", self->path, TARN_MAXIMUM_RANK);
        }
        shape->dims[shape->rank++] = dim;
        if (take(self, ',')) continue;
        if (!take(self, ')')) return refuse(self, "',' or ')'");
        /* A number in parentheses alone is no tuple. */
        return shape->rank == 1 ? refuse(self, "',' before the parenthesis") : TARN_OK;
    }
}

static tarn_status read_entry(parser *self) {
    static const struct {
        const char *name;
        unsigned bit;
        tarn_status (*read)(parser *self);
    } entries[] = {
        {"descr", SEEN_TYPE, read_type}, {"fortran_order", SEEN_ORDER, read_order}, {"shape", SEEN_SHAPE, read_shape}};
    const char *text;
    size_t length;
    tarn_status status = take_text(self, &text, &length);
    if (status != TARN_OK) return status;
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        if (length != strlen(entries[i].name) || memcmp(text, entries[i].name, length) != 0) continue;
        if ((self->seen & entries[i].bit) != 0) return refuse(self, "another entry than before");
        self->seen |= entries[i].bit;
        return take(self, ':') ? entries[i].read(self) : refuse(self, "':'");
    }
    return refuse(self, "behind the name of an entry: descr, fortran_order or shape");
}

tarn_status npy_parse_header(const char *path, const char *text, size_t length, npy_header *out_header) {
    parser self = {.path = path, .text = text, .length = length};
    if (!take(&self, '{')) return refuse(&self, "'{'");
    bool is_ended = false;
    while (!is_ended && !take(&self, '}')) {
        tarn_status status = read_entry(&self);
        if (status != TARN_OK) return status;
        if (take(&self, ',')) continue;
        if (!take(&self, '}')) return refuse(&self, "',' or '}'");
        is_ended = true;
    }
    if (self.seen != (SEEN_TYPE | SEEN_ORDER | SEEN_SHAPE)) return refuse(&self, "behind three entries");
    skip_blanks(&self);
    if (self.at != length) return refuse(&self, "the last");
    *out_header = self.header;
    return TARN_OK;
}
