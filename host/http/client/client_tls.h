/* The TLS of a pool: the options of its client, and the contexts that are made of them when the
   first request needs one. */
#ifndef ML_CLIENT_TLS_H
#define ML_CLIENT_TLS_H

#include "http/client/client_tls_sessions.h"

/* All zero: the system's authorities, and no certificate of our own. */
typedef struct ClientTls {
  char *ca, *cert, *key; /* paths or PEM texts, or NULL */
  char *cert_host;       /* who alone is shown the certificate, in lower case; NULL: everybody */
  uint16_t cert_port;
  TlsContext *contexts[8]; /* by ClientTlsKind */
  ClientTlsSessions sessions;
} ClientTls;

/* What connections there are; these are added. */
typedef enum ClientTlsKind {
  CLIENT_TLS_INSECURE = 1,  /* the server may be anybody */
  CLIENT_TLS_HTTP2 = 2,     /* that is offered, before HTTP/1.1 */
  CLIENT_TLS_ANONYMOUS = 4, /* our certificate is not shown */
} ClientTlsKind;

/* Copies the options, each of which may be NULL. False if memory is out. */
bool client_tls_set(ClientTls *tls, const char *ca, const char *cert, const char *key,
                    const char *cert_host, uint16_t cert_port);

/* Is our certificate not for this host, in lower case? */
bool client_tls_hides_cert(const ClientTls *tls, const char *host, uint16_t port);

/* The context for connections of a kind. It is the pool's. NULL if a file or certificate is wrong:
   `error` says which, and why. */
TlsContext *client_tls_context(ClientTls *tls, unsigned kind, char error[static TLS_ERROR_MAX]);

void client_tls_free(ClientTls *tls);

#endif
