/* The TLS of a pool: the options of its client, and the contexts that are made of them when the
   first request needs one. */
#ifndef ML_CLIENT_TLS_H
#define ML_CLIENT_TLS_H

#include "http/client/client_tls_sessions.h"

/* All zero: the system's authorities, and no certificate of our own. */
typedef struct ClientTls {
  char *ca, *cert, *key;      /* paths or PEM texts, or NULL */
  TlsContext *contexts[2][2]; /* [servers may be anybody][HTTP/2 is offered] */
  ClientTlsSessions sessions;
} ClientTls;

/* Copies the options, each of which may be NULL. False if memory is out. */
bool client_tls_set(ClientTls *tls, const char *ca, const char *cert, const char *key);

/* The context for connections; `insecure`: whose servers may be anybody; `http2`: that is offered,
   before HTTP/1.1. It is the pool's. NULL if a file or certificate is wrong: `error` says which,
   and why. */
TlsContext *client_tls_context(ClientTls *tls, bool insecure, bool http2,
                               char error[static TLS_ERROR_MAX]);

void client_tls_free(ClientTls *tls);

#endif
