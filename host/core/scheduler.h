/* Decides whose turn it is: ready tasks run once per pass, in the order in which they became
   ready. */
#ifndef ML_SCHEDULER_H
#define ML_SCHEDULER_H

#include "core/names.h"

#include <lua.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* A state that has resumed another one; they form a stack in the C functions that do it. */
typedef struct Resumer {
  lua_State *L;
  struct Resumer *outer;
  lua_State *running, *barrier; /* before that */
} Resumer;

typedef struct TaskList {
  Task *head, **tail;
} TaskList;

/* The runtime's part. */
typedef struct Scheduler {
  Task *current;      /* the running task, or NULL */
  lua_State *running; /* the innermost coroutine resumed by the host or by coroutine.resume */
  lua_State *barrier; /* a coroutine below `running` that cannot be suspended, or NULL */
  Resumer
      *resumers; /* the states that have resumed `running`, innermost first, except the scheduler */
  bool suspending; /* a host suspension is passing out through nested coroutines */
  bool attention;  /* there is work to do when the running stretch is over */
  bool ending;     /* a task is ending: those that awaited it run in this pass */
  bool preempted_turn;
  _Atomic uint32_t step; /* incremented when a task starts or stops running: odd while one runs */
  uint32_t spent;        /* part of WAIT_TURN (wait.h) used by the running task */
  uint32_t spent_in;     /* in this step */
  TaskList ready;        /* tasks to resume on the next pass, in order */
  TaskList batch;        /* being resumed on this pass */
  TaskList preempted; /* tasks whose slice was over: one at a time gets a pass, between those of the
                         others */
  uint64_t shuffle;   /* for specs: the state of the generator that shuffles ready tasks; 0: not
                         shuffled */
} Scheduler;

/* The `op` of a task that only waits until the ready tasks have run once: it comes after them even
   in a shuffled order. */
extern char scheduler_yields;

/* Prepares the runtime's part, which is all zero. */
void scheduler_open(Scheduler *scheduler);

/* L resumes `co`, with lua_resume, between these two. */
static inline void scheduler_enter_coroutine(Scheduler *s, Resumer *resumer, lua_State *L,
                                             lua_State *co) {
  *resumer = (Resumer){L, s->resumers, s->running, s->barrier};
  if (!s->barrier && !lua_isyieldable(L)) s->barrier = L;
  s->resumers = resumer;
  s->running = co;
}
static inline void scheduler_leave_coroutine(Scheduler *s, const Resumer *resumer) {
  s->resumers = resumer->outer;
  s->running = resumer->running;
  s->barrier = resumer->barrier;
}

/* Requests a call of stretch_over (scheduler.c) when the running stretch is over. */
static inline void scheduler_ask_attention(Scheduler *s) { s->attention = true; }

/* From now on ready tasks run in a random order given by the seed; or in their own order again. */
void scheduler_shuffle(Scheduler *scheduler, uint64_t seed);
void scheduler_shuffle_no_more(Scheduler *scheduler);

/* Runs the tasks that are ready now, each once: the only place that resumes tasks. */
void scheduler_run_ready(Runtime *rt);

/* Called in a hook of L, as its last act, where the running task can be suspended: it continues
   when the others have run and the loop has polled for events. */
void scheduler_preempt(lua_State *L, Task *t);

#endif
