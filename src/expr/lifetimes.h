/* Memory for the intermediates of an evaluation: how long each is needed, and where it lies. */
#ifndef EXPR_LIFETIMES_H
#define EXPR_LIFETIMES_H

#include "expr/evaluation.h"

/* Lays the stored values that are no results out in one block. OUT_OF_MEMORY, LIMIT_EXCEEDED. */
tarn_status expr_lay_out_memory(tarn_evaluation *evaluation);

#endif
