#include "bindings/web/web_access_log.h"

#include "core/report.h"

#include <lauxlib.h>
#include <unistd.h>

#define SOON 0.001      /* seconds until the next try if somebody reads */
#define LATER 0.05      /* if nobody does */
#define END_SECONDS 1.0 /* seconds for which the last lines are retried */

/* --- the standard output --- */

static void retry(Timer *timer);

/* Flushes: lines without room are tried again, and lost ones are reported. */
static void write_lines(AccessLog *lines) {
  WebAccessLog *log = container_of(lines, WebAccessLog, log);
  Runtime *rt = log->http->rt;
  size_t before = lines->lines.len;
  access_log_to_stdout(lines);
  double pause = lines->lines.len < before ? SOON : LATER;
  if (lines->lines.len && log->is_ending && runtime_now(rt) >= log->until) access_log_drop(lines);
  access_log_report_lost(lines, rt, false);
  if (!lines->lines.len && !lines->lost) return;
  timer_set(&rt->timers, &log->retry, timer_due(runtime_now(rt), pause), retry);
}

static void retry(Timer *timer) {
  WebAccessLog *log = container_of(timer, WebAccessLog, retry);
  write_lines(&log->log);
  if (!log->log.lines.len) log->settled(log);
}

/* --- a function of a script --- */

static void taker_ended(TaskOwner *owner, Task *t, lua_State *L, const char *traceback) {
  WebAccessLog *log = container_of(owner, WebAccessLog, taker);
  log->is_taken = false;
  if (t->status == TASK_FAILED) report_error(L, "the access log failed", -1, traceback, NULL);
  if (log->log.lines.len && t->status == TASK_DONE)
    runtime_at_pass_end(t->rt, &log->http->pass);
  else
    log->log.lines.len = 0; /* nobody takes them */
  log->settled(log);
}

/* Flushes: starts the task that takes the lines. */
static void give_lines(AccessLog *lines) {
  WebAccessLog *log = container_of(lines, WebAccessLog, log);
  Runtime *rt = log->http->rt;
  if (log->is_taken || log->is_closed || rt->closing) return;
  lua_rawgeti(rt->L, LUA_REGISTRYINDEX, log->function);
  lua_rawgeti(rt->L, LUA_REGISTRYINDEX, log->object);
  log->taker = (TaskOwner){taker_ended, NULL};
  Task *t = task_start(rt->L, rt, NULL, 1, &log->taker);
  t->name = "access log";
  log->is_taken = true;
}

int web_access_log_take(WebAccessLog *log, lua_State *L) {
  access_log_report_lost(&log->log, log->http->rt, true);
  if (!log->log.lines.len) return 0;
  lua_pushlstring(L, log->log.lines.data, log->log.lines.len);
  log->log.lines.len = 0;
  return 1;
}

/* --- both --- */

void web_access_log_open(WebAccessLog *log, lua_State *L, int index, HttpServer *http, int object,
                         int worker) {
  static const char *const names[] = {"common", "json", NULL};
  log->http = http;
  log->object = object;
  log->log.worker = worker;
  log->log.pid = getpid();
  if (lua_isfunction(L, index)) {
    lua_pushvalue(L, index);
    log->function = luaL_ref(L, LUA_REGISTRYINDEX);
    log->log.format = access_log_json;
    log->log.flush = give_lines;
  } else {
    int name = luaL_checkoption(L, index, NULL, names);
    log->log.format = name == 0 ? access_log_common : access_log_json;
    log->log.flush = write_lines;
    output_open(&log->log.output, STDOUT_FILENO);
  }
  http->log = &log->log;
}

bool web_access_log_is_busy(const WebAccessLog *log) { return log->is_taken || log->log.lines.len; }

void web_access_log_end(WebAccessLog *log) {
  if (!log->http || log->is_ending) return;
  log->is_ending = true;
  log->until = timer_due(runtime_now(log->http->rt), END_SECONDS);
}

void web_access_log_close(WebAccessLog *log) {
  if (!log->http || log->is_closed) return;
  Runtime *rt = log->http->rt;
  log->is_closed = true;
  timer_clear(&rt->timers, &log->retry);
  if (!log->function) {
    if (log->log.lines.len) access_log_to_stdout(&log->log);
    access_log_drop(&log->log);
    output_close(&log->log.output);
  }
  access_log_report_lost(&log->log, rt, true);
  if (log->function && !rt->closing) luaL_unref(rt->L, LUA_REGISTRYINDEX, log->function);
}
