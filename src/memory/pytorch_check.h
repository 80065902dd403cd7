#ifndef MEMORY_PYTORCH_CHECK_H
#define MEMORY_PYTORCH_CHECK_H

#include "memory/pytorch_types.h"

/* INTERNAL with the first invariant that is broken. The lock is held. */
tarn_status pytorch_check_all(const pytorch *owner);

#endif
