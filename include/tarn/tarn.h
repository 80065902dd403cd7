/* Tarn: tensor memory for C. This header includes all the others. */
#ifndef TARN_H
#define TARN_H

#include <tarn/allocator.h>
#include <tarn/arena.h>
#include <tarn/backend.h>
#include <tarn/backend_operations.h>
#include <tarn/buffer.h>
#include <tarn/buffer_pool.h>
#include <tarn/device.h>
#include <tarn/dlpack.h>
#include <tarn/event.h>
#include <tarn/expr.h>
#include <tarn/graph.h>
#include <tarn/graph_pool.h>
#include <tarn/graph_switch.h>
#include <tarn/host_functions.h>
#include <tarn/interprocess.h>
#include <tarn/log.h>
#include <tarn/operation.h>
#include <tarn/plan.h>
#include <tarn/plan_problem.h>
#include <tarn/planned.h>
#include <tarn/pool.h>
#include <tarn/predictive.h>
#include <tarn/python.h>
#include <tarn/replay.h>
#include <tarn/report.h>
#include <tarn/shape.h>
#include <tarn/size.h>
#include <tarn/snapshot.h>
#include <tarn/stats.h>
#include <tarn/status.h>
#include <tarn/stream.h>
#include <tarn/tensor.h>
#include <tarn/trace.h>
#include <tarn/track.h>
#include <tarn/version.h>

#endif
