/* pg_connection.h: how a connection begins and ends. */
#include "sql/pg/pg_cancel.h"
#include "sql/pg/pg_pool.h"
#include "sql/pg/pg_wire.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static Runtime *runtime(const PgConnection *c) { return c->pool->rt; }

#define SETUP_SECONDS 10.0

static void on_late(Timer *timer) {
  PgConnection *c = container_of(timer, PgConnection, drain);
  pg_connection_lose(c, "network", "ETIMEDOUT", "it was not ready after %g s", SETUP_SECONDS);
}

static void set_up(PgConnection *c) {
  bool own_session = c->pool->settings.prepare; /* or a pooler's, which others get, too */
  char sql[256];
  int n = snprintf(sql, sizeof sql, "%s%s", own_session ? PG_CONNECTION_SETUP : "",
                   c->login.iso_dates ? "" : PG_CONNECTION_ISO_DATES);
  if (!n) {
    c->state = PG_OPEN;
    pg_pool_opened(c);
    return;
  }
  PgCall *call = pg_call_new(c->pool);
  if (!call || !pg_wire_text(&call->out, 'Q', sql, (size_t)n)) {
    pg_connection_lose(c, "network", "ENOMEM", "not enough memory");
    return;
  }
  call->owned = false;
  call->is_setup = call->is_simple = true;
  Runtime *rt = runtime(c);
  timer_set(&rt->timers, &c->drain, timer_due(runtime_now(rt), SETUP_SECONDS), on_late);
  pg_connection_submit(c, call, runtime_now(rt));
  if (c->state != PG_CLOSED) pg_connection_flush(c);
}

static void on_closed(uv_handle_t *handle) { free(handle); }

static int open_socket(PgConnection *c) {
  PgSocket *socket = calloc(1, sizeof *socket);
  if (!socket) return UV_ENOMEM;
  int error = uv_poll_init(&runtime(c)->loop, &socket->poll, c->login.fd);
  if (error) {
    free(socket);
    return error;
  }
  socket->connection = c;
  c->socket = socket;
  if (!c->awaited) uv_unref((uv_handle_t *)&socket->poll);
  return 0;
}

static void on_connected(void *data, const PgLogin *login, const PgRefusal *refusal) {
  PgConnection *c = data;
  const char *error;
  c->connecting = NULL;
  if (!login) {
    pg_connection_lose(c, refusal->kind, refusal->code, "%s", refusal->message);
    return;
  }
  c->login = *login;
  if (login->ssl) c->tls = pg_library_tls(&error);
  c->state = PG_SETUP;
  c->status = 'I';
  c->heard_at = runtime(c)->pass_at;
  int failed = open_socket(c);
  if (failed) {
    pg_connection_lose(c, "network", uv_err_name(failed), "%s", uv_strerror(failed));
    return;
  }
  pg_connection_watch(c);
  if (c->state != PG_CLOSED) set_up(c);
}

PgConnection *pg_connection_new(PgPool *pool) {
  PgConnection *c = calloc(1, sizeof *c);
  if (!c) return NULL;
  c->pool = pool;
  c->login.fd = -1;
  c->last_note = &c->notes;
  c->connecting = pg_connect_start(pool->rt, pool->settings.url, on_connected, c);
  if (c->connecting) return c;
  free(c);
  return NULL;
}

static void close_socket(PgConnection *c) {
  if (c->connecting) pg_connect_abandon(c->connecting);
  c->connecting = NULL;
  if (c->socket) {
    c->socket->connection = NULL;
    uv_close((uv_handle_t *)&c->socket->poll, on_closed);
    c->socket = NULL;
  }
  if (c->cancel) {
    pg_cancel_abandon(c->cancel);
    c->login.cancel = NULL; /* the cancel has it now */
    c->cancel = NULL;
  }
  pg_connect_close(&c->login);
}

/* The server has ended the session before it did anything of the call, or has rolled it back: its
   transaction ends behind CommandComplete. That is so when all connections are ended; who ends one
   because of a statement that takes long means that statement. */
#define QUICK 200000000 /* nanoseconds */

static bool can_move(const PgConnection *c, const PgCall *call, bool is_first) {
  bool ended = !strcmp(c->why_code, "57P01") || !strcmp(c->why_code, "57P02");
  return ended && call->awaited && call->may_repeat && call->repeats < 3 && !c->pool->is_closed &&
         !(is_first && c->command_over) && runtime_now(runtime(c)) - call->since < QUICK;
}

static void fail_calls(PgConnection *c, PgCalls *calls, bool sent) {
  for (bool is_first = true; calls->first; is_first = false) {
    PgCall *call = pg_call_shift(calls);
    call->in_flight = call->in_line = false;
    if (sent && can_move(c, call, is_first)) {
      pg_connection_hold_for(c, call, false);
      call->repeats++;
      c->pool->repeats++;
      pg_pool_again(c->pool, call);
      continue;
    }
    call->unknown = sent;
    if (call->is_extra) c->is_releasing = true; /* nobody has got it */
    pg_connection_hold_for(c, call, false);
    call->failed = true;
    pg_call_fail(call, c->why_kind, c->why_code[0] ? c->why_code : NULL,
                 "the connection to %s was lost: %s", c->pool->settings.label, c->why);
    pg_call_drop(call);
  }
}

void pg_connection_lose(PgConnection *c, const char *kind, const char *code, const char *format,
                        ...) {
  if (c->state == PG_CLOSED) return;
  char why[sizeof c->why], why_kind[sizeof c->why_kind], why_code[sizeof c->why_code];
  va_list args;
  va_start(args, format);
  vsnprintf(why, sizeof why, format, args);
  va_end(args);
  snprintf(why_kind, sizeof why_kind, "%s", kind);
  snprintf(why_code, sizeof why_code, "%s", code ? code : "");
  memcpy(c->why, why, sizeof why);
  memcpy(c->why_kind, why_kind, sizeof why_kind);
  memcpy(c->why_code, why_code, sizeof why_code);
  PgState was = c->state;
  if (pg_connection_is_whole(c) && !c->tls) (void)!send(c->login.fd, "X\0\0\0\4", 5, MSG_NOSIGNAL);
  c->state = PG_CLOSED;
  close_socket(c);
  timer_clear(&runtime(c)->timers, &c->deadline);
  timer_clear(&runtime(c)->timers, &c->drain);
  fail_calls(c, &c->flying, true);
  fail_calls(c, &c->line, false);
  pg_connection_wake_reader(c);
  pg_reader_forget(&c->in);
  buffer_free(&c->out);
  c->sent = 0;
  pg_pool_lost(c, was);
}

void pg_connection_free(PgConnection *c) {
  for (PgNote *note; (note = c->notes);) {
    c->notes = note->next;
    free(note);
  }
  free(c);
}
