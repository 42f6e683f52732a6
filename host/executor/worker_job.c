/* A job in a worker: its task, its limits, its outcome, and its interruption. */
#include "executor/worker.h"

#include "core/error_text.h"
#include "core/report.h"
#include "core/scope.h"
#include "core/task_limits.h"
#include "transfer/transfer.h"

#include <string.h>

/* Lua instructions that clean-up may run before a cancelled job is interrupted once more. */
#define CLEANUP_INSTRUCTIONS 1000000
/* Bytes of an error that are shown if the error itself cannot be sent. */
#define MAX_SHOWN 1000

/* --- interrupting --- */

static bool must_stop(const Worker *w) {
  Job *job = atomic_load_explicit(&w->job, memory_order_relaxed);
  return atomic_load(&w->abort) || (job && atomic_load(&job->cancelled));
}

/* Cancels the tasks that must end: the job's, or all. Does not enter Lua. */
static void cancel_tasks(Worker *w) {
  bool all = atomic_load(&w->abort);
  if (!all && (!w->task || w->task->cancelled)) return;
  CancelCause *cause = cause_new(w->rt, all ? "the pool is closing" : "the caller was cancelled");
  if (!cause) return; /* it is tried again */
  if (w->task) task_cancel(w->task, cause);
  if (all) {
    for (Task *t = w->rt->tasks.roots; t; t = t->sibling) task_cancel(t, cause);
  }
  cause_drop(cause);
}

/* In the signal handler. Clean-up that was interrupted before has an allowance. */
static bool interrupt_wanted(Interrupt *interrupt, Runtime *rt) {
  const Worker *w = rt->user;
  (void)interrupt;
  return must_stop(w) && rt->scheduler.running && !interrupt_is_armed(rt->scheduler.running);
}

/* In the interrupted coroutine, or in one that inherited the hook, which stays until the job has
   ended, for Lua code that catches everything. A task that knew of the cancel may be in its
   clean-up. */
static void interrupt_act(Interrupt *interrupt, lua_State *L, lua_Debug *ar) {
  (void)interrupt;
  (void)ar;
  Worker *w = runtime_of(L)->user;
  if (!must_stop(w)) return;
  Task *t = w->rt->scheduler.current;
  bool knew = t && t->cancel_pending;
  interrupt_arm(L, CLEANUP_INSTRUCTIONS);
  cancel_tasks(w);
  CancelCause *cause = t ? scope_pending(t) : NULL;
  if (!cause) return;
  if (knew && !t->spared) {
    t->spared = true;
    return;
  }
  cause_push_error(L, cause);
  lua_error(L);
}

void worker_job_add_interrupt(Worker *w) {
  w->interrupt = (Interrupt){NULL, interrupt_wanted, interrupt_act};
  interrupt_add(w->rt, &w->interrupt);
}

void worker_job_check_cancel(Worker *w) {
  if (must_stop(w)) cancel_tasks(w);
}

/* --- outcomes --- */

static int l_push_text(lua_State *L) {
  lua_pushstring(L, lua_touserdata(L, 1));
  return 1;
}

/* Protected: (worker, error value, is it of the start-up code) -> the value for the caller. */
static int l_describe(lua_State *L) {
  Worker *w = lua_touserdata(L, 1);
  bool is_text = lua_type(L, 2) == LUA_TSTRING, in_init = lua_toboolean(L, 3);
  if (is_text && w->memory.has_refused && strstr(lua_tostring(L, 2), "not enough memory")) {
    w->broken = true;
    ml_error_push(L, "memory", NULL, "%s needs more than the %zu bytes of max_memory",
                  in_init ? "the pool's init" : "the job", w->memory.max);
  } else if (is_text && in_init) {
    lua_pushfstring(L, "the pool's init failed: %s", lua_tostring(L, 2));
  } else {
    lua_pushvalue(L, 2);
  }
  return 1;
}

/* Protected: (error value, why it cannot be sent) -> the text for the caller, of both. */
static int l_describe_unsendable(lua_State *L) {
  const char *error = error_text_push_short(L, 1, MAX_SHOWN);
  lua_pushfstring(L, "%s (it was: %s)", lua_tostring(L, 2), error);
  return 1;
}

