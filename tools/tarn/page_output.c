/* The parts of pages: see page_output.h. */
#include "page_output.h"

#include <string.h>

static void put_group(page_numbers *numbers) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *group = numbers->group;
    unsigned bits = (unsigned)group[0] << 16 | (unsigned)group[1] << 8 | group[2];
    char text[4] = {digits[bits >> 18], digits[bits >> 12 & 63], digits[bits >> 6 & 63], digits[bits & 63]};
    for (unsigned i = numbers->count + 1; i < 4; i++) text[i] = '=';
    base_output_bytes(numbers->output, text, sizeof text);
    numbers->count = 0;
    memset(numbers->group, 0, sizeof numbers->group);
}

void page_numbers_put(page_numbers *numbers, uint64_t value) {
    do {
        numbers->group[numbers->count++] = (unsigned char)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        if (numbers->count == 3) put_group(numbers);
        value >>= 7;
    } while (value > 0);
}

page_numbers page_numbers_begin(base_output *output, size_t file, const char *name, size_t index) {
    base_output_format(output, "<script type=\"text/plain\" id=\"data-%zu-%s-%zu\">", file, name, index);
    return (page_numbers){.output = output};
}

void page_numbers_end(page_numbers *numbers) {
    if (numbers->count > 0) put_group(numbers);
    base_output_string(numbers->output, "</script>\n");
}

uint64_t page_folded(int64_t value) { return (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0); }

/* Writes JSON so that no text in it can end the script element. */
static int put_escaped(const char *buffer, size_t size, void *context) {
    base_output *output = context;
    size_t from = 0;
    for (size_t i = 0; i < size; i++) {
        if (buffer[i] != '<') continue;
        base_output_bytes(output, buffer + from, i - from);
        base_output_string(output, "\\u003c");
        from = i + 1;
    }
    base_output_bytes(output, buffer + from, size - from);
    return 0;
}

int page_json(base_output *output, const char *class_name, size_t index, json_t *document) {
    if (document == NULL) return -1;
    base_output_format(output, "<script type=\"application/json\" class=\"%s\" id=\"%s-%zu\">", class_name, class_name,
                       index);
    int failed = json_dump_callback(document, put_escaped, output, JSON_COMPACT);
    base_output_string(output, "</script>\n");
    json_decref(document);
    return failed;
}

const char *page_put_until(base_output *output, const char *text, const char *marker) {
    const char *end = strstr(text, marker);
    if (end == NULL) end = text + strlen(text);
    base_output_bytes(output, text, (size_t)(end - text));
    return *end != '\0' ? end + strlen(marker) : end;
}
