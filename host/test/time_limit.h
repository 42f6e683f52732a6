/* A real-time limit for a piece of a task's work; the test runner sets one for each spec. When the
   time is up, the work is interrupted with an error of kind "timeout", wherever it is: at its
   current wait, or, if it computes, between two instructions. The same happens when nothing is left
   that could end its wait. The error can be caught; work that continues all the same is treated
   less and less gently: shields no longer hold, and finally the run is ended. */
#ifndef ML_TIME_LIMIT_H
#define ML_TIME_LIMIT_H

#include "core/interrupt.h"
#include "core/main_task.h"
#include "core/runtime.h"
#include "core/scope.h"

typedef struct TimeLimit {
  Runtime *rt;
  CloseHook on_close;
  StuckHook on_stuck;
  Interrupt interrupt;  /* for code that computes */
  uv_timer_t timer;     /* for code that waits */
  timer_t kernel_timer; /* sends the interrupts */
  bool has_kernel_timer;

  /* about the work that is limited now */
  Scope scope; /* scope.task is NULL if there is none */
  CancelCause *cause;
  double seconds;
  uint64_t look_at;     /* the time of uv_hrtime at which code that computes is interrupted */
  uint64_t look_at_cpu; /* and the time that the thread has computed */
  unsigned steps;       /* taken against it so far */
  char what[80], name[240];
} TimeLimit;

/* Makes a limit, which is freed when the runtime closes; NULL if memory has run out. A runtime has
   at most one. */
TimeLimit *time_limit_new(Runtime *rt);

/* Limits what the task does from now on. `what` names the work as the subject of the error message,
   `name` where the context does not tell which work is meant. `seconds` may be infinite. Work that
   was limited before no longer is. False: no memory. */
bool time_limit_enter(TimeLimit *limit, Task *t, double seconds, const char *what,
                      const char *name);

/* The work has ended. */
void time_limit_leave(TimeLimit *limit);

#endif
