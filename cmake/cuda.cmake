# The kernels of the cuda backend. Where there is nvcc they are compiled once for each architecture, and for the lowest one in a form that
# drivers compile for any later; the result is embedded in the library, compressed. Their sources are embedded too: without nvcc they are
# compiled when they are first needed, by NVRTC, as are the kernels that are written for single programs.
#
# No CUDA library is needed to build, and none is linked.
set(TARN_CUDA_ARCHITECTURES "75;80;86;89;90" CACHE STRING
    "GPUs that kernels are compiled for; ptx: for none, in a form that the driver compiles; none: not when Tarn is built")
find_program(TARN_NVCC nvcc HINTS /usr/local/cuda/bin DOC "The CUDA compiler")

set(cuda_kernel_folder ${PROJECT_SOURCE_DIR}/src/backends/cuda/kernels)
file(GLOB cuda_kernel_sources CONFIGURE_DEPENDS ${cuda_kernel_folder}/*.cu ${cuda_kernel_folder}/*.cuh
    ${cuda_kernel_folder}/parameters.h)

set(cuda_kernel_image)
if(TARN_NVCC AND NOT TARN_CUDA_ARCHITECTURES STREQUAL "none")
    set(cuda_kernel_image ${PROJECT_BINARY_DIR}/cuda_kernels.fatbin)
    set(lowest 75)
    set(generate)
    if(NOT TARN_CUDA_ARCHITECTURES STREQUAL "ptx")
        list(GET TARN_CUDA_ARCHITECTURES 0 lowest)
        foreach(architecture IN LISTS TARN_CUDA_ARCHITECTURES)
            list(APPEND generate -gencode arch=compute_${architecture},code=sm_${architecture})
        endforeach()
    endif()
    list(APPEND generate -gencode arch=compute_${lowest},code=compute_${lowest})
    add_custom_command(
        OUTPUT ${cuda_kernel_image}
        COMMAND ${TARN_NVCC} -fatbin -std=c++17 -O3 --fmad=false -Xfatbin -compress-all ${generate} -o ${cuda_kernel_image}
            ${cuda_kernel_folder}/all.cu
        DEPENDS ${cuda_kernel_sources}
        COMMENT "Compiling the kernels of the cuda backend for ${TARN_CUDA_ARCHITECTURES}"
        VERBATIM)
elseif(NOT TARN_NVCC)
    message(STATUS "No nvcc: the kernels of the cuda backend are compiled when they are first needed")
endif()

# A C file that embeds bytes: the image, and each source with a zero behind it.
function(tarn_embed symbol path out)
    string(APPEND ${out}
        "__asm__(\".pushsection .rodata\\n.balign 16\\n.globl ${symbol}\\n.hidden ${symbol}\\n${symbol}:\\n\"\n"
        "        \".incbin \\\"${path}\\\"\\n.globl ${symbol}_end\\n.hidden ${symbol}_end\\n${symbol}_end:\\n.byte 0\\n.popsection\\n\");\n"
        "extern const char ${symbol}[], ${symbol}_end[];\n")
    set(${out} "${${out}}" PARENT_SCOPE)
endfunction()

set(embedded "/* Made by cmake/cuda.cmake. */\n#include \"backends/cuda/operations/image.h\"\n\n")
set(table)
set(number 0)
foreach(source IN LISTS cuda_kernel_sources)
    cmake_path(GET source FILENAME name)
    tarn_embed(cuda_source_${number} ${source} embedded)
    string(APPEND table "    {\"${name}\", cuda_source_${number}},\n")
    math(EXPR number "${number} + 1")
endforeach()
string(APPEND embedded "\nconst cuda_source cuda_sources[] = {\n${table}};\nconst size_t cuda_source_count = ${number};\n")
if(cuda_kernel_image)
    tarn_embed(cuda_image ${cuda_kernel_image} embedded)
    string(APPEND embedded "const void *const cuda_kernel_image = cuda_image;\n")
else()
    string(APPEND embedded "const void *const cuda_kernel_image = NULL;\n")
endif()
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/cuda_embedded.c CONTENT "${embedded}" @ONLY)
set_source_files_properties(${PROJECT_BINARY_DIR}/cuda_embedded.c PROPERTIES
    OBJECT_DEPENDS "${cuda_kernel_sources};${cuda_kernel_image}")
