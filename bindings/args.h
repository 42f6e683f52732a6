/* Arguments that many functions take. */
#ifndef ML_ARGS_H
#define ML_ARGS_H

#include "bindings/check.h"
#include "core/states.h"
#include "core/task.h"

/* Raises that `seconds` is not a valid time. */
void args_bad_seconds(lua_State *L, int index, double seconds);

/* Raises that the value at `index` is not a task. */
void args_no_task(lua_State *L, int index);

/* A time in seconds at `index`, neither negative nor NaN; math.huge means never. */
static inline double args_check_seconds(lua_State *L, int index) {
  int is_number;
  double seconds = lua_tonumberx(L, index, &is_number);
  if (!is_number) check_type_fail(L, index, "number of seconds");
  if (!(seconds >= 0)) args_bad_seconds(L, index, seconds);
  return seconds;
}

/* The same, but nil (or nothing) means no limit: HUGE_VAL. */
double args_opt_seconds(lua_State *L, int index);

/* Is the value a function, or does it have __call? */
bool args_is_callable(lua_State *L, int index);

/* The task handle at `index`. Index 1 is the object of a method call. */
static inline TaskHandle *args_check_task(lua_State *L, int index) {
  TaskHandle *handle = task_test_handle(L, index);
  if (!handle) args_no_task(L, index);
  return handle;
}

/* Is the value a list {f, arg, ..., cpu =, slice =}? */
bool args_is_item(lua_State *L, int index);

/* Replaces such a list, on the top of L, by its function and arguments, and reads its limits in
   seconds, 0 if it has none. Returns the number of arguments. Errors name `function`. */
int args_unpack_item(lua_State *L, const char *function, double *cpu, double *slice);

/* Raises that item `number` of `function`, the value at `index`, cannot be run. */
int args_bad_item(lua_State *L, const char *function, int number, int index);

/* Spawns the function, or such a list, on the top of L as a child of `parent`, and replaces it by
   the task's handle. */
Task *args_spawn_item(lua_State *L, Task *parent);

/* The same without a handle, until the task fails (handle_on_failure); pops it. */
Task *args_start_item(lua_State *L, Task *parent);

/* The running task, or an error that names `function`. */
static inline Task *args_require_task(lua_State *L, const char *function) {
  Runtime *rt = runtime_of(L);
  if (!rt->scheduler.current || rt->scheduler.running != L) states_raise_cannot_wait(L, function);
  return rt->scheduler.current;
}

#endif
