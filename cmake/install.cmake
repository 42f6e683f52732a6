# What is installed: the program, the licences, and for C programs that embed the host moonloop.h, its
# library and a pkg-config file:  cc main.c $(pkg-config --cflags --libs moonloop)
option(MOONLOOP_PACKAGE "make what Debian packages have beside that; needs scdoc (package.cmake)" OFF)
if(MOONLOOP_PACKAGE)
  set(CMAKE_INSTALL_PREFIX /usr CACHE PATH "where packages install" FORCE)
endif()
include(GNUInstallDirs)
install(TARGETS moonloop RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES ${HOST_ARCHIVE} DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev)
install(FILES host/include/moonloop.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev)
install(DIRECTORY scripts/types DESTINATION ${CMAKE_INSTALL_DATADIR}/moonloop)
install(FILES LICENSE RENAME copyright DESTINATION ${CMAKE_INSTALL_DOCDIR})
if(MOONLOOP_DOCS)
  install(FILES ${PAGES}/swagger-ui-dist/LICENSE ${PAGES}/swagger-ui-dist/NOTICE
    ${PAGES}/swagger-ui-dist/swagger-ui-bundle.js.LICENSE.txt
    DESTINATION ${CMAKE_INSTALL_DOCDIR}/swagger-ui)
  install(FILES ${PAGES}/redoc/LICENSE ${PAGES}/redoc/bundles/redoc.standalone.js.LICENSE.txt
    DESTINATION ${CMAKE_INSTALL_DOCDIR}/redoc)
endif()
# The prefix is known when `cmake --install` runs.
install(CODE "set(PROJECT_VERSION ${PROJECT_VERSION})
set(CMAKE_INSTALL_LIBDIR ${CMAKE_INSTALL_LIBDIR})
set(CMAKE_INSTALL_INCLUDEDIR ${CMAKE_INSTALL_INCLUDEDIR})
set(MOONLOOP_LLHTTP_LIBS \"${MOONLOOP_LLHTTP_LIBS}\")
get_filename_component(CMAKE_INSTALL_PREFIX \"\${CMAKE_INSTALL_PREFIX}\" ABSOLUTE)
configure_file(\"${CMAKE_SOURCE_DIR}/cmake/moonloop.pc.in\"
  \"${CMAKE_BINARY_DIR}/moonloop.pc\" @ONLY)" COMPONENT dev)
install(FILES ${CMAKE_BINARY_DIR}/moonloop.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)
