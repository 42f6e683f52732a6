/* The proxies whose word a server takes for who its clients are: the option `trusted_proxies`. */
#ifndef ML_HTTP_TRUST_H
#define ML_HTTP_TRUST_H

#include "net/byte_stream.h"
#include "net/network.h"

/* All zero: nobody. */
typedef struct HttpTrust {
  Network *networks;
  size_t n;
  bool unix_peers; /* whoever comes over a Unix socket */
} HttpTrust;

/* Is the text an address, a network, or "unix"? */
bool http_trust_is(const char *text, size_t n);

/* Adds what the text names. False if it is none of these, or memory is out. */
bool http_trust_add(HttpTrust *trust, const char *text, size_t n);

void http_trust_free(HttpTrust *trust);

bool http_trust_has(const HttpTrust *trust, const ByteStreamPeer *peer);
bool http_trust_has_address(const HttpTrust *trust, const NetworkAddress *address);

#endif
