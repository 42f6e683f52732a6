/* Arguments that many functions take. */
#ifndef ML_ARGS_H
#define ML_ARGS_H

#include "task.h"

/* A time in seconds at `index`: not negative, not NaN; math.huge is never. */
double args_check_seconds(lua_State *L, int index);

/* The same, where nil (or nothing) is no limit: HUGE_VAL. */
double args_opt_seconds(lua_State *L, int index);

/* Is the value a function, or has it __call? */
bool args_is_callable(lua_State *L, int index);

/* Is the value a list {f, arg, ..., cpu =, slice =}? */
bool args_is_item(lua_State *L, int index);

/* Such a list, on the top of L, becomes the function and its arguments, and its limits in seconds,
   0 where it has none. Returns how many arguments there are. Errors name `function`. */
int args_unpack_item(lua_State *L, const char *function, double *cpu, double *slice);

/* The running task, or an error that names `function`. */
Task *args_require_task(lua_State *L, const char *function);

#endif
