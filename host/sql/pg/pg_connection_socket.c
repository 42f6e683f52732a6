/* pg_connection.h: the socket, or the TLS on it: when it is watched, what is read and written. */
#include "sql/pg/pg_pool.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

enum { LEAST_ROOM = 16 << 10, MOST_ROOM = 1 << 20, MOST_READS = 16, LARGEST_KEPT = 64 << 10 };

void pg_connection_hold(PgConnection *c, int change) {
  bool before = c->awaited;
  c->awaited += (unsigned)change;
  if (!c->socket || before == (bool)c->awaited) return;
  if (c->awaited)
    uv_ref((uv_handle_t *)&c->socket->poll);
  else
    uv_unref((uv_handle_t *)&c->socket->poll);
}

void pg_connection_hold_for(PgConnection *c, PgCall *call, bool hold) {
  if (call->holds == hold) return;
  call->holds = hold;
  pg_connection_hold(c, hold ? 1 : -1);
}

/* --- watching --- */

static void on_events(uv_poll_t *poll, int status, int events);

void pg_connection_watch(PgConnection *c) {
  PgSocket *socket = c->socket;
  if (!socket) return;
  int events = (c->is_paused ? 0 : UV_READABLE) | (pg_connection_unsent(c) ? UV_WRITABLE : 0);
  if (events == socket->events) return;
  socket->events = events;
  int error =
      events ? uv_poll_start(&socket->poll, events, on_events) : uv_poll_stop(&socket->poll);
  if (error) pg_connection_lose(c, "network", uv_err_name(error), "%s", uv_strerror(error));
}

void pg_connection_pause(PgConnection *c, bool paused) {
  if (c->is_paused == paused) return;
  c->is_paused = paused;
  pg_connection_watch(c);
}

static ssize_t tls_result(PgConnection *c, int result) {
  if (result > 0) return result;
  int error = c->tls->get_error(c->login.ssl, result);
  if (error == PG_TLS_CLOSED) return 0;
  if (error != PG_TLS_WANTS_READ && error != PG_TLS_WANTS_WRITE)
    errno = errno && errno != EAGAIN ? errno : ECONNRESET;
  else
    errno = EAGAIN;
  return -1;
}

static ssize_t receive(PgConnection *c, char *bytes, size_t n) {
  if (!c->tls) return recv(c->login.fd, bytes, n, 0);
  c->tls->clear_errors();
  errno = 0;
  return tls_result(c, c->tls->read(c->login.ssl, bytes, (int)n));
}

static ssize_t transmit(PgConnection *c, const char *bytes, size_t n) {
  if (!c->tls) return send(c->login.fd, bytes, n, MSG_NOSIGNAL);
  c->tls->clear_errors();
  errno = 0;
  return tls_result(c, c->tls->write(c->login.ssl, bytes, n > 1 << 30 ? 1 << 30 : (int)n));
}

void pg_connection_wake_reader(PgConnection *c) {
  if (!c->has_reader) return;
  c->has_reader = false;
  pg_connection_hold(c, -1);
  ml_wait_wake(c->reader);
}

/* --- reading and writing --- */

static void lose_at_end(PgConnection *c, int error) {
  if (c->why[0]) {
    char why[sizeof c->why];
    memcpy(why, c->why, sizeof why);
    pg_connection_lose(c, c->why_kind, c->why_code, "%s", why);
  } else if (error) {
    pg_connection_lose(c, "network", uv_err_name(-error), "%s", uv_strerror(-error));
  } else {
    pg_connection_lose(c, "network", "EOF", "the server has closed the connection");
  }
}

bool pg_connection_read(PgConnection *c) {
  for (int i = 0; i < MOST_READS; i++) {
    size_t least = c->in.wants < LEAST_ROOM ? LEAST_ROOM : c->in.wants;
    if (!pg_reader_reserve(&c->in, least < MOST_ROOM ? least : MOST_ROOM)) {
      pg_connection_lose(c, "network", "ENOMEM", "not enough memory for a reply");
      return false;
    }
    PgBlock *block = c->in.block;
    size_t room = block->cap - block->len;
    ssize_t n = receive(c, block->data + block->len, room);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) break;
    if (n <= 0) {
      lose_at_end(c, n < 0 ? errno : 0);
      return false;
    }
    block->len += (size_t)n;
    c->heard_at = c->pool->rt->pass_at;
    if (!pg_connection_take(c)) return false;
    if (c->is_paused || (!c->tls && (size_t)n < room)) break;
  }
  if (!c->why[0]) return true;
  lose_at_end(c, 0); /* it has said good-bye */
  return false;
}

void pg_connection_flush(PgConnection *c) {
  while (pg_connection_unsent(c)) {
    ssize_t n = transmit(c, c->out.data + c->sent, pg_connection_unsent(c));
    c->pool->sends++;
    if (n > 0) {
      c->sent += (size_t)n;
      continue;
    }
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    int error = n < 0 ? errno : ECONNRESET;
    if (pg_connection_read(c)) lose_at_end(c, error); /* what it has said before it went counts */
    return;
  }
  if (!pg_connection_unsent(c)) {
    c->out.len = c->sent = 0;
    if (c->out.cap > LARGEST_KEPT) buffer_free(&c->out);
    if (c->is_copying_in) pg_connection_wake_reader(c);
  }
  pg_connection_watch(c);
}

void pg_connection_look(PgConnection *c) {
  char byte;
  ssize_t n = recv(c->login.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (n >= 0 || (errno != EAGAIN && errno != EINTR)) pg_connection_read(c);
}

static void on_events(uv_poll_t *poll, int status, int events) {
  PgConnection *c = ((PgSocket *)poll)->connection;
  if (!c) return;
  if (status < 0) {
    if (pg_connection_read(c)) lose_at_end(c, -status);
    return;
  }
  if ((events & UV_READABLE) && !pg_connection_read(c)) return;
  if (events & UV_WRITABLE) pg_connection_flush(c);
}
