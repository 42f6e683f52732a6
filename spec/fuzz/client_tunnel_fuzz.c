/* Feeds bytes to the reader of a proxy's answer to CONNECT, as they would come: each answer that is
   final stays what it is when more comes, but for an open tunnel, behind which nothing may come;
   and no tunnel is open without "HTTP/1.x 2xx" and the end of a head. */
#include "fuzz.h"
#include "http/client/client_tunnel.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static ClientTunnelAnswer read_copy(const uint8_t *data, size_t n) {
  char *bytes = exact_copy(data, n);
  ClientTunnelAnswer answer = client_tunnel_read(bytes, n);
  if (answer.state == CLIENT_TUNNEL_REFUSED) {
    check(answer.line >= bytes && answer.n >= 12 && answer.line + answer.n + 4 <= bytes + n);
    check(!memcmp(answer.line, "HTTP/1.", 7));
  }
  if (answer.state == CLIENT_TUNNEL_OPEN) check(n > 15 && !memcmp(bytes + n - 4, "\r\n\r\n", 4));
  if (answer.state == CLIENT_TUNNEL_WRONG) check(answer.wrong && *answer.wrong);
  free(bytes);
  return answer;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size > 2000) return 0; /* every beginning is read */
  ClientTunnelState before = CLIENT_TUNNEL_MORE;
  for (size_t n = 0; n <= size; n++) {
    ClientTunnelState now = read_copy(data, n).state;
    if (before == CLIENT_TUNNEL_OPEN) check(now == CLIENT_TUNNEL_WRONG);
    if (before == CLIENT_TUNNEL_REFUSED || before == CLIENT_TUNNEL_WRONG) check(now == before);
    before = now;
  }
  return 0;
}
