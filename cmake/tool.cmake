# The tarn command and the recorder that `tarn record` preloads. The command carries the library inside, so that it runs where it was built.
find_package(PkgConfig REQUIRED)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)

# What `tarn run` runs, for its tests too.
file(GLOB workload_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tools/workload/*.c)
add_library(tarn_workloads STATIC ${workload_sources})
target_include_directories(tarn_workloads PUBLIC ${PROJECT_SOURCE_DIR}/tools)
target_link_libraries(tarn_workloads PUBLIC tarn_testing)

file(GLOB tool_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tools/tarn/*.c ${PROJECT_SOURCE_DIR}/tools/bench/*.c)
if(tool_sources)
    add_executable(tarn_tool ${tool_sources})
    set_target_properties(tarn_tool PROPERTIES OUTPUT_NAME tarn)
    target_include_directories(tarn_tool PRIVATE ${PROJECT_SOURCE_DIR}/tools)
    # Where the installed recorder lies, seen from the folder of the command.
    file(RELATIVE_PATH recorder_folder ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR}/tarn)
    target_compile_definitions(tarn_tool PRIVATE TARN_RECORDER_FOLDER="${recorder_folder}")
    target_link_libraries(tarn_tool PRIVATE tarn_workloads tarn_testing PkgConfig::JANSSON)
endif()

file(GLOB recorder_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tools/record/*.c)
if(recorder_sources)
    # Of the library it has only what reads symbol tables, which allocates nothing.
    add_library(tarn_record MODULE ${recorder_sources} ${PROJECT_SOURCE_DIR}/src/base/elf_image.c)
    set_target_properties(tarn_record PROPERTIES OUTPUT_NAME tarn-record)
    # Sanitizers replace malloc themselves: the recorder is always built without them.
    get_target_property(recorder_options tarn_options INTERFACE_COMPILE_OPTIONS)
    list(FILTER recorder_options EXCLUDE REGEX "sanitize|coverage|profile-update")
    target_compile_options(tarn_record PRIVATE ${recorder_options})
    target_compile_definitions(tarn_record PRIVATE _GNU_SOURCE)
    target_include_directories(tarn_record PRIVATE
        ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src ${PROJECT_BINARY_DIR}/include)
    target_link_libraries(tarn_record PRIVATE Threads::Threads ${CMAKE_DL_LIBS})
endif()

# What a folder needs beyond that, such as files to embed, stands beside its sources.
file(GLOB tool_additions CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tools/*/*.cmake)
foreach(addition IN LISTS tool_additions)
    include(${addition})
endforeach()
