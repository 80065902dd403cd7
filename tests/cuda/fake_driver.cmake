# The tests of the CUDA backend use the checks of the hardware layer's, and run on the fake driver (tests/fakecuda).
target_sources(test_cuda_helpers PRIVATE ${PROJECT_SOURCE_DIR}/tests/hal/check.c)
target_include_directories(test_cuda_helpers PUBLIC ${PROJECT_SOURCE_DIR}/tests/hal)

set(fake_driver_environment
    ${TARN_TEST_ENVIRONMENT} LD_LIBRARY_PATH=${PROJECT_BINARY_DIR}/tests/fakecuda TARN_TEST_ON_FAKE_CUDA=1)

file(GLOB cuda_tests CONFIGURE_DEPENDS ${folder}/test_*.c)
foreach(program IN LISTS cuda_tests)
    cmake_path(GET program STEM stem)
    string(REGEX REPLACE "^test_" "" name ${stem})
    add_dependencies(test_cuda_${name} fakecuda)
    set_tests_properties(cuda.${name} PROPERTIES ENVIRONMENT "${fake_driver_environment}")
endforeach()

# The backend's own tests once more, on streams that run by themselves.
foreach(name backend box graph host_functions lost peer pools)
    add_test(NAME cuda.${name}_threads COMMAND test_cuda_${name})
    tarn_test_properties(cuda.${name}_threads)
    set_tests_properties(cuda.${name}_threads PROPERTIES ENVIRONMENT "${fake_driver_environment};FAKECUDA_THREADS=1")
endforeach()

# The conformance suites of the allocators, on devices of the fake driver. `threads`: whether its streams run by themselves, as a
# test that holds one back needs it.
function(tarn_test_on_fake_driver suite devices threads)
    add_test(NAME cuda.memory_${suite} COMMAND test_memory_${suite})
    tarn_test_properties(cuda.memory_${suite})
    set_tests_properties(cuda.memory_${suite} PROPERTIES ENVIRONMENT
        "${fake_driver_environment};TARN_TEST_DEVICE=${devices};FAKECUDA_THREADS=${threads}")
endfunction()

tarn_test_on_fake_driver(contract cuda:0,cuda:1 0)
tarn_test_on_fake_driver(streams cuda:0 1)
tarn_test_on_fake_driver(lifetime cuda:0 0)
tarn_test_on_fake_driver(limits cuda:0 0)
tarn_test_on_fake_driver(statistics cuda:0 0)
tarn_test_on_fake_driver(arena cuda:0 0)
tarn_test_on_fake_driver(pool cuda:1 0)
# Few steps: each wait for the device is a change of threads here, and adaptors wait several times a step.
tarn_test_on_fake_driver(stress cuda:0 1)
set_property(TEST cuda.memory_stress APPEND PROPERTY ENVIRONMENT TARN_STRESS_STEPS=160)

add_test(NAME cuda.hal_box COMMAND test_hal_box)
tarn_test_properties(cuda.hal_box)
set_tests_properties(cuda.hal_box PROPERTIES ENVIRONMENT "${fake_driver_environment};TARN_TEST_DEVICE=cuda:0")
