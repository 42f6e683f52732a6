#include "http/server/http_trust.h"

#include <stdlib.h>
#include <string.h>

static bool is_unix(const char *text, size_t n) { return n == 4 && !memcmp(text, "unix", 4); }

bool http_trust_is(const char *text, size_t n) {
  Network network;
  return is_unix(text, n) || network_read(text, n, &network);
}

bool http_trust_add(HttpTrust *trust, const char *text, size_t n) {
  Network network;
  if (is_unix(text, n)) {
    trust->unix_peers = true;
    return true;
  }
  if (!network_read(text, n, &network)) return false;
  Network *more = realloc(trust->networks, (trust->n + 1) * sizeof *more);
  if (!more) return false;
  trust->networks = more;
  more[trust->n++] = network;
  return true;
}

void http_trust_free(HttpTrust *trust) {
  free(trust->networks);
  *trust = (HttpTrust){0};
}

bool http_trust_has_address(const HttpTrust *trust, const NetworkAddress *address) {
  for (size_t i = 0; i < trust->n; i++)
    if (network_has(&trust->networks[i], address)) return true;
  return false;
}

bool http_trust_has(const HttpTrust *trust, const ByteStreamPeer *peer) {
  NetworkAddress address;
  if (peer->any.sa_family == AF_UNIX) return trust->unix_peers;
  return network_of(&peer->any, &address) && http_trust_has_address(trust, &address);
}
