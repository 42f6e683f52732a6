#include "bindings/log/log_taker.h"

#include "bindings/check.h"
#include "core/report.h"
#include "core/task.h"
#include "log/log_output.h"

#include <lauxlib.h>
#include <stdlib.h>

enum { MOST_WAITING = 10000 }; /* entries */

typedef struct Waiting {
  struct Waiting *next;
  LogEntry *entry;
} Waiting;

typedef struct LogTaker {
  ReportTaker taker;
  TaskOwner owner;
  PassHook pass;
  CloseHook on_close;
  Runtime *rt;
  Task *task;      /* the one that passes them on, or NULL */
  int function;    /* reference to what it calls, or LUA_NOREF */
  LogEntry *given; /* what the function is being called with, or NULL */
  Waiting *first, **last;
  size_t n, lost;
} LogTaker;

static const char place; /* its address is the registry's key for the userdata */

/* --- the queue --- */

static LogEntry *take_first(LogTaker *taker) {
  Waiting *waiting = taker->first;
  if (!waiting) return NULL;
  LogEntry *entry = waiting->entry;
  if (!(taker->first = waiting->next)) taker->last = &taker->first;
  taker->n--;
  free(waiting);
  return entry;
}

/* Is the task the one that passes entries on, or one that it has started? What these log would come
   back to them for ever. */
static bool is_own(const LogTaker *taker, const Task *t) {
  for (; t; t = t->parent)
    if (t == taker->task) return true;
  return false;
}

static bool take(ReportTaker *base, Runtime *rt, const LogEntry *entry, const Task *subject) {
  LogTaker *taker = container_of(base, LogTaker, taker);
  if (rt->closing || (taker->task && is_own(taker, subject))) return false;
  if (taker->n >= MOST_WAITING && entry->level < LOG_ERROR) {
    taker->lost++;
    return true;
  }
  if (taker->n >= 2 * MOST_WAITING) return false;
  Waiting *waiting = malloc(sizeof *waiting);
  if (!waiting || !(waiting->entry = log_fields_keep_entry(entry))) {
    free(waiting);
    return false;
  }
  waiting->next = NULL;
  *taker->last = waiting;
  taker->last = &waiting->next;
  taker->n++;
  if (!taker->task) runtime_at_pass_end(rt, &taker->pass);
  return true;
}

/* --- the task --- */

static void end_given(LogTaker *taker, bool was_taken) {
  LogEntry *entry = taker->given;
  taker->given = NULL;
  if (entry && !was_taken) report_written(taker->rt, entry);
  free(entry);
}

static void ended(TaskOwner *owner, Task *t, lua_State *L, const char *traceback) {
  LogTaker *taker = container_of(owner, LogTaker, owner);
  end_given(taker, t->status == TASK_DONE);
  if (t->status == TASK_FAILED)
    report_error(L, "the function of ml.log.to failed", -1, traceback, NULL);
  taker->task = NULL;
  if (taker->lost) {
    report_sayf(taker->rt, LOG_WARN, "the function of ml.log.to is behind: %zu entries lost",
                taker->lost);
    taker->lost = 0;
  }
  if (taker->first && !taker->rt->closing) runtime_at_pass_end(taker->rt, &taker->pass);
}

/* Calls the function for the first entry; again, by a continuation, until none waits. */
static int give_next(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  LogTaker *taker = (LogTaker *)ctx;
  for (;;) {
    end_given(taker, true);
    lua_settop(L, 0);
    if (taker->function == LUA_NOREF || !(taker->given = take_first(taker))) return 0;
    Buffer line = {0};
    if (!log_output_format_json(&line, taker->given)) luaL_error(L, "not enough memory");
    lua_rawgeti(L, LUA_REGISTRYINDEX, taker->function);
    lua_pushlstring(L, line.data, line.len - 1);
    buffer_free(&line);
    lua_callk(L, 1, 0, ctx, give_next);
  }
}

static int l_give(lua_State *L) {
  LogTaker *taker = container_of(task_current(L)->owner, LogTaker, owner);
  return give_next(L, LUA_OK, (lua_KContext)taker);
}

static void on_pass_end(PassHook *hook, Runtime *rt) {
  LogTaker *taker = container_of(hook, LogTaker, pass);
  if (taker->task || !taker->first || rt->closing) return;
  taker->owner = (TaskOwner){ended, NULL};
  taker->task = task_start_soon(rt, l_give, &taker->owner);
  if (taker->task) taker->task->name = "ml.log.to";
}

/* --- its life --- */

/* What waits goes to the log. */
static void write_waiting(LogTaker *taker) {
  for (LogEntry *entry; (entry = take_first(taker));) {
    report_written(taker->rt, entry);
    free(entry);
  }
}

static void on_close(CloseHook *hook, Runtime *rt) {
  LogTaker *taker = container_of(hook, LogTaker, on_close);
  rt->reports.taker = NULL;
  end_given(taker, false);
  write_waiting(taker);
  runtime_not_at_pass_end(rt, &taker->pass);
}

static LogTaker *taker_of(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &place) == LUA_TUSERDATA) return lua_touserdata(L, -1);
  LogTaker *taker = lua_newuserdatauv(L, sizeof *taker, 0);
  *taker = (LogTaker){.taker.take = take,
                      .pass.run = on_pass_end,
                      .on_close.close = on_close,
                      .rt = runtime_of(L),
                      .function = LUA_NOREF};
  taker->last = &taker->first;
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &place);
  ml_runtime_on_close(taker->rt, &taker->on_close);
  return taker;
}

int log_taker_set(lua_State *L) {
  lua_settop(L, 1);
  bool is_off = lua_isnil(L, 1);
  if (!is_off) check_callable(L, 1);
  LogTaker *taker = taker_of(L);
  lua_pushvalue(L, 1);
  int function = is_off ? LUA_NOREF : luaL_ref(L, LUA_REGISTRYINDEX);
  luaL_unref(L, LUA_REGISTRYINDEX, taker->function);
  taker->function = function;
  taker->rt->reports.taker = is_off ? NULL : &taker->taker;
  if (is_off) write_waiting(taker);
  return 0;
}
