/* The main task: a function that runs with the loop until no task is left. */
#ifndef ML_MAIN_TASK_H
#define ML_MAIN_TASK_H

#include "core/task.h"

/* Called when the main task waits and nothing is left that could wake it. Returns true if it woke
   something after all. Does not enter Lua. */
typedef struct StuckHook {
  bool (*stuck)(struct StuckHook *hook, Runtime *rt);
} StuckHook;

/* The caller sets the first fields and keeps the memory until the task has ended. */
typedef struct MainTask {
  bool is_host;      /* it runs one of the host's own commands */
  bool gives_status; /* the function's last result is the exit status */
  /* Called with the results, L's whole stack; may set `result`, the exit status. Must not run Lua
     code. Or NULL. */
  void (*returned)(struct MainTask *main, lua_State *L);
  /* the rest is the task's */
  TaskOwner owner;
  Runtime *rt;
  Task *task;        /* NULL before it is started and when it has ended */
  TaskStatus status; /* how it ended */
  int result;
  int stopped; /* if not 0, everything was cancelled from outside, and this is the exit status */
} MainTask;

/* Calls `load` in the main state, in protected mode, with `data` as a light userdata; it returns
   the main function and its arguments. Runs them as a task, and the loop until all tasks have
   ended, the main task has failed, or os.exit was called. Failures are reported. Returns the exit
   status: 1 after a failure, otherwise 0 or the status of os.exit or a stop. Other tasks may be
   left. */
int main_task_run(MainTask *main, Runtime *rt, lua_CFunction load, void *data);

/* Cancels all tasks but those in the background; the run continues until they have ended and
   returns `status` (not 0). `reason` is a literal. Does not enter Lua. */
void main_task_stop(MainTask *main, const char *reason, int status);

/* Pushes the table for the global `arg`: `script` is arg[0], the `n` strings of `args` follow. */
void main_task_push_arg(lua_State *L, const char *script, int n, char *const *args);

#endif
