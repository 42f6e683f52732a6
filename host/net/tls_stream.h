/* TLS below a ByteStream: what byte_stream.c calls instead of the socket. Private to these two.

   Bytes that come are decrypted from where libuv has read them into the room of the stream's user.
   What is to be sent is collected, and sent in one go; only what the socket does not take at once
   is kept. */
#ifndef ML_TLS_STREAM_H
#define ML_TLS_STREAM_H

#include "net/byte_stream.h"
#include "net/tls_line.h"
#include "net/tls_session.h"

typedef struct TlsStream {
  TlsSession session;
  ByteStream *bytes;
  TlsLine *line;
  TlsTurn turn;
  uv_write_t request;  /* of `flight` */
  Buffer flight, rest; /* ciphertext: being written by libuv; and what follows it */
  size_t ahead;        /* plaintext that is sent already of what the user will give once more */
  int transport;       /* how the socket has ended, which its user has not been told; or 0 */
  int broken;          /* why the socket takes nothing more; or 0 */
  bool held;           /* reading rests, since much came while it waits in the line */
  bool shuts;          /* our side of the socket is to be shut when `flight` is empty */
} TlsStream;

/* Begins; a client asks for `name`. NULL if memory is out. */
TlsStream *tls_stream_new(ByteStream *bytes, TlsContext *context, const char *name);

/* The socket is closed. */
void tls_stream_free(TlsStream *t);

/* A client begins the handshake. */
void tls_stream_greet(TlsStream *t);

/* libuv has read ciphertext, into line->input; or the socket has ended. */
void tls_stream_came(TlsStream *t, const char *bytes, size_t n);
void tls_stream_ended(TlsStream *t, int status);

/* As the functions of byte_stream.h. */
ssize_t tls_stream_send(TlsStream *t, const struct iovec *parts, size_t n);
void tls_stream_write(TlsStream *t);
void tls_stream_resume(TlsStream *t);
int tls_stream_shut(TlsStream *t);
/* Says goodbye, if nothing was cut. */
void tls_stream_close(TlsStream *t);

#endif
