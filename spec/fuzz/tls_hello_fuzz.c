/* Looks at the first bytes of a TLS connection, at once and byte by byte: both say the same, and
   what is passed on to OpenSSL never says that a ClientHello is longer than it may be. */
#include "fuzz.h"
#include "net/tls_hello.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  TlsHello whole = {0}, pieces = {0};
  char *bytes = exact_copy(data, size);
  bool passes = tls_hello_look(&whole, bytes, size), passes_on = true;
  for (size_t i = 0; i < size && passes_on && !pieces.over; i++)
    passes_on = tls_hello_look(&pieces, bytes + i, 1);
  free(bytes);
  check(passes == passes_on);
  if (!passes) return 0;
  check(whole.over == pieces.over && whole.has_one == pieces.has_one);
  check(whole.record_left == pieces.record_left && whole.message_left == pieces.message_left);
  check(whole.n_record == pieces.n_record && whole.n_message == pieces.n_message);
  check(whole.over || whole.message_left <= TLS_HELLO_MAX);
  return 0;
}
