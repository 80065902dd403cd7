/* Load: how many bytes live in each slot. */
#ifndef PLAN_LOAD_H
#define PLAN_LOAD_H

#include "plan/problem.h"

/* Writes the bytes that live in each slot of the section. */
void plan_load(const plan_section *section, uint64_t *out_load);

/* Writes, for each buffer, the most bytes that live in one of its slots. OUT_OF_MEMORY. */
tarn_status plan_load_around(const plan_section *section, uint64_t *out_load);

#endif
