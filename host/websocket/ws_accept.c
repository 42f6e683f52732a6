#include "websocket/ws_accept.h"

#include <sodium.h>
#include <stdint.h>
#include <string.h>

#define SUFFIX "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

/* SHA-1 (RFC 3174), which only this handshake asks for: not worth loading a library. */
typedef struct Sha1 {
  uint32_t h[5];
  unsigned char block[64];
  size_t len;
} Sha1;

static uint32_t turn(uint32_t x, unsigned n) { return x << n | x >> (32 - n); }

static void take_block(Sha1 *s) {
  uint32_t w[80], a = s->h[0], b = s->h[1], c = s->h[2], d = s->h[3], e = s->h[4];
  for (size_t i = 0; i < 16; i++) {
    const unsigned char *p = s->block + 4 * i;
    w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
  }
  for (size_t i = 16; i < 80; i++) w[i] = turn(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
  for (size_t i = 0; i < 80; i++) {
    uint32_t f = i < 20   ? ((b & c) | (~b & d)) + 0x5A827999
                 : i < 40 ? (b ^ c ^ d) + 0x6ED9EBA1
                 : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8F1BBCDC
                          : (b ^ c ^ d) + 0xCA62C1D6;
    uint32_t next = turn(a, 5) + f + e + w[i];
    e = d;
    d = c;
    c = turn(b, 30);
    b = a;
    a = next;
  }
  s->h[0] += a;
  s->h[1] += b;
  s->h[2] += c;
  s->h[3] += d;
  s->h[4] += e;
}

static void take(Sha1 *s, const char *bytes, size_t n) {
  for (size_t i = 0; i < n; i++) {
    s->block[s->len++ % 64] = (unsigned char)bytes[i];
    if (s->len % 64 == 0) take_block(s);
  }
}

static void finish(Sha1 *s, unsigned char digest[20]) {
  uint64_t bits = (uint64_t)s->len * 8;
  take(s, "\x80", 1);
  while (s->len % 64 != 56) take(s, "", 1);
  for (unsigned i = 0; i < 8; i++) take(s, (char[]){(char)(bits >> (56 - 8 * i))}, 1);
  for (unsigned i = 0; i < 20; i++) digest[i] = (unsigned char)(s->h[i / 4] >> (24 - 8 * (i % 4)));
}

void ws_accept(char out[WS_ACCEPT_SIZE], const char *key, size_t n) {
  unsigned char digest[20];
  Sha1 s = {.h = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0}};
  take(&s, key, n);
  take(&s, SUFFIX, sizeof SUFFIX - 1);
  finish(&s, digest);
  sodium_bin2base64(out, WS_ACCEPT_SIZE, digest, sizeof digest, sodium_base64_VARIANT_ORIGINAL);
}
