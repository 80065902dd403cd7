# libtarn-torch.so: the plug-in for PyTorch, and, where PyTorch's headers are, the shim that is an allocator of PyTorch's own kind.
file(GLOB torch_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*.c)
add_library(tarn_torch_parts OBJECT ${torch_sources})
target_link_libraries(tarn_torch_parts PUBLIC tarn_options)
target_include_directories(tarn_torch_parts PUBLIC ${PROJECT_SOURCE_DIR}/include ${PROJECT_BINARY_DIR}/include
    ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tools)
set_target_properties(tarn_torch_parts PROPERTIES POSITION_INDEPENDENT_CODE ON)

# Fuzzing takes clang's own instrumentation, which the C++ compiler need not know.
include(CheckLanguage)
check_language(CXX)
if(CMAKE_CXX_COMPILER AND NOT TARN_FUZZ)
    enable_language(CXX)
    # Of the library's own it has a table and the door to host memory, which it does not export; the rest is libtarn's.
    add_library(tarn_torch SHARED ${CMAKE_CURRENT_LIST_DIR}/hooks.cpp ${PROJECT_SOURCE_DIR}/src/memory/pointer_table.c
        ${PROJECT_SOURCE_DIR}/src/base/memory.c)
    target_link_libraries(tarn_torch PRIVATE tarn_torch_parts tarn Threads::Threads ${CMAKE_DL_LIBS})
    target_compile_features(tarn_torch PRIVATE cxx_std_17)
    set_target_properties(tarn_torch PROPERTIES OUTPUT_NAME tarn-torch CXX_VISIBILITY_PRESET hidden
        LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/torch BUILD_RPATH_USE_ORIGIN ON INSTALL_RPATH "$ORIGIN/..")
else()
    message(STATUS "No C++ compiler, or a build for fuzzing: libtarn-torch.so, the plug-in for PyTorch, is left out")
endif()

# The shim is for one version of PyTorch, whose headers it needs, and those of CUDA's runtime. It is looked for in the interpreter
# TARN_TORCH_PYTHON, without running PyTorch.
set(TARN_TORCH_PYTHON "" CACHE STRING "An interpreter with a PyTorch for CUDA, to build the shim for")
if(TARGET tarn_torch AND TARN_TORCH_PYTHON)
    execute_process(COMMAND ${TARN_TORCH_PYTHON} -c
        "import importlib.util as u; print(u.find_spec('torch').submodule_search_locations[0])"
        OUTPUT_VARIABLE torch_folder OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    find_path(TARN_CUDA_RUNTIME_INCLUDE cuda_runtime_api.h PATHS /usr/local/cuda/include
        DOC "The folder of the CUDA runtime's headers, for the shim")
    set(torch_header ${torch_folder}/include/c10/cuda/CUDACachingAllocator.h)
    # Older versions have a class with fewer functions, or with other arguments.
    if(EXISTS ${torch_header})
        file(STRINGS ${torch_header} torch_has_class REGEX "annotateMemory")
    endif()
    if(torch_has_class AND TARN_CUDA_RUNTIME_INCLUDE)
        file(STRINGS ${torch_folder}/version.py torch_version REGEX "^__version__ = ")
        string(REGEX REPLACE "^__version__ = '([0-9.]+).*" "\\1" torch_version "${torch_version}")
        file(GLOB torch_shim_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/shim*.cpp)
        add_library(tarn_torch_shim MODULE ${torch_shim_sources})
        target_include_directories(tarn_torch_shim SYSTEM PRIVATE ${torch_folder}/include
            ${torch_folder}/include/torch/csrc/api/include ${TARN_CUDA_RUNTIME_INCLUDE})
        target_include_directories(tarn_torch_shim PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_BINARY_DIR}/include
            ${PROJECT_SOURCE_DIR}/tools)
        target_compile_features(tarn_torch_shim PRIVATE cxx_std_20)
        target_link_libraries(tarn_torch_shim PRIVATE tarn_torch tarn ${torch_folder}/lib/libtorch_cuda.so
            ${torch_folder}/lib/libtorch_cpu.so ${torch_folder}/lib/libc10_cuda.so ${torch_folder}/lib/libc10.so)
        set_target_properties(tarn_torch_shim PROPERTIES OUTPUT_NAME tarn-torch-shim-${torch_version}
            CXX_VISIBILITY_PRESET hidden LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/torch)
        message(STATUS "The shim for PyTorch ${torch_version} in ${torch_folder}")
    else()
        message(STATUS "No PyTorch 2.15 for CUDA in ${TARN_TORCH_PYTHON}, or no headers of CUDA's runtime: no shim for PyTorch")
    endif()
endif()
