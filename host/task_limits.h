/* What a task may use: a budget of CPU time, shared with the tasks it starts, and time slices.

   A timer of the loop's thread runs while such tasks do, and interrupts them (interrupt.h). A task
   without limits costs nothing but a test of a pointer.

   A task whose budget is used up is broken off with an error of kind "cpu", which pcall, xpcall and
   coroutine.resume let through. Its clean-up has LIMITS_GRACE_NS more; after that the error is
   raised again at every instruction, until the task has ended. */
#ifndef ML_TASK_LIMITS_H
#define ML_TASK_LIMITS_H

#include "runtime.h"

#define LIMITS_GRACE_NS 100000000u

typedef struct Limits {
  struct Limits *outer; /* of the task that started this one; what is used counts there too */
  Runtime *rt;
  unsigned refs;
  uint64_t cpu_ns;    /* 0: none of its own */
  uint64_t used_ns;   /* without what the running stretch has used */
  uint64_t slice_ns;  /* 0: none */
  uint64_t raised_at; /* what was used when the error was first raised */
  int error_ref;      /* the error object, or LUA_NOREF */
  bool exhausted;     /* the tasks that share it are broken off */
} Limits;

/* Adds a reference; takes one away, and frees the limits with the last one (NULL is none). */
Limits *limits_hold(Limits *limits);
void limits_drop(Limits *limits);

/* Gives a new task limits of its own, inside of those it has from its parent. */
void limits_set(Task *t, double cpu, double slice);

/* The running task, which has limits, starts and stops to run. */
void limits_enter(Runtime *rt, Task *t);
void limits_leave(Runtime *rt, Task *t);

/* Breaks the running task off, in its hook, for `seconds` of CPU time in one stretch. */
void limits_break_off(lua_State *L, double seconds);

/* Is the value at `index` the error that breaks the running task off? */
bool limits_is_own_error(lua_State *L, int index);

/* A runtime's part of this. Opening returns false when memory is out. */
bool limits_open(Runtime *rt);
void limits_close(Runtime *rt);

#endif
