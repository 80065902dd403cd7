/* Orders in which to place buffers. */
#ifndef PLAN_ORDER_H
#define PLAN_ORDER_H

#include "plan/problem.h"
#include "plan/sort.h"

typedef enum plan_order {
    PLAN_ORDER_SIZE = 0, /* the largest first */
    PLAN_ORDER_AREA,     /* size times lifetime */
    PLAN_ORDER_LIFETIME, /* the longest first */
    PLAN_ORDER_LOAD,     /* where most bytes live, first */
    PLAN_ORDER_BEGIN,    /* as they are asked for */
    PLAN_ORDER_END,      /* as they are freed, from the last */
    PLAN_ORDER_COUNT
} plan_order;

/* Writes all buffers of the section in this order; those that are equal in it, the larger area first. `keyed` and `scratch`
 * have room for each; `load` has the most bytes that live together with each. */
void plan_order_make(const plan_section *section, plan_order order, const uint64_t *load, plan_keyed *keyed,
                     plan_keyed *scratch, uint32_t *out_order);

#endif
