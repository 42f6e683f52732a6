/* Arguments that many functions take. */
#ifndef ML_ARGS_H
#define ML_ARGS_H

#include "states.h"
#include "task.h"

/* Raises why `seconds` is no time. */
void args_bad_seconds(lua_State *L, int index, double seconds);

/* A time in seconds at `index`: not negative, not NaN; math.huge is never. */
static inline double args_check_seconds(lua_State *L, int index) {
  double seconds = luaL_checknumber(L, index);
  if (!(seconds >= 0)) args_bad_seconds(L, index, seconds);
  return seconds;
}

/* The same, where nil (or nothing) is no limit: HUGE_VAL. */
double args_opt_seconds(lua_State *L, int index);

/* Is the value a function, or has it __call? */
bool args_is_callable(lua_State *L, int index);

/* Is the value a list {f, arg, ..., cpu =, slice =}? */
bool args_is_item(lua_State *L, int index);

/* Such a list, on the top of L, becomes the function and its arguments, and its limits in seconds,
   0 where it has none. Returns how many arguments there are. Errors name `function`. */
int args_unpack_item(lua_State *L, const char *function, double *cpu, double *slice);

/* Spawns the function, or such a list, on the top of L as a child of `parent`: it becomes the
   handle of the task. */
Task *args_spawn_item(lua_State *L, Task *parent);

/* The same without a handle, until the task fails (handle_on_failure); pops it. */
Task *args_start_item(lua_State *L, Task *parent);

/* The running task, or an error that names `function`. */
static inline Task *args_require_task(lua_State *L, const char *function) {
  Runtime *rt = runtime_of(L);
  if (!rt->current || rt->running != L) states_raise_cannot_wait(L, function);
  return rt->current;
}

#endif
