/* moonloop.trace.core: spans, and what the exporter of scripts/moonloop/trace sends.

   span, current, continue: those of ml.trace, and producer: see span_object.h.

   export(settings, f) -> started
     From now on sampled spans are exported, with the settings `parent_based`, `ratio`, `queue`,
     `batch` and `delay` (tracer.h). true: there was no exporter, and f now runs as a task in the
     background, in which nothing is traced.
   stop()
     Nothing is exported any more; spans that wait are dropped.
   take() -> JSON of spans, their number | nil
     Up to a batch of those that wait, separated by commas. nil: there are none.
   settle(exported, refused)
     What has become of so many of those taken.
   wait() -> "send" | "end"
     Suspends the exporter until a batch waits, or the first span has waited for the delay, or
     hurry(). "end": the runtime closes; what waits should be sent once.
   pause(seconds) -> boolean
     Suspends it before it tries again; hurry() wakes it. false: it should not, since the runtime
     closes.
   pauses() -> seconds | nil
     How long it still pauses; nil: it does not. For specs.
   hurry()
     Wakes the exporter.
   counts() -> {recorded =, exported =, refused =, dropped =, queued =} | nil
     Counts of spans, `queued` with those that are being sent. nil: nothing was ever exported.
   report(text)
     Prints the text to where the runtime's reports go.
   process() -> version of the host, id of the process, name of the machine */
#include "bindings/check.h"
#include "bindings/class.h"
#include "bindings/trace/open.h"
#include "bindings/trace/span_object.h"
#include "core/script_place.h"
#include "core/wait.h"

#include <lauxlib.h>
#include <unistd.h>

static Tracer *check_tracer(lua_State *L) {
  Tracer *tracer = tracer_of(runtime_of(L));
  if (!tracer) luaL_error(L, "not enough memory to trace");
  return tracer;
}

static lua_Number number_of(lua_State *L, const char *name) {
  lua_getfield(L, 1, name);
  lua_Number number = luaL_checknumber(L, -1);
  lua_pop(L, 1);
  return number;
}

/* --- the exporter's task --- */

static const char task_key; /* the registry's key of its handle */

static bool has_task(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &task_key);
  const TaskHandle *handle = task_test_handle(L, -1);
  lua_pop(L, 1);
  return handle && handle->task;
}

static int l_export(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  Tracer *tracer = check_tracer(L);
  TracerSettings settings = {.ratio = number_of(L, "ratio"),
                             .queue = (size_t)number_of(L, "queue"),
                             .batch = (size_t)number_of(L, "batch"),
                             .delay = number_of(L, "delay")};
  lua_getfield(L, 1, "parent_based");
  settings.parent_based = lua_toboolean(L, -1);
  lua_settop(L, 2);
  bool starts = !has_task(L);
  if (starts) {
    Task *t = task_spawn(L, tracer->rt, NULL, 0);
    t->name = "ml.trace";
    task_to_background(t);
    task_trace_replace(&t->trace, &span_hold(tracer->silent)->trace);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &task_key);
  }
  tracer_export(tracer, &settings);
  lua_pushboolean(L, starts);
  return 1;
}

static int l_stop(lua_State *L) {
  Tracer *tracer = runtime_of(L)->tracer;
  if (!tracer) return 0;
  tracer_export(tracer, NULL);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &task_key);
  const TaskHandle *handle = task_test_handle(L, -1);
  if (!handle || !handle->task) return 0;
  CancelCause *cause = cause_new(tracer->rt, "ml.trace was stopped");
  if (cause) task_cancel(handle->task, cause);
  cause_drop(cause);
  lua_pushnil(L); /* the next start need not wait for its end */
  lua_rawsetp(L, LUA_REGISTRYINDEX, &task_key);
  return 0;
}

static int l_take(lua_State *L) {
  Tracer *tracer = check_tracer(L);
  Buffer text = {0};
  size_t n = tracer_take(tracer, tracer->settings.batch, &text);
  if (!n) {
    buffer_free(&text);
    return 0;
  }
  lua_pushlstring(L, text.data, text.len);
  buffer_free(&text);
  lua_pushinteger(L, (lua_Integer)n);
  return 2;
}

static int l_settle(lua_State *L) {
  tracer_settle(check_tracer(L), (size_t)luaL_checkinteger(L, 1), (size_t)luaL_checkinteger(L, 2));
  return 0;
}

