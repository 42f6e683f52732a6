# What makes a fault harder to use: checked stack frames and copies, stacks that cannot jump over their
# guard, and tables of the loader that nobody can write. Not -fcf-protection: the archives of Debian that
# are linked in are made without it, so the loader would not turn it on, and each call would pay.
# spec/house/hardening_spec.lua looks at the result.
set(HARDENED $<CONFIG:Release>)
add_compile_options($<$<C_COMPILER_ID:GNU>:-Wformat=2> "$<${HARDENED}:-fstack-protector-strong>" "$<${HARDENED}:-fstack-clash-protection>"
  "$<${HARDENED}:-D_FORTIFY_SOURCE=2>")
add_link_options(-Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)

# The way of a request has no arrays of bytes on its stack, but addresses of locals: a check in each of
# these functions would be a hundredth of a request. What has such arrays is checked there, too.
set_source_files_properties(
  ${CMAKE_SOURCE_DIR}/bindings/web/web_response.c
  ${CMAKE_SOURCE_DIR}/host/core/scheduler.c
  ${CMAKE_SOURCE_DIR}/host/http/server/http_head.c
  ${CMAKE_SOURCE_DIR}/host/http/server/http_request.c
  ${CMAKE_SOURCE_DIR}/host/http/server/http_response.c
  ${CMAKE_SOURCE_DIR}/host/http/server/http_router_find.c
  ${CMAKE_SOURCE_DIR}/host/json/json_number.c
  ${CMAKE_SOURCE_DIR}/host/net/byte_stream.c
  PROPERTIES COMPILE_OPTIONS "$<${HARDENED}:-fstack-protector>")
