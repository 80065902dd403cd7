# The backend for OpenCL: a plug-in, as anybody could write one, which uses the public headers alone. Needs OpenCL's headers; the driver is
# opened at run time.
find_path(TARN_OPENCL_INCLUDE CL/cl.h DOC "The folder of OpenCL's headers")
if(NOT TARN_OPENCL_INCLUDE)
    message(STATUS "No headers of OpenCL (opencl-c-headers): its backend is left out")
    return()
endif()

file(GLOB opencl_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/backends/opencl/*.c)
file(GLOB opencl_kernels CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/backends/opencl/kernels/*.cl)
set(opencl_embed ${PROJECT_SOURCE_DIR}/src/backends/opencl/kernels/embed.cmake)
add_custom_command(
    OUTPUT ${PROJECT_BINARY_DIR}/opencl_kernels.c
    COMMAND ${CMAKE_COMMAND} "-DFILES=${opencl_kernels}" -DOUT=${PROJECT_BINARY_DIR}/opencl_kernels.c -P ${opencl_embed}
    DEPENDS ${opencl_kernels} ${opencl_embed}
    VERBATIM)
add_library(tarn_opencl MODULE ${opencl_sources} ${PROJECT_BINARY_DIR}/opencl_kernels.c)
target_link_libraries(tarn_opencl PRIVATE tarn_options Threads::Threads ${CMAKE_DL_LIBS})
target_include_directories(tarn_opencl SYSTEM PRIVATE ${TARN_OPENCL_INCLUDE})
set_target_properties(tarn_opencl PROPERTIES
    OUTPUT_NAME tarn-opencl
    LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tarn-backends)
