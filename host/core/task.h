/* Tasks: Lua coroutines that the loop resumes.

   A Task is the C record of a live task. Its memory is reused after the task has ended and not
   freed before the runtime closes; its generation only grows, so a late wake-up is recognised and
   dropped. A TaskHandle is the userdata that Lua code holds; it keeps the results when the task has
   ended. */
#ifndef ML_TASK_H
#define ML_TASK_H

#include "base/prefetch.h"
#include "base/text.h"
#include "core/report.h"
#include "core/runtime.h"
#include "core/scope.h"
#include "core/task_trace.h"
#include "core/waiters.h"

typedef enum TaskStatus {
  TASK_PENDING,   /* started, its body has not run yet */
  TASK_RUNNING,   /* it is rt->scheduler.current */
  TASK_SUSPENDED, /* it waits, or is on the ready queue */
  TASK_DONE,      /* its body returned */
  TASK_FAILED,    /* its body raised */
  TASK_CANCELLED, /* its body raised its own cancel, or never ran */
} TaskStatus;

/* Called when a task ends. The observer owns the memory. A failure is reported unless an observer
   says that it has heard of it (TaskHandle.audience). */
typedef struct TaskObserver {
  struct TaskObserver *next, **link; /* link is NULL when it observes nothing */
  void (*ended)(struct TaskObserver *observer, Task *t);
} TaskObserver;

/* The C code that started a task and receives its outcome, instead of a TaskHandle. */
typedef struct TaskOwner {
  /* The task has ended with t->status. L is its thread; for TASK_DONE the results are L's whole
     stack, for the others its top is the error value and `traceback` its text or NULL. Must not
     run Lua code or raise. */
  void (*ended)(struct TaskOwner *owner, Task *t, lua_State *L, const char *traceback);
  /* Appends a description of the task: "GET /users (request 7)". NULL: its name is used. Runs in
     signal handlers. */
  void (*describe)(struct TaskOwner *owner, Text *text);
  /* The request that the task works for, as task_label.h has it, unless it has a label of its own;
     or NULL. Runs in signal handlers. */
  struct TaskLabel *(*label)(struct TaskOwner *owner, uint64_t *number);
  /* Where the function is that it runs: "app.lua:12"; NULL: not known. Runs in signal handlers. */
  const char *(*place)(struct TaskOwner *owner);
} TaskOwner;

typedef struct TaskHandle {
  Task *task; /* NULL when it has ended */
  uint64_t id;
  const struct SourceName *source; /* where it was spawned, or NULL */
  int line;
  int results;         /* the number of results; they are the user value, several in a table */
  Audience audience;   /* who hears of its failure */
  uint8_t status;      /* a TaskStatus; valid when task is NULL */
  bool returned_error; /* it returned nil and an error: done as a task, failed for a gather */
} TaskHandle;

#define TASK_HANDLE "moonloop.task" /* the metatable's name in the registry */

struct ml_Task {
  lua_State *co; /* its thread; stays with the record */
  int slot;      /* the registry reference that keeps the thread; also its place in rt's tables */
  uint32_t generation;
  Runtime *rt;
  Task *next;             /* on the ready queue, or in the pool */
  const WaitType *wait;   /* what it waits for, or NULL */
  void *op;               /* the operation of `wait` */
  Scope *scope;           /* innermost cancel scope, or NULL */
  struct Limits *limits;  /* what it may use, or NULL */
  CancelCause *cancelled; /* the task itself was cancelled for this cause, or NULL */
  /* Cause of a scope that was closed from outside while the task waited (its generator was closed
     or collected), which still has to be raised. Or NULL. */
  CancelCause *left_cause;
  Task *parent, *children, *sibling, **sibling_link;
  Scope *shelter; /* the open shield of its parent in which it was started */
  TaskObserver *observers;
  TaskOwner *owner;
  struct TaskTally *tally; /* the tally that counts it, or NULL (task_tally.h) */
  TaskTrace *trace;        /* the span that it runs in, or NULL */
  TaskHandle *handle;      /* or NULL if Lua has never seen it */
  uint8_t status;          /* a TaskStatus */
  bool ready;              /* on the ready queue */
  bool woken_by_cancel;    /* the suspension ended because of a cancel */
  bool cancel_pending;     /* a cancel is in force in the innermost scope */
  bool ending;             /* the body is over; it waits for its cancelled children */
  bool has_origin;         /* an error's origin is stored for it (report.h) */
  bool in_flight;          /* an error was raised and has not been caught yet */
  bool has_flight;         /* the last such error is stored (traceback.c) */
  bool is_host;            /* the host's own, hidden from users */
  bool is_background;      /* task_to_background was called */
  bool is_main;            /* its debug hook applies to all tasks (user_hook.h) */
  bool has_hook;           /* debug.sethook was called for its thread */
  bool has_vars;           /* it has task-local values (task_vars.h) */
  bool broken_off;         /* the error that its limits are exhausted has been raised */
  bool spared;             /* was let go on computing once after its cancel, for its clean-up */
  bool handle_kept; /* the handle is in the runtime's table; otherwise on the thread's stack */
  bool handle_on_failure; /* its observer takes the results from its thread: a handle is made only
                             if it ends without results */
  uint32_t number;        /* number of its thread, in order of creation (task_pool.c) */
  int nargs; /* what the first resume passes; then how much the last one has returned */
  int line;
  const struct SourceName *source; /* where it was spawned, or NULL */
  const char *name;                /* name for reports, or NULL; the owner keeps it alive */
  struct TaskLabel *label;         /* what the request is that it works for, or NULL */
  uint64_t request;                /* the number of that request */
  uint64_t id;
  uint64_t started_at; /* the runtime's clock, to a pass and a millisecond (Runtime.pass_at) */
  uint64_t cpu_ns;     /* CPU time used, sampled (cpu_meter.h) */
  union {
    Timer timer;           /* while it sleeps */
    TaskObserver observer; /* while it awaits a task */
    Waiter waiter;         /* while it stands in a queue (waiters.h) */
  };
};

