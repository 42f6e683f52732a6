#include "jwt/jwt_mac.h"

#include <sodium.h>
#include <string.h>

/* --- HMAC with SHA-384, which libsodium lacks: it is SHA-512 from other initial values, cut (FIPS
   180-4 sections 5.3.4 and 6.5) --- */

enum { BLOCK = 128, SHA384_BYTES = 48 };

static void sha384_init(crypto_hash_sha512_state *state) {
  static const uint64_t initial[8] = {0xcbbb9d5dc1059ed8, 0x629a292a367cd507, 0x9159015a3070dd17,
                                      0x152fecd8f70e5939, 0x67332667ffc00b31, 0x8eb44a8768581511,
                                      0xdb0c2e0d64f98fa7, 0x47b5481dbefa4fa4};
  crypto_hash_sha512_init(state);
  memcpy(state->state, initial, sizeof initial);
}

static void sha384(unsigned char hash[64], const void *a, size_t a_len, const void *b,
                   size_t b_len) {
  crypto_hash_sha512_state state;
  sha384_init(&state);
  crypto_hash_sha512_update(&state, a, a_len);
  crypto_hash_sha512_update(&state, b, b_len);
  crypto_hash_sha512_final(&state, hash);
  sodium_memzero(&state, sizeof state);
}

static void mac384(unsigned char mac[64], const void *key, size_t key_len, const void *text,
                   size_t n) {
  unsigned char pad[BLOCK] = {0}, hash[64];
  if (key_len > BLOCK) {
    sha384(hash, key, key_len, "", 0);
    memcpy(pad, hash, SHA384_BYTES);
  } else {
    memcpy(pad, key, key_len);
  }
  for (int i = 0; i < BLOCK; i++) pad[i] ^= 0x36;
  sha384(hash, pad, BLOCK, text, n);
  for (int i = 0; i < BLOCK; i++) pad[i] ^= 0x36 ^ 0x5c;
  sha384(mac, pad, BLOCK, hash, SHA384_BYTES);
  sodium_memzero(pad, sizeof pad);
}

size_t jwt_mac(unsigned char mac[JWT_MAC_MOST], int bits, const void *key, size_t key_len,
               const void *text, size_t n) {
  if (bits == 384) {
    mac384(mac, key, key_len, text, n);
  } else if (bits == 512) {
    crypto_auth_hmacsha512_state state;
    crypto_auth_hmacsha512_init(&state, key, key_len);
    crypto_auth_hmacsha512_update(&state, text, n);
    crypto_auth_hmacsha512_final(&state, mac);
    sodium_memzero(&state, sizeof state);
  } else {
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, key, key_len);
    crypto_auth_hmacsha256_update(&state, text, n);
    crypto_auth_hmacsha256_final(&state, mac);
    sodium_memzero(&state, sizeof state);
  }
  return (size_t)bits / 8;
}
