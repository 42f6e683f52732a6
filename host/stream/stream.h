/* The stream that scripts read and write: of a socket, a pipe or a file. It keeps what has come and
   was not read yet, the task that waits for more, and the line of tasks that wait to write. Where
   the bytes come from and go to is its source's: stream_socket.h has that of sockets and pipes.

   A new kind of stream embeds a Stream as its first member, has a StreamSource, and calls
   stream_open once. After that the Stream belongs to the Lua object that bindings/stream makes
   (stream_object_push), or to whoever calls stream_release instead: it is freed by the source's
   `free` when it is both released and closed.

   Everything belongs to one runtime and its thread. Nothing here enters Lua. */
#ifndef ML_STREAM_H
#define ML_STREAM_H

#include "base/buffer.h"
#include "core/runtime.h"
#include "stream/stream_scan.h"
#include <sys/types.h>

typedef struct Stream Stream;

/* What a kind of stream does. Each function is called from the loop's thread, by tasks and from
   libuv's callbacks; none may enter Lua. */
typedef struct StreamSource {
  const char *error_kind; /* of its errors: "network", "process", "fs" */

  /* The path of a file, for its errors; NULL for other sources. */
  const char *(*path)(const Stream *s);

  /* Bytes are wanted: `stream_came` or `stream_ended` is to be called some time later. Called again
     while it is at that, which must not matter. */
  void (*fetch)(Stream *s);

  /* Writes what can be written at once: the number of bytes, 0 or more, or a libuv error. Not
     called while a `write` is under way. */
  ssize_t (*send)(Stream *s, const char *bytes, size_t n);

  /* Begins to write: takes over (as a copy) as many of the `n` bytes as it wants to, at least one,
     and calls `stream_written` some time later, once, unless the stream is closed before. Returns
     how many, or a libuv error. */
  ssize_t (*write)(Stream *s, const char *bytes, size_t n);

  /* How many bytes of that `write` the system has not taken yet. */
  size_t (*unwritten)(const Stream *s);

  /* Ends what is written; nothing is under way. Returns 0 or a libuv error. */
  int (*shut)(Stream *s);

  /* A task begins or stops waiting for this stream: whether it should keep the loop alive. Or NULL:
     what it waits for does so by itself. */
  void (*hold)(Stream *s, bool held);

  /* Closes it: drops what it was about to write, and calls `stream_closed` some time later, once.
     `cut`: a write was broken off, so that the other side must not take this for an orderly end. */
  void (*close)(Stream *s, bool cut);

  /* Frees the memory. */
  void (*free)(Stream *s);

  /* Writes for people what it is: "the connection to 127.0.0.1:80". Allocates nothing; works after
     the end. */
  void (*describe)(const Stream *s, char *text, size_t size);

  /* Optional: pushes nothing and returns NULL, or says more of the error it has ended with than
     its libuv code does, and sets `*kind` and `*code` of the error object. The text lives as long
     as the stream. */
  const char *(*error)(const Stream *s, int status, const char **kind, const char **code);
} StreamSource;

/* The streams of a runtime; closed with it. */
typedef struct Streams {
  CloseHook close_hook;
  Runtime *rt;
  Stream *open;
  size_t refs;   /* its streams that are not freed, and the Lua state's */
  char *scratch; /* where small reads go first */
} Streams;

/* A write that waits. Its memory is the caller's, until it is done or has left. */
typedef struct StreamWriter {
  Stream *stream;
  struct StreamWriter *next;
  Waker waker;
  const char *bytes; /* kept by whoever waits */
  size_t len;
  size_t taken; /* by the system */
  int status;   /* when it was woken: 0, or a libuv error; UV_ECANCELED: the stream was closed */
  bool is_done, is_cancelled;
} StreamWriter;

struct Stream {
  const StreamSource *source;
  Streams *all;
  Stream *next, **place; /* among the open ones */

  Buffer in;    /* what has come */
  size_t at;    /* how much of that has been read */
  int ended;    /* 0; UV_EOF; or the error that has ended it */
  bool is_bulk; /* much comes at a time: it is read to where it stays */

  Task *reader;  /* the task that reads, from its first wait to its end; or NULL */
  Waker waiting; /* the same while it waits; otherwise without a task */
  StreamWant want;
  size_t from;      /* where what it wants begins, after `at`: behind what it has got already */
  int argument;     /* which of its formats that is, for bindings/stream */
  int last;         /* and the last one */
  int read_status;  /* when it was woken: 0, UV_ETIMEDOUT, or UV_ECANCELED: the stream was closed */
  uint64_t read_at; /* the last progress */
  Timer read_timer;

