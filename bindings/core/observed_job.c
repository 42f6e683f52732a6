/* moonloop.observed_job: what observers (observe.h) are told of runs of jobs, which are written in
   Lua.

   began(t) -> token | nil
     A run begins, in the running task; nil: nobody observes. t: `name`, `queue`, `attempt` (from
     1), `id` (text), `waited` (seconds since it was due), `parent` (the traceparent of its push);
     the last three may be missing.
   parent() -> traceparent | nil
     For a job that the running task pushes: the trace that its work belongs to.
   token:ended(outcome)
     It is over: "done", "failed" (it is tried again), "dead" or "cancelled". Also __gc and __close,
     as "cancelled", where that was not called. */
#include "bindings/class.h"
#include "bindings/core/open.h"
#include "bindings/fields.h"
#include "core/observe.h"

#include <lauxlib.h>

#define TOKEN "moonloop.observed_job.token"

typedef struct Token {
  Observation *observed;
} Token;

static int l_began(lua_State *L) {
  Runtime *rt = runtime_of(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  if (!rt->observers) return 0;
  Token *token = lua_newuserdatauv(L, sizeof *token, 1);
  *token = (Token){0};
  luaL_setmetatable(L, TOKEN);
  lua_pushvalue(L, 1); /* it keeps the texts */
  lua_setiuservalue(L, -2, 1);
  ObservedJob job = {.name = fields_text(L, 1, "name", ""),
                     .queue = fields_text(L, 1, "queue", ""),
                     .attempt = (int64_t)fields_number(L, 1, "attempt", 1),
                     .id = fields_text(L, 1, "id", NULL),
                     .waited = fields_number(L, 1, "waited", 0),
                     .parent = fields_text(L, 1, "parent", NULL)};
  token->observed = observe_new(rt, OBSERVED_JOB, rt->scheduler.current);
  if (!token->observed) return 0;
  token->observed->job = job;
  observe_began(token->observed);
  return 1;
}

static int l_parent(lua_State *L) {
  Runtime *rt = runtime_of(L);
  ObservedTrace trace;
  if (!rt->observers || !observe_trace(rt, rt->scheduler.current, &trace)) return 0;
  lua_pushfstring(L, "00-%s-%s-01", trace.trace_id, trace.span_id);
  return 1;
}

static int l_ended(lua_State *L) {
  Token *token = luaL_checkudata(L, 1, TOKEN);
  const char *outcome = luaL_checkstring(L, 2);
  if (!token->observed) return 0;
  token->observed->job.outcome = outcome;
  observe_ended(&token->observed);
  return 0;
}

static int l_gc(lua_State *L) {
  Token *token = lua_touserdata(L, 1);
  if (!token->observed) return 0;
  token->observed->job.outcome = "cancelled";
  observe_ended(&token->observed);
  return 0;
}

int luaopen_moonloop_observed_job(lua_State *L) {
  static const luaL_Reg methods[] = {{"ended", l_ended}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"began", l_began}, {"parent", l_parent}, {NULL, NULL}};
  class_make(L, TOKEN, methods, l_gc, l_gc);
  luaL_newlib(L, functions);
  return 1;
}
