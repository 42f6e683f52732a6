/* One connection of a server: reads requests, runs one handler at a time, writes the responses of a
   pass together.

   Its phases, and what each is followed by. The functions are enter_X in http_connection.c and
   http_connection_end.c, or named here.

     IDLE       IN_HEAD    the first byte of a request has come
                CARRYING   the client speaks HTTP/2 (http2_session.h)
     IN_HEAD    ADMITTED   the head is read, and its route looked up (find_route)
     ADMITTED   HANDLING   there is a route (start_handler); without one it is answered at once
     HANDLING   ANSWERED   the handler has responded (http_connection_answered)
     ANSWERED   HANDLING   nothing was sent, and the response is taken back (http_stream_fail)
                UPGRADED   a 101 is written (http_upgrade.h)
                DRAINING   the handler has ended (http_connection_responded, as in the lines that
                           follow); the rest of the body is to be read, and thrown away
                POSTPONED  more requests are there, and others go first
                IDLE, IN_HEAD or DRAINING: what the next request's state says (go_on)
                LAST       no request follows
     DRAINING   IDLE       the body is over (end_request)
     POSTPONED  IDLE, IN_HEAD or DRAINING: the pass is over, and `out` is written (go_on); or the
                           next one is, if no handler had to run
     all these  LAST       the client has ended its side, the server stops, a request is refused
     LAST       LINGERING  all is written, and the client may still be sending
                CLOSING    all is written
     LINGERING  CLOSING    the client has ended its side, or its time is over
     UPGRADED, CARRYING: CLOSING when one side closes
     all        CLOSING    an error, a limit, an abort (uv_close is called)
     CLOSING    CLOSED     it is freed when no handler runs

   What holds between two calls:
   1. A handler runs (`task`) in HANDLING and ANSWERED, may run in UPGRADED, CLOSING and CLOSED, and
   in no other phase.
   2. `match` is that of the current request from ADMITTED to ANSWERED and, while its handler runs,
      after that. ADMITTED ends before the function that entered it returns.
   3. `body` is there only while a handler runs that was started before its body was complete;
      `stream` only in ANSWERED.
   4. Bytes that come are parsed in IDLE, IN_HEAD and DRAINING, and where `body` wants them; they
   are kept in HANDLING, ANSWERED and POSTPONED; they are thrown away from LAST on, and where
   `after` says that no request follows.
   5. `after` only grows. In IDLE, IN_HEAD, DRAINING and POSTPONED it is AFTER_NEXT.
   6. From LAST on no handler is started; from CLOSING on nothing is read or written.
   7. In UPGRADED bytes come and go past this file: `upgrade` has them. It is there from a 101 on,
      and no request follows.
   8. In CARRYING and after it, a connection with `http2` and no `is_stream` is for that session
   alone: `out` has its frames, and there is no request. It is freed after its streams, whose
   connections are in the phases of all others.
   9. A connection that has something to do at the end of the pass is in its server's `due` list.

   It has two owners: the socket, and the handler that runs. Its memory is freed in CLOSED, when no
   handler runs. */
#ifndef ML_HTTP_CONNECTION_H
#define ML_HTTP_CONNECTION_H

#include "core/task.h"
#include "http/server/http_forwarded.h"
#include "http/server/http_pace.h"
#include "http/server/http_request.h"
#include "http/server/http_response.h"
#include "http/server/http_router.h"
#include "net/byte_stream.h"

typedef struct HttpServer HttpServer;
typedef struct HttpBody HttpBody;
typedef struct HttpStream HttpStream;
typedef struct HttpTail HttpTail;
typedef struct HttpUpgrade HttpUpgrade;
typedef struct HttpLent HttpLent;
typedef struct Http2Session Http2Session;
typedef struct HttpConnection HttpConnection;

/* What is told to HTTP/2, which stands on this file: functions of http2_session.h and
   http2_stream.h, by their names there. */
typedef struct Http2Calls {
  bool (*open)(HttpConnection *c);
  void (*came)(Http2Session *s, const char *bytes, size_t n);
  void (*pass)(Http2Session *s);
  void (*retire)(Http2Session *s);
  void (*expire)(Http2Session *s);
  void (*leave)(Http2Session *s);
  void (*look)(Http2Session *s);
  void (*over)(Http2Session *s);
  bool (*free)(Http2Session *s);
  bool (*has_all)(const HttpConnection *stream);
  void (*release)(HttpConnection *stream);
} Http2Calls;

