# The kernels of the cpu backend: the same files once for each level of the processor's instructions, chosen among at run time. They
# are loops that compilers turn into vector instructions, which asks for -O3, in builds for debugging too.
file(GLOB kernel_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/backends/cpu/compute/level/*.c)

# No errno and no traps: a root and a comparison are then what the processor makes of them. Products and sums are fused where the code says so.
set(kernel_options -O3 -fno-math-errno -fno-trapping-math -ffp-contract=off)
set_source_files_properties(${PROJECT_SOURCE_DIR}/src/backends/cpu/compute/level/product.c PROPERTIES
    COMPILE_OPTIONS -ffp-contract=fast)
if(CMAKE_C_COMPILER_ID MATCHES "Clang")
    # It warns of loops that stay as they are, where the level or a sanitizer has them so.
    list(APPEND kernel_options -Wno-pass-failed)
endif()
set(kernel_options_portable "")
set(kernel_levels portable)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
    list(APPEND kernel_levels sse2 avx2 avx512)
    # Below SSE2, which compilers always have here, there is only one lane at a time.
    set(kernel_options_portable -fno-tree-vectorize -fno-tree-slp-vectorize)
    if(CMAKE_C_COMPILER_ID MATCHES "Clang")
        set(kernel_options_portable -fno-vectorize -fno-slp-vectorize)
    endif()
    set(kernel_options_sse2 "")
    set(kernel_options_avx2 -mavx2 -mfma)
    set(kernel_options_avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mprefer-vector-width=512)
endif()

set(kernel_objects)
foreach(level IN LISTS kernel_levels)
    add_library(tarn_kernels_${level} OBJECT ${kernel_sources})
    target_link_libraries(tarn_kernels_${level} PRIVATE tarn_options)
    target_compile_definitions(tarn_kernels_${level} PRIVATE CPU_LEVEL=${level})
    target_compile_options(tarn_kernels_${level} PRIVATE ${kernel_options} ${kernel_options_${level}})
    list(APPEND kernel_objects $<TARGET_OBJECTS:tarn_kernels_${level}>)
endforeach()
