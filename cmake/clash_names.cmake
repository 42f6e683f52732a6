# Writes CLASH(name) for each global symbol of ARCHIVES that is not to be seen outside of them. Those
# of compilers begin with two underscores.
execute_process(COMMAND ${NM} -g --defined-only --format=posix ${ARCHIVES}
  OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "(^|\n)[A-Za-z_][A-Za-z0-9_]* [A-Z]" lines "${symbols}")
set(names)
foreach(line ${lines})
  string(REGEX REPLACE "^\n?([A-Za-z0-9_]*) .*" "\\1" name ${line})
  if(NOT name MATCHES "^(ml_|__)")
    list(APPEND names ${name})
  endif()
endforeach()
list(REMOVE_DUPLICATES names)
list(SORT names)
list(TRANSFORM names REPLACE "(.+)" "CLASH(\\1)")
string(REPLACE ";" "\n" text "${names}")
file(WRITE ${OUTPUT} "${text}\n")
