# One libFuzzer program for each spec/fuzz/*_fuzz.c, with the whole host built for it. Needs clang:
#   cmake -B build/fuzz -DMOONLOOP_FUZZ=ON -DCMAKE_C_COMPILER=clang && cmake --build build/fuzz
#   build/fuzz/json_fuzz -max_total_time=180 -dict=JSON.dict CORPUS_FOLDER
option(MOONLOOP_FUZZ "Build the fuzzers of spec/fuzz (with clang)" OFF)

if(MOONLOOP_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID MATCHES Clang)
    message(FATAL_ERROR "MOONLOOP_FUZZ needs clang: -DCMAKE_C_COMPILER=clang")
  endif()
  set(FUZZ_FLAGS -g -O1 -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  target_compile_options(moonloop_internal PUBLIC ${FUZZ_FLAGS}
    -fsanitize=fuzzer-no-link,address,undefined)
  target_link_options(moonloop_internal PUBLIC -fsanitize=address,undefined)
  target_link_options(moonloop_host INTERFACE -fsanitize=address,undefined)
  # The fuzzer has to see which of its inputs lead on in the HTTP parser.
  get_target_property(llhttp_type llhttp TYPE)
  if(llhttp_type STREQUAL OBJECT_LIBRARY)
    target_compile_options(llhttp PRIVATE -g -O1 -fsanitize=fuzzer-no-link,address)
  endif()
  target_compile_definitions(moonloop_internal PUBLIC FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION)
  file(GLOB FUZZERS CONFIGURE_DEPENDS spec/fuzz/*_fuzz.c)
  foreach(source ${FUZZERS})
    get_filename_component(name ${source} NAME_WE)
    add_executable(${name} ${source})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    target_link_libraries(${name} PRIVATE moonloop_internal)
  endforeach()
endif()
