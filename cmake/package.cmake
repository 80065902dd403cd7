# Debian packages: libtarn0, libtarn-dev, tarn, tarn-opencl and tarn-torch, from the parts of install.cmake.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME tarn)
set(CPACK_PACKAGE_VENDOR "Tarn contributors")

# A package names whoever answers for it: as Debian's own tools have it (DEBFULLNAME, DEBEMAIL), else the author of the commit that
# is packaged.
if(DEFINED ENV{DEBEMAIL} AND DEFINED ENV{DEBFULLNAME})
    set(CPACK_PACKAGE_CONTACT "$ENV{DEBFULLNAME} <$ENV{DEBEMAIL}>")
else()
    execute_process(COMMAND git -C ${PROJECT_SOURCE_DIR} log -1 "--format=%an <%ae>"
        OUTPUT_VARIABLE CPACK_PACKAGE_CONTACT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    if(NOT CPACK_PACKAGE_CONTACT)
        message(FATAL_ERROR "this is no git checkout: DEBFULLNAME and DEBEMAIL must say whose packages these are")
    endif()
endif()

set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/packages)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL runtime development tool)
if(TARGET tarn_opencl)
    list(APPEND CPACK_COMPONENTS_ALL opencl)
endif()
if(TARGET tarn_torch)
    list(APPEND CPACK_COMPONENTS_ALL torch)
endif()

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(description "Tarn hands out tensor memory on devices by strategies that are named by text,
measures what they need, and replays the memory traces of other programs.\n")

set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME libtarn${PROJECT_VERSION_MAJOR})
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION libs)
# Opened at run time.
set(CPACK_DEBIAN_RUNTIME_PACKAGE_RECOMMENDS libdnnl2)
set(CPACK_DEBIAN_RUNTIME_DESCRIPTION "${description}\nThis package holds the shared library.")

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libtarn-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "libtarn${PROJECT_VERSION_MAJOR} (= ${PROJECT_VERSION}-1)")
set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION "${description}\nThis package holds the headers and the static library.")

set(CPACK_DEBIAN_TOOL_PACKAGE_NAME tarn)
set(CPACK_DEBIAN_TOOL_PACKAGE_SECTION devel)
# Draws the plots of the benchmarks.
set(CPACK_DEBIAN_TOOL_PACKAGE_RECOMMENDS "gnuplot-nox | gnuplot")
set(CPACK_DEBIAN_TOOL_DESCRIPTION "${description}\nThis package holds the tarn command.")

set(CPACK_DEBIAN_OPENCL_PACKAGE_NAME tarn-opencl)
set(CPACK_DEBIAN_OPENCL_PACKAGE_SECTION libs)
# It is opened by libtarn or by the command, and opens OpenCL's loader.
set(CPACK_DEBIAN_OPENCL_PACKAGE_DEPENDS "ocl-icd-libopencl1 | libopencl1")
set(CPACK_DEBIAN_OPENCL_PACKAGE_SUGGESTS "libclblast1")
set(CPACK_DEBIAN_OPENCL_PACKAGE_ENHANCES "libtarn${PROJECT_VERSION_MAJOR}, tarn")
set(CPACK_DEBIAN_OPENCL_DESCRIPTION "${description}\nThis package holds the backend for OpenCL devices.")

set(CPACK_DEBIAN_TORCH_PACKAGE_NAME tarn-torch)
set(CPACK_DEBIAN_TORCH_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_TORCH_PACKAGE_DEPENDS "libtarn${PROJECT_VERSION_MAJOR} (= ${PROJECT_VERSION}-1)")
set(CPACK_DEBIAN_TORCH_DESCRIPTION "${description}\nThis package holds the plug-in for PyTorch.")
# Where libtarn is found, which this package leaves to its dependency.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${PROJECT_BINARY_DIR})

# What Debian wants beside the files, compressed: the changes of each package, and the manual page.
find_program(GZIP gzip REQUIRED)
function(compress in out)
    execute_process(COMMAND ${GZIP} -9 -n -c ${in} OUTPUT_FILE ${PROJECT_BINARY_DIR}/${out} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

string(TIMESTAMP PACKAGE_DATE "%a, %d %b %Y %H:%M:%S +0000" UTC)
configure_file(cmake/changelog.Debian.in ${PROJECT_BINARY_DIR}/changelog.Debian @ONLY)
compress(${PROJECT_BINARY_DIR}/changelog.Debian changelog.Debian.gz)
compress(${PROJECT_SOURCE_DIR}/CHANGELOG.md changelog.gz)
foreach(component IN LISTS CPACK_COMPONENTS_ALL)
    string(TOUPPER ${component} upper)
    install(FILES cmake/copyright ${PROJECT_BINARY_DIR}/changelog.Debian.gz ${PROJECT_BINARY_DIR}/changelog.gz
        DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${CPACK_DEBIAN_${upper}_PACKAGE_NAME} COMPONENT ${component})
endforeach()
if(EXISTS ${PROJECT_SOURCE_DIR}/docs/tarn.1)
    compress(${PROJECT_SOURCE_DIR}/docs/tarn.1 tarn.1.gz)
    install(FILES ${PROJECT_BINARY_DIR}/tarn.1.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT tool)
endif()

include(CPack)
