/* Orders of preference for the search: by measures that have proved good, the more at random the longer the search goes on. */
#ifndef PLAN_SEARCH_ORDER_H
#define PLAN_SEARCH_ORDER_H

#include "plan/problem.h"
#include "plan/sort.h"

/* What makes orders, for one thread. */
typedef struct plan_search_orders {
    const plan_section *section;
    uint64_t *load; /* of each buffer, the most bytes that live with it */
    uint64_t random;
    plan_keyed *keyed, *scratch;
    uint32_t *order; /* the last that was made */
} plan_search_orders;

/* The same seed gives the same orders. OUT_OF_MEMORY; there is nothing to end then. */
tarn_status plan_search_orders_begin(plan_search_orders *orders, const plan_section *section, uint64_t seed);
void plan_search_orders_end(plan_search_orders *orders);

/* Makes the order of an attempt, counted from 0; `orders->order` until the next. The first few attempts are not random. */
void plan_search_orders_make(plan_search_orders *orders, uint64_t attempt);

#endif