/* Prepares the runtime's part (called once per state). May raise. */
void task_open(lua_State *L);

/* The table on the top of L is the metatable of handles. May raise. */
void task_set_handle_class(lua_State *L);

/* --- starting and ending --- */

/* Starts a task whose function and `nargs` arguments are on the top of L (popped). It becomes a
   child of `parent` (NULL: a root) and first runs on the next pass. `owner`, if any, is told of the
   end. May raise a memory error in L. */
Task *task_start(lua_State *L, Runtime *rt, Task *parent, int nargs, TaskOwner *owner);

/* Pushes the task's handle, made on first use. */
TaskHandle *task_push_handle(lua_State *L, Task *t);

/* The same with a handle, which is pushed on L: what ml.spawn does. */
Task *task_spawn(lua_State *L, Runtime *rt, Task *parent, int nargs);

/* Starts a root task that runs `body`, without arguments, in this very pass, after those that are
   already ready: for an owner that limits how often it does so, and that the body finds with
   task_current. Does not raise, for callers outside of a protected call. NULL if memory is out. */
Task *task_start_soon(Runtime *rt, lua_CFunction body, TaskOwner *owner);

/* Makes a new root task one of the host's that works for the others: it is hidden from users, keeps
   no run alive, is not cancelled with the others by the end of a run, and ends when the runtime
   closes. */
void task_to_background(Task *t);

/* Notes where the Lua code that runs in L spawned `t`: the Lua function nearest to `level` (as of
   lua_getstack). */
void task_set_spawn_site(lua_State *L, Task *t, int level);

/* Notes that `t` was spawned where `other` was. */
void task_share_spawn_site(Task *t, const Task *other);

/* Cancels `t` and all its live children for `cause` (takes its own references). False if it was
   already cancelled or has ended. Does not enter Lua: safe in libuv callbacks. */
bool task_cancel(Task *t, CancelCause *cause);

/* Interrupts the wait of `t` if a cancel is now in force for it; shared by task_cancel and
   scope_cancel. */
void task_interrupt(Task *t);

/* Pushes the results of the ended task of the handle at `index`, or raises its error, which then
   counts as heard. */
int task_push_outcome(lua_State *L, int index);

/* The ended task of the handle at `index` failed, and its listener is gone: it is reported if
   nobody awaits it in time. Does nothing for a task that did not fail. */
void task_report_unawaited(lua_State *L, int index);

/* Calls observer->ended once when `t` ends. */
void task_observe(Task *t, TaskObserver *observer);
/* Stops observing; harmless when it observes nothing. */
void task_unobserve(TaskObserver *observer);

/* For the scheduler: lua_resume of its thread has returned `rc`, and it is not suspended. It has
   failed, or ends. */
void task_returned(Task *t, int rc);

/* Appends it to a list. */
static inline void task_list_push(TaskList *list, Task *t) {
  t->next = NULL;
  *list->tail = t;
  list->tail = &t->next;
}

/* Its thread will be used soon: prefetches its first cache lines and the host's word before
   them. */
static inline void task_prefetch_thread(const Task *t) {
  const char *co = (const char *)t->co;
  __builtin_prefetch(co - LUA_EXTRASPACE, 1);
  __builtin_prefetch(co + PREFETCH_LINE, 1);
  __builtin_prefetch(co + 2 * PREFETCH_LINE, 1);
}

/* Puts the task on rt->scheduler.ready or rt->scheduler.batch, to be resumed. */
static inline void task_make_ready(TaskList *list, Task *t) {
  t->ready = true;
  task_list_push(list, t);
}

/* Frees the names kept by task_set_spawn_site, when the runtime closes. */
void task_site_close(Runtime *rt);

/* Waiting is declared in moonloop.h. In the host a waker is taken without a call. */
#define ml_wait_waker(t) ((Waker){(t), (t)->generation})

/* The running task, or NULL outside of one. */
static inline Task *task_current(lua_State *L) { return runtime_of(L)->scheduler.current; }

/* Does the error at `index` end the running task, as its own cancel or the end of its CPU budget
   does? pcall and the like let it through. */
bool task_is_broken_off(lua_State *L, int index);

/* The handle at `index`, or NULL for any other value. */
TaskHandle *task_test_handle(lua_State *L, int index);

/* Where a task was spawned, or "?": "app.lua:12" in `text`. Returns `text`. */
const char *task_site(const struct SourceName *source, int line, char text[80]);

/* Appends a description of a task. Safe in a signal handler. */
void task_describe(const Task *t, Text *text);

/* "pending", "running", ...: the status as scripts see it. */
const char *task_status_name(TaskStatus status);

#endif
