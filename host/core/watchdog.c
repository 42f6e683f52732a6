#include "core/watchdog.h"

#include "core/blocking_call.h"
#include "core/frames.h"
#include "core/held_up.h"
#include "core/interrupt.h"
#include "core/observe.h"
#include "core/report.h"
#include "core/states.h"
#include "core/task.h"
#include "core/task_limits.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000ull
#define MIN_TICK_NS 1000000ull
#define MAX_TICK_NS 25000000ull
/* How many ticks without a step before the thread goes to sleep. Waking it takes a system call,
   so a loop that is never idle for long does not pay for one each time. */
#define IDLE_TICKS 20
/* It is woken when there is work; this covers a step taken at the very moment it fell asleep. */
#define SLEEP_NS (5 * NS_PER_S)
/* How many ticks the hook may take before the stack is read from the signal handler: in that time
   no Lua instruction has run. */
#define TICKS_FOR_HOOK 2
#define TICKS_FOR_ANY 8

/* Requests to the loop's thread. */
#define WANT_REPORT 1u
#define WANT_BREAK 2u
#define WANT_FRAMES 4u /* report from the signal handler, if a C function runs */
#define WANT_ANY 8u    /* whatever runs */

#define MAX_FRAMES 12
#define HINT_ROOM 300 /* bytes for add_hint */

struct Watchdog {
  Interrupt interrupt;
  CloseHook on_close;
  Runtime *rt;
  uint64_t block_ns, cpu_ns, tick_ns; /* limits: 0 means none */
  pthread_t thread;
  pthread_mutex_t lock; /* for stop and woken */
  pthread_cond_t wake;
  bool stop, woken;

  /* the thread's own */
  uint32_t seen;    /* the last step it saw */
  uint64_t seen_at; /* when it saw it first */
  uint64_t cpu_at;  /* CPU time of the loop's thread then */
  uint64_t next_ns; /* after which the next report is due */
  bool broken;      /* it was asked to interrupt the stretch */
  int idle, missed;

  /* from the thread to the loop's: valid for the step `flagged` */
  _Atomic uint32_t flagged;
  _Atomic uint32_t wants;
  _Atomic uint64_t since;

  /* the loop's thread only */
  bool reported; /* the running stretch was reported */
  BlockingCalls calls;
  BlockingHint hint;    /* what was running when a report was asked for */
  const HostWork *work; /* the same, of the host; or NULL */
  uint32_t hint_from;   /* the step that both are about */
  char label[200];
};

static uint64_t clock_ns(clockid_t clock) {
  struct timespec at;
  if (clock_gettime(clock, &at) != 0) return 0;
  return (uint64_t)at.tv_sec * NS_PER_S + (uint64_t)at.tv_nsec;
}

/* --- the thread --- */

static uint64_t loop_cpu(Watchdog *w) {
  clockid_t clock;
  if (!w->cpu_ns || pthread_getcpuclockid(w->rt->interrupts.thread, &clock) != 0) return 0;
  return clock_ns(clock);
}

static void ask(Watchdog *w, uint32_t wants) {
  atomic_store(&w->since, w->seen_at);
  atomic_store(&w->flagged, w->seen);
  atomic_store(&w->wants, wants);
  pthread_kill(w->rt->interrupts.thread, INTERRUPT_SIGNAL);
}

