/* An HTTP server: its listening sockets, its connections, and an orderly end. */
#ifndef ML_HTTP_SERVER_H
#define ML_HTTP_SERVER_H

#include "core/report.h"
#include "core/task_tally.h"
#include "http/server/child_board.h"
#include "http/server/http_clients.h"
#include "http/server/http_connection.h"
#include "http/server/http_trust.h"
#include "net/listen.h"

enum { HTTP_READ_BUFFER = 64 * 1024 };

/* Where clients may speak HTTP/2. */
typedef enum HttpVersion2 {
  HTTP2_NONE,
  HTTP2_SECURE, /* where TLS has agreed on it */
  HTTP2_CLEAR   /* there, and in clear if the client begins with it */
} HttpVersion2;

/* One of a server's listening sockets. */
typedef struct HttpListener {
  struct HttpListener *next;
  HttpServer *server; /* NULL: it could not be opened with the others */
  uv_poll_t poll;
  ListenSocket socket;
} HttpListener;

struct HttpServer {
  Runtime *rt;
  const HttpRouter *router;
  /* The body of a handler's task; http_handler_connection gives its connection `c`. Puts the
     response into c->out. */
  lua_CFunction handle;
  /* That task failed: answers in its place. The error is on the top of L. */
  void (*failed)(HttpConnection *c, const Task *t, lua_State *L, const char *traceback);
  lua_CFunction tail; /* the body of a task that follows a response (http_tail.h) */
  TaskTally *tasks;   /* counts the handlers and the tasks they start */
  /* The last connection of a stopped server is gone, and its handles are closed; the owner may free
     the server. */
  void (*stopped)(HttpServer *server);
  void *user;
  struct AccessLog *log; /* or NULL (access_log.h) */
  ChildShare *share;     /* for a worker process that shares its listening sockets; or NULL */
  TlsContext *tls;       /* of clients whose socket is for TLS; or NULL (http_server_use_tls) */
  HttpLimits limits;
  HttpTrust trust;     /* proxies that are believed: http_forwarded.h */
  bool proxy_protocol; /* each connection begins with a header: proxy_protocol.h */
  HttpVersion2 http2;
  const Http2Calls *http2_calls; /* &http2_session_calls; unless `http2` is HTTP2_NONE */
  char *root_path;               /* where a proxy shows the server, such as "/api"; or NULL */
  size_t root_path_len;          /* of it; 0: there is none */
  uint64_t max_whole_body; /* bytes that a handler may read in one piece, or HTTP_NO_LIMIT; applies
                              besides max_body, unless the route has its own limit */

  MemoryPort memory; /* for a server without a socket */
  uint64_t memory_connections;
  HttpListener *listeners; /* NULL: it does not accept, or not any more */
  unsigned open_listeners; /* handles that are not closed yet */
  uint16_t port;           /* of the first socket that has one, or 0 */
  uint16_t https_port;     /* the same of those for TLS */
  bool stopping, is_stopped;
  bool closes_idle; /* stopping: idle connections are closed instead of answered once more */

  HttpConnection *connections;
  struct HttpPreface *prefaces; /* those of which not even the proxy's header is there */
  size_t n_connections;         /* of both */
  size_t n_streams;             /* of HTTP/2, of all connections */
  bool told_of_preface;         /* a connection without a header was reported */
  uint8_t n_large_unsent;       /* streams that may have more bytes in the kernel (http_unsent.h) */
  uint64_t n_requests;
  HttpClients clients;     /* the limit max_per_ip */
  size_t buffered;         /* http_buffered.h */
  size_t queued;           /* bytes of responses that wait for clients, of all connections */
  HttpConnection *due;     /* connections to handle at the end of the pass */
  Http2Session *http2_due; /* the same of HTTP/2 sessions, after them */
  HttpConnection *later;   /* connections to handle at the end of the next pass */
  Timer turn;              /* begins it */
  PassHook pass;
  Timer sweep;        /* looks for stalled clients */
  Timer accept_pause; /* no descriptors left, or others go first: try again */
  unsigned
      left_by_others; /* clients that may be taken beyond the share, since others had their turn */
  bool is_full; /* max_connections is reached, and clients wait: connections end with their request,
                   and accepting resumes when one has gone */
  int most_descriptors; /* clients get those with lower numbers */
  size_t short_from;    /* with so many connections one had a higher one, or nearly; 0: none had */
  ReportCount full[2];  /* times that there was no room, by HttpRoomLack (http_room.h) */
  uint64_t looked_at;   /* loop milliseconds of the last look at clients that hold much, or 0 */
  Timer grace;          /* running requests may take until then */
  HttpDate date;
  char *read_buffer;
  /* Buffers for requests while their handlers run, for responses and larger requests, and for the
     responses of pipelined requests. */
  BufferPool in_pool, out_pool, batch_pool;
  BufferPool stream_pool; /* memory of HTTP/2 streams */
};

/* Accepts from the `n` sockets, which it takes over even on failure; those that are bound only
   start to listen. Returns 0 or a libuv error. `server` is all zero except rt, router, handle,
   failed, tail, tasks, stopped, user, log, share, limits, trust, proxy_protocol, http2, root_path
   and max_whole_body. */
int http_server_accept_on(HttpServer *server, ListenSocket *sockets, unsigned n);

/* The same without a socket: clients of this process connect to server->memory. Since these are not
   slow, no time limits are set for them. Returns 0 or a libuv error. */
int http_server_accept_in_memory(HttpServer *server);

/* Connections that are accepted from now on speak TLS with this context, on which the server has a
   reference; those that are open keep theirs. */
void http_server_use_tls(HttpServer *server, TlsContext *context);

/* Only closes the listening sockets. One of the next three has to follow. */
void http_server_stop_accepting(HttpServer *server);

/* Stops accepting, closes idle connections, gives running requests `grace` seconds to end, then
   cancels them. `stopped` is called when all of that is over. */
void http_server_stop(HttpServer *server, double grace);

/* The same for a server whose clients have other servers to go to: an idle connection stays open
   until its next request is answered (with `Connection: close`), its client has been silent for too
   long, or `grace` is over. Closing it earlier could lose a request that is on its way.
   http_server_stop may follow, which closes them. */
void http_server_retire(HttpServer *server, double grace);

/* Closes everything at once (the runtime closes). */
void http_server_abort(HttpServer *server);

/* Loop milliseconds, correct even while a handler holds up the loop, whose own clock then stands
   still. */
uint64_t http_server_now(HttpServer *server);

/* Adds `c` to the list for the end of the pass. */
void http_server_due(HttpServer *server, HttpConnection *c);

/* The same for the next pass, before which the loop polls: others get their turn. */
void http_server_due_later(HttpServer *server, HttpConnection *c);

/* Returns the buffer of the connection's `out`. */
static inline void http_server_give_out(HttpServer *server, Buffer *out) {
  bool is_batch = out->cap == server->batch_pool.size;
  buffer_pool_give(is_batch ? &server->batch_pool : &server->out_pool, out);
}

/* One of the n_connections is gone. */
void http_server_left(HttpServer *server);

/* A connection's memory is about to be freed. */
void http_server_forget(HttpServer *server, HttpConnection *c);

#endif
