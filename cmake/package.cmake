# Debian packages: libtarn0, libtarn-dev and tarn, from the three parts of install.cmake.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME tarn)
set(CPACK_PACKAGE_VENDOR "Tarn contributors")
set(CPACK_PACKAGE_CONTACT "Tarn contributors <tarn@example.org>")
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/packages)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL runtime development tool)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(description "Tarn hands out tensor memory on devices by strategies that are named by text,
measures what they need, and replays the memory traces of other programs.")

set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME libtarn${PROJECT_VERSION_MAJOR})
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_RUNTIME_DESCRIPTION "tensor memory for C, shared library\n${description}")

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libtarn-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "libtarn${PROJECT_VERSION_MAJOR} (= ${PROJECT_VERSION}-1)")
set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION "tensor memory for C, headers and static library\n${description}")

set(CPACK_DEBIAN_TOOL_PACKAGE_NAME tarn)
set(CPACK_DEBIAN_TOOL_PACKAGE_SECTION devel)
set(CPACK_DEBIAN_TOOL_DESCRIPTION "record, inspect and replay memory traces\n${description}")

# What Debian wants beside the files: a copyright notice and a compressed change log for each package.
find_program(GZIP gzip)
if(GZIP)
    execute_process(COMMAND ${GZIP} -9 -n -c ${PROJECT_SOURCE_DIR}/CHANGELOG.md
        OUTPUT_FILE ${PROJECT_BINARY_DIR}/changelog.gz)
    foreach(component runtime development tool)
        string(TOUPPER ${component} upper)
        set(folder ${CMAKE_INSTALL_DATADIR}/doc/${CPACK_DEBIAN_${upper}_PACKAGE_NAME})
        install(FILES cmake/copyright DESTINATION ${folder} COMPONENT ${component})
        install(FILES ${PROJECT_BINARY_DIR}/changelog.gz RENAME changelog.Debian.gz
            DESTINATION ${folder} COMPONENT ${component})
    endforeach()
endif()

include(CPack)
