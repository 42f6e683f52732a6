/* One connection of a pool: connects, writes requests, reads responses, one exchange after the
   other. Its memory is freed when the socket is closed. */
#ifndef ML_CLIENT_CONNECTION_H
#define ML_CLIENT_CONNECTION_H

#include "base/buffer.h"
#include "http/client/client_pool.h"
#include "net/tls_session.h"
#include <sys/uio.h>

struct ClientConnection {
  ClientOrigin *origin;
  ClientExchange *exchange;          /* NULL: idle or closed */
  ClientConnection *under, **on_top; /* among the origin's idle ones */
  ClientConnection *newer, *older;   /* among the pool's idle ones */
  uint64_t idle_since;               /* loop milliseconds */
  int fd;                            /* -1: being made, or closed, or in memory */
  MemoryEnd *memory;                 /* instead of a socket; or NULL */
  uint64_t request;                  /* what the next one is called: ClientExchange.in_memory */
  bool idle;                         /* in the pool's list of such connections */
  bool busy;                         /* keeps the loop alive */
  bool kept;                         /* it has been used before */
  bool write_failed; /* the server takes nothing more; what it has sent can still be read */
  bool paused;       /* reading is paused: too much waits */
  size_t sent;       /* bytes of `out` */
  Buffer out;        /* to be sent */
  size_t body_left;  /* bytes at `body` to send after that */
  const char *body;
  TlsSession *tls;                /* or NULL: in clear, or not connected yet */
  Timer limit;                    /* of the tunnel, of its handshake */
  bool tunnels;                   /* the proxy has not opened the tunnel yet */
  Buffer answer;                  /* of the proxy, while it tunnels */
  Dial *dial;                     /* while it is being made */
  ClientConnection *next, **link; /* among the pool's */
};

/* Starts to make a connection for `x`, which may already have failed when this returns. False if
   memory is out. */
bool client_connection_new(ClientOrigin *origin, ClientExchange *x);

/* Can a request be sent on it? */
static inline bool client_connection_is_made(const ClientConnection *c) {
  return !c->dial && (!c->origin->is_https || (c->tls && c->tls->ready));
}

/* Begins an exchange on an idle connection. */
void client_connection_begin(ClientConnection *c, ClientExchange *x);

/* Is an idle connection silent, without data or its end? Asks the system. */
bool client_connection_is_quiet(ClientConnection *c);

/* For the poll: `events` (EPOLLIN, EPOLLOUT and so on) are new. */
void client_connection_ready(ClientConnection *c, unsigned events);

/* Closes the socket at once, and removes the connection from its pool; the origin may be gone
   afterwards. Its exchange, if any, is left without a connection. */
void client_connection_close(ClientConnection *c);

/* Writes `n` pieces, now or later: what cannot be written now is copied. False if memory is out. */
bool client_connection_write(ClientConnection *c, const struct iovec *pieces, unsigned n);

/* Bytes that the system has not taken yet. */
size_t client_connection_unsent(const ClientConnection *c);

/* Resumes paused reading. */
void client_connection_read_on(ClientConnection *c);

/* For the poll: frees the memory of a closed one. */
void client_connection_free(ClientConnection *c);

/* --- between client_connection.c, client_connection_tls.c and client_connection_tunnel.c --- */

/* The connection is made: sends the request. It may be closed when this returns. */
void client_connection_start(ClientConnection *c);

/* Takes `n` bytes that were read. Is more of the response expected? */
bool client_connection_take(ClientConnection *c, const char *bytes, size_t n);

/* It has ended: with a libuv error, or UV_EOF. */
void client_connection_lose(ClientConnection *c, int error);

/* There is a connection to the proxy: asks it for a tunnel, and then begins TLS. */
void client_connection_open_tunnel(ClientConnection *c);

/* Reads what the proxy says to that. */
void client_connection_read_tunnel(ClientConnection *c);

/* Fails its exchange after DIAL_SECONDS unless c->limit is cleared before. False if memory is
   out. */
bool client_connection_limit(ClientConnection *c);

/* The socket is connected: begins TLS, and the exchange after the handshake. */
void client_connection_open_tls(ClientConnection *c);

/* Sends what is in `out`, and the body after it. Returns 0 or errno. */
int client_connection_flush_tls(ClientConnection *c);

/* Reads and decrypts what is there. */
void client_connection_read_tls(ClientConnection *c);

/* Says that it ends, if that is still possible, and frees what TLS needs. */
void client_connection_close_tls(ClientConnection *c);

#endif