/* What a socket is for. */
typedef enum HttpEntry {
  HTTP_CLEAR,
  HTTP_SECURE,   /* TLS */
  HTTP_REDIRECTS /* http_redirect.h */
} HttpEntry;

typedef enum HttpPhase {
  PHASE_IDLE,      /* waits for a request */
  PHASE_IN_HEAD,   /* waiting for the rest of a head */
  PHASE_ADMITTED,  /* the head is read and its route looked up */
  PHASE_HANDLING,  /* a handler runs */
  PHASE_ANSWERED,  /* it runs, and its response, or the head of it, is in `out` */
  PHASE_DRAINING,  /* the answered request's body is still coming, and is discarded */
  PHASE_POSTPONED, /* the next request is looked at when the pass is over and `out` is written */
  PHASE_CARRYING,  /* of an HTTP/2 session (http2_session.h), once it is known that it is one */
  PHASE_LAST,      /* `out` holds the last response */
  PHASE_LINGERING, /* our side is shut; waits until the client has ended its own */
  PHASE_UPGRADED,  /* it speaks another protocol */
  PHASE_CLOSING,   /* the socket is being closed */
  PHASE_CLOSED,
} HttpPhase;

/* What follows the current response. */
typedef enum HttpAfter {
  AFTER_NEXT,   /* another request */
  AFTER_CLOSE,  /* the end */
  AFTER_LINGER, /* the same, but the client may still be sending */
} HttpAfter;

struct HttpConnection {
  ByteStream bytes;
  HttpServer *server;
  struct HttpConnection *next, **link; /* in the server's list */
  uint64_t deadline;       /* loop milliseconds by which the client has to send; 0: no limit */
  uint64_t waits_since;    /* loop milliseconds when that time was last given to it */
  uint64_t write_deadline; /* the same for taking some of a response */
  struct HttpConnection *next_due; /* in the list of this pass, or of the next one */
  HttpRequest request;
  RouteMatch match; /* the current request's */
  TaskOwner owner;  /* of `task`; http_handler_start sets both */
  Task *task;       /* the handler, or NULL */
  uint64_t number;  /* number of the current request, counted over the server's life */
  HttpBody
      *body; /* set if the handler started before the body was complete (http_body.h), or NULL */
  struct AccessNote *access;    /* note of the current request; NULL: there is no log */
  struct Observation *observed; /* of the current request (http_observed.h), or NULL */
  uint64_t sent; /* bytes of the body of the response to it, without its framing; if there is one */
  HttpStream *stream;   /* the response under way is streamed (http_stream.h), or NULL */
  HttpTail *tails;      /* what follows responses that are not over (http_tail.h), or NULL */
  HttpUpgrade *upgrade; /* the response is a 101 (http_upgrade.h), or was; or NULL */
  Buffer out;           /* to be written at the end of the pass */
  HttpLent *lent;       /* and then this, the body of the last response in it; or NULL */
  HttpPace body_pace, write_pace;
  uint64_t body_due;  /* loop milliseconds by which the whole body has to be there; 0: none began */
  uint64_t paused_at; /* since then we do not read */
  size_t queued;      /* bytes of responses that wait for the client */
  size_t kept;        /* bytes of a body that wait below, where an HTTP/2 stream is; or of a head
                         whose end has not come, where its session is */
  size_t held;        /* what stands on it keeps: http_buffered_hold */
  size_t buffered;    /* what server->buffered has of this connection */
  size_t unsent;      /* bytes that the client had not taken at the last check */
  uint64_t moved;     /* bytes of both ways at the last look at those who hold much: http_room.h */
  ByteStreamPeer peer;
  HttpForwarded *forwarded; /* what `peer`, a trusted proxy, says of the current request; or NULL */
  Http2Session *http2;      /* that it carries, or is a stream of; or NULL */
  HttpPhase phase : 8;
  HttpAfter after : 8;
  uint16_t status;   /* of the response to the current request; 0: there is none */
  uint8_t own_lines; /* bytes of header lines, the last ones, that an HTTP/2 stream has added */
  uint8_t in_a_row;  /* requests started in this pass, or answered at once */
  uint32_t ended;    /* requests before the current one */
  bool due;          /* in the list of this pass, or of the next one */
  bool awaits_turn;  /* POSTPONED until then, not only until the end of the pass */
  bool redirects;    /* its requests are only sent to https */
  bool is_counted;   /* in server->clients, under http_connection_client */
  bool is_stream;    /* of `http2`: its socket is another connection's */
  bool asked_peer;   /* the client was probed: http_connection_pass */
};

