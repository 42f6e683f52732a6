/* One TCP connection of a server: reads requests, runs one handler at a time, writes the responses
   of a pass together.

   It has two owners: the socket, and the handler that runs. Its memory is freed when the socket is
   closed and no handler runs. */
#ifndef ML_HTTP_CONNECTION_H
#define ML_HTTP_CONNECTION_H

#include "http_pace.h"
#include "http_request.h"
#include "http_response.h"
#include "http_router.h"
#include "task.h"
#include <netinet/in.h>

typedef struct HttpServer HttpServer;
typedef struct HttpBody HttpBody;
typedef struct HttpStream HttpStream;
typedef struct HttpWrite HttpWrite;

typedef union HttpPeer {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
} HttpPeer;

typedef struct HttpConnection {
  uv_tcp_t tcp;
  HttpServer *server;
  struct HttpConnection *next, **link; /* in the server's list */
  uint64_t deadline;       /* loop milliseconds until which the client has to send; 0: never */
  uint64_t write_deadline; /* the same for taking some of a response */
  struct HttpConnection *next_due; /* in the list of this pass */
  HttpRequest request;
  RouteMatch match; /* the current request's */
  TaskOwner owner;  /* of `task`; the server's `start` sets both */
  Task *task;       /* the handler, or NULL */
  uint64_t number;  /* of the current request, over the server's life */
  HttpBody *body; /* the handler has started before the body was complete (http_body.h), or NULL */
  struct AccessNote *access; /* of the current request, or NULL: there is no log */
  HttpStream *stream;        /* the response under way is streamed (http_stream.h), or NULL */
  Buffer out;                /* to be written at the end of the pass */
  HttpPace body_pace;
  HttpWrite *write; /* under way in libuv, or NULL */
  int fd;           /* of `tcp` */
  HttpPeer peer;
  uint8_t in_a_row; /* requests started in this pass */
  bool due;         /* in the list of this pass */
  bool in_head;     /* waits for the rest of a head */
  bool routed;      /* `match` is valid */
  bool answered;    /* the current request's response is in `out` */
  bool leftover;    /* the answered request's body is still coming, and thrown away */
  bool close_after; /* to be closed when everything is written */
  bool discard;     /* what still comes is thrown away */
  bool linger;      /* the client may still be sending: close only after it has ended */
  bool shut;        /* our side of the stream is shut */
  bool postponed;   /* the next request is looked at when the pass is over */
  bool paused;      /* reading is paused: too much waits */
  bool eof;         /* the client has ended its side */
  bool closing;     /* uv_close was called */
  bool closed;      /* the socket is closed */
  bool cancelled;   /* the handler was told that the client has gone */
} HttpConnection;

/* Takes over an accepted socket. On failure the socket is closed. */
void http_connection_open(HttpServer *server, int fd);

/* Answers with {"detail": detail} in the place of a handler. `headers`: whole lines, or "". */
void http_connection_detail(HttpConnection *c, int status, const char *detail, const char *headers);

/* How the response to the current request, which is going to be put into `out`, is framed. Decides
   whether another request may follow; where the response is `streamed`, a body that is not read yet
   does not decide that. */
HttpFraming http_connection_framing(HttpConnection *c, int status, bool streamed);

/* Nothing is read until http_connection_resume: too much waits. */
void http_connection_pause(HttpConnection *c);
void http_connection_resume(HttpConnection *c);

/* The client has so many milliseconds to send; 0 or HTTP_NO_LIMIT: as long as it likes. */
void http_connection_set_deadline(HttpConnection *c, uint64_t ms);

/* While a handler runs: gives the client its time anew if it owes something, or takes it away. */
void http_connection_renew_deadline(HttpConnection *c);

/* The handler's task has ended and its response is in `out`: goes on with the next request.
   `c` may be freed. */
void http_connection_responded(HttpConnection *c);

/* The handler's task has its first run. */
void http_connection_running(HttpConnection *c);

/* No further request after the current one: closes at once when there is none. */
void http_connection_retire(HttpConnection *c);

/* Closes the socket at once; cancels the handler. */
void http_connection_abort(HttpConnection *c);

/* Closes the socket at once, where a response has been begun that will not be complete; with
   `reset`, so that no client can take that for an orderly end. */
void http_connection_break(HttpConnection *c, bool reset);

/* c->write is done (http_write.h). */
void http_connection_written(HttpConnection *c);

/* What is due at the end of a pass: writing, noticing that the client has gone, closing. */
void http_connection_pass(HttpConnection *c);

/* Looks whether the client had moved in time when events were last looked for, at `polled_at` in
   loop milliseconds, and whether it is still there where nothing is read. */
void http_connection_expire(HttpConnection *c, uint64_t polled_at);

#endif
