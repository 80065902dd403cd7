/* The driver's results as its documentation numbers them, each with its name and a sentence of our own: one list, from which the
 * enumeration, the names and the comparison with the vendor's header are made. */
#ifndef FAKECUDA_ERRORS_H
#define FAKECUDA_ERRORS_H

#define FAKECUDA_ERRORS(X)                                                                                         \
    X(CUDA_SUCCESS, 0, "no error")                                                                                 \
    X(CUDA_ERROR_INVALID_VALUE, 1, "an argument is not acceptable")                                                \
    X(CUDA_ERROR_OUT_OF_MEMORY, 2, "out of memory")                                                                \
    X(CUDA_ERROR_NOT_INITIALIZED, 3, "the driver is not initialized")                                              \
    X(CUDA_ERROR_DEINITIALIZED, 4, "the driver is shutting down")                                                  \
    X(CUDA_ERROR_STUB_LIBRARY, 34, "the library is a stub")                                                        \
    X(CUDA_ERROR_CALL_REQUIRES_NEWER_DRIVER, 36, "the call needs a newer driver")                                  \
    X(CUDA_ERROR_DEVICE_UNAVAILABLE, 46, "the device is busy or unavailable")                                      \
    X(CUDA_ERROR_NO_DEVICE, 100, "no device")                                                                      \
    X(CUDA_ERROR_INVALID_DEVICE, 101, "no such device")                                                            \
    X(CUDA_ERROR_INVALID_IMAGE, 200, "the image of kernels is not valid")                                          \
    X(CUDA_ERROR_INVALID_CONTEXT, 201, "no context, or one that is not valid")                                     \
    X(CUDA_ERROR_MAP_FAILED, 205, "mapping failed")                                                                \
    X(CUDA_ERROR_UNMAP_FAILED, 206, "unmapping failed")                                                            \
    X(CUDA_ERROR_ALREADY_MAPPED, 208, "already mapped")                                                            \
    X(CUDA_ERROR_NO_BINARY_FOR_GPU, 209, "the image has no kernels for this device")                               \
    X(CUDA_ERROR_ALREADY_ACQUIRED, 210, "already acquired")                                                        \
    X(CUDA_ERROR_NOT_MAPPED, 211, "not mapped")                                                                    \
    X(CUDA_ERROR_ECC_UNCORRECTABLE, 214, "memory error that could not be corrected")                               \
    X(CUDA_ERROR_UNSUPPORTED_LIMIT, 215, "no such limit")                                                          \
    X(CUDA_ERROR_PEER_ACCESS_UNSUPPORTED, 217, "the devices cannot reach each other's memory")                     \
    X(CUDA_ERROR_INVALID_PTX, 218, "the assembly did not compile")                                                 \
    X(CUDA_ERROR_NVLINK_UNCORRECTABLE, 220, "link error that could not be corrected")                              \
    X(CUDA_ERROR_UNSUPPORTED_PTX_VERSION, 222, "the assembly is of a later version")                               \
    X(CUDA_ERROR_INVALID_SOURCE, 300, "the source of kernels is not valid")                                        \
    X(CUDA_ERROR_FILE_NOT_FOUND, 301, "file not found")                                                            \
    X(CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND, 302, "symbol not found in a shared object")                       \
    X(CUDA_ERROR_SHARED_OBJECT_INIT_FAILED, 303, "a shared object did not start")                                  \
    X(CUDA_ERROR_OPERATING_SYSTEM, 304, "a system call failed")                                                    \
    X(CUDA_ERROR_INVALID_HANDLE, 400, "the handle is not valid")                                                   \
    X(CUDA_ERROR_ILLEGAL_STATE, 401, "not in a state that allows this")                                            \
    X(CUDA_ERROR_LOSSY_QUERY, 402, "the answer would be incomplete")                                               \
    X(CUDA_ERROR_NOT_FOUND, 500, "not found")                                                                      \
    X(CUDA_ERROR_NOT_READY, 600, "not ready")                                                                      \
    X(CUDA_ERROR_ILLEGAL_ADDRESS, 700, "an address that is not accessible was used")                               \
    X(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, 701, "too many resources asked for a launch")                            \
    X(CUDA_ERROR_LAUNCH_TIMEOUT, 702, "a launch took too long")                                                    \
    X(CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED, 704, "access to that device is enabled already")                     \
    X(CUDA_ERROR_PEER_ACCESS_NOT_ENABLED, 705, "access to that device is not enabled")                             \
    X(CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE, 708, "the primary context is in use")                                     \
    X(CUDA_ERROR_CONTEXT_IS_DESTROYED, 709, "the context is destroyed")                                            \
    X(CUDA_ERROR_ASSERT, 710, "an assertion failed on the device")                                                 \
    X(CUDA_ERROR_TOO_MANY_PEERS, 711, "too many peers")                                                            \
    X(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED, 712, "the host memory is registered already")                     \
    X(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, 713, "the host memory is not registered")                             \
    X(CUDA_ERROR_HARDWARE_STACK_ERROR, 714, "the device's stack is broken")                                        \
    X(CUDA_ERROR_ILLEGAL_INSTRUCTION, 715, "an instruction is not valid")                                          \
    X(CUDA_ERROR_MISALIGNED_ADDRESS, 716, "an address is not aligned")                                             \
    X(CUDA_ERROR_INVALID_ADDRESS_SPACE, 717, "an address is of the wrong space")                                   \
    X(CUDA_ERROR_INVALID_PC, 718, "the program counter left the program")                                          \
    X(CUDA_ERROR_LAUNCH_FAILED, 719, "a launch failed")                                                            \
    X(CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE, 720, "the cooperative launch is too large")                         \
    X(CUDA_ERROR_NOT_PERMITTED, 800, "not permitted")                                                              \
    X(CUDA_ERROR_NOT_SUPPORTED, 801, "not supported")                                                              \
    X(CUDA_ERROR_SYSTEM_NOT_READY, 802, "the system is not ready")                                                 \
    X(CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, 803, "the driver and its library differ in version")                      \
    X(CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE, 804, "the device does not support the compatible driver")         \
    X(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, 900, "not permitted while a stream is capturing")                     \
    X(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, 901, "the capture was invalidated by an earlier error")               \
    X(CUDA_ERROR_STREAM_CAPTURE_MERGE, 902, "two captures would be merged")                                        \
    X(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, 903, "the capture was not begun on this stream")                        \
    X(CUDA_ERROR_STREAM_CAPTURE_UNJOINED, 904, "a forked stream was not joined to the one that began the capture") \
    X(CUDA_ERROR_STREAM_CAPTURE_ISOLATION, 905, "a captured dependency on work that is not captured")              \
    X(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, 906, "an implicit dependency of a captured stream on the legacy stream") \
    X(CUDA_ERROR_CAPTURED_EVENT, 907, "the event was last recorded in a capture")                                  \
    X(CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD, 908, "the capture was begun by another thread")                      \
    X(CUDA_ERROR_TIMEOUT, 909, "it took too long")                                                                 \
    X(CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE, 910, "the executable graph cannot be updated so")                      \
    X(CUDA_ERROR_EXTERNAL_DEVICE, 911, "another device failed")                                                    \
    X(CUDA_ERROR_UNKNOWN, 999, "unknown error")

#endif
