/* moonloop.log.core: entries of scripts. The rest of ml.log is scripts/moonloop/log/init.lua. */
#include "base/quote.h"
#include "base/secret_name.h"
#include "bindings/args.h"
#include "bindings/log/log_bound.h"
#include "bindings/log/log_taker.h"
#include "bindings/log/log_values.h"
#include "bindings/log/open.h"
#include "core/error.h"
#include "core/error_text.h"
#include "core/report.h"
#include "log/log_passwords.h"

#include <lauxlib.h>
#include <string.h>

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

/* hide_passwords(text) -> the text without the passwords of URLs (log_passwords.h) */
static int l_hide_passwords(lua_State *L) {
  size_t n;
  luaL_Buffer result;
  const char *text = luaL_checklstring(L, 1, &n);
  char *copy = luaL_buffinitsize(L, &result, n);
  memcpy(copy, text, n);
  Buffer out = {.data = copy, .len = n, .cap = n}; /* which does not grow */
  log_passwords_hide(&out, 0);
  luaL_pushresultsize(&result, out.len);
  return 1;
}

/* shown(text) -> the text as a line that a terminal can show (quote.h) */
static int l_shown(lua_State *L) {
  size_t n;
  luaL_Buffer result;
  const char *text = luaL_checklstring(L, 1, &n);
  size_t most = 4 * n + 1;
  Buffer out = {.data = luaL_buffinitsize(L, &result, most), .cap = most}; /* which does not grow */
  quote_text(&out, text, n);
  luaL_pushresultsize(&result, out.len);
  return 1;
}

int luaopen_moonloop_log_core(lua_State *L) {
  static const luaL_Reg functions[] = {{"debug", l_debug},
                                       {"info", l_info},
                                       {"warn", l_warn},
                                       {"error", l_error},
                                       {"bind", log_bound_bind},
                                       {"bind_context", log_bound_bind_context},
                                       {"set_variable", log_bound_set_variable},
                                       {"to", log_taker_set},
                                       {"is_secret", l_is_secret},
                                       {"hide_passwords", l_hide_passwords},
                                       {"shown", l_shown},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
