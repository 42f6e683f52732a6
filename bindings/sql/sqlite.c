/* moonloop.sql.sqlite: databases in SQLite's files (host/sql/sqlite). No policy here: URLs, which
   options there are, transactions and so on are scripts/moonloop/sql/'s.

   open(t, u) -> pool
     Opens nothing yet; table(pool) is u. t, checked: `path`, or `memory`; `pool`, `acquire`,
   `timeout`, `prepare`, `nulls`, `time` ("text"), `synchronous` ("normal"), `mode` ("ro", "rw";
   else it is made). pool:guard(f or nil) f(method) is called before each statement that is not of a
   leased connection. pool:stats() -> table of numbers connections (open), idle, busy, leased, pool
   (connections at most), waiting (for one now), statements and waited (so far) pool:close() Whoever
   waits gets an error of kind "closed". Also __gc. methods: of pools; more can be added.

   The other functions are described where they are: sqlite_call.c, sqlite_stream.c,
   sqlite_lease.c. */
#include "bindings/sql/sqlite.h"
#include "bindings/class.h"
#include "bindings/fields.h"
#include "bindings/sql/open.h"
#include "bindings/sql/sql_transfer.h"
#include "sql/sql_observed.h"
#include "sql/sqlite/sqlite_fault.h"

#include <math.h>
#include <string.h>

static SqlitePoolObject *check_pool(lua_State *L) {
  return luaL_checkudata(L, 1, SQLITE_POOL_CLASS);
}

static void ask_guard(lua_State *L, const char *method) {
  lua_getiuservalue(L, 1, SQLITE_KEEPS_GUARD);
  lua_pushstring(L, method);
  lua_call(L, 1, 0);
}

SqliteTarget sqlite_target(lua_State *L, const char *method) {
  SqlitePoolObject *of = luaL_testudata(L, 1, SQLITE_POOL_CLASS);
  if (of) {
    if (of->guarded) ask_guard(L, method);
    return (SqliteTarget){of, NULL};
  }
  SqliteLeaseObject *object = luaL_testudata(L, 1, SQLITE_LEASE_CLASS);
  if (!object) luaL_error(L, "db:%s: call it with a colon, on a database", method);
  if (!object->lease) luaL_error(L, "%s: the connection was given back", method);
  return (SqliteTarget){object->of, object->lease};
}

/* --- observers --- */

void sqlite_observe(SqliteJob *job) {
  const SqlitePool *pool = job->pool;
  const SqliteStatement *s = job->statement;
  if (!pool->rt->observers) return;
  const char *sql = s->source ? s->source : s->sql;
  job->observed =
      sql_observed_begin(pool->rt, "sqlite", pool, pool->settings.path, sql, strlen(sql));
}

void sqlite_observed(SqliteJob *job) {
  if (!job->observed) return;
  if (sqlite_result_is_given_up(job))
    sql_observed_end(&job->observed, "timeout", NULL, -1);
  else if (job->fault.code)
    sql_observed_end(&job->observed, sqlite_fault_kind(&job->fault), sqlite_fault_code(&job->fault),
                     -1);
  else
    sql_observed_end(&job->observed, NULL, NULL, job->rows ? (int64_t)job->rows : job->changes);
}

/* --- options --- */

static const char *synchronous_of(lua_State *L) {
  static const char *const words[] = {"off", "normal", "full", "extra", NULL};
  const char *asked = fields_text(L, 1, "synchronous", "normal");
  for (int i = 0; words[i]; i++)
    if (strcmp(asked, words[i]) == 0) return words[i];
  luaL_error(L, "synchronous: off, normal, full or extra expected, got '%s'", asked);
  return NULL;
}

static int flags_of(lua_State *L) {
  const char *mode = fields_text(L, 1, "mode", "rwc");
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  if (strcmp(mode, "ro") == 0) return flags | SQLITE_OPEN_READONLY;
  if (strcmp(mode, "rw") == 0) return flags | SQLITE_OPEN_READWRITE;
  if (strcmp(mode, "rwc") == 0) return flags | SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  return luaL_error(L, "mode: ro, rw or rwc expected, got '%s'", mode);
}

static SqliteOptions options_of(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  SqliteOptions options = {.memory = fields_flag(L, 1, "memory", false),
                           .flags = flags_of(L),
                           .synchronous = synchronous_of(L),
                           .connections = (unsigned)fields_number(L, 1, "pool", 10),
                           .acquire = fields_number(L, 1, "acquire", 10),
                           .timeout = fields_number(L, 1, "timeout", 30),
                           .max_result = fields_size(L, 1, "max_result", SIZE_MAX)};
  options.path = options.memory ? ":memory:" : fields_text(L, 1, "path", NULL);
  if (!options.path) luaL_error(L, "path: a text expected");
  lua_getfield(L, 1, "prepare");
  options.prepare = lua_isnil(L, -1) || lua_toboolean(L, -1);
  lua_pop(L, 1);
  return options;
}

