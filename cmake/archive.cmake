# libmoonloop_host.a, which is installed: one object, whose only global symbols are moonloop.h's
# functions. A program that embeds the host can have a function of any other name, a libsodium or an
# llhttp of its own.
if(NOT CMAKE_OBJCOPY)
  message(FATAL_ERROR "objcopy was not found: install binutils")
endif()
set(HOST_ARCHIVE ${CMAKE_BINARY_DIR}/libmoonloop_host.a)
set(host_object ${CMAKE_BINARY_DIR}/moonloop_host.o)
add_custom_command(OUTPUT ${HOST_ARCHIVE}
  COMMAND ${CMAKE_C_COMPILER} -r -nostdlib -o ${host_object}
    -Wl,--whole-archive $<TARGET_FILE:moonloop_internal> -Wl,--no-whole-archive ${SODIUM_STATIC}
  COMMAND ${CMAKE_OBJCOPY} --localize-hidden --wildcard "--keep-global-symbol=ml_*" ${host_object}
  COMMAND ${CMAKE_COMMAND} -E rm -f ${HOST_ARCHIVE}
  COMMAND ${CMAKE_AR} qcs ${HOST_ARCHIVE} ${host_object}
  COMMAND ${CMAKE_COMMAND} -E rm ${host_object}
  DEPENDS moonloop_internal VERBATIM)
add_custom_target(host_archive ALL DEPENDS ${HOST_ARCHIVE})

# To link a program with it, as users do.
add_library(moonloop_host INTERFACE)
add_dependencies(moonloop_host host_archive)
target_include_directories(moonloop_host INTERFACE ${CMAKE_SOURCE_DIR}/host/include)
target_include_directories(moonloop_host SYSTEM INTERFACE ${LUA_INCLUDE_DIRS})
target_link_libraries(moonloop_host INTERFACE ${HOST_ARCHIVE} ${MOONLOOP_LLHTTP_LIBS} moonloop_needs)
