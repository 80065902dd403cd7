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
# TARN_TORCH_PYTHON, without running PyTorch. tools/torch/shim_versions.h and python/tarn/torch.py have the same range of versions.
set(TARN_TORCH_PYTHON "" CACHE STRING "An interpreter with a PyTorch for CUDA, to build the shim for")
if(TARGET tarn_torch AND TARN_TORCH_PYTHON)
    execute_process(COMMAND ${TARN_TORCH_PYTHON} -c
        "import importlib.util as u; print(u.find_spec('torch').submodule_search_locations[0])"
        OUTPUT_VARIABLE torch_folder OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    find_path(TARN_CUDA_RUNTIME_INCLUDE cuda_runtime_api.h PATHS /usr/local/cuda/include
        DOC "The folder of the CUDA runtime's headers, for the shim")
    set(torch_version "")
    if(EXISTS ${torch_folder}/version.py)
        file(STRINGS ${torch_folder}/version.py torch_version REGEX "^__version__ = ")
        string(REGEX REPLACE "^__version__ = '([0-9.]+).*" "\\1" torch_version "${torch_version}")
    endif()
    if(NOT torch_version)
        message(STATUS "No PyTorch in ${TARN_TORCH_PYTHON}: no shim for it")
    elseif(torch_version VERSION_LESS 2.0)
        message(STATUS "PyTorch ${torch_version} takes no allocators of others, as 2.0 was the first to do: no shim for it")
    elseif(torch_version VERSION_LESS 2.5 OR torch_version VERSION_GREATER_EQUAL 2.16)
        message(STATUS "PyTorch ${torch_version} gets no shim, which takes 2.5 to 2.15; the plug-in serves it")
    elseif(NOT EXISTS ${torch_folder}/lib/libc10_cuda.so)
        message(STATUS "PyTorch ${torch_version} in ${torch_folder} is not built for CUDA: no shim for it")
    elseif(NOT TARN_CUDA_RUNTIME_INCLUDE)
        message(STATUS "No headers of CUDA's runtime, which TARN_CUDA_RUNTIME_INCLUDE names: no shim for PyTorch ${torch_version}")
    else()
        # Up to 2.6, PyPI's PyTorch has the strings of the old C++ library.
        file(STRINGS ${torch_folder}/share/cmake/Torch/TorchConfig.cmake torch_strings REGEX "_GLIBCXX_USE_CXX11_ABI=[01]")
        string(REGEX MATCH "_GLIBCXX_USE_CXX11_ABI=[01]" torch_strings "${torch_strings}")
        file(GLOB torch_shim_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/shim*.cpp)
        add_library(tarn_torch_shim MODULE ${torch_shim_sources})
        target_include_directories(tarn_torch_shim SYSTEM PRIVATE ${torch_folder}/include
            ${torch_folder}/include/torch/csrc/api/include ${TARN_CUDA_RUNTIME_INCLUDE})
        target_include_directories(tarn_torch_shim PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_BINARY_DIR}/include
            ${PROJECT_SOURCE_DIR}/tools)
        target_compile_features(tarn_torch_shim PRIVATE cxx_std_20)
        target_compile_definitions(tarn_torch_shim PRIVATE ${torch_strings})
        target_link_libraries(tarn_torch_shim PRIVATE tarn_torch tarn ${torch_folder}/lib/libtorch_cuda.so
            ${torch_folder}/lib/libtorch_cpu.so ${torch_folder}/lib/libc10_cuda.so ${torch_folder}/lib/libc10.so)
        set_target_properties(tarn_torch_shim PROPERTIES OUTPUT_NAME tarn-torch-shim-${torch_version}
            CXX_VISIBILITY_PRESET hidden LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/torch INSTALL_RPATH "$ORIGIN:$ORIGIN/..")
        message(STATUS "The shim for PyTorch ${torch_version} in ${torch_folder}")
    endif()
endif()
