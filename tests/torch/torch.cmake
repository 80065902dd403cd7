# The tests are the plug-in's own objects on a library whose internal names they reach, so that host memory can be made to fail.
if(TARGET tarn_torch_parts)
    foreach(name checkpoint figures plugin pool share threads)
        target_link_libraries(test_torch_${name} PRIVATE tarn_torch_parts)
    endforeach()
endif()

# The stand-in for CUDA's runtime, for CUDA 12 and 13, with which tests/python/test_torch_tensors.py runs PyTorch itself on the fake driver. The names
# of the libraries are what PyTorch's ask for.
if(NOT TARN_SANITIZE AND NOT TARN_COVERAGE)
    foreach(version 12 13)
        add_library(test_torch_runtime_${version} SHARED ${CMAKE_CURRENT_LIST_DIR}/runtime/runtime.c)
        target_include_directories(test_torch_runtime_${version} PRIVATE ${PROJECT_SOURCE_DIR}/tests/fakecuda)
        target_link_libraries(test_torch_runtime_${version} PRIVATE tarn_options fakecuda)
        set_target_properties(test_torch_runtime_${version} PROPERTIES OUTPUT_NAME cudart SOVERSION ${version} VERSION ${version}
            LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests/torch-runtime/${version})
    endforeach()
endif()
