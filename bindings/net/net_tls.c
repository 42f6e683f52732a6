/* TLS of connections. */
#include "bindings/net/net.h"

#include "bindings/stream/stream_object.h"
#include "bindings/tls_agreed.h"
#include "bindings/tls_options.h"
#include "core/script_place.h"
#include "core/task.h"
#include "core/wait.h"
#include "stream/stream_socket.h"

#include <stdio.h>

/* --- waiting for the handshake --- */

static bool is_going_on(const StreamSocket *socket) {
  return !socket->is_secured && !socket->stream.ended && !socket->stream.is_closed;
}

/* It is over: pushes an error if it has failed. */
static int handshake_failed(lua_State *L, const StreamSocket *socket) {
  const Stream *s = &socket->stream;
  return stream_object_failed(L, s, "TLS on", s->is_closed ? UV_ECANCELED : s->ended);
}

static void stop_waiting(StreamSocket *socket, Task *t) {
  waiters_leave(&socket->handshakes, &t->waiter);
  stream_let_go(&socket->stream);
}

static void handshake_describe(const Task *t, const void *op, char *text, size_t size) {
  const StreamSocket *socket = op;
  char name[160];
  (void)t;
  socket->stream.source->describe(&socket->stream, name, sizeof name);
  snprintf(text, size, "the TLS handshake on %s", name);
}

static int wait_for_handshake(lua_State *L, StreamSocket *socket, const char *function,
                              const WaitType *type) {
  Task *t = ml_wait_enter(L, function);
  waiters_join(&socket->handshakes, &t->waiter);
  stream_hold(&socket->stream);
  return ml_wait_suspend(L, t, type, socket);
}

/* --- tls --- */

static int agreed(lua_State *L, const StreamSocket *socket) {
  if (!socket->is_secured || socket->stream.is_closed) return handshake_failed(L, socket);
  tls_agreed_push(L, byte_stream_tls(&socket->bytes));
  return 1;
}

static void tls_cancel(Task *t, void *op) { stop_waiting(op, t); }

static int tls_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  stream_let_go(&((StreamSocket *)op)->stream);
  return agreed(L, op);
}

static const WaitType tls_wait = {.name = "a TLS handshake",
                                  .cancel = tls_cancel,
                                  .finish = tls_finish,
                                  .describe = handshake_describe};

/* tls() -> {version, cipher, alpn, ...} | nil, err: what was agreed on; nil: it is not encrypted.
   Suspends until the handshake is over. */
int net_tls(lua_State *L) {
  StreamSocket *socket = net_check_connection(L);
  lua_settop(L, 1);
  if (!socket->bytes.tls_context && !socket->stream.is_closed) return 0;
  if (is_going_on(socket)) return wait_for_handshake(L, socket, "conn:tls", &tls_wait);
  return agreed(L, socket);
}

/* --- starttls --- */

static int started(lua_State *L, StreamSocket *socket) {
  lua_settop(L, 1);
  if (socket->is_secured) return 1;
  int n = handshake_failed(L, socket);
  stream_close(&socket->stream);
  return n;
}

static void start_cancel(Task *t, void *op) {
  stop_waiting(op, t);
  stream_cut(&((StreamSocket *)op)->stream);
}

static int start_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  stream_let_go(&((StreamSocket *)op)->stream);
  return started(L, op);
}

static const WaitType start_wait = {.name = "a TLS handshake",
                                    .cancel = start_cancel,
                                    .finish = start_finish,
                                    .describe = handshake_describe};

static void check_idle(lua_State *L, const StreamSocket *socket) {
  const Stream *s = &socket->stream;
  if (socket->bytes.tls_context) script_place_error(L, "conn:starttls: it speaks TLS already");
  if (s->reader)
    script_place_error(L, "conn:starttls: another task is reading from the connection");
  if (s->writers || s->is_writing)
    script_place_error(L, "conn:starttls: another task is writing to the connection");
  if (s->is_shut) script_place_error(L, "conn:starttls: its writing side has been shut down");
}

/* starttls([opts]) -> connection | nil, err: speaks TLS from now on, as the server if it was
   accepted. Suspends until the handshake is over. If that fails, or is cancelled, the connection is
   closed. */
int net_starttls(lua_State *L) {
  StreamSocket *socket = net_check_connection(L);
  Stream *s = &socket->stream;
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) {
    lua_pushboolean(L, true);
    lua_replace(L, 2);
  }
  tls_options_check(L, 2, socket->is_server, "conn:starttls");
  check_idle(L, socket);
  if (s->is_closed) return stream_object_failed(L, s, "TLS on", UV_ECANCELED);
  ml_wait_check_cancel(L);
  TlsContext *context = tls_options_context(L, 2, socket->is_server, NULL, false);
  if (!context) return 2;
  const char *name = tls_options_name(L, 2, socket->name ? socket->name : "localhost");
  int error = stream_socket_secure(socket, context, socket->is_server ? NULL : name);
  tls_context_release(context);
  if (error) return stream_object_failed(L, s, "TLS on", error);
  if (is_going_on(socket)) return wait_for_handshake(L, socket, "conn:starttls", &start_wait);
  return started(L, socket);
}

/* check_tls(opts, is_server, whose): raises what is wrong with them */
int net_check_tls(lua_State *L) {
  tls_options_check(L, 1, lua_toboolean(L, 2), luaL_checkstring(L, 3));
  return 0;
}