/* The value on the top of L was raised: packs it, or the reason why it cannot be packed, with the
   traceback. */
static void pack_error(Worker *w, lua_State *L, Job *job, const char *traceback) {
  job->outcome = JOB_LOST;
  if (!lua_checkstack(L, 6)) return;
  lua_pushcfunction(L, l_describe);
  lua_pushlightuserdata(L, w);
  lua_pushvalue(L, -3);
  lua_pushboolean(L, !w->initialized);
  if (lua_pcall(L, 3, 1, 0) != LUA_OK) return;
  int error = lua_gettop(L);
  lua_pushcfunction(L, l_push_text);
  lua_pushlightuserdata(L, (void *)traceback); /* NULL becomes nil */
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) return;
  if (!transfer_pack(L, error, 2, "the error", &job->message)) {
    lua_pushcfunction(L, l_describe_unsendable); /* after the text that says why */
    lua_insert(L, -2);
    lua_pushvalue(L, error);
    lua_insert(L, -2);
    if (lua_pcall(L, 2, 1, 0) != LUA_OK) return;
    lua_replace(L, error);
    if (!transfer_pack(L, error, 2, "the error", &job->message)) return;
  }
  job->outcome = JOB_RAISED;
}

/* The start-up code has ended: it failed when it raised, or returned nil and an error. */
static void on_init_ended(TaskOwner *owner, Task *t, lua_State *L, const char *traceback) {
  Worker *w = container_of(owner, Worker, owner);
  Job *job = atomic_load(&w->job);
  bool refused =
      t->status == TASK_DONE && lua_gettop(L) >= 2 && lua_isnil(L, 1) && !lua_isnil(L, 2);
  w->task = NULL;
  interrupt_disarm(L);
  if (t->status == TASK_DONE && !refused) {
    w->initialized = true;
    return;
  }
  if (refused) lua_settop(L, 2);
  pack_error(w, L, job, traceback);
}

typedef struct Failure {
  const char *traceback; /* or NULL */
} Failure;

/* Protected: (Failure as light userdata, error value) */
static int l_report_unheard(lua_State *L) {
  const Failure *failure = lua_touserdata(L, 1);
  report_error(L, "a job failed in its clean-up, and its caller is gone", 2, failure->traceback,
               NULL);
  return 0;
}

/* The caller of the cancelled job does not wait for the error on the top of L. */
static void report_unheard(lua_State *L, const char *traceback) {
  Failure failure = {traceback};
  if (!lua_checkstack(L, 3)) return;
  lua_pushcfunction(L, l_report_unheard);
  lua_pushlightuserdata(L, &failure);
  lua_pushvalue(L, -3);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1);
}

/* The end of the job's task. */
static void on_job_ended(TaskOwner *owner, Task *t, lua_State *L, const char *traceback) {
  Worker *w = container_of(owner, Worker, owner);
  Job *job = atomic_load(&w->job);
  w->task = NULL;
  interrupt_disarm(L);
  if (atomic_load(&job->cancelled)) { /* nobody wants it */
    if (t->status == TASK_FAILED) report_unheard(L, traceback);
    return;
  }
  if (t->status == TASK_DONE && transfer_pack(L, 1, lua_gettop(L), "result #", &job->message)) {
    job->outcome = JOB_RETURNED;
  } else {
    pack_error(w, L, job, traceback);
  }
}

/* --- running --- */

/* A task to start in the worker. */
typedef struct Start {
  Worker *worker;
  const TransferMessage *call; /* the packed function and its arguments */
  const char *name;
  void (*ended)(TaskOwner *owner, Task *t, lua_State *L, const char *traceback);
  const TraceCarrier *trace;
  const LogKeptFields *log_context;
  double cpu, slice;
  bool is_main; /* its debug hook applies to everything in the state (user_hook.h) */
} Start;

/* Spans of the job have ids of their own. */
static bool is_trace_id(const LogField *f) {
  static const char *const names[] = {"trace_id", "span_id"};
  for (size_t i = 0; f->kind == LOG_FIELD_CONTEXT && i < sizeof names / sizeof *names; i++)
    if (f->name_len == strlen(names[i]) && !memcmp(f->name, names[i], f->name_len)) return true;
  return false;
}

