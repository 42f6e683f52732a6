/* Waiting for several tasks at once: what ml.gather is made of. */
#ifndef ML_JOIN_H
#define ML_JOIN_H

#include <lua.h>

/* join(tasks, n, mode, owned) -> index of the task that decided it | nil
   Waits until the n tasks have ended ("all"), or one of them has decided it before: by a failure
   ("error": it raised, was cancelled, or returned nil and an error), by a success ("success"), or
   by its end ("first"). `owned[i]` is true for the tasks that the caller has started: when it is
   decided, or the caller is cancelled, these are cancelled, and join does not come back before
   their clean-up is over. Raises the caller's own cancel. */
int join_tasks(lua_State *L);

/* first_results(tasks, n) -> {n = n, the first result of each} of tasks that are done */
int join_first_results(lua_State *L);

/* make_gather(of_list) -> gather
   gather(item, ...) -> the first result of each; an item is a function, a {f, arg...} list or a
   task. Starts what is no task, as children of the caller. The first failure cancels them, waits
   for their clean-up and is raised. gather(list [, options]) is of_list(list [, options]). */
int join_make_gather(lua_State *L);

/* has_ended(task) -> boolean */
int join_has_ended(lua_State *L);

/* outcome(task) -> true, first result | false, error, traceback or nil */
int join_outcome(lua_State *L);

#endif
