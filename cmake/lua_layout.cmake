# Is the Lua that is linked laid out as host/base/array_part.h and host/core/call_frame.h say? Else lists
# of numbers would be read from JSON, and cross to workers, as other numbers, and a traceback would crash.
set(lua_layout_dir ${CMAKE_BINARY_DIR}/lua_layout)
if(NOT DEFINED LUA_LAYOUT_RUNS OR NOT LUA_LAYOUT_RUNS EQUAL 0)
  unset(LUA_LAYOUT_RUNS CACHE)
  try_run(LUA_LAYOUT_RUNS LUA_LAYOUT_COMPILES ${lua_layout_dir}
    ${CMAKE_SOURCE_DIR}/cmake/lua_layout_check.c
    CMAKE_FLAGS "-DINCLUDE_DIRECTORIES=${LUA_INCLUDE_DIRS};${CMAKE_SOURCE_DIR}/host"
    LINK_LIBRARIES ${LUA_STATIC} m ${CMAKE_DL_LIBS}
    COMPILE_OUTPUT_VARIABLE lua_layout_output)
  if(NOT LUA_LAYOUT_COMPILES OR NOT LUA_LAYOUT_RUNS EQUAL 0)
    message(FATAL_ERROR "${LUA_STATIC} is not laid out as host/base/array_part.h and host/core/call_frame.h say: "
      "cmake/lua_layout_check.c ends with ${LUA_LAYOUT_RUNS}\n${lua_layout_output}")
  endif()
endif()
