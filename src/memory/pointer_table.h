/* What is known of a pointer, for those who hand out plain pointers: a hash table with linear probing, never more than half full. Looking
 * a pointer up reads the table alone, whatever the pointer is. Not locked. */
#ifndef MEMORY_POINTER_TABLE_H
#define MEMORY_POINTER_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct pointer_entry {
    uintptr_t key; /* 0: none */
    void *value;
} pointer_entry;

typedef struct pointer_table {
    pointer_entry *entries;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
    unsigned shift; /* of the hash, so that it is below the capacity */
} pointer_table;

static inline size_t pointer_table_place(const pointer_table *table, uintptr_t key) {
    return (size_t)((uint64_t)key * UINT64_C(0x9E3779B97F4A7C15) >> table->shift);
}

/* The value of the pointer, or NULL. */
static inline void *pointer_table_find(const pointer_table *table, const void *pointer) {
    uintptr_t key = (uintptr_t)pointer;
    if (table->count == 0 || key == 0) return NULL;
    size_t i = pointer_table_place(table, key);
    while (table->entries[i].key != key) {
        if (table->entries[i].key == 0) return NULL;
        i = (i + 1) & (table->capacity - 1);
    }
    return table->entries[i].value;
}

/* Adds a pointer that is not there, with a value that is not NULL. False when there is no host memory. */
bool pointer_table_insert(pointer_table *table, const void *pointer, void *value);
/* Takes the pointer out and returns its value, or NULL. */
void *pointer_table_remove(pointer_table *table, const void *pointer);
/* Frees the table; it is empty then. */
void pointer_table_end(pointer_table *table);

#endif
