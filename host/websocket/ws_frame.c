#include "websocket/ws_frame.h"

#include <string.h>

static uint64_t read_number(const unsigned char *p, size_t n) {
  uint64_t value = 0;
  for (size_t i = 0; i < n; i++) value = value << 8 | p[i];
  return value;
}

int ws_frame_read_head(const char *bytes, size_t n, WsHead *head) {
  const unsigned char *p = (const unsigned char *)bytes;
  if (n < 2) return 0;
  head->opcode = p[0] & 0x0F;
  head->is_final = p[0] & 0x80;
  head->reserved = p[0] >> 4 & 7;
  head->is_masked = p[1] & 0x80;
  uint64_t len = p[1] & 0x7F;
  size_t more = len == 127 ? 8 : len == 126 ? 2 : 0, size = 2 + more + (head->is_masked ? 4 : 0);
  if (n < 2 + more) return 0;
  if (more) {
    len = read_number(p + 2, more);
    if (len < (more == 2 ? 126 : 65536) || len >> 63) return -1;
  }
  if (n < size) return 0;
  if (head->is_masked) memcpy(head->key, bytes + size - 4, 4);
  head->len = len;
  head->size = (uint8_t)size;
  return 1;
}

size_t ws_frame_write_head(char *out, unsigned first, uint64_t len, const char *key) {
  unsigned char *p = (unsigned char *)out;
  size_t more = len > 65535 ? 8 : len > 125 ? 2 : 0, size = 2 + more;
  p[0] = (unsigned char)first;
  p[1] = (unsigned char)((more == 8 ? 127 : more == 2 ? 126 : len) | (key ? 0x80 : 0));
  for (size_t i = 0; i < more; i++) p[2 + i] = (unsigned char)(len >> 8 * (more - 1 - i));
  if (!key) return size;
  memcpy(out + size, key, 4);
  return size + 4;
}

void ws_frame_mask(char *out, const char *in, size_t n, const char *key, uint64_t at) {
  char turned[8];
  uint64_t word, eight;
  size_t i = 0;
  for (size_t k = 0; k < 8; k++) turned[k] = key[(at + k) & 3];
  memcpy(&eight, turned, 8);
  for (; i + 8 <= n; i += 8) {
    memcpy(&word, in + i, 8);
    word ^= eight;
    memcpy(out + i, &word, 8);
  }
  for (; i < n; i++) out[i] = (char)(in[i] ^ turned[i & 7]);
}

bool ws_frame_code_is_valid(unsigned code) {
  if (code >= 3000) return code < 5000;
  return code >= 1000 && code <= 1014 && code != 1004 && code != WS_CODE_NONE &&
         code != WS_CODE_LOST;
}