/* One look. False if the loop has long been idle. */
static bool look(Watchdog *w) {
  uint32_t step = atomic_load_explicit(&w->rt->scheduler.step, memory_order_acquire);
  uint64_t now = uv_hrtime();
  if (step != w->seen) {
    atomic_store(&w->wants, 0);
    w->seen = step;
    w->seen_at = now;
    w->cpu_at = step % 2 ? loop_cpu(w) : 0; /* between the steps its thread may have ended */
    w->next_ns = w->block_ns;
    w->broken = false;
    w->idle = w->missed = 0;
    return true;
  }
  if (step % 2 == 0) return ++w->idle < IDLE_TICKS;
  uint32_t wants = atomic_load(&w->wants); /* requests that are still open */
  w->missed = wants ? w->missed + 1 : 0;
  if (w->block_ns && now - w->seen_at >= w->next_ns) {
    wants |= WANT_REPORT;
    while (w->next_ns <= now - w->seen_at) w->next_ns *= 2;
  }
  if (w->cpu_ns && !w->broken && loop_cpu(w) - w->cpu_at >= w->cpu_ns) {
    wants |= WANT_BREAK;
    w->broken = true;
  }
  if (wants & WANT_REPORT) {
    if (w->missed >= TICKS_FOR_HOOK) wants |= WANT_FRAMES;
    if (w->missed >= TICKS_FOR_ANY) wants |= WANT_ANY;
  }
  if (wants) ask(w, wants);
  return true;
}

static void wait_ns(Watchdog *w, uint64_t ns) {
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  ns += (uint64_t)until.tv_nsec;
  until.tv_sec += (time_t)(ns / NS_PER_S);
  until.tv_nsec = (long)(ns % NS_PER_S);
  pthread_mutex_lock(&w->lock);
  if (!w->stop && !w->woken) pthread_cond_timedwait(&w->wake, &w->lock, &until);
  w->woken = false;
  pthread_mutex_unlock(&w->lock);
}

static bool is_stopped(Watchdog *w) {
  pthread_mutex_lock(&w->lock);
  bool stop = w->stop;
  pthread_mutex_unlock(&w->lock);
  return stop;
}

static void *watch(void *data) {
  Watchdog *w = data;
  atomic_bool *asleep = &w->rt->watched.watchdog_asleep;
  while (!is_stopped(w)) {
    if (look(w)) {
      atomic_store(asleep, false);
      wait_ns(w, w->tick_ns);
    } else if (!atomic_load(asleep)) {
      atomic_store(asleep, true); /* a thread that missed this has taken a step by the next look */
      wait_ns(w, w->tick_ns);
    } else {
      wait_ns(w, SLEEP_NS);
      atomic_store(asleep, false);
      w->idle = 0;
    }
  }
  return NULL;
}

/* --- reports, on the loop's thread --- */

static void add_headline(Watchdog *w, Text *text) {
  Text label = text_in(w->label, sizeof w->label);
  task_describe(w->rt->scheduler.current, &label);
  text_add(text, w->label);
  text_add(text, " has held up the loop for ");
  uint64_t ns = uv_hrtime() - atomic_load(&w->since);
  text_add_duration(text, ns);
  held_up_note(w->rt, w->label, ns, w->reported);
  w->reported = true;
  scheduler_ask_attention(&w->rt->scheduler);
}

/* "encoding the JSON of its response (its handler is at app.lua:12)" */
static void add_work(const Watchdog *w, Text *text) {
  TaskOwner *owner = w->rt->scheduler.current->owner;
  const char *place = owner && owner->place ? owner->place(owner) : NULL;
  text_add(text, w->work->what);
  if (!place) return;
  text_add(text, " (its handler is at ");
  text_add(text, place);
  text_add(text, ")");
}

/* "moonloop: os.execute blocks ..." if such a function was seen. */
static void add_hint(Watchdog *w, Text *text) {
  if (!w->hint.function && !w->work) return;
  text_add(text, "moonloop: ");
  if (!w->hint.function) {
    text_add(text, w->work->hint);
    return;
  }
  text_add(text, w->hint.function);
  text_add(text, " blocks the whole loop; ");
  text_add(text, w->hint.ours);
  text_add(text, " would let other tasks run meanwhile");
  w->hint.function = NULL;
}

/* Is there a request that concerns the running stretch? */
static uint32_t wanted_now(Watchdog *w, Runtime *rt) {
  uint32_t wants = atomic_load(&w->wants);
  if (!wants || !rt->scheduler.current) return 0;
  return atomic_load(&w->flagged) == atomic_load_explicit(&rt->scheduler.step, memory_order_relaxed)
             ? wants
             : 0;
}

