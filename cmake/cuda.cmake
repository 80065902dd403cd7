# The kernels of the cuda backend. Where there is nvcc they are compiled in two steps: once to PTX for the oldest of the architectures, which drivers
# compile for any that is not in the list, and from that for each. No kernel has anything that only later architectures know, so that the first step, half of the time, is
# not repeated. The result is embedded in the library, compressed. Their sources are embedded too: without nvcc they are compiled when they are first
# needed, by NVRTC, as are the kernels that are written for single programs.
#
# No CUDA library is needed to build, and none is linked.
# What is compiled for 8.0 runs on 8.6, 8.7 and 8.9 as it is.
set(TARN_CUDA_ARCHITECTURES "75;80;90" CACHE STRING
    "GPUs that kernels are compiled for; ptx: for none, in a form that the driver compiles; none: not when Tarn is built")
find_program(TARN_NVCC nvcc HINTS /usr/local/cuda/bin DOC "The CUDA compiler")

set(cuda_kernel_folder ${PROJECT_SOURCE_DIR}/src/backends/cuda/kernels)
# Each .cu is a module; the others are included.
file(GLOB cuda_kernel_modules CONFIGURE_DEPENDS ${cuda_kernel_folder}/*.cu)
file(GLOB cuda_kernel_headers CONFIGURE_DEPENDS ${cuda_kernel_folder}/*.cuh ${cuda_kernel_folder}/parameters.h)
set(cuda_kernel_sources ${cuda_kernel_modules} ${cuda_kernel_headers})

set(cuda_kernel_images)
if(TARN_NVCC AND NOT TARN_CUDA_ARCHITECTURES STREQUAL "none")
    set(oldest 75)
    set(generate)
    if(NOT TARN_CUDA_ARCHITECTURES STREQUAL "ptx")
        set(architectures ${TARN_CUDA_ARCHITECTURES})
        list(SORT architectures COMPARE NATURAL)
        list(GET architectures 0 oldest)
        foreach(architecture IN LISTS architectures)
            list(APPEND generate -gencode arch=compute_${oldest},code=sm_${architecture})
        endforeach()
    endif()
    list(APPEND generate -gencode arch=compute_${oldest},code=compute_${oldest})
    # Later compilers compress in a way that drivers before 12.4 cannot read, unless they are told otherwise.
    execute_process(COMMAND ${TARN_NVCC} --help OUTPUT_VARIABLE help ERROR_QUIET)
    set(compress -Xfatbin -compress-all)
    if(help MATCHES "--compress-mode")
        list(APPEND compress --compress-mode=speed)
    endif()
    set(ptx_options -ptx -std=c++17 -O3 --fmad=false -arch=compute_${oldest})
    set(image_options -fatbin -O3 --fmad=false ${compress} ${generate})
    set(image_script ${PROJECT_SOURCE_DIR}/cmake/cuda_image.cmake)
    foreach(source IN LISTS cuda_kernel_modules)
        cmake_path(GET source STEM name)
        set(ptx ${PROJECT_BINARY_DIR}/cuda_${name}.ptx)
        set(image ${PROJECT_BINARY_DIR}/cuda_${name}.fatbin)
        list(APPEND cuda_kernel_images ${image})
        add_custom_command(
            OUTPUT ${ptx}
            COMMAND ${CMAKE_COMMAND} -DNVCC=${TARN_NVCC} "-DOPTIONS=${ptx_options}" "-DSOURCES=${source};${cuda_kernel_headers}"
                -DOUT=${ptx} -P ${image_script}
            DEPENDS ${source} ${cuda_kernel_headers} ${image_script}
            COMMENT "Compiling the kernels of ${name}.cu"
            VERBATIM)
        add_custom_command(
            OUTPUT ${image}
            COMMAND ${CMAKE_COMMAND} -DNVCC=${TARN_NVCC} "-DOPTIONS=${image_options}" -DSOURCES=${ptx} -DOUT=${image} -P ${image_script}
            DEPENDS ${ptx} ${image_script}
            COMMENT "Compiling the kernels of ${name}.cu for ${TARN_CUDA_ARCHITECTURES}"
            VERBATIM)
    endforeach()
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
    set(image NULL)
    if(cuda_kernel_images AND name MATCHES "(.*)[.]cu$")
        set(image cuda_image_${number})
        tarn_embed(${image} ${PROJECT_BINARY_DIR}/cuda_${CMAKE_MATCH_1}.fatbin embedded)
    endif()
    string(APPEND table "    {\"${name}\", cuda_source_${number}, ${image}},\n")
    math(EXPR number "${number} + 1")
endforeach()
string(APPEND embedded "\nconst cuda_source cuda_sources[] = {\n${table}};\nconst size_t cuda_source_count = ${number};\n")
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/cuda_embedded.c CONTENT "${embedded}" @ONLY)
set_source_files_properties(${PROJECT_BINARY_DIR}/cuda_embedded.c PROPERTIES
    OBJECT_DEPENDS "${cuda_kernel_sources};${cuda_kernel_images}")
