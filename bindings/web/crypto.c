/* moonloop.crypto: the primitives for signed cookies, random names and the hashes of migrations,
   from libsodium. What is signed, and how, is decided in scripts/moonloop/web/signer.lua. */
#include "base/base64.h"
#include "bindings/web/open.h"

#include <lauxlib.h>
#include <sodium.h>

/* Nobody needs a key or name with more random bytes than this. */
enum { MAX_RANDOM = 1024 };

/* hmac_sha256(key, text) -> 32 bytes (RFC 2104, FIPS 180-4). The key may have any length. */
static int l_hmac_sha256(lua_State *L) {
  size_t key_len, text_len;
  const char *key = luaL_checklstring(L, 1, &key_len);
  const char *text = luaL_checklstring(L, 2, &text_len);
  crypto_auth_hmacsha256_state state;
  unsigned char mac[crypto_auth_hmacsha256_BYTES];
  crypto_auth_hmacsha256_init(&state, (const unsigned char *)key, key_len);
  crypto_auth_hmacsha256_update(&state, (const unsigned char *)text, text_len);
  crypto_auth_hmacsha256_final(&state, mac);
  sodium_memzero(&state, sizeof state);
  lua_pushlstring(L, (const char *)mac, sizeof mac);
  sodium_memzero(mac, sizeof mac); /* it may be a key that was derived */
  return 1;
}

/* sha256(text) -> 64 hexadecimal digits in lower case (FIPS 180-4). */
static int l_sha256(lua_State *L) {
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n);
  unsigned char hash[crypto_hash_sha256_BYTES];
  char hex[2 * sizeof hash + 1];
  crypto_hash_sha256(hash, (const unsigned char *)text, n);
  sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
  lua_pushlstring(L, hex, sizeof hex - 1);
  return 1;
}

/* equal(a, b) -> boolean. The time it takes depends only on the lengths, not on where two strings
   of equal length differ. */
static int l_equal(lua_State *L) {
  size_t a_len, b_len;
  const char *a = luaL_checklstring(L, 1, &a_len), *b = luaL_checklstring(L, 2, &b_len);
  lua_pushboolean(L, a_len == b_len && sodium_memcmp(a, b, a_len) == 0);
  return 1;
}

/* random(n) -> n bytes that cannot be predicted, from the system's generator; n is 1 to 1024. */
static int l_random(lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 1);
  luaL_argcheck(L, n >= 1 && n <= MAX_RANDOM, 1, "1 to 1024 bytes expected");
  char bytes[MAX_RANDOM];
  randombytes_buf(bytes, (size_t)n);
  lua_pushlstring(L, bytes, (size_t)n);
  sodium_memzero(bytes, (size_t)n);
  return 1;
}

enum {
  SEAL_KEY = crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
  SEAL_NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
  SEAL_TAG = crypto_aead_xchacha20poly1305_ietf_ABYTES
};

static const unsigned char *check_seal_key(lua_State *L) {
  size_t n;
  const char *key = luaL_checklstring(L, 1, &n);
  luaL_argcheck(L, n == SEAL_KEY, 1, "32 bytes expected");
  return (const unsigned char *)key;
}

/* seal(key, text, context) -> bytes: encrypts and authenticates (XChaCha20-Poly1305,
   draft-irtf-cfrg-xchacha). The key has 32 bytes; the nonce is random and comes first. It opens
   only with the same key and context. */
static int l_seal(lua_State *L) {
  size_t text_len, context_len;
  const unsigned char *key = check_seal_key(L);
  const char *text = luaL_checklstring(L, 2, &text_len);
  const char *context = luaL_checklstring(L, 3, &context_len);
  luaL_Buffer b;
  size_t size = SEAL_NONCE + text_len + SEAL_TAG;
  unsigned char *out = (unsigned char *)luaL_buffinitsize(L, &b, size);
  randombytes_buf(out, SEAL_NONCE);
  crypto_aead_xchacha20poly1305_ietf_encrypt(out + SEAL_NONCE, NULL, (const unsigned char *)text,
                                             text_len, (const unsigned char *)context, context_len,
                                             NULL, out, key);
  luaL_pushresultsize(&b, size);
  return 1;
}

/* unseal(key, bytes, context) -> text, or nil if it was not sealed so, or was changed. */
static int l_unseal(lua_State *L) {
  size_t n, context_len;
  const unsigned char *key = check_seal_key(L);
  const unsigned char *bytes = (const unsigned char *)luaL_checklstring(L, 2, &n);
  const char *context = luaL_checklstring(L, 3, &context_len);
  if (n < SEAL_NONCE + SEAL_TAG) {
    lua_pushnil(L);
    return 1;
  }
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, n);
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(
          (unsigned char *)out, NULL, NULL, bytes + SEAL_NONCE, n - SEAL_NONCE,
          (const unsigned char *)context, context_len, bytes, key) != 0) {
    lua_pushnil(L);
    return 1;
  }
  luaL_pushresultsize(&b, n - SEAL_NONCE - SEAL_TAG);
  return 1;
}

static int encode(lua_State *L, int variant) {
  size_t n;
  const char *bytes = luaL_checklstring(L, 1, &n);
  luaL_Buffer b;
  size_t size = sodium_base64_encoded_len(n, variant);
  char *out = luaL_buffinitsize(L, &b, size);
  sodium_bin2base64(out, size, (const unsigned char *)bytes, n, variant);
  luaL_pushresultsize(&b, size - 1); /* without its NUL */
  return 1;
}

/* base64url(bytes) -> text: the URL-safe alphabet without padding (RFC 4648 section 5). */
static int l_base64url(lua_State *L) { return encode(L, sodium_base64_VARIANT_URLSAFE_NO_PADDING); }

/* base64(bytes) -> text: the other alphabet, with padding (RFC 4648 section 4). */
static int l_base64(lua_State *L) { return encode(L, sodium_base64_VARIANT_ORIGINAL); }

static int decode(lua_State *L, int variant) {
  size_t n, len;
  const char *text = luaL_checklstring(L, 1, &n);
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, n);
  if (!base64_decode(out, n, text, n, &len, variant)) {
    lua_pushnil(L);
    return 1;
  }
  luaL_pushresultsize(&b, len);
  return 1;
}

/* from_base64url(text) -> bytes, or nil if the text is not the base64url form of any bytes. */
static int l_from_base64url(lua_State *L) {
  return decode(L, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

/* from_base64(text) -> bytes, or nil: the reverse of base64. */
static int l_from_base64(lua_State *L) { return decode(L, sodium_base64_VARIANT_ORIGINAL); }

int luaopen_moonloop_crypto(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"hmac_sha256", l_hmac_sha256}, {"sha256", l_sha256}, {"equal", l_equal},
      {"random", l_random},           {"seal", l_seal},     {"unseal", l_unseal},
      {"base64url", l_base64url},     {"base64", l_base64}, {"from_base64url", l_from_base64url},
      {"from_base64", l_from_base64}, {NULL, NULL}};
  if (sodium_init() < 0) return luaL_error(L, "libsodium could not be initialised");
  luaL_newlib(L, functions);
  return 1;
}