static int l_hurry(lua_State *L) {
  tracer_hurry(check_tracer(L));
  return 0;
}

static void wait_cancel(Task *t, void *op) {
  (void)t;
  Tracer *tracer = op;
  tracer->waits = TRACER_BUSY;
  tracer->sender = (Waker){0};
  timer_clear(&tracer->rt->timers, &tracer->timer);
}

static int push_reason(lua_State *L, const Tracer *tracer) {
  lua_pushstring(L, tracer->ends ? "end" : "send");
  return 1;
}

static int wait_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  return push_reason(L, op);
}

static const WaitType spans_wait = {
    .name = "spans to export", .cancel = wait_cancel, .finish = wait_finish};

static int l_wait(lua_State *L) {
  Tracer *tracer = check_tracer(L);
  Task *t = ml_wait_enter(L, "ml.trace");
  if (tracer->ends || tracer->hurries || tracer->queued >= tracer->settings.batch) {
    tracer->hurries = false;
    return push_reason(L, tracer);
  }
  tracer_wait(tracer, ml_wait_waker(t), TRACER_WAITS, 0);
  return ml_wait_suspend(L, t, &spans_wait, tracer);
}

static int pause_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  Tracer *tracer = op;
  tracer->hurries = false;
  lua_pushboolean(L, !tracer->ends);
  return 1;
}

static const WaitType pause_wait = {
    .name = "the next try to export spans", .cancel = wait_cancel, .finish = pause_finish};

static int l_pause(lua_State *L) {
  Tracer *tracer = check_tracer(L);
  double seconds = luaL_checknumber(L, 1);
  Task *t = ml_wait_enter(L, "ml.trace");
  if (tracer->ends) {
    lua_pushboolean(L, false);
    return 1;
  }
  tracer_wait(tracer, ml_wait_waker(t), TRACER_PAUSES, seconds);
  return ml_wait_suspend(L, t, &pause_wait, tracer);
}

static int l_pauses(lua_State *L) {
  const Tracer *tracer = check_tracer(L);
  if (tracer->waits != TRACER_PAUSES) return 0;
  uint64_t due = timer_due_at(&tracer->rt->timers, &tracer->timer), now = runtime_now(tracer->rt);
  lua_pushnumber(L, due > now ? (double)(due - now) / 1e9 : 0);
  return 1;
}

/* --- the rest --- */

static void set_count(lua_State *L, const char *name, uint64_t count) {
  lua_pushinteger(L, (lua_Integer)count);
  lua_setfield(L, -2, name);
}

static int l_counts(lua_State *L) {
  const Tracer *tracer = runtime_of(L)->tracer;
  if (!tracer) return 0;
  lua_createtable(L, 0, 5);
  set_count(L, "recorded", tracer->counts.recorded);
  set_count(L, "exported", tracer->counts.exported);
  set_count(L, "refused", tracer->counts.refused);
  set_count(L, "dropped", tracer->counts.dropped);
  set_count(L, "queued", tracer->queued + tracer->sending);
  return 1;
}

static int l_report(lua_State *L) {
  report_say(runtime_of(L), LOG_WARN, luaL_checkstring(L, 1));
  return 0;
}

static int l_process(lua_State *L) {
  char name[256] = "";
  if (gethostname(name, sizeof name - 1) != 0) *name = '\0';
  lua_pushliteral(L, ML_VERSION);
  lua_pushinteger(L, getpid());
  lua_pushstring(L, name);
  return 3;
}

int luaopen_moonloop_trace_core(lua_State *L) {
  static const luaL_Reg functions[] = {{"span", span_object_span},
                                       {"producer", span_object_producer},
                                       {"current", span_object_current},
                                       {"continue", span_object_continue},
                                       {"export", l_export},
                                       {"stop", l_stop},
                                       {"take", l_take},
                                       {"settle", l_settle},
                                       {"wait", l_wait},
                                       {"pause", l_pause},
                                       {"pauses", l_pauses},
                                       {"hurry", l_hurry},
                                       {"counts", l_counts},
                                       {"report", l_report},
                                       {"process", l_process},
                                       {NULL, NULL}};
  span_object_open(L);
  luaL_newlib(L, functions);
  return 1;
}
