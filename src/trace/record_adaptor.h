/* record:FILE writes every call that passes through it to a trace (docs/trace-format.md). */
#ifndef TRACE_RECORD_ADAPTOR_H
#define TRACE_RECORD_ADAPTOR_H

#include "memory/strategy.h"

extern const memory_strategy record_adaptor;

#endif
