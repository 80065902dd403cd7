# The kernels of the cuda backend on a processor (emulation/), and tests of operations on the fake driver, which runs them.
enable_language(CXX)

set(emulation_options -std=c++17 -O1 -g1 -fPIC -ffp-contract=off)
# ThreadSanitizer does not know fibers that it was not told of: what the kernels do is left out there.
if(TARN_SANITIZE MATCHES "address")
    list(APPEND emulation_options -fsanitize=${TARN_SANITIZE} -fno-sanitize-recover=all)
endif()

# Each module of kernels, with the functions by which the fake driver calls them.
set(emulated_modules)
foreach(source IN LISTS cuda_kernel_modules)
    cmake_path(GET source STEM name)
    set(text "#include \"emulation.h\"\n\n#include \"backends/cuda/kernels/${name}.cu\"\n\n")
    foreach(other IN LISTS cuda_kernel_modules)
        cmake_path(GET other STEM other_name)
        string(APPEND text "#define EMULATED_IN_${other_name}(name)\n")
    endforeach()
    string(APPEND text "#undef EMULATED_IN_${name}\n#define EMULATED_IN_${name}(name) EMULATED(name)\n"
        "#define CUDA_KERNEL(module, name) EMULATED_IN_##module(name)\n#include \"backends/cuda/kernels/names.h\"\n")
    file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/emulated/${name}.cpp CONTENT "${text}" @ONLY)
    list(APPEND emulated_modules ${PROJECT_BINARY_DIR}/emulated/${name}.cpp)
endforeach()

add_library(emulation OBJECT ${folder}/emulation/emulation.cpp)
add_library(emulated_kernels MODULE ${emulated_modules})
target_link_libraries(emulated_kernels PRIVATE emulation)
foreach(target emulation emulated_kernels)
    target_compile_options(${target} PRIVATE ${emulation_options} -Wall -Wextra $<$<BOOL:${TARN_WARNINGS_AS_ERRORS}>:-Werror>)
    target_include_directories(${target} PRIVATE ${folder}/emulation ${PROJECT_SOURCE_DIR}/src)
endforeach()
target_link_options(emulated_kernels PRIVATE ${emulation_options})
set_target_properties(emulated_kernels PROPERTIES
    PREFIX "" OUTPUT_NAME cuda_kernels LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)

