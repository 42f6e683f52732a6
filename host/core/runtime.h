/* The runtime: one libuv loop, one main Lua state, and everything that lives on them. There are no
   globals: several runtimes can live in one process, each on its own thread. */
#ifndef ML_RUNTIME_H
#define ML_RUNTIME_H

#include "base/container_of.h"
#include "base/memory.h"
#include "core/added_module.h"
#include "core/exit.h"
#include "core/give_back.h"
#include "core/idle_files.h"
#include "core/interrupt.h"
#include "core/names.h"
#include "core/report.h"
#include "core/returned_error.h"
#include "core/scheduler.h"
#include "core/socket_set.h"
#include "core/task_part.h"
#include "core/task_pool_part.h"
#include "core/timer.h"
#include "core/traceback.h"
#include "core/user_hook.h"
#include "core/watchdog.h"
#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/* How long the clean-up of cancelled tasks may take when the host ends them. */
#define RUNTIME_CLEANUP_SECONDS 5.0

/* And how long what the host does in the background may go on then. */
#define RUNTIME_LAST_SECONDS 1.0

/* Called when the runtime closes and only tasks in the background are left: they should end by
   themselves now, within RUNTIME_LAST_SECONDS. Must not enter Lua. The owner keeps the memory. */
typedef struct LastHook {
  struct LastHook *next;
  void (*last)(struct LastHook *hook, Runtime *rt);
} LastHook;

/* A function that runs at the end of a pass of the loop, after the ready tasks. runtime_at_pass_end
   lists it for one pass at a time. */
typedef struct PassHook {
  struct PassHook *next;
  bool listed;
  void (*run)(struct PassHook *hook, Runtime *rt);
} PassHook;

/* Each part belongs to the module whose header declares its type: others read it if that has to be
   fast, and change it through the functions of that header. */
struct ml_Runtime {
  uv_loop_t loop;
  lua_State *L; /* the main state; does not run the user's Lua itself */
  Memory memory;

  Scheduler scheduler;
  TaskPool pool;
  GiveBack give_back;
  Tasks tasks;
  TimerHeap timers;
  Interrupts interrupts;
  UserHooks user_hooks;
  Watched watched;
  struct Limiter *limiter; /* task_limits.h */
  Reports reports;
  Tracebacks tracebacks;
  ReturnedError returned_error;
  AddedModules added_modules;
  SocketSet *socket_sets;
  IdleFiles idle_files;
  struct Observers *observers;      /* observe.h; NULL: nobody observes */
  struct Observers *observers_kept; /* the same, once there was one */
  struct PoolSource *pool_sources;  /* pool_source.h */
  struct Metrics *metrics;          /* made at first use (metrics.h); freed last, by: */
  void (*free_metrics)(struct Metrics *metrics);
  const struct MetricShare *metric_share; /* of this and other processes (metrics.h), or NULL */
  struct Remote *remote;       /* how other threads reach the loop; made at first use (remote.h) */
  struct TlsLine *tls_line;    /* made at first use (tls_line.h) */
  struct WsShared *websockets; /* made at first use (ws_shared.h) */
  struct Insight *insight;     /* NULL: no page of the inspector is served (insight.h) */
  struct Tracer *tracer;       /* NULL: nothing has ever been traced (tracer.h) */
  Exit exit;
  struct StuckHook *stuck_hook; /* main_task.h */

  /* the loop's own */
  uint64_t pass_at;   /* runtime_now as the loop last saw it: up to a pass and a millisecond old */
  uint64_t polled_at; /* loop milliseconds when events were last polled */
  PassHook *pass_hooks;
  LastHook *last_hooks;
  CloseHook *close_hooks;
  bool looping;               /* inside runtime_run */
  bool closing;               /* nothing enters Lua from now on */
  void (*open)(lua_State *L); /* opens the modules in a new state: for workers */
  void *user;                 /* for the owner: a worker keeps itself here */
};

/* Makes a runtime with the standard library, and what `open` adds to the new state; `open` may
   raise, or be NULL. Returns NULL if memory or descriptors are out. The caller closes it on the
   thread that runs it. */
Runtime *runtime_new(void (*open)(lua_State *L));

/* Cancels the remaining tasks, and closes every handle, the Lua state and the loop. Returns the
   result of uv_loop_close: 0, or UV_EBUSY if a handle was left open (fatal in debug builds). */
int runtime_close(Runtime *rt);

/* Runs the loop until `done(data)` is true (checked after each pass), or nothing is left that could
   wake a task. Returns false in the latter case, or if it is already running. */
bool runtime_run(Runtime *rt, bool (*done)(void *data), void *data);

/* Cancels all live tasks but those in the background, and runs the loop until they have ended, for
   `grace` seconds at most. Returns how many are left. */
size_t runtime_cancel_all(Runtime *rt, const char *reason, double grace);

/* Adds `hook` to run once at the end of this pass. */
static inline void runtime_at_pass_end(Runtime *rt, PassHook *hook) {
  if (hook->listed) return;
  hook->listed = true;
  hook->next = rt->pass_hooks;
  rt->pass_hooks = hook;
}

/* Takes `hook` out again, whose memory is about to be freed. */
void runtime_not_at_pass_end(Runtime *rt, PassHook *hook);

/* The runtime of any of its Lua states. The two low bits of the word are marks (coroutine.h). */
#define STATE_WORD(L) (*(uintptr_t *)lua_getextraspace(L))
static inline Runtime *runtime_of(lua_State *L) {
  return (Runtime *)(STATE_WORD(L) & ~(uintptr_t)7);
}

/* The clock of the tasks in nanoseconds, live: monotonic. In specs it may be virtual. */
static inline uint64_t runtime_now(Runtime *rt) { return clock_now(&rt->timers.clock); }

#endif
