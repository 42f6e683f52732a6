/* moonloop.sql.pg: statements by their text, and what the server says of them. */
#include "bindings/check.h"
#include "bindings/class.h"
#include "bindings/sql/pg.h"
#include "core/task.h"
#include "sql/pg/pg_wire.h"
#include "sql/sql_error.h"

#include <string.h>

/* --- finding them --- */

static int l_statement_gc(lua_State *L) {
  PgStatementObject *object = lua_touserdata(L, 1);
  if (object->pool) pg_statement_clear(&object->pool->statements, &object->statement);
  object->pool = NULL;
  return 0;
}

void pg_prepare_open(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  class_make(L, PG_STATEMENT_CLASS, none, l_statement_gc, NULL);
}

/* The list of the parameters' names becomes a user value of the statement on the top of L. */
static void keep_names(lua_State *L, const SqlText *text, const char *sql) {
  if (!text->names) return;
  lua_createtable(L, (int)text->parameters, 0);
  for (unsigned i = 0; i < text->parameters; i++) {
    lua_pushlstring(L, sql + text->names[i].offset, text->names[i].len);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setiuservalue(L, -2, PG_KEEPS_NAMES);
}

/* Adds the statement on the top of L to the table at `table`. */
static void add(lua_State *L, PgPool *pool, PgStatement *s, int table) {
  PgStatement *out = pg_statement_add(&pool->statements, s);
  if (out) {
    lua_rawgeti(L, table, (lua_Integer)s->slot + 1);
    lua_pushnil(L);
    lua_rawset(L, table);
  }
  lua_pushvalue(L, PG_STATEMENT);
  lua_rawseti(L, table, (lua_Integer)s->slot + 1);
  lua_pushvalue(L, PG_STATEMENT);
  lua_pushvalue(L, -2);
  lua_rawset(L, table);
}

static PgStatement *scan(lua_State *L, PgPool *pool, int table) {
  size_t len;
  const char *sql = lua_tolstring(L, PG_STATEMENT, &len);
  if (strlen(sql) != len) check_fail(L, PG_STATEMENT, "the statement holds a NUL byte");
  PgStatementObject *object = lua_newuserdatauv(L, sizeof *object, PG_STATEMENT_VALUES);
  memset(object, 0, sizeof *object);
  object->pool = pool;
  luaL_setmetatable(L, PG_STATEMENT_CLASS);
  PgStatement *s = &object->statement;
  SqlTextError error;
  if (!sql_text_scan(&s->text, sql, len, SQL_POSTGRES, &error))
    check_fail(L, PG_STATEMENT,
               lua_pushfstring(L, "%s (at byte %d of the statement)", error.message,
                               (int)error.offset + 1));
  if (s->text.several)
    check_fail(L, PG_STATEMENT, "several statements: db:script runs those, without parameters");
  s->source = sql;
  s->source_len = len;
  s->class = pg_statement_class(s->text.keyword);
  lua_pushvalue(L, PG_STATEMENT);
  lua_setiuservalue(L, -2, PG_KEEPS_TEXT);
  keep_names(L, &s->text, sql);
  add(L, pool, s, table);
  return s;
}

PgStatement *pg_prepare_find(lua_State *L, const PgTarget *target) {
  if (lua_type(L, PG_STATEMENT) != LUA_TSTRING) check_type_fail(L, PG_STATEMENT, "SQL");
  int table = lua_gettop(L) + 1;
  if (target->lease) {
    lua_getiuservalue(L, PG_SELF, 1);
    lua_getiuservalue(L, table, PG_KEEPS_STATEMENTS);
    lua_replace(L, table);
  } else {
    lua_getiuservalue(L, PG_SELF, PG_KEEPS_STATEMENTS);
  }
  lua_pushvalue(L, PG_STATEMENT);
  PgStatement *s;
  if (lua_rawget(L, table) == LUA_TUSERDATA) {
    s = &((PgStatementObject *)lua_touserdata(L, -1))->statement;
    pg_statement_use(&target->pool->statements, s);
  } else {
    lua_pop(L, 1);
    s = scan(L, target->pool, table);
  }
  if (!target->lease && s->class == PG_CONTROL)
    check_fail(
        L, PG_STATEMENT,
        lua_pushfstring(L, "'%s' needs a connection of its own: use db:tx", s->text.keyword));
  lua_replace(L, PG_STATEMENT);
  lua_settop(L, table - 1);
  return s;
}

void pg_prepare_forget(lua_State *L, PgPool *pool) {
  PgStatementObject *object = lua_touserdata(L, PG_STATEMENT);
  pg_statement_rename(&pool->statements, &object->statement);
  object->has_shape = false;
  lua_pushnil(L);
  lua_setiuservalue(L, PG_STATEMENT, PG_KEEPS_SHAPE);
}

bool pg_prepare_has_shape(lua_State *L) {
  return ((const PgStatementObject *)lua_touserdata(L, PG_STATEMENT))->has_shape;
}

const PgShape *pg_prepare_push_shape(lua_State *L) {
  return lua_getiuservalue(L, PG_STATEMENT, PG_KEEPS_SHAPE) == LUA_TUSERDATA ? lua_touserdata(L, -1)
                                                                             : NULL;
}

/* --- asking the server --- */

/* What is to be done then. */
typedef struct Next {
  PgTarget target;
  PgThen *then;
  lua_CFunction otherwise;
  unsigned mode;
  const char *sql; /* first: of pg_describe_wait */
} Next;

/* The record of what is next is on the top of L. */
static int described(lua_State *L, Task *task, void *op) {
  (void)task;
  PgCall *call = op;
  Next next = *(Next *)lua_touserdata(L, -1);
  lua_pop(L, 1);
  pg_deliver(L, call);
  int n = 2;
  if (call->failed) {
    pg_push_failure(L, call);
  } else {
    const PgStatementObject *object = lua_touserdata(L, PG_STATEMENT);
    PgResult of = {.text = &object->statement.text};
    of.sql = pg_sql(L, &of.sql_len);
    n = pg_result_push_shape(L, &of, call->reply);
  }
  if (n == 2) {
    pg_observed(call);
    pg_delivered(call);
    return next.otherwise ? next.otherwise(L) : 2;
  }
  pg_hand_over(L, call);
  lua_setiuservalue(L, PG_STATEMENT, PG_KEEPS_SHAPE);
  ((PgStatementObject *)lua_touserdata(L, PG_STATEMENT))->has_shape = true;
  return next.then(L, &next.target, next.mode);
}

static const WaitType describe_wait = {.name = "postgresql",
                                       .cancel = pg_cancel_wait,
                                       .finish = described,
                                       .describe = pg_describe_wait};

int pg_prepare_describe(lua_State *L, const PgTarget *target, unsigned mode, PgThen *then,
                        lua_CFunction otherwise) {
  PgStatementObject *object = lua_touserdata(L, PG_STATEMENT);
  const Buffer *text = &object->statement.text.text;
  Task *task = ml_wait_enter(L, "ml.sql");
  Next *next = lua_newuserdatauv(L, sizeof *next, 0);
  *next = (Next){.target = *target, .then = then, .otherwise = otherwise, .mode = mode};
  PgCall *call = pg_new_call(L, target);
  call->may_repeat = !target->lease;
  if (!otherwise) pg_observe(call, object->statement.source, object->statement.source_len);
  call->data = (void *)object->statement.source;
  if (!pg_wire_parse(&call->out, 0, text->data, text->len, NULL, 0) ||
      !pg_wire_describe(&call->out, 'S', 0) || !pg_wire_bare(&call->out, 'S'))
    pg_no_memory(L, call);
  pg_pool_call(target->pool, call, ml_wait_waker(task));
  return ml_wait_suspend(L, task, &describe_wait, call);
}
