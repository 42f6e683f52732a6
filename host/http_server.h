/* An HTTP server: a listening socket, its connections, and an orderly end. */
#ifndef ML_HTTP_SERVER_H
#define ML_HTTP_SERVER_H

#include "http_connection.h"
#include "worker_board.h"

enum { HTTP_READ_BUFFER = 64 * 1024 };

struct HttpServer {
  Runtime *rt;
  const HttpRouter *router;
  /* Starts the handler of a complete request that has a route: sets c->task. False: there is no
     memory for it. */
  bool (*start)(HttpConnection *c);
  /* The last connection of a stopped server is gone, and its handles are closed; the owner may free
     the server. */
  void (*stopped)(HttpServer *server);
  void *user;
  struct AccessLog *log; /* or NULL (access_log.h) */
  WorkerShare *share;    /* of a worker process that shares its listening socket; or NULL */
  HttpLimits limits;

  uv_poll_t listener;
  int fd; /* the listening socket, or -1 */
  uint16_t port;
  bool stopping, is_stopped;
  bool closes_idle;   /* stopping: idle connections are closed, not answered once more */
  bool listener_open; /* the handle is not closed yet */

  HttpConnection *connections;
  size_t n_connections;
  uint8_t n_large_unsent; /* streams of which more may wait in the kernel (http_unsent.h) */
  uint64_t n_requests;
  HttpConnection *due; /* to be looked after at the end of the pass */
  PassHook pass;
  Timer sweep;             /* looks for clients that do not move */
  Timer accept_pause;      /* no descriptors left, or others go first: try again */
  unsigned left_by_others; /* clients that may be taken beyond the share: others had their turn */
  bool is_full;            /* max_connections: accepting is resumed when one has gone */
  Timer grace;             /* running requests may end until then */
  HttpDate date;
  char *read_buffer;
  /* For requests, which wait for handlers, for responses and larger requests, and for the responses
     of pipelined requests. */
  BufferPool in_pool, out_pool, batch_pool;
};

/* Accepts from the listening socket `fd`, which it takes over, also when it fails. Returns 0 or a
   libuv error. `server` is all zero but rt, router, start, stopped, user, log, share and limits. */
int http_server_accept_on(HttpServer *server, int fd);

/* Stops accepting, closes idle connections, lets running requests end for `grace` seconds, then
   cancels them. `stopped` is called when all is over. */
void http_server_stop(HttpServer *server, double grace);

/* The same for a server whose clients have others to go to: an idle connection stays open until its
   next request is answered (with `Connection: close`), its client has been silent for too long, or
   `grace` is over. One that is closed while a request is on its way to it would lose that request.
   http_server_stop may follow, which closes them. */
void http_server_retire(HttpServer *server, double grace);

/* Closes everything at once (the runtime closes). */
void http_server_abort(HttpServer *server);

/* Loop milliseconds, also while a handler holds up the loop, whose own clock stands still then. */
uint64_t http_server_now(HttpServer *server);

/* Lists `c` for the end of the pass. */
void http_server_due(HttpServer *server, HttpConnection *c);

/* Gives the connection's `out` back. */
static inline void http_server_give_out(HttpServer *server, Buffer *out) {
  bool is_batch = out->cap == server->batch_pool.size;
  buffer_pool_give(is_batch ? &server->batch_pool : &server->out_pool, out);
}

/* A connection's memory is about to go. */
void http_server_forget(HttpServer *server, HttpConnection *c);

#endif
