/* Part of client_connection.h: a connection with TLS. What goes out is encrypted into c->out; what
   comes in is decrypted from the buffer that every connection reads into. */
#include "http/client/client_connection.h"
#include "http/client/client_exchange.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
  READ_SIZE = CLIENT_READ_BUFFER,
  MOST_IN_TURN = 16,  /* reads of one connection in a row before others get their turn */
  AHEAD = 64 * 1024,  /* bytes of a body that are encrypted before the system takes them */
  RECORD = 16 * 1024, /* bytes of plaintext in a record */
};

static ClientPools *client_of(const ClientConnection *c) { return c->origin->pool->client; }

/* --- out --- */

int client_connection_flush_tls(ClientConnection *c) {
  for (;;) {
    while (c->body_left && c->out.len - c->sent < AHEAD) {
      size_t part = c->body_left < RECORD ? c->body_left : RECORD;
      int error = tls_session_write(c->tls, c->body, part);
      if (error) return -error;
      c->body += part;
      c->body_left -= part;
    }
    if (c->sent == c->out.len) break;
    ssize_t n = send(c->fd, c->out.data + c->sent, c->out.len - c->sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == EAGAIN ? 0 : errno;
    c->sent += (size_t)n;
    if (c->sent == c->out.len) c->sent = c->out.len = 0;
  }
  return 0;
}

/* An alert, or what the protocol wants to say. If it cannot be sent, reading finds out why. */
static void flush_protocol(ClientConnection *c) {
  if (c->out.len && !c->write_failed) client_connection_flush_tls(c);
}

/* --- the handshake --- */

static void fail_handshake(ClientConnection *c) {
  const TlsSession *s = c->tls;
  bool certificate = s->context->library->SSL_get_verify_result(s->ssl) != X509_V_OK;
  client_connection_fail(c, "tls",
                         certificate && s->context->checks_peer ? "BAD_CERTIFICATE" : "HANDSHAKE",
                         "%s", s->error ? s->error : "out of memory");
}

/* Goes on with the handshake. False: it is not over, or the connection is closed. */
static bool shake_hands(ClientConnection *c) {
  int result = tls_session_handshake(c->tls);
  flush_protocol(c);
  if (result < 0) fail_handshake(c);
  if (result <= 0) return false;
  timer_clear(&client_of(c)->rt->timers, &c->limit);
  client_connection_start(c);
  return c->tls != NULL;
}

/* The server has offered to resume the session: on the next connection to this origin. */
static bool keep_session(TlsSession *s, SSL_SESSION *session) {
  const ClientConnection *c = s->owner;
  const ClientOrigin *o = c->origin;
  return client_tls_sessions_keep(&o->pool->tls.sessions, o->key, o->key_len, s, session,
                                  runtime_now(client_of(c)->rt));
}

void client_connection_open_tls(ClientConnection *c) {
  ClientOrigin *o = c->origin;
  ClientPools *client = client_of(c);
  char error[TLS_ERROR_MAX];
  TlsContext *context = client_tls_context(&o->pool->tls, client_pool_tls_kind(o), error);
  if (!client->plain_buffer) client->plain_buffer = malloc(RECORD);
  if (!context) {
    client_connection_fail(c, "tls", "OWN_CERTIFICATE", "%s", error);
    return;
  }
  c->tls = calloc(1, sizeof *c->tls);
  if (c->tls) c->tls->out = &c->out;
  if (!client->plain_buffer || !c->tls || !tls_session_open(c->tls, context, o->host) ||
      !client_connection_limit(c)) {
    client_connection_fail_with(c, UV_ENOMEM);
    return;
  }
  c->tls->owner = c;
  c->tls->on_session = keep_session;
  client_tls_sessions_resume(&o->pool->tls.sessions, o->key, o->key_len, c->tls,
                             runtime_now(client->rt));
  shake_hands(c);
}

void client_connection_close_tls(ClientConnection *c) {
  timer_clear(&client_of(c)->rt->timers, &c->limit);
  if (!c->tls) return;
  if (c->tls->ready && c->fd >= 0 && !c->write_failed && !client_connection_unsent(c)) {
    tls_session_shut(c->tls);
    flush_protocol(c);
  }
  tls_session_close(c->tls);
  free(c->tls);
  c->tls = NULL;
}

/* --- in --- */

/* Takes all that can be decrypted. False: reading is paused, or the connection is closed. */
static bool take_all(ClientConnection *c) {
  ClientPools *client = client_of(c);
  if (!c->tls->ready && !shake_hands(c)) return c->tls != NULL;
  while (!c->paused) {
    ssize_t n = tls_session_read(c->tls, client->plain_buffer, RECORD);
    if (n <= 0) flush_protocol(c);
    if (n == 0) return true;
    if (n < 0) {
      client_connection_lose(c, (int)n);
      return false;
    }
    client_connection_take(c, client->plain_buffer, (size_t)n);
    if (!c->tls) return false;
  }
  return false;
}

void client_connection_read_tls(ClientConnection *c) {
  ClientPools *client = client_of(c);
  for (int i = 0;; i++) {
    bool goes_on = take_all(c);
    if (c->tls) tls_session_keep(c->tls);
    if (!goes_on) return;
    if (i == MOST_IN_TURN) {
      client_poll_ask_again(&client->poll, c->fd, c);
      return;
    }
    ssize_t n;
    do n = recv(c->fd, client->read_buffer, READ_SIZE, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) {
      client_connection_lose(c, -errno);
      return;
    }
    if (n == 0) {
      client_connection_lose(c, tls_session_transport_ended(c->tls));
      return;
    }
    tls_session_lend(c->tls, client->read_buffer, (size_t)n);
  }
}
