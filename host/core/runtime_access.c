/* The functions of moonloop.h that query a runtime without running it. */
#include "core/runtime.h"

ml_Runtime *ml_runtime_of(lua_State *L) { return runtime_of(L); }

uv_loop_t *ml_runtime_loop(Runtime *rt) { return &rt->loop; }

void ml_runtime_on_close(Runtime *rt, CloseHook *hook) {
  hook->next = rt->close_hooks;
  rt->close_hooks = hook;
}
