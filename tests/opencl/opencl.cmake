# The tests of the OpenCL backend find the plug-in where it was built, and so do suites of other rooms that are run on one of its devices.
# Kernels take long to compile: build folders beside each other share what was compiled.
cmake_path(GET PROJECT_BINARY_DIR PARENT_PATH opencl_cache)
if(NOT opencl_cache STREQUAL "${PROJECT_SOURCE_DIR}/build")
    set(opencl_cache ${PROJECT_BINARY_DIR})
endif()
set(opencl_environment
    TARN_OPENCL=
    TARN_BACKEND_PATH=${PROJECT_BINARY_DIR}/tarn-backends
    POCL_CACHE_DIR=${opencl_cache}/opencl/pocl
    XDG_CACHE_HOME=${opencl_cache}/opencl
    LSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/opencl/leaks.supp:print_suppressions=0
    "TSAN_OPTIONS=allocator_may_return_null=1:second_deadlock_stack=1:suppressions=${PROJECT_SOURCE_DIR}/tests/opencl/threads.supp")
file(MAKE_DIRECTORY ${opencl_cache}/opencl/pocl)

file(GLOB opencl_programs CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/opencl/test_*.c)
foreach(program IN LISTS opencl_programs)
    string(REGEX REPLACE ".*/test_([^/]*)\\.c$" "opencl.\\1" name ${program})
    set_property(TEST ${name} APPEND PROPERTY ENVIRONMENT ${opencl_environment})
    set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77)
endforeach()

# Adds a test that runs the program of another room's test on a device of the backend.
function(tarn_test_on_opencl name program device)
    add_test(NAME opencl.${name} COMMAND ${program})
    tarn_test_properties(opencl.${name})
    set_property(TEST opencl.${name} APPEND PROPERTY ENVIRONMENT ${opencl_environment} TARN_TEST_DEVICE=${device})
endfunction()

if(TARGET tarn_opencl)
    find_library(TARN_OPENCL_LIBRARY NAMES libOpenCL.so.1 OpenCL)
endif()
if(TARGET tarn_opencl AND TARN_OPENCL_LIBRARY)
    add_library(test_opencl_faulty MODULE ${PROJECT_SOURCE_DIR}/tests/opencl/driver/faulty.c)
    target_link_libraries(test_opencl_faulty PRIVATE tarn_options ${TARN_OPENCL_LIBRARY} ${CMAKE_DL_LIBS})
    target_link_options(test_opencl_faulty PRIVATE -Wl,--no-as-needed)
    set_target_properties(test_opencl_faulty PROPERTIES
        OUTPUT_NAME OpenCL-faulty
        LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests/plugins)
endif()
if(TARGET tarn_opencl AND TARN_OPENCL_LIBRARY)
    add_library(test_opencl_counting MODULE ${PROJECT_SOURCE_DIR}/tests/opencl/clblast/counting.c)
    target_link_libraries(test_opencl_counting PRIVATE tarn_options ${TARN_OPENCL_LIBRARY})
    target_include_directories(test_opencl_counting SYSTEM PRIVATE ${TARN_OPENCL_INCLUDE})
    set_target_properties(test_opencl_counting PROPERTIES
        OUTPUT_NAME clblast-counting
        LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests/plugins)
endif()
if(TARGET tarn_opencl)
    # The list of devices has commas, as the second device's name: both are tested.
    foreach(suite contract streams statistics limits lifetime)
        tarn_test_on_opencl(memory_${suite} test_memory_${suite} opencl:0,memory=buffer)
    endforeach()
    tarn_test_on_opencl(box test_hal_box "opencl:0,opencl:0,memory=buffer")
    # Each kernel is compiled when it is first needed, so that little of each suite is done.
    tarn_test_on_opencl(elementwise test_tensor_operation_elementwise opencl:0)
    tarn_test_on_opencl(reduce test_tensor_operation_reduce opencl:0)
    tarn_test_on_opencl(neural test_tensor_operation_neural "opencl:0,memory=buffer")
    tarn_test_on_opencl(accuracy test_tensor_accuracy opencl:0)
    tarn_test_on_opencl(evaluate test_expr_evaluate opencl:0)
    tarn_test_on_opencl(product test_tensor_operation_product opencl:0)
    tarn_test_on_opencl(parts test_tensor_operation_parts opencl:0)
    tarn_test_on_opencl(operation_streams test_tensor_operation_streams opencl:0)
    tarn_test_on_opencl(captured_operations test_expr_capture "opencl:0,memory=buffer")
    foreach(suite elementwise reduce)
        set_property(TEST opencl.${suite} APPEND PROPERTY ENVIRONMENT TARN_TEST_SLOWNESS=3000)
    endforeach()
    set_property(TEST opencl.neural APPEND PROPERTY ENVIRONMENT TARN_TEST_SLOWNESS=400)
    set_property(TEST opencl.product APPEND PROPERTY ENVIRONMENT TARN_TEST_SLOWNESS=24)
