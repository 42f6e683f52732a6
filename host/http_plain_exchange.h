/* An exchange: one request and its response, from the line of a pool to the last byte. It has one
   connection at a time, and belongs to whoever started it until plain_exchange_release. */
#ifndef ML_HTTP_PLAIN_EXCHANGE_H
#define ML_HTTP_PLAIN_EXCHANGE_H

#include "http_plain_pool.h"
#include "http_plain_response.h"
#include "task.h"

enum {
  PLAIN_MAX_UNSENT = 64 * 1024,  /* bytes of an upload, above which its writer waits */
  PLAIN_MAX_UNREAD = 128 * 1024, /* bytes of a body in pieces, above which nothing is read */
};

typedef enum PlainFraming {
  PLAIN_BODY_WHOLE,   /* `body`, or none */
  PLAIN_BODY_LENGTH,  /* an upload of `body_len` bytes */
  PLAIN_BODY_CHUNKED, /* an upload of any length */
} PlainFraming;

/* What is asked for. All memory stays the caller's, and must live until the exchange is over. */
typedef struct PlainRequest {
  const char *method; /* in capitals */
  const char *shown;  /* the URL for people, without user and password; or NULL: `base`, a slash and
                         the target */
  const char *base;   /* a URL that ends before that slash */
  size_t base_len;
  HttpUrl url;
  const char *path; /* of `base`: comes before the target, with a slash between */
  size_t path_len;
  const char *lines; /* checked header lines */
  size_t lines_len;
  const char *credentials; /* of the Authorization header where `lines` has none; or NULL */
  const char *unix_path;   /* or NULL */
  PlainFraming framing;
  const char *body; /* or NULL */
  size_t body_len;
} PlainRequest;

/* What a task waits for; the end of the exchange ends every wait. */
typedef enum PlainWant {
  PLAIN_WANTS_CONNECTION,
  PLAIN_WANTS_ROOM, /* at most PLAIN_MAX_UNSENT are unsent, or the response has come */
  PLAIN_WANTS_HEAD,
  PLAIN_WANTS_PIECE, /* of the body */
  PLAIN_WANTS_END,
} PlainWant;

struct PlainExchange {
  PlainClient *client;
  PlainPool *pool;             /* until it is over */
  PlainConnection *connection; /* or NULL */
  PlainOrigin *line;           /* where it waits for one, or NULL */
  PlainExchange *next, *prev;  /* in line; `next` also among the free ones */
  uint64_t turn;               /* its place in the order of all lines of the pool */
  Waker waker;                 /* of the task that waits, if `waits` */
  PlainWant want;
  double timeout;                     /* seconds that it waits */
  uint64_t due;                       /* when it has waited for so long; TIMER_NEVER */
  PlainExchange *due_next, *due_prev; /* if `listed`: among the client's deadlines */
  Timer timer;                        /* else */
  bool listed;
  bool waits;
  bool idempotent;  /* RFC 9110 section 9.2.2 */
  bool says_close;  /* the request asks for the connection to be closed */
  bool body_ended;  /* all of the body has been given to the connection */
  bool replaced;    /* it is on its second connection */
  bool over;        /* it has neither connection nor place in line, and never will */
  uint64_t written; /* bytes of an upload */
  const char *error_kind, *error_code; /* why it failed, or NULL; then `error`, too */

  /* What follows is not zero in a new one. */
  PlainRequest request;
  PlainResponse response;
  char error[160];
};

/* Starts an exchange; it may be over when this returns. NULL when memory is out. */
PlainExchange *plain_exchange_start(PlainPool *pool, const PlainRequest *request, size_t max_body,
                                    bool by_pieces);

/* Ends it: breaks it off, with its connection, where it is not over. */
void plain_exchange_release(PlainExchange *x);

/* Is there what a task wants, or will it never be? */
bool plain_exchange_has(const PlainExchange *x, PlainWant want);

/* Wakes `waker` when there is. After `seconds` (infinity: never) the exchange fails. One at a time:
   x->waits. False when memory is out. */
bool plain_exchange_wait(PlainExchange *x, PlainWant want, Waker waker, double seconds);

/* Adds to the body of an upload that is not over. False when memory is out. */
bool plain_exchange_write(PlainExchange *x, const char *bytes, size_t n);

/* Ends the body of an upload. False when memory is out. */
bool plain_exchange_end_body(PlainExchange *x);

/* The body is wanted in one piece after all. False when it failed. */
bool plain_exchange_collect(PlainExchange *x, size_t max_body);

/* Takes up to `max` bytes of a body in pieces. False when it failed. */
bool plain_exchange_take(PlainExchange *x, Buffer *out, size_t max);

/* --- for the connection --- */

/* Adds the head of the request to `b`. False when memory is out. */
bool plain_exchange_build(PlainExchange *x, PlainOrigin *origin, Buffer *b);

/* Something has happened: wakes who waits for it. */
void plain_exchange_notify(PlainExchange *x);

/* The response is complete: it is over, and has nothing more to do with its connection. */
void plain_exchange_complete(PlainExchange *x);

/* It has failed and is over: leaves the line or closes its connection, and wakes who waits. The
   three are words of an error object, the first two of them literals. */
void plain_exchange_fail(PlainExchange *x, const char *kind, const char *code, const char *format,
                         ...) __attribute__((format(printf, 4, 5)));

/* The same for a libuv error of the connection, and where memory is out. */
void plain_exchange_fail_with(PlainExchange *x, int error);
void plain_exchange_fail_memory(PlainExchange *x);

/* Frees a record that is not in use. */
void plain_exchange_free(PlainExchange *x);

#endif
