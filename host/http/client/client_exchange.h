/* An exchange: one request and its response, from waiting in the pool's line to the last byte. It
   has one connection at a time, or a stream on one, and belongs to its starter until
   client_exchange_release. */
#ifndef ML_CLIENT_EXCHANGE_H
#define ML_CLIENT_EXCHANGE_H

#include "core/task.h"
#include "http/client/client_limits.h"
#include "http/client/client_pool.h"
#include "http/client/client_response.h"
#include "http/client/client_session.h"

typedef enum ClientFraming {
  CLIENT_BODY_WHOLE,   /* `body`, or none */
  CLIENT_BODY_LENGTH,  /* an upload of `body_len` bytes */
  CLIENT_BODY_CHUNKED, /* an upload of any length */
} ClientFraming;

/* A proxy for HTTP/1.1. */
typedef struct ClientProxy {
  const char *host; /* a name or an address; NULL: there is no proxy */
  uint16_t port;
  const char *credentials; /* value of the Proxy-Authorization header, or NULL */
} ClientProxy;

/* The request. All memory stays the caller's, and must live until the exchange is over. */
typedef struct ClientRequest {
  const char *method; /* in capitals */
  const char *shown;  /* the URL for messages, without user and password; NULL: `base`, a slash and
                         the target */
  const char *base;   /* a URL that ends before that slash */
  size_t base_len;
  HttpUrl url;
  const char *path; /* the path of `base`: comes before the target, with a slash between */
  size_t path_len;
  const char *lines; /* checked header lines */
  size_t lines_len;
  const char *credentials; /* value of the Authorization header, unless `lines` has one; or NULL */
  const char *unix_path;   /* or NULL */
  const char *addresses;   /* of the host, see dial.h; NULL: it is looked up */
  ClientProxy proxy; /* which gets http:// with the whole URL, and makes tunnels for https:// */
  bool insecure;     /* with https: whoever the server is */
  ClientFraming framing;
  const char *body; /* or NULL */
  size_t body_len;
} ClientRequest;

/* What a task waits for; the end of the exchange ends every wait. */
typedef enum ClientWant {
  CLIENT_WANTS_CONNECTION,
  CLIENT_WANTS_ROOM, /* at most CLIENT_MAX_UNSENT are unsent, or no more of the body is wanted */
  CLIENT_WANTS_HEAD,
  CLIENT_WANTS_PIECE, /* of the body */
  CLIENT_WANTS_END,
} ClientWant;

struct ClientExchange {
  ClientPools *client;
  ClientPool *pool;             /* until it is over */
  ClientConnection *connection; /* or NULL */
  ClientOrigin *line;           /* whose line it waits in, or NULL */
  ClientExchange *next, *prev;  /* in line; `next` also among the free ones */
  uint64_t turn;                /* its place in the order of all lines of the pool */
  Waker waker;                  /* for the waiting task, if `waits` */
  ClientWant want;
  double timeout;                      /* how many seconds it waits */
  uint64_t due;                        /* when that time is over, or TIMER_NEVER */
  ClientExchange *due_next, *due_prev; /* if `listed`: among the client's deadlines */
  Timer timer;                         /* else */
  bool listed;
  bool waits;
  bool idempotent;    /* RFC 9110 section 9.2.2 */
  bool says_close;    /* the request asks for the connection to be closed */
  bool body_ended;    /* all of the body has been passed to the connection */
  bool replaced;      /* it is on its second connection */
  bool over;          /* it has neither a connection nor a place in line, and never will */
  uint8_t repeats;    /* how often a server of HTTP/2 did not look at it */
  uint64_t written;   /* bytes of an upload */
  uint64_t in_memory; /* memory_end_request of the pipe that it was sent through; 0: a socket */
  struct Observation *observed;        /* client_exchange_observed.c; or NULL */
  const char *error_kind, *error_code; /* why it failed, or NULL; if set, so is `error` */
  ClientStream stream;                 /* with HTTP/2 */

  /* The fields below are not zero in a new one. */
  ClientRequest request;
  ClientResponse response;
  char error[TLS_ERROR_MAX];
};

/* Starts an exchange, which may already be over when this returns. NULL if memory is out. */
ClientExchange *client_exchange_start(ClientPool *pool, const ClientRequest *request,
                                      size_t max_body, bool by_pieces);

/* Ends it; if it is not over, cancels it and closes its connection. */
void client_exchange_release(ClientExchange *x);

/* Is more of an upload's body wanted? A server of HTTP/1.1 that has begun to answer does not read
   it; with HTTP/2 both go on beside each other. */
static inline bool client_exchange_wants_body(const ClientExchange *x) {
  return !x->over && (!x->response.head_read || x->stream.session);
}

/* Is what the task wants there, or certain never to come? */
bool client_exchange_has(const ClientExchange *x, ClientWant want);

/* Wakes `waker` when that is so. After `seconds` (infinity: never) the exchange fails. One wait at
   a time: x->waits. False if memory is out. */
bool client_exchange_wait(ClientExchange *x, ClientWant want, Waker waker, double seconds);

/* Adds to the body of an upload that is not over. False when memory is out. */
bool client_exchange_write(ClientExchange *x, const char *bytes, size_t n);

/* Ends the body of an upload. False when memory is out. */
bool client_exchange_end_body(ClientExchange *x);

/* Switches to a body in one piece after all. False if it failed. */
bool client_exchange_collect(ClientExchange *x, size_t max_body);

/* Decodes a step of the body in one piece of an exchange that is over, which may fail it. False: it
   goes on. The time of a wait for the end goes on, too. */
bool client_exchange_decode(ClientExchange *x);

/* Takes up to `max` bytes of a body in pieces. False when it failed. */
bool client_exchange_take(ClientExchange *x, Buffer *out, size_t max);

/* --- for the connection --- */

/* Adds the head of the request to `b`. False when memory is out. */
bool client_exchange_build(ClientExchange *x, ClientOrigin *origin, Buffer *b);

/* Adds its header fields, in the form of HTTP/2 (RFC 9113 section 8.3), to client->fields, which
   begins with them, and returns their number; they point into client->head. 0 if memory is out. */
size_t client_exchange_fields(ClientExchange *x, ClientOrigin *origin);

/* It has no connection and has got nothing of a response: begins again, unless it has done so too
   often or its body cannot be had again. */
bool client_exchange_repeat(ClientExchange *x);

/* Something has happened: wakes the waiting task if it waits for that. */
void client_exchange_notify(ClientExchange *x);

/* The response is complete: the exchange is over, and is detached from its connection. */
void client_exchange_complete(ClientExchange *x);

/* It has failed and is over: leaves the line or closes its connection, and wakes the waiting task.
   The three strings are fields of an error object; the first two are literals. */
void client_exchange_fail(ClientExchange *x, const char *kind, const char *code, const char *format,
                          ...) __attribute__((format(printf, 4, 5)));

/* The same for a libuv error of the connection, and if memory is out. */
void client_exchange_fail_with(ClientExchange *x, int error);
void client_exchange_fail_memory(ClientExchange *x);

/* --- client_exchange_observed.c: what observers (observe.h) are told --- */

/* It begins. */
void client_exchange_observe(ClientExchange *x);

/* It is over; `released`: its starter has gone before the response was complete. */
void client_exchange_observed(ClientExchange *x, bool released);

/* Frees a record that is not in use. */
void client_exchange_free(ClientExchange *x);

#endif
