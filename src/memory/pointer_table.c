/* The slow ends of a table of pointers; see pointer_table.h. */
#include "memory/pointer_table.h"

#include "base/memory.h"

enum { LEAST_LOG2 = 6 };

static void place(pointer_table *table, pointer_entry entry) {
    size_t i = pointer_table_place(table, entry.key);
    while (table->entries[i].key != 0) i = (i + 1) & (table->capacity - 1);
    table->entries[i] = entry;
}

static bool grow(pointer_table *table) {
    unsigned log2 = table->capacity == 0 ? LEAST_LOG2 : 64 - table->shift + 1;
    pointer_table grown = {.capacity = (size_t)1 << log2, .shift = 64 - log2, .count = table->count};
    grown.entries = base_allocate(grown.capacity, sizeof *grown.entries);
    if (grown.entries == NULL) return false;
    for (size_t i = 0; i < table->capacity; i++)
        if (table->entries[i].key != 0) place(&grown, table->entries[i]);
    base_free(table->entries);
    *table = grown;
    return true;
}

bool pointer_table_insert(pointer_table *table, const void *pointer, void *value) {
    if (2 * (table->count + 1) > table->capacity && !grow(table)) return false;
    place(table, (pointer_entry){.key = (uintptr_t)pointer, .value = value});
    table->count++;
    return true;
}

void *pointer_table_remove(pointer_table *table, const void *pointer) {
    uintptr_t key = (uintptr_t)pointer;
    if (pointer_table_find(table, pointer) == NULL) return NULL;
    size_t mask = table->capacity - 1, hole = pointer_table_place(table, key);
    while (table->entries[hole].key != key) hole = (hole + 1) & mask;
    void *value = table->entries[hole].value;
    /* Entries behind the hole that belong before it move up, so that each is found from its own place without a gap. */
    for (size_t i = (hole + 1) & mask; table->entries[i].key != 0; i = (i + 1) & mask) {
        size_t home = pointer_table_place(table, table->entries[i].key);
        if (((i - home) & mask) < ((i - hole) & mask)) continue;
        table->entries[hole] = table->entries[i];
        hole = i;
    }
    table->entries[hole].key = 0;
    table->count--;
    return value;
}

void pointer_table_end(pointer_table *table) {
    base_free(table->entries);
    *table = (pointer_table){.entries = NULL};
}
