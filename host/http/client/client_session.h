/* An HTTP/2 session of a client (RFC 9113), by nghttp2: bytes in, frames out, a response for each
   stream. It has no socket, so that a fuzzer can drive it.

   Whoever has a transport does this:
     client_session_feed(s, bytes, n) when bytes have come;
     client_session_pull(s, ...) when bytes can be sent;
   and after each of them takes the streams to which something has happened, one by one, from
   client_session_changed. nghttp2's callbacks only take notes, since it must not be asked to send
   or be deleted within them. */
#ifndef ML_CLIENT_SESSION_H
#define ML_CLIENT_SESSION_H

#include "base/buffer.h"
#include "http/client/client_response.h"
#include "http/http2_library.h"

typedef struct ClientSession ClientSession;
typedef struct ClientStream ClientStream;

/* How a stream has ended without its response being complete, or bad. */
typedef enum ClientStreamEnd {
  CLIENT_STREAM_OPEN,
  CLIENT_STREAM_REFUSED,      /* the server has done nothing for it: it can be sent again */
  CLIENT_STREAM_WANTS_HTTP_1, /* the same, but on a connection of HTTP/1.1 */
  CLIENT_STREAM_RESET,        /* by the server: `code` */
} ClientStreamEnd;

/* A request and its response on a session. All zero is none. */
struct ClientStream {
  ClientSession *session; /* NULL: it is on none */
  ClientResponse *response;
  ClientStream *next, **link; /* among the session's */
  ClientStream *next_changed; /* if `changed` */
  bool changed;
  bool has_body, body_ended;
  bool deferred; /* nghttp2 waits for more of the body */
  bool is_reset; /* the server has said so */
  bool is_wide;  /* its window has been made larger */
  ClientStreamEnd end;
  uint32_t code;
  int32_t id;
  const char *body; /* bytes to send, which stay the owner's; then those of `upload` */
  size_t body_left;
  Buffer upload;
  size_t uploaded; /* bytes of it that have been sent */
  uint64_t came;   /* bytes of the response's body */
  size_t ahead;    /* bytes of it that the server may send before others were taken */
  uint64_t heard;  /* session->heard when it began */
};

struct ClientSession {
  const Http2Library *library;
  nghttp2_session *h2;
  ClientStream *first;
  ClientStream *changed, **last_changed;
  unsigned streams;  /* in the list */
  bool is_settled;   /* the server's settings have come */
  bool is_leaving;   /* the server takes no more streams */
  bool is_broken;    /* against the rules: nothing more is read */
  bool is_news;      /* nghttp2 has told of something */
  uint64_t heard;    /* bytes that have come */
  unsigned noise;    /* frames that lead nowhere */
  size_t astray;     /* bytes of bodies that we have cancelled and that may be on their way */
  uint64_t noise_at; /* milliseconds: when they were last forgiven some */
  char error[120];   /* what is wrong with the connection, or "" */
};

enum {
  CLIENT_SESSION_WINDOW = 16 * 1024 * 1024, /* bytes of all bodies on their way */
  CLIENT_STREAM_WINDOW = CLIENT_MAX_UNREAD, /* of one of them, at first */
  CLIENT_STREAM_WIDE_PIECES = 1024 * 1024,  /* of one whose reader keeps up */
  CLIENT_STREAM_WIDE = 4 * 1024 * 1024,     /* of one that is wanted whole */
};

/* Opens a session: the preface and our settings are the first to be pulled. `s` is all zero, and
   must not move. False if memory is out. */
bool client_session_open(ClientSession *s, const Http2Library *library);

/* Frees everything; no stream may be left. Not from a callback of nghttp2. */
void client_session_close(ClientSession *s);

/* How many more streams the server allows; those whose requests cannot be sent `again` have to wait
   for its settings, except for the first. */
unsigned client_session_room(const ClientSession *s, bool again);

/* Sends a request with these fields, the pseudo-headers first, which are copied. `stream` is all
   zero but for its body and response. False if memory is out. */
bool client_session_begin(ClientSession *s, ClientStream *stream, const nghttp2_nv *fields,
                          size_t n);

/* Takes `n` bytes at the time `now`, in milliseconds. False if the session is broken: s->error
   says why, and a last word to the server may still be pulled. */
bool client_session_feed(ClientSession *s, const char *bytes, size_t n, uint64_t now);

/* Appends frames to `out`, about `most` bytes of them; none if there is nothing to say. False if
   memory is out. */
bool client_session_pull(ClientSession *s, Buffer *out, size_t most);

/* We have reset the stream: what the server has sent of it by then is no noise. */
void client_session_stray(ClientSession *s, const ClientStream *stream);

/* The next stream to which something has happened, or NULL. */
ClientStream *client_session_changed(ClientSession *s);

/* Will neither side say anything more? */
bool client_session_is_over(const ClientSession *s);

/* Asks whether the server is still there: any byte that comes says so. */
void client_session_ask(ClientSession *s);

/* We open no more streams: tells the server. */
void client_session_leave(ClientSession *s);

/* Takes the stream off its session. If it has not ended, the server is told: it is cancelled. Frees
   what it has. */
void client_session_end_stream(ClientStream *stream);

/* Adds to the body of an upload, or ends it. False if memory is out. */
bool client_session_write(ClientStream *stream, const char *bytes, size_t n);
void client_session_end_body(ClientStream *stream);

/* Bytes of an upload that nghttp2 has not taken. */
static inline size_t client_session_unsent(const ClientStream *stream) {
  return stream->body_left + stream->upload.len - stream->uploaded;
}

/* `n` bytes of the response's body were taken by its reader, who wants more: the server may send as
   many. */
void client_session_taken(ClientStream *stream, size_t n);

/* `n` bytes of it have come that nobody can take yet, since its reader still writes the body of the
   request: lets the server go on a little, which may not read before it has written. */
void client_session_advance(ClientStream *stream, size_t n);

#endif
