/* Feeds texts to the check of public addresses: what passes is an address, and one of IPv4 passes
   in its IPv6 forms if and only if it passes by itself. */
#include "fuzz.h"
#include "http/client/public_address.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check_as_v6(const unsigned char v4[4], bool is_public) {
  static const char *const forms[] = {"::ffff:%u.%u.%u.%u", "64:ff9b::%u.%u.%u.%u"};
  char text[64];
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    int n = snprintf(text, sizeof text, forms[i], v4[0], v4[1], v4[2], v4[3]);
    check(public_address(text, (size_t)n) == is_public);
  }
  int n = snprintf(text, sizeof text, "2002:%02x%02x:%02x%02x::1", v4[0], v4[1], v4[2], v4[3]);
  if (public_address(text, (size_t)n)) check(is_public);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = exact_copy(data, size);
  bool is_public = public_address(text, size);
  char name[INET6_ADDRSTRLEN + 1] = "";
  unsigned char v4[4], v6[16];
  bool fits = size < sizeof name && !(size && memchr(text, 0, size));
  if (fits && size) memcpy(name, text, size);
  if (is_public)
    check(fits && (inet_pton(AF_INET, name, v4) == 1 || inet_pton(AF_INET6, name, v6) == 1));
  if (fits && inet_pton(AF_INET, name, v4) == 1) {
    check_as_v6(v4, is_public);
    if (v4[0] == 10 || v4[0] == 127 || v4[0] == 0 || v4[0] >= 224) check(!is_public);
  }
  free(text);
  return 0;
}
