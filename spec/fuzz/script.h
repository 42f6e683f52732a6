/* A Lua script inside of a fuzzer. It returns a function, which becomes the global `fuzz`.
   Lua's own code tells libFuzzer little of where a script goes: each step from a line to another
   counts as coverage, too. */
#ifndef ML_FUZZ_SCRIPT_H
#define ML_FUZZ_SCRIPT_H

#include "moonloop.h"

#include <lauxlib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Puts the file into the program. */
#define SCRIPT(path)                                                                               \
  __asm__(".section .rodata\n"                                                                     \
          "script_begin:\n"                                                                        \
          ".incbin \"" path "\"\n"                                                                 \
          "script_end:\n"                                                                          \
          ".byte 0\n"                                                                              \
          ".previous\n")
extern const char script_begin[], script_end[];

enum { SCRIPT_STEPS = 1 << 15 };
__attribute__((section("__libfuzzer_extra_counters"))) static uint8_t script_steps[SCRIPT_STEPS];

static void script_on_line(lua_State *L, lua_Debug *ar) {
  static uint32_t last;
  if (!lua_getinfo(L, "S", ar)) return;
  uint32_t place =
      ((uint32_t)((uintptr_t)ar->source >> 4) * 31 + (uint32_t)ar->currentline) * 2654435761u;
  script_steps[((place >> 8) ^ last) % SCRIPT_STEPS]++;
  last = place >> 9;
}

/* libFuzzer looks for leaks after each input that leaves memory behind, which Lua does until its
   next collection: a walk over its whole heap, a thousand times. They are looked for at the end
   only, unless the command line says otherwise. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv) {
  static char option[] = "-detect_leaks=0";
  char **longer = calloc((size_t)*argc + 2, sizeof *longer);
  if (!longer) return 0;
  longer[0] = (*argv)[0];
  longer[1] = option;
  for (int i = 1; i < *argc; i++) longer[i + 1] = (*argv)[i];
  ++*argc;
  *argv = longer;
  return 0;
}

/* Ends the program: what is under way when something is wrong. */
static void script_fail(const char *why) {
  fprintf(stderr, "fuzz: %s\n", why);
  abort();
}

/* `name`: of the script, in tracebacks. */
static ml_Runtime *script_open(const char *name) {
  ml_Runtime *rt = ml_runtime_new();
  if (!rt) script_fail("no runtime");
  lua_State *L = ml_runtime_state(rt);
  if (luaL_loadbuffer(L, script_begin, (size_t)(script_end - script_begin), name) != LUA_OK)
    script_fail(lua_tostring(L, -1));
  lua_setglobal(L, "load_fuzzer");
  if (ml_run_string(rt, "fuzz = load_fuzzer()", "=fuzz")) script_fail("the script does not load");
  lua_sethook(L, script_on_line, LUA_MASKLINE, 0);
  return rt;
}

#endif
