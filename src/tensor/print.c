/* Tensors as text, line by line as NumPy's array2string lays them out.
 *
 * Of a large tensor only the edges are shown, and only those are read: what is shown is gathered into host memory first, as a smaller
 * row-major block, and laid out from there. */
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "base/structure.h"
#include "base/text.h"
#include "hal/device.h"
#include "hal/host_copy.h"
#include "tensor/copy.h"
#include "tensor/print_format.h"

typedef struct printing {
    const tarn_tensor *tensor;
    bool is_summarised;
    int64_t edge; /* items at each end of what is summarised */
    int64_t shown[TARN_MAXIMUM_RANK];
    char *elements; /* those shown, in row-major order */
    print_format format;
    size_t line_width;
    base_text text;
    size_t line;   /* characters of the line so far, blanks to come among them */
    size_t blanks; /* at the end of the line, which go where it ends by wrapping */
    const char *next;
} printing;

/* Whether the middle of the dimension is left out. */
static bool is_cut(const printing *self, size_t dim) {
    return self->is_summarised && self->tensor->shape.dims[dim] > 2 * self->edge;
}

/* Gathering. */

/* The place along the dimension of what is shown as number `i`. */
static int64_t place_of(const printing *self, size_t dim, int64_t i) {
    bool is_behind = is_cut(self, dim) && i >= self->edge;
    return is_behind ? self->tensor->shape.dims[dim] - self->shown[dim] + i : i;
}

/* Reads the shown elements from dimension `dim` on, which begin at `from`. */
static tarn_status gather(printing *self, size_t dim, const char *from, tarn_stream *stream, char **inout_to) {
    const tarn_tensor *tensor = self->tensor;
    int64_t size = (int64_t)tarn_element_size(tensor->type), run = 1;
    bool is_last = dim + 1 >= tensor->shape.rank;
    if (dim == tensor->shape.rank) {
        tarn_status status = hal_host_read(stream, from, *inout_to, (size_t)size);
        *inout_to += size;
        return status;
    }
    tarn_status status = TARN_OK;
    for (int64_t i = 0; i < self->shown[dim] && status == TARN_OK; i += run) {
        const char *at = from + place_of(self, dim, i) * tensor->strides[dim] * size;
        if (!is_last || tensor->strides[dim] != 1) {
            status = gather(self, dim + 1, at, stream, inout_to);
            continue;
        }
        run = is_cut(self, dim) ? self->edge : self->shown[dim];
        status = hal_host_read(stream, at, *inout_to, (size_t)(run * size));
        *inout_to += run * size;
    }
    return status;
}

/* Writing. A line's blanks are held back until something follows. */

static void put(printing *self, const char *word, size_t length) {
    size_t kept = length;
    while (kept > 0 && word[kept - 1] == ' ') kept--;
    if (kept > 0) {
        base_text_put(&self->text, "%*s%.*s", (int)self->blanks, "", (int)kept, word);
        self->blanks = 0;
    }
    self->blanks += length - kept;
    self->line += length;
}

static void begin_line(printing *self, size_t lines, size_t indent) {
    for (size_t i = 0; i < lines; i++) base_text_put(&self->text, "\n");
    self->blanks = self->line = indent;
}

/* Puts a word into a row of numbers, on the next line where it does not fit into `width`. */
static void put_word(printing *self, const char *word, size_t length, size_t indent, size_t width) {
    if (self->line + length > width && self->line > indent) begin_line(self, 1, indent);
    put(self, word, length);
}

static void put_row(printing *self, size_t dim) {
    /* One character for the bracket of this row, as for those of the rows around it. */
    size_t indent = dim + 1, width = self->line_width > indent ? self->line_width - indent : 0;
    size_t size = tarn_element_size(self->tensor->type);
    for (int64_t i = 0; i < self->shown[dim]; i++, self->next += size) {
        char word[PRINT_ELEMENT_TEXT];
        if (i > 0) put(self, " ", 1);
        if (is_cut(self, dim) && i == self->edge) {
            put_word(self, "...", 3, indent, width);
            put(self, " ", 1);
        }
        int length = print_format_element(&self->format, self->next, word);
        put_word(self, word, (size_t)length, indent, width);
    }
}

