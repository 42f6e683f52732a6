#include "net/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

enum { MAPPED_BITS = 96 };
static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static void set_v4(NetworkAddress *address, const void *v4) {
  memcpy(address->bytes, mapped, sizeof mapped);
  memcpy(address->bytes + sizeof mapped, v4, 4);
}

bool network_read_address(const char *text, size_t n, NetworkAddress *address) {
  char copy[NETWORK_TEXT];
  struct in_addr v4;
  if (!n || n >= sizeof copy || memchr(text, 0, n)) return false;
  memcpy(copy, text, n);
  copy[n] = 0;
  if (inet_pton(AF_INET6, copy, address->bytes) == 1) return true;
  if (inet_pton(AF_INET, copy, &v4) != 1) return false;
  set_v4(address, &v4);
  return true;
}

bool network_read(const char *text, size_t n, Network *network) {
  const char *slash = n ? memchr(text, '/', n) : NULL;
  size_t address_len = slash ? (size_t)(slash - text) : n;
  if (!network_read_address(text, address_len, &network->address)) return false;
  bool is_v6 = memchr(text, ':', address_len) != NULL;
  unsigned most = is_v6 ? 128 : 32, bits = most;
  if (slash) {
    size_t digits = n - address_len - 1;
    if (digits < 1 || digits > 3 || (digits > 1 && slash[1] == '0')) return false;
    bits = 0;
    for (size_t i = 1; i <= digits; i++) {
      if (slash[i] < '0' || slash[i] > '9') return false;
      bits = bits * 10 + (unsigned)(slash[i] - '0');
    }
  }
  if (bits > most) return false;
  network->bits = (uint8_t)(is_v6 ? bits : bits + MAPPED_BITS);
  return true;
}

bool network_of(const struct sockaddr *socket, NetworkAddress *address) {
  if (socket->sa_family == AF_INET) {
    set_v4(address, &((const struct sockaddr_in *)socket)->sin_addr);
    return true;
  }
  if (socket->sa_family != AF_INET6) return false;
  memcpy(address->bytes, &((const struct sockaddr_in6 *)socket)->sin6_addr, sizeof address->bytes);
  return true;
}

bool network_is_v4(const NetworkAddress *address) {
  return !memcmp(address->bytes, mapped, sizeof mapped);
}

bool network_has(const Network *network, const NetworkAddress *address) {
  unsigned whole = network->bits / 8, rest = network->bits % 8;
  if (network->bits < MAPPED_BITS && network_is_v4(address)) return false;
  if (memcmp(network->address.bytes, address->bytes, whole) != 0) return false;
  return !rest || !((network->address.bytes[whole] ^ address->bytes[whole]) >> (8 - rest));
}
