/* Feeds texts to the reader of listening addresses: what it takes has a name that ends, a mode and
   a descriptor in their ranges, and can be shown; what it does not take is said why. An address
   that is shown as one of a host and a port is read again from these. */
#include "fuzz.h"
#include "net/listen_address.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

/* The address of the same host and port is the same. */
static void check_tcp(const ListenAddress *address) {
  ListenAddress again;
  check(listen_address_tcp(address->name, address->port, &again));
  check(again.kind == LISTEN_TCP && again.port == address->port);
  check(!strcmp(again.name, address->name));
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
  char *text = exact_copy(data, size);
  ListenAddress address;
  memset(&address, 0x5a, sizeof address);
  const char *wrong = listen_address_read(text, size, &address);
  free(text);
  if (wrong) {
    check(*wrong);
    return 0;
  }
  char shown[64];
  check(address.kind <= LISTEN_NAMED);
  check(memchr(address.name, 0, sizeof address.name));
  check(address.kind == LISTEN_UNIX ? address.mode >= -1 && address.mode <= 0777
                                    : address.mode == -1);
  if (address.kind == LISTEN_FD) check(address.fd >= 0);
  listen_address_show(&address, shown, sizeof shown);
  check(memchr(shown, 0, sizeof shown));
  if (address.kind == LISTEN_TCP) check_tcp(&address);
  return 0;
}
