/* Feeds bytes to the reader of the PROXY protocol, at once and in two pieces: both end the same
   way, at the same byte, and what is said is one of the families. */
#include "fuzz.h"
#include "http/server/proxy_protocol.h"

#include <stdlib.h>
#include <string.h>

static ProxyProgress feed(ProxyProtocol *p, const uint8_t *data, size_t size, size_t *used) {
  char *bytes = exact_copy(data, size);
  ProxyProgress progress = proxy_protocol_feed(p, bytes, size, used);
  free(bytes);
  check(*used <= size);
  if (progress == PROXY_MORE) check(*used == size);
  return progress;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  ProxyProtocol whole = {0}, pieces = {0};
  if (!size) return 0;
  size_t cut = data[0] % size, used, first = 0, second = 0;
  data++, size--;
  if (cut > size) cut = size;
  ProxyProgress progress = feed(&whole, data, size, &used);
  ProxyProgress again = feed(&pieces, data, cut, &first);
  if (again == PROXY_MORE) again = feed(&pieces, data + cut, size - cut, &second);
  check(progress == again && used == first + second);
  if (progress != PROXY_DONE) return 0;
  check(whole.has_source == pieces.has_source);
  check(!memcmp(&whole.source, &pieces.source, sizeof whole.source));
  sa_family_t family = whole.source.any.sa_family;
  check(!whole.has_source || family == AF_INET || family == AF_INET6 || family == AF_UNIX);
  return 0;
}