  StreamWriter *writers, **writers_end; /* the first one is at it */
  bool is_writing;                      /* a `write` of the source is under way */
  int write_error;                      /* what has ended writing, or 0 */
  size_t unwritten;                     /* as last seen */
  uint64_t write_at;
  Timer write_timer;

  double timeout;  /* seconds without progress; HUGE_VAL: none */
  size_t max_line; /* bytes */
  uint8_t held;    /* waits that keep the loop alive */
  bool can_read, can_write;
  bool is_bound;    /* what a `send` has not taken has to be written next: a piece of it may be on
                       its way */
  bool is_shut;     /* its writing side was ended by us */
  bool is_closed;   /* by us: nothing can be read or written any more */
  bool is_gone;     /* and the source has closed it */
  bool is_released; /* nobody has it any more */
};

#define STREAM_MAX_LINE (64 * 1024)
#define STREAM_READ_SIZE (64 * 1024) /* bytes asked for at a time, and kept for nobody */

/* --- for those who make streams --- */

/* Makes what the streams of a runtime share; the caller (bindings/stream) keeps one for each
   runtime, and lets go of it with stream_drop_shared. NULL if memory is out. */
Streams *stream_new_shared(Runtime *rt);
void stream_drop_shared(Streams *all);

/* Begins the life of a stream whose memory is zero. */
void stream_open(Stream *s, Streams *all, const StreamSource *source, bool can_read,
                 bool can_write);

/* Nobody needs it any more: closes it if it is open, and frees it when it is closed. */
void stream_release(Stream *s);

/* --- for its source --- */

/* The room for the next bytes, at most STREAM_READ_SIZE of them; good until the loop's callback
   returns, so a source whose bytes come from another thread has room of its own. Empty: it is
   closed, or memory is out. */
uv_buf_t stream_room(Stream *s);

/* Nobody wants more than has come: its source should stop until `fetch`. */
bool stream_has_enough(const Stream *s);

/* `n` bytes have come, in that room or elsewhere. Calls `fetch` if more is wanted. */
void stream_came(Stream *s, const char *bytes, size_t n);

/* Nothing more comes: UV_EOF, or the libuv error with which it has failed. */
void stream_ended(Stream *s, int status);

/* The `write` is over: 0, or a libuv error. */
void stream_written(Stream *s, int status);

/* The `close` is over: may free the stream. */
void stream_closed(Stream *s);

/* Somebody waits for the stream otherwise than by reading and writing: it keeps the loop alive. */
void stream_hold(Stream *s);
void stream_let_go(Stream *s);

/* How many bytes have come and were not read, and forgets them: for a source that can be moved. */
size_t stream_unread(const Stream *s);
void stream_forget(Stream *s);

/* --- for bindings --- */

/* Looks for s->want behind s->from. STREAM_FOUND: `*bytes`, `*len`, and how many are `*used`. */
StreamLook stream_look(Stream *s, const char **bytes, size_t *len, size_t *used);

/* The next `n` bytes were read. */
void stream_consume(Stream *s, size_t n);

/* The reading task begins to wait for s->want, and does so no more. */
void stream_read_begins(Stream *s, Waker waker);
void stream_read_ends(Stream *s);

/* Writes what can be written at once, if nobody is in line. Returns the number of bytes or a libuv
   error. */
ssize_t stream_send(Stream *s, const char *bytes, size_t n);

/* Puts a writer into line, with `bytes`, `len`, `waker`, and `taken` if some were written already;
   its other fields are zero. It is woken when it is done. */
void stream_write_begins(Stream *s, StreamWriter *w);

/* Takes it out before its end; w->taken then says how much was written. If that is only a piece, or
   if the rest of it cannot be taken back, closes the stream and returns true. */
bool stream_write_leaves(StreamWriter *w);

/* Ends our side. UV_EBUSY: a write waits. Returns 0 or a libuv error. */
int stream_shut(Stream *s);

/* Closes it; may be called again. Who waits is woken with UV_ECANCELED. */
void stream_close(Stream *s);

/* The same after a write was broken off. */
void stream_cut(Stream *s);

#endif
