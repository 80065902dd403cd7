# The example backend of docs/writing-a-backend.md, which sees the public headers alone, under the memory part of the conformance suites.
add_library(test_example_backend MODULE ${CMAKE_CURRENT_LIST_DIR}/backend.c)
get_target_property(example_options tarn_options INTERFACE_COMPILE_OPTIONS)
get_target_property(example_link_options tarn_options INTERFACE_LINK_OPTIONS)
target_compile_definitions(test_example_backend PRIVATE _GNU_SOURCE)
target_compile_options(test_example_backend PRIVATE ${example_options})
if(example_link_options)
    target_link_options(test_example_backend PRIVATE ${example_link_options})
endif()
target_include_directories(test_example_backend PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_BINARY_DIR}/include)
set_target_properties(test_example_backend PROPERTIES
    OUTPUT_NAME tarn-example
    LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests/plugins/example)
foreach(suite contract lifetime statistics streams)
    add_test(NAME example.memory_${suite} COMMAND test_memory_${suite})
    tarn_test_properties(example.memory_${suite})
    set_property(TEST example.memory_${suite} APPEND PROPERTY ENVIRONMENT TARN_TEST_DEVICE=example
        TARN_BACKEND_PATH=${PROJECT_BINARY_DIR}/tests/plugins/example)
endforeach()
# It has no copies of boxes: they go row by row.
add_test(NAME example.box COMMAND test_hal_box)
tarn_test_properties(example.box)
set_property(TEST example.box APPEND PROPERTY ENVIRONMENT TARN_TEST_DEVICE=example
    TARN_BACKEND_PATH=${PROJECT_BINARY_DIR}/tests/plugins/example)
# What the page has its reader type: the device is listed, with its memory.
if(TARGET tarn_tool)
    add_test(NAME example.devices COMMAND tarn_tool devices)
    tarn_test_properties(example.devices)
    set_property(TEST example.devices APPEND PROPERTY ENVIRONMENT TARN_BACKEND_PATH=${PROJECT_BINARY_DIR}/tests/plugins/example)
    set_tests_properties(example.devices PROPERTIES PASS_REGULAR_EXPRESSION "example:0 +other +an example")
endif()
