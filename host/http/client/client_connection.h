/* One connection of a pool: connects, writes requests, reads responses; one exchange after the
   other, or with HTTP/2 many at once. Its memory is freed when the socket is closed. */
#ifndef ML_CLIENT_CONNECTION_H
#define ML_CLIENT_CONNECTION_H

#include "base/buffer.h"
#include "http/client/client_pool.h"
#include "http/client/client_session.h"
#include "net/tls_session.h"
#include <sys/uio.h>

/* What a connection of HTTP/2 has. */
typedef struct ClientHttp2 {
  ClientSession session;
  ClientConnection *next, **link; /* among those that have something to send, or NULL */
  bool is_last;                   /* no more requests after those that it has */
  bool asks;                      /* a request got no answer: is the server still there? */
} ClientHttp2;

struct ClientConnection {
  ClientOrigin *origin;
  ClientExchange *exchange;          /* NULL: idle or closed; with HTTP/2, its streams have them */
  ClientHttp2 *http2;                /* or NULL */
  ClientConnection *under, **on_top; /* among the origin's idle ones, or its shared ones */
  ClientConnection *newer, *older;   /* among the pool's idle ones */
  uint64_t idle_since;               /* loop milliseconds */
  int fd;                            /* -1: being made, or closed, or in memory */
  MemoryEnd *memory;                 /* instead of a socket; or NULL */
  uint64_t request;                  /* what the next one is called: ClientExchange.in_memory */
  bool idle;                         /* in the pool's list of such connections */
  bool busy;                         /* keeps the loop alive */
  bool kept;                         /* it has been used before */
  bool may_follow;                   /* its last response had no body; some servers send one */
  bool write_failed; /* the server takes nothing more; what it has sent can still be read */
  bool paused;       /* reading is paused: too much waits */
  size_t sent;       /* bytes of `out` */
  Buffer out;        /* to be sent */
  size_t body_left;  /* bytes at `body` to send after that */
  const char *body;
  TlsSession *tls;                /* or NULL: in clear, or not connected yet */
  Timer limit;                    /* of the tunnel, of its handshake, of an answer to `asks` */
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

/* Begins an exchange on an idle connection, or a shared one that has room. */
void client_connection_begin(ClientConnection *c, ClientExchange *x);

/* Can the shared connection take the exchange now? */
bool client_connection_has_room(const ClientConnection *c, const ClientExchange *x);

/* Its exchange is over before its time, or has its response. A connection of HTTP/1 that is not
   handed over to another exchange is closed. */
void client_connection_leave(ClientConnection *c, ClientExchange *x);

/* A request has got no answer in time: if nothing at all has come since it was sent, the server is
   asked whether it is still there. */
void client_connection_doubt(ClientConnection *c, const ClientExchange *x);

/* Fails what it carries, and those who wait for it alone, and closes it. The strings are those of
   client_exchange_fail. */
void client_connection_fail(ClientConnection *c, const char *kind, const char *code,
                            const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The same for a libuv error, and if memory is out. */
void client_connection_fail_with(ClientConnection *c, int error);

/* Is an idle connection silent, without data or its end? Asks the system. One of HTTP/2 may have
   data, since its end would be told in them. */
bool client_connection_is_quiet(ClientConnection *c);

/* For the poll: `events` (EPOLLIN, EPOLLOUT and so on) are new. */
void client_connection_ready(ClientConnection *c, unsigned events);

/* Closes the socket at once, and removes the connection from its pool; the origin may be gone
   afterwards. Its exchange, if any, is left without a connection. */
void client_connection_close(ClientConnection *c);

/* Writes `n` pieces, now or later: what cannot be written now is copied. False if memory is out. */
bool client_connection_write(ClientConnection *c, const struct iovec *pieces, unsigned n);

/* HTTP/2: there may be something to send. It is, at the end of the pass. */
void client_connection_send_later(ClientConnection *c);

/* Bytes that the system has not taken yet. */
size_t client_connection_unsent(const ClientConnection *c);

/* Resumes paused reading. */
void client_connection_read_on(ClientConnection *c);

/* For the poll: frees the memory of a closed one. */
void client_connection_free(ClientConnection *c);

/* --- between client_connection.c and the other client_connection_*.c --- */

/* Has exchanges from now on, or has none any more: keeps the loop alive. */
void client_connection_set_busy(ClientConnection *c, bool busy);

/* Begins HTTP/2 on a new connection. */
void client_connection_open_http2(ClientConnection *c);

/* Begins an exchange as a stream. */
void client_connection_begin_stream(ClientConnection *c, ClientExchange *x);

/* Takes `n` bytes that were read. False if it was closed. */
bool client_connection_take_frames(ClientConnection *c, const char *bytes, size_t n);

/* It has ended: as client_connection_lose. */
void client_connection_lose_http2(ClientConnection *c, int error);

/* Says good-bye, if that is still possible, and frees what HTTP/2 needs. No stream is left. */
void client_connection_close_http2(ClientConnection *c);

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
