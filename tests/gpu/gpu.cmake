# What measures a GPU; scripts/gpu-check.sh runs it. It is no test: figures pass or fail nothing.
add_executable(gpu_measure ${folder}/measure.c ${folder}/allocating.c ${folder}/operations.c ${folder}/cublas.c)
target_link_libraries(gpu_measure PRIVATE tarn_testing)
set_target_properties(gpu_measure PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests/gpu)

if(TARN_BUILD_TESTS AND NOT TARN_SANITIZE AND NOT TARN_COVERAGE)
    add_test(NAME gpu.check_script COMMAND ${folder}/rehearse.sh ${PROJECT_BINARY_DIR})
    tarn_test_properties(gpu.check_script)
endif()
