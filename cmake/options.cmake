# How every file of Tarn is compiled. Targets take these options by linking the private interface library tarn_options.
find_package(Threads REQUIRED)

add_library(tarn_options INTERFACE)
target_compile_features(tarn_options INTERFACE c_std_11)
target_compile_definitions(tarn_options INTERFACE _GNU_SOURCE)
target_include_directories(tarn_options INTERFACE
    ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src ${PROJECT_BINARY_DIR}/include)
# Sentences are cut to their buffers on purpose, which -Wall would report as format-truncation.
target_compile_options(tarn_options INTERFACE
    -fvisibility=hidden -fno-semantic-interposition -Wall -Wextra -Wpedantic -Wshadow -Wconversion
    $<$<C_COMPILER_ID:GNU>:-Wno-format-truncation>
    $<$<BOOL:${TARN_WARNINGS_AS_ERRORS}>:-Werror>)

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_FLAGS_RELEASE "-O2 -g -DNDEBUG")
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O1 -g -fno-omit-frame-pointer")
set(CMAKE_C_FLAGS_DEBUG "-O0 -g -fno-omit-frame-pointer")

if(CMAKE_BUILD_TYPE STREQUAL "Debug")
    target_compile_definitions(tarn_options INTERFACE TARN_DEBUG_CHECKS)
endif()
if(TARN_SANITIZE)
    # -O1 keeps the reports readable and the tests quick; it comes behind the -O0 of Debug.
    target_compile_options(tarn_options INTERFACE -O1 -fsanitize=${TARN_SANITIZE} -fno-sanitize-recover=all)
    target_link_options(tarn_options INTERFACE -fsanitize=${TARN_SANITIZE})
endif()
# Reports name lines; the rest of the debug information takes a quarter of the time that the build takes.
if(TARN_LINES_ONLY)
    target_compile_options(tarn_options INTERFACE -g1)
endif()
if(TARN_COVERAGE)
    target_compile_options(tarn_options INTERFACE --coverage -fprofile-update=atomic)
    target_link_options(tarn_options INTERFACE --coverage)
endif()
if(TARN_FUZZ)
    target_compile_options(tarn_options INTERFACE -fsanitize=fuzzer-no-link)
    target_compile_definitions(tarn_options INTERFACE FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION)
endif()

# oneDNN is opened at run time; how it is called stands in its headers. Without them it is left out.
find_path(TARN_ONEDNN_INCLUDE oneapi/dnnl/dnnl.h DOC "The folder of oneDNN's headers, version 2")
set(TARN_HAS_ONEDNN OFF)
if(TARN_ONEDNN_INCLUDE)
    file(STRINGS ${TARN_ONEDNN_INCLUDE}/oneapi/dnnl/dnnl_version.h onednn_version REGEX "define DNNL_VERSION_MAJOR 2$")
    if(onednn_version)
        set(TARN_HAS_ONEDNN ON)
        target_compile_definitions(tarn_options INTERFACE TARN_HAS_ONEDNN)
        target_include_directories(tarn_options SYSTEM INTERFACE ${TARN_ONEDNN_INCLUDE})
    endif()
endif()
if(NOT TARN_HAS_ONEDNN)
    message(STATUS "No headers of oneDNN 2 (libdnnl-dev): matrix products and convolutions are Tarn's own alone")
endif()
