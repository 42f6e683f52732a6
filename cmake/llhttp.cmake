# llhttp, the HTTP/1 parser: the distribution's library where it has one, else the C sources that
# Debian 12 ships in node-llhttp, which scripts/setup.sh unpacks into .deps/llhttp.
find_library(LLHTTP_LIBRARY llhttp)
find_path(LLHTTP_INCLUDE llhttp.h PATH_SUFFIXES llhttp)
set(LLHTTP_SOURCES ${CMAKE_SOURCE_DIR}/.deps/llhttp/usr/share)
if(LLHTTP_LIBRARY AND LLHTTP_INCLUDE)
  add_library(llhttp INTERFACE)
  target_link_libraries(llhttp INTERFACE ${LLHTTP_LIBRARY})
  set(MOONLOOP_LLHTTP_LIBS -lllhttp)
  target_include_directories(llhttp SYSTEM INTERFACE ${LLHTTP_INCLUDE})
elseif(EXISTS ${LLHTTP_SOURCES}/llhttp/llhttp.c)
  # Its objects go into moonloop's own library, where nobody else sees them.
  add_library(llhttp OBJECT ${LLHTTP_SOURCES}/llhttp/llhttp.c ${LLHTTP_SOURCES}/llhttp/http.c
    ${LLHTTP_SOURCES}/llhttp/api.c)
  target_include_directories(llhttp SYSTEM PUBLIC ${LLHTTP_SOURCES}/include/llhttp)
  target_compile_definitions(llhttp PRIVATE LLHTTP_STRICT_MODE=1)
  # The specs have them in a module, too.
  set_target_properties(llhttp PROPERTIES C_VISIBILITY_PRESET hidden POSITION_INDEPENDENT_CODE ON)
else()
  message(FATAL_ERROR "llhttp was not found: install libllhttp-dev, or run scripts/setup.sh once")
endif()
