# What is installed where, in the parts that become packages: runtime, development, tool, the backend for OpenCL, the
# plug-in for PyTorch.
include(CMakePackageConfigHelpers)

install(TARGETS tarn EXPORT tarn_targets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT development)
install(TARGETS tarn_static EXPORT tarn_targets
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
install(DIRECTORY include/tarn ${PROJECT_BINARY_DIR}/include/tarn
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development FILES_MATCHING PATTERN "*.h")

# CMake package: find_package(tarn) gives tarn::tarn and tarn::static.
set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/tarn)
configure_package_config_file(cmake/tarn-config.cmake.in ${PROJECT_BINARY_DIR}/tarn-config.cmake
    INSTALL_DESTINATION ${package_folder} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/tarn-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/tarn-config.cmake ${PROJECT_BINARY_DIR}/tarn-config-version.cmake
    DESTINATION ${package_folder} COMPONENT development)
install(EXPORT tarn_targets NAMESPACE tarn:: FILE tarn-targets.cmake
    DESTINATION ${package_folder} COMPONENT development)

# pkg-config file, with a prefix relative to itself so that the installed tree can be moved.
file(RELATIVE_PATH prefix_from_pkgconfig ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" prefix_from_pkgconfig "${prefix_from_pkgconfig}")
configure_file(cmake/tarn.pc.in ${PROJECT_BINARY_DIR}/tarn.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/tarn.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)

if(TARGET tarn_opencl)
    install(TARGETS tarn_opencl LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/tarn-backends COMPONENT opencl)
endif()

if(TARN_BUILD_TOOL)
    if(TARGET tarn_tool)
        install(TARGETS tarn_tool RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT tool)
    endif()
    if(TARGET tarn_record)
        install(TARGETS tarn_record LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/tarn COMPONENT tool)
    endif()
    if(TARGET tarn_torch)
        install(TARGETS tarn_torch LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/tarn COMPONENT torch)
    endif()
    if(TARGET tarn_torch_shim)
        install(TARGETS tarn_torch_shim LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/tarn COMPONENT torch)
    endif()
    if(EXISTS ${PROJECT_SOURCE_DIR}/docs/tarn.1 AND NOT TARN_PACKAGE)
        install(FILES docs/tarn.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT tool)
    endif()
    install(FILES tools/completion/tarn.bash RENAME tarn
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT tool)
    # Debian keeps site-functions for the administrator.
    install(FILES tools/completion/_tarn COMPONENT tool
        DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/$<IF:$<BOOL:${TARN_PACKAGE}>,vendor-completions,site-functions>)
endif()
