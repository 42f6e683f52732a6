/* moonloop.sql.pg: databases of PostgreSQL (host/sql/pg). No policy here: URLs, which options there
   are, transactions and so on are scripts/moonloop/sql/'s.

   open(t, u) -> pool
     Connects at its first statement; table(pool) is u. t, checked: `url`; `shown`, the URL for
     people; `pool`, `acquire`, `timeout`, `slow`, `prepare`, `pipeline`, `nulls`, `numeric`
     ("number"), `time` ("text").
   pool:guard(f or nil)
     f(method) is called before each statement that is not of a leased connection.
   pool:stats() -> table of numbers
     connections (open), idle, busy, leased, connecting, pool (connections at most), waiting (for
     one now); so far: connected, lost, cancels, repeats (of what another's cancel has hit), sends;
     and `closed`.
   pool:close()
     Whoever waits gets an error of kind "closed". Also __gc.
    methods: of pools; more can be added.
   setup: SQL, what each session gets when it begins; again after RESET ALL.

   The other functions are described where they are: pg_run.c, pg_rows.c, pg_lease.c, pg_notes.c,
   pg_copy_in.c, pg_copy_out.c. */
#include "bindings/sql/pg.h"
#include "bindings/class.h"
#include "bindings/fields.h"
#include "bindings/sql/open.h"
#include "bindings/sql/sql_transfer.h"
#include "core/task.h"
#include "sql/pg/pg_library.h"
#include "sql/sql_error.h"
#include "sql/sql_observed.h"
#include "sql/sql_slow.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- what the others share --- */

static const char pool_tag, lease_tag;

static PgPoolObject *check_pool(lua_State *L) { return luaL_checkudata(L, 1, PG_POOL_CLASS); }

static void ask_guard(lua_State *L, const char *method) {
  lua_getiuservalue(L, 1, PG_KEEPS_GUARD);
  lua_pushstring(L, method);
  lua_call(L, 1, 0);
}

PgTarget pg_target(lua_State *L, const char *method) {
  if (class_tag_of(L, 1) == &pool_tag) {
    PgPoolObject *object = lua_touserdata(L, 1);
    if (object->guarded) ask_guard(L, method);
    return (PgTarget){object->pool, NULL};
  }
  PgLease *lease = pg_check_lease(L, method);
  return (PgTarget){lease->pool, lease};
}

PgLease *pg_check_lease(lua_State *L, const char *method) {
  PgLease *lease = class_tag_of(L, 1) == &lease_tag ? lua_touserdata(L, 1) : NULL;
  if (!lease) luaL_error(L, "db:%s: call it with a colon, on a database", method);
  if (!lease->connection) luaL_error(L, "%s: the connection was given back", method);
  return lease;
}

PgCall *pg_new_call(lua_State *L, const PgTarget *target) {
  PgCall *call = pg_call_new(target->pool);
  if (!call) luaL_error(L, "not enough memory");
  if (target->lease) call->connection = target->lease->connection;
  return call;
}

void pg_no_memory(lua_State *L, PgCall *call) {
  pg_pool_abandon(call);
  luaL_error(L, "not enough memory");
}

const char *pg_sql(lua_State *L, size_t *len) {
  *len = 0;
  if (lua_type(L, PG_STATEMENT) == LUA_TSTRING) return lua_tolstring(L, PG_STATEMENT, len);
  if (lua_type(L, PG_STATEMENT) != LUA_TUSERDATA) return NULL;
  lua_getiuservalue(L, PG_STATEMENT, PG_KEEPS_TEXT); /* which keeps it */
  const char *sql = lua_tolstring(L, -1, len);
  lua_pop(L, 1);
  return sql;
}

int pg_push_failure(lua_State *L, const PgCall *call) {
  size_t len;
  const char *sql = pg_sql(L, &len);
  lua_pushnil(L);
  sql_error_push(L, &(SqlError){.kind = call->kind,
                                .code = call->code[0] ? call->code : NULL,
                                .message = call->error ? call->error : "not enough memory",
                                .unknown = call->unknown,
                                .sql = sql,
                                .sql_len = len});
  return 2;
}

