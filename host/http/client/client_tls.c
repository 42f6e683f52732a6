#include "http/client/client_tls.h"

#include <stdlib.h>
#include <string.h>

static bool copy(char **to, const char *text) {
  *to = text ? strdup(text) : NULL;
  return *to || !text;
}

bool client_tls_set(ClientTls *tls, const char *ca, const char *cert, const char *key) {
  return copy(&tls->ca, ca) && copy(&tls->cert, cert) && copy(&tls->key, key);
}

TlsContext *client_tls_context(ClientTls *tls, bool insecure, bool http2,
                               char error[static TLS_ERROR_MAX]) {
  static const char *const alpn[] = {"h2", "http/1.1"};
  TlsPair pair = {tls->cert, tls->key};
  TlsOptions options = {.pairs = &pair,
                        .n_pairs = tls->cert ? 1 : 0,
                        .ca = tls->ca,
                        .verify = insecure ? TLS_VERIFY_NONE : TLS_VERIFY_REQUIRED,
                        .alpn = http2 ? alpn : alpn + 1,
                        .n_alpn = http2 ? 2 : 1,
                        .keep_sessions = true};
  TlsContext **context = &tls->contexts[insecure][http2];
  if (!*context) *context = tls_context_new(&options, error);
  return *context;
}

void client_tls_free(ClientTls *tls) {
  client_tls_sessions_free(&tls->sessions);
  for (int i = 0; i < 4; i++) tls_context_release(tls->contexts[i / 2][i % 2]);
  free(tls->ca);
  free(tls->cert);
  free(tls->key);
  *tls = (ClientTls){0};
}
