# The tests of the CUDA backend use the checks of the hardware layer's, and run on the fake driver (tests/fakecuda).
target_sources(test_cuda_helpers PRIVATE ${PROJECT_SOURCE_DIR}/tests/hal/check.c)
target_include_directories(test_cuda_helpers PUBLIC ${PROJECT_SOURCE_DIR}/tests/hal)

set(fake_driver_environment ${TARN_TEST_ENVIRONMENT} LD_LIBRARY_PATH=${PROJECT_BINARY_DIR}/tests/fakecuda)

file(GLOB cuda_tests CONFIGURE_DEPENDS ${folder}/test_*.c)
foreach(program IN LISTS cuda_tests)
    cmake_path(GET program STEM stem)
    string(REGEX REPLACE "^test_" "" name ${stem})
    add_dependencies(test_cuda_${name} fakecuda)
    set_tests_properties(cuda.${name} PROPERTIES ENVIRONMENT "${fake_driver_environment}")
endforeach()
