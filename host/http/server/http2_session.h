/* An HTTP/2 connection of a server (RFC 9113), on nghttp2. Each stream is an HttpConnection of its
   own (http2_stream.h), so that requests, responses, limits, cancellation and the access log are
   those of HTTP/1. The HttpConnection of the socket carries the session: it is PHASE_CARRYING, and
   its `out` is what the session has to send.

   Two rules hold the pieces together. nghttp2's callbacks only take note: what they found is dealt
   with when nghttp2 has returned, by http2_stream_news. And nghttp2 is asked for frames as soon as
   a stream has bytes, since those need not be copied then, but the socket is written to once, at
   the end of the pass. */
#ifndef ML_HTTP2_SESSION_H
#define ML_HTTP2_SESSION_H

#include "http/http2_library.h"
#include "http/http2_memory.h"
#include "http/server/http2_frames.h"
#include "http/server/http2_guard.h"
#include "http/server/http2_head.h"
#include "http/server/http2_reply.h"
#include "http/server/http_connection.h"

typedef struct Http2Stream Http2Stream;

enum {
  HTTP2_STREAMS = 100,        /* at once, with those whose handlers still run after a reset */
  HTTP2_FEW_STREAMS = 10,     /* the same while all connections have max_connections of them */
  HTTP2_WINDOW = 1024 * 1024, /* bytes of all bodies that clients may send before we say more */
  HTTP2_GAPS = 4,             /* runs of stream numbers that were skipped, kept in mind */
  HTTP2_ENDED = 32,           /* streams that their client has ended, the same */
};

typedef struct Http2Session {
  const Http2Library *lib;
  nghttp2_session *ng;
  Http2Memory memory;            /* of `ng` */
  HttpConnection *connection;    /* the one that carries the session, and owns it */
  struct Http2Session *next_due; /* in the server's list */
  Http2Stream *streams;          /* all whose memory is not freed */
  Http2Stream *news;             /* those that something was found out about */
  Http2Stream *closed;           /* those whose user waits to be told so */
  uint32_t n_streams;
  int32_t last_stream;  /* the client's highest number so far */
  int32_t head_stream;  /* the one whose head has begun and not ended, or 0 */
  Http2Stream *reading; /* that one, if its fields are wanted: of a request that is not refused */
  struct {
    int32_t from, to; /* odd numbers below it that no stream had */
  } gaps[HTTP2_GAPS];
  unsigned next_gap;
  int32_t ended[HTTP2_ENDED];
  unsigned next_ended;
  Http2Guard guard;
  Http2Frames frames;
  Http2Head head;     /* of the stream whose head is coming */
  uint8_t rest;       /* looks in a row that found nothing to do; then it rests */
  bool due;           /* in the server's list */
  bool is_head_timed; /* the connection's deadline is for that head */
  bool retires;       /* told that it has to end, the client may still open streams */
  bool wants_ping;    /* whose answer says that the client knows of that */
  bool has_retired;   /* it may not */
  bool is_flooding;   /* it has sent too many frames without effect */
  bool is_broken;     /* nghttp2 has failed */
} Http2Session;

extern const Http2Calls http2_session_calls;

/* From now on, `c` carries a session; nothing of a request has come. False, with nothing changed,
   if memory is out. */
bool http2_session_open(HttpConnection *c);

/* Takes bytes of the client. */
void http2_session_came(Http2Session *s, const char *bytes, size_t n);

/* Does what is left to do at the end of the pass. */
void http2_session_due(Http2Session *s);

/* The end of a pass. `s` may be freed. */
void http2_session_pass(Http2Session *s);

/* Puts frames into the connection's `out`, as long as the socket takes them. */
void http2_session_pull(Http2Session *s);

/* Would the next head that is submitted be the first frame which http2_session_pull puts there? */
bool http2_session_is_prompt(const Http2Session *s);

/* Takes from the client's allowance; if that is used up, the session ends. */
void http2_session_charge(Http2Session *s, Http2Cost cost);

/* Asks the client to go: first it may open more streams, since it may have already; then, after a
   round trip, it is told which was the last. Repeated calls are ignored. */
void http2_session_retire(Http2Session *s);

/* That round trip is over. */
void http2_session_farewell(Http2Session *s);

/* Ends at once, for a connection that only waits for its client: says which stream was the last. */
void http2_session_leave(Http2Session *s);

/* The connection's time is over. */
void http2_session_expire(Http2Session *s);

/* A look now and then: one that has had nothing to do since the last one keeps little memory. */
void http2_session_look(Http2Session *s);

/* The connection is about to be closed: its streams have lost their client. */
void http2_session_over(Http2Session *s);

/* The connection is closed. Frees `s` and returns true if no stream is left. */
bool http2_session_free(Http2Session *s);

/* --- http2_session_callbacks.c, for http2_session.c --- */

/* Takes no more of the head that is coming: its stream is refused. */
void http2_session_refuse_head(Http2Session *s);

/* May this frame come now? False: the session ends. */
bool http2_session_check_frame(Http2Session *s, Http2Frame frame);

/* nghttp2's session for a server. NULL if memory is out. */
nghttp2_session *http2_session_new_ng(Http2Session *s);

#endif
