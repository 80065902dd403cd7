/* Open addressing, one entry after the other; at most half of the entries are taken. */
#include "expr/table.h"

#include "base/memory.h"

static size_t next_place(const expr_table *table, size_t place) { return (place + 1) & (table->capacity - 1); }

bool expr_table_find(const expr_table *table, uint64_t hash, bool (*is_equal)(const void *context, uint32_t number),
                     const void *context, uint32_t *out_number) {
    if (table->capacity == 0) return false;
    for (size_t i = hash & (table->capacity - 1); table->entries[i].number != 0; i = next_place(table, i)) {
        const expr_entry *entry = &table->entries[i];
        if (entry->hash != hash || !is_equal(context, entry->number - 1)) continue;
        *out_number = entry->number - 1;
        return true;
    }
    return false;
}

static void put(expr_table *table, expr_entry entry) {
    size_t i = entry.hash & (table->capacity - 1);
    while (table->entries[i].number != 0) i = next_place(table, i);
    table->entries[i] = entry;
}

bool expr_table_add(expr_table *table, uint64_t hash, uint32_t number) {
    if (table->count * 2 >= table->capacity) {
        expr_table grown = {.capacity = table->capacity == 0 ? 64 : table->capacity * 2, .count = table->count};
        grown.entries = base_allocate(grown.capacity, sizeof *grown.entries);
        if (grown.entries == NULL) return false;
        for (size_t i = 0; i < table->capacity; i++)
            if (table->entries[i].number != 0) put(&grown, table->entries[i]);
        base_free(table->entries);
        *table = grown;
    }
    put(table, (expr_entry){.hash = hash, .number = number + 1});
    table->count++;
    return true;
}

void expr_table_free(expr_table *table) {
    base_free(table->entries);
    *table = (expr_table){0};
}
