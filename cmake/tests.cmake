# Tests: tests/<room>/test_<name>.c is one cmocka program, <room>.<name> under ctest. Other C files of the folder are helpers
# linked into each of them. What a room needs beyond that stands in tests/<room>/*.cmake or a CMakeLists.txt there.
find_package(PkgConfig REQUIRED)
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)

# Several times what the longest test takes on two idle cores: it is to find what hangs, on a busy machine too.
set(TARN_TEST_TIMEOUT 600)
if(TARN_SANITIZE OR TARN_COVERAGE)
    set(TARN_TEST_TIMEOUT 1200)
endif()

set(TARN_TEST_ENVIRONMENT
    TARN_SHARED_DATA=${PROJECT_SOURCE_DIR}/../shared/data
    TARN_SOURCE_DIR=${PROJECT_SOURCE_DIR}
    TARN_BUILD_DIR=${PROJECT_BINARY_DIR}
    TARN_TOOL=${PROJECT_BINARY_DIR}/tarn
    TARN_RECORDER=${PROJECT_BINARY_DIR}/libtarn-record.so
    TARN_TEST_SECONDS=${TARN_TEST_TIMEOUT}
    # Only the tests of its backend start a driver.
    TARN_OPENCL=off
    "ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1:detect_stack_use_after_return=1"
    "UBSAN_OPTIONS=print_stacktrace=1"
    "TSAN_OPTIONS=allocator_may_return_null=1:second_deadlock_stack=1")

# ThreadSanitizer sees nothing of what oneDNN does. What only takes longer is done less often there: a race shows in the first rounds.
if(TARN_SANITIZE MATCHES "thread")
    list(APPEND TARN_TEST_ENVIRONMENT TARN_ONEDNN=off TARN_TEST_SLOWNESS=10)
endif()

set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/longest.txt)
file(STRINGS ${PROJECT_SOURCE_DIR}/tests/longest.txt TARN_LONGEST_TESTS REGEX "^[^#]")
list(REVERSE TARN_LONGEST_TESTS)

# Gives a test what all tests have: environment, time limit, its place in the order in which tests are begun.
function(tarn_test_properties name)
    list(FIND TARN_LONGEST_TESTS ${name} place)
    math(EXPR cost "${place} + 1")
    set_tests_properties(${name} PROPERTIES TIMEOUT ${TARN_TEST_TIMEOUT} ENVIRONMENT "${TARN_TEST_ENVIRONMENT}" COST ${cost})
endfunction()

# Sets ${out} to a library with the room's shared helpers, or to nothing where it has none.
function(tarn_test_helpers room folder out)
    file(GLOB helpers CONFIGURE_DEPENDS ${folder}/*.c)
    list(FILTER helpers EXCLUDE REGEX "/test_[^/]*\\.c$")
    set(${out} "" PARENT_SCOPE)
    if(helpers)
        add_library(test_${room}_helpers OBJECT ${helpers})
        target_link_libraries(test_${room}_helpers PUBLIC test_support tarn_testing PkgConfig::CMOCKA)
        set(${out} test_${room}_helpers PARENT_SCOPE)
    endif()
endfunction()

# What several rooms stand on; a test is given of it what it uses.
file(GLOB support_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/support/*.c)
add_library(test_support STATIC ${support_sources})
target_link_libraries(test_support PUBLIC tarn_testing PkgConfig::CMOCKA)
target_include_directories(test_support PUBLIC ${PROJECT_SOURCE_DIR}/tests/support)

file(GLOB room_folders CONFIGURE_DEPENDS LIST_DIRECTORIES true ${PROJECT_SOURCE_DIR}/tests/*)
foreach(folder IN LISTS room_folders)
    cmake_path(GET folder FILENAME room)
    if(NOT IS_DIRECTORY ${folder} OR room MATCHES "^(fuzz|consumer|support)$")
        continue()
    endif()
    file(GLOB programs CONFIGURE_DEPENDS ${folder}/test_*.c)
    if(programs)
        tarn_test_helpers(${room} ${folder} helpers)
    endif()
    foreach(program IN LISTS programs)
        cmake_path(GET program STEM stem)
        string(REGEX REPLACE "^test_" "" name ${stem})
        set(target test_${room}_${name})
        add_executable(${target} ${program})
        target_link_libraries(${target} PRIVATE ${helpers} test_support tarn_testing PkgConfig::CMOCKA)
        set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
        target_include_directories(${target} PRIVATE ${folder})
        add_test(NAME ${room}.${name} COMMAND ${target})
        tarn_test_properties(${room}.${name})
    endforeach()
    file(GLOB additions CONFIGURE_DEPENDS ${folder}/*.cmake)
    foreach(addition IN LISTS additions)
        include(${addition})
    endforeach()
    if(EXISTS ${folder}/CMakeLists.txt)
        add_subdirectory(${folder} ${PROJECT_BINARY_DIR}/tests/${room})
    endif()
endforeach()

# The installed tree, as others see it. Only in plain builds: a sanitized library needs a sanitized program.
if(NOT TARN_SANITIZE AND NOT TARN_COVERAGE)
    add_test(NAME consumer.installed_tree
        COMMAND ${PROJECT_SOURCE_DIR}/tests/consumer/run.sh ${PROJECT_BINARY_DIR})
    tarn_test_properties(consumer.installed_tree)
endif()
