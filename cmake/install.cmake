# What is installed: the program, and for C programs that embed the host moonloop.h, its library
# and a pkg-config file:  cc main.c $(pkg-config --cflags --libs moonloop)
include(GNUInstallDirs)
install(TARGETS moonloop RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS moonloop_host ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES host/moonloop.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
# The prefix is known when `cmake --install` runs.
install(CODE "set(PROJECT_VERSION ${PROJECT_VERSION})
set(CMAKE_INSTALL_LIBDIR ${CMAKE_INSTALL_LIBDIR})
set(CMAKE_INSTALL_INCLUDEDIR ${CMAKE_INSTALL_INCLUDEDIR})
set(MOONLOOP_LLHTTP_LIBS \"${MOONLOOP_LLHTTP_LIBS}\")
get_filename_component(CMAKE_INSTALL_PREFIX \"\${CMAKE_INSTALL_PREFIX}\" ABSOLUTE)
configure_file(\"${CMAKE_SOURCE_DIR}/cmake/moonloop.pc.in\"
  \"${CMAKE_BINARY_DIR}/moonloop.pc\" @ONLY)")
install(FILES ${CMAKE_BINARY_DIR}/moonloop.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
