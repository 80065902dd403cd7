/* What the pages have in common: their own text with data put between, long lists of numbers packed as variable-length bytes in
 * base64, and JSON in which no text can end the script element that holds it. */
#ifndef PAGE_OUTPUT_H
#define PAGE_OUTPUT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/output.h"

/* Numbers packed into base64: each takes seven bits a byte, the lowest first. */
typedef struct page_numbers {
    base_output *output;
    unsigned char group[3];
    unsigned count;
} page_numbers;

/* A script element "data-FILE-NAME-INDEX" that no browser runs. */
page_numbers page_numbers_begin(base_output *output, size_t file, const char *name, size_t index);
void page_numbers_put(page_numbers *numbers, uint64_t value);
void page_numbers_end(page_numbers *numbers);
/* 0, -1, 1, -2 … become 0, 1, 2, 3 … */
uint64_t page_folded(int64_t value);

/* A script element "CLASS-INDEX" with a JSON document, whose reference it drops. Returns other than 0 without memory. */
int page_json(base_output *output, const char *class_name, size_t index, json_t *document);

/* Copies the page up to a marker and returns what follows it. */
const char *page_put_until(base_output *output, const char *text, const char *marker);

#endif
