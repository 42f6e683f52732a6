# One libFuzzer program for each spec/fuzz/*_fuzz.c and *_fuzz.lua, with the whole host built for it.
# Needs clang:
#   cmake -B build/fuzz -DMOONLOOP_FUZZ=ON -DCMAKE_C_COMPILER=clang && cmake --build build/fuzz
#   build/fuzz/json_fuzz -max_total_time=180 -dict=JSON.dict CORPUS_FOLDER
# MOONLOOP_FUZZ_ENGINE is for scripts/fuzz/oss-fuzz.sh: what is linked instead of libFuzzer. Then the
# flags of the sanitizers are those of the environment. MOONLOOP_FUZZ_COVERAGE is for
# scripts/fuzz/coverage.sh: which lines of the host the inputs reach, and no sanitizer.
option(MOONLOOP_FUZZ "Build the fuzzers of spec/fuzz (with clang)" OFF)
option(MOONLOOP_FUZZ_COVERAGE "Build them for clang's coverage of source code" OFF)
set(MOONLOOP_FUZZ_ENGINE "" CACHE STRING "What the fuzzers are linked with instead of libFuzzer")

if(MOONLOOP_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID MATCHES Clang)
    message(FATAL_ERROR "MOONLOOP_FUZZ needs clang: -DCMAKE_C_COMPILER=clang")
  endif()
  set(FUZZ_FLAGS "")
  set(FUZZ_LINK -fsanitize=fuzzer)
  if(MOONLOOP_FUZZ_ENGINE)
    enable_language(CXX) # engines are written in C++
    set(FUZZ_LINK ${MOONLOOP_FUZZ_ENGINE})
  elseif(MOONLOOP_FUZZ_COVERAGE)
    set(FUZZ_FLAGS -fprofile-instr-generate -fcoverage-mapping)
  else()
    set(FUZZ_FLAGS -fsanitize=address,undefined -fno-sanitize-recover=undefined)
  endif()
  set(FUZZ_COMPILE -g -O1 -fno-omit-frame-pointer ${FUZZ_FLAGS})
  if(NOT MOONLOOP_FUZZ_ENGINE)
    list(APPEND FUZZ_COMPILE -fsanitize=fuzzer-no-link)
  endif()
  target_compile_options(moonloop_internal PUBLIC ${FUZZ_COMPILE})
  target_link_options(moonloop_internal PUBLIC ${FUZZ_FLAGS})
  target_link_options(moonloop_host INTERFACE ${FUZZ_FLAGS})
  # The fuzzer has to see which of its inputs lead on in the HTTP parser.
  get_target_property(llhttp_type llhttp TYPE)
  if(llhttp_type STREQUAL OBJECT_LIBRARY)
    list(TRANSFORM FUZZ_COMPILE REPLACE ",undefined" "" OUTPUT_VARIABLE llhttp_compile) # not ours
    target_compile_options(llhttp PRIVATE ${llhttp_compile})
  endif()
  target_compile_definitions(moonloop_internal PUBLIC FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION)
  file(GLOB FUZZERS CONFIGURE_DEPENDS spec/fuzz/*_fuzz.c spec/fuzz/*_fuzz.lua)
  add_custom_target(fuzzers)
  foreach(source ${FUZZERS})
    get_filename_component(name ${source} NAME_WE)
    if(source MATCHES "\\.lua$") # script.c has it inside
      add_executable(${name} spec/fuzz/script.c)
      target_compile_definitions(${name} PRIVATE FUZZ_SCRIPT="${source}")
      set_property(SOURCE spec/fuzz/script.c APPEND PROPERTY OBJECT_DEPENDS ${source})
    else()
      add_executable(${name} ${source})
      string(REGEX REPLACE "_fuzz\\.c$" ".lua" script ${source})
      if(EXISTS ${script}) # it has this inside
        set_property(SOURCE ${source} APPEND PROPERTY OBJECT_DEPENDS ${script})
      endif()
    endif()
    target_link_options(${name} PRIVATE ${FUZZ_LINK})
    target_link_libraries(${name} PRIVATE moonloop_internal)
    if(MOONLOOP_FUZZ_ENGINE)
      set_target_properties(${name} PROPERTIES LINKER_LANGUAGE CXX)
    endif()
    add_dependencies(fuzzers ${name})
  endforeach()
endif()