# What the tests take for NVRTC, cuBLASLt and cuDNN.
foreach(library nvrtc cublaslt cudnn)
    add_library(emulated_${library} MODULE ${folder}/emulation/${library}.c ${folder}/emulation/host_library.c)
    target_link_libraries(emulated_${library} PRIVATE tarn_options ${CMAKE_DL_LIBS})
    set_target_properties(emulated_${library} PROPERTIES
        PREFIX "" OUTPUT_NAME lib${library} LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
endforeach()

# The environment in which cuda:0 computes: the fake driver with these kernels, and a cache of this build's own.
set(emulation_folder ${PROJECT_BINARY_DIR}/tests/cuda_kernels)
file(MAKE_DIRECTORY ${emulation_folder})
list(JOIN emulation_options " " emulation_command)
set(emulation_environment ${TARN_TEST_ENVIRONMENT}
    LD_LIBRARY_PATH=${PROJECT_BINARY_DIR}/tests/fakecuda
    FAKECUDA_KERNELS=${PROJECT_BINARY_DIR}/tests/cuda_kernels.so
    TARN_NVRTC=${PROJECT_BINARY_DIR}/tests/libnvrtc.so
    TARN_CUBLASLT=off
    TARN_CUDNN=off
    TARN_CACHE_PATH=${emulation_folder}/cache
    TARN_TEST_DEVICE=cuda:0
    TMPDIR=${emulation_folder}
    "FAKECUDA_COMPILE=${CMAKE_CXX_COMPILER} ${emulation_command} -O0 -g0 -shared -I${folder}/emulation $<TARGET_OBJECTS:emulation>")

set(emulated_tests cuda_kernels.programs cuda_kernels.single cuda_kernels.folds cuda_kernels.tiles cuda_kernels.rows cuda_kernels.gather cuda_kernels.failures)
# Tests of operations, once more on that device. Small programs are interpreted there; what compiles many is left to cuda_kernels.programs.
set(emulated_suites)
if(EXISTS ${PROJECT_SOURCE_DIR}/tests/fakecuda/driver/kernel.c)
    set(emulated_suites tensor_operation_reduce tensor_operation_elementwise tensor_operation_neural
        tensor_operation_streams tensor_accuracy expr_capture)
    # It evaluates on large tensors too, which sanitizers would take a minute for.
    if(NOT TARN_SANITIZE)
        list(APPEND emulated_suites expr_evaluate)
    endif()
endif()
foreach(suite IN LISTS emulated_suites)
    add_test(NAME cuda_kernels.${suite} COMMAND test_${suite})
    tarn_test_properties(cuda_kernels.${suite})
    list(APPEND emulated_tests cuda_kernels.${suite})
endforeach()
# Fibers take sanitizers several times as long.
if(TARN_SANITIZE)
    list(APPEND emulation_environment TARN_TEST_SLOWNESS=10)
endif()
foreach(test IN LISTS emulated_tests)
    set_tests_properties(${test} PROPERTIES ENVIRONMENT "${emulation_environment};TARN_CUDA_COMPILE=never")
endforeach()
add_dependencies(test_cuda_kernels_programs
    fakecuda emulated_kernels emulated_nvrtc emulated_cublaslt emulated_cudnn)

# Whole programs: what the tool computes and how it replays. Its largest tensors would take sanitizers a minute.
find_program(PYTHON3 python3)
if(TARGET tarn_tool AND PYTHON3 AND emulated_suites AND NOT TARN_SANITIZE AND NOT TARN_COVERAGE)
    add_test(NAME cuda_kernels.figures COMMAND ${PYTHON3} ${PROJECT_SOURCE_DIR}/tests/workload/figures.py)
    tarn_test_properties(cuda_kernels.figures)
    set_tests_properties(cuda_kernels.figures PROPERTIES
        ENVIRONMENT "${emulation_environment};TARN_CUDA_COMPILE=never" SKIP_RETURN_CODE 77)
endif()

# Products and convolutions by the libraries, and the operations' tests once more with them.
set(library_environment ${emulation_environment} TARN_CUDA_COMPILE=never)
list(TRANSFORM library_environment REPLACE
    "^TARN_CUBLASLT=off$" "TARN_CUBLASLT=${PROJECT_BINARY_DIR}/tests/libcublaslt.so")
list(TRANSFORM library_environment REPLACE "^TARN_CUDNN=off$" "TARN_CUDNN=${PROJECT_BINARY_DIR}/tests/libcudnn.so")
set_tests_properties(cuda_kernels.convolutions cuda_kernels.products PROPERTIES ENVIRONMENT "${library_environment}")
if(emulated_suites)
    add_test(NAME cuda_kernels.library COMMAND test_tensor_operation_neural)
    tarn_test_properties(cuda_kernels.library)
    set_tests_properties(cuda_kernels.library PROPERTIES ENVIRONMENT "${library_environment}")
endif()

# NVRTC itself compiles programs and the short modules once, beside the fake driver, which it looks into by itself; in builds without sanitizers, which would look
# for faults in it.
if(NOT TARN_SANITIZE AND NOT TARN_COVERAGE)
    cmake_path(GET TARN_NVCC PARENT_PATH toolkit)
    find_library(TARN_TEST_NVRTC NAMES nvrtc HINTS ${toolkit}/../lib64 DOC "NVRTC, which tests compile kernels with")
    if(TARN_TEST_NVRTC)
        set_tests_properties(cuda_kernels.sources PROPERTIES
            ENVIRONMENT "${TARN_TEST_ENVIRONMENT};TARN_TEST_NVRTC=${TARN_TEST_NVRTC};TARN_NVRTC=${TARN_TEST_NVRTC};LD_LIBRARY_PATH=${PROJECT_BINARY_DIR}/tests/fakecuda")
    endif()
endif()

# What nvcc makes of the kernels, in builds that compile them with it.
if(cuda_kernel_images AND NOT TARN_SANITIZE AND NOT TARN_COVERAGE)
    add_test(NAME cuda_kernels.structure COMMAND ${folder}/structure.sh ${TARN_NVCC} ${PROJECT_BINARY_DIR})
    tarn_test_properties(cuda_kernels.structure)
endif()
