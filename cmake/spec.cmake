# What the specs need beside the executable, in the build folder's spec/: the target `specs`, which is
# no part of `all`.
get_property(host_targets DIRECTORY PROPERTY BUILDSYSTEM_TARGETS)
set(spec_options -Wall -Wextra -Wno-missing-field-initializers -Werror)

# Names that the host keeps to itself, for modules and programs that have functions so called.
set(clash_names ${CMAKE_BINARY_DIR}/clash/clash_names.h)
add_custom_command(OUTPUT ${clash_names}
  COMMAND ${CMAKE_COMMAND} -DNM=${CMAKE_NM} -DOUTPUT=${clash_names}
    "-DARCHIVES=$<TARGET_FILE:moonloop_internal>;${SODIUM_STATIC}"
    -P ${CMAKE_SOURCE_DIR}/cmake/clash_names.cmake
  DEPENDS moonloop_internal ${CMAKE_SOURCE_DIR}/cmake/clash_names.cmake VERBATIM)
add_custom_target(clash_names DEPENDS ${clash_names})

# C modules: plain TCP, a terminal, the loop itself, a hook, content codings, readers of the wire, Lua's allocator,
# the examples, and one full of the host's names. They take Lua's and moonloop.h's symbols from the executable.
foreach(source spec/support/rawtcp.c spec/support/pty.c spec/support/loop.c spec/support/hooks.c
    spec/support/coding.c spec/support/framing.c spec/support/socket_faults.c spec/support/clash.c
    spec/support/reports.c spec/support/observations.c spec/support/system_call.c spec/support/blocks.c
    spec/support/file_order.c
    scripts/examples/embed/process.c scripts/examples/embed/checksum.c)
  get_filename_component(module ${source} NAME_WE)
  add_library(${module} MODULE ${source})
  set_target_properties(${module} PROPERTIES PREFIX ""
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/spec)
  target_include_directories(${module} PRIVATE host/include host)
  target_include_directories(${module} SYSTEM PRIVATE ${LUA_INCLUDE_DIRS} ${UV_INCLUDE_DIRS})
  target_compile_definitions(${module} PRIVATE _GNU_SOURCE)
  target_compile_options(${module} PRIVATE ${spec_options})
endforeach()
# The coders and the readers are not seen outside of the executable: the modules have their own.
set(coding_sources host/http/content_coding.c host/http/brotli_encoder.c host/base/buffer.c)
target_sources(coding PRIVATE ${coding_sources})
target_link_libraries(coding PRIVATE PkgConfig::ZLIB PkgConfig::BROTLI)
target_sources(framing PRIVATE ${coding_sources} host/http/server/http_request.c
  host/http/server/http_head.c host/http/client/client_response.c
  host/http/client/client_response_ordinary.c host/http/http_chunks.c host/http/http_header.c
  host/http/http_limits.c host/base/url.c)
target_link_libraries(framing PRIVATE llhttp PkgConfig::ZLIB PkgConfig::BROTLI)
target_sources(observations PRIVATE host/core/observe.c)
# Where the host takes malloc, for the sanitizers, this has the allocator itself.
target_sources(blocks PRIVATE host/base/memory.c host/base/memory_trim.c host/base/huge_block.c)
target_compile_options(blocks PRIVATE -UML_DEBUG)
target_include_directories(clash PRIVATE ${CMAKE_BINARY_DIR}/clash)
add_dependencies(clash clash_names)

# Programs that embed the host as users do: the example, two runtimes in one process, and one whose
# functions are called as the host's.
foreach(source scripts/examples/embed/embed.c spec/support/two_runtimes.c spec/support/clash_embed.c)
  get_filename_component(program ${source} NAME_WE)
  add_executable(${program} ${source} host/core/tsan.c)
  set_target_properties(${program} PROPERTIES ENABLE_EXPORTS ON
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/spec)
  target_compile_definitions(${program} PRIVATE _GNU_SOURCE)
  target_compile_options(${program} PRIVATE ${spec_options})
  target_link_libraries(${program} PRIVATE moonloop_host)
endforeach()
foreach(program embed two_runtimes)
  target_sources(${program} PRIVATE scripts/examples/embed/process.c
    scripts/examples/embed/checksum.c)
endforeach()
target_sources(clash_embed PRIVATE spec/support/clash.c)
target_include_directories(clash_embed PRIVATE ${CMAKE_BINARY_DIR}/clash)
add_dependencies(clash_embed clash_names)

# Starts a server as systemd does.
add_executable(as_service spec/support/as_service.c)
set_target_properties(as_service PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/spec)
target_compile_definitions(as_service PRIVATE _GNU_SOURCE)
target_compile_options(as_service PRIVATE ${spec_options})

# Dialing, look-ups and batches of sends by themselves.
foreach(program dial lookup send_batch)
  add_executable(${program} spec/support/${program}.c host/core/tsan.c)
  set_target_properties(${program} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/spec)
  target_compile_options(${program} PRIVATE ${spec_options})
  target_link_libraries(${program} PRIVATE moonloop_internal)
endforeach()

get_property(spec_targets DIRECTORY PROPERTY BUILDSYSTEM_TARGETS)
list(REMOVE_ITEM spec_targets ${host_targets})
set_target_properties(${spec_targets} PROPERTIES EXCLUDE_FROM_ALL ON)
# The file says when it was: spec/support/init.lua builds them again where they are older than what
# they are made of.
add_custom_target(specs COMMAND ${CMAKE_COMMAND} -E touch ${CMAKE_BINARY_DIR}/spec/built)
add_dependencies(specs moonloop host_archive ${spec_targets})
