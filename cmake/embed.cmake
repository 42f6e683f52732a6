# Puts the Lua parts into the binary: see core/embedded.h.
add_executable(embed_parts ${CMAKE_SOURCE_DIR}/cmake/embed_parts.c)
set_target_properties(embed_parts PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tools)
target_compile_options(embed_parts PRIVATE -Wall -Wextra -Werror)

function(embed_lua output root)
  set(inputs ${ARGN})
  list(TRANSFORM inputs PREPEND ${root}/)
  add_custom_command(OUTPUT ${output} COMMAND embed_parts ${output} ${root} ${ARGN}
    DEPENDS embed_parts ${inputs} VERBATIM)
endfunction()
