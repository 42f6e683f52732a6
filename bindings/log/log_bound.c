#include "bindings/log/log_bound.h"

#include "bindings/log/log_values.h"
#include "core/report.h"
#include "core/runtime.h"
#include "core/task_vars.h"

#include <lauxlib.h>

static const char variable; /* its address is the registry's key for the variable of ml.log.with */

/* Of the task: the value of the variable, which the functions below have made. */
static const LogKeptFields *bound(Runtime *rt, const Task *t) {
  lua_State *L = rt->scheduler.running ? rt->scheduler.running : rt->L;
  const LogKeptFields *kept = NULL;
  if (!lua_checkstack(L, 5)) return NULL;
  task_vars_push(L, (Task *)t);
  if (lua_istable(L, -1)) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &variable);
    lua_rawget(L, -2);
    kept = lua_touserdata(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return kept;
}

int log_bound_set_variable(lua_State *L) {
  lua_settop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &variable);
  runtime_of(L)->reports.bound = bound;
  return 0;
}

/* Protected: (fields as light userdata) -> a userdata of them */
static int l_keep(lua_State *L) {
  const LogFields *fields = lua_touserdata(L, 1);
  log_fields_keep(fields, lua_newuserdatauv(L, log_fields_size(fields), 0));
  return 1;
}

int log_bound_bind(lua_State *L) {
  LogValues values = {0};
  LogFields fields;
  fields.n = 0;
  luaL_checktype(L, 1, LUA_TTABLE);
  if (!log_values_add_table(L, 1, &values)) {
    log_values_free(&values);
    return luaL_error(L, "not enough memory");
  }
  log_values_list(&values, &fields);
  log_fields_add_kept(&fields, lua_touserdata(L, 2));
  lua_pushcfunction(L, l_keep); /* protected: the values are not the collector's */
  lua_pushlightuserdata(L, &fields);
  bool kept = lua_pcall(L, 1, 1, 0) == LUA_OK;
  log_values_free(&values);
  return kept ? 1 : lua_error(L);
}

int log_bound_bind_context(lua_State *L) {
  LogFields fields;
  fields.n = 0;
  int last = lua_gettop(L);
  for (int i = 2; i < last; i += 2)
    log_fields_add_text(&fields, LOG_FIELD_CONTEXT, luaL_checkstring(L, i),
                        luaL_checkstring(L, i + 1));
  log_fields_add_kept(&fields, lua_touserdata(L, 1));
  log_fields_keep(&fields, lua_newuserdatauv(L, log_fields_size(&fields), 0));
  return 1;
}

/* Pushes the variable, whose module a new state has not loaded. */
static void push_variable(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &variable) != LUA_TNIL) return;
  lua_pop(L, 1);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "moonloop.log.bound");
  lua_call(L, 1, 1);
}

void log_bound_enter(lua_State *L, Task *t, const LogFields *fields) {
  lua_createtable(L, 0, 1);
  push_variable(L);
  log_fields_keep(fields, lua_newuserdatauv(L, log_fields_size(fields), 0));
  lua_rawset(L, -3);
  task_vars_set(L, t);
}
