/* The runtime: one libuv loop, one main Lua state, and everything that lives on them.
   There are no globals: several runtimes can live in one process, each on a thread of its own. */
#ifndef ML_RUNTIME_H
#define ML_RUNTIME_H

#include "container_of.h"
#include "memory.h"
#include "moonloop.h"
#include "timer.h"
#include <lauxlib.h>
#include <lua.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/* Inside the host the public types go by their short names. */
typedef ml_Runtime Runtime;
typedef ml_Task Task;
typedef ml_CloseHook CloseHook;
typedef ml_WaitType WaitType;
typedef ml_Waker Waker;

typedef struct AddedModule AddedModule;

/* What runs at the end of every pass of the loop, after the ready tasks have run. It is listed for
   one pass at a time with runtime_at_pass_end. */
typedef struct PassHook {
  struct PassHook *next;
  bool listed;
  void (*run)(struct PassHook *hook, Runtime *rt);
} PassHook;

/* Sockets that the loop watches by one handle for them all (http_plain_poll.h). */
typedef struct SocketSet {
  struct SocketSet *next; /* the runtime's */
  const uv_handle_t *handle;
  /* Calls visit(data, fd, waits) for each; `waits`: it keeps the loop alive. */
  void (*each)(struct SocketSet *set, void (*visit)(void *data, int fd, bool waits), void *data);
} SocketSet;

/* A state that has resumed another one; they form a stack in the C functions that do it. */
typedef struct Resumer {
  lua_State *L;
  struct Resumer *outer;
} Resumer;

/* A hook of debug.sethook while the host's own stands in its place. */
typedef struct UserHook {
  lua_State *of; /* NULL: there is none */
  lua_Hook hook;
  int mask, count;
} UserHook;

typedef struct TaskList {
  Task *head, **tail;
} TaskList;

/* Records of tasks that are not in use, and their threads (task_pool.h). */
typedef struct TaskPool {
  Task *free;         /* ended tasks with their threads, to be used again */
  size_t free_count;  /* how many */
  Task *free_records; /* records without a thread */
  struct TaskSlab *slabs, *empty_slabs;
  uint32_t first_generation; /* of a record that is used for the first time */
  uint32_t threads;          /* how many there are */
  size_t peak_live;          /* most live tasks at once, of late */
  size_t peak_now;           /* the same since the pool was looked at */
  size_t released;           /* threads whose memory has not been given back */
  uint64_t trim_at;          /* when the pool is looked at next */
  unsigned cycles, steps;    /* of the collector that are left, at most, until it is */
} TaskPool;

struct ml_Runtime {
  uv_loop_t loop;
  lua_State *L; /* the main state; runs no Lua of the user's itself */
  Memory memory;

  /* scheduler (task.c) */
  Task *current;      /* the running task, or NULL */
  lua_State *running; /* the innermost coroutine resumed by the host or by coroutine.resume */
  lua_State *barrier; /* a coroutine below `running` that cannot be suspended, or NULL */
  Resumer *resumers;  /* whoever has resumed `running`, innermost first, but for the scheduler */
  bool suspending;    /* a host suspension is on its way out through nested coroutines */
  TaskList ready;     /* to be resumed on the next pass, in order */
  TaskList batch;     /* being resumed on this pass */
  TaskList preempted; /* their slice was over: one at a time has a pass, between the others' */
  bool preempted_turn;
  TaskPool pool;
  size_t live; /* tasks started and not ended */
  Task *roots; /* live tasks without a parent */
  uint64_t last_task_id;
  bool ending;             /* a task is ending: those that awaited it run in this pass */
  int handle_meta_ref;     /* the registry's reference to the metatable of handles */
  const void *handle_meta; /* the same as a pointer, to tell handles fast */
  int handles_ref;         /* registry table: handles by Task.slot, where Task.handle_kept */
  int origins_ref;         /* registry table: error origins in flight by Task.slot (report.h) */
  int vars_ref;            /* registry table: task-local values by Task.slot (bindings/var.c) */
  struct SourceName *source_names; /* spawn sites' file names */

