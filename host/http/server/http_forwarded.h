/* What a trusted proxy says about the client of a request: who it is, and with which scheme, host
   and port it came. */
#ifndef ML_HTTP_FORWARDED_H
#define ML_HTTP_FORWARDED_H

#include "http/server/http_request.h"
#include "http/server/http_trust.h"

enum { HTTP_FORWARDED_NAME = 45 }; /* bytes of a client's name that are kept */

typedef enum HttpScheme { HTTP_SCHEME_UNSAID, HTTP_SCHEME_HTTP, HTTP_SCHEME_HTTPS } HttpScheme;

typedef struct HttpForwarded {
  ByteStreamPeer client; /* AF_UNSPEC: `name` instead */
  HttpSpan name;         /* "unknown" or "_hidden", from http_request_head() on */
  HttpSpan host;         /* the same; len 0: the request's own */
  uint16_t port;         /* of the host, which does not say it; 0: the scheme's */
  HttpScheme scheme;     /* HTTP_SCHEME_UNSAID: the connection's own */
} HttpForwarded;

/* Nothing is said: the client is `peer`. */
void http_forwarded_reset(HttpForwarded *f, const ByteStreamPeer *peer);

/* Reads the headers of the current request, whose head is read, of a connection from `peer`, which
   is trusted. Both kinds of headers are lists to which each proxy adds; read from the end, the
   first address that is not trusted is the client's, and what was said with it counts. Returns
   NULL, or why the request has to be refused (a literal): something believed would be malformed, or
   the two kinds disagree, so that one of them comes from the client. */
const char *http_forwarded_read(HttpForwarded *f, const HttpRequest *r, const HttpTrust *trust,
                                const ByteStreamPeer *peer);

#endif
