/* Waiting for several tasks at once, the base of ml.gather. */
#ifndef ML_JOIN_H
#define ML_JOIN_H

#include <lua.h>

/* join(tasks, n, mode, owned) -> index of the task that decided it | nil
   Waits until the n tasks have ended ("all"), or one of them has decided it before: by a failure
   ("error": it raised, was cancelled, or returned nil and an error), by a success ("success"), or
   by its end ("first"). `owned[i]` is true for the tasks that the caller has started: when the
   wait is decided or the caller is cancelled, these are cancelled, and join does not return before
   their clean-up is over. Raises the caller's own cancel. */
int join_tasks(lua_State *L);

/* first_results(tasks, n) -> the first result of each task; all must be done. Upvalue 1 is the
   metatable of counted lists. */
int join_first_results(lua_State *L);

/* make_gather(of_list) -> gather
   gather(item, ...) -> the first result of each; an item is a function, a {f, arg...} list or a
   task. Starts items that are not tasks as children of the caller. The first failure cancels them,
   waits for their clean-up and is raised. gather(list [, options]) is of_list(list [, options]). */
int join_make_gather(lua_State *L);

/* told(task) -> boolean: has it ended? If so, its failure counts as heard. */
int join_told(lua_State *L);

/* outcome(task) -> true, first result | false, error, traceback or nil */
int join_outcome(lua_State *L);

#endif
