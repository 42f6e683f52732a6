/* What the TLS connections of one server, or of clients with equal options, have in common:
   certificates, keys, trusted authorities, protocols. Immutable once it is made and counted, so
   that any thread may use it; reading the files again makes a new one. */
#ifndef ML_TLS_CONTEXT_H
#define ML_TLS_CONTEXT_H

#include "net/tls_library.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

typedef enum TlsVerify {
  TLS_VERIFY_DEFAULT,  /* a client checks the server; a server asks for no certificate */
  TLS_VERIFY_NONE,     /* the peer may be anybody */
  TLS_VERIFY_OPTIONAL, /* a client need not have a certificate; one it has must be good */
  TLS_VERIFY_REQUIRED, /* the peer must have a good one */
} TlsVerify;

/* Each is the path of a PEM file, or PEM text: what contains "-----BEGIN". */
typedef struct TlsPair {
  const char *cert; /* with the chain behind it */
  const char *key;  /* NULL: in the same file or text */
} TlsPair;

typedef struct TlsOptions {
  bool is_server;
  const TlsPair *pairs; /* a client: one or none. A server: one or more, chosen by the name that is
                           asked for; if none fits, the first */
  size_t n_pairs;
  const char *ca; /* trusted authorities; NULL: the system's */
  TlsVerify verify;
  const char *const *alpn; /* protocols, the most wanted first */
  size_t n_alpn;
  int min_version;    /* TLS1_2_VERSION or TLS1_3_VERSION; 0: TLS 1.2 */
  bool no_tickets;    /* a server: sessions cannot be resumed */
  bool keep_sessions; /* a client: on_session of tls_session.h is called */
} TlsOptions;

typedef struct TlsContext {
  SSL_CTX *ssl; /* for new connections */
  const TlsLibrary *library;
  atomic_uint refs;
  bool is_server, checks_peer;
  unsigned char *alpn; /* as OpenSSL wants them, or NULL */
  unsigned n_alpn;
  size_t n_named;
  struct TlsNamed {
    SSL_CTX *ssl;
    X509 *cert;
  } named[]; /* one for each pair of a server, in their order */
} TlsContext;

enum { TLS_ERROR_MAX = 512 };

/* Reads the files and makes a context with one reference. NULL if that fails: `error` says which
   file or certificate is wrong, and why. Blocks while it reads; from any thread. */
TlsContext *tls_context_new(const TlsOptions *options, char error[static TLS_ERROR_MAX]);

/* Adds a reference; from any thread. */
TlsContext *tls_context_retain(TlsContext *context);

/* Takes one away, the last of which frees the context. NULL is ignored; from any thread. */
void tls_context_release(TlsContext *context);

#endif
