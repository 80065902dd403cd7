/* The adaptors that stand before a strategy and need nothing but the element below. */
#ifndef MEMORY_ADAPTORS_H
#define MEMORY_ADAPTORS_H

#include "memory/strategy.h"

/* limit:SIZE refuses what would bring the bytes in use above SIZE. */
extern const memory_strategy limit_adaptor;
/* fail:[at=N][,every=K][,count=M][,status=NAME] fails allocations on schedule. */
extern const memory_strategy fail_adaptor;
/* track[:frames=N] tells who holds memory. */
extern const memory_strategy track_adaptor;
/* guard finds writes beside buffers and after their free. */
extern const memory_strategy guard_adaptor;
/* fallback:SPEC asks a second allocator when the one below has no more. */
extern const memory_strategy fallback_adaptor;
/* graph_switch takes memory from a graph pool while graph mode is on. */
extern const memory_strategy graph_switch_adaptor;

#endif
