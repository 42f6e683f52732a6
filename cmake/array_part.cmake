# Are the arrays of the Lua that is linked laid out as host/base/array_part.h says? Else lists of numbers
# would be read from JSON, and cross to workers, as other numbers.
set(array_part_dir ${CMAKE_BINARY_DIR}/array_part)
if(NOT DEFINED ARRAY_PART_RUNS OR NOT ARRAY_PART_RUNS EQUAL 0)
  unset(ARRAY_PART_RUNS CACHE)
  try_run(ARRAY_PART_RUNS ARRAY_PART_COMPILES ${array_part_dir}
    ${CMAKE_SOURCE_DIR}/cmake/array_part_check.c
    CMAKE_FLAGS "-DINCLUDE_DIRECTORIES=${LUA_INCLUDE_DIRS};${CMAKE_SOURCE_DIR}/host"
    LINK_LIBRARIES ${LUA_STATIC} m ${CMAKE_DL_LIBS}
    COMPILE_OUTPUT_VARIABLE array_part_output)
  if(NOT ARRAY_PART_COMPILES OR NOT ARRAY_PART_RUNS EQUAL 0)
    message(FATAL_ERROR "${LUA_STATIC} does not lay out arrays as host/base/array_part.h says\n"
      "${array_part_output}")
  endif()
endif()
