/* permessage-deflate: messages of a peer, which must not hold more than they may; what we compress
   has to come back; offers and answers as text. The first byte chooses among the modes. */
#include "fuzz.h"
#include "websocket/ws_deflate.h"

#include <stdlib.h>

#define MOST 10000

static void check_unpack(WsDeflater *d, const WsDeflate *agreed, const char *bytes, size_t n) {
  Buffer out = {0};
  for (int i = 0; i < 3; i++) { /* the state goes on after each of them */
    out.len = 0;
    unsigned code = ws_deflate_unpack(d, agreed, bytes, n, MOST, &out);
    if (code && code != 1007 && code != 1009) abort();
    if (!code && out.len > MOST) abort();
  }
  if (out.cap > 4 * (MOST + n) + 65536) abort();
  buffer_free(&out);
}

static void check_round(WsDeflater *d, const WsDeflate *agreed, const char *bytes, size_t n) {
  Buffer packed = {0}, out = {0};
  if (!ws_deflate_pack(d, agreed, bytes, n, &packed)) abort();
  if (packed.len) {
    if (!agreed->takeover && packed.len >= n) abort();
    if (ws_deflate_unpack(d, agreed, packed.data, packed.len, n, &out)) abort();
    if (out.len != n || memcmp(out.data, bytes, n) != 0) abort();
  }
  buffer_free(&packed);
  buffer_free(&out);
}

static void check_text(const char *text, size_t n, const WsDeflate *want) {
  char answer[WS_DEFLATE_TEXT];
  WsDeflate agreed;
  if (ws_deflate_accept(text, n, want, answer, &agreed)) {
    if (strlen(answer) >= WS_DEFLATE_TEXT || agreed.window < 9 || agreed.window > want->window)
      abort();
    if (agreed.peer_window < 9 || agreed.peer_window > 15) abort();
    if (!want->takeover && (agreed.takeover || agreed.peer_takeover)) abort();
  }
  if (ws_deflate_agree(text, n, want, &agreed) &&
      (agreed.window < 9 || agreed.window > want->window || agreed.peer_window < 9))
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (!size) return 0;
  WsDeflater theirs = {0}, ours = {0};
  WsDeflate agreed = {.window = (uint8_t)(9 + data[0] % 7), .peer_window = 15};
  agreed.takeover = agreed.peer_takeover = data[0] & 0x80;
  size_t n = size - 1;
  char *bytes = exact_copy(data + 1, n);
  check_unpack(&theirs, &agreed, bytes, n);
  if (n)
    for (int i = 0; i < 2; i++) check_round(&ours, &agreed, bytes, n);
  check_text(bytes, n, &agreed);
  ws_deflate_free(&theirs);
  ws_deflate_free(&ours);
  free(bytes);
  return 0;
}
