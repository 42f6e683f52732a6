# The libraries in the program: linked into it, so that it and what `moonloop build` makes of it run where
# there is only a C library, or shared (-DMOONLOOP_STATIC=OFF), as distributions prefer, and as LeakSanitizer
# needs it: it takes what libcrypto has for the threads of a libuv in the program for lost at the exit.
if(MOONLOOP_FUZZ)
  set(link_statically OFF)
else()
  set(link_statically ON)
endif()
option(MOONLOOP_STATIC "Link libuv, libedit, zlib and brotli into the program" ${link_statically})
set(MOONLOOP_LIBRARIES PkgConfig::UV PkgConfig::EDIT PkgConfig::ZLIB PkgConfig::BROTLI)
if(NOT MOONLOOP_STATIC)
  return()
endif()

# In the order in which they need each other. libedit needs libbsd, this libmd, and both terminfo.
set(static_names uv_a edit bsd md tinfo z brotlienc brotlidec brotlicommon)
set(MOONLOOP_LIBRARIES)
foreach(name ${static_names})
  find_library(STATIC_${name} NAMES lib${name}.a
    HINTS ${UV_LIBDIR} ${EDIT_LIBDIR} ${ZLIB_LIBDIR} ${BROTLI_LIBDIR})
  if(NOT STATIC_${name})
    message(FATAL_ERROR "lib${name}.a was not found: the packages of scripts/setup.sh have it; "
      "-DMOONLOOP_STATIC=OFF links the shared library")
  endif()
  if(name STREQUAL uv_a) # whole: C modules use its functions, too
    list(APPEND MOONLOOP_LIBRARIES -Wl,--whole-archive ${STATIC_uv_a} -Wl,--no-whole-archive)
  else()
    list(APPEND MOONLOOP_LIBRARIES ${STATIC_${name}})
  endif()
endforeach()
# libbsd has functions of libc's names: they are its own.
list(APPEND MOONLOOP_LIBRARIES -Wl,--exclude-libs,libbsd.a:libmd.a)
