/* The handwritten digits that the tool carries; README.md says where they come from. */
#ifndef WORKLOAD_DIGITS_H
#define WORKLOAD_DIGITS_H

#include "workload/step.h"

#define DIGITS_COUNT 1797
#define DIGITS_LEARNT 1500 /* the first ones; the others are for looking at what was learnt */
#define DIGITS_PIXELS 64
#define DIGITS_CLASSES 10

/* [1797, 64], from 0 to 1. */
tarn_tensor *digits_images(work_step *step);
/* [1797, 10]: 1 for the digit that it is, else 0. */
tarn_tensor *digits_labels(work_step *step);
/* Which of the digits it is, 0 to 9. */
int digits_label(size_t number);

#endif
