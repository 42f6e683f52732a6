/* moonloop.sql.pg: notifications.

   connection:listen(channel) -> true | nil, err
     Returns when the server has confirmed.
   connection:next_notification() -> { channel =, payload =, pid = } | nil, err
     Suspends until there is one; one task at a time. nil: the connection is lost. */
#include "bindings/sql/pg.h"
#include "core/task.h"
#include "core/wait.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int pg_notes_listen(lua_State *L) {
  size_t len;
  const char *channel = luaL_checklstring(L, 2, &len);
  luaL_argcheck(L, strlen(channel) == len, 2, "a channel has no NUL byte");
  PgLease *lease = pg_check_lease(L, "listen");
  if (lease->connection) lease->connection->listens = true;
  lua_settop(L, 2);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addstring(&b, "LISTEN \"");
  for (; *channel; channel++) {
    if (*channel == '"') luaL_addchar(&b, '"');
    luaL_addchar(&b, *channel);
  }
  luaL_addchar(&b, '"');
  luaL_pushresult(&b);
  lua_replace(L, 2);
  return pg_run_simple(L);
}

static int give(lua_State *L, PgConnection *c) {
  PgNote *note = c->notes;
  if (!note)
    return ml_error_return(L, c->why_kind[0] ? c->why_kind : "closed",
                           c->why_code[0] ? c->why_code : NULL, "the connection to %s was lost: %s",
                           c->pool->settings.label, c->why);
  lua_createtable(L, 0, 3);
  lua_pushlstring(L, note->bytes, note->channel_len);
  lua_setfield(L, -2, "channel");
  lua_pushlstring(L, note->bytes + note->channel_len, note->payload_len);
  lua_setfield(L, -2, "payload");
  lua_pushinteger(L, note->pid);
  lua_setfield(L, -2, "pid");
  c->notes = note->next;
  if (!c->notes) c->last_note = &c->notes;
  pg_connection_note_taken(c, sizeof *note + note->channel_len + note->payload_len);
  free(note);
  return 1;
}

static void cancel(Task *task, void *op) {
  (void)task;
  PgConnection *c = op;
  c->has_reader = false;
  pg_connection_hold(c, -1);
}

static int finish(lua_State *L, Task *task, void *op) {
  (void)task;
  (void)op; /* it may be gone: somebody else has given it back */
  PgLease *lease = lua_touserdata(L, PG_SELF);
  if (lease->connection) return give(L, lease->connection);
  return ml_error_return(L, "closed", NULL, "the connection was given back");
}

static void describe(const Task *task, const void *op, char *text, size_t size) {
  (void)task;
  const PgConnection *c = op;
  snprintf(text, size, "a notification of %s", c->pool->settings.label);
}

static const WaitType note_wait = {
    .name = "a notification", .cancel = cancel, .finish = finish, .describe = describe};

int pg_notes_next(lua_State *L) {
  PgLease *lease = pg_check_lease(L, "next_notification");
  PgConnection *c = lease->connection;
  lua_settop(L, 1);
  Task *task = ml_wait_enter(L, "ml.sql");
  if (c->has_reader) return luaL_error(L, "another task waits for the next notification already");
  if (c->notes || c->state == PG_CLOSED) return wait_spared(L, give(L, c), 1);
  c->reader = ml_wait_waker(task);
  c->has_reader = true;
  pg_connection_hold(c, 1);
  return ml_wait_suspend(L, task, &note_wait, c);
}
