/* Runs a fuzzer that is written in Lua, for what reads bytes from outside in Lua. The script, which
   is put into the program, returns a function of the input that raises where something is wrong; it
   is called in a task. */
#include "script.h"

SCRIPT(FUZZ_SCRIPT);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static ml_Runtime *rt;
  if (!rt) rt = script_open("@" FUZZ_SCRIPT);
  lua_State *L = ml_runtime_state(rt);
  lua_pushlstring(L, (const char *)data, size);
  lua_setglobal(L, "input");
  if (ml_run_string(rt, "fuzz(input)", "=fuzz")) script_fail("see above");
  return 0;
}
