/* Pools of plain HTTP/1.1 connections: who has one, and who waits in line for one.

   Everything of a pool belongs to one runtime and its thread; nothing enters Lua. */
#ifndef ML_HTTP_PLAIN_POOL_H
#define ML_HTTP_PLAIN_POOL_H

#include "buffer.h"
#include "http_dial.h"
#include "http_plain_poll.h"
#include "http_url.h"
#include "runtime.h"

typedef struct PlainClient PlainClient;
typedef struct PlainPool PlainPool;
typedef struct PlainOrigin PlainOrigin;
typedef struct PlainExchange PlainExchange;

/* The header lines of every request, after Host, that has none of its own in their place. */
#define PLAIN_USER_AGENT "User-Agent: moonloop/" ML_VERSION "\r\n"
#define PLAIN_ACCEPT "Accept: */*\r\n"
#define PLAIN_ACCEPT_ENCODING "Accept-Encoding: gzip, br\r\n"

/* Exchanges that wait for equally long, in the order in which their time is over. */
typedef struct PlainDeadlines {
  Timer timer; /* set while there are any */
  double seconds;
  PlainExchange *first, *last;
} PlainDeadlines;

/* What the pools of a runtime share. */
struct PlainClient {
  CloseHook close_hook;
  SocketSet sockets; /* the connections' */
  Runtime *rt;
  PlainPool *pools;
  PlainExchange *free_exchanges; /* to be used again, with their buffers */
  unsigned free_count;
  PlainDeadlines deadlines;
  PlainPoll poll;            /* of the connections */
  Buffer head;               /* of a request, while it is sent */
  char *read_buffer;         /* what every connection reads into; made at first use */
  Buffer piece;              /* of a body, on its way to Lua */
  PlainExchange *delivering; /* its results are being pushed: left here where memory ran out */
};

/* Where connections go to: host and port, or a Unix socket and the host it is asked for. It exists
   while it has connections or a line. */
struct PlainOrigin {
  PlainOrigin *next; /* in its bucket */
  PlainPool *pool;
  uint32_t hash;
  unsigned connections;           /* being made, in use and idle */
  PlainConnection *idle;          /* the one used last first */
  PlainExchange *first, *last;    /* the line */
  PlainOrigin *next_line, **line; /* among the pool's origins that have a line; NULL: it has none */
  HttpEndpoint endpoint;
  const char *fields; /* the header lines of a request without any of its own; Host comes first */
  size_t fields_len, host_len;
  Buffer rest;       /* of the head of a request, behind its target: as it was made last */
  size_t rest_lines; /* bytes of it that are the request's own */
  unsigned rest_flags;
  size_t key_len, host_key; /* bytes of the host in lower case, which come first */
  bool is_ipv6;
  char key[]; /* behind it, the strings above */
};

enum { PLAIN_BUCKETS = 64 };

struct PlainPool {
  PlainClient *client;
  PlainPool *next, **link;
  unsigned max_connections, max_per_origin;
  uint64_t idle_ms;
  unsigned connections;
  PlainConnection *all;             /* that are not closed */
  PlainConnection *newest, *oldest; /* idle ones */
  PlainOrigin *lines;               /* that have a line */
  PlainOrigin *buckets[PLAIN_BUCKETS];
  PlainOrigin *latest; /* that a request was for, or NULL */
  uint64_t turns;
  uv_timer_t expiry;
  bool serving; /* plain_pool_serve is at work */
  bool retired; /* takes no request more */
  bool closed;  /* no connection is left, none is made */
  bool expiry_closed, freed;
};

/* The client of a runtime: its pools are closed when the runtime closes. NULL when memory is out.
   Freed with plain_client_free after that, when no pool is left. */
PlainClient *plain_client_new(Runtime *rt);
void plain_client_free(PlainClient *client);

/* A pool that has `max_connections` at most, and `max_per_origin` to one origin; each is closed
   when it has been idle for `idle` seconds. NULL when memory is out. Freeing it closes the
   connections; no exchange may be left. */
PlainPool *plain_pool_new(PlainClient *client, unsigned max_connections, unsigned max_per_origin,
                          double idle);
void plain_pool_free(PlainPool *pool);

/* No request more: idle connections are closed at once, the others when their exchanges are over.
 */
void plain_pool_retire(PlainPool *pool);

/* Gives `x` a connection to the host of its request, or a place in the line. It may have failed
   when this returns. */
void plain_pool_submit(PlainPool *pool, PlainExchange *x);

/* Takes an exchange that waits out of the line. */
void plain_pool_leave(PlainExchange *x);

/* Gives connections to whoever is first in line, as far as there are any. After a connection has
   become idle or has been closed. */
void plain_pool_serve(PlainPool *pool);

/* A connection begins or ceases to be idle. */
void plain_pool_add_idle(PlainConnection *c);
void plain_pool_remove_idle(PlainConnection *c);

/* A connection to `origin` has been closed; the origin may be gone then. */
void plain_pool_closed(PlainOrigin *origin);

/* Closes `c` and makes a new connection for its exchange. */
void plain_pool_replace(PlainConnection *c);

#endif
