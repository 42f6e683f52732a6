# Debian packages, moonloop and moonloop-dev: `cmake --preset release -DMOONLOOP_PACKAGE=ON`, build, and `cpack` in
# build/release. The manual page is made from doc/reference/command-line.md (scdoc), the completions from what
# `moonloop help` says.
if(NOT MOONLOOP_PACKAGE)
  return()
endif()

find_program(SCDOC scdoc REQUIRED)
set(PACKAGE_SOURCE ${CMAKE_SOURCE_DIR}/scripts/package)
set(PACKAGE_FILES ${CMAKE_BINARY_DIR}/package)
set(COMMAND_LINE ${CMAKE_SOURCE_DIR}/doc/reference/command-line.md)
file(MAKE_DIRECTORY ${PACKAGE_FILES})

add_custom_command(OUTPUT ${PACKAGE_FILES}/moonloop.1.gz
  COMMAND moonloop ${PACKAGE_SOURCE}/man.lua ${COMMAND_LINE} ${PROJECT_VERSION} > ${PACKAGE_FILES}/moonloop.1.scd
  COMMAND ${SCDOC} < ${PACKAGE_FILES}/moonloop.1.scd > ${PACKAGE_FILES}/moonloop.1
  COMMAND gzip -9nf ${PACKAGE_FILES}/moonloop.1
  DEPENDS moonloop ${PACKAGE_SOURCE}/man.lua ${COMMAND_LINE})
add_custom_command(
  OUTPUT ${PACKAGE_FILES}/moonloop.bash ${PACKAGE_FILES}/_moonloop ${PACKAGE_FILES}/moonloop.fish
  COMMAND moonloop ${PACKAGE_SOURCE}/completions.lua $<TARGET_FILE:moonloop> ${PACKAGE_FILES}
  DEPENDS moonloop ${PACKAGE_SOURCE}/completions.lua ${PACKAGE_SOURCE}/help.lua)
# Our list of changes, and one in Debian's form, whose date is SOURCE_DATE_EPOCH where that is set.
string(TIMESTAMP PACKAGE_DATE "%a, %d %b %Y %H:%M:%S +0000" UTC)
file(WRITE ${PACKAGE_FILES}/changelog.Debian "moonloop (${PROJECT_VERSION}-0moonloop1) unstable; urgency=medium

  * What has changed is in changelog.gz.

 -- the moonloop authors <moonloop@example.org>  ${PACKAGE_DATE}
")
add_custom_command(OUTPUT ${PACKAGE_FILES}/changelog.gz ${PACKAGE_FILES}/changelog.Debian.gz
  COMMAND gzip -9nc ${CMAKE_SOURCE_DIR}/CHANGELOG.md > ${PACKAGE_FILES}/changelog.gz
  COMMAND gzip -9nc ${PACKAGE_FILES}/changelog.Debian > ${PACKAGE_FILES}/changelog.Debian.gz
  DEPENDS ${CMAKE_SOURCE_DIR}/CHANGELOG.md ${PACKAGE_FILES}/changelog.Debian)
add_custom_target(package_files ALL DEPENDS ${PACKAGE_FILES}/moonloop.1.gz ${PACKAGE_FILES}/moonloop.bash
  ${PACKAGE_FILES}/changelog.gz)

install(FILES ${PACKAGE_FILES}/moonloop.1.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${PACKAGE_FILES}/moonloop.bash RENAME moonloop
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${PACKAGE_FILES}/_moonloop DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
install(FILES ${PACKAGE_FILES}/moonloop.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(FILES ${PACKAGE_SOURCE}/moonloop@.service ${PACKAGE_SOURCE}/moonloop@.socket
  ${PACKAGE_SOURCE}/moonloop-work@.service DESTINATION lib/systemd/system)
install(FILES ${PACKAGE_FILES}/changelog.gz ${PACKAGE_FILES}/changelog.Debian.gz
  DESTINATION ${CMAKE_INSTALL_DOCDIR})
if(MOONLOOP_STATIC)
  # What `moonloop build` makes is a copy of the program, which has to run where there is only a C library.
  file(WRITE ${PACKAGE_FILES}/lintian-overrides
    "moonloop: embedded-library ncurses *\nmoonloop: embedded-library zlib *\n")
  install(FILES ${PACKAGE_FILES}/lintian-overrides RENAME moonloop
    DESTINATION ${CMAKE_INSTALL_DATADIR}/lintian/overrides)
endif()
set(DEV_DOCDIR ${CMAKE_INSTALL_DATADIR}/doc/moonloop-dev)
install(FILES LICENSE RENAME copyright DESTINATION ${DEV_DOCDIR} COMPONENT dev)
install(FILES ${PACKAGE_FILES}/changelog.gz ${PACKAGE_FILES}/changelog.Debian.gz DESTINATION ${DEV_DOCDIR}
  COMPONENT dev)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME moonloop)
set(CPACK_PACKAGE_CONTACT "the moonloop authors <moonloop@example.org>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL Unspecified dev)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 0moonloop1)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(CPACK_DEBIAN_UNSPECIFIED_PACKAGE_NAME moonloop)
set(CPACK_DEBIAN_UNSPECIFIED_PACKAGE_SECTION interpreters)
set(CPACK_DEBIAN_UNSPECIFIED_PACKAGE_SHLIBDEPS ON)
# Libraries that are loaded when a script first needs them.
set(CPACK_DEBIAN_UNSPECIFIED_PACKAGE_RECOMMENDS
    "ca-certificates, libssl3, libnghttp2-14, libpsl5, publicsuffix, libidn2-0")
set(CPACK_DEBIAN_UNSPECIFIED_PACKAGE_SUGGESTS "libpq5, libsqlite3-0, libpcre2-8-0")
set(CPACK_COMPONENT_UNSPECIFIED_DESCRIPTION "async API host for Lua 5.4
Runs Lua scripts whose waiting suspends a task instead of blocking: a server
and a client of HTTP, databases, other cores, a prompt and a spec runner, in
one program.")
set(CPACK_DEBIAN_DEV_PACKAGE_NAME moonloop-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "libuv1-dev, liblua5.4-dev, libedit-dev, zlib1g-dev, libbrotli-dev")
set(CPACK_COMPONENT_DEV_DESCRIPTION "async API host for Lua 5.4 - to embed it
The header, library and pkg-config file for C programs that run moonloop
inside themselves.")
include(CPack)
