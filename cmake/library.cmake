# libtarn, compiled once and bound three ways: shared, static, and static with its internal names for the tests and the tool.
configure_file(${PROJECT_SOURCE_DIR}/include/tarn/version.h.in ${PROJECT_BINARY_DIR}/include/tarn/version.h @ONLY)

include(cmake/kernels.cmake)
include(cmake/cuda.cmake)
file(GLOB_RECURSE library_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/*.c)
list(REMOVE_ITEM library_sources ${kernel_sources})
list(FILTER library_sources EXCLUDE REGEX "/backends/opencl/")
if(NOT TARN_HAS_ONEDNN)
    list(FILTER library_sources EXCLUDE REGEX "/onednn_[^/]*\\.c$")
endif()
add_library(tarn_objects OBJECT ${library_sources} ${PROJECT_BINARY_DIR}/cuda_embedded.c)
target_link_libraries(tarn_objects PRIVATE tarn_options)
# Where programs that have the library inside find what is installed beside libtarn.
file(RELATIVE_PATH library_folder ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
set_source_files_properties(${PROJECT_SOURCE_DIR}/src/hal/load.c PROPERTIES
    COMPILE_DEFINITIONS TARN_LIBRARY_FOLDER="${library_folder}")
set(library_objects $<TARGET_OBJECTS:tarn_objects> ${kernel_objects})

set(library_needs Threads::Threads ${CMAKE_DL_LIBS} m)

add_library(tarn SHARED ${library_objects})
add_library(tarn::tarn ALIAS tarn)
set_target_properties(tarn PROPERTIES LINKER_LANGUAGE C VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
target_link_options(tarn PRIVATE -Wl,-Bsymbolic-functions)
target_link_libraries(tarn PRIVATE $<BUILD_INTERFACE:tarn_options> ${library_needs})

# In the static library that is installed, hidden names become local: it offers exactly what the shared one does.
add_custom_command(
    OUTPUT ${PROJECT_BINARY_DIR}/tarn_whole.o
    COMMAND ${CMAKE_C_COMPILER} -r -nostdlib -o tarn_whole.o ${library_objects}
    COMMAND ${CMAKE_OBJCOPY} --localize-hidden tarn_whole.o
    DEPENDS tarn_objects ${library_objects}
    WORKING_DIRECTORY ${PROJECT_BINARY_DIR}
    COMMAND_EXPAND_LISTS VERBATIM)
add_library(tarn_static STATIC ${PROJECT_BINARY_DIR}/tarn_whole.o)
add_library(tarn::static ALIAS tarn_static)
set_source_files_properties(${PROJECT_BINARY_DIR}/tarn_whole.o PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
set_target_properties(tarn_static PROPERTIES LINKER_LANGUAGE C OUTPUT_NAME tarn EXPORT_NAME static)
target_link_libraries(tarn_static INTERFACE ${library_needs})

foreach(target tarn tarn_static)
    target_include_directories(${target} INTERFACE
        $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include>
        $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endforeach()

add_library(tarn_testing STATIC ${library_objects})
set_target_properties(tarn_testing PROPERTIES LINKER_LANGUAGE C)
target_link_libraries(tarn_testing PUBLIC tarn_options ${library_needs})