endif()

# Oclgrind interprets kernels and sees what drivers hide: races, and reads and writes outside of memory. It takes the place of libOpenCL.
find_file(TARN_OCLGRIND liboclgrind-rt.so PATHS /usr/lib/oclgrind /usr/local/lib/oclgrind DOC "The library that oclgrind preloads")
if(TARGET tarn_opencl AND TARN_OCLGRIND AND NOT TARN_SANITIZE AND NOT TARN_COVERAGE)
    foreach(suite elementwise reduce neural product)
        add_test(NAME opencl.oclgrind_${suite}
            COMMAND ${PROJECT_SOURCE_DIR}/tests/opencl/oclgrind.sh $<TARGET_FILE:test_tensor_operation_${suite}>)
        tarn_test_properties(opencl.oclgrind_${suite})
        set_property(TEST opencl.oclgrind_${suite} APPEND PROPERTY ENVIRONMENT ${opencl_environment}
            TARN_OPENCL=${TARN_OCLGRIND} TARN_TEST_DEVICE=opencl:0 TARN_TEST_SLOWNESS=3000)
    endforeach()
    # It would give each row to an item by itself.
    add_test(NAME opencl.oclgrind_rows
        COMMAND ${PROJECT_SOURCE_DIR}/tests/opencl/oclgrind.sh $<TARGET_FILE:test_tensor_operation_neural>)
    tarn_test_properties(opencl.oclgrind_rows)
    set_property(TEST opencl.oclgrind_rows APPEND PROPERTY ENVIRONMENT ${opencl_environment}
        TARN_OPENCL=${TARN_OCLGRIND} TARN_TEST_DEVICE=opencl:0,rows=groups TARN_TEST_SLOWNESS=3000)
    # Vectors of 4, as it prefers none; and without optimisation, after which it computes some conditions on vectors wrongly, and some kernels not at
    # all. Nothing that the backend can ask says how Oclgrind was told to compile: what it compiled so is kept apart.
    foreach(suite elementwise reduce neural rows)
        set_property(TEST opencl.oclgrind_${suite} APPEND PROPERTY ENVIRONMENT TARN_OPENCL_LANES=4 OCLGRIND_BUILD_OPTIONS=-cl-opt-disable
            XDG_CACHE_HOME=${opencl_cache}/opencl/unoptimized)
    endforeach()
    set_property(TEST opencl.oclgrind_neural APPEND PROPERTY ENVIRONMENT TARN_TEST_SLOWNESS=60)
    set_property(TEST opencl.oclgrind_product APPEND PROPERTY ENVIRONMENT TARN_TEST_SLOWNESS=80)
    # It would take the tiles in local memory by itself.
    add_test(NAME opencl.oclgrind_registers
        COMMAND ${PROJECT_SOURCE_DIR}/tests/opencl/oclgrind.sh $<TARGET_FILE:test_tensor_operation_product>)
    tarn_test_properties(opencl.oclgrind_registers)
    set_property(TEST opencl.oclgrind_registers APPEND PROPERTY ENVIRONMENT ${opencl_environment}
        TARN_OPENCL=${TARN_OCLGRIND} TARN_TEST_DEVICE=opencl:0,product=registers TARN_TEST_SLOWNESS=300)
endif()

# Without a variable that says where it is: the tool has the library inside and lies beside the folder of backends.
if(TARGET tarn_opencl AND TARGET tarn_tool)
    add_test(NAME opencl.is_found_beside_the_library COMMAND tarn_tool devices)
    tarn_test_properties(opencl.is_found_beside_the_library)
    set_tests_properties(opencl.is_found_beside_the_library PROPERTIES PASS_REGULAR_EXPRESSION "TARN_OPENCL is off")
    find_program(PYTHON3 python3)
    if(PYTHON3)
        add_test(NAME opencl.figures COMMAND ${PYTHON3} ${PROJECT_SOURCE_DIR}/tests/workload/figures.py)
        tarn_test_properties(opencl.figures)
        # Leaks of the command are workload.runs' to find, those of the backend its own tests': LeakSanitizer now and then reads wrong
        # addresses of the variables that the driver's threads have.
        set_property(TEST opencl.figures APPEND PROPERTY ENVIRONMENT ${opencl_environment} TARN_TEST_DEVICE=opencl:0
            ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1)
        set_tests_properties(opencl.figures PROPERTIES SKIP_RETURN_CODE 77)
    endif()
    add_test(NAME opencl.bench COMMAND tarn_tool bench alloc ops --device opencl:0 -qq)
    tarn_test_properties(opencl.bench)
    set_property(TEST opencl.bench APPEND PROPERTY ENVIRONMENT ${opencl_environment})
    set_tests_properties(opencl.bench PROPERTIES PASS_REGULAR_EXPRESSION "alloc on opencl:0.*ops on opencl:0.*relu.*≥ 0.8")
endif()
