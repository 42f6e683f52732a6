/* Translates curl's results for moonloop's error objects. */
#include "http/client/curl_transfer.h"

typedef struct ErrorName {
  CURLcode result;
  const char *kind, *name;
} ErrorName;

#define ENTRY(kind, result)                                                                        \
  { result, kind, #result }
static const ErrorName names[] = {
    ENTRY("dns", CURLE_COULDNT_RESOLVE_HOST),
    ENTRY("dns", CURLE_COULDNT_RESOLVE_PROXY),
    ENTRY("network", CURLE_COULDNT_CONNECT),
    ENTRY("network", CURLE_GOT_NOTHING),
    ENTRY("network", CURLE_INTERFACE_FAILED),
    ENTRY("network", CURLE_PARTIAL_FILE),
    ENTRY("network", CURLE_PROXY),
    ENTRY("network", CURLE_RECV_ERROR),
    ENTRY("network", CURLE_SEND_ERROR),
    ENTRY("network", CURLE_SEND_FAIL_REWIND),
    ENTRY("timeout", CURLE_OPERATION_TIMEDOUT),
    ENTRY("tls", CURLE_PEER_FAILED_VERIFICATION),
    ENTRY("tls", CURLE_SSL_CACERT_BADFILE),
    ENTRY("tls", CURLE_SSL_CERTPROBLEM),
    ENTRY("tls", CURLE_SSL_CIPHER),
    ENTRY("tls", CURLE_SSL_CLIENTCERT),
    ENTRY("tls", CURLE_SSL_CONNECT_ERROR),
    ENTRY("tls", CURLE_SSL_CRL_BADFILE),
    ENTRY("tls", CURLE_SSL_ENGINE_INITFAILED),
    ENTRY("tls", CURLE_SSL_INVALIDCERTSTATUS),
    ENTRY("tls", CURLE_SSL_ISSUER_ERROR),
    ENTRY("tls", CURLE_SSL_SHUTDOWN_FAILED),
    ENTRY("tls", CURLE_USE_SSL_FAILED),
    ENTRY("http", CURLE_BAD_CONTENT_ENCODING),
    ENTRY("http", CURLE_HTTP2),
    ENTRY("http", CURLE_HTTP2_STREAM),
    ENTRY("http", CURLE_LOGIN_DENIED),
    ENTRY("http", CURLE_OUT_OF_MEMORY),
    ENTRY("http", CURLE_TOO_MANY_REDIRECTS),
    ENTRY("http", CURLE_UNSUPPORTED_PROTOCOL),
    ENTRY("http", CURLE_URL_MALFORMAT),
    ENTRY("http", CURLE_WEIRD_SERVER_REPLY),
    ENTRY("http", CURLE_WRITE_ERROR),
};

static const ErrorName *find(CURLcode result) {
  static const ErrorName unknown = {CURLE_OK, "http", "CURLE_OTHER"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (names[i].result == result) return &names[i];
  }
  return &unknown;
}

const char *curl_transfer_error_kind(const CurlTransfer *t) { return find(t->result)->kind; }

const char *curl_transfer_error_code(const CurlTransfer *t) {
  bool system = t->result == CURLE_COULDNT_CONNECT || t->result == CURLE_RECV_ERROR ||
                t->result == CURLE_SEND_ERROR;
  return system && t->os_errno ? uv_err_name((int)-t->os_errno) : find(t->result)->name;
}