static void put_rows(printing *self, size_t dim) {
    size_t rank = self->tensor->shape.rank, lines = rank - dim - 1;
    put(self, "[", 1);
    if (dim + 1 == rank) put_row(self, dim);
    for (int64_t i = 0; i < self->shown[dim] && dim + 1 < rank; i++) {
        if (i > 0) begin_line(self, lines, dim + 1);
        if (is_cut(self, dim) && i == self->edge) {
            put(self, "...", 3);
            begin_line(self, lines, dim + 1);
        }
        put_rows(self, dim + 1);
    }
    put(self, "]", 1);
}

/* Into `out_text`; what has been gathered is what is shown. */
static void write(printing *self, const tarn_print_options *options, size_t count, char *out_text, size_t capacity) {
    size_t rank = self->tensor->shape.rank;
    int precision = options->precision == 0 ? 8 : options->precision < 0 ? 0 : options->precision;
    base_text_begin(&self->text, out_text, capacity);
    if (count == 0) {
        base_text_put(&self->text, "[]");
        return;
    }
    print_format_begin(&self->format, self->tensor->type, rank == 0, precision, self->elements, count);
    self->next = self->elements;
    if (rank > 0) {
        put_rows(self, 0);
    } else {
        char word[PRINT_ELEMENT_TEXT];
        int length = print_format_element(&self->format, self->next, word);
        put(self, word, (size_t)length);
    }
}

static tarn_status read_options(const tarn_print_options *given, tarn_print_options *out_options) {
    tarn_status status = base_read_structure("tensor_to_string", given, out_options, sizeof *out_options);
    if (status != TARN_OK) return status;
    if (out_options->precision > 100) {
        return base_fail(TARN_INVALID_ARGUMENT, "tensor_to_string: %d digits after the point; there are at most 100",
                         out_options->precision);
    }
    if (out_options->threshold == 0) out_options->threshold = 1000;
    if (out_options->edge_items == 0) out_options->edge_items = 3;
    if (out_options->line_width == 0) out_options->line_width = 75;
    return TARN_OK;
}

tarn_status tarn_tensor_to_string(tarn_tensor *tensor, const tarn_print_options *options, tarn_stream *stream,
                                  char *out_text, size_t capacity, size_t *out_length) {
    tarn_print_options read;
    tarn_status status = tensor_check(tensor, "tensor_to_string", "the tensor");
    if (status == TARN_OK && (out_length == NULL || (out_text == NULL && capacity > 0))) {
        status = base_fail(TARN_INVALID_ARGUMENT, "tensor_to_string: the place for the text or its length is NULL");
    }
    if (status == TARN_OK) status = read_options(options, &read);
    if (status == TARN_OK) status = tensor_stream(tensor->storage->device, stream, &stream);
    if (status == TARN_OK) status = tensor_use(tensor, stream);
    if (status != TARN_OK) return status;
    printing self = {.tensor = tensor,
                     .is_summarised = tensor->elements > read.threshold,
                     .edge = read.edge_items < INT64_MAX / 2 ? (int64_t)read.edge_items : INT64_MAX / 2,
                     .line_width = read.line_width};
    size_t count = 1;
    for (size_t i = 0; i < tensor->shape.rank; i++) {
        self.shown[i] = is_cut(&self, i) ? 2 * self.edge : tensor->shape.dims[i];
        count = tensor->elements > 0 ? count * (size_t)self.shown[i] : 0;
    }
    self.elements = base_allocate(count, tarn_element_size(tensor->type));
    if (self.elements == NULL) {
        return base_fail(TARN_OUT_OF_MEMORY, "tensor_to_string: no host memory for %zu elements", count);
    }
    char *to = self.elements;
    if (count > 0) status = gather(&self, 0, tensor->data, stream, &to);
    if (status == TARN_OK) {
        write(&self, &read, count, out_text, capacity);
        *out_length = self.text.length;
    }
    base_free(self.elements);
    return status;
}