/* check() loads SQLite. Without it: nil, why. */
static int l_check(lua_State *L) {
  const char *why;
  if (sqlite_library(&why)) return 0;
  lua_pushnil(L);
  lua_pushfstring(L, "SQLite cannot be loaded (Debian: libsqlite3-0): %s", why);
  return 2;
}

static int l_open(lua_State *L) {
  const char *why;
  const SqliteLibrary *lib = sqlite_library(&why);
  if (!lib) return luaL_error(L, "SQLite cannot be loaded: %s", why);
  SqliteOptions options = options_of(L);
  lua_settop(L, 2);
  SqlitePoolObject *of = lua_newuserdatauv(L, sizeof *of, SQLITE_KEEPS_TABLE);
  *of = (SqlitePoolObject){.nulls = fields_flag(L, 1, "nulls", false),
                           .inline_reads = fields_flag(L, 1, "inline", false),
                           .slow = fields_number(L, 1, "slow", HUGE_VAL),
                           .time_as_text = strcmp(fields_text(L, 1, "time", ""), "text") == 0};
  luaL_setmetatable(L, SQLITE_POOL_CLASS);
  lua_createtable(L, 0, 16);
  lua_setiuservalue(L, -2, SQLITE_KEEPS_STATEMENTS);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, SQLITE_KEEPS_TABLE);
  of->pool = sqlite_pool_new(runtime_of(L), lib, &options);
  if (!of->pool) return luaL_error(L, "not enough memory");
  return 1;
}

/* --- pools --- */

static int l_guard(lua_State *L) {
  SqlitePoolObject *of = check_pool(L);
  lua_settop(L, 2);
  of->guarded = !lua_isnil(L, 2);
  lua_setiuservalue(L, 1, SQLITE_KEEPS_GUARD);
  return 0;
}

static int l_stats(lua_State *L) {
  SqliteStats stats;
  sqlite_pool_stats(check_pool(L)->pool, &stats);
  lua_createtable(L, 0, 8);
  fields_set_integer(L, "connections", stats.connections);
  fields_set_integer(L, "idle", stats.connections - stats.busy);
  fields_set_integer(L, "pool", stats.most);
  fields_set_integer(L, "busy", stats.busy);
  fields_set_integer(L, "leased", stats.leased);
  fields_set_integer(L, "waiting", stats.waiting);
  fields_set_integer(L, "statements", stats.statements);
  fields_set_integer(L, "waited", stats.waited);
  fields_set_flag(L, "closed", check_pool(L)->pool->closed);
  return 1;
}

static int l_close(lua_State *L) {
  sqlite_pool_close(check_pool(L)->pool);
  return 0;
}

static int l_pool_gc(lua_State *L) {
  SqlitePoolObject *of = lua_touserdata(L, 1);
  if (of->pool) sqlite_pool_free(of->pool);
  of->pool = NULL;
  return 0;
}

static int l_table(lua_State *L) {
  check_pool(L);
  lua_getiuservalue(L, 1, SQLITE_KEEPS_TABLE);
  return 1;
}

int luaopen_moonloop_sql_sqlite(lua_State *L) {
  static const luaL_Reg methods[] = {{"query", sqlite_call_query},
                                     {"one", sqlite_call_one},
                                     {"value", sqlite_call_value},
                                     {"exec", sqlite_call_exec},
                                     {"batch", sqlite_call_batch},
                                     {"rows", sqlite_stream_rows},
                                     {"lease", sqlite_lease_take},
                                     {"guard", l_guard},
                                     {"stats", l_stats},
                                     {"close", l_close},
                                     {NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"open", l_open}, {"table", l_table}, {"check", l_check}, {NULL, NULL}};
  class_make(L, SQLITE_POOL_CLASS, methods, l_pool_gc, NULL);
  sql_transfer_register(L, SQLITE_POOL_CLASS);
  sqlite_lease_open(L);
  sqlite_stream_open(L);
  sqlite_text_open(L);
  luaL_newlib(L, functions);
  luaL_getmetatable(L, SQLITE_POOL_CLASS);
  lua_getfield(L, -1, "__index");
  lua_setfield(L, -3, "methods");
  lua_pop(L, 1);
  return 1;
}
