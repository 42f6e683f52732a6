/* Runs a fuzzer that is written in Lua, for what reads bytes from outside in Lua. The script, which
   is put into the program, returns a function of the input that raises where something is wrong; it
   is called in a task. Lua's own code tells libFuzzer little of where a script goes: each step from
   a line to another counts as coverage, too. */
#include "moonloop.h"

#include <lauxlib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

__asm__(".section .rodata\n"
        "script_begin:\n"
        ".incbin \"" FUZZ_SCRIPT "\"\n"
        "script_end:\n"
        ".byte 0\n"
        ".previous\n");
extern const char script_begin[], script_end[];

enum { STEPS = 1 << 15 };
__attribute__((section("__libfuzzer_extra_counters"))) static uint8_t steps[STEPS];

static void on_line(lua_State *L, lua_Debug *ar) {
  static uint32_t last;
  if (!lua_getinfo(L, "S", ar)) return;
  uint32_t place =
      ((uint32_t)((uintptr_t)ar->source >> 4) * 31 + (uint32_t)ar->currentline) * 2654435761u;
  steps[((place >> 8) ^ last) % STEPS]++;
  last = place >> 9;
}

/* What is under way when something is wrong. */
static void fail(const char *why) {
  fprintf(stderr, "fuzz: %s\n", why);
  abort();
}

static ml_Runtime *open_runtime(void) {
  ml_Runtime *rt = ml_runtime_new();
  if (!rt) fail("no runtime");
  lua_State *L = ml_runtime_state(rt);
  if (luaL_loadbuffer(L, script_begin, (size_t)(script_end - script_begin), "@" FUZZ_SCRIPT) !=
      LUA_OK)
    fail(lua_tostring(L, -1));
  lua_setglobal(L, "load_fuzzer");
  if (ml_run_string(rt, "fuzz = load_fuzzer()", "=fuzz")) fail("the script does not load");
  lua_sethook(L, on_line, LUA_MASKLINE, 0);
  return rt;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static ml_Runtime *rt;
  if (!rt) rt = open_runtime();
  lua_State *L = ml_runtime_state(rt);
  lua_pushlstring(L, (const char *)data, size);
  lua_setglobal(L, "input");
  if (ml_run_string(rt, "fuzz(input)", "=fuzz")) fail("see above");
  return 0;
}
