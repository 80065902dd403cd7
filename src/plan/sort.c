/* A stable sort by 64-bit keys: digit by digit from the lowest (radix sort), leaving out the digits in which all keys agree, which
 * for sizes and times are most. Few items are inserted one by one. */
#include "plan/sort.h"

#include <string.h>

#define DIGIT_BITS 11
#define DIGIT_VALUES (1u << DIGIT_BITS)
/* Below this, counting digits costs more than it saves. */
#define FEW 96

static void insert_each(plan_keyed *keyed, size_t count) {
    for (size_t i = 1; i < count; i++) {
        plan_keyed moving = keyed[i];
        size_t place = i;
        for (; place > 0 && keyed[place - 1].key > moving.key; place--) keyed[place] = keyed[place - 1];
        keyed[place] = moving;
    }
}

void plan_sort(plan_keyed *keyed, plan_keyed *scratch, size_t count) {
    if (count <= FEW) {
        insert_each(keyed, count);
        return;
    }
    uint64_t differing = 0;
    for (size_t i = 1; i < count; i++) differing |= keyed[i].key ^ keyed[0].key;
    plan_keyed *from = keyed, *to = scratch;
    for (unsigned shift = 0; shift < 64; shift += DIGIT_BITS) {
        if (((differing >> shift) & (DIGIT_VALUES - 1)) == 0) continue;
        size_t starts[DIGIT_VALUES] = {0};
        for (size_t i = 0; i < count; i++) starts[(from[i].key >> shift) & (DIGIT_VALUES - 1)]++;
        size_t start = 0;
        for (unsigned digit = 0; digit < DIGIT_VALUES; digit++) {
            size_t many = starts[digit];
            starts[digit] = start;
            start += many;
        }
        for (size_t i = 0; i < count; i++) to[starts[(from[i].key >> shift) & (DIGIT_VALUES - 1)]++] = from[i];
        plan_keyed *swapped = from;
        from = to;
        to = swapped;
    }
    if (from != keyed) memcpy(keyed, from, count * sizeof *keyed);
}