void pg_observe(PgCall *call, const char *sql, size_t len) {
  PgPool *pool = call->pool;
  Observation *o = pool->handed;
  if (!pool->rt->observers && !o) return;
  pool->handed = NULL;
  if (o && (o->task != pool->rt->scheduler.current || o->sql.statement.at != sql))
    sql_observed_cancel(&o); /* memory ran out before its statement could go on */
  if (!o) o = sql_observed_begin(pool->rt, "postgresql", pool, pool->settings.label, sql, len);
  call->observed = o;
}

void pg_hand_over(lua_State *L, PgCall *call) {
  const Task *task = ml_wait_enter_cleanup(L, "ml.sql");
  if (!task->cancel_pending) {
    call->pool->handed = call->observed;
    call->observed = NULL;
  }
  pg_delivered(call);
}

void pg_observed(PgCall *call) {
  if (!call->observed) return;
  PgMessage error;
  if (call->failed) {
    sql_observed_end(&call->observed, call->kind, call->code[0] ? call->code : NULL, -1);
  } else if (pg_result_find_error(call->reply, &error)) {
    const char *code = pg_reader_field(&error, 'C');
    sql_observed_end(&call->observed, code ? sql_error_kind(code) : "sql", code, -1);
  } else {
    const char *number = strrchr(pg_result_tag(call->reply), ' ');
    sql_observed_end(&call->observed, NULL, NULL, number ? strtoll(number, NULL, 10) : -1);
  }
}

void pg_delivered(PgCall *call) {
  call->pool->delivering = NULL;
  pg_pool_release(call);
}

void pg_deliver(lua_State *L, PgCall *call) {
  PgPool *pool = call->pool;
  double seconds = (double)(int64_t)(pool->rt->pass_at - call->since) / 1e9;
  if (seconds >= pool->settings.slow && call->connection && !call->unlimited) {
    size_t len;
    const char *sql = pg_sql(L, &len);
    if (sql) sql_slow_report(pool->rt, seconds, sql, len);
  }
  if (call->pool->delivering) pg_delivered(call->pool->delivering);
  call->pool->delivering = call;
}

void pg_cancel_wait(Task *task, void *op) {
  (void)task;
  pg_pool_abandon(op);
}

/* The text of the statement that the call is for; the task's stack keeps it. */
void pg_describe_wait(const Task *task, const void *op, char *text, size_t size) {
  (void)task;
  const PgCall *call = op;
  const char *sql = call->data ? call->data : "a connection to PostgreSQL";
  snprintf(text, size, "%s%s", call->in_line && call->data ? "a connection for: " : "", sql);
  for (char *c = text; *c; c++)
    if (*c == '\n' || *c == '\t' || *c == '\r') *c = ' ';
}

/* --- opening --- */

static int l_pools_gc(lua_State *L) {
  PgPools **all = lua_touserdata(L, 1);
  free(*all);
  *all = NULL;
  return 0;
}

/* Upvalue 1 keeps the runtime's pools. */
static PgPools *pools_of(lua_State *L) {
  PgPools **all = lua_touserdata(L, lua_upvalueindex(1));
  if (!*all) *all = pg_pool_open_all(runtime_of(L));
  if (!*all) luaL_error(L, "not enough memory");
  return *all;
}

static int l_open(lua_State *L) {
  PgPools *all = pools_of(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  char label[512];
  const char *url = fields_text(L, 1, "url", ""), *shown = fields_text(L, 1, "shown", NULL);
  PgSettings settings = {
      .url = (char *)url,
      .label = shown ? (char *)shown : pg_connect_label(url, label, sizeof label),
      .size = (unsigned)fields_number(L, 1, "pool", 10),
      .acquire = fields_number(L, 1, "acquire", 10),
      .timeout = fields_number(L, 1, "timeout", HUGE_VAL),
      .max_result = fields_size(L, 1, "max_result", SIZE_MAX),
      .slow = fields_number(L, 1, "slow", HUGE_VAL),
      .prepare = fields_flag(L, 1, "prepare", true),
      .pipeline = fields_flag(L, 1, "pipeline", true),
      .types = {.nulls = fields_flag(L, 1, "nulls", false),
                .numeric_number = !strcmp(fields_text(L, 1, "numeric", "text"), "number"),
                .time_text = !strcmp(fields_text(L, 1, "time", "number"), "text")}};
  PgPoolObject *object = lua_newuserdatauv(L, sizeof *object, PG_POOL_VALUES);
  *object = (PgPoolObject){0};
  luaL_setmetatable(L, PG_POOL_CLASS);
  lua_newtable(L);
  lua_setiuservalue(L, -2, PG_KEEPS_STATEMENTS);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, PG_KEEPS_TABLE);
  object->pool = pg_pool_new(all, &settings);
  if (!object->pool) return luaL_error(L, "not enough memory");
  return 1;
}

