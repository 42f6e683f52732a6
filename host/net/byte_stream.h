/* The byte-stream side of a connection: read, write, pause, shut, close. Its user sees bytes and
   never the socket, so that the layer below (TCP, TLS or a pipe in memory) and the one above
   (HTTP/1, later HTTP/2 and WebSocket) do not depend on each other.

   At most one write is under way. Nothing here enters Lua or frees the stream: its user frees it
   after `closed`. */
#ifndef ML_BYTE_STREAM_H
#define ML_BYTE_STREAM_H

#include "base/buffer.h"
#include "net/memory_end.h"
#include "net/tls_session.h"
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/uio.h>
#include <uv.h>

typedef struct ByteStream ByteStream;
typedef union ByteStreamPeer ByteStreamPeer;

/* What is below a stream instead of a socket. Each function is that of the same name in this file,
   for such a stream. */
typedef struct ByteStreamBelow {
  void (*peer)(const ByteStream *s, ByteStreamPeer *peer);
  void (*resume)(ByteStream *s);
  ssize_t (*send)(ByteStream *s, const struct iovec *parts, size_t n);
  /* s->write has begun: takes of its data, counts that in `at`, and calls byte_stream_write_over,
     later, when it is over. */
  void (*write)(ByteStream *s);
  /* Bytes that were taken and have not reached the other side. */
  size_t (*unread)(const ByteStream *s);
  void (*shut)(ByteStream *s);
  bool (*has_gone)(const ByteStream *s);
  /* Drops s->write if there is one. Calls `closed` of the user later. */
  void (*close)(ByteStream *s, bool reset);
} ByteStreamBelow;

/* Callbacks of the user, called from the loop. Each may call any function of this file. */
typedef struct ByteStreamUser {
  /* Returns the room for the next bytes; if its length is 0, they stay where they are. */
  uv_buf_t (*room)(ByteStream *s);
  /* `n` bytes have arrived in that room. */
  void (*came)(ByteStream *s, const char *bytes, size_t n);
  /* Nothing more comes. UV_EOF: the peer has ended its side; any other libuv error: it has gone, or
     UV_EPROTO: TLS has failed, or was cut off, and byte_stream_tls has the reason. */
  void (*ended)(ByteStream *s, int status);
  /* The write of byte_stream_write is over: 0 or a libuv error. Not called after
     byte_stream_close. */
  void (*written)(ByteStream *s, int status);
  /* byte_stream_close is complete. */
  void (*closed)(ByteStream *s);
  /* The handshake of TLS is over. May be NULL. */
  void (*secured)(ByteStream *s);
} ByteStreamUser;

union ByteStreamPeer {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};

struct ByteStream {
  uv_tcp_t tcp;
  const ByteStreamUser *user;
  struct ByteStreamWrite *write; /* under way, or NULL */
  struct TlsStream *tls;         /* between the socket and the user, or NULL */
  TlsContext *tls_context;       /* of a server, until the first byte makes `tls`; or NULL */
  const ByteStreamBelow *below;  /* instead of a socket, which `tcp` has not got then; or NULL */
  MemoryEnd *memory;             /* what is below is an end of a pipe in memory; or NULL */
  uint64_t pipe;                 /* its number, kept after the end */
  int fd;                        /* of `tcp`, or -1 */
  bool is_pipe;                  /* `fd` is no socket */
  bool paused;                   /* reading is paused: its user has enough */
  bool ended;                    /* the peer has ended its side */
};

/* Takes over a connected non-blocking socket, of TCP or a Unix one, and begins to read. Returns 0
   or a libuv error; the stream must be closed in both cases. */
int byte_stream_open(ByteStream *s, uv_loop_t *loop, int fd, const ByteStreamUser *user);

/* The same for the end of a pipe(2), or another descriptor that is no socket and can be waited for.
   One that is not `readable` never ends by itself. Its peer has no address, and shutting it does
   nothing. */
int byte_stream_open_pipe(ByteStream *s, uv_loop_t *loop, int fd, bool readable,
                          const ByteStreamUser *user);

/* The same for whatever `below` stands for, which begins to read by itself. `tcp` is not touched.
 */
void byte_stream_open_below(ByteStream *s, const ByteStreamBelow *below,
                            const ByteStreamUser *user);

/* The same for the end of a pipe in memory, which cannot fail. Its peer has the address 127.0.0.1,
   and the number of the pipe as its port. */