/* Is the running task awaited by nobody except its ancestors? */
static bool is_alone(const Runtime *rt) {
  size_t line = 0;
  for (const Task *t = rt->scheduler.current; t; t = t->parent) line++;
  return rt->watched.serves_nobody && rt->tasks.live - rt->tasks.background == line;
}

static void begin_entry(LogEntry *entry, LogFields *fields, const char *headline,
                        const char *traceback, const char *hint) {
  *entry = (LogEntry){
      .level = LOG_WARN, .source = LOG_HOST, .message = headline, .message_len = strlen(headline)};
  fields->n = 0;
  log_fields_add_text(fields, LOG_FIELD_BELOW, "traceback", traceback);
  log_fields_add_text(fields, LOG_FIELD_BELOW, "hint", hint);
}

/* In the signal handler: makes the report that the hook cannot make. */
static void report_frames(Watchdog *w, Runtime *rt) {
  char headline[400], memory[3600], hint[HINT_ROOM];
  Text head = text_in(headline, sizeof headline), text = text_in(memory, sizeof memory),
       added = text_in(hint, sizeof hint);
  add_headline(w, &head);
  text_add(&head, ", ");
  if (w->work && w->work->what)
    add_work(w, &head);
  else
    frames_add_top(&head, rt->scheduler.running);
  text_add(&head, ":");
  text_add(&text, "stack traceback:");
  frames_add_stacks(&text, rt, MAX_FRAMES);
  add_hint(w, &added);
  LogFields fields;
  LogEntry entry;
  begin_entry(&entry, &fields, headline, memory, hint);
  report_entry_in_signal(rt, &entry, &fields);
}

/* The hook runs when the C function is over. */
static void note_call(Watchdog *w, const Runtime *rt) {
  uint32_t step = atomic_load_explicit(&rt->scheduler.step, memory_order_relaxed);
  if (w->hint_from != step) w->work = NULL;
  if (rt->watched.work && rt->watched.work_step == step) w->work = rt->watched.work;
  if (w->hint_from != step || !w->hint.function)
    w->hint = blocking_calls_hint(&w->calls, rt->scheduler.running);
  w->hint_from = step;
}

static bool watchdog_wanted(Interrupt *interrupt, Runtime *rt) {
  Watchdog *w = (Watchdog *)interrupt;
  uint32_t wants = wanted_now(w, rt);
  if (wants && is_alone(rt)) wants = atomic_fetch_and(&w->wants, WANT_BREAK) & WANT_BREAK;
  if ((wants & WANT_REPORT) && rt->scheduler.running) note_call(w, rt);
  if (!(wants & WANT_FRAMES) || !rt->scheduler.running) return wants != 0;
  if (!(wants & WANT_ANY) && !frames_in_c_function(rt->scheduler.running)) return true;
  atomic_fetch_and(&w->wants, WANT_BREAK);
  report_frames(w, rt);
  return (wants & WANT_BREAK) != 0;
}

/* Protected, in the hook: (watchdog). */
static int l_report(lua_State *L) {
  Watchdog *w = lua_touserdata(L, 1);
  char memory[300], hint[HINT_ROOM];
  Text text = text_in(memory, sizeof memory), added = text_in(hint, sizeof hint);
  LogFields fields;
  LogEntry entry;
  add_headline(w, &text);
  if (w->work && w->work->what) {
    text_add(&text, ", ");
    add_work(w, &text);
  }
  text_add(&text, ":");
  add_hint(w, &added);
  states_push_traceback(L, 1);
  begin_entry(&entry, &fields, memory, lua_tostring(L, -1), hint);
  if (report_wants(entry.level)) report_entry(w->rt, &entry, &fields);
  return 0;
}