/* --- pools --- */

static int l_guard(lua_State *L) {
  PgPoolObject *object = check_pool(L);
  lua_settop(L, 2);
  object->guarded = !lua_isnil(L, 2);
  lua_setiuservalue(L, 1, PG_KEEPS_GUARD);
  return 0;
}

static int l_stats(lua_State *L) {
  const PgPool *pool = check_pool(L)->pool;
  unsigned idle = 0, leased = 0, open = 0;
  for (unsigned i = 0; i < pool->count; i++) {
    const PgConnection *c = pool->connections[i];
    open += c->state == PG_OPEN;
    leased += c->is_leased;
    idle += !c->is_leased && pg_connection_is_whole(c);
  }
  lua_createtable(L, 0, 14);
  fields_set_integer(L, "connections", open);
  fields_set_integer(L, "idle", idle);
  fields_set_integer(L, "busy", open - idle);
  fields_set_integer(L, "leased", leased);
  fields_set_integer(L, "connecting", pool->connecting);
  fields_set_integer(L, "pool", pool->settings.size);
  fields_set_integer(L, "waiting", pool->line.count);
  fields_set_integer(L, "connected", pool->connected);
  fields_set_integer(L, "lost", pool->lost);
  fields_set_integer(L, "cancels", pool->cancels);
  fields_set_integer(L, "repeats", pool->repeats);
  fields_set_integer(L, "sends", pool->sends);
  fields_set_flag(L, "closed", pool->is_closed);
  return 1;
}

static int l_close(lua_State *L) {
  pg_pool_close(check_pool(L)->pool);
  return 0;
}

static int l_pool_gc(lua_State *L) {
  PgPoolObject *object = lua_touserdata(L, 1);
  if (object->pool) {
    sql_observed_cancel(&object->pool->handed);
    pg_pool_free(object->pool);
  }
  object->pool = NULL;
  return 0;
}

static int l_table(lua_State *L) {
  check_pool(L);
  lua_getiuservalue(L, 1, PG_KEEPS_TABLE);
  return 1;
}

/* check(url) -> what is wrong with it, or nothing: loads libpq. Without libpq: nil, why. */
static int l_check(lua_State *L) {
  char why[256];
  const char *error;
  if (!pg_library(&error)) {
    lua_pushnil(L);
    lua_pushfstring(L, "PostgreSQL's client library cannot be loaded (Debian: libpq5): %s", error);
    return 2;
  }
  lua_pushstring(L, pg_connect_check(luaL_checkstring(L, 1), why));
  return 1;
}

int luaopen_moonloop_sql_pg(lua_State *L) {
  static const luaL_Reg methods[] = {{"query", pg_run_query},
                                     {"one", pg_run_one},
                                     {"value", pg_run_value},
                                     {"exec", pg_run_exec},
                                     {"batch", pg_run_batch},
                                     {"rows", pg_rows},
                                     {"lease", pg_lease_take},
                                     {"guard", l_guard},
                                     {"stats", l_stats},
                                     {"close", l_close},
                                     {NULL, NULL}};
  static const luaL_Reg functions[] = {{"table", l_table}, {"check", l_check}, {NULL, NULL}};
  class_make(L, PG_POOL_CLASS, methods, l_pool_gc, NULL);
  sql_transfer_register(L, PG_POOL_CLASS);
  class_set_tag(L, PG_POOL_CLASS, &pool_tag);
  pg_lease_open(L);
  class_set_tag(L, PG_LEASE_CLASS, &lease_tag);
  pg_prepare_open(L);
  pg_rows_open(L);
  pg_copy_open(L);
  luaL_newlib(L, functions);
  lua_pushliteral(L, PG_CONNECTION_SETUP PG_CONNECTION_ISO_DATES);
  lua_setfield(L, -2, "setup");
  class_set_with_place(L, "open", l_open, l_pools_gc);
  luaL_getmetatable(L, PG_POOL_CLASS);
  lua_getfield(L, -1, "__index");
  lua_setfield(L, -3, "methods");
  lua_pop(L, 1);
  return 1;
}
