/* Limits of a task: a budget of CPU time, shared with the tasks it starts, and time slices.

   A timer of the loop's thread runs while such tasks do, and interrupts them (interrupt.h). A task
   without limits costs nothing but a test of a pointer.

   A task whose budget is used up is interrupted with an error of kind "cpu", which pcall, xpcall
   and coroutine.resume let through. Its clean-up gets another LIMITS_GRACE_NS; after that the error
   is raised again at every instruction until the task has ended. */
#ifndef ML_TASK_LIMITS_H
#define ML_TASK_LIMITS_H

#include "core/runtime.h"

#define LIMITS_GRACE_NS 100000000u

typedef struct Limits {
  struct Limits *outer; /* those of the task that started this one; usage counts there too */
  Runtime *rt;
  unsigned refs;
  uint64_t cpu_ns;    /* 0: no budget of its own */
  uint64_t used_ns;   /* not counting the running stretch */
  uint64_t slice_ns;  /* 0: none */
  uint64_t raised_at; /* usage when the error was first raised */
  int error_ref;      /* the error object, or LUA_NOREF */
  bool exhausted;     /* the tasks that share it are being interrupted */
} Limits;

/* Adds a reference; drops one, and frees the limits with the last one (NULL is ignored). */
Limits *task_limits_hold(Limits *limits);
void task_limits_drop(Limits *limits);

/* Gives a new task its own limits, inside those inherited from its parent. */
void task_limits_set(Task *t, double cpu, double slice);

/* Called when a task with limits starts and stops running. */
void task_limits_enter(Runtime *rt, Task *t);
void task_limits_leave(Runtime *rt, Task *t);

/* Interrupts the running task, in its hook, for `seconds` of CPU time in one stretch. */
void task_limits_break_off(lua_State *L, double seconds);

/* Is the value at `index` the error that interrupts the running task? */
bool task_limits_is_own_error(lua_State *L, int index);

/* Opens and closes the runtime's part. Opening returns false if memory is out. */
bool task_limits_open(Runtime *rt);
void task_limits_close(Runtime *rt);

#endif