/* Takes over an accepted socket, whose clients came by that entry. On failure the socket is
   closed. `peer`: whose connection it is, as a proxy has said; NULL: the socket's peer's. */
void http_connection_open(HttpServer *server, int fd, HttpEntry entry, const ByteStreamPeer *peer);

/* The same for an end of a pipe in memory, False, with the end left
   to the caller, if memory is out. */
bool http_connection_open_memory(HttpServer *server, MemoryEnd *end);

/* Opens `c`, which is all zero but for what is around it, as a stream of the HTTP/2 session that
   `carrier` carries, with `below` below it. False, with nothing changed, if memory is out. */
bool http_connection_open_stream(HttpConnection *c, HttpConnection *carrier,
                                 const ByteStreamBelow *below);

/* What was agreed on by TLS, or NULL: it was not used, or the socket is closed. */
const TlsSession *http_connection_tls(const HttpConnection *c);

/* Is the socket closed, or about to be? Then no response can be sent. */
static inline bool http_connection_is_closing(const HttpConnection *c) {
  return c->phase >= PHASE_CLOSING;
}

/* Whose request the current one is: that of `peer`, or of the client that a trusted proxy names. */
static inline const ByteStreamPeer *http_connection_client(const HttpConnection *c) {
  return c->forwarded ? &c->forwarded->client : &c->peer;
}

/* The client is not counted any more (max_per_ip). */
void http_connection_uncount(HttpConnection *c);

/* May the running handler still respond? */
static inline bool http_connection_may_answer(const HttpConnection *c) {
  return c->phase == PHASE_HANDLING;
}

/* Raises what follows the current response to at least this. */
static inline void http_connection_end_after(HttpConnection *c, HttpAfter after) {
  if (c->after < after) c->after = after;
}

/* What is in `out`, or will be put there, is the last thing the client gets. */
static inline void http_connection_enter_last(HttpConnection *c, HttpAfter after) {
  http_connection_end_after(c, after);
  c->phase = PHASE_LAST;
}

/* How the response to the current request, about to be put into `out`, is framed. Decides whether
   another request may follow; if the response is `streamed`, an unread body does not matter for
   that yet. */
HttpFraming http_connection_framing(HttpConnection *c, int status, bool streamed);

/* The handler's response, or the head of it, is in `out`. */
static inline void http_connection_answered(HttpConnection *c) { c->phase = PHASE_ANSWERED; }

/* It was removed again: nothing of it has been sent. */
static inline void http_connection_take_back(HttpConnection *c) { c->phase = PHASE_HANDLING; }

/* Stops reading until http_connection_resume: too much waits. */
void http_connection_pause(HttpConnection *c);
void http_connection_resume(HttpConnection *c);

/* Gives the client this many milliseconds to send; 0 or HTTP_NO_LIMIT: no limit. */
void http_connection_set_deadline(HttpConnection *c, uint64_t ms);

/* While a handler runs: restarts the client's time limit if bytes are expected from it, or removes
   it. */
void http_connection_renew_deadline(HttpConnection *c);

/* The handler's task starts to run. */
void http_connection_running(HttpConnection *c);

/* The handler's task has ended and its response is in `out`: continues with the next request. `c`
   may be freed. */
void http_connection_responded(HttpConnection *c);

/* What is due at the end of a pass: writing, noticing that the client has gone, closing. */
void http_connection_pass(HttpConnection *c);

/* --- http_connection_end.c --- */

/* Accepts no request after the current one; closes at once if there is none. */
void http_connection_retire(HttpConnection *c);

/* Everything is written and no request follows. If the client is still sending, closing the socket
   now would reset it and lose the response (RFC 9112 section 9.6): shuts our side and waits for the
   client's end. */
void http_connection_end(HttpConnection *c);

/* Closes the socket at once, if a response has begun that will not be completed, or none can be
   given; a running handler continues. With `reset`, no client can take that for an orderly end. */
void http_connection_close(HttpConnection *c, bool reset);

/* The same, and cancels the handler: its client has gone. */
void http_connection_abort(HttpConnection *c);

/* Frees the connection if neither the socket nor a handler needs it. */
void http_connection_release(HttpConnection *c);

/* Checks whether the client had made progress in time when events were last polled, at `polled_at`
   in loop milliseconds, and whether it is still there while reading is paused. */
void http_connection_expire(HttpConnection *c, uint64_t polled_at);

/* The socket of `c` is closed; a callback of its ByteStreamUser. */
void http_connection_closed(ByteStream *s);

#endif
