/* Earlier forms of functions, for programs compiled against an earlier version; cuda.h of version 13 hides these names. */
#ifndef FAKECUDA_PROTOTYPES_OLD_H
#define FAKECUDA_PROTOTYPES_OLD_H

#pragma GCC visibility push(default)

CUresult cuGetProcAddress(const char *name, void **function, int version, cuuint64_t flags);
CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice ordinal);
CUresult cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end);
CUresult cuStreamGetCaptureInfo_v2(CUstream handle, CUstreamCaptureStatus *status, cuuint64_t *id, CUgraph *graph,
                                   const CUgraphNode **nodes, size_t *count);
CUresult cuStreamUpdateCaptureDependencies(CUstream handle, CUgraphNode *nodes, size_t count, unsigned int flags);
CUresult cuGraphAddDependencies(CUgraph handle, const CUgraphNode *from, const CUgraphNode *to, size_t count);
CUresult cuGraphNodeGetDependencies(CUgraphNode handle, CUgraphNode *nodes, size_t *count);

#pragma GCC visibility pop

#endif