void byte_stream_open_memory(ByteStream *s, uv_loop_t *loop, MemoryEnd *end,
                             const ByteStreamUser *user);

/* Puts TLS below an open stream: from now on its bytes are encrypted. A server (the context says
   which side we are) makes the state with the first byte of its client and costs next to nothing
   before. A client says hello, and asks for `name`, a host name or an address; a server's is NULL.
   Nothing is sent before `secured` is called, or `ended`. Returns 0 or UV_ENOMEM. */
int byte_stream_secure(ByteStream *s, TlsContext *context, const char *name);

/* The next bytes of what the peer has sent: they had come, in clear, before byte_stream_secure was
   called, and belong to its side of TLS. */
void byte_stream_secure_came(ByteStream *s, const char *bytes, size_t n);

/* The session: for what was agreed on, and for the reason of a failure; or NULL. */
const TlsSession *byte_stream_tls(const ByteStream *s);

/* The peer's address; all zero if it is not known. */
void byte_stream_peer(const ByteStream *s, ByteStreamPeer *peer);

/* Stops reading until byte_stream_resume. Both may be called repeatedly and at any time. */
void byte_stream_pause(ByteStream *s);
void byte_stream_resume(ByteStream *s);

/* Writes as much as the socket takes at once; no write may be under way. Returns the number of
   bytes, or a libuv error. What was not taken has to be the next that is written, if anything is:
   some of it may be on its way encrypted. */
ssize_t byte_stream_send(ByteStream *s, const char *bytes, size_t n);
ssize_t byte_stream_send_parts(ByteStream *s, const struct iovec *parts, size_t n);

/* Writes the bytes of `data` from `from` on when the socket takes them. Takes over `data`, which is
   then empty. Returns 0 or a libuv error, in which case the bytes are lost. */
int byte_stream_write(ByteStream *s, Buffer *data, size_t from);
static inline bool byte_stream_is_writing(const ByteStream *s) { return s->write; }

/* Bytes of somebody else, who is told when they are not needed any more. */
typedef struct ByteStreamLoan {
  void (*give_back)(struct ByteStreamLoan *loan); /* may free it; called from the loop */
} ByteStreamLoan;

/* The same for the bytes from `from` to `n` of a loan, which has ended if this fails. */
int byte_stream_write_lent(ByteStream *s, const char *bytes, size_t n, size_t from,
                           ByteStreamLoan *loan);

/* Bytes of byte_stream_write that the system, the pipe in memory or TLS has not taken. */
size_t byte_stream_queued_above(const ByteStream *s);
static inline size_t byte_stream_queued(const ByteStream *s) {
  if (s->below || s->tls_context) return byte_stream_queued_above(s);
  return uv_stream_get_write_queue_size((const uv_stream_t *)&s->tcp);
}

/* The same, including bytes that the peer's system has not acknowledged. */
size_t byte_stream_unsent(const ByteStream *s);

/* Ends our side when everything is written; the peer's side stays open. Returns 0 or a libuv
   error. */
int byte_stream_shut(ByteStream *s);

/* Makes the system probe now and then whether a peer that has ended its side is still there. */
void byte_stream_watch_peer(ByteStream *s);

/* Has the peer gone? Works even while reading is paused. If the peer has ended its side, only a
   reset noticed by the system counts. */
bool byte_stream_has_gone(const ByteStream *s);

/* Has its socket bytes that were not read yet? */
bool byte_stream_has_unread(const ByteStream *s);

/* Closes the socket at once; with `reset`, in a way that the peer cannot take for an orderly end.
   `closed` is called from the loop, once. */
void byte_stream_close(ByteStream *s, bool reset);

/* --- for tls_stream.c, and for what is below instead of a socket --- */

typedef struct ByteStreamWrite {
  uv_write_t request;
  ByteStream *stream;
  Buffer data;
  ByteStreamLoan *loan; /* what `data` belongs to, or NULL */
  size_t at;            /* for a pipe in memory or TLS: what it has taken */
} ByteStreamWrite;

/* Begins to read from the socket. */
void byte_stream_read_start(ByteStream *s);

/* The write under way is over: tells the user. */
void byte_stream_write_over(ByteStream *s, int status);

/* The same while the stream is closed: its user is not told. */
void byte_stream_write_drop(ByteStream *s);

#endif
