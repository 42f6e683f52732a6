/* moonloop.sql.pg: COPY, what both directions share: pg_copy_in.c and pg_copy_out.c. */
#include "bindings/sql/pg_copy.h"

#include "bindings/check.h"
#include "bindings/class.h"
#include "core/task.h"
#include "sql/pg/pg_wire.h"
#include "sql/sql_observed.h"

#include <string.h>

PgConnection *pg_copy_connection(const PgCopy *copy) {
  return copy->lease ? copy->lease->connection : NULL;
}

PgCall *pg_copy_expect(PgConnection *c, PgUntil until) {
  PgCall *call = pg_call_new(c->pool);
  if (!call) return NULL;
  call->until = until;
  call->is_simple = call->kept = call->unlimited = call->is_part = true;
  if (c->state == PG_CLOSED) {
    call->failed = true;
    pg_call_fail(call, c->why_kind, c->why_code[0] ? c->why_code : NULL,
                 "the connection to %s was lost: %s", c->pool->settings.label, c->why);
  } else {
    pg_connection_submit(c, call, runtime_now(c->pool->rt));
  }
  return call;
}

void pg_copy_leave(PgCopy *copy) {
  PgConnection *c = pg_copy_connection(copy);
  PgLease *lease = copy->lease;
  copy->lease = NULL;
  if (copy->out)
    sql_observed_end(&copy->observed, NULL, NULL, copy->rows);
  else
    sql_observed_cancel(&copy->observed);
  if (lease) lease->in_copy = false;
  if (!c || c->state != PG_OPEN) {
    if (copy->rest) pg_pool_abandon(copy->rest);
    copy->rest = NULL;
    return;
  }
  if (!copy->out) {
    static const char why[] = "what was to be copied has failed";
    if (c->is_copying_in && !pg_wire_text(&c->out, 'f', why, sizeof why - 1))
      pg_connection_lose(c, "network", "ENOMEM", "not enough memory");
    if (copy->rest) pg_pool_release(copy->rest); /* still kept: read, and not cancelled */
    copy->rest = NULL;
  } else {
    c->is_copying_out = false;
    if (!c->flying.first) pg_reader_skip(&c->in);
  }
  if (copy->out && c->is_open_ended) {
    PgCall *call = c->flying.first ? NULL : pg_copy_expect(c, PG_UNTIL_READY);
    pg_connection_pause(c, false);
    if (call) pg_pool_abandon(call);
  }
  pg_pool_wake(c->pool);
}

static int l_close(lua_State *L) {
  PgCopy *copy = luaL_checkudata(L, 1, PG_COPY_CLASS);
  pg_copy_leave(copy);
  return 0;
}

bool pg_copy_push_error(lua_State *L, const PgCall *call) {
  PgMessage error;
  if (call->failed) {
    pg_push_failure(L, call);
    return true;
  }
  if (!pg_result_find_error(call->reply, &error)) return false;
  PgResult of = {.mode = PG_COUNT};
  of.sql = pg_sql(L, &of.sql_len);
  lua_pushnil(L);
  pg_result_push_error(L, &error, &of, 0);
  return true;
}

void pg_copy_keep_observed(PgCopy *copy, PgCall *call) {
  copy->observed = call->observed;
  call->observed = NULL;
}

void pg_copy_observed(PgCopy *copy, PgCall *call) {
  call->observed = copy->observed;
  copy->observed = NULL;
  pg_observed(call);
}

bool pg_copy_has_begun(const PgCall *call, char type) {
  PgSlice reply = call->reply;
  for (PgMessage m; pg_reader_step(&reply, &m);)
    if (m.type == type) return true;
  return false;
}

int pg_copy_begin(lua_State *L, const char *method, bool out, const WaitType *type) {
  PgTarget target = {.lease = pg_check_lease(L, method)};
  PgLease *lease = target.lease;
  target.pool = lease->pool;
  size_t len;
  const char *sql = luaL_checklstring(L, 2, &len);
  if (strlen(sql) != len) return check_fail(L, 2, "the text holds a NUL byte");
  if (lease->stream || lease->in_copy)
    return ml_error_return(L, "busy", NULL,
                           "a loop over rows, or a COPY, has this connection: end it first");
  Task *task = ml_wait_enter(L, "ml.sql");
  PgCopy *copy = lua_newuserdatauv(L, sizeof *copy, 2);
  *copy = (PgCopy){.out = out};
  luaL_setmetatable(L, PG_COPY_CLASS);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, 2);
  PgCall *call = pg_new_call(L, &target);
  pg_observe(call, sql, len);
  call->is_simple = call->is_alone = call->is_part = true;
  call->unlimited = true; /* the server may say nothing until there is a first row, or no lock */
  call->until = PG_UNTIL_PART;
  call->data = (void *)sql;
  if (!pg_wire_text(&call->out, 'Q', sql, len)) pg_no_memory(L, call);
  pg_pool_call(target.pool, call, ml_wait_waker(task));
  return ml_wait_suspend(L, task, type, call);
}

void pg_copy_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"close", l_close}, {NULL, NULL}};
  class_make(L, PG_COPY_CLASS, methods, l_close, l_close);
}