/* Entries of the task get what those of the job's caller have. */
static void enter_log(lua_State *L, const Start *start) {
  LogFields fields;
  fields.n = 0;
  for (size_t i = 0; start->log_context && i < start->log_context->n; i++) {
    const LogField *f = &start->log_context->list[i];
    if (!start->trace || !is_trace_id(f)) log_fields_add(&fields, *f);
  }
  if (fields.n) start->worker->pool->enter_log(L, start->worker->task, &fields);
}

/* Protected: (Start as light userdata). Unpacks the call and starts the task. */
static int l_start(lua_State *L) {
  const Start *start = lua_touserdata(L, 1);
  Worker *w = start->worker;
  int n = transfer_unpack(L, start->call);
  if (n < 0) return lua_error(L);
  w->owner.ended = start->ended;
  w->task = task_start(L, w->rt, NULL, n - 1, &w->owner);
  w->task->name = start->name;
  w->task->is_main = start->is_main;
  task_limits_set(w->task, start->cpu, start->slice);
  trace_carrier_enter(start->trace, w->task, &w->pool->spans);
  enter_log(L, start);
  return 0;
}

static bool job_over(void *data) { return !((Worker *)data)->task; }

/* The job is over without the end of its task, which nobody hears of. */
static void leave_task(Worker *w) {
  w->task->owner = NULL;
  w->task = NULL;
}

/* Memory was out after the task had been started: it ends before it runs. */
static void take_back(Worker *w) {
  CancelCause *cause = cause_new(w->rt, "the job could not be started");
  if (cause) task_cancel(w->task, cause);
  cause_drop(cause);
  leave_task(w);
}

/* Runs the task to its end. */
static void run_task(Worker *w) {
  static const char deadlock[] = "the job waits for something that can no longer happen";
  for (int tries = 0; !runtime_run(w->rt, job_over, w) && w->task; tries++) {
    CancelCause *cause = cause_new(w->rt, deadlock);
    if (cause && tries == 0) {
      task_cancel(w->task, cause);
    } else { /* it does not end even when cancelled */
      leave_task(w);
    }
    cause_drop(cause);
  }
  exit_over(&w->rt->exit); /* os.exit in a job ends the job */
}

/* Starts the task and runs it; a failure to start is the job's error. */
static void start_and_run(Job *job, Start *start) {
  Worker *w = start->worker;
  lua_State *L = w->rt->L;
  lua_pushcfunction(L, l_start);
  lua_pushlightuserdata(L, start);
  w->memory.enforced = true;
  int status = lua_pcall(L, 1, 0, 0);
  w->memory.enforced = false;
  if (start->call == &job->message)
    transfer_clear(&job->message); /* the outcome replaces the call */
  if (status == LUA_OK) {
    run_task(w);
  } else {
    pack_error(w, L, job, NULL);
    lua_settop(L, 0);
    if (w->task) take_back(w);
  }
}

/* Runs the pool's start-up code, if it has not run in this state. False if it failed, and the job
   with it. */
static bool run_init(Worker *w, Job *job) {
  if (w->initialized) return true;
  TransferMessage call = job->message; /* an error replaces it */
  job->message = (TransferMessage){0};
  Start start = {.worker = w,
                 .call = &w->pool->init,
                 .name = "init",
                 .ended = on_init_ended,
                 .trace = job->trace,
                 .log_context = job->log_context,
                 .is_main = true};
  start_and_run(job, &start);
  w->broken = !w->initialized;
  if (w->broken) {
    transfer_free(&call);
    return false;
  }
  job->message = call;
  return true;
}

void worker_job_run(Worker *w, Job *job) {
  job->outcome = JOB_LOST;
  if (atomic_load(&job->cancelled)) return;
  if (!w->rt && !worker_state_open(w)) return;
  w->state_jobs++;
  worker_state_update_paths(w);
  if (!run_init(w, job) || atomic_load(&job->cancelled)) return;
  Start start = {.worker = w,
                 .call = &job->message,
                 .name = "job",
                 .ended = on_job_ended,
                 .trace = job->trace,
                 .log_context = job->log_context,
                 .cpu = job->cpu,
                 .slice = job->slice};
  start_and_run(job, &start);
}
