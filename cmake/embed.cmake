# Puts the Lua parts into the binary: a table of {module name, source bytes, length}.
function(embed_lua output root)
  set(inputs)
  foreach(part ${ARGN})
    list(APPEND inputs ${root}/${part})
  endforeach()
  add_custom_command(OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -DOUTPUT=${output} -DROOT=${root} "-DPARTS=${ARGN}"
      -P ${CMAKE_SOURCE_DIR}/cmake/embed_write.cmake
    DEPENDS ${inputs} ${CMAKE_SOURCE_DIR}/cmake/embed_write.cmake VERBATIM)
endfunction()