static void watchdog_act(Interrupt *interrupt, lua_State *L, lua_Debug *ar) {
  (void)ar;
  Watchdog *w = (Watchdog *)interrupt;
  if (!wanted_now(w, w->rt)) return;
  uint32_t wants = atomic_exchange(&w->wants, 0);
  if (wants & WANT_REPORT) {
    lua_pushcfunction(L, l_report);
    lua_pushlightuserdata(L, w);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1); /* no memory for it */
  }
  if (wants & WANT_BREAK) task_limits_break_off(L, (double)w->cpu_ns / NS_PER_S);
}

void watchdog_stretch_over(Watchdog *w, const Task *t) {
  if (!w->reported) return;
  char memory[300];
  Text text = text_in(memory, sizeof memory);
  w->reported = false;
  w->hint.function = NULL;
  w->work = NULL;
  text_add(&text, w->label);
  text_add(&text, " has let go of the loop after ");
  uint64_t ns = uv_hrtime() - atomic_load(&w->since);
  text_add_duration(&text, ns);
  held_up_over(w->rt, ns);
  w->rt->reports.about = t;
  report_say(w->rt, LOG_WARN, memory);
  w->rt->reports.about = NULL;
  observe_blocked(t, ns);
}

/* --- its life --- */

void watchdog_set_serves_nobody(Runtime *rt, bool serves_nobody) {
  rt->watched.serves_nobody = serves_nobody;
}

double watchdog_block_limit(const Runtime *rt) {
  return rt->watched.watchdog ? (double)rt->watched.watchdog->block_ns / NS_PER_S : 0;
}

void watchdog_wake(Watchdog *w) {
  atomic_store(&w->rt->watched.watchdog_asleep, false);
  pthread_mutex_lock(&w->lock);
  w->woken = true;
  pthread_cond_signal(&w->wake);
  pthread_mutex_unlock(&w->lock);
}

static void destroy(Watchdog *w) {
  pthread_cond_destroy(&w->wake);
  pthread_mutex_destroy(&w->lock);
  free(w);
}

static void close_watchdog(CloseHook *hook, Runtime *rt) {
  Watchdog *w = container_of(hook, Watchdog, on_close);
  pthread_mutex_lock(&w->lock);
  w->stop = true;
  pthread_cond_signal(&w->wake);
  pthread_mutex_unlock(&w->lock);
  pthread_join(w->thread, NULL);
  rt->watched.watchdog = NULL;
  atomic_store(&rt->watched.watchdog_asleep, false);
  interrupt_remove(rt, &w->interrupt);
  destroy(w);
}

int watchdog_start(Runtime *rt, double block, double cpu) {
  if (block <= 0 && cpu <= 0) return 0;
  Watchdog *w = calloc(1, sizeof *w);
  if (!w) return UV_ENOMEM;
  w->interrupt = (Interrupt){NULL, watchdog_wanted, watchdog_act};
  w->on_close.close = close_watchdog;
  w->rt = rt;
  w->block_ns = (uint64_t)(block * NS_PER_S);
  w->cpu_ns = (uint64_t)(cpu * NS_PER_S);
  w->tick_ns = MAX_TICK_NS;
  if (w->block_ns && w->block_ns / 5 < w->tick_ns) w->tick_ns = w->block_ns / 5;
  if (w->cpu_ns && w->cpu_ns / 5 < w->tick_ns) w->tick_ns = w->cpu_ns / 5;
  if (w->tick_ns < MIN_TICK_NS) w->tick_ns = MIN_TICK_NS;
  blocking_calls_note(&w->calls, rt->L);
  interrupt_note_thread(rt);
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_mutex_init(&w->lock, NULL);
  pthread_cond_init(&w->wake, &monotonic);
  pthread_condattr_destroy(&monotonic);
  sigset_t all, before; /* signals go to the loop's thread */
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int rc = pthread_create(&w->thread, NULL, watch, w);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (rc != 0) {
    destroy(w);
    return uv_translate_sys_error(rc);
  }
  rt->watched.watchdog = w;
  interrupt_add(rt, &w->interrupt);
  ml_runtime_on_close(rt, &w->on_close);
  return 0;
}
