/* moonloop.log.core: entries of scripts. The rest of ml.log is scripts/moonloop/log/init.lua. */
#include "base/secret_name.h"
#include "bindings/args.h"
#include "bindings/log/log_taker.h"
#include "bindings/log/log_values.h"
#include "bindings/log/open.h"
#include "core/error.h"
#include "core/error_text.h"
#include "core/report.h"
#include "core/task_vars.h"

#include <lauxlib.h>

static const char variable; /* its address is the registry's key for the variable of ml.log.with */

/* --- what is bound --- */

/* Of the task: the value of the variable, which is what l_bind has made. */
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

/* set_variable(var): the values of this variable are bound. */
static int l_set_variable(lua_State *L) {
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

/* bind(fields, f, before | nil) -> value for the variable: `fields`, and those of `before` that are
   not among them. f is what will be called. */
static int l_bind(lua_State *L) {
  LogValues values = {0};
  LogFields fields;
  fields.n = 0;
  check_type(L, 1, LUA_TTABLE);
  check_callable(L, 2);
  if (!log_values_add_table(L, 1, &values)) {
    log_values_free(&values);
    return luaL_error(L, "not enough memory");
  }
  log_values_list(&values, &fields);
  log_fields_add_kept(&fields, lua_touserdata(L, 3));
  lua_pushcfunction(L, l_keep); /* protected: the values are not the collector's */
  lua_pushlightuserdata(L, &fields);
  bool kept = lua_pcall(L, 1, 1, 0) == LUA_OK;
  log_values_free(&values);
  return kept ? 1 : lua_error(L);
}

/* bind_context(before | nil, name, text, ...) -> the same of texts that the host says of an entry:
   where it belongs. */
static int l_bind_context(lua_State *L) {
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

/* --- entries --- */

/* The fields at index 2, and those of a message at index 1 that is an error. */
static bool add_values(lua_State *L, LogValues *values) {
  if (error_is(L, 1) && !log_values_add_error(L, 1, "error", false, values)) return false;
  if (error_is(L, 2)) return log_values_add_error(L, 2, "error", true, values);
  return !lua_istable(L, 2) || log_values_add_table(L, 2, values);
}

static int log_at(lua_State *L, LogLevel level) {
  check_any(L, 1);
  if (!lua_isnoneornil(L, 2)) check_type(L, 2, LUA_TTABLE);
  if (!report_wants(level)) return 0;
  lua_settop(L, 2);
  LogValues values = {0};
  LogFields fields;
  fields.n = 0;
  LogEntry entry = {.level = level, .source = LOG_SCRIPT};
  if (lua_type(L, 1) != LUA_TSTRING) error_text_push(L, 1);
  entry.message = lua_tolstring(L, lua_gettop(L) == 2 ? 1 : 3, &entry.message_len);
  bool whole = add_values(L, &values);
  log_values_list(&values, &fields);
  if (whole) report_entry(runtime_of(L), &entry, &fields);
  log_values_free(&values);
  return whole ? 0 : luaL_error(L, "not enough memory");
}

/* debug(message [, fields]) and so on: logs the message, a text or any other value. */
static int l_debug(lua_State *L) { return log_at(L, LOG_DEBUG); }
static int l_info(lua_State *L) { return log_at(L, LOG_INFO); }
static int l_warn(lua_State *L) { return log_at(L, LOG_WARN); }
static int l_error(lua_State *L) { return log_at(L, LOG_ERROR); }

/* is_secret(name [, in_query]) -> boolean: is the value of that name hidden (secret_name.h)? */
static int l_is_secret(lua_State *L) {
  size_t n;
  const char *name = luaL_checklstring(L, 1, &n);
  lua_pushboolean(L,
                  lua_toboolean(L, 2) ? secret_name_is_in_query(name, n) : secret_name_is(name, n));
  return 1;
}

int luaopen_moonloop_log_core(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"debug", l_debug},    {"info", l_info},           {"warn", l_warn},
      {"error", l_error},    {"bind", l_bind},           {"set_variable", l_set_variable},
      {"to", log_taker_set}, {"is_secret", l_is_secret}, {"bind_context", l_bind_context},
      {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
