/* Pools of connections: which exchanges have one, or a stream on one, and which wait in line.

   A connection of HTTP/2 is shared. As long as it is not known what a new connection can do, all
   exchanges of its origin wait for it; if it turns out to speak HTTP/1.1, they get their own.

   Everything in a pool belongs to one runtime and its thread; nothing enters Lua. */
#ifndef ML_CLIENT_POOL_H
#define ML_CLIENT_POOL_H

#include "base/buffer.h"
#include "core/runtime.h"
#include "http/client/client_poll.h"
#include "http/client/client_tls.h"
#include "http/http_url.h"
#include "net/dial.h"
#include "net/memory_end.h"

typedef struct ClientPools ClientPools;
typedef struct ClientPool ClientPool;
typedef struct ClientOrigin ClientOrigin;
typedef struct ClientExchange ClientExchange;

enum { CLIENT_READ_BUFFER = 64 * 1024 };

/* What the connections to an origin speak. */
typedef enum ClientProtocol {
  CLIENT_HTTP_1,
  CLIENT_HTTP_2,
  CLIENT_HTTP_UNKNOWN, /* a connection has to find out */
} ClientProtocol;

/* The default header lines of every request, after Host; the request's own lines replace them. */
#define CLIENT_USER_AGENT "User-Agent: moonloop/" ML_VERSION "\r\n"
#define CLIENT_ACCEPT "Accept: */*\r\n"
#define CLIENT_ACCEPT_ENCODING "Accept-Encoding: gzip, br\r\n"

/* Exchanges that wait for the same time, in the order of their deadlines. */
typedef struct ClientDeadlines {
  Timer timer; /* set while there are any */
  double seconds;
  ClientExchange *first, *last;
} ClientDeadlines;

/* Shared by the pools of a runtime. */
struct ClientPools {
  CloseHook close_hook;
  SocketSet sockets; /* the connections' */
  Runtime *rt;
  ClientPool *pools;
  ClientExchange *free_exchanges; /* for reuse, with their buffers */
  unsigned free_count;
  ClientDeadlines deadlines;
  ClientPoll poll;            /* of the connections */
  PassHook pass;              /* sends what the connections of HTTP/2 have to say */
  ClientConnection *senders;  /* those that have something to say */
  Buffer head;                /* of a request, while it is sent */
  Buffer fields;              /* the same for HTTP/2: pointers into it */
  Buffer frames;              /* of HTTP/2, while they are sent */
  char *plain_buffer;         /* the same for what is decrypted */
  char *read_buffer;          /* the buffer that every connection reads into; made on first use */
  Buffer piece;               /* of a body, on its way to Lua */
  ClientExchange *delivering; /* its results are being pushed: left here if memory ran out */
};

/* The target of connections: host and port, or a Unix socket and the host to ask it for; or a host
   behind a proxy's tunnel; or a proxy, for all hosts of http. It exists while it has connections or
   a line. */
struct ClientOrigin {
  ClientOrigin *next; /* in its bucket */
  ClientPool *pool;
  uint32_t hash;
  unsigned connections;      /* being made, in use and idle */
  ClientConnection *idle;    /* the one used last first */
  ClientConnection *shared;  /* of HTTP/2, with streams */
  ClientConnection *dialing; /* being made for all, until its server's settings are known */
  ClientProtocol protocol;
  bool takes_http2;                /* that is offered, or known */
  ClientExchange *first, *last;    /* the line */
  ClientOrigin *next_line, **line; /* among the pool's origins with a line; NULL: it has no line */
  DialEndpoint endpoint;           /* the proxy's, if it has one */
  const char *host;                /* whose certificate is wanted */
  const char *credentials;         /* for the proxy, or NULL */
  const char *fields; /* the header lines of a request without any of its own; Host comes first */
  size_t fields_len, host_len;
  Buffer rest;       /* the head of a request after its target, as it was last made */
  size_t rest_lines; /* bytes of it that are the request's own */
  unsigned rest_flags;
  size_t key_len, host_key; /* bytes of the host in lower case, which come first */
  bool is_ipv6, is_https;
  bool is_plain; /* a host with a name or an address of IPv4, and nothing else */
  bool by_proxy;
  bool insecure;   /* whoever the server is */
  bool hides_cert; /* it is not shown our certificate */
  char key[];      /* followed by the strings above */
};