  /* interrupts (interrupt.h): of what runs too long */
  _Atomic uint32_t step; /* grows when a task starts or stops to run: odd while one runs */
  bool attention;        /* there is something to do when the running stretch is over */
  atomic_bool watchdog_asleep;
  _Atomic pthread_t thread; /* that runs the loop */
  struct Interrupt *interrupts;
  struct Watchdog *watchdog; /* or NULL */
  struct Limiter *limiter;
  UserHook user_hook;

  /* failures that nobody has awaited yet (report.c) */
  struct Unawaited *unawaited, **unawaited_tail;
  Timer unawaited_timer;
  bool reports_due;

  TimerHeap timers;
  uint64_t pass_at;   /* runtime_now as the loop last saw it: up to a pass and a millisecond old */
  uint64_t polled_at; /* loop milliseconds when events were last looked for */
  uint64_t shuffle; /* specs: the state of the generator that orders ready tasks; 0: as they come */
  CloseHook *close_hooks;
  /* what ml_add_module has added, the last one first, behind what a worker has from its pool's
     owner (added_module.h) */
  const AddedModule *modules, *inherited_modules;
  PassHook *pass_hooks;
  SocketSet *socket_sets; /* for whoever looks at what is open */

  /* reporting */
  void (*print_report)(void *data, const char *text); /* where reports go; NULL: stderr */
  void *print_data;
  bool warnings_off, warning_continues;

  /* life */
  bool looping;          /* inside runtime_run */
  bool stopping;         /* os.exit or a signal: the tasks are being cancelled */
  bool closing;          /* nothing enters Lua any more */
  int exit_code;         /* what os.exit asked for */
  void *user;            /* the owner's: a worker keeps itself here */
  struct Remote *remote; /* how other threads reach the loop; made at first use (remote.h) */
};

/* Is the handle one that stands for a set of sockets? */
static inline bool runtime_is_socket_set(const Runtime *rt, const uv_handle_t *handle) {
  const SocketSet *set = rt->socket_sets;
  while (set && set->handle != handle) set = set->next;
  return set;
}

/* Makes a runtime with the standard library, the host's coroutine functions, and `moonloop`
   preloaded. Returns NULL when memory or descriptors are out. The caller closes it on the thread
   that runs it. */
Runtime *runtime_new(void);

/* Closes every handle, the Lua state and the loop; cancels the tasks that are left. Returns what
   uv_loop_close returned: 0, or UV_EBUSY when a handle was left open (fatal in debug builds). */
int runtime_close(Runtime *rt);

/* Runs the loop until `done(data)` is true (asked after each pass), or nothing is left that could
   wake a task. Returns false in the latter case. Refuses (returns false) when it runs already. */
bool runtime_run(Runtime *rt, bool (*done)(void *data), void *data);

/* Cancels all live tasks and runs the loop until they have ended, for `grace` seconds at most.
   Returns how many are left. */
size_t runtime_cancel_all(Runtime *rt, const char *reason, double grace);

/* Lists `hook` to run once at the end of this pass. */
static inline void runtime_at_pass_end(Runtime *rt, PassHook *hook) {
  if (hook->listed) return;
  hook->listed = true;
  hook->next = rt->pass_hooks;
  rt->pass_hooks = hook;
}

/* The runtime of any Lua state of it. The two low bits of the word are marks (coroutine.h). */
#define STATE_WORD(L) (*(uintptr_t *)lua_getextraspace(L))
static inline Runtime *runtime_of(lua_State *L) {
  return (Runtime *)(STATE_WORD(L) & ~(uintptr_t)7);
}

/* The clock of the tasks in nanoseconds, live: monotonic. In specs it may be virtual. */
static inline uint64_t runtime_now(Runtime *rt) { return clock_now(&rt->timers.clock); }

#endif
