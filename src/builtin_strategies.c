/* The one place that lists the strategies and adaptors that a spec can name. */
#include "memory/adaptors.h"
#include "memory/arena.h"
#include "memory/caching.h"
#include "memory/cuda_async.h"
#include "memory/direct.h"
#include "memory/graph_pool.h"
#include "memory/planned.h"
#include "memory/pool.h"
#include "memory/predictive.h"
#include "memory/pytorch.h"
#include "trace/record_adaptor.h"

/* One a line. */
// clang-format off
const memory_strategy *const memory_strategies[] = {
    &direct_strategy,
    &cuda_async_strategy,
    &caching_strategy,
    &graph_strategy,
    &predictive_strategy,
    &pytorch_strategy,
    &planned_strategy,
    &pool_strategy,
    &arena_strategy,
    &limit_adaptor,
    &graph_switch_adaptor,
    &fail_adaptor,
    &track_adaptor,
    &guard_adaptor,
    &fallback_adaptor,
    &record_adaptor,
    NULL,
};
// clang-format on