enum { CLIENT_BUCKETS = 64 };

struct ClientPool {
  ClientPools *client;
  ClientPool *next, **link;
  unsigned max_connections, max_per_origin;
  ClientTls tls;
  bool http2;       /* over TLS, where the server has it */
  bool http2_clear; /* without TLS, whose servers are known to have it */
  MemoryPort *port; /* what all connections are made to, instead of the hosts; or NULL */
  uint64_t idle_ms;
  unsigned connections;
  ClientConnection *all;             /* that are not closed */
  ClientConnection *newest, *oldest; /* idle ones */
  ClientOrigin *lines;               /* that have a line */
  ClientOrigin *buckets[CLIENT_BUCKETS];
  ClientOrigin *latest; /* origin of the last request, or NULL */
  uint64_t turns;
  uv_timer_t expiry;
  bool serving; /* client_pool_serve is running */
  bool retired; /* takes no more requests */
  bool closed;  /* no connection is left or being made */
  bool expiry_closed, freed;
};

/* The client of a runtime: its pools are closed when the runtime closes. NULL when memory is out.
   Freed with client_pools_free after that, when no pool is left. */
ClientPools *client_pools_new(Runtime *rt);
void client_pools_free(ClientPools *client);

/* A pool of at most `max_connections` connections, and `max_per_origin` to one origin; each is
   closed after `idle` seconds without use. NULL if memory is out. Freeing it closes the
   connections; no exchange may be left. */
ClientPool *client_pool_new(ClientPools *client, unsigned max_connections, unsigned max_per_origin,
                            double idle);
void client_pool_free(ClientPool *pool);

/* No more requests: idle connections are closed at once, the others when their exchanges are over.
 */
void client_pool_retire(ClientPool *pool);

/* The same, but the exchanges fail at once. */
void client_pool_abort(ClientPool *pool);

/* Gives `x` a connection to the host of its request, or a place in the line. It may already have
   failed when this returns. Fails it where the pool takes no more requests. */
void client_pool_submit(ClientPool *pool, ClientExchange *x);

/* The same for one that was submitted before. */
void client_pool_place(ClientPool *pool, ClientExchange *x);

/* A connection that is being made for all gets the first in line instead of its exchange. False if
   there is none. */
bool client_pool_hand_over(ClientConnection *c);

/* Takes all out of the line of those that wait for this connection alone; they are linked by
   `next`. */
ClientExchange *client_pool_take_waiting(const ClientConnection *c);

/* Adds the URL's host as a Host header has it (RFC 9110 section 7.2), with its port unless that is
   the scheme's. False when memory is out. */
bool client_pool_add_host(Buffer *b, const HttpUrl *url);

/* Do requests to `o` name the whole URL (RFC 9112 section 3.2.2)? */
static inline bool client_pool_is_forwarding(const ClientOrigin *o) {
  return o->by_proxy && !o->is_https;
}

/* The kind of its connections with TLS. */
static inline unsigned client_pool_tls_kind(const ClientOrigin *o) {
  return (o->insecure ? CLIENT_TLS_INSECURE : 0) | (o->takes_http2 ? CLIENT_TLS_HTTP2 : 0) |
         (o->hides_cert ? CLIENT_TLS_ANONYMOUS : 0);
}

/* Removes a waiting exchange from the line. */
void client_pool_leave(ClientExchange *x);

/* Gives available connections to those first in line. Called after a connection has become idle or
   has been closed. */
void client_pool_serve(ClientPool *pool);

/* A connection of HTTP/2 has streams, or has none any more. */
void client_pool_share(ClientConnection *c);
void client_pool_unshare(ClientConnection *c);

/* A connection becomes idle, or stops being idle. */
void client_pool_add_idle(ClientConnection *c);
void client_pool_remove_idle(ClientConnection *c);

/* A connection to `origin` has been closed; the origin may be gone then. */
void client_pool_closed(ClientOrigin *origin);

/* Closes `c` and makes a new connection for its exchange. */
void client_pool_replace(ClientConnection *c);

/* --- between client_pool.c and client_pool_origin.c --- */

/* The origin of the request, made if needed. NULL: the exchange has failed. */
ClientOrigin *client_pool_origin(ClientPool *pool, ClientExchange *x);

/* Frees the origin if nothing is left of it. */
void client_pool_drop_origin(ClientOrigin *o);

#endif
