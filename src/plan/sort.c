/* A stable sort by 64-bit keys: digit by digit from the lowest (radix sort), leaving out the digits in which all keys agree, which
 * for sizes and times are most. Few items are inserted one by one. */
#include "plan/sort.h"

#include <string.h>

/* Digits of many values need fewer rounds, and more time for each: they are for many items. */
#define DIGIT_BITS 11
#define SMALL_DIGIT_BITS 8
#define MANY 3000
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
    const unsigned bits = count < MANY ? SMALL_DIGIT_BITS : DIGIT_BITS;
    const uint64_t mask = ((uint64_t)1 << bits) - 1;
    plan_keyed *from = keyed, *to = scratch;
    for (unsigned shift = 0; shift < 64; shift += bits) {
        if (((differing >> shift) & mask) == 0) continue;
        size_t starts[1u << DIGIT_BITS];
        memset(starts, 0, (mask + 1) * sizeof *starts);
        for (size_t i = 0; i < count; i++) starts[(from[i].key >> shift) & mask]++;
        size_t start = 0;
        for (size_t digit = 0; digit <= mask; digit++) {
            size_t many = starts[digit];
            starts[digit] = start;
            start += many;
        }
        for (size_t i = 0; i < count; i++) to[starts[(from[i].key >> shift) & mask]++] = from[i];
        plan_keyed *swapped = from;
        from = to;
        to = swapped;
    }
    if (from != keyed) memcpy(keyed, from, count * sizeof *keyed);
}
