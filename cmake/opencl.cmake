# The backend for OpenCL: a plug-in, as anybody could write one, which uses the public headers alone. Needs OpenCL's headers; the driver is
# opened at run time.
find_path(TARN_OPENCL_INCLUDE CL/cl.h DOC "The folder of OpenCL's headers")
if(NOT TARN_OPENCL_INCLUDE)
    message(STATUS "No headers of OpenCL (opencl-c-headers): its backend is left out")
    return()
endif()

file(GLOB opencl_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/backends/opencl/*.c)
add_library(tarn_opencl MODULE ${opencl_sources})
target_link_libraries(tarn_opencl PRIVATE tarn_options Threads::Threads ${CMAKE_DL_LIBS})
target_include_directories(tarn_opencl SYSTEM PRIVATE ${TARN_OPENCL_INCLUDE})
set_target_properties(tarn_opencl PROPERTIES
    OUTPUT_NAME tarn-opencl
    LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tarn-backends)
