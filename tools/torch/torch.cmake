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
    add_library(tarn_torch MODULE ${CMAKE_CURRENT_LIST_DIR}/hooks.cpp ${PROJECT_SOURCE_DIR}/src/memory/pointer_table.c
        ${PROJECT_SOURCE_DIR}/src/base/memory.c)
    target_link_libraries(tarn_torch PRIVATE tarn_torch_parts tarn Threads::Threads ${CMAKE_DL_LIBS})
    target_compile_features(tarn_torch PRIVATE cxx_std_17)
    set_target_properties(tarn_torch PROPERTIES OUTPUT_NAME tarn-torch CXX_VISIBILITY_PRESET hidden
        LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/torch BUILD_RPATH_USE_ORIGIN ON INSTALL_RPATH "$ORIGIN/..")
else()
    message(STATUS "No C++ compiler, or a build for fuzzing: libtarn-torch.so, the plug-in for PyTorch, is left out")
endif()
