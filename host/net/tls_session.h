/* One TLS connection without its transport: ciphertext goes in and out by memory, so that whoever
   has a socket, a ByteStream or the HTTP client's own connection, does the reading and sending.

   A transport does this when bytes have come:
     tls_session_lend(s, bytes, n);
     until s->ready: tls_session_handshake(s)
     tls_session_read(s, ...) as long as it returns bytes
     tls_session_keep(s);
   and sends what is in *s->out after each call, also one that failed: an alert may be there. */
#ifndef ML_TLS_SESSION_H
#define ML_TLS_SESSION_H

#include "base/buffer.h"
#include "net/tls_context.h"
#include "net/tls_hello.h"
#include <stdint.h>
#include <sys/types.h>

typedef struct TlsSession TlsSession;
struct TlsSession {
  SSL *ssl;
  TlsContext *context;
  const char *in; /* ciphertext that OpenSSL has not taken */
  size_t n_in;
  Buffer kept; /* what of it is kept from call to call */
  Buffer *out; /* where ciphertext for the peer is put; set by the transport, before each call */
  char *error; /* why it failed, or NULL */
  char *name;  /* a client: the name or address that was asked for, or NULL */
  TlsHello hello;
  uint16_t changes; /* a server: steps in changing keys since the handshake */
  bool ready;       /* the handshake is over */
  bool failed;      /* nothing can be read or written any more */
  bool ended;       /* the peer has ended its side, in order */
  bool shut;        /* we have ended ours */
  bool cut;         /* it has failed because the transport ended before the peer did */

  /* A client: the server offers to resume the session in a later connection, perhaps more than
     once. True: `session` is taken over, with its reference. For contexts with `keep_sessions`. */
  bool (*on_session)(TlsSession *s, SSL_SESSION *session);
  void *owner;      /* whatever that needs */
  uint64_t checked; /* for it: when the server's certificate was checked, or 0 */
};

/* Begins a connection, which keeps a reference to `context`. A client asks for `name`, a host name
   or an address, which the server's certificate has to be for; a server's is NULL. `s` is all zero
   but `out`, and may have been lent bytes. False if memory is out. `s` must not move. */
bool tls_session_open(TlsSession *s, TlsContext *context, const char *name);

/* Frees everything; `s` is all zero again. Says nothing to the peer. */
void tls_session_close(TlsSession *s);

/* Lends ciphertext of the peer until tls_session_keep, which copies what was not taken. If memory
   is out, the session has failed. */
void tls_session_lend(TlsSession *s, const char *bytes, size_t n);
void tls_session_keep(TlsSession *s);

/* A client: asks to go on with a session of an earlier connection with the same context and name.
   Called before the handshake; the reference stays the caller's. False if the session cannot be
   resumed. */
bool tls_session_resume(TlsSession *s, SSL_SESSION *session);

/* Continues the handshake, as a client also begins it. Returns 1: it is over; 0: more bytes of the
   peer are needed; UV_EPROTO: it has failed, and s->error says why. */
int tls_session_handshake(TlsSession *s);

/* Reads up to `n` bytes of plaintext. Returns their number; 0: more bytes of the peer are needed;
   UV_EOF: the peer has ended its side; UV_EPROTO. */
ssize_t tls_session_read(TlsSession *s, char *to, size_t n);

/* Could tls_session_read return something without further bytes of the peer? */
bool tls_session_has_input(const TlsSession *s);

/* Puts all `n` bytes into *s->out as ciphertext. Returns 0, or UV_EPROTO or UV_ENOMEM. */
int tls_session_write(TlsSession *s, const char *bytes, size_t n);

/* Ends our side: nothing may be written after that. */
void tls_session_shut(TlsSession *s);

/* The transport has ended. Before the peer has ended its side in order, that is a cut, which
   becomes the session's error. Returns UV_EOF or UV_EPROTO. */
int tls_session_transport_ended(TlsSession *s);

/* OpenSSL calls this for a server when a message of a handshake was dealt with. */
void tls_session_informed(const SSL *ssl, int what, int value);

/* OpenSSL calls this, in a context with `keep_sessions`, when a session can be resumed. */
int tls_session_offered(SSL *ssl, SSL_SESSION *session);

/* What was agreed on. The strings live as long as the session; `alpn` is not terminated, and NULL
   if there is none. */
typedef struct TlsAgreed {
  const char *version; /* "TLSv1.3" */
  const char *cipher;
  const char *alpn;
  unsigned n_alpn;
  bool resumed;
  X509 *peer; /* the peer's certificate, or NULL */
} TlsAgreed;

void tls_session_agreed(const TlsSession *s, TlsAgreed *agreed);

#endif
