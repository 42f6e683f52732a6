#include "http/client/client_tls.h"

#include <stdlib.h>
#include <string.h>

static bool copy(char **to, const char *text) {
  *to = text ? strdup(text) : NULL;
  return *to || !text;
}

bool client_tls_set(ClientTls *tls, const char *ca, const char *cert, const char *key,
                    const char *cert_host, uint16_t cert_port) {
  tls->cert_port = cert_port;
  return copy(&tls->ca, ca) && copy(&tls->cert, cert) && copy(&tls->key, key) &&
         copy(&tls->cert_host, cert_host);
}

bool client_tls_hides_cert(const ClientTls *tls, const char *host, uint16_t port) {
  if (!tls->cert || !tls->cert_host) return false;
  return port != tls->cert_port || strcmp(host, tls->cert_host) != 0;
}

TlsContext *client_tls_context(ClientTls *tls, unsigned kind, char error[static TLS_ERROR_MAX]) {
  static const char *const alpn[] = {"h2", "http/1.1"};
  TlsPair pair = {tls->cert, tls->key};
  TlsOptions options = {.pairs = &pair,
                        .n_pairs = tls->cert && !(kind & CLIENT_TLS_ANONYMOUS) ? 1 : 0,
                        .ca = tls->ca,
                        .verify =
                            kind & CLIENT_TLS_INSECURE ? TLS_VERIFY_NONE : TLS_VERIFY_REQUIRED,
                        .alpn = kind & CLIENT_TLS_HTTP2 ? alpn : alpn + 1,
                        .n_alpn = kind & CLIENT_TLS_HTTP2 ? 2 : 1,
                        .keep_sessions = true};
  TlsContext **context = &tls->contexts[kind];
  if (!*context) *context = tls_context_new(&options, error);
  return *context;
}

void client_tls_free(ClientTls *tls) {
  client_tls_sessions_free(&tls->sessions);
  for (size_t i = 0; i < sizeof tls->contexts / sizeof *tls->contexts; i++)
    tls_context_release(tls->contexts[i]);
  free(tls->ca);
  free(tls->cert);
  free(tls->key);
  free(tls->cert_host);
  *tls = (ClientTls){0};
}
