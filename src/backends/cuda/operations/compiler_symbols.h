/* The functions of NVRTC that Tarn calls: COMPILER_SYMBOL(name, parameters). The only place that knows their names. */
COMPILER_SYMBOL(nvrtcVersion, (int *out_major, int *out_minor))
COMPILER_SYMBOL(nvrtcGetNumSupportedArchs, (int *out_count))
COMPILER_SYMBOL(nvrtcGetSupportedArchs, (int *out_architectures))
COMPILER_SYMBOL(nvrtcCreateProgram, (compiler_program * out_program, const char *text, const char *name,
                                     int header_count, const char *const *headers, const char *const *names))
COMPILER_SYMBOL(nvrtcDestroyProgram, (compiler_program * program))
COMPILER_SYMBOL(nvrtcCompileProgram, (compiler_program program, int option_count, const char *const *options))
COMPILER_SYMBOL(nvrtcGetCUBINSize, (compiler_program program, size_t *out_size))
COMPILER_SYMBOL(nvrtcGetCUBIN, (compiler_program program, char *out_bytes))
COMPILER_SYMBOL(nvrtcGetProgramLogSize, (compiler_program program, size_t *out_size))
COMPILER_SYMBOL(nvrtcGetProgramLog, (compiler_program program, char *out_log))
