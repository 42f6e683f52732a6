/* observations: writes down what observers are told. Test-only. */
#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/observe.h"

#define RECORDER "moonloop.spec.observations"

/* For the copy of observe.c in this module: the executable keeps libuv's to itself. */
uint64_t uv_hrtime(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

typedef struct Recorder {
  Observer observer;
  Runtime *rt; /* NULL: it has ended */
  char *text;
  size_t len;
  FILE *out;
} Recorder;

static void add(Recorder *r, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vfprintf(r->out, format, args);
  va_end(args);
}

static const char *shown(const char *text) { return text ? text : "-"; }

static void add_request(Recorder *r, const ObservedRequest *o, bool ended) {
  add(r, "request %s %s%s HTTP/%s", shown(o->method), shown(o->route), o->is_secure ? " tls" : "",
      shown(o->version));
  if (!ended) add(r, " %.*s", (int)o->target.len, o->target.at ? o->target.at : "");
  if (ended)
    add(r, " %d received %llu sent %llu", o->status, (unsigned long long)o->received,
        (unsigned long long)o->sent);
}

static void add_call(Recorder *r, const ObservedCall *o, bool ended) {
  add(r, "call %s %.*s", o->method, (int)o->host.len, o->host.at);
  if (ended)
    add(r, " %d %s sent %llu received %llu", o->status, shown(o->error),
        (unsigned long long)o->sent, (unsigned long long)o->received);
}

static void add_sql(Recorder *r, const ObservedSql *o, bool ended) {
  add(r, "sql %s %s: %.*s", o->system, o->operation, (int)o->statement.len, shown(o->statement.at));
  if (ended) add(r, ": %lld %s %s", (long long)o->rows, shown(o->error), shown(o->code));
}

static void add_one(Recorder *r, const Observation *o, bool ended) {
  add(r, ended ? "ended " : "began ");
  switch (o->kind) {
  case OBSERVED_REQUEST:
    add_request(r, &o->request, ended);
    break;
  case OBSERVED_CALL:
    add_call(r, &o->call, ended);
    break;
  case OBSERVED_SQL:
    add_sql(r, &o->sql, ended);
    break;
  case OBSERVED_REDIS:
    add(r, "redis %s %u", o->redis.command, o->redis.count);
    if (ended) add(r, " %s", shown(o->redis.error));
    break;
  case OBSERVED_EXECUTOR:
    add(r, "executor");
    if (ended) add(r, " %s", shown(o->executor.error));
    break;
  default:
    add(r, "job %s %s %lld", o->job.name, o->job.queue, (long long)o->job.attempt);
    if (o->job.parent) add(r, " of %s", o->job.parent);
    if (ended) add(r, " %s", shown(o->job.outcome));
  }
  add(r, ended && o->ended_ns < o->started_ns ? " backwards\n" : "\n");
}

static void began(Observer *observer, Observation *o) {
  static const ObservedText lines = {"X-Observed: yes\r\n", 17};
  Recorder *r = (Recorder *)observer;
  o->slots[observer->slot] = r;
  if (o->kind == OBSERVED_CALL) o->call.lines = lines;
  add_one(r, o, false);
}

static void ended(Observer *observer, Observation *o) {
  if (o->slots[observer->slot] == observer) add_one((Recorder *)observer, o, true);
}

static void left(Observer *observer, Observation *o) {
  (void)o;
  add((Recorder *)observer, "left\n");
}

static bool trace(Observer *observer, const Task *t, ObservedTrace *trace) {
  (void)observer, (void)t;
  memset(trace->trace_id, 'a', sizeof trace->trace_id - 1);
  memset(trace->span_id, 'b', sizeof trace->span_id - 1);
  trace->trace_id[sizeof trace->trace_id - 1] = trace->span_id[sizeof trace->span_id - 1] = 0;
  return true;
}

/* start([traces]) -> recorder; if `traces`, all work belongs to a trace. */
static int l_start(lua_State *L) {
  bool traces = lua_toboolean(L, 1);
  Recorder *r = lua_newuserdatauv(L, sizeof *r, 0);
  *r = (Recorder){.observer = {.began = began, .ended = ended, .left = left}};
  if (traces) r->observer.trace = trace;
  luaL_setmetatable(L, RECORDER);
  r->out = open_memstream(&r->text, &r->len);
  Runtime *rt = runtime_of(L);
  if (!r->out || !observe_add(rt, &r->observer)) return luaL_error(L, "no room for an observer");
  r->rt = rt;
  return 1;
}

/* recorder:text() -> a line for each that has begun or ended */
static int l_text(lua_State *L) {
  Recorder *r = luaL_checkudata(L, 1, RECORDER);
  fflush(r->out);
  lua_pushlstring(L, r->text, r->len);
  return 1;
}

/* recorder:under_way() -> how many */
static int l_under_way(lua_State *L) {
  lua_Integer n = 0;
  for (const Observation *o = observe_under_way(runtime_of(L)); o; o = o->next) n++;
  lua_pushinteger(L, n);
  return 1;
}

static int l_stop(lua_State *L) {
  Recorder *r = luaL_checkudata(L, 1, RECORDER);
  if (r->rt) observe_remove(r->rt, &r->observer);
  r->rt = NULL;
  return 0;
}

static int l_gc(lua_State *L) {
  Recorder *r = luaL_checkudata(L, 1, RECORDER);
  l_stop(L);
  if (r->out) fclose(r->out);
  free(r->text);
  r->out = NULL;
  r->text = NULL;
  return 0;
}

/* operation(sql) -> its first word */
static int l_operation(lua_State *L) {
  size_t len;
  const char *sql = luaL_checklstring(L, 1, &len);
  char operation[16];
  observe_operation(sql, len, operation);
  lua_pushstring(L, operation);
  return 1;
}

__attribute__((visibility("default"))) int luaopen_observations(lua_State *L);

int luaopen_observations(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"text", l_text}, {"under_way", l_under_way}, {"stop", l_stop}, {NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"start", l_start}, {"operation", l_operation}, {NULL, NULL}};
  luaL_newmetatable(L, RECORDER);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, l_gc);
  lua_setfield(L, -2, "__gc");
  lua_pushcfunction(L, l_stop);
  lua_setfield(L, -2, "__close");
  lua_pop(L, 1);
  luaL_newlib(L, functions);
  return 1;
}
